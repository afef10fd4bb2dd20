// SPDX-License-Identifier: Apache-2.0
// A text classifier of three layers: the mean of the words' embeddings, a hidden layer, a score a label.
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

class BagOnnxConfig final : public OnnxConfig {
 public:
  explicit BagOnnxConfig(const Request& request)
      : OnnxConfig(request),
        vocab(request.config.size("vocab_size")),
        hidden(request.config.size("hidden_size", 64)),
        labels(request.config.num_labels()) {}

  std::vector<TensorSpec> inputs() const override {
    return {input::ids("input_ids", {axis::batch, axis::sequence}, vocab),
            input::mask("attention_mask", {axis::batch, axis::sequence}, {.of = "input_ids"})};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope bag = g.root() / "bag";
    const Value words = embedding(bag / "embedding", in.at("input_ids"), {vocab, hidden});
    const Value counts = unsqueeze(cast(in.at("attention_mask"), DType::f32), {2});  // f32[batch, sequence, 1]
    const Value mean = g.mark("mean", sum(words * counts, {1}) / sum(counts, {1}));
    const Value features = activation(linear(bag / "dense", mean, {.out = hidden}), "silu");
    return {{"logits", linear(g.root() / "classifier", features, {.out = labels})}};
  }

  // For a run-time without Sigmoid: x · sigmoid(x) as x / (1 + exp(-x)).
  std::vector<PatchingSpec> patching_specs() const override {
    return {{composites, "Silu", [](Graph&, const std::vector<Value>& inputs, const std::vector<Attribute>&) {
               const Value& x = inputs[0];
               return std::vector<Value>{x / (1.0 + exp(-x))};
             }}};
  }

 private:
  const int64_t vocab, hidden, labels;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "com.example.bag",
    .name = "Bag of words",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .vendor = "Example",
    .models = {{.types = {"bag"}, .features = {"sequence-classification"}, .make = make<BagOnnxConfig>}},
})
