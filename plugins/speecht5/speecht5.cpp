// SPDX-License-Identifier: Apache-2.0
// SpeechT5: speech to text, and text or speech to a spectrogram. Source: SpeechT5ForSpeechToText,
// SpeechT5ForTextToSpeech and SpeechT5ForSpeechToSpeech, transformers 4.30, 4.57 and 5.24.
#include <onnxport/white_noise.hpp>

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
    if (c.tied) g.stand_in(prenet / "embed_tokens", g.root() / "text_decoder_postnet.lm_head");
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
/// generating as well, follows from its place here, or is an input.
class ToSpeech final : public OnnxConfig {
 public:
  explicit ToSpeech(const Request& request)
      : OnnxConfig(request),
        model(request.config),
        text{model},
        speech{model},
        c(model.c),
        given_(noise_is_given(request)) {
    if (c.dropped >= 1)
      throw Error(ONNXPORT_CONFIG, "config field 'speech_decoder_prenet_dropout' is 1 or more; expected less");
  }

  std::string base_model_prefix() const override { return "speecht5"; }
  double atol_for_validation() const override { return 1e-4; }
  /// Whole numbers of many digits.
  std::vector<std::string> keep_in_fp32() const override { return {noise}; }
  int64_t max_positions() const override { return reads_text() ? c.text_positions : 0; }
  std::vector<AxisSize> axis_sizes() const override {
    std::vector<AxisSize> sizes{
        {.axis = axis::decoder_sequence, .usual = 7, .minimum = 1, .maximum = c.speech_positions},
        {.axis = frames, .usual = 12, .minimum = 1}};
    if (!reads_text()) sizes.push_back(speech.size());
    return sizes;
  }

  std::vector<TensorSpec> inputs() const override {
    std::vector<TensorSpec> specs = encoder_inputs();
    for (TensorSpec& spec : speech_so_far("decoder_input_values")) specs.push_back(std::move(spec));
    return specs;
  }
  std::vector<OutputSpec> outputs() const override { return {{"spectrogram", {{0, axis::batch}, {1, frames}}}}; }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Value made = decode(g, {in.at("decoder_input_values"), in}, encode(g, in));
    g.unused("speech_decoder_postnet.prob_out*");
    if (g.wants("prob")) g.mark("prob", reshape(ends(made), {0, -1}));
    return {{"spectrogram", mend(g, reshape(frames_of(made), {0, -1, c.mels}))}};
  }

  /// The encoder, a step of the decoder over the whole of a spectrogram so far, and what mends it in the end.
  std::vector<Part> parts() const override {
    return {
        {"encoder",
         encoder_inputs(),
         {{"encoder_outputs", {{0, axis::batch}, {1, axis::encoder_sequence}}}},
         [this](Graph& g, const Inputs& in) -> Outputs {
           return {{"encoder_outputs", encode(g, in).hidden}};
         }},
        {"decoder",
         step_inputs(),
         {{"output_sequence_out", {{0, axis::batch}}}, {"spectrum", {{0, axis::batch}}}, {"prob", {{0, axis::batch}}}},
         [this](Graph& g, const Inputs& in) { return step(g, in); }},
        {"postnet",
         {input::features("spectrum", {axis::batch, frames, c.mels})},
         {{"spectrogram", {{0, axis::batch}, {1, frames}}}},
         [this](Graph& g, const Inputs& in) -> Outputs {
           return {{"spectrogram", mend(g, in.at("spectrum"))}};
         }}};
  }

 private:
  static constexpr const char *kept = "prenet_dropout_mask", *noise = "noise";

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

  // The spectrogram so far, in whose voice, and where that is given, what is not dropped by chance.
  std::vector<TensorSpec> speech_so_far(const char* name) const {
    std::vector<TensorSpec> specs{input::features(name, {axis::batch, axis::decoder_sequence, c.mels}),
                                  input::features("speaker_embeddings", {axis::batch, c.voice})};
    if (given_) specs.push_back({kept, DType::boolean, {c.prenet.layers, axis::decoder_sequence, c.prenet.units}});
    return specs;
  }
  // Which numbers a layer keeps, in every row the same: b[n, units], for a length (i64 scalar).
  Value kept_by(const Inputs& in, int64_t layer, const Value& length) const {
    if (given_) return pick(in.at(kept), 0, layer);
    Graph& g = length.graph();
    const Value places = squeeze(places_of({g.integer(1), c.prenet.units, length.in(g.root() / noise)}), {0});
    const Value drawn = transpose(even_noise(places, layer), {1, 0});
    return g.op("GreaterOrEqual", {drawn, g.scalar(c.dropped)});
  }
  std::vector<TensorSpec> step_inputs() const {
    std::vector<TensorSpec> specs = speech_so_far("output_sequence");
    specs.push_back(input::hidden("encoder_hidden_states", {axis::batch, axis::encoder_sequence, c.hidden},
                                  {.of = "encoder_outputs"}));
    specs.push_back(input::mask("encoder_attention_mask", encoder_inputs().at(1).shape, {.of = "encoder_outputs"}));
    return specs;
  }
  // Frames behind those that there are, and whether each is the last. Source: _generate_speech, transformers 4.57.
  Outputs step(Graph& g, const Inputs& in) const {
    const Value hidden = in.at("encoder_hidden_states"), mask = in.at("encoder_attention_mask"),
                so_far = in.at("output_sequence");
    const Reading source{hidden, reads_text() ? mask : speech.mask_of_result(mask, size_of(hidden, 1))};
    const Value last = slice(decode(g, {so_far, in}, source), {1, -1});
    const Value spectrum = reshape(frames_of(last), {0, c.reduction, c.mels});
    return {{"output_sequence_out", concat({so_far, slice(spectrum, {1, -1})}, 1)},
            {"spectrum", spectrum},
            {"prob", reshape(ends(last), {0, c.reduction})}};
  }

  /// A spectrogram, and the inputs that tell how it is read.
  struct Spectrogram {
    Value so_far;
    const Inputs& in;
  };
  // -> f[batch, decoder_sequence, hidden]
  Value decode(Graph& g, const Spectrogram& made, const Reading& source) const {
    const Scope s = base(g) / "decoder";
    Cache cache({}, over_encoder(), false);
    return model.decode(s / "wrapped_decoder", read_speech(s / "prenet", made),
                        {.cache = &cache, .encoder = {source.hidden, source.mask}});
  }
  // Of what the decoder yields: several frames for each place, before they are mended, and that each is the last.
  Value frames_of(const Value& made) const {
    const Scope s = made.graph().root() / "speech_decoder_postnet";
    return linear(s / "feat_out", made, {.out = c.mels * c.reduction});
  }
  Value ends(const Value& made) const {
    const Scope s = made.graph().root() / "speech_decoder_postnet";
    return sigmoid(linear(s / "prob_out", made, {.out = c.reduction}));
  }

  // The spectrogram so far, in a voice -> f[batch, decoder_sequence, hidden]
  Value read_speech(const Scope& s, const Spectrogram& made) const {
    Graph& g = s.graph();
    const Inputs& in = made.in;
    Value x = made.so_far.in(s);
    const Value length = size_of(x, 1);
    for (int64_t i = 0; i < c.prenet.layers; ++i) {
      x = relu(linear(s / "layers" / i, x, {.out = c.prenet.units}));
      x = where(kept_by(in, i, length).in(s), x, g.scalar(0)) / (1 - c.dropped);
    }
    x = with_places(s / "encode_positions", linear(s / "final_layer", x, {.out = c.hidden}));
    const Value voice = in.at("speaker_embeddings").in(s);
    const Value loudness =
        g.op("Max", {g.op("ReduceL2", {voice}, {{"axes", {-1}}, {"keepdims", true}}), g.scalar(1e-12)});
    const Value each =
        unsqueeze(voice / loudness, {1}) * unsqueeze(cast(range(size_of(x, 1)), DType::f32) * 0.0 + 1.0, {0, 2});
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
  const bool given_;  // what is dropped
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
