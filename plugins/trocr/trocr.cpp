// SPDX-License-Identifier: Apache-2.0
// The decoder of TrOCR, which reads what an encoder saw of a line of text, or stands alone. Source: TrOCRForCausalLM,
// transformers 4.57 and 5.24.
#include <onnxport/families/bart.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/sinusoids.hpp>

using namespace onnxport::family;

namespace {

struct TrOcrConfig {
  explicit TrOcrConfig(const Config& c)
      : vocab(c.size("vocab_size", 50265)),
        width(c.size("d_model", 1024)),
        layers(c.count("decoder_layers", 12)),
        heads(c.size("decoder_attention_heads", 16)),
        inner(c.size("decoder_ffn_dim", 4096)),
        positions(c.size("max_position_embeddings", 512)),
        activation(c.text("activation_function", "gelu")),
        scaled(c.boolean("scale_embedding", false)),
        learnt(c.boolean("use_learned_position_embeddings", true)),
        normed(c.boolean("layernorm_embedding", true)),
        tied(c.tie(true)),
        padding(c.integer("pad_token_id", 1)),
        encoder_width(c.maybe_integer("cross_attention_hidden_size").value_or(width)) {
    require_multiple({"d_model", width}, {"decoder_attention_heads", heads});
    c.no_effect({"init_std", "decoder_layerdrop", "classifier_dropout"});
  }
  int64_t vocab, width, layers, heads, inner, positions;
  std::string activation;
  bool scaled, learnt, normed;
  Tie tied;
  int64_t padding, encoder_width;
};

constexpr std::initializer_list<std::pair<const char*, const char*>> names{
    {"d_model", "hidden_size"},
    {"decoder_attention_heads", "num_attention_heads"},
    {"decoder_layers", "num_hidden_layers"}};

/// It takes no positions: learnt ones count on from the cache, sinusoids count the ids that are no padding.
class TrOcr final : public TextDecoder {
 public:
  explicit TrOcr(const Request& request)
      : TextDecoder(request, Positions::sequence),
        c(request.config.with_names(names)),
        beside(width_over_encoder(request) > 0) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.width / c.heads; }

 private:
  TextDecoderTraits traits() const override {
    return {.base = "model",
            .vocab = c.vocab,
            .max_positions = c.learnt ? c.positions : 0,
            .embedding = "decoder.embed_tokens",
            .tied = c.tied,
            .words = "output_projection",
            .classes = "",
            .token_classes = "",
            .encoder_width = beside ? c.encoder_width : 0};
  }

  Value decode(const Scope& base, const Inputs& in, Cache& cache) const override {
    const Scope s = base / "decoder";
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.width});
    if (c.scaled) x = x * std::sqrt(static_cast<double>(c.width));
    x = x + places(s / "embed_positions", in, cache);
    if (c.normed) x = norm(s / "layernorm_embedding", x, {});
    const BartLayer form{
        .width = c.width, .heads = c.heads, .inner = c.inner, .activation = c.activation, .norm = Placement::after};
    if (!beside) s.graph().unused((s / "layers.*.encoder_attn*").path());
    const TransformerLayer layer = beside ? bart_layer_over_encoder(form) : bart_layer(form, true);
    x = transformer_layers(s / "layers", x, {c.layers, [&](int64_t) { return layer; }},
                           {.mask = in.at("attention_mask"), .cache = &cache, .encoder = over_encoder(in)});
    return s.graph().mark("hidden_states." + std::to_string(c.layers), x);
  }

  // The first two rows of the learnt table stand for nothing; sinusoids begin behind the padding's, which is 0.
  Value places(const Scope& s, const Inputs& in, const Cache& cache) const {
    Graph& g = s.graph();
    constexpr int64_t offset = 2;
    if (c.learnt) return embedding(s, position_ids(in).in(s) + g.integer(offset), {c.positions + offset, c.width});
    g.unused(s.path() + "*");  // the table, which older releases saved
    const Value ids = in.at("input_ids"), past = cache.past_length();
    const Value counts = cast(logical_not(equal(ids, c.padding)), DType::i64);
    const Value counted = cumulative_sum(counts, 1);
    const Value at = (past ? counted + past : counted) * counts + g.integer(c.padding);
    return sinusoids(at.in(s), frequencies_to_last(c.width)) * unsqueeze(cast(counts, DType::f32), {-1});
  }

  const TrOcrConfig c;
  const bool beside;  // an encoder
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.trocr",
    .name = "TrOCR's decoder",
    .models = {{.types = {"trocr"}, .features = {"causal-lm", "causal-lm-with-past"}, .make = make<TrOcr>}},
})
