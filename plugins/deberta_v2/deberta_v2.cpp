// SPDX-License-Identifier: Apache-2.0
// DeBERTa-v2 and -v3: DeBERTa whose far distances share a bucket. Source: DebertaV2Model and its heads, transformers
// 4.30 and 4.57 (modeling_deberta_v2.py).
#include <onnxport/convolutions.hpp>
#include <onnxport/families/deberta.hpp>

using namespace onnxport::family;

namespace {

/// What the first layer's result is joined with: a convolution over what that layer was given.
struct Convolution {
  explicit Convolution(const Config& c)
      : kernel(c.count("conv_kernel_size", 0)),
        groups(c.size("conv_groups", 1)),
        activation(c.text("conv_act", "tanh")) {
    if (kernel > 0 && kernel % 2 == 0) {
      throw Error(ONNXPORT_CONFIG, "config field 'conv_kernel_size' is " + std::to_string(kernel) +
                                       "; expected an odd number, which keeps the text's length, or 0");
    }
  }
  int64_t kernel, groups;
  std::string activation;
};

class DebertaV2OnnxConfig final : public DebertaEncoder {
 public:
  explicit DebertaV2OnnxConfig(const Request& request)
      : DebertaEncoder(request, {.vocab = 128100, .hidden = 1536, .layers = 24, .heads = 24, .inner = 6144}),
        distances{.hidden = c.hidden,
                  .heads = c.heads,
                  .epsilon = c.epsilon,
                  .max_distance = c.max_distance,
                  .position_buckets = request.config.integer("position_buckets", -1),
                  .shares_projections = request.config.boolean("share_att_key", false),
                  .normed = false,
                  .by_key = c.attends_by("c2p"),
                  .by_query = c.attends_by("p2c")},
        convolution(request.config) {
    const int64_t width = request.config.size("attention_head_size", head_size());
    require_equal({"attention_head_size", width}, {"hidden_size / num_attention_heads", head_size()});
    for (const std::string& word : words_of(request.config, "norm_rel_ebd")) distances.normed |= word == "layer_norm";
  }

 private:
  int64_t terms() const override { return distances.terms(); }
  DistanceBuckets buckets() const override { return distances.buckets(); }
  Value distance_vectors(const Scope& encoder) const override { return distances.vectors(encoder); }
  DistanceAttending attending(const Scope& self, const Value& x, const Value& positions) const override {
    return distances.attending(self, x, positions);
  }

  Value behind_first(const Scope& encoder, const Value& embedded, const Value& x, const Text& text) const override {
    // The class has it whether or not there are distances that it norms.
    if (distances.normed && !c.relative) encoder.graph().unused((encoder / "LayerNorm").path() + ".*");
    if (convolution.kernel == 0) return x;
    const Scope conv = encoder / "conv";
    const Value counts = unsqueeze(cast(text.mask, x.dtype()), {2});
    const Value signal = conv1d(conv / "conv", transpose(embedded.in(conv), {0, 2, 1}),
                                {.out = c.hidden,
                                 .kernel = convolution.kernel,
                                 .padding = convolution.kernel / 2,
                                 .groups = convolution.groups});
    const Value h = activation(transpose(signal, {0, 2, 1}) * counts, convolution.activation);
    return norm(conv / "LayerNorm", x + h, {.epsilon = c.epsilon}) * counts;
  }

  DebertaV2Distances distances;
  Convolution convolution;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.deberta-v2",
    .name = "DeBERTa-v2",
    .models = {{.types = {"deberta-v2"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification",
                             "question-answering", "multiple-choice"},
                .make = make<DebertaV2OnnxConfig>}},
})
