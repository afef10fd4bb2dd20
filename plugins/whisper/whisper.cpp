// SPDX-License-Identifier: Apache-2.0
// Whisper: half a minute of speech to text. Source: WhisperModel, WhisperForConditionalGeneration, WhisperForCausalLM
// and WhisperForAudioClassification, transformers 4.30, 4.57 and 5.24; VoxtralEncoder, transformers 4.57 and 5.24.
#include "config.hpp"
#include "encoder.hpp"

using namespace whisper;
using namespace onnxport::family;

namespace {

/// The two sides, each a module of its own.
struct Transformer {
  explicit Transformer(const Request& request) : c(request.config.with_names(bart_names)) {}
  const WhisperConfig c;

  TensorSpec features() const { return encoder().features(); }
  SpeechEncoder encoder() const { return {c.mels, c.width, c.encoder_layers, c.source_positions, c.encoder}; }

  // By itself, without an encoder's result or a cache that holds what was made of one, it attends to itself only.
  enum class Beside { encoder, nothing };
  // -> f32[batch, decoder_sequence, width]
  Value decode(const Scope& s, const DecoderStep& step, Cache& cache, Beside beside) const {
    Graph& g = s.graph();
    const bool alone = beside == Beside::nothing;
    if (alone) g.unused((s / "layers.*.encoder_attn*").path());
    const Value places = decoder_places(step, cache);
    if (c.tied) g.stand_in(s / "embed_tokens", g.root() / "proj_out");
    Value x = embedding(s / "embed_tokens", step.ids, {c.vocab, c.width}) +
              embedding(s / "embed_positions", places, {c.target_positions, c.width});
    const TransformerLayer form = alone ? bart_layer(c.decoder, true) : bart_layer_over_encoder(c.decoder);
    const std::string side = alone ? "" : "decoder_";
    x = transformer_layers(s / "layers", x, {c.decoder_layers, [&](int64_t) { return form; }, side},
                           {.mask = step.mask, .cache = &cache, .encoder = {step.encoder_hidden}});
    return g.mark(side + "hidden_states." + std::to_string(c.decoder_layers), norm(s / "layer_norm", x, {}));
  }

  Value words(const Scope& base, const Value& decoded) const {
    const TiedLinear head{base.graph().root() / "proj_out", base / "decoder.embed_tokens", c.tied};
    return linear(head, decoded, {.out = c.vocab, .bias = false});
  }
};

/// Encoder and decoder.
class WhisperOnnxConfig final : public OnnxSeq2SeqConfigWithPast {
 public:
  explicit WhisperOnnxConfig(const Request& request)
      : OnnxSeq2SeqConfigWithPast(request, PositionsAreAChoice{}), model(request), c(model.c) {}

  std::string base_model_prefix() const override { return "model"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return c.decoder_layers; }
  int64_t num_attention_heads() const override { return c.decoder.heads; }
  int64_t head_size() const override { return c.width / c.decoder.heads; }
  int64_t vocab_size() const override { return c.vocab; }
  int64_t encoder_width() const override { return c.width; }
  bool has_usual_cache() const override { return c.encoder.heads == c.decoder.heads; }
  int64_t max_positions() const override { return c.target_positions; }
  std::vector<AxisSize> axis_sizes() const override {
    return {{.axis = axis::encoder_sequence, .usual = c.source_positions}};
  }

  /// Source: WhisperOnnxConfig, transformers 4.30.
  std::vector<TensorSpec> encoder_inputs() const override { return {model.features()}; }
  Dim encoder_length() const override { return c.source_positions; }
  bool takes_decoder_mask() const override { return false; }

  Value encode(Graph& g, const Inputs& in) const override {
    return model.encoder()(base(g) / "encoder", in.at("input_features")).hidden;
  }
  Value decode(Graph& g, const DecoderStep& step, Cache& cache) const override {
    return model.decode(base(g) / "decoder", step, cache, Transformer::Beside::encoder);
  }
  Heads heads() const override {
    return {head::hidden_states(), head::logits("speech2seq-lm", [this](const Encoded& at) {
              return model.words(base(at.hidden.graph()), at.hidden);
            })};
  }

 private:
  Scope base(Graph& g) const { return task() == "default" ? g.root() : g.root() / "model"; }

  const Transformer model;
  const WhisperConfig& c;
};

/// The decoder by itself, as a language model.
class WhisperDecoderOnnxConfig final : public OnnxConfigWithPast {
 public:
  explicit WhisperDecoderOnnxConfig(const Request& request)
      : OnnxConfigWithPast(request, Positions::sequence), model(request), c(model.c) {}

  std::string base_model_prefix() const override { return "model"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return c.decoder_layers; }
  int64_t num_attention_heads() const override { return c.decoder.heads; }
  int64_t head_size() const override { return c.width / c.decoder.heads; }
  // A config's number of heads is the encoder's.
  bool has_usual_cache() const override { return c.encoder.heads == c.decoder.heads; }
  int64_t max_positions() const override { return c.target_positions; }
  std::vector<TensorSpec> inputs() const override { return text_inputs(c.vocab, c.target_positions); }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope base = g.root() / "model";
    Cache cache = cache_of(in);
    const DecoderStep step{in.at("input_ids"), in.at("attention_mask"), {}, {}};
    const Value decoded = model.decode(base / "decoder", step, cache, Transformer::Beside::nothing);
    return with_present(head_for_feature().outputs({base, decoded, in}), cache);
  }
  Heads heads() const override {
    return {head::logits("causal-lm", [this](const Encoded& at) { return model.words(at.base, at.hidden); })};
  }

 private:
  const Transformer model;
  const WhisperConfig& c;
};

/// The encoder with a classifier.
class WhisperEncoderOnnxConfig final : public OnnxConfig {
 public:
  explicit WhisperEncoderOnnxConfig(const Request& request) : OnnxConfig(request), model(request), c(model.c) {}

  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {model.features()}; }
  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope root = g.root();
    const SpeechEncoder::Encoding made = model.encoder()(root / "encoder", in.at("input_features"));
    const Value read = c.sums_layers ? shares_of_layers(root, made.layers) : made.hidden;
    const Value pooled = mean(linear(root / "projector", read, {.out = c.projected}), {1});
    return {{"logits", linear(root / "classifier", pooled, {.out = c.labels})}};
  }

 private:
  // What each of the layers read and yielded, f[batch, n, width], by learnt shares that sum up to 1.
  static Value shares_of_layers(const Scope& root, const std::vector<Value>& layers) {
    const Value shares = softmax(root.weight("layer_weights", {static_cast<int64_t>(layers.size())}));
    std::vector<Value> stacked;
    for (const Value& layer : layers) stacked.push_back(unsqueeze(layer.in(root), {1}));
    return sum(concat(stacked, 1) * reshape(shares, {-1, 1, 1}), {1});
  }

  const Transformer model;
  const WhisperConfig& c;
};

/// Voxtral's encoder, which is Whisper's by itself.
class VoxtralEncoderOnnxConfig final : public OnnxConfig {
 public:
  explicit VoxtralEncoderOnnxConfig(const Request& request)
      : OnnxConfig(request), encoder(encoder_of(request.config.with_names(bart_names))) {
    // The class computes a scale of the embeddings and does not use it; the vocabulary is another model's.
    request.config.no_effect({"scale_embedding", "vocab_size", "layerdrop", "init_std", "encoder_layerdrop"});
  }

  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {encoder.features()}; }
  std::vector<OutputSpec> outputs() const override { return {{"last_hidden_state", {{0, axis::batch}}}}; }
  Outputs forward(Graph& g, const Inputs& in) const override {
    return {{"last_hidden_state", encoder(g.root(), in.at("input_features")).hidden}};
  }

 private:
  static SpeechEncoder encoder_of(const Config& c) {
    const int64_t width = c.size("d_model", 1280), heads = c.size("encoder_attention_heads", 20);
    require_multiple({"hidden_size", width}, {"num_attention_heads", heads});
    return {.mels = c.size("num_mel_bins", 128),
            .width = width,
            .layers = c.count("encoder_layers", 32),
            .positions = c.size("max_source_positions", 1500),
            .layer = {.width = width,
                      .heads = heads,
                      .inner = c.with_names({{"encoder_ffn_dim", "intermediate_size"}}).size("encoder_ffn_dim", 5120),
                      .activation = c.text("activation_function", "gelu"),
                      .bias = {.query = true, .key = false, .value = true, .output = true}}};
  }

  const SpeechEncoder encoder;
};

std::unique_ptr<OnnxConfig> make_whisper(const Request& request) {
  if (request.feature.starts_with("causal-lm")) return make<WhisperDecoderOnnxConfig>(request);
  if (request.feature == "audio-classification") return make<WhisperEncoderOnnxConfig>(request);
  return make<WhisperOnnxConfig>(request);
}

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.whisper",
    .name = "Whisper",
    .models = {{.types = {"whisper"},
                .features = {"default", "default-with-past", "speech2seq-lm", "speech2seq-lm-with-past", "causal-lm",
                             "causal-lm-with-past", "audio-classification"},
                .make = make_whisper},
               {.types = {"voxtral_encoder"}, .features = {"default"}, .make = make<VoxtralEncoderOnnxConfig>}},
})
