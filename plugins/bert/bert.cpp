// SPDX-License-Identifier: Apache-2.0
// BERT. Source: BertModel and its heads, transformers 4.30 (modeling_bert.py).
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

struct BertConfig {
  explicit BertConfig(const Config& c)
      : vocab(c.size("vocab_size", 30522)),
        hidden(c.size("hidden_size", 768)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 12)),
        inner(c.size("intermediate_size", 3072)),
        max_positions(c.size("max_position_embeddings", 512)),
        types(c.size("type_vocab_size", 2)),
        epsilon(c.real("layer_norm_eps", 1e-12)),
        activation(c.text("hidden_act", "gelu")),
        position(c.choice("position_embedding_type", "absolute", {"absolute", "relative_key", "relative_key_query"})),
        is_decoder(c.boolean("is_decoder", false)),
        tied(c.boolean("tie_word_embeddings", true)),
        labels(c.num_labels()) {
    if (hidden % heads != 0) {
      throw Error(ONNXPORT_CONFIG, "config field 'hidden_size' is " + std::to_string(hidden) +
                                       ", not a multiple of num_attention_heads (" + std::to_string(heads) + ")");
    }
  }
  int64_t vocab, hidden, layers, heads, inner, max_positions, types;
  double epsilon;
  std::string activation, position;
  bool is_decoder, tied;
  int64_t labels;
};

class BertOnnxConfig final : public OnnxConfig {
 public:
  explicit BertOnnxConfig(const Request& request) : OnnxConfig(request), c(request.config) {
    if (task() == "question-answering" && c.labels != 2) {
      throw Error(ONNXPORT_CONFIG, "config field 'num_labels' is " + std::to_string(c.labels) +
                                       "; question-answering has 2, start and end");
    }
  }

  std::string base_model_prefix() const override { return "bert"; }
  double atol_for_validation() const override { return 1e-4; }

  std::vector<TensorSpec> inputs() const override {
    std::vector<Dim> shape{axis::batch, axis::sequence};
    if (task() == "multiple-choice") shape = {axis::batch, axis::choice, axis::sequence};
    return {{"input_ids", DType::i64, shape, c.vocab},
            {"attention_mask", DType::i64, shape},
            {"token_type_ids", DType::i64, shape, c.types}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    Value ids = in.at("input_ids"), mask = in.at("attention_mask"), types = in.at("token_type_ids");
    const bool choices = task() == "multiple-choice";
    if (choices) {  // every choice is a row of its own
      for (Value* x : {&ids, &mask, &types}) *x = flatten_choices(*x);
    }
    g.unused("*embeddings.position_ids");
    const Scope bert = task() == "default" ? g.root() : g.root() / "bert";
    const Value hidden = encode(bert, {ids, mask, types});

    Outputs outputs;
    if (task() == "default") {
      outputs = {{"last_hidden_state", hidden}};
    } else if (task() == "masked-lm" || task() == "causal-lm") {
      outputs = {{"logits", predict(g.root() / "cls" / "predictions", hidden)}};
    } else if (task() == "token-classification") {
      outputs = {{"logits", linear(g.root() / "classifier", hidden, {.out = c.labels})}};
    } else if (task() == "question-answering") {
      const Value logits = linear(g.root() / "qa_outputs", hidden, {.out = 2});
      const std::vector<Value> ends = split(logits, -1, {1, 1});
      outputs = {{"start_logits", squeeze(ends[0], {-1})}, {"end_logits", squeeze(ends[1], {-1})}};
    } else if (task() == "sequence-classification") {
      outputs = {{"logits", linear(g.root() / "classifier", pool(bert, hidden), {.out = c.labels})}};
    } else if (choices) {
      const Value scores = linear(g.root() / "classifier", pool(bert, hidden), {.out = 1});
      outputs = {{"logits", reshape(scores, shape_of(in.at("input_ids"), 0, 2))}};
    }
    if (g.wants("pooler_output")) g.mark("pooler_output", pool(bert, hidden));
    return outputs;
  }

 private:
  struct Text {
    Value ids, mask, types;  // i64[batch, sequence]
  };

  // i64[batch, choice, sequence] -> i64[batch·choice, sequence]
  static Value flatten_choices(const Value& x) {
    Graph& g = x.graph();
    return reshape(x, concat({g.integers({-1}), shape_of(x, 2, 3)}, 0));
  }

  // -> f32[batch, sequence, hidden]
  Value embed(const Scope& s, const Text& text) const {
    Value x = embedding(s / "word_embeddings", text.ids, {c.vocab, c.hidden});
    x = x + embedding(s / "token_type_embeddings", text.types, {c.types, c.hidden});
    if (c.position == "absolute") {
      const Value table = (s / "position_embeddings").weight("weight", {c.max_positions, c.hidden});
      x = x + first_rows(table, size_of(text.ids, 1));
    }
    return layer_norm(s / "LayerNorm", x, {.epsilon = c.epsilon});
  }

  // -> f32[batch, sequence, hidden]
  Value encode(const Scope& bert, const Text& text) const {
    Graph& g = bert.graph();
    Value x = embed(bert / "embeddings", text);
    g.mark("hidden_states.0", x);
    const Value mask = attention_mask(text.mask, {.causal_for = c.is_decoder ? text.ids : Value()});
    for (int64_t i = 0; i < c.layers; ++i) {
      const Scope layer = bert / "encoder.layer" / i;
      x = attend(layer / "attention", x, mask, i);
      Value h = linear(layer / "intermediate.dense", x, {.out = c.inner});
      h = activation(h, c.activation);
      h = linear(layer / "output.dense", h, {.out = c.hidden});
      x = layer_norm(layer / "output.LayerNorm", h + x, {.epsilon = c.epsilon});
      g.mark("hidden_states." + std::to_string(i + 1), x);
    }
    return x;
  }

  // Self-attention with its output projection and norm.
  Value attend(const Scope& s, const Value& x, const Value& mask, int64_t layer) const {
    const Value q = linear(s / "self.query", x, {.out = c.hidden});
    const Value k = linear(s / "self.key", x, {.out = c.hidden});
    const Value v = linear(s / "self.value", x, {.out = c.hidden});
    Value bias = mask;
    if (c.position != "absolute") bias = relative_scores(s / "self", q, k) + mask;
    Value h =
        attention(q, k, v, {.heads = c.heads, .bias = bias, .probabilities = "attentions." + std::to_string(layer)});
    h = linear(s / "output.dense", h, {.out = c.hidden});
    return layer_norm(s / "output.LayerNorm", h + x, {.epsilon = c.epsilon});
  }

  // Scores of queries (and keys) against an embedding of their distance, scaled as the others are:
  // f32[batch, heads, sequence, sequence]. Source: BertSelfAttention, position_embedding_type.
  Value relative_scores(const Scope& s, const Value& q, const Value& k) const {
    Graph& g = s.graph();
    const int64_t width = c.hidden / c.heads;
    const Within names(s);
    const Value position = range(size_of(q, 1));
    const Value distance = unsqueeze(position, {1}) - unsqueeze(position, {0}) + g.integer(c.max_positions - 1);
    const Value table = embedding(s / "distance_embedding", distance, {2 * c.max_positions - 1, width});
    const Within again(s);
    Value scores = einsum("bhld,lrd->bhlr", {split_heads(q, c.heads), table});
    if (c.position == "relative_key_query")
      scores = scores + einsum("bhrd,lrd->bhlr", {split_heads(k, c.heads), table});
    return scores / std::sqrt(static_cast<double>(width));
  }

  // The first token through a tanh layer: f32[batch, hidden]
  Value pool(const Scope& bert, const Value& hidden) const {
    const Within names(bert / "pooler");
    return tanh(linear(bert / "pooler.dense", pick(hidden, 1, 0), {.out = c.hidden}));
  }

  // -> f32[batch, sequence, vocab]
  Value predict(const Scope& s, const Value& hidden) const {
    Graph& g = s.graph();
    Value x = linear(s / "transform.dense", hidden, {.out = c.hidden});
    x = activation(x, c.activation);
    x = layer_norm(s / "transform.LayerNorm", x, {.epsilon = c.epsilon});
    const Scope bias = s.has("bias") || !s.has("decoder.bias") ? s : s / "decoder";
    const Scope table = c.tied ? g.root() / "bert.embeddings.word_embeddings" : s / "decoder";
    g.unused("cls.predictions.decoder.*");
    g.unused("cls.predictions.bias");
    const Within names(s / "decoder");
    return g.composite("Linear", {x, table.weight("weight", {c.vocab, c.hidden}), bias.weight("bias", {c.vocab})});
  }

  const BertConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.bert",
    .name = "BERT",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .vendor = "onnxport",
    .models = {{.types = {"bert"},
                .features = {"default", "masked-lm", "causal-lm", "sequence-classification", "token-classification",
                             "multiple-choice", "question-answering"},
                .architectures = {{"BertForPreTraining", "masked-lm"}},
                .make = make<BertOnnxConfig>}},
})
