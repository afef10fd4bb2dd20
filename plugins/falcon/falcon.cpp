// SPDX-License-Identifier: Apache-2.0
// Falcon. Source: FalconModel and its heads, transformers 4.57 and 5.24 (modeling_falcon.py).
#include <onnxport/blocks/alibi.hpp>
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary.hpp>

using namespace onnxport::sdk;

namespace {

struct FalconConfig {
  explicit FalconConfig(const Config& c)
      : vocab(c.size("vocab_size", 65024)),
        hidden(c.size("n_embed", c.size("hidden_size", 4544))),
        inner(c.size("ffn_hidden_size", 4 * hidden)),
        layers(c.count("num_hidden_layers", 32)),
        heads(c.size("num_attention_heads", 71)),
        grouped(c.boolean("new_decoder_architecture", false)),
        multi_query(c.boolean("multi_query", true) && !grouped),
        kv_heads(c.size("num_kv_heads", heads)),
        parallel(c.boolean("parallel_attn", true)),
        norms(c.integer("num_ln_in_parallel_attn", grouped ? 2 : 1)),
        bias(c.boolean("bias", false)),
        activation(c.text("activation", "gelu")),
        epsilon(c.real("layer_norm_epsilon", 1e-5)),
        positions(c.size("max_position_embeddings", 2048)),
        tied(c.tie(true)),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    if (!c.boolean("alibi", false)) rotary.emplace(c, hidden / heads);
    c.no_effect({"rope_theta", "rope_scaling", "rope_parameters"});  // beside ALiBi
    c.no_effect({"apply_residual_connection_post_layernorm"});       // of the code that Falcon was first published with
    refuse_what_cannot_run();
    if (multi_query) kv_heads = 1;
    require_multiple({"num_attention_heads", heads}, {"num_kv_heads", kv_heads});
  }
  int64_t vocab, hidden, inner, layers, heads;
  bool grouped, multi_query;
  int64_t kv_heads;
  bool parallel;
  int64_t norms;
  bool bias;
  std::string activation;
  double epsilon;
  int64_t positions;
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;
  std::optional<Rotary> rotary;  // without it, ALiBi

  /// Of attention and feed-forward.
  std::pair<const char*, const char*> norm_names() const {
    if (!parallel) return {"input_layernorm", "post_attention_layernorm"};
    if (norms == 2) return {"ln_attn", "ln_mlp"};
    return {"input_layernorm", "input_layernorm"};
  }

 private:
  /// Combinations that a config can state and for which the reference's layers lack a weight or a step.
  void refuse_what_cannot_run() const {
    const struct {
      bool stated;
      const char* what;
    } rows[] = {
        {grouped && !parallel, "new_decoder_architecture without parallel_attn"},
        {grouped && norms != 1 && norms != 2, "num_ln_in_parallel_attn other than 1 and 2"},
        {!grouped && parallel && norms == 2, "num_ln_in_parallel_attn 2 without new_decoder_architecture"},
        {!grouped && !multi_query && kv_heads != heads,
         "num_kv_heads other than num_attention_heads without multi_query and new_decoder_architecture"},
    };
    for (const auto& row : rows) {
      if (row.stated)
        throw Error(ONNXPORT_UNSUPPORTED,
                    std::string("config.json states ") + row.what + ", which FalconModel cannot run either");
    }
  }
};

class FalconOnnxConfig final : public TextDecoder {
 public:
  explicit FalconOnnxConfig(const Request& request) : TextDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.multi_query ? 1 : c.heads; }
  int64_t head_size() const override { return c.hidden / c.heads; }
  bool has_usual_cache() const override { return !c.multi_query && (!c.grouped || c.kv_heads == c.heads); }
  Positions positions_in_generation() const override {
    return c.rotary && c.rotary->depends_on_length() ? Positions::mask : Positions::sequence;
  }

 private:
  TextDecoderTraits traits() const override {
    return {.base = "transformer",
            .vocab = c.vocab,
            .max_positions = c.positions,
            .embedding = "word_embeddings",
            .tied = c.tied,
            .labels = c.labels,
            .pad = c.pad,
            .token_classes = "classifier",
            .span = "qa_outputs"};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    Attended given{.mask = in.at("attention_mask"), .cache = &cache};
    if (c.rotary) {
      given.angles = c.rotary->angles(position_ids(in).in(s / "rotary_emb"));
    } else {
      // Once, as the reference's default (attn_implementation="sdpa") and the paper have it; its "eager" adds it twice.
      const double scale = 1 / std::sqrt(static_cast<double>(head_size()));
      given.bias = alibi(given.mask.in(s), {.heads = c.heads, .in_bf16 = true}) * scale;
    }
    Value x = embedding(s / "word_embeddings", in.at("input_ids"), {c.vocab, c.hidden});
    x = transformer_layers(s / "h", x, {c.layers, [this](int64_t) { return layer(); }}, given);
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "ln_f", x, {.epsilon = c.epsilon}));
  }

  TransformerLayer layer() const {
    const auto [attention_norm, feed_forward_norm] = c.norm_names();
    using Packing = Projections::Packing;
    return {.attention_at = "self_attention",
            .attention = {.heads = c.heads,
                          .kv_heads = c.kv_heads,
                          .head_size = head_size(),
                          .repeats_kv = c.grouped,
                          .projections = {.packing = c.multi_query ? Packing::blocks : Packing::groups,
                                          .fused = "query_key_value",
                                          .output = "dense",
                                          .bias = {c.bias, c.bias, c.bias, c.bias}},
                          .causal = true},
            .feed_forward = {.inner = c.inner,
                             .activation = c.activation,
                             .up = "dense_h_to_4h",
                             .down = "dense_4h_to_h",
                             .bias = c.bias},
            .attention_branch = {Placement::before, {.epsilon = c.epsilon}, attention_norm},
            .feed_forward_branch = {Placement::before, {.epsilon = c.epsilon}, feed_forward_norm},
            .parallel = c.parallel};
  }

  const FalconConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.falcon",
    .name = "Falcon",
    .models = {{.types = {"falcon"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification", "question-answering"},
                .make = make<FalconOnnxConfig>}},
})
