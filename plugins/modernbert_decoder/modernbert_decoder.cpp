// SPDX-License-Identifier: Apache-2.0
// The decoder with ModernBERT's layers. Source: ModernBertDecoderModel and its heads, transformers 4.57 and 5.24
// (modeling_modernbert_decoder.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/layer_rotary.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/text_decoder.hpp>

using namespace onnxport::sdk;

namespace {

constexpr const char *global = "full_attention", *local = "sliding_attention";

struct ModernBertDecoderConfig {
  explicit ModernBertDecoderConfig(const Config& c)
      : vocab(c.size("vocab_size", 50368)),
        hidden(c.size("hidden_size", 768)),
        inner(c.size("intermediate_size", 1152)),
        layers(c.count("num_hidden_layers", 22)),
        heads(c.size("num_attention_heads", 12)),
        positions(c.size("max_position_embeddings", 8192)),
        window(c.integer("sliding_window", c.is_null("local_attention") ? -1 : c.count("local_attention", 128) / 2)),
        activation(c.text("hidden_activation", "gelu")),
        classifier_activation(c.text("classifier_activation", "gelu")),
        norm{.epsilon = c.real("norm_eps", 1e-5), .bias = c.boolean("norm_bias", false)},
        attention_bias(c.boolean("attention_bias", false)),
        mlp_bias(c.boolean("mlp_bias", false)),
        classifier_bias(c.boolean("classifier_bias", false)),
        decoder_bias(c.boolean("decoder_bias", true)),
        tied(c.tie(true)),
        labels(c.num_labels()),
        pad(c.is_null("pad_token_id") ? std::nullopt : std::optional(c.integer("pad_token_id", 50283))) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    rotary.types =
        layer_types(c, {layers, {global, local}, [every = c.size("global_attn_every_n_layers", 3)](int64_t i) {
                          return i % every == 0 ? global : local;
                        }});
    if (std::count(rotary.types.begin(), rotary.types.end(), local) > 0 && window < 1) {
      throw Error(ONNXPORT_CONFIG, "config field 'sliding_window' is " + std::to_string(window) +
                                       "; expected more than 0, since 'layer_types' lists layers that have a window");
    }
    // Version 4 reads a base of the local layers and turns all of them by the global one.
    const double theta = c.real("global_rope_theta", 160000), own = c.real("local_rope_theta", 10000);
    const double local_theta = c.written_before(5, 0) ? theta : own;
    rotary.kinds.emplace(global, Rotary(c, hidden / heads, {.name = global, .theta = theta}));
    rotary.kinds.emplace(local, Rotary(c, hidden / heads, {.name = local, .theta = local_theta}));
    c.no_effect({"reference_compile", "initializer_cutoff_factor", "cls_token_id", "embedding_dropout", "mlp_dropout"});
    // ModernBERT's, in published files.
    c.no_effect({"classifier_pooling", "deterministic_flash_attn", "repad_logits_with_grad", "sparse_prediction",
                 "sparse_pred_ignore_index", "layer_norm_eps", "position_embedding_type", "type_vocab_size"});
  }
  int64_t vocab, hidden, inner, layers, heads, positions;
  int64_t window;  // in keys, of the local layers
  std::string activation, classifier_activation;
  Norm norm;
  bool attention_bias, mlp_bias, classifier_bias, decoder_bias;
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;
  LayerRotary rotary;
};

class ModernBertDecoderOnnxConfig final : public TextDecoder {
 public:
  explicit ModernBertDecoderOnnxConfig(const Request& request)
      : TextDecoder(request), c(request.config.with_names({{"global_rope_theta", "rope_theta"}})) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.hidden / c.heads; }
  Positions positions_in_generation() const override {
    return c.rotary.depends_on_length() ? Positions::mask : Positions::sequence;
  }

  // What reads the hidden states reads them through a layer of the head's own.
  Heads heads() const override {
    Heads rows = TextDecoder::heads();
    for (Head& row : rows) {
      if (row.feature == "causal-lm") row = head::behind(through("lm_head"), row);
      if (row.feature == "sequence-classification") row = head::behind(through("head"), row);
    }
    return rows;
  }

 private:
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab,
            .max_positions = c.positions,
            .embedding = "embeddings.tok_embeddings",
            .tied = c.tied,
            .words = "decoder",
            .words_bias = c.decoder_bias,
            .labels = c.labels,
            .pad = c.pad,
            .classes = "classifier",
            .classes_bias = c.classifier_bias,
            .token_classes = ""};
  }

  // Source: ModernBertDecoderPredictionHead.
  std::function<Value(const Encoded&)> through(const char* name) const {
    return [this, name](const Encoded& at) {
      const Scope s = at.base.graph().root() / name;
      const Value h = linear(s / "dense", at.hidden, {.out = c.hidden, .bias = c.classifier_bias});
      return norm(s / "norm", activation(h, c.classifier_activation), c.norm);
    };
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    Value x = embedding(s / "embeddings.tok_embeddings", in.at("input_ids"), {c.vocab, c.hidden});
    x = norm(s / "embeddings.norm", x, c.norm);
    const LayerStack stack{.count = c.layers,
                           .layer = [this](int64_t i) { return layer(i); },
                           .angles = c.rotary.angles(position_ids(in).in(s / "rotary_emb"))};
    x = transformer_layers(s / "layers", x, stack, {.mask = in.at("attention_mask"), .cache = &cache});
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "final_norm", x, c.norm));
  }

  // The first layer reads what the embeddings' norm has just normed.
  TransformerLayer layer(int64_t i) const {
    const bool b = c.attention_bias;
    return {.attention_at = "attn",
            .attention = {.heads = c.heads,
                          .head_size = head_size(),
                          .projections = {.output = "Wo", .bias = {b, b, b, b}},
                          .causal = true,
                          .window = c.rotary.types[static_cast<size_t>(i)] == local ? c.window : 0},
            .feed_forward =
                {.inner = c.inner, .activation = c.activation, .down = "Wo", .gate_up = "Wi", .bias = c.mlp_bias},
            .attention_branch = {i == 0 ? Placement::none : Placement::before, c.norm, "attn_norm"},
            .feed_forward_branch = {Placement::before, c.norm, "mlp_norm"}};
  }

  const ModernBertDecoderConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.modernbert_decoder",
    .name = "ModernBERT decoder",
    .models = {{.types = {"modernbert-decoder"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification"},
                .make = make<ModernBertDecoderOnnxConfig>}},
})
