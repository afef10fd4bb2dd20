// SPDX-License-Identifier: Apache-2.0
// ModernBERT: a pre-norm encoder with rotary positions and gated feed-forwards, where most layers see only what is
// near. Source: ModernBertModel and its heads, transformers 4.57 and 5.24.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/local_attention.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary.hpp>

using namespace onnxport::sdk;

namespace {

constexpr const char *global = "full_attention", *local = "sliding_attention";

struct ModernBertConfig {
  explicit ModernBertConfig(const Config& c)
      : vocab(c.size("vocab_size", 50368)),
        hidden(c.size("hidden_size", 768)),
        inner(c.size("intermediate_size", 1152)),
        layers(c.count("num_hidden_layers", 22)),
        heads(c.size("num_attention_heads", 12)),
        // How far a token sees to either side, and itself; a newer name for the half is sliding_window.
        window(c.count("sliding_window", c.count("local_attention", 128) / 2) + 1),
        activation(c.text("hidden_activation", "gelu")),
        classifier_activation(c.text("classifier_activation", "gelu")),
        pooling(c.choice("classifier_pooling", "cls", {"cls", "mean"})),
        norm{.epsilon = c.real("norm_eps", 1e-5), .bias = c.boolean("norm_bias", false)},
        attention_bias(c.boolean("attention_bias", false)),
        mlp_bias(c.boolean("mlp_bias", false)),
        classifier_bias(c.boolean("classifier_bias", false)),
        decoder_bias(c.boolean("decoder_bias", true)),
        tied(c.tie(true)),
        types(layer_types(c, {layers, {global, local}, [every = c.size("global_attn_every_n_layers", 3)](int64_t i) {
                                return i % every == 0 ? global : local;
                              }})) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    const double theta = c.real("global_rope_theta", 160000.0);
    const double local_theta = c.real("local_rope_theta", c.is_null("local_rope_theta") ? theta : 10000.0);
    rotary.emplace(global, Rotary(c, hidden / heads, {.name = global, .theta = theta}));
    rotary.emplace(local, Rotary(c, hidden / heads, {.name = local, .theta = local_theta}));
    c.no_effect({"deterministic_flash_attn", "reference_compile", "repad_logits_with_grad", "sparse_prediction",
                 "sparse_pred_ignore_index", "initializer_cutoff_factor", "cls_token_id"});
    c.no_effect({"layer_norm_eps", "position_embedding_type", "type_vocab_size"});  // BERT's, in published files
  }
  int64_t vocab, hidden, inner, layers, heads, window;
  std::string activation, classifier_activation, pooling;
  Norm norm;
  bool attention_bias, mlp_bias, classifier_bias, decoder_bias;
  Tie tied;
  std::vector<std::string> types;  // of each layer
  std::map<std::string, Rotary> rotary;
};

class ModernBertOnnxConfig final : public TextEncoder {
 public:
  explicit ModernBertOnnxConfig(const Request& request)
      : TextEncoder(request),
        c(request.config.with_names({{"global_rope_theta", "rope_theta"}})),
        ends_normed(request.config.written_since(5, 0)) {}

 private:
  TextEncoderTraits traits() const override { return {.base = "model", .vocab = c.vocab, .pooler = false}; }

  Value encode(const Scope& s, const Text& text) const override {
    Graph& g = s.graph();
    if (c.tied) g.stand_in(s / "embeddings.tok_embeddings", g.root() / "decoder");
    Value x = embedding(s / "embeddings.tok_embeddings", text.ids, {c.vocab, c.hidden});
    x = g.mark("hidden_states.0", norm(s / "embeddings.norm", x, c.norm));
    const Value positions = unsqueeze(range(size_of(text.ids, 1)), {0}).in(s / "rotary_emb");
    std::map<std::string, Angles> angles;
    for (const auto& [type, rotary] : c.rotary) angles.emplace(type, rotary.angles(positions));
    std::optional<LocalBlocks> blocks;
    for (int64_t i = 0; i < c.layers; ++i) {
      const Attended given{
          .mask = text.mask, .angles = angles.at(type(i)), .probabilities = "attentions." + std::to_string(i)};
      TransformerLayer form = layer(i);
      // Probabilities are wanted for all keys, which blocks do not have.
      if (form.attention.window > 1 && !g.wants(given.probabilities)) {
        if (!blocks) blocks = local_blocks(s / "blocks", text.mask, form.attention.window - 1);
        form.own_attention = [this, &blocks, block = form.attention](const Scope& module, const Value& h,
                                                                     const Attended& a) {
          return attend_near({module, h, a.angles}, block, *blocks);
        };
      }
      x = transformer_layer(s / "layers" / i, x, form, given);
      if (i + 1 < c.layers || !ends_normed) g.mark("hidden_states." + std::to_string(i + 1), x);
    }
    const Value y = norm(s / "final_norm", x, c.norm);
    return ends_normed ? g.mark("hidden_states." + std::to_string(c.layers), y) : y;
  }

  struct Near {
    Scope at;
    Value x;
    Angles angles;
  };
  Value attend_near(const Near& given, const AttentionBlock& block, const LocalBlocks& blocks) const {
    const QueryKeyValue made = project(given.at, given.x, block);
    const auto turned = [&](const Value& x) { return rotate(split_heads(x, block.heads), given.angles); };
    const Value mixed =
        local_attention({turned(made.query), turned(made.key), split_heads(made.value, block.heads)}, blocks);
    return linear(given.at / block.projections.output, mixed, {.out = c.hidden, .bias = c.attention_bias});
  }

  const std::string& type(int64_t layer) const { return c.types[static_cast<size_t>(layer)]; }

  // The first layer reads what the embeddings' norm has just normed.
  TransformerLayer layer(int64_t i) const {
    return {.attention_at = "attn",
            .attention = {.heads = c.heads,
                          .head_size = c.hidden / c.heads,
                          .projections = {.packing = Projections::Packing::blocks,
                                          .fused = "Wqkv",
                                          .output = "Wo",
                                          .bias = {.query = c.attention_bias, .output = c.attention_bias}},
                          .window = type(i) == local ? c.window : 0},
            .feed_forward =
                {.inner = c.inner, .activation = c.activation, .down = "Wo", .gate_up = "Wi", .bias = c.mlp_bias},
            .attention_branch = {i == 0 ? Placement::none : Placement::before, c.norm, "attn_norm"},
            .feed_forward_branch = {Placement::before, c.norm, "mlp_norm"}};
  }

  TextHeads text_heads() const override {
    return {.words = [this](const Encoded& at) { return predict(at); },
            .summary = [this](const Encoded& at) { return transform(at.base.graph().root() / "head", summarize(at)); },
            .tokens = [this](const Encoded& at) { return transform(at.base.graph().root() / "head", at.hidden); },
            .span = "classifier"};
  }

  // What every head has before its last layer.
  Value transform(const Scope& s, const Value& x) const {
    const Value h = linear(s / "dense", x, {.out = c.hidden, .bias = c.classifier_bias});
    return norm(s / "norm", activation(h, c.classifier_activation), c.norm);
  }

  // One vector a text. Of choices it is the first token that counts, of a single text the first, padding or not.
  Value summarize(const Encoded& at) const {
    if (c.pooling == "mean") return mean_of_tokens(at.hidden, at.mask);
    return task() == "multiple-choice" ? first_counted_token(at.hidden, at.mask) : pick(at.hidden, 1, 0);
  }

  Value predict(const Encoded& at) const {
    const Scope root = at.base.graph().root();
    const TiedLinear decoder{root / "decoder", at.base / "embeddings.tok_embeddings", c.tied};
    return linear(decoder, transform(root / "head", at.hidden), {.out = c.vocab, .bias = c.decoder_bias});
  }

  const ModernBertConfig c;
  const bool ends_normed;  // the last of the hidden states is what the last norm yields: since version 5
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.modernbert",
    .name = "ModernBERT",
    .models = {{.types = {"modernbert"},
                .features = {"default", "masked-lm", "sequence-classification", "multiple-choice",
                             "token-classification", "question-answering"},
                .make = make<ModernBertOnnxConfig>}},
})
