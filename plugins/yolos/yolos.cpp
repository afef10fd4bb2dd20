// SPDX-License-Identifier: Apache-2.0
// YOLOS: a ViT with a token for each object that may be there. Source: YolosModel and YolosForObjectDetection,
// transformers 4.30 (modeling_yolos.py).
#include <onnxport/families/vit.hpp>

using namespace onnxport::family;

namespace {

struct YolosConfig {
  explicit YolosConfig(const Config& c)
      : hidden(c.size("hidden_size", 768)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 12)),
        inner(c.size("intermediate_size", 3072)),
        channels(c.size("num_channels", 3)),
        image(c.has("image_size") ? extent(c, "image_size", 512) : Extent(512, 864)),
        patch(c.size("patch_size", 16)),
        epsilon(c.real("layer_norm_eps", 1e-12)),
        activation(c.text("hidden_act", "gelu")),
        qkv_bias(c.boolean("qkv_bias", true)),
        objects(c.size("num_detection_tokens", 100)),
        positions_between(c.boolean("use_mid_position_embeddings", true)),
        labels(c.num_labels()),
        grid(image.height / patch, image.width / patch) {
    // Of training.
    c.no_effect({"auxiliary_loss", "class_cost", "bbox_cost", "giou_cost", "bbox_loss_coefficient",
                 "giou_loss_coefficient", "eos_coefficient"});
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    if (grid.area() == 0) throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than image_size");
  }
  int64_t hidden, layers, heads, inner, channels;
  Extent image;
  int64_t patch;
  double epsilon;
  std::string activation;
  bool qkv_bias;
  int64_t objects;
  bool positions_between;  // positions are added behind each layer as well
  int64_t labels;
  Extent grid;  // of patches, for which positions were trained
};

class Yolos final : public OnnxConfig {
 public:
  explicit Yolos(const Request& request) : OnnxConfig(request), c(request.config) {}

  std::string base_model_prefix() const override { return "vit"; }
  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override {
    if (task() == "default") return OnnxConfig::outputs();
    return {{"logits", {{0, axis::batch}}}, {"pred_boxes", {{0, axis::batch}}}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope model = task() == "default" ? g.root() : g.root() / "vit";
    const Value hidden = encode(model, in.at("pixel_values"));
    if (task() == "default" && g.wants("pooler_output"))
      g.mark("pooler_output", tanh(linear(model / "pooler.dense", pick(hidden, 1, 0), {.out = c.hidden})));
    return head_for_feature().outputs({model, hidden, in});
  }

  Heads heads() const override {
    return {head::hidden_states(), {"object-detection", [this](const Encoded& at) -> Outputs {
                                      Graph& g = at.base.graph();
                                      g.mark("last_hidden_state", at.hidden);
                                      const Value objects = slice(at.hidden, {1, -c.objects});
                                      const auto predicted = [&](const char* name, int64_t out) {
                                        return perceptron(g.root() / name, objects, {c.hidden, out});
                                      };
                                      return {{"logits", predicted("class_labels_classifier", c.labels + 1)},
                                              {"pred_boxes", sigmoid(predicted("bbox_predictor", 4))}};
                                    }}};
  }

 private:
  // The class token, the patches and the objects: f32[batch, 1 + patches + objects, hidden].
  Value encode(const Scope& model, const Value& pixels) const {
    Graph& g = model.graph();
    const Scope s = model / "embeddings";
    const Patches patches = patch_stem(
        s, pixels, {.width = c.hidden, .patch = c.patch, .channels = c.channels, .first_tokens = {"cls_token"}});
    const Value objects = s.weight("detection_tokens", {1, c.objects, c.hidden});
    const Value one_each = concat({shape_of(patches.tokens, 0, 1), g.integers({1, 1})}, 0);
    const Value tokens = concat({patches.tokens, g.op("Expand", {objects, one_each})}, 1);
    const Value table = s.weight("position_embeddings", {1, 1 + c.grid.area() + c.objects, c.hidden});
    Value x = tokens + positions(table, patches.size);

    const bool between = c.positions_between && c.layers > 1;
    Value more;  // f32[layers - 1, 1, n, hidden]
    const Scope encoder = model / "encoder";
    if (between)
      more = encoder.weight("mid_position_embeddings", {c.layers - 1, 1, 1 + c.grid.area() + c.objects, c.hidden});
    for (int64_t i = 0; i < c.layers; ++i) {
      g.mark("hidden_states." + std::to_string(i), x);
      x = transformer_layer(encoder / "layer" / i, x, layer(), {.probabilities = "attentions." + std::to_string(i)});
      if (between && i + 1 < c.layers) x = x + positions(pick(more, 0, i), patches.size);
    }
    g.mark("hidden_states." + std::to_string(c.layers), x);
    return norm(model / "layernorm", x, {.epsilon = c.epsilon});
  }

  // Positions of all tokens, those of the patches resampled: f32[1, n, hidden].
  Value positions(const Value& table, const Value& size) const {
    const int64_t patches = c.grid.area();
    const std::vector<Value> parts = split(table, 1, {1, patches, c.objects});
    const Value resampled = tokens_of(interpolate(image_of(parts[1], c.grid), size, Interpolation::bicubic));
    return concat({parts[0], resampled, parts[2]}, 1);
  }

  TransformerLayer layer() const {
    return ViTLayer{c.hidden, c.heads, c.inner, c.activation, c.epsilon, c.qkv_bias}.form();
  }

  const YolosConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.yolos",
    .name = "YOLOS",
    .models = {{.types = {"yolos"}, .features = {"default", "object-detection"}, .make = make<Yolos>}},
})
