// SPDX-License-Identifier: Apache-2.0
// LUKE: RoBERTa that takes entities beside words, which see and are seen in ways of their own. Source: LukeModel and
// its heads, transformers 5.24 (modeling_luke.py).
#include <onnxport/families/roberta.hpp>

using namespace onnxport::family;

namespace {

constexpr const char* of_entity = "entity-classification";
constexpr const char* of_pair = "entity-pair-classification";
constexpr const char* of_spans = "entity-span-classification";
constexpr const char* entity_axis = "entity";
constexpr const char* mention_axis = "mention";

class LukeOnnxConfig final : public RobertaTextEncoder {
 public:
  explicit LukeOnnxConfig(const Request& request)
      : RobertaTextEncoder(request, {.base = "luke"}, {.vocab = 50267, .relative = false}),
        entities(request.config.size("entity_vocab_size", 500000)),
        entity_width(request.config.size("entity_emb_size", 256)),
        aware(request.config.boolean("use_entity_aware_attention", true)) {
    request.config.no_effect({"classifier_dropout", "cls_entity_prediction"});
  }

  std::vector<OutputSpec> outputs() const override {
    if (task() == of_spans) return {{"logits", {{0, axis::batch}, {1, entity_axis}}}};
    if (has_entities()) return {{"logits", {{0, axis::batch}}}};
    return RobertaTextEncoder::outputs();
  }

  std::vector<AxisSize> axis_sizes() const override {
    if (!has_entities()) return RobertaTextEncoder::axis_sizes();
    return {{.axis = entity_axis, .usual = 3, .minimum = task() == of_pair ? 2 : 1},
            {.axis = mention_axis, .usual = 4, .minimum = 1}};
  }

  // An entity's tokens lie within the text, and those behind its last one are -1.
  std::vector<DummyTensor> generate_dummy_inputs(const DummyRequest& asked) const override {
    if (!has_entities()) return {};
    const int64_t batch = asked.sizes.at(axis::batch), count = asked.sizes.at(entity_axis),
                  mention = asked.sizes.at(mention_axis), length = asked.sizes.at(axis::sequence);
    std::vector<int64_t> places, starts, ends;
    for (int64_t i = 0; i < batch * count; ++i) {
      const int64_t start = i % length, end = std::min(start + i % mention, length - 1);
      starts.push_back(start);
      ends.push_back(end);
      for (int64_t place = start; place < start + mention; ++place) places.push_back(place <= end ? place : -1);
    }
    std::vector<DummyTensor> made{DummyTensor::of("entity_position_ids", DType::i64, {batch, count, mention}, places)};
    if (task() != of_spans) return made;
    made.push_back(DummyTensor::of("entity_start_positions", DType::i64, {batch, count}, starts));
    made.push_back(DummyTensor::of("entity_end_positions", DType::i64, {batch, count}, ends));
    return made;
  }

 private:
  bool has_entities() const { return task() == of_entity || task() == of_pair || task() == of_spans; }

  std::vector<TensorSpec> further_inputs(const std::vector<Dim>& tokens) const override {
    if (!has_entities()) return {};
    const std::vector<Dim> each{tokens[0], entity_axis};
    const input::Belonging to{.of = "entity_ids"};
    std::vector<TensorSpec> specs{
        input::ids("entity_ids", each, entities),
        input::mask("entity_attention_mask", each, to),
        input::token_types("entity_token_type_ids", each, {.of = to.of, .limit = bert.segments}),
        {.name = "entity_position_ids", .shape = {tokens[0], entity_axis, mention_axis}, .limit = bert.max_positions}};
    if (task() == of_spans)
      for (const char* name : {"entity_start_positions", "entity_end_positions"})
        specs.push_back({.name = name, .shape = each});
    return specs;
  }

  // With entities, these stand behind the words.
  Value encode(const Scope& s, const Text& text) const override {
    Graph& g = s.graph();
    for (const char* name : {"w2e_query", "e2w_query", "e2e_query"}) g.unused(std::string("*.") + name + ".*");
    if (!has_entities()) g.unused((s / "entity_embeddings.*").path());
    const Value words = bert.embed(s / "embeddings", embedded(text));
    if (!has_entities()) return bert.encode(s / "encoder", words, text);

    const Value x = concat({words, embed_entities(s / "entity_embeddings", text)}, 1);
    return encode_both(s / "encoder.layer", x, size_of(text.ids, 1),
                       concat({text.mask, text.further.at("entity_attention_mask")}, 1));
  }

  /// The entity, its kind, and the mean of where its tokens stand: f32[batch, entity, hidden].
  Value embed_entities(const Scope& s, const Text& text) const {
    Graph& g = s.graph();
    Value x = embedding(s / "entity_embeddings", text.further.at("entity_ids"), {entities, entity_width});
    if (entity_width != bert.hidden) x = linear(s / "entity_embedding_dense", x, {.out = bert.hidden, .bias = false});
    const Value places = text.further.at("entity_position_ids");
    const Value at =
        embedding(s / "position_embeddings", g.op("Max", {places, g.integer(0)}), {bert.max_positions, bert.hidden});
    const Value counts = unsqueeze(cast(logical_not(equal(places, -1)), DType::f32), {3});
    const Value count = g.op("Max", {sum(counts, {2}), g.scalar(1e-7)});
    const Value kinds =
        embedding(s / "token_type_embeddings", text.further.at("entity_token_type_ids"), {bert.segments, bert.hidden});
    return norm(s / "LayerNorm", x + sum(at * counts, {2}) / count + kinds, {.epsilon = bert.epsilon});
  }

  /// The layers over words and, behind them, entities.
  Value encode_both(const Scope& s, Value x, const Value& words, const Value& mask) const {
    Graph& g = s.graph();
    const TransformerLayer form = bert.layer();
    const Kinds kinds{words, unsqueeze(cast(g.op("Less", {range(size_of(mask, 1)), words}), DType::f32), {1}), mask};
    for (int64_t i = 0; i < bert.layers; ++i) {
      mark_step(i, x, words);
      const std::string probabilities = "attentions." + std::to_string(i);
      x = aware ? aware_layer(s / i, x, kinds, probabilities)
                : transformer_layer(s / i, x, form, {.mask = mask, .probabilities = probabilities});
    }
    mark_step(bert.layers, x, words);
    return x;
  }

  // The class yields the steps of words and of entities apart.
  static void mark_step(int64_t step, const Value& x, const Value& words) {
    const std::string index = std::to_string(step);
    x.graph().mark("hidden_states." + index, words_of(x, words));
    x.graph().mark("entity_hidden_states." + index, from_row(x, 1, words));
  }

  struct Kinds {
    Value words;    // how many come before the entities: i64, a scalar
    Value is_word;  // f32[n, 1]
    Value mask;     // i64[batch, n]
  };
  // A layer in which a word looks at a word, a word at an entity, and so on by queries of their own.
  Value aware_layer(const Scope& layer, const Value& x, const Kinds& kinds, const std::string& probabilities) const {
    const TransformerLayer form = bert.layer();
    const Value attended = residual(layer, x, form.attention_branch, [&](const Value& h) {
      const Value mixed = attend(layer / "attention.self", h, kinds, probabilities);
      return linear(layer / "attention.output.dense", mixed, {.out = bert.hidden});
    });
    return residual(layer, attended, form.feed_forward_branch,
                    [&](const Value& h) { return feed_forward(layer, h, form.feed_forward); });
  }

  // A query is one at words and one at entities behind each other, and a key has nothing where the other kind's is.
  Value attend(const Scope& s, const Value& x, const Kinds& kinds, const std::string& probabilities) const {
    const auto in_heads = [&](const char* name, const Value& from) {
      return split_heads(linear(s / name, from, {.out = bert.hidden}), bert.heads);
    };
    const Value words = words_of(x, kinds.words), others = from_row(x, 1, kinds.words);
    const Value query = concat({concat({in_heads("query", words), in_heads("e2w_query", others)}, 2),
                                concat({in_heads("w2e_query", words), in_heads("e2e_query", others)}, 2)},
                               3);
    const Value key = in_heads("key", x);
    return attention(query, concat({key * kinds.is_word, key * (1.0 - kinds.is_word)}, 3), in_heads("value", x),
                     {.heads = bert.heads,
                      .scale = 1 / std::sqrt(static_cast<double>(bert.hidden / bert.heads)),
                      .mask = kinds.mask,
                      .probabilities = probabilities})
        .mixed;
  }

  static Value words_of(const Value& x, const Value& count) {
    Graph& g = x.graph();
    return g.op("Slice", {x, g.integers({0}), unsqueeze(count, {0})}, {{"axes", {1}}});
  }

  /// What stands behind the words, of what encode() yields.
  static Value entities_of(const Encoded& at) { return from_row(at.hidden, 1, size_of(at.in.at("input_ids"), 1)); }

  TextHeads text_heads() const override {
    TextHeads heads{.masked_lm = RobertaTextEncoder::text_heads().masked_lm};
    const auto classified = [this](const char* feature, bool biased, std::function<Value(const Encoded&)> vector) {
      return head::logits(feature, [this, biased, vector = std::move(vector)](const Encoded& at) {
        return linear(at.base.graph().root() / "classifier", vector(at), {.out = labels(), .bias = biased});
      });
    };
    heads.own.push_back(classified(of_entity, true, [](const Encoded& at) { return pick(entities_of(at), 1, 0); }));
    heads.own.push_back(classified(of_pair, false, [](const Encoded& at) {
      return concat({pick(entities_of(at), 1, 0), pick(entities_of(at), 1, 1)}, 1);
    }));
    heads.own.push_back(classified(of_spans, true, [](const Encoded& at) {
      const auto word_at = [&](const char* name) {
        return at.hidden.graph().op("GatherND", {at.hidden, unsqueeze(at.in.at(name), {2})}, {{"batch_dims", 1}});
      };
      return concat({word_at("entity_start_positions"), word_at("entity_end_positions"), entities_of(at)}, 2);
    }));
    return heads;
  }

  const int64_t entities, entity_width;
  const bool aware;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.luke",
    .name = "LUKE",
    .models = {{.types = {"luke"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification",
                             "question-answering", "multiple-choice", of_entity, of_pair, of_spans},
                .architectures = {{"LukeForEntityClassification", of_entity},
                                  {"LukeForEntityPairClassification", of_pair},
                                  {"LukeForEntitySpanClassification", of_spans}},
                .make = make<LukeOnnxConfig>}},
})
