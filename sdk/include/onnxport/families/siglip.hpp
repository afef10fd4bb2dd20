// SPDX-License-Identifier: Apache-2.0
// What SigLIP and SigLIP 2 share: the tower of texts, and how images are pooled. Source: SiglipTextModel and
// SiglipMultiheadAttentionPoolingHead, transformers 4.57 (modeling_siglip.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/families/two_towers.hpp>

namespace onnxport::family {

inline constexpr TowerDefaults siglip_defaults{.activation = "gelu_pytorch_tanh", .epsilon = 1e-6};

/// All tokens of a text see each other, and the last one, which may be padding, is its vector.
struct SiglipTextTower : TextTower {
  explicit SiglipTextTower(const Config& c)
      : TextTower(c, siglip_defaults, 32000, 64), projected(c.size("projection_size", hidden)) {
    c.no_effect({"eos_token_id"});
  }

  /// ids: i64[batch, sequence] -> f[batch, sequence, hidden]
  Value operator()(const Scope& model, const Value& ids, const std::string& steps = {}) const {
    return encode(model, embed(model / "embeddings", ids), {}, {.steps = steps});
  }
  /// f[batch, sequence, hidden] -> f[batch, projected]
  Value pool(const Scope& model, const Value& x) const {
    return linear(model / "head", pick(x, 1, -1), {.out = projected});
  }

  int64_t projected;
};

/// One vector of an image's patches, to which a learnt query attends: x: f[batch, n, hidden], mask: i64[batch, n] or
/// absent -> f[batch, hidden].
inline Value pool_by_probe(const Scope& s, const Value& x, const Tower& tower, const Value& mask = {}) {
  Graph& g = s.graph();
  const int64_t n = tower.hidden;
  const Scope module = s / "attention";
  const Value weight = module.weight("in_proj_weight", {3 * n, n}), bias = module.weight("in_proj_bias", {3 * n});
  const auto projected = [&](int64_t part, const Value& of) {
    const Range rows{0, part * n, (part + 1) * n};
    return module.composite("Linear", {of, slice(weight, rows), slice(bias, rows)});
  };
  const Value query = projected(0, s.weight("probe", {1, 1, n}));
  const Value queries = g.op("Expand", {query, concat({shape_of(x, 0, 1), g.integers({1, 1})}, 0)});
  const Value mixed = attention(queries, projected(1, x), projected(2, x), {.heads = tower.heads, .mask = mask}).mixed;
  const Value h = linear(module / "out_proj", mixed, {.out = n});
  const Value fed = feed_forward(s / "mlp", norm(s / "layernorm", h, {.epsilon = tower.epsilon}), tower.feed_forward());
  return pick(h + fed, 1, 0);
}

/// What a tower makes: f[batch, n, hidden] and the vector that it pools of that.
struct TowerReading {
  Value hidden, pooled;
};

/// Both towers; how images are given and become vectors is the version's own matter. An `Image` has a head (has_head)
/// and knows its sizes().
template <class Image>
class SiglipTowers : public TwoTowers {
 public:
  explicit SiglipTowers(const Request& request)
      : TwoTowers(request),
        image(request.config.section("vision_config")),
        text(request.config.section("text_config")),
        labels(request.config.num_labels()) {
    request.config.no_effect({"initializer_factor"});
    if (is_pair() && !image.has_head) {
      throw Error(ONNXPORT_CONFIG,
                  "config field 'vision_config.vision_use_head' is false; texts and images are compared by that head");
    }
  }

  /// The towers apart, which yield what the classes of one tower do: nothing is projected behind them.
  std::vector<Part> parts() const override {
    std::vector<Part> parts = TwoTowers::parts();
    for (Part& part : parts) {
      part.outputs = {{"last_hidden_state", {{0, axis::batch}, {1, axis::sequence}}},
                      {"pooler_output", {{0, axis::batch}}}};
      part.forward = [this, of_images = part.name == "vision"](Graph& g, const Inputs& in) -> Outputs {
        const TowerReading read = of_images ? read_image(g, in) : read_text(g, text_of(in));
        return {{"last_hidden_state", read.hidden}, {"pooler_output", read.pooled}};
      };
    }
    return parts;
  }

 protected:
  virtual TowerReading read_image(Graph& g, const Inputs& in) const = 0;

  const Image image;
  const SiglipTextTower text;
  const int64_t labels;

 private:
  TextSide text_side() const override { return text.side(false); }
  std::vector<AxisSize> image_sizes() const override { return image.sizes(); }
  TowerReading read_text(Graph& g, const Text& given) const {
    const Scope model = g.root() / "text_model";
    const Value hidden = text(model, given.ids, "text_");
    return {hidden, text.pool(model, hidden)};
  }
  Value text_vectors(Graph& g, const Text& given) const override { return read_text(g, given).pooled; }
  Value image_vectors(Graph& g, const Inputs& in) const override { return read_image(g, in).pooled; }
  Contrast contrast_by(Graph& g) const override {
    return {g.root().weight("logit_scale", {1}), g.root().weight("logit_bias", {1})};
  }
};

/// The tower of texts alone.
class SiglipText final : public OneTower {
 public:
  explicit SiglipText(const Request& request) : OneTower(request, text_names), text(request.config) {}

  int64_t max_positions() const override { return text.positions; }
  std::vector<TensorSpec> inputs() const override {
    return {input::ids("input_ids", {axis::batch, axis::sequence}, text.vocab)};
  }

 private:
  Value encode(const Scope& model, const Inputs& in) const override { return text(model, in.at("input_ids")); }
  Value pool(const Scope& model, const Value& hidden, const Inputs&) const override { return text.pool(model, hidden); }
  const SiglipTextTower text;
};

}  // namespace onnxport::family
