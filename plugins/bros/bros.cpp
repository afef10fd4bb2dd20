// SPDX-License-Identifier: Apache-2.0
// BROS: BERT whose attention knows how far apart two tokens' boxes are. Source: BrosModel and its heads, transformers
// 4.57 and 5.24 (modeling_bros.py).
#include <limits>

#include <onnxport/families/bert.hpp>
#include <onnxport/resampling.hpp>

using namespace onnxport::family;

namespace {

constexpr const char* numbers = "coordinates";  // of a box: two corners, or all four

struct BrosConfig {
  BrosConfig(const Config& c, const BertEncoder& bert)
      : sides(c.size("dim_bbox", 8)),
        scale(c.real("bbox_scale", 100.0)),
        relations(c.size("n_relations", 1)),
        frequencies(bert.hidden / 4 / sides / 2) {
    if (8 * sides * frequencies != bert.hidden || sides > 8) {
      throw Error(ONNXPORT_CONFIG, "config field 'hidden_size' is " + std::to_string(bert.hidden) +
                                       ", which leaves a box's " + std::to_string(sides) +
                                       " numbers (dim_bbox) no whole number of waves; expected a multiple of 8 · "
                                       "dim_bbox, and a dim_bbox of at most 8");
    }
    c.no_effect({"dim_bbox_projection", "dim_bbox_sinusoid_emb_1d", "dim_bbox_sinusoid_emb_2d"});  // follow from others
    const std::vector<std::string> classes = c.texts("architectures");
    if (!classes.empty()) architecture = classes[0];
  }
  int64_t sides;
  double scale;
  int64_t relations;
  int64_t frequencies;  // of each number
  std::string architecture;
};

class BrosOnnxConfig final : public BertTextEncoder {
 public:
  explicit BrosOnnxConfig(const Request& request)
      : BertTextEncoder(request, "bros"),
        c(request.config, bert),
        causal(bert.is_decoder && !request.config.written_since(5, 0)) {}

  std::vector<AxisSize> axis_sizes() const override {
    return {{.axis = numbers, .usual = 8, .minimum = 4, .maximum = 8, .step = 4}};
  }

  std::vector<OutputSpec> outputs() const override {
    if (task() != "token-classification") return BertTextEncoder::outputs();
    const std::map<int, std::string> tokens{{0, axis::batch}, {1, axis::sequence}};
    if (c.architecture == extracts) return {{"initial_token_logits", tokens}, {"subsequent_token_logits", pairs()}};
    if (c.architecture == links) return {{"logits", pairs()}};
    return BertTextEncoder::outputs();
  }

 private:
  static constexpr const char *extracts = "BrosSpadeEEForTokenClassification",
                              *links = "BrosSpadeELForTokenClassification";

  // The axes of a token and the one that it is joined to, or to none.
  std::map<int, std::string> pairs() const {
    if (c.relations > 1) return {{1, axis::batch}, {2, axis::sequence}, {3, "sequence + 1"}};
    return {{0, axis::batch}, {1, axis::sequence}, {2, "sequence + 1"}};
  }

  std::vector<TensorSpec> further_inputs(const std::vector<Dim>& tokens) const override {
    std::vector<Dim> shape = tokens;
    shape.emplace_back(numbers);
    return {input::features("bbox", shape, {0, 1})};
  }

  Value encode(const Scope& s, const Text& text) const override {
    const Scope boxes = s / "bbox_embeddings";
    s.graph().unused("*.inv_freq");
    const Waves waves = waves_of(boxes, corners(text.further.at("bbox")));
    const Value projection =
        (boxes / "bbox_projection").weight("weight", {bert.hidden / bert.heads, 2 * c.sides * c.frequencies});
    TransformerLayer layer = bert.layer();
    layer.attention.causal = causal;
    layer.attention.scale = 1 / std::sqrt(static_cast<double>(layer.attention.head_size));
    layer.own_attention = [&](const Scope& module, const Value& x, const Attended& given) {
      const QueryKeyValue made = project(module, x, layer.attention);
      Attended with_distances = given;
      if (bert.relative)
        with_distances.bias = bert.relative(module / "self", made.query, made.key) * layer.attention.scale;
      const Value mixed = mix(module, with_boxes(made, projection, waves), layer.attention, with_distances);
      return linear(module / "output.dense", mixed, {.out = bert.hidden});
    };
    return bert.encode(s / "encoder", embed(s / "embeddings", text), {layer, {.mask = text.mask}});
  }

  // Two corners are made four: f[batch, n, 4 or 8] -> f[batch, n, sides].
  Value corners(const Value& box) const {
    Graph& g = box.graph();
    const auto first = [&](std::vector<int64_t> places) {
      places.resize(static_cast<size_t>(c.sides));
      return g.integers(places);
    };
    const Value two = equal(size_of(box, -1), 4);
    return gather(box, where(two, first({0, 1, 2, 1, 2, 3, 0, 3}), first({0, 1, 2, 3, 4, 5, 6, 7})), -1);
  }

  /// Sines and cosines of a box's numbers: f[batch, 1, n, sides·frequencies].
  struct Waves {
    Value sine, cosine;
  };
  Waves waves_of(const Scope& s, const Value& box) const {
    Graph& g = s.graph();
    std::vector<float> frequencies;
    for (int64_t i = 0; i < c.frequencies; ++i)
      frequencies.push_back(
          static_cast<float>(std::pow(1e4, -static_cast<double>(i) / static_cast<double>(c.frequencies))));
    const Value turns = unsqueeze(box.in(s)*c.scale, {3}) * g.constant(DType::f32, {c.frequencies}, frequencies);
    const Value flat = unsqueeze(reshape(turns, {0, 0, c.sides * c.frequencies}), {1});
    return {g.op("Sin", {flat}), g.op("Cos", {flat})};
  }

  // The reference projects sines and cosines of all differences between boxes and multiplies them with the queries.
  // By the sums of angles, that is the query, projected back and turned by its own box, times the waves of the key's
  // box: further dimensions of every head.
  QueryKeyValue with_boxes(const QueryKeyValue& made, const Value& projection, const Waves& waves) const {
    const Value query = split_heads(made.query, bert.heads), key = split_heads(made.key, bert.heads);
    const std::vector<Value> parts = split(reshape(matmul(query, projection), {0, 0, 0, c.sides, 2 * c.frequencies}),
                                           -1, {c.frequencies, c.frequencies});
    const auto flat = [&](const Value& x) { return reshape(x, {0, 0, 0, c.sides * c.frequencies}); };
    const Value sine = flat(parts[0]), cosine = flat(parts[1]);
    const Value to_sine = sine * waves.cosine + cosine * waves.sine;
    const Value to_cosine = cosine * waves.cosine - sine * waves.sine;
    const auto for_all = [&](const Value& x) { return expand(x, {1, bert.heads, 1, 1}); };
    return {concat({query, to_sine, to_cosine}, -1), concat({key, for_all(waves.sine), for_all(waves.cosine)}, -1),
            split_heads(made.value, bert.heads)};
  }

  TextHeads text_heads() const override {
    const auto head = [](std::function<Outputs(const Encoded&)> outputs) {
      return TextHeads{.own = {{"token-classification", std::move(outputs)}}};
    };
    if (c.architecture == extracts) return head([this](const Encoded& at) { return extract(at); });
    if (c.architecture == links) {
      return head([this](const Encoded& at) -> Outputs { return {{"logits", relate(at, "entity_linker")}}; });
    }
    return {};
  }

  // Which tokens an entity begins with, and which token follows each.
  Outputs extract(const Encoded& at) const {
    Graph& g = at.base.graph();
    const Scope initial = g.root() / "initial_token_classifier";
    const Value first =
        linear(initial / "3", linear(initial / "1", at.hidden, {.out = bert.hidden}), {.out = labels()});
    const Value next = relate(at, "subsequent_token_classifier");
    // Not a token that is padding, nor itself; the place behind all, for none, stays.
    const Value n = size_of(at.hidden, 1), behind = n + g.integer(1);
    const Value padding = equal(pad(at.mask, {{1, 0, 1}}, {.value = 1}), 0);
    const Value itself = equal(unsqueeze(range(n), {1}), unsqueeze(range(behind), {0}));
    const Value never = g.op("Or", {unsqueeze(padding, {1}), itself});
    const Value lowest = g.scalar(static_cast<double>(std::numeric_limits<float>::lowest()), next.dtype());
    return {{"initial_token_logits", first}, {"subsequent_token_logits", where(never, lowest, next)}};
  }

  // Scores of every token with every other and with none: f[batch, n, n + 1], behind an axis of relations where there
  // are several.
  Value relate(const Encoded& at, const char* name) const {
    const Scope s = at.base.graph().root() / name;
    const int64_t out = c.relations * bert.hidden;
    Graph& g = s.graph();
    const Value none = s.weight("dummy_node", {1, bert.hidden});
    const Value each = g.op("Expand", {none, concat({shape_of(at.hidden, 0, 1), g.integers({1, 1})}, 0)});
    const Value keys = concat({at.hidden, each}, 1);
    const auto apart = [&](const Value& x, const std::vector<int64_t>& order) {
      return transpose(reshape(x, {0, 0, c.relations, bert.hidden}), order);
    };
    const Value query = apart(linear(s / "query", at.hidden, {.out = out}), {2, 0, 1, 3});
    const Value key = apart(linear(s / "key", keys, {.out = out}), {2, 0, 3, 1});
    const Value scores = matmul(query, key);
    return c.relations == 1 ? squeeze(scores, {0}) : scores;
  }

  const BrosConfig c;
  const bool causal;  // a decoder was, before version 5
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.bros",
    .name = "BROS",
    .models = {{.types = {"bros"}, .features = {"default", "token-classification"}, .make = make<BrosOnnxConfig>}},
})
