// SPDX-License-Identifier: Apache-2.0
// ProphetNet: an encoder-decoder whose decoder predicts several tokens ahead. Source: ProphetNetModel,
// ProphetNetForConditionalGeneration and ProphetNetForCausalLM, transformers 4.30, 4.57 and 5.24.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>

#include "ngram_attention.hpp"

namespace prophetnet {
namespace {

struct ProphetNetConfig {
  explicit ProphetNetConfig(const Config& c)
      : vocab(c.size("vocab_size", 30522)),
        width(c.size("hidden_size", 1024)),
        positions(c.size("max_position_embeddings", 512)),
        encoder{c.count("num_encoder_layers", 12), c.size("num_encoder_attention_heads", 16),
                c.size("encoder_ffn_dim", 4096)},
        decoder{c.count("num_decoder_layers", 12), c.size("num_decoder_attention_heads", 16),
                c.size("decoder_ffn_dim", 4096)},
        activation(c.text("activation_function", "gelu")),
        padding(c.count("pad_token_id", 0)),
        ngram{width, decoder.heads, c.size("ngram", 2), c.size("num_buckets", 32),
              c.size("relative_max_distance", 128)},
        has_cross_attention(c.boolean("add_cross_attention", true)),
        tied(c.tie(true)),
        is_recent(c.written_since(5, 0)) {
    require_multiple({"hidden_size", width}, {"num_encoder_attention_heads", encoder.heads});
    require_multiple({"hidden_size", width}, {"num_decoder_attention_heads", decoder.heads});
    if (ngram.buckets < 2 || ngram.max_distance <= ngram.buckets / 2) {
      throw Error(ONNXPORT_CONFIG, "config fields 'num_buckets' (" + std::to_string(ngram.buckets) +
                                       ") and 'relative_max_distance' (" + std::to_string(ngram.max_distance) +
                                       ") leave no distances for the far buckets");
    }
    c.no_effect({"num_hidden_layers", "init_std", "disable_ngram_loss", "eps"});  // of training
  }
  struct Side {
    int64_t layers, heads, inner;
  };
  /// A token's position is counted behind the padding's, and the streams look one further.
  int64_t longest() const { return std::max<int64_t>(positions - padding - 2, 1); }

  int64_t vocab, width, positions;
  Side encoder, decoder;
  std::string activation;
  int64_t padding;
  NgramForm ngram;
  bool has_cross_attention;
  Tie tied;
  bool is_recent;  // written by version 5
};

class Transformer {
 public:
  explicit Transformer(const Config& config)
      : c(config.with_names({{"num_encoder_attention_heads", "num_attention_heads"}})) {}

  const ProphetNetConfig& config() const { return c; }

  /// What both sides and the head take that have none of their own: of the tables that are one, the first that was
  /// kept. The order is that of transformers 5.
  static Scope shared_table(const Scope& model) {
    return first_with("weight", {model / "word_embeddings", model.graph().root() / "lm_head",
                                 model / "encoder.word_embeddings", model / "decoder.word_embeddings"});
  }

  /// The table of a side's tokens: the shared one, or since version 5 one of its own where that is saved as well.
  Scope table(const Scope& model, const char* side) const {
    const Scope own = model / side / "word_embeddings";
    model.graph().unused((model / "*word_embeddings.weight").path());
    if (c.is_recent && own.has("weight")) return own;
    return shared_table(model);
  }

  Value encode(const Scope& model, const Value& ids, const Value& mask) const {
    const Scope s = model / "encoder";
    const Value words = embedding(table(model, "encoder"), ids, {.count = c.vocab, .width = c.width}).in(s);
    const Value x = norm(s / "embeddings_layer_norm", words + positions(s, range(size_of(ids, 1)), c.padding + 1), {});
    const TransformerLayer form{.feed_forward_at = "feed_forward",
                                .attention = attention_of(c.encoder.heads),
                                .feed_forward = feed_forward_of(c.encoder.inner),
                                .attention_branch = {Placement::after, {}, "self_attn_layer_norm"},
                                .feed_forward_branch = {Placement::after, {}, "feed_forward_layer_norm"}};
    const Value read = transformer_layers(
        s / "layers", x, {c.encoder.layers, [&](int64_t) { return form; }, "encoder_"}, {.mask = mask});
    return s.graph().mark("encoder_hidden_states." + std::to_string(c.encoder.layers), read);
  }

  /// The main stream's vectors, and those of the first stream that predicts: f[batch, n, width].
  struct Decoded {
    Value main, first;
  };
  /// Without an encoder's mask and result, by itself.
  Decoded decode(const Scope& model, const DecoderStep& step, Cache& cache, bool attends) const {
    const Scope s = model / "decoder";
    Graph& g = s.graph();
    if (!attends) g.unused((s / "layers.*.cross_attn*").path());
    Value x = norm(s / "embeddings_layer_norm", embed(model, step, cache), {});
    const NgramStep form = ngram_step(s / "streams", step.ids, cache.past_length(), step.mask, c.ngram);
    const AttentionBlock cross = attention_of(c.decoder.heads);
    Attended given{.cache = &cache, .encoder = {step.encoder_hidden, step.encoder_mask}};
    for (given.layer = 0; given.layer < c.decoder.layers; ++given.layer) {
      const Scope layer = s / "layers" / given.layer;
      x = residual(layer, x, {Placement::after, {}, "self_attn_layer_norm"}, [&](const Value& h) {
        return ngram_attention(layer / "self_attn", h, form, c.ngram, cache, given.layer);
      });
      if (attends) {
        x = residual(layer, x, {Placement::after, {}, "cross_attn_layer_norm"},
                     [&](const Value& h) { return attend_over(layer / "cross_attn", h, cross, given); });
      }
      x = residual(layer, x, {Placement::after, {}, "feed_forward_layer_norm"}, [&](const Value& h) {
        return feed_forward(layer / "feed_forward", h, feed_forward_of(c.decoder.inner));
      });
    }
    const Value length = size_of(step.ids, 1);
    const Value streams = reshape(x, {0, 1 + c.ngram.streams, -1, c.width});
    g.mark("last_hidden_state_ngram", from_row(x, 1, length));
    return {pick(streams, 1, 0), pick(streams, 1, 1)};
  }

 private:
  AttentionBlock attention_of(int64_t heads) const {
    return {
        .heads = heads,
        .head_size = c.width / heads,
        .projections = {
            .query = "query_proj", .key = "key_proj", .value = "value_proj", .output = "out_proj", .bias = all_biased}};
  }
  FeedForward feed_forward_of(int64_t inner) const {
    return {.inner = inner, .activation = c.activation, .up = "intermediate", .down = "output", .bias = true};
  }

  // places: i64[n], from 0 -> f[n, width]
  Value positions(const Scope& s, const Value& places, int64_t offset) const {
    return embedding(s / "position_embeddings", places + s.graph().integer(offset),
                     {.count = c.positions, .width = c.width});
  }

  // The main stream's tokens; the others have a vector of their own at each of the places that they predict.
  Value embed(const Scope& model, const DecoderStep& step, const Cache& cache) const {
    const Scope s = model / "decoder";
    Graph& g = s.graph();
    const Value words = embedding(table(model, "decoder"), step.ids, {.count = c.vocab, .width = c.width}).in(s);
    const Value places = decoder_places(step, cache).in(s);
    std::vector<Value> streams{words + positions(s, places, c.padding + 1)};
    const Value ahead = positions(s, places, c.padding + 2);
    const Value kinds = (s / "ngram_embeddings").weight("weight", {c.ngram.streams, c.width});
    for (int64_t i = 0; i < c.ngram.streams; ++i) {
      const int64_t kind = i == 0 ? c.ngram.streams - 1 : i - 1;
      streams.push_back(g.op("Expand", {ahead + pick(kinds, 0, kind), shape_of(streams[0], 0, 3)}));
    }
    return concat(streams, 1);
  }

  const ProphetNetConfig c;
};

/// Behind a past a step is one token: the streams that predict mix the numbers of all tokens of a step, so that several
/// at once give something else, and the original takes no more. Source: ProphetNetNgramSelfAttention.forward.
std::vector<AxisSize> one_token(const char* of_step) {
  return {{.axis = of_step, .usual = 1, .minimum = 1, .maximum = 1}};
}

/// The words of a vector.
Value words(const Transformer& model, const Scope& base, const Value& x) {
  const TiedLinear head{base.graph().root() / "lm_head", Transformer::shared_table(base), model.config().tied};
  return linear(head, x, {.out = model.config().vocab, .bias = false});
}

class ProphetNetOnnxConfig final : public OnnxSeq2SeqConfigWithPast {
 public:
  explicit ProphetNetOnnxConfig(const Request& request)
      : OnnxSeq2SeqConfigWithPast(request), model(request.config), c(model.config()) {
    if (!c.has_cross_attention) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'add_cross_attention' is false; a decoder that does not read the encoder is exported "
                  "by the feature causal-lm");
    }
  }

  std::string base_model_prefix() const override { return "prophetnet"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return c.decoder.layers; }
  int64_t num_attention_heads() const override { return c.decoder.heads; }
  int64_t head_size() const override { return c.width / c.decoder.heads; }
  int64_t vocab_size() const override { return c.vocab; }
  int64_t encoder_width() const override { return c.width; }
  bool has_usual_cache() const override { return c.encoder.heads == c.decoder.heads; }
  int64_t max_positions() const override { return c.longest(); }
  std::vector<AxisSize> axis_sizes() const override {
    return use_past() && task() != "default" ? one_token(axis::decoder_sequence) : std::vector<AxisSize>{};
  }

  Value encode(Graph& g, const Inputs& in) const override {
    return model.encode(base(g), in.at("input_ids"), in.at("attention_mask"));
  }
  Value decode(Graph& g, const DecoderStep& step, Cache& cache) const override {
    const Transformer::Decoded decoded = model.decode(base(g), step, cache, true);
    return task() == "default" ? decoded.main : decoded.first;
  }
  Heads heads() const override {
    return {head::hidden_states(), head::logits("seq2seq-lm", [this](const Encoded& at) {
              return words(model, base(at.hidden.graph()), at.hidden);
            })};
  }

 private:
  Scope base(Graph& g) const { return task() == "default" ? g.root() : g.root() / "prophetnet"; }

  const Transformer model;
  const ProphetNetConfig& c;
};

/// The decoder by itself, as a language model.
class ProphetNetDecoderOnnxConfig final : public OnnxConfigWithPast {
 public:
  explicit ProphetNetDecoderOnnxConfig(const Request& request)
      : OnnxConfigWithPast(request, Positions::sequence), model(request.config), c(model.config()) {}

  std::string base_model_prefix() const override { return "prophetnet"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return c.decoder.layers; }
  int64_t num_attention_heads() const override { return c.decoder.heads; }
  int64_t head_size() const override { return c.width / c.decoder.heads; }
  int64_t max_positions() const override { return c.longest(); }
  std::vector<AxisSize> axis_sizes() const override {
    return use_past() ? one_token(axis::sequence) : std::vector<AxisSize>{};
  }
  std::vector<TensorSpec> inputs() const override { return text_inputs(c.vocab, c.positions); }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope base = g.root() / "prophetnet";
    Cache cache = cache_of(in);
    const Value predicted =
        model.decode(base, {in.at("input_ids"), in.at("attention_mask"), {}, {}}, cache, false).first;
    return with_present({{"logits", words(model, base, predicted)}}, cache);
  }

 private:
  const Transformer model;
  const ProphetNetConfig& c;
};

std::unique_ptr<OnnxConfig> make_prophetnet(const Request& request) {
  if (request.feature.starts_with("causal-lm")) return make<ProphetNetDecoderOnnxConfig>(request);
  return make<ProphetNetOnnxConfig>(request);
}

}  // namespace
}  // namespace prophetnet

ONNXPORT_PLUGIN({
    .id = "org.onnxport.prophetnet",
    .name = "ProphetNet",
    .models = {{.types = {"prophetnet"},
                .features = {"default", "default-with-past", "seq2seq-lm", "seq2seq-lm-with-past", "causal-lm",
                             "causal-lm-with-past"},
                .make = prophetnet::make_prophetnet}},
})
