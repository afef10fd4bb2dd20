// SPDX-License-Identifier: Apache-2.0
// MPT. Source: MptModel and its heads, transformers 4.57 and 5.24 (modeling_mpt.py).
#include <onnxport/blocks/alibi.hpp>
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/text_decoder.hpp>

using namespace onnxport::sdk;

namespace {

constexpr std::initializer_list<std::pair<const char*, const char*>> names{
    {"d_model", "hidden_size"}, {"n_heads", "num_attention_heads"}, {"n_layers", "num_hidden_layers"}};

struct MptConfig {
  explicit MptConfig(const Config& c)
      : vocab(c.size("vocab_size", 50368)),
        hidden(c.size("d_model", 2048)),
        layers(c.count("n_layers", 24)),
        heads(c.size("n_heads", 16)),
        positions(c.size("max_seq_len", 2048)),
        norm{.epsilon = c.real("layer_norm_epsilon", 1e-5), .bias = false},
        tied(c.tie(true)),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_multiple({"d_model", hidden}, {"n_heads", heads});
    const Config attention = c.section("attn_config");
    clip = attention.real("clip_qkv", 0);
    scale = attention.real("softmax_scale", 0);
    // What the code that MPT was first published with could do. The class of transformers has linear biases up to 8,
    // inner layers of four times the width and no other bias, whatever these say.
    attention.no_effect({"alibi", "alibi_bias_max", "attn_impl", "attn_type", "attn_uses_sequence_id", "prefix_lm",
                         "qk_ln", "attn_pdrop", "model_type"});
    c.no_effect({"expansion_ratio", "learned_pos_emb", "no_bias", "norm_type", "logit_scale", "embedding_fraction",
                 "init_device", "init_config", "verbose", "resid_pdrop", "emb_pdrop", "tokenizer_name"});
  }
  int64_t vocab, hidden, layers, heads, positions;
  Norm norm;
  double clip, scale;  // 0: none, the usual one
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;
};

class MptOnnxConfig final : public TextDecoder {
 public:
  // ALiBi counts keys: there are no position_ids to choose.
  explicit MptOnnxConfig(const Request& request)
      : TextDecoder(request, Positions::mask), c(request.config.with_names(names)) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.hidden / c.heads; }

 private:
  TextDecoderTraits traits() const override {
    return {.base = "transformer",
            .vocab = c.vocab,
            .max_positions = c.positions,
            .embedding = "wte",
            .tied = c.tied,
            .labels = c.labels,
            .pad = c.pad,
            .token_classes = "classifier",
            .span = "qa_outputs"};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    const Value x = embedding(s / "wte", in.at("input_ids"), {c.vocab, c.hidden});
    Attended given{.mask = in.at("attention_mask"), .cache = &cache};
    given.bias = alibi(given.mask.in(s), {.heads = c.heads, .along_mask = false});
    const Value y = transformer_layers(s / "blocks", x, {c.layers, [this](int64_t) { return layer(); }}, given);
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm_f", y, c.norm));
  }

  TransformerLayer layer() const {
    return {
        .attention_at = "attn",
        .feed_forward_at = "ffn",
        .attention = {.heads = c.heads,
                      .head_size = head_size(),
                      .projections = {.packing = Projections::Packing::blocks, .fused = "Wqkv", .output = "out_proj"},
                      .clip = c.clip,
                      .scale = c.scale,
                      .causal = true},
        .feed_forward = {.inner = 4 * c.hidden},
        .attention_branch = {.norm = c.norm, .name = "norm_1"},
        .feed_forward_branch = {.norm = c.norm, .name = "norm_2"}};
  }

  const MptConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.mpt",
    .name = "MPT",
    .models = {{.types = {"mpt"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification", "question-answering"},
                .make = make<MptOnnxConfig>}},
})
