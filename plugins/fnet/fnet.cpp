// SPDX-License-Identifier: Apache-2.0
// FNet: BERT that mixes tokens and channels by a Fourier transform in place of attention, padding as well.
// Source: FNetModel and its heads, transformers 4.57 (modeling_fnet.py).
#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

class FNetOnnxConfig final : public BertTextEncoder {
 public:
  explicit FNetOnnxConfig(const Request& request)
      : BertTextEncoder(request, "fnet", {.vocab = 32000, .heads = 1, .segments = 4, .activation = "gelu_new"}) {
    // Other ways to the same transform.
    request.config.no_effect({"use_tpu_fourier_optimizations", "tpu_short_seq_length"});
  }

 private:
  TextEncoderTraits traits() const override {
    TextEncoderTraits t = BertTextEncoder::traits();
    t.masked = false;
    return t;
  }

  // Of two biases of the words that in the layer counts, as in RoBERTa.
  TextHeads text_heads() const override {
    TextHeads heads = BertTextEncoder::text_heads();
    heads.masked_lm->head.own_bias = true;
    return heads;
  }

  /// Cosines and sines of a transform of n entries.
  struct Waves {
    Value cosine, sine;
  };

  Value encode(const Scope& s, const Text& text) const override {
    Graph& g = s.graph();
    g.unused("*.dft_mat_*");
    const Scope embeddings = s / "embeddings";
    const Value x = linear(embeddings / "projection", embed(embeddings, text), {.out = bert.hidden});
    const Waves along = waves_of(size_of(text.ids, 1));
    const Value channels = waves_of_channels(g), tokens = concat({along.cosine, -along.sine}, 1);
    TransformerLayer layer = bert.layer();
    layer.attention_at = "fourier.self";
    layer.own_attention = [&](const Scope& module, const Value& h, const Attended&) {
      return mix(h.in(module), channels, tokens);
    };
    layer.attention_branch.name = "fourier.output.LayerNorm";
    return bert.encode(s / "encoder", x, {layer, {}});
  }

  // The real part of a transform over tokens and channels, with its cosines C and sines S: Cn x Ch - Sn x Sh.
  // channels: f32[hidden, 2·hidden], Ch beside Sh; tokens: f32[n, 2·n], Cn beside -Sn.
  Value mix(const Value& x, const Value& channels, const Value& tokens) const {
    const std::vector<Value> parts = split(matmul(x, channels), -1, {bert.hidden, bert.hidden});
    return matmul(tokens, concat(parts, 1));
  }

  // Of a length that only the run knows. A wave's place is taken within one turn while it is a whole number.
  static Waves waves_of(const Value& length) {
    Graph& g = length.graph();
    const Value places = range(length);
    const Value step = g.op("Mod", {unsqueeze(places, {1}) * unsqueeze(places, {0}), length});
    const Value turn = cast(step, DType::f32) / cast(length, DType::f32) * (2 * M_PI);
    return {g.op("Cos", {turn}), g.op("Sin", {turn})};
  }

  Value waves_of_channels(Graph& g) const {
    const int64_t n = bert.hidden;
    std::vector<float> waves(static_cast<size_t>(2 * n * n));
    for (int64_t row = 0; row < n; ++row) {
      for (int64_t column = 0; column < n; ++column) {
        const double turn = 2 * M_PI * static_cast<double>(row * column % n) / static_cast<double>(n);
        const auto place = static_cast<size_t>(2 * n * row + column);
        waves[place] = static_cast<float>(std::cos(turn));
        waves[place + static_cast<size_t>(n)] = static_cast<float>(std::sin(turn));
      }
    }
    return g.constant(DType::f32, {n, 2 * n}, waves);
  }
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.fnet",
    .name = "FNet",
    .models = {{.types = {"fnet"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification",
                             "multiple-choice", "question-answering", "pretraining", "next-sentence-prediction"},
                .make = make<FNetOnnxConfig>}},
})
