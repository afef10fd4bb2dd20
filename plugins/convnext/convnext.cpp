// SPDX-License-Identifier: Apache-2.0
// ConvNeXT and its second version. Source: ConvNextModel and ConvNextForImageClassification, transformers 4.30
// (modeling_convnext.py); those of ConvNextV2, 4.57 (modeling_convnextv2.py).
#include <onnxport/families/convnext.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::family;

namespace {

/// Where the versions differ.
struct Relative {
  std::string_view type;
  bool global_norm;  ///< responses within a block are normed over the image, and no block's result is scaled
};
constexpr Relative relatives[] = {{"convnext", false}, {"convnextv2", true}};

struct ConvNextConfig {
  ConvNextConfig(const Config& c, const Relative& relative)
      : channels(c.size("num_channels", 3)),
        patch(extent(c, "patch_size", 4)),
        widths(c.has("hidden_sizes") ? c.integers("hidden_sizes") : std::vector<int64_t>{96, 192, 384, 768}),
        depths(c.has("depths") ? c.integers("depths") : std::vector<int64_t>{3, 3, 9, 3}),
        stages(c.size("num_stages", 4)),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-12)),
        global_norm(relative.global_norm),
        layer_scale(!global_norm && c.real("layer_scale_init_value", 1e-6) > 0),
        labels(c.num_labels()) {
    // Of the backbone, of training; and any size of image goes through convolutions.
    c.no_effect({"out_features", "out_indices", "stage_names", "drop_path_rate", "image_size"});
    const auto count = static_cast<size_t>(stages);
    if (widths.size() < count || depths.size() < count) {
      throw Error(ONNXPORT_CONFIG, "config fields 'hidden_sizes' and 'depths' have " + std::to_string(widths.size()) +
                                       " and " + std::to_string(depths.size()) + " entries; expected num_stages, " +
                                       std::to_string(stages));
    }
  }
  int64_t channels;
  Extent patch;
  std::vector<int64_t> widths, depths;
  int64_t stages;
  std::string activation;
  double epsilon;  // of the last norm; all others have 1e-6
  bool global_norm, layer_scale;
  int64_t labels;
};

class ConvNextOnnxConfig final : public OnnxConfig {
 public:
  explicit ConvNextOnnxConfig(const Request& request)
      : OnnxConfig(request),
        c(request.config.with_names({{"num_stages", "num_hidden_layers"}}), row_of(relatives, request.model_type)) {}

  std::string base_model_prefix() const override { return model_type(); }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override {
    if (task() == "default") return {{"last_hidden_state", {{0, axis::batch}}}};
    return OnnxConfig::outputs();
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope convnext = task() == "default" ? g.root() : g.root() / base_model_prefix();
    const Value hidden = encode(convnext, in.at("pixel_values"));
    if (task() == "default" && g.wants("pooler_output")) g.mark("pooler_output", pool(convnext, hidden));
    return head_for_feature().outputs({convnext, hidden, in});
  }

  Heads heads() const override {
    return {head::hidden_states(), head::logits("image-classification", [this](const Encoded& at) {
              return linear(at.base.graph().root() / "classifier", pool(at.base, at.hidden), {.out = c.labels});
            })};
  }

 private:
  // -> f32[batch, widths.back(), …, …]
  Value encode(const Scope& convnext, const Value& pixels) const {
    Graph& g = convnext.graph();
    Value x = conv2d(convnext / "embeddings.patch_embeddings", pixels,
                     {.out = c.widths[0], .kernel = c.patch, .stride = c.patch, .in = c.channels});
    x = norm_of_channels(convnext / "embeddings.layernorm", x, {.epsilon = 1e-6});
    g.mark("hidden_states.0", x);
    for (int64_t i = 0; i < c.stages; ++i) {
      const Scope stage = convnext / "encoder.stages" / i;
      const int64_t width = c.widths[static_cast<size_t>(i)];
      if (i > 0) {
        x = norm_of_channels(stage / "downsampling_layer" / 0, x, {.epsilon = 1e-6});
        x = conv2d(stage / "downsampling_layer" / 1, x, {.out = width, .kernel = 2, .stride = 2});
      }
      for (int64_t j = 0; j < c.depths[static_cast<size_t>(i)]; ++j)
        x = convnext_block(stage / "layers" / j, x, block());
      g.mark("hidden_states." + std::to_string(i + 1), x);
    }
    return x;
  }

  ConvNextBlock block() const {
    ConvNextBlock form{.activation = c.activation, .factor = c.layer_scale ? "layer_scale_parameter" : ""};
    if (c.global_norm) form.widened = [](const Scope& s, const Value& x) { return normed_over_image(s / "grn", x); };
    return form;
  }

  // How much of a channel there is in the image, beside the mean of all channels: f32[batch, height, width, n] -> the
  // same. Source: ConvNextV2GRN.
  static Value normed_over_image(const Scope& s, const Value& x) {
    const int64_t n = x.fixed(3);
    const Value amount = s.op("ReduceL2", {x}, {{"axes", {1, 2}}, {"keepdims", true}});
    const Value mean_amount = s.op("ReduceMean", {amount}, {{"axes", {-1}}, {"keepdims", true}});
    const Value share = amount / (mean_amount + 1e-6);
    return s.weight("weight", {1, 1, 1, n}) * (x * share) + s.weight("bias", {1, 1, 1, n}) + x;
  }

  // -> f32[batch, widths.back()]
  Value pool(const Scope& convnext, const Value& hidden) const {
    return norm(convnext / "layernorm", mean_of_image(hidden.in(convnext)), {.epsilon = c.epsilon});
  }

  const ConvNextConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.convnext",
    .name = "ConvNeXT",
    .models = {{.types = {"convnext", "convnextv2"},
                .features = {"default", "image-classification"},
                .make = make<ConvNextOnnxConfig>}},
})
