// SPDX-License-Identifier: Apache-2.0
// LayoutLMv3: a page's words, where they stand, and its image, cut into patches. Source: LayoutLMv3Model and its heads,
// transformers 4.30 and 5.24 (modeling_layoutlmv3.py).
#include <onnxport/blocks/boxes.hpp>
#include <onnxport/blocks/stem.hpp>
#include <onnxport/families/bert.hpp>
#include <onnxport/relative_bias.hpp>

using namespace onnxport::family;

namespace {

constexpr int64_t page = 1000;          // along an edge of a page, in the places of boxes
constexpr int64_t longest_side = 1023;  // of a box, whatever the config says

struct LayoutConfig {
  LayoutConfig(const Config& c, int64_t heads)
      : padding(c.integer("pad_token_id", 1)),
        places(c.size("max_2d_position_embeddings", 1024)),
        coordinate(c.size("coordinate_size", 128)),
        shape(c.size("shape_size", 128)),
        relative(c.boolean("has_relative_attention_bias", true)),
        spatial(c.boolean("has_spatial_attention_bias", true)),
        distances{c.size("rel_pos_bins", 32), c.size("max_rel_pos", 128), heads},
        page_distances{c.size("rel_2d_pos_bins", 64), c.size("max_rel_2d_pos", 256), heads},
        has_image(c.boolean("visual_embed", true)),
        image(c.size("input_size", 224)),
        channels(c.size("num_channels", 3)),
        patch(c.size("patch_size", 16)) {
    if (!c.boolean("text_embed", true))
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'text_embed' is false; supported: true, with or without an image");
    c.no_effect({"classifier_dropout", "input_size", "num_channels", "patch_size"});
  }
  int64_t grid() const { return image / patch; }

  int64_t padding, places, coordinate, shape;
  bool relative, spatial;
  RelativeBias distances, page_distances;
  bool has_image;
  int64_t image, channels, patch;
};

class LayoutLMv3OnnxConfig final : public TextEncoder {
 public:
  explicit LayoutLMv3OnnxConfig(const Request& request)
      : TextEncoder(request),
        bert(request.config, {.vocab = 50265, .epsilon = 1e-5, .relative = false}),
        c(request.config, bert.heads) {
    require_equal({"4 · coordinate_size + 2 · shape_size", 4 * c.coordinate + 2 * c.shape},
                  {"hidden_size", bert.hidden});
  }

  // Behind the words stand the image's patches.
  std::vector<OutputSpec> outputs() const override {
    std::vector<OutputSpec> specs = TextEncoder::outputs();
    if (c.has_image && (task() == "default" || task() == "question-answering"))
      for (OutputSpec& spec : specs) spec.axes[1] = "text_and_image";
    return specs;
  }

 private:
  TextEncoderTraits traits() const override {
    return {.base = "layoutlmv3",
            .vocab = bert.vocab,
            .pooler = false,
            .max_positions = bert.max_positions - 1 - c.padding};
  }

  // An image of another size than the model was trained for has no positions.
  std::vector<TensorSpec> further_inputs(const std::vector<Dim>& tokens) const override {
    std::vector<Dim> shape = tokens;
    shape.emplace_back(4);
    std::vector<TensorSpec> specs{input::boxes("bbox", shape, {.of = "input_ids", .limit = c.places})};
    if (c.has_image) {
      specs.push_back(
          input::pixels("pixel_values", {tokens[0], Dim::open(c.channels, axis::num_channels),
                                         Dim::open(c.image, axis::height), Dim::open(c.image, axis::width)}));
    }
    return specs;
  }

  Value encode(const Scope& s, const Text& text) const override {
    const Value boxes = text.further.at("bbox");
    Value x = embed(s / "embeddings", text.ids, boxes);
    Attended given{.mask = text.mask};
    Value places = range(size_of(text.ids, 1)), all_boxes = boxes;
    if (c.has_image) {
      Graph& g = s.graph();
      const Value image = embed_image(s, text.further.at("pixel_values"));
      const int64_t count = image.fixed(1);
      const Value of_each = concat({shape_of(text.ids, 0, 1), g.integers({1})}, 0);
      const Value seen =
          g.constant<int64_t>(DType::i64, {1, count}, std::vector<int64_t>(static_cast<size_t>(count), 1));
      given.mask = concat({text.mask, g.op("Expand", {seen, of_each})}, 1);
      places = concat({places, range(g.integer(count))}, 0);
      const Value of_each_box = concat({of_each, g.integers({1})}, 0);
      all_boxes = concat({boxes, g.op("Expand", {boxes_of_patches(g), of_each_box})}, 1);
      x = norm(s / "LayerNorm", concat({x, image}, 1), {.epsilon = bert.epsilon});
    }
    if (c.relative) given.bias = bias(s / "encoder", places, all_boxes);
    s.graph().unused((s / "encoder.rel_pos_*").path());
    return bert.encode(s / "encoder", x, BertEncoder::Layers{bert.layer(), given});
  }

  Value embed(const Scope& s, const Value& ids, const Value& boxes) const {
    const BoxTables tables{.places = c.places, .edge_width = c.coordinate, .width = c.shape, .longest = longest_side};
    return bert.embed(s, {.ids = ids,
                          .positions = positions_past_padding(ids, c.padding),
                          .further = {concat(box_embeddings(s, boxes, tables), -1)}});
  }

  Value embed_image(const Scope& s, const Value& pixels) const {
    const Patches patches = patch_stem(s, pixels,
                                       {.width = bert.hidden,
                                        .patch = c.patch,
                                        .channels = c.channels,
                                        .projection = "patch_embed.proj",
                                        .first_tokens = {"cls_token"}});
    const Value positions = s.weight("pos_embed", {1, 1 + c.grid() * c.grid(), bert.hidden});
    return norm(s / "norm", patches.tokens + positions, {.epsilon = 1e-6});
  }

  // The whole page, then each patch: i64[1, 1 + patches, 4].
  Value boxes_of_patches(Graph& g) const {
    const int64_t n = c.grid();
    std::vector<int64_t> all{1, 1, page - 1, page - 1};
    for (int64_t row = 0; row < n; ++row)
      for (int64_t column = 0; column < n; ++column)
        for (const int64_t edge : {column, row, column + 1, row + 1}) all.push_back(edge * page / n);
    return g.constant<int64_t>(DType::i64, {1, 1 + n * n, 4}, all);
  }

  /// places: i64[n], boxes: i64[batch, n, 4] -> f32[batch or 1, heads, n, n], added to scores.
  Value bias(const Scope& s, const Value& places, const Value& boxes) const {
    const auto table = [&](const char* name, const RelativeBias& form) {
      return (s / name).weight("weight", {bert.heads, form.buckets}) /
             std::sqrt(static_cast<double>(bert.hidden / bert.heads));
    };
    const Value apart = unsqueeze(places, {0}) - unsqueeze(places, {1});
    const Value in_text = bias_of_distances(table("rel_pos_bias", c.distances), apart.in(s), c.distances,
                                            {"rel_pos_bins", "max_rel_pos"});
    if (!c.spatial) return unsqueeze(in_text, {0});
    const auto on_page = [&](const char* name, int64_t edge) {
      const Value at = pick(boxes, 2, edge);  // i64[batch, n]
      return bias_of_distances(table(name, c.page_distances), (unsqueeze(at, {1}) - unsqueeze(at, {2})).in(s),
                               c.page_distances, {"rel_2d_pos_bins", "max_rel_2d_pos"});
    };
    // By the left edges and the lower ones.
    const Value both = on_page("rel_pos_x_bias", 0) + on_page("rel_pos_y_bias", 3) + unsqueeze(in_text, {1});
    return transpose(both, {1, 0, 2, 3});
  }

  TextHeads text_heads() const override {
    const auto classified = [this](const Scope& head, const Value& x) {
      return text_classifier(head, x, bert.hidden, labels());
    };
    const auto token_classes = [this, classified](const Encoded& at) {
      const Scope head = at.base.graph().root() / "classifier";
      const Value words = first_places(at.hidden, size_of(at.in.at("input_ids"), 1));
      // Few classes are told by a layer alone.
      return labels() < 10 ? linear(head, words, {.out = labels()}) : classified(head, words);
    };
    const auto answer = [classified](const Encoded& at) -> Outputs {
      const std::vector<Value> ends = split(classified(at.base.graph().root() / "qa_outputs", at.hidden), -1, {1, 1});
      return {{"start_logits", squeeze(ends[0], {-1})}, {"end_logits", squeeze(ends[1], {-1})}};
    };
    return {.classes =
                [classified](const Encoded& at) {
                  return classified(at.base.graph().root() / "classifier", pick(at.hidden, 1, 0));
                },
            .own = {head::logits("token-classification", token_classes), {"question-answering", answer}}};
  }

  /// x[:, :length]
  static Value first_places(const Value& x, const Value& length) {
    Graph& g = x.graph();
    return g.op("Slice", {x, g.integers({0}), unsqueeze(length, {0})}, {{"axes", {1}}});
  }

  const BertEncoder bert;
  const LayoutConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.layoutlmv3",
    .name = "LayoutLMv3",
    .models = {{.types = {"layoutlmv3"},
                .features = {"default", "sequence-classification", "token-classification", "question-answering"},
                .make = make<LayoutLMv3OnnxConfig>}},
})
