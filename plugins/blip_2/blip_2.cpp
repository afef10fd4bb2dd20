// SPDX-License-Identifier: Apache-2.0
// BLIP-2: an image through BLIP's tower and a Q-Former, and a decoder of any type that tells of it; how well images and
// texts fit. Source: Blip2ForConditionalGeneration, Blip2ForImageTextRetrieval, its halves with a projection,
// Blip2VisionModel and Blip2QFormerModel, transformers 4.57 and 5.24 (modeling_blip_2.py).
#include <algorithm>

#include <onnxport/families/blip.hpp>
#include <onnxport/vision_language.hpp>

#include "q_former.hpp"

using namespace onnxport::family;

namespace {

constexpr BlipImageDefaults images_of_blip_2{
    .tower = {.hidden = 1408, .inner = 6144, .layers = 39, .heads = 16, .activation = "gelu", .epsilon = 1e-6},
    .patch = 14,
    .image = 224,
    .may_lack_bias = true};

/// Modules that the original leaves in f32.
const std::vector<std::string> in_fp32{"query_tokens", "qformer"};

/// The image's half: the tower, and the queries that gather what the tower yields.
struct Eyes {
  explicit Eyes(const Config& c)
      : tower(c.section("vision_config"), images_of_blip_2),
        former(c.section("qformer_config")),
        queries(c.size("num_query_tokens", 32)) {
    c.no_effect(
        {"initializer_factor", "image_text_hidden_size", "use_decoder_only_language_model", "is_encoder_decoder"});
  }

  /// pixels: f[images, channels, height, width] -> f[images, queries, hidden]
  Value operator()(const Scope& s, const Value& pixels) const {
    const Value seen = tower(s / "vision_model", pixels, "vision_");
    const Value own = s.weight("query_tokens", {1, queries, former.hidden});
    Graph& g = s.graph();
    const Value each = g.op("Expand", {own, concat({shape_of(seen, 0, 1), g.integers({1, 1})}, 0)});
    return former.ask(s / "qformer", each, seen);
  }

  BlipImageTower tower;
  QFormer former;
  int64_t queries;
};

class Blip2Teller final : public VisionLanguage {
 public:
  explicit Blip2Teller(const Request& request)
      : VisionLanguage(request, {.config = request.config.section("text_config"),
                                 .model_type = request.config.section("text_config").has("model_type") ? "" : "opt",
                                 .image_token = image_token(request.config),
                                 .prefixes = {{"", "language_model."},
                                              {"lm_head.weight", "language_model.model.decoder.embed_tokens.weight"}}}),
        eyes(request.config),
        text_width(request.config.section("text_config").size("hidden_size", 768)) {}

  std::vector<AxisSize> axis_sizes() const override {
    std::vector<AxisSize> sizes = eyes.tower.sizes();
    sizes.push_back({.axis = images, .usual = 2});
    return sizes;
  }
  std::vector<std::string> keep_in_fp32() const override { return in_fp32; }

 private:
  static int64_t image_token(const Config& c) {
    const Config named = c.with_names(image_token_names);
    if (named.has("image_token_index")) return named.count("image_token_index", 0);
    throw Error(ONNXPORT_CONFIG,
                "config field 'image_token_index' is missing: expected the token in whose places an image's vectors "
                "stand; checkpoints of before transformers 4.46 are brought up to date by their processor");
  }

  int64_t vectors_of(const std::map<std::string, int64_t>& sizes) const override {
    return length(sizes, images) * eyes.queries;
  }
  std::vector<Value> see(Graph& g, const Inputs& in) const override {
    eyes.former.skip_text(g.root() / "qformer");
    return {linear(g.root() / "language_projection", eyes(g.root(), in.at("pixel_values")), {.out = text_width})};
  }

  const Eyes eyes;
  const int64_t text_width;
};

/// Images and texts in a space where they are compared: each query of an image has a vector, and each token of a text.
struct Retrieval {
  explicit Retrieval(const Config& c)
      : eyes(c),
        projected(c.size("image_text_hidden_size", 256)),
        marks_image(c.with_names(image_token_names).has("image_token_index")) {}

  /// f[images, channels, height, width] -> f[images, queries, projected]
  Value image_vectors(const Scope& root, const Value& pixels) const {
    return unit(linear(root / "vision_projection", eyes(root, pixels), {.out = projected}));
  }
  /// What the Q-Former makes of texts: f[texts, sequence, hidden].
  Value read(const Scope& root, const Value& ids, const Value& mask) const {
    return eyes.former.read(root / "qformer", eyes.former.embed(root / "embeddings", ids), mask);
  }
  Value text_vectors(const Scope& root, const Value& read) const {
    return unit(linear(root / "text_projection", read, {.out = projected}));
  }
  // Where a token marks an image's places, these stand before the text, and are not read here.
  Value behind_image(const Value& x) const { return marks_image ? slice(x, {1, eyes.queries}) : x; }

  Eyes eyes;
  int64_t projected;
  bool marks_image;
};

/// The first token of each text against the best query of each image.
class Blip2Retrieval final : public OnnxConfig {
 public:
  explicit Blip2Retrieval(const Request& request) : OnnxConfig(request), model(request.config) {}

  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return model.eyes.former.positions; }
  std::vector<std::string> keep_in_fp32() const override { return in_fp32; }
  std::vector<AxisSize> axis_sizes() const override {
    std::vector<AxisSize> sizes = model.eyes.tower.sizes();
    sizes.push_back({.axis = text_batch, .usual = 3});
    sizes.push_back({.axis = image_batch, .usual = 2});
    return sizes;
  }
  std::vector<TensorSpec> inputs() const override {
    return {input::ids("input_ids", {text_batch, axis::sequence}, model.eyes.former.vocab),
            input::pixels("pixel_values", {image_batch, axis::num_channels, axis::height, axis::width}),
            input::mask("attention_mask", {text_batch, axis::sequence}, {.of = "input_ids"})};
  }
  std::vector<OutputSpec> outputs() const override {
    return {{"logits_per_image", {{0, image_batch}, {1, text_batch}}},
            {"logits_per_text", {{0, text_batch}, {1, image_batch}}},
            {"text_embeds", {{0, text_batch}}},
            {"image_embeds", {{0, image_batch}}}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope root = g.root();
    g.unused("itm_head.*");  // of a text that is read beside the image
    const Value seen = model.image_vectors(root, in.at("pixel_values"));
    const Value read =
        model.read(root, model.behind_image(in.at("input_ids")), model.behind_image(in.at("attention_mask")));
    const Value text = model.text_vectors(root, pick(read, 1, 0));
    const Value per_image = largest(matmul(seen, transpose(text, {1, 0})), {1});
    return {{"logits_per_image", per_image},
            {"logits_per_text", transpose(per_image, {1, 0})},
            {"text_embeds", text},
            {"image_embeds", seen}};
  }

 private:
  const Retrieval model;
};

/// One half of the retrieval, as the checkpoint's class says.
class Blip2Half final : public OnnxConfig {
 public:
  explicit Blip2Half(const Request& request) : OnnxConfig(request), model(request.config) {
    const std::vector<std::string> classes = request.config.texts("architectures");
    reads_ = std::find(classes.begin(), classes.end(), "Blip2TextModelWithProjection") != classes.end();
  }

  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return reads_ ? model.eyes.former.positions : 0; }
  std::vector<std::string> keep_in_fp32() const override { return in_fp32; }
  std::vector<AxisSize> axis_sizes() const override { return model.eyes.tower.sizes(); }
  std::vector<TensorSpec> inputs() const override {
    if (!reads_) return {pixel_values()};
    return {input::ids("input_ids", {axis::batch, axis::sequence}, model.eyes.former.vocab),
            input::mask("attention_mask", {axis::batch, axis::sequence}, {.of = "input_ids"})};
  }
  std::vector<OutputSpec> outputs() const override {
    if (!reads_) return {{"image_embeds", {{0, axis::batch}}}};
    return {{"text_embeds", {{0, axis::batch}, {1, axis::sequence}}},
            {"last_hidden_state", {{0, axis::batch}, {1, axis::sequence}}}};
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope former = g.root() / "qformer";
    if (!reads_) {
      model.eyes.former.skip_text(former);
      return {{"image_embeds", model.image_vectors(g.root(), in.at("pixel_values"))}};
    }
    g.unused("query_tokens");
    model.eyes.former.skip_queries(former);
    const Value read = model.read(g.root(), in.at("input_ids"), in.at("attention_mask"));
    return {{"text_embeds", model.text_vectors(g.root(), read)}, {"last_hidden_state", read}};
  }

 private:
  const Retrieval model;
  bool reads_;
};

class Blip2Vision final : public BlipVision {
 public:
  explicit Blip2Vision(const Request& request) : BlipVision(request, images_of_blip_2) {}
};

class Blip2QFormer final : public OnnxConfig {
 public:
  explicit Blip2QFormer(const Request& request)
      : OnnxConfig(request), former(request.config), seen(request.config.size("encoder_hidden_size", 1408)) {}

  double atol_for_validation() const override { return 1e-4; }
  std::vector<AxisSize> axis_sizes() const override { return {{.axis = queries, .usual = 4}}; }
  std::vector<TensorSpec> inputs() const override {
    return {input::embeddings("query_embeds", {axis::batch, queries, former.hidden}),
            input::embeddings("encoder_hidden_states", {axis::batch, axis::encoder_sequence, seen})};
  }
  std::vector<OutputSpec> outputs() const override {
    return {{"last_hidden_state", {{0, axis::batch}, {1, queries}}}, {"pooler_output", {{0, axis::batch}}}};
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    former.skip_text(g.root());
    const Value hidden = former.ask(g.root(), in.at("query_embeds"), in.at("encoder_hidden_states"));
    return {{"last_hidden_state", hidden}, {"pooler_output", pick(hidden, 1, 0)}};
  }

 private:
  static constexpr const char* queries = "queries";
  const QFormer former;
  const int64_t seen;
};

std::unique_ptr<OnnxConfig> make_blip_2(const Request& request) {
  if (request.feature == "image-text-retrieval") return make<Blip2Retrieval>(request);
  if (request.feature == "default") return make<Blip2Half>(request);
  return make<Blip2Teller>(request);
}

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.blip_2",
    .name = "BLIP-2",
    .models = {{.types = {"blip-2"},
                .features = {"default", "vision2seq-lm", "vision2seq-lm-with-past", "image-text-retrieval"},
                .architectures = {{"Blip2Model", "vision2seq-lm"},
                                  {"Blip2ForConditionalGeneration", "vision2seq-lm"},
                                  {"Blip2ForImageTextRetrieval", "image-text-retrieval"},
                                  {"Blip2VisionModelWithProjection", "default"},
                                  {"Blip2TextModelWithProjection", "default"}},
                .make = make_blip_2},
               {.types = {"blip_2_vision_model"}, .features = {"default"}, .make = make<Blip2Vision>},
               {.types = {"blip_2_qformer"}, .features = {"default"}, .make = make<Blip2QFormer>}},
    .abi_minor_needed = 4,
})
