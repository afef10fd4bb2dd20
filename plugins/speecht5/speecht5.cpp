// SPDX-License-Identifier: Apache-2.0
// SpeechT5: speech to text, and text or speech to a spectrogram. Source: SpeechT5ForSpeechToText,
// SpeechT5ForTextToSpeech and SpeechT5ForSpeechToSpeech, transformers 4.30, 4.57 and 5.24.
#include "encoders.hpp"

using namespace speecht5;
using namespace onnxport::family;

namespace {

constexpr const char* frames = "frames";

/// Speech to text.
class SpeechToText final : public OnnxSeq2SeqConfigWithPast {
 public:
  explicit SpeechToText(const Request& request)
      : OnnxSeq2SeqConfigWithPast(request), model(request.config), speech{model}, c(model.c) {}

  std::string base_model_prefix() const override { return "speecht5"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return c.decoder.layers; }
  int64_t num_attention_heads() const override { return c.decoder.heads; }
  int64_t head_size() const override { return c.hidden / c.decoder.heads; }
  bool has_usual_cache() const override { return c.encoder.heads == c.decoder.heads; }
  int64_t vocab_size() const override { return c.vocab; }
  int64_t encoder_width() const override { return c.hidden; }
  std::vector<AxisSize> axis_sizes() const override { return {speech.size()}; }

  std::vector<TensorSpec> encoder_inputs() const override { return speech.inputs(); }
  bool takes_decoder_mask() const override { return false; }
  Value mask_of_result(const Value& mask, const Value& length) const override {
    return speech.mask_of_result(mask, length);
  }
  Value encode(Graph& g, const Inputs& in) const override { return speech.encode(base(g) / "encoder", in).hidden; }

  Value decode(Graph& g, const DecoderStep& step, Cache& cache) const override {
    const Scope s = base(g) / "decoder", prenet = s / "prenet";
    Value x = embedding(prenet / "embed_tokens", step.ids, {c.vocab, c.hidden});
    if (c.scale != 1.0) x = x * c.scale;
    x = x + counted_sinusoids(prenet / "embed_positions", step.ids, {c.hidden, c.padding, cache.past_length()});
    return model.decode(s / "wrapped_decoder", x,
                        {.mask = step.mask, .cache = &cache, .encoder = {step.encoder_hidden, step.encoder_mask}});
  }

  Heads heads() const override {
    return {head::logits("speech2seq-lm", [this](const Encoded& at) {
      Graph& g = at.hidden.graph();
      const TiedLinear head{g.root() / "text_decoder_postnet.lm_head", base(g) / "decoder.prenet.embed_tokens", c.tied};
      return linear(head, at.hidden, {.out = c.vocab, .bias = false});
    })};
  }

 private:
  static Scope base(Graph& g) { return g.root() / "speecht5"; }

  const Transformer model;
  const SpeechReader speech;
  const SpeechT5Config& c;
};

/// Text to a spectrogram, or speech to one in another voice. What the net before the decoder drops by chance,
/// generating as well, is drawn by the caller.
class ToSpeech final : public OnnxConfig {
 public:
  explicit ToSpeech(const Request& request)
      : OnnxConfig(request), model(request.config), text{model}, speech{model}, c(model.c) {
    if (c.dropped >= 1)
      throw Error(ONNXPORT_CONFIG, "config field 'speech_decoder_prenet_dropout' is 1 or more; expected less");
  }

  std::string base_model_prefix() const override { return "speecht5"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return reads_text() ? c.text_positions : 0; }
  std::vector<AxisSize> axis_sizes() const override {
    return {speech.size(),
            {.axis = axis::decoder_sequence, .usual = 7, .minimum = 1, .maximum = c.speech_positions},
            {.axis = frames, .usual = 12, .minimum = 1}};
  }

  std::vector<TensorSpec> inputs() const override {
    std::vector<TensorSpec> specs = encoder_inputs();
    specs.push_back(input::features("decoder_input_values", {axis::batch, axis::decoder_sequence, c.mels}));
    specs.push_back(input::features("speaker_embeddings", {axis::batch, c.voice}));
    specs.push_back({kept, DType::boolean, {c.prenet.layers, axis::decoder_sequence, c.prenet.units}});
    return specs;
  }
  std::vector<OutputSpec> outputs() const override { return {{"spectrogram", {{0, axis::batch}, {1, frames}}}}; }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope s = base(g) / "decoder";
    const Reading source = encode(g, in);
    Cache cache(in, over_encoder(), false);
    const Value made = model.decode(s / "wrapped_decoder", read_speech(s / "prenet", in),
                                    {.cache = &cache, .encoder = {source.hidden, source.mask}});
    const Scope postnet = g.root() / "speech_decoder_postnet";
    g.unused((postnet / "prob_out*").path());
    if (g.wants("prob"))  // that the text ends with a frame
      g.mark("prob", reshape(sigmoid(linear(postnet / "prob_out", made, {.out = c.reduction})), {0, -1}));
    const Value rough = linear(postnet / "feat_out", made, {.out = c.mels * c.reduction});
    return {{"spectrogram", mend(g, reshape(rough, {0, -1, c.mels}))}};
  }

  /// The encoder, and what mends a spectrogram.
  std::vector<Part> parts() const override {
    return {{"encoder",
             encoder_inputs(),
             {{"encoder_outputs", {{0, axis::batch}, {1, axis::encoder_sequence}}}},
             [this](Graph& g, const Inputs& in) -> Outputs {
               return {{"encoder_outputs", encode(g, in).hidden}};
             }},
            {"postnet",
             {input::features("spectrum", {axis::batch, frames, c.mels})},
             {{"spectrogram", {{0, axis::batch}, {1, frames}}}},
             [this](Graph& g, const Inputs& in) -> Outputs {
               return {{"spectrogram", mend(g, in.at("spectrum"))}};
             }}};
  }

 private:
  static constexpr const char* kept = "prenet_dropout_mask";

  static Scope base(Graph& g) { return g.root() / "speecht5"; }

  // What each of the decoder's layers makes of the encoder's result.
  std::vector<State> over_encoder() const {
    const std::vector<Dim> shape{axis::batch, c.decoder.heads, axis::encoder_sequence, c.hidden / c.decoder.heads};
    std::vector<State> all;
    for (int64_t i = 0; i < c.decoder.layers; ++i) {
      for (const char* kind : {".encoder.key", ".encoder.value"})
        all.push_back(cached(std::to_string(i) + kind, shape));
    }
    return all;
  }

  bool reads_text() const { return task() == "text-to-audio"; }
  std::vector<TensorSpec> encoder_inputs() const { return reads_text() ? text.inputs() : speech.inputs(); }
  Reading encode(Graph& g, const Inputs& in) const {
    const Scope s = base(g) / "encoder";
    return reads_text() ? text.encode(s, in) : speech.encode(s, in);
  }

  // The spectrogram so far, in a voice -> f[batch, decoder_sequence, hidden]
  Value read_speech(const Scope& s, const Inputs& in) const {
    Graph& g = s.graph();
    Value x = in.at("decoder_input_values").in(s);
    for (int64_t i = 0; i < c.prenet.layers; ++i) {
      x = relu(linear(s / "layers" / i, x, {.out = c.prenet.units}));
      x = where(pick(in.at(kept), 0, i), x, g.scalar(0)) / (1 - c.dropped);
    }
    x = with_places(s / "encode_positions", linear(s / "final_layer", x, {.out = c.hidden}));
    const Value voice = in.at("speaker_embeddings").in(s);
    const Value length =
        g.op("Max", {g.op("ReduceL2", {voice}, {{"axes", {-1}}, {"keepdims", true}}), g.scalar(1e-12)});
    const Value each =
        unsqueeze(voice / length, {1}) * unsqueeze(cast(range(size_of(x, 1)), DType::f32) * 0.0 + 1.0, {0, 2});
    return relu(linear(s / "speaker_embeds_layer", concat({x, each}, 2), {.out = c.hidden}));
  }

  // f[batch, frames, mels] -> the same. Source: SpeechT5SpeechDecoderPostnet.postnet.
  Value mend(Graph& g, const Value& spectrum) const {
    const Scope s = g.root() / "speech_decoder_postnet";
    Value x = transpose(spectrum.in(s), {0, 2, 1});
    for (int64_t i = 0; i < c.postnet.layers; ++i) {
      const bool is_last = i + 1 == c.postnet.layers;
      const Scope layer = s / "layers" / i;
      x = batch_norm(layer / "batch_norm", conv1d(layer / "conv", x,
                                                  {.out = is_last ? c.mels : c.postnet.units,
                                                   .kernel = c.kernel,
                                                   .padding = (c.kernel - 1) / 2,
                                                   .bias = false}));
      if (!is_last) x = tanh(x);
    }
    return spectrum + transpose(x.in(s), {0, 2, 1});
  }

  const Transformer model;
  const TextReader text;
  const SpeechReader speech;
  const SpeechT5Config& c;
};

std::unique_ptr<OnnxConfig> make_speecht5(const Request& request) {
  if (request.feature.starts_with("speech2seq-lm")) return make<SpeechToText>(request);
  return make<ToSpeech>(request);
}

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.speecht5",
    .name = "SpeechT5",
    .models = {{.types = {"speecht5"},
                .features = {"speech2seq-lm", "speech2seq-lm-with-past", "text-to-audio", "audio-to-audio"},
                .architectures = {{"SpeechT5ForSpeechToText", "speech2seq-lm"},
                                  {"SpeechT5ForTextToSpeech", "text-to-audio"},
                                  {"SpeechT5ForSpeechToSpeech", "audio-to-audio"}},
                .known_gaps = {{.architecture = "SpeechT5Model",
                                .reason = "the model between vectors that something else makes is not defined"}},
                .make = make_speecht5}},
})
