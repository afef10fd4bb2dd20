// SPDX-License-Identifier: Apache-2.0
// DINOv2, without and with registers. Source: Dinov2Model, Dinov2ForImageClassification and those of
// Dinov2WithRegisters, transformers 4.57 (modeling_dinov2.py, modeling_dinov2_with_registers.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/stem.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

/// Where the relatives differ.
struct Relative {
  std::string_view type;
  int64_t patch;
  int64_t registers;  ///< as many as the config class has by default; -1: the model has none
  bool antialias;     ///< when positions are resampled
};
constexpr Relative relatives[] = {{"dinov2", 14, -1, false}, {"dinov2_with_registers", 16, 4, true}};

struct Dinov2Config {
  Dinov2Config(const Config& c, const Relative& relative)
      : hidden(c.size("hidden_size", 768)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 12)),
        inner(static_cast<int64_t>(static_cast<double>(hidden) * c.real("mlp_ratio", 4))),
        channels(c.size("num_channels", 3)),
        image(extent(c, "image_size", 224)),
        patch(extent(c, "patch_size", relative.patch)),
        epsilon(c.real("layer_norm_eps", 1e-6)),
        activation(c.text("hidden_act", "gelu")),
        qkv_bias(c.boolean("qkv_bias", true)),
        gated(c.boolean("use_swiglu_ffn", false)),
        registers(relative.registers < 0 ? 0 : c.count("num_register_tokens", relative.registers)),
        antialias(relative.antialias),
        labels(c.num_labels()),
        grid(image.height / patch.height, image.width / patch.width) {
    // Of training, of masked patches, and of the backbone.
    c.no_effect({"layerscale_value", "drop_path_rate", "use_mask_token", "out_features", "out_indices", "stage_names",
                 "apply_layernorm", "reshape_hidden_states"});
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    if (grid.area() == 0) throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than image_size");
  }
  int64_t hidden, layers, heads, inner, channels;
  Extent image, patch;
  double epsilon;
  std::string activation;
  bool qkv_bias, gated;
  int64_t registers;
  bool antialias;
  int64_t labels;
  Extent grid;  // of patches, for which positions were trained
};

class Dinov2OnnxConfig final : public OnnxConfig {
 public:
  explicit Dinov2OnnxConfig(const Request& request)
      : OnnxConfig(request), c(request.config, row_of(relatives, request.model_type)) {}

  std::string base_model_prefix() const override { return model_type(); }
  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope model = task() == "default" ? g.root() : g.root() / base_model_prefix();
    const Value hidden = encode(model, in.at("pixel_values"));
    if (task() == "default" && g.wants("pooler_output")) g.mark("pooler_output", pick(hidden, 1, 0));
    return head_for_feature().outputs({model, hidden, in});
  }

  // Classes by the class token beside the mean of the patches.
  Heads heads() const override {
    return {head::hidden_states(), head::logits("image-classification", [this](const Encoded& at) {
              const Value patches = mean(slice(at.hidden, {1, 1 + c.registers}), {1});
              const Value both = concat({pick(at.hidden, 1, 0), patches}, 1);
              return linear(at.base.graph().root() / "classifier", both, {.out = c.labels});
            })};
  }

 private:
  // -> f32[batch, 1 + registers + patches, hidden]
  Value encode(const Scope& model, const Value& pixels) const {
    Graph& g = model.graph();
    g.unused("*" + (model / "embeddings.mask_token").path());
    const Value tokens = patch_stem(model / "embeddings", pixels,
                                    {.width = c.hidden,
                                     .patch = c.patch,
                                     .channels = c.channels,
                                     .first_tokens = {"cls_token"},
                                     .positions = "position_embeddings",
                                     .grid = c.grid,
                                     .antialias = c.antialias,
                                     .registers = {"register_tokens", c.registers}})
                             .tokens;
    const Value x =
        transformer_layers(model / "encoder.layer", tokens, {c.layers, [this](int64_t) { return layer(); }}, {});
    g.mark("hidden_states." + std::to_string(c.layers), x);
    return norm(model / "layernorm", x, {.epsilon = c.epsilon});
  }

  // Both halves are normed before, and scaled by a learnt factor a channel.
  TransformerLayer layer() const {
    return {.attention_at = "attention",
            .attention = {.heads = c.heads,
                          .head_size = c.hidden / c.heads,
                          .projections = {.query = "attention.query",
                                          .key = "attention.key",
                                          .value = "attention.value",
                                          .output = "output.dense",
                                          .bias = {c.qkv_bias, c.qkv_bias, c.qkv_bias, true}}},
            .feed_forward = feed_forward_form(),
            .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "norm1", .factor = "layer_scale1.lambda1"},
            .feed_forward_branch = {.norm = {.epsilon = c.epsilon}, .name = "norm2", .factor = "layer_scale2.lambda1"}};
  }

  FeedForward feed_forward_form() const {
    if (!c.gated) return {.inner = c.inner, .activation = c.activation, .up = "fc1", .down = "fc2", .bias = true};
    // Two thirds as wide, up to a multiple of 8.
    const auto thirds = static_cast<int64_t>(static_cast<double>(c.inner * 2) / 3);
    return {.inner = (thirds + 7) / 8 * 8,
            .activation = "silu",
            .down = "weights_out",
            .gate_up = "weights_in",
            .bias = true};
  }

  const Dinov2Config c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.dinov2",
    .name = "DINOv2",
    .models = {{.types = {"dinov2", "dinov2_with_registers"},
                .features = {"default", "image-classification"},
                .make = make<Dinov2OnnxConfig>}},
})
