// SPDX-License-Identifier: Apache-2.0
// BLOOM. Source: BloomModel and its heads, transformers 4.30, 4.57 and 5.24 (modeling_bloom.py).
#include <onnxport/blocks/alibi.hpp>
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

struct BloomConfig {
  explicit BloomConfig(const Config& c)
      : vocab(c.size("vocab_size", 250880)),
        hidden(c.size("n_embed", c.size("hidden_size", 64))),
        layers(c.count("num_hidden_layers", c.count("n_layer", 2))),
        heads(c.size("num_attention_heads", c.size("n_head", 8))),
        epsilon(c.real("layer_norm_epsilon", 1e-5)),
        on_norm(c.boolean("apply_residual_connection_post_layernorm", false)),
        sliced(c.integer("pretraining_tp", 1) > 1 && c.boolean("slow_but_exact", false)),
        tied(c.tie(true)),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")),
        folds_cache(c.written_before(4, 44)) {
    require_multiple({"hidden_size", hidden}, {"n_head", heads});
    c.no_effect({"slow_but_exact", "attention_softmax_in_fp32", "masked_softmax_fusion", "bias_dropout_fusion",
                 "skip_bias_add", "skip_bias_add_qkv", "offset_alibi", "n_inner", "seq_length", "unk_token_id"});
  }
  int64_t vocab, hidden, layers, heads;
  double epsilon;
  bool on_norm, sliced;
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;
  bool folds_cache;
};

class BloomOnnxConfig final : public TextDecoder {
 public:
  // ALiBi counts along the mask: there are no position_ids to choose.
  explicit BloomOnnxConfig(const Request& request) : TextDecoder(request, Positions::mask), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.hidden / c.heads; }

  /// Releases before 4.44 kept keys as f[batch·heads, head size, n] and values as f[batch·heads, n, head size]; a model
  /// that was saved by one goes on with the cache that its clients know.
  std::vector<State> states() const override {
    std::vector<State> all = TextDecoder::states();
    for (State& state : all) {
      if (!c.folds_cache) break;
      const Dim rows = std::to_string(c.heads) + "*" + axis::batch;
      const bool is_key = state.name.ends_with("key");
      state.grows = is_key ? 2 : 1;
      state.shape =
          is_key ? std::vector<Dim>{rows, head_size(), axis::past} : std::vector<Dim>{rows, axis::past, head_size()};
    }
    return all;
  }

 private:
  TextDecoderTraits traits() const override {
    return {.base = "transformer",
            .vocab = c.vocab,
            .embedding = "word_embeddings",
            .tied = c.tied,
            .labels = c.labels,
            .pad = c.pad,
            .token_classes = "classifier",
            .span = "qa_outputs"};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    if (!c.folds_cache) return layers(s, in, cache);
    const std::vector<State> folded = states();
    Inputs apart = in;
    for (const State& state : folded) {
      if (in.contains(state.past)) apart[state.past] = unfolded(in.at(state.past), state, in.at("input_ids"));
    }
    Cache usual(apart, TextDecoder::states(), cache.keeps());
    const Value x = layers(s, in, usual);
    const Outputs present = usual.present();
    for (size_t i = 0; i < present.size(); ++i) cache.replace(folded[i].name, refolded(present[i].second, folded[i]));
    return x;
  }

  /// f[batch·heads, d, n] or f[batch·heads, n, d] -> f[batch, heads, n, d], and back.
  Value unfolded(const Value& x, const State& state, const Value& ids) const {
    Graph& g = x.graph();
    // The length may be 0, which a reshape takes for "as it is": it goes in front, where that is right.
    const Value y = transpose(x, state.grows == 2 ? std::vector<int64_t>{2, 0, 1} : std::vector<int64_t>{1, 0, 2});
    const Value shape = concat({g.integers({0}), shape_of(ids, 0, 1), g.integers({c.heads, head_size()})}, 0);
    return transpose(reshape(y, shape), {1, 2, 0, 3});
  }
  static Value refolded(const Value& x, const State& state) {
    const Value y = state.grows == 2 ? transpose(x, {0, 1, 3, 2}) : x;
    return reshape(y, concat({x.graph().integers({-1}), shape_of(y, 2, 4)}, 0));
  }

  Value layers(const Scope& s, const Inputs& in, Cache& cache) const {
    Graph& g = s.graph();
    if (c.sliced) {  // products summed in pretraining_tp slices, which leave out the bias behind them
      g.unused("*.self_attention.dense.bias");
      g.unused("*.mlp.dense_4h_to_h.bias");
    }
    Value x = embedding(s / "word_embeddings", in.at("input_ids"), {c.vocab, c.hidden});
    x = norm(s / "word_embeddings_layernorm", x, {.epsilon = c.epsilon});
    Attended given{.mask = in.at("attention_mask"), .cache = &cache};
    given.bias = alibi(given.mask.in(s), {.heads = c.heads});
    x = transformer_layers(s / "h", x, {c.layers, [this](int64_t) { return layer(); }}, given);
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "ln_f", x, {.epsilon = c.epsilon}));
  }

  TransformerLayer layer() const {
    const Placement placement = c.on_norm ? Placement::on_norm : Placement::before;
    return {.attention_at = "self_attention",
            .attention = {.heads = c.heads,
                          .head_size = head_size(),
                          .projections = {.packing = Projections::Packing::groups,
                                          .fused = "query_key_value",
                                          .output = "dense",
                                          .bias = {true, true, true, !c.sliced}},
                          .causal = true},
            .feed_forward = {.inner = 4 * c.hidden,
                             .activation = "gelu_new",
                             .up = "dense_h_to_4h",
                             .down = "dense_4h_to_h",
                             .bias = true,
                             .down_bias = !c.sliced},
            .attention_branch = {placement, {.epsilon = c.epsilon}, "input_layernorm"},
            .feed_forward_branch = {placement, {.epsilon = c.epsilon}, "post_attention_layernorm"}};
  }

  const BloomConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.bloom",
    .name = "BLOOM",
    .models = {{.types = {"bloom"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification", "question-answering"},
                .make = make<BloomOnnxConfig>}},
})
