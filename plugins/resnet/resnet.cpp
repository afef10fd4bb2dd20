// SPDX-License-Identifier: Apache-2.0
// ResNet. Source: ResNetModel and ResNetForImageClassification, transformers 4.30, and 4.57 for
// downsample_in_bottleneck (modeling_resnet.py).
#include <onnxport/blocks/stem.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

struct ResNetConfig {
  explicit ResNetConfig(const Config& c)
      : channels(c.size("num_channels", 3)),
        embedding(c.size("embedding_size", 64)),
        widths(c.has("hidden_sizes") ? c.integers("hidden_sizes") : std::vector<int64_t>{256, 512, 1024, 2048}),
        depths(c.has("depths") ? c.integers("depths") : std::vector<int64_t>{3, 4, 6, 3}),
        bottleneck(c.choice("layer_type", "bottleneck", {"basic", "bottleneck"}) == "bottleneck"),
        activation(c.text("hidden_act", "relu")),
        downsample_in_first_stage(c.boolean("downsample_in_first_stage", false)),
        downsample_in_bottleneck(c.boolean("downsample_in_bottleneck", false) && !c.written_before(4, 31)),
        labels(c.num_labels()) {
    c.no_effect({"out_features", "out_indices", "stage_names"});  // of ResNetBackbone
    if (widths.empty() || widths.size() != depths.size()) {
      throw Error(ONNXPORT_CONFIG, "config fields 'hidden_sizes' and 'depths' have " + std::to_string(widths.size()) +
                                       " and " + std::to_string(depths.size()) + " entries; expected one each a stage");
    }
  }
  int64_t channels, embedding;
  std::vector<int64_t> widths, depths;
  bool bottleneck;
  std::string activation;
  bool downsample_in_first_stage, downsample_in_bottleneck;
  int64_t labels;
};

class ResNetOnnxConfig final : public OnnxConfig {
 public:
  explicit ResNetOnnxConfig(const Request& request) : OnnxConfig(request), c(request.config) {}

  std::string base_model_prefix() const override { return "resnet"; }
  double atol_for_validation() const override { return 1e-3; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override {
    if (task() == "default") return {{"last_hidden_state", {{0, axis::batch}}}};
    return OnnxConfig::outputs();
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope resnet = task() == "default" ? g.root() : g.root() / "resnet";
    const Value hidden = encode(resnet, in.at("pixel_values")).in(resnet / "pooler");
    if (task() == "default" && g.wants("pooler_output")) g.mark("pooler_output", global_average_pool(hidden));
    return head_for_feature().outputs({resnet, hidden, in});
  }

  Heads heads() const override {
    return {head::hidden_states(), head::logits("image-classification", [this](const Encoded& at) {
              return linear(at.base.graph().root() / "classifier.1", mean_of_image(at.hidden), {.out = c.labels});
            })};
  }

 private:
  struct Block {
    int64_t out, stride;
  };

  // -> f32[batch, widths.back(), height/32, width/32]
  Value encode(const Scope& resnet, const Value& pixels) const {
    Graph& g = resnet.graph();
    Value x = conv_norm(resnet / "embedder.embedder", pixels,
                        {.out = c.embedding, .kernel = 7, .stride = 2, .padding = 3, .bias = false, .in = c.channels});
    x = activation(x, c.activation);
    x = max_pool(x, {.kernel = 3, .stride = 2, .padding = 1});
    g.mark("hidden_states.0", x);
    for (size_t stage = 0; stage < c.widths.size(); ++stage) {
      const Scope layers = resnet / "encoder.stages" / static_cast<int64_t>(stage) / "layers";
      const int64_t stride = stage > 0 || c.downsample_in_first_stage ? 2 : 1;
      for (int64_t i = 0; i < c.depths[stage]; ++i) x = block(layers / i, x, {c.widths[stage], i == 0 ? stride : 1});
      g.mark("hidden_states." + std::to_string(stage + 1), x);
    }
    return x;
  }

  // A residual block: convolutions beside a shortcut, which is a projection where the shape changes.
  Value block(const Scope& s, const Value& x, const Block& b) const {
    const Value h = c.bottleneck ? bottleneck(s / "layer", x, b) : basic(s / "layer", x, b);
    Value shortcut = x;
    if (x.fixed(1) != b.out || b.stride != 1)
      shortcut = conv_norm(s / "shortcut", x, {.out = b.out, .stride = b.stride, .bias = false});
    return activation(h.in(s) + shortcut, c.activation);
  }

  Value basic(const Scope& s, const Value& x, const Block& b) const {
    Value h = conv_norm(s / 0, x, {.out = b.out, .kernel = 3, .stride = b.stride, .padding = 1, .bias = false});
    h = relu(h);  // whatever hidden_act is
    return conv_norm(s / 1, h, {.out = b.out, .kernel = 3, .padding = 1, .bias = false});
  }

  Value bottleneck(const Scope& s, const Value& x, const Block& b) const {
    const int64_t reduced = b.out / 4;
    const int64_t first = c.downsample_in_bottleneck ? b.stride : 1, second = c.downsample_in_bottleneck ? 1 : b.stride;
    Value h = conv_norm(s / 0, x, {.out = reduced, .stride = first, .bias = false});
    h = relu(h);
    h = conv_norm(s / 1, h, {.out = reduced, .kernel = 3, .stride = second, .padding = 1, .bias = false});
    h = relu(h);
    return conv_norm(s / 2, h, {.out = b.out, .bias = false});
  }

  static Value conv_norm(const Scope& s, const Value& x, const ConvOptions& options) {
    return conv_stem(s, x, options, {.batch_norm = "normalization"});
  }

  const ResNetConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.resnet",
    .name = "ResNet",
    .models = {{.types = {"resnet"}, .features = {"default", "image-classification"}, .make = make<ResNetOnnxConfig>}},
})
