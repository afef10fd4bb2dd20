// SPDX-License-Identifier: Apache-2.0
// The towers of CLIP, which its successors kept. Source: CLIPVisionModel and CLIPTextModel, transformers 4.57
// (modeling_clip.py), and 4.30 for where a text's vector is read.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/families/two_towers.hpp>

namespace onnxport::family {

/// Where a config class departs from CLIP's.
struct ClipImageDefaults {
  TowerDefaults tower{};
  int64_t patch = 32, image = 224;
  const char* first_norm = "pre_layrnorm";  ///< the name of the norm before the layers
};
struct ClipTextDefaults {
  TowerDefaults tower{.hidden = 512, .inner = 2048, .heads = 8};
  int64_t vocab = 49408, positions = 77, end = 49407;
  /// When the highest token of a text is its end, whatever eos_token_id says; early configs meant that by a 2.
  enum class Highest { never, by_2, always } highest = Highest::by_2;
};

struct ClipImageTower : ImageTower {
  explicit ClipImageTower(const Config& c, const ClipImageDefaults& defaults = {})
      : ImageTower(c, defaults.tower, defaults.patch, defaults.image), first_norm(defaults.first_norm) {}

  /// What the layers read of images f[batch, channels, height, width].
  Patches embed(const Scope& model, const Value& pixels) const {
    const Scope s = model / "embeddings";
    model.graph().unused("*" + (s / "position_ids").path());
    Patches patches = patch_stem(s, pixels,
                                 {.width = hidden,
                                  .patch = patch,
                                  .channels = channels,
                                  .projection = "patch_embedding",
                                  .bias = false,
                                  .first_tokens = {"class_embedding"},
                                  .positions = "position_embedding.weight",
                                  .grid = grid,
                                  .flat = true});
    patches.tokens = norm(model / first_norm, patches.tokens, {.epsilon = epsilon});
    return patches;
  }
  /// pixels: f[batch, channels, height, width] -> f[batch, 1 + patches, hidden]
  Value operator()(const Scope& model, const Value& pixels, const std::string& steps = {}) const {
    return encode(model, embed(model, pixels).tokens, steps);
  }
  /// The class token, normed: f[batch, 1 + patches, hidden] -> f[batch, hidden].
  Value pool(const Scope& model, const Value& x) const {
    return norm(model / "post_layernorm", pick(x, 1, 0), {.epsilon = epsilon});
  }

  std::string first_norm;
};

struct ClipTextTower : TextTower {
  explicit ClipTextTower(const Config& c, const ClipTextDefaults& defaults = {})
      : TextTower(c, defaults.tower, defaults.vocab, defaults.positions),
        ends(c.has("eos_token_id") ? c.ids("eos_token_id") : std::vector<int64_t>{defaults.end}) {
    using Highest = ClipTextDefaults::Highest;
    at_highest = defaults.highest == Highest::always ||
                 (defaults.highest == Highest::by_2 && (ends == std::vector<int64_t>{2} || c.written_before(4, 31)));
    if (!at_highest && ends.size() != 1) {
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'eos_token_id' lists " + std::to_string(ends.size()) +
                                            " tokens; a text's vector is read at the first place of one");
    }
  }

  /// -> f[batch, sequence, hidden]
  Value operator()(const Scope& model, const Text& text, const std::string& steps = {}) const {
    const Value x = embed(model / "embeddings", text.ids);
    return encode(model, x, text.mask, {.causal = true, .steps = steps});
  }
  /// What stands at the end of each text: f[batch, sequence, hidden] -> f[batch, hidden].
  Value pool(const Value& x, const Value& ids) const {
    const Value marks = cast(at_highest ? ids : equal(ids, ends[0]), DType::i32);
    return row_at(x, x.graph().op("ArgMax", {marks}, {{"axis", 1}, {"keepdims", true}}));
  }

  std::vector<int64_t> ends;
  bool at_highest;  ///< the end is where the highest id is first
};

/// Both towers, each with a projection into the space where their vectors are compared.
class ClipTowers : public TwoTowers {
 public:
  ClipTowers(const Request& request, const ClipImageDefaults& of_images, const ClipTextDefaults& of_texts)
      : TwoTowers(request),
        image(tower_config(request.config, "vision_config"), of_images),
        text(tower_config(request.config, "text_config"), of_texts),
        projected(request.config.size("projection_dim", 512)) {
    request.config.no_effect({"logit_scale_init_value", "initializer_factor"});
  }

 protected:
  /// Where both towers lie: the root, or with a head of the model's own a module.
  virtual Scope towers(Graph& g) const { return g.root(); }
  /// What a tower yields as a vector of the common space: f[batch, 1 + patches, hidden] -> f[batch, projected].
  Value project_image(const Scope& model, const Value& x) const {
    return linear(model.parent() / "visual_projection", image.pool(model, x), {.out = projected, .bias = false});
  }

  Value text_vectors(Graph& g, const Text& given) const override {
    const Value pooled = text.pool(text(towers(g) / "text_model", given, "text_"), given.ids);
    return linear(towers(g) / "text_projection", pooled, {.out = projected, .bias = false});
  }

  const ClipImageTower image;
  const ClipTextTower text;
  const int64_t projected;

 private:
  TextSide text_side() const override { return text.side(true); }
  std::vector<AxisSize> image_sizes() const override { return image.sizes(); }

  Value image_vectors(Graph& g, const Inputs& in) const override {
    const Scope model = towers(g) / "vision_model";
    return project_image(model, image(model, in.at("pixel_values"), "vision_"));
  }
  Contrast contrast_by(Graph& g) const override { return {g.root().weight("logit_scale", {})}; }
};

/// The tower of images alone.
class ClipVision : public OneTower {
 public:
  explicit ClipVision(const Request& request, const ClipImageDefaults& defaults = {},
                      const TowerNames& names = vision_names)
      : OneTower(request, names), image(request.config, defaults) {}

  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }

 private:
  Value encode(const Scope& model, const Inputs& in) const override { return image(model, in.at("pixel_values")); }
  Value pool(const Scope& model, const Value& hidden, const Inputs&) const override {
    return image.pool(model, hidden);
  }
  const ClipImageTower image;
};

/// The tower of texts alone.
class ClipText : public OneTower {
 public:
  explicit ClipText(const Request& request, const ClipTextDefaults& defaults = {}, const TowerNames& names = text_names)
      : OneTower(request, names), text(request.config, defaults) {}

  int64_t max_positions() const override { return text.positions; }
  std::vector<TensorSpec> inputs() const override {
    return {input::ids("input_ids", {axis::batch, axis::sequence}, text.vocab),
            input::mask("attention_mask", {axis::batch, axis::sequence}, {.of = "input_ids"})};
  }

 private:
  Value encode(const Scope& model, const Inputs& in) const override {
    return text(model, {in.at("input_ids"), in.at("attention_mask")});
  }
  Value pool(const Scope&, const Value& hidden, const Inputs& in) const override {
    return text.pool(hidden, in.at("input_ids"));
  }
  const ClipTextTower text;
};

}  // namespace onnxport::family
