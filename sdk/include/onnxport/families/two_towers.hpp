// SPDX-License-Identifier: Apache-2.0
// Two encoders that were trained together, one of texts and one of images, so that a text and an image that belong
// together point the same way. Source: CLIPModel and SiglipModel, transformers 4.57.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <utility>
#include <vector>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/stem.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// What a tower's config class fills in.
struct TowerDefaults {
  int64_t hidden = 768, inner = 3072, layers = 12, heads = 12;
  const char* activation = "quick_gelu";
  double epsilon = 1e-5;
};

/// The layers of a tower. Source: CLIPEncoder, transformers 4.57.
struct Tower {
  Tower(const Config& c, const TowerDefaults& defaults)
      : hidden(c.size("hidden_size", defaults.hidden)),
        inner(c.size("intermediate_size", defaults.inner)),
        layers(c.count("num_hidden_layers", defaults.layers)),
        heads(c.size("num_attention_heads", defaults.heads)),
        activation(c.text("hidden_act", defaults.activation)),
        epsilon(c.real("layer_norm_eps", defaults.epsilon)) {
    c.no_effect({"initializer_factor", "bos_token_id", "pad_token_id", "projection_dim"});
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
  }

  FeedForward feed_forward() const {
    return {.inner = inner, .activation = activation, .up = "fc1", .down = "fc2", .bias = true};
  }
  TransformerLayer layer(bool causal) const {
    return {.attention = {.heads = heads,
                          .head_size = hidden / heads,
                          .projections = {.output = "out_proj", .bias = all_biased},
                          .causal = causal},
            .feed_forward = feed_forward(),
            .attention_branch = {.norm = {.epsilon = epsilon}, .name = "layer_norm1"},
            .feed_forward_branch = {.norm = {.epsilon = epsilon}, .name = "layer_norm2"}};
  }

  int64_t hidden, inner, layers, heads;
  std::string activation;
  double epsilon;
};

/// A tower that reads images of one size, or, by resampled positions, of any.
struct ImageTower : Tower {
  ImageTower(const Config& c, const TowerDefaults& defaults, int64_t default_patch, int64_t default_image = 224)
      : Tower(c, defaults),
        channels(c.size("num_channels", 3)),
        image(c.size("image_size", default_image)),
        patch(c.size("patch_size", default_patch)),
        grid(image / patch) {
    if (grid == 0) throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than image_size");
  }

  /// x: f[batch, n, hidden] -> the same, which is the last of the steps hidden_states.{i}: where a norm stands behind
  /// it, models around read it without. Version 5 saves the layers of AltCLIP as `layer`.
  Value encode(const Scope& model, const Value& x, const std::string& steps) const {
    const auto form = [this](int64_t) { return layer(false); };
    const Scope s = first_with("0.layer_norm1.weight", {model / "encoder.layers", model / "encoder.layer"});
    const Value last = transformer_layers(s, x, {.count = layers, .layer = form, .steps = steps}, {});
    return s.graph().mark(steps + "hidden_states." + std::to_string(layers), last);
  }

  std::vector<AxisSize> sizes() const {
    return {{.axis = axis::num_channels, .usual = channels},
            {.axis = axis::height, .usual = image, .minimum = patch},
            {.axis = axis::width, .usual = image, .minimum = patch}};
  }

  int64_t channels, image, patch, grid;  // of patches on a side, for which positions were trained
};

/// What goes into the tower of texts.
struct TextSide {
  int64_t vocab, positions;  // ids are below the one, texts no longer than the other
  bool reads_mask = true;
  int64_t segments = 0;  // token_type_ids are below this; 0: the model is given none
};

/// A tower that reads texts.
struct TextTower : Tower {
  TextTower(const Config& c, const TowerDefaults& defaults, int64_t default_vocab, int64_t default_positions)
      : Tower(c, defaults),
        vocab(c.size("vocab_size", default_vocab)),
        positions(c.size("max_position_embeddings", default_positions)) {}

  /// ids: i64[batch, sequence] -> f[batch, sequence, hidden]
  Value embed(const Scope& s, const Value& ids) const {
    s.graph().unused("*" + (s / "position_ids").path());
    const Value table = (s / "position_embedding").weight("weight", {positions, hidden});
    return embedding(s / "token_embedding", ids, {vocab, hidden}) + first_rows(table, size_of(ids, 1));
  }
  struct Reading {
    bool causal = false;
    std::string steps{};
  };
  /// x: f[batch, sequence, hidden] -> the same, normed.
  Value encode(const Scope& model, const Value& x, const Value& mask, const Reading& how) const {
    const auto form = [&](int64_t) { return layer(how.causal); };
    const LayerStack stack{.count = layers, .layer = form, .steps = how.steps};
    return norm(model / "final_layer_norm", transformer_layers(model / "encoder.layers", x, stack, {.mask = mask}),
                {.epsilon = epsilon});
  }

  TextSide side(bool reads_mask) const { return {vocab, positions, reads_mask}; }

  int64_t vocab, positions;
};

/// The config of a tower within that of both. What old configs hold under {key}_dict counts in its place.
/// Source: CLIPConfig, transformers 4.57.
inline Config tower_config(const Config& c, const std::string& key) {
  const std::string older = key + "_dict";
  if (!c.has(older)) return c.section(key);
  c.no_effect({key});  // the older one, filled up with the class's defaults, is put over it
  return c.section(older);
}

/// Every vector at a length of 1: f[..., n] -> the same.
inline Value unit(const Operand& x) {
  return x / x.graph().op("ReduceL2", {x}, {{"axes", {-1}}, {"keepdims", true}});
}

/// What was learnt about how much an angle tells.
struct Contrast {
  Value scale{};        ///< its logarithm, f[] or f[1]
  Value bias{};         ///< absent: none
  Value temperature{};  ///< in place of the scale, what is divided by: f[]
};
/// How well each text and each image fit: images: f[images, n], texts: f[texts, n], of any length.
/// Source: CLIPModel.forward and SiglipModel.forward.
inline Outputs contrast(const Operand& images, const Value& texts, const Contrast& by) {
  const Value image = unit(images), text = unit(texts);
  const Value angles = matmul(text, transpose(image, {1, 0}));
  Value per_text = by.temperature ? angles / by.temperature : angles * exp(by.scale);
  if (by.bias) per_text = per_text + by.bias;
  return {{"logits_per_image", transpose(per_text, {1, 0})},
          {"logits_per_text", per_text},
          {"text_embeds", text},
          {"image_embeds", image}};
}

/// What a tower that stands as "vision_model" makes of images, projected: f[images, projected].
template <class ImageTower>
Value projected_image(Graph& g, const ImageTower& image, const Inputs& in, int64_t projected) {
  const Scope model = g.root() / "vision_model";
  const Value pooled = image.pool(model, image(model, in.at("pixel_values"), "vision_"));
  return linear(g.root() / "visual_projection", pooled, {.out = projected, .bias = false});
}

// Texts and images are not in pairs: there may be more of the ones than of the others.
inline constexpr const char* text_batch = "text_batch";
inline constexpr const char* image_batch = "image_batch";

/// A model of both towers, and with a classifier one of the images alone.
class TwoTowers : public OnnxConfig {
 public:
  using OnnxConfig::OnnxConfig;

  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return is_pair() ? text_side().positions : 0; }
  std::vector<AxisSize> axis_sizes() const override {
    std::vector<AxisSize> sizes = image_sizes();
    sizes.push_back({.axis = text_batch, .usual = 3});
    sizes.push_back({.axis = image_batch, .usual = 2});
    return sizes;
  }

  /// Source: CLIPOnnxConfig, transformers 4.30.
  std::vector<TensorSpec> inputs() const override {
    if (!is_pair()) return image_inputs(axis::batch);
    std::vector<TensorSpec> specs = image_inputs(image_batch);
    specs.insert(specs.begin(), text_ids(text_batch));
    for (TensorSpec& spec : text_marks(text_batch)) specs.push_back(std::move(spec));
    return specs;
  }
  std::vector<OutputSpec> outputs() const override {
    if (!is_pair()) return OnnxConfig::outputs();
    return {{"logits_per_image", {{0, image_batch}, {1, text_batch}}},
            {"logits_per_text", {{0, text_batch}, {1, image_batch}}},
            {"text_embeds", {{0, text_batch}}},
            {"image_embeds", {{0, image_batch}}}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    if (!is_pair()) return {{"logits", classify(g, in)}};
    const Value images = image_vectors(g, in);
    const Value texts = text_vectors(g, text_of(in));
    return contrast(images, texts, contrast_by(g));
  }

  /// The towers apart, as transformers.js loads them.
  std::vector<Part> parts() const override {
    if (!is_pair()) return {};
    std::vector<TensorSpec> text{text_ids(axis::batch)};
    for (TensorSpec& spec : text_marks(axis::batch)) text.push_back(std::move(spec));
    const auto texts = [this](Graph& g, const Inputs& in) -> Outputs {
      return {{"text_embeds", text_vectors(g, text_of(in))}};
    };
    const auto images = [this](Graph& g, const Inputs& in) -> Outputs {
      return {{"image_embeds", image_vectors(g, in)}};
    };
    return {{"text", std::move(text), {{"text_embeds", {{0, axis::batch}}}}, texts},
            {"vision", image_inputs(axis::batch), {{"image_embeds", {{0, axis::batch}}}}, images}};
  }

 protected:
  virtual TextSide text_side() const = 0;
  /// What goes into the tower of images, where the axis of images has this name.
  virtual std::vector<TensorSpec> image_inputs(const char* batch) const {
    return {input::pixels("pixel_values", {batch, axis::num_channels, axis::height, axis::width})};
  }
  virtual std::vector<AxisSize> image_sizes() const = 0;
  /// -> f[images, n]
  virtual Value image_vectors(Graph& g, const Inputs& in) const = 0;
  /// -> f[texts, n]
  virtual Value text_vectors(Graph& g, const Text& text) const = 0;
  virtual Contrast contrast_by(Graph& g) const = 0;
  /// -> f[batch, labels], of image-classification, where the model has that
  virtual Value classify(Graph& g, const Inputs&) const {
    throw Error(ONNXPORT_UNSUPPORTED, "the model type '" + model_type() + "' has no classifier", g.root().path());
  }

  bool is_pair() const { return task() == "default"; }

  TensorSpec text_ids(const char* batch) const {
    return input::ids("input_ids", {batch, axis::sequence}, text_side().vocab);
  }
  /// What goes along with the ids.
  std::vector<TensorSpec> text_marks(const char* batch) const {
    const TextSide side = text_side();
    std::vector<TensorSpec> specs;
    if (side.reads_mask) specs.push_back(input::mask("attention_mask", {batch, axis::sequence}, {.of = "input_ids"}));
    if (side.segments > 0) {
      specs.push_back(
          input::token_types("token_type_ids", {batch, axis::sequence}, {.of = "input_ids", .limit = side.segments}));
    }
    return specs;
  }
  static Text text_of(const Inputs& in) {
    return {in.at("input_ids"), in.maybe("attention_mask"), in.maybe("token_type_ids")};
  }
};

/// Whether the checkpoint's class ends in the vector that both towers share.
inline bool has_projection(const Config& c) {
  for (const std::string& name : c.texts("architectures")) {
    if (name.find("WithProjection") != std::string::npos) return true;
  }
  return false;
}

/// What a tower is called: its module, the layer that takes it into the towers' common space, and the output of that.
struct TowerNames {
  const char *module, *projection, *vectors;
  bool nested = false;  ///< whether the tower's own class holds it below its module in every version
};
inline constexpr TowerNames text_names{"text_model", "text_projection", "text_embeds"};
inline constexpr TowerNames vision_names{"vision_model", "visual_projection", "image_embeds"};
constexpr TowerNames nested(TowerNames names) {
  names.nested = true;
  return names;
}

/// One tower: its states and what it pools, or with a projection the vector that both towers share.
class OneTower : public OnnxConfig {
 public:
  OneTower(const Request& request, const TowerNames& names)
      : OnnxConfig(request),
        names_(names),
        projected_(request.config.size("projection_dim", 512)),
        with_projection_(has_projection(request.config)) {}

  std::string base_model_prefix() const override { return names_.module; }
  double atol_for_validation() const override { return 1e-4; }
  std::vector<OutputSpec> outputs() const override {
    OutputSpec states{"last_hidden_state", {{0, axis::batch}, {1, axis::sequence}}};
    if (with_projection_) return {{names_.vectors, {{0, axis::batch}}}, std::move(states)};
    if (!has_pooler()) return {std::move(states)};
    return {std::move(states), {"pooler_output", {{0, axis::batch}}}};
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    // Checkpoints with a projection hold the tower below a module of its own.
    const Scope model = with_projection_ || names_.nested ? g.root() / names_.module : g.root();
    const Value hidden = encode(model, in);
    if (!has_pooler()) return {{"last_hidden_state", hidden}};
    const Value pooled = pool(model, hidden, in);
    if (!with_projection_) return {{"last_hidden_state", hidden}, {"pooler_output", pooled}};
    return {{names_.vectors, linear(g.root() / names_.projection, pooled, {.out = projected_, .bias = false})},
            {"last_hidden_state", hidden}};
  }

 protected:
  /// -> f[batch, n, hidden]
  virtual Value encode(const Scope& model, const Inputs& in) const = 0;
  /// f[batch, n, hidden] -> f[batch, m]
  virtual Value pool(const Scope& model, const Value& hidden, const Inputs& in) const = 0;
  virtual bool has_pooler() const { return true; }

 private:
  TowerNames names_;
  int64_t projected_;
  bool with_projection_;
};

}  // namespace onnxport::family
