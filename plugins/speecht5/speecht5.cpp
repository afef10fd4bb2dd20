// SPDX-License-Identifier: Apache-2.0
// SpeechT5: speech to text, and text to a spectrogram. Source: SpeechT5ForSpeechToText and SpeechT5ForTextToSpeech,
// transformers 4.30, 4.57 and 5.24.
#include "transformer.hpp"

using namespace speecht5;
using namespace onnxport::family;

namespace {

constexpr const char* samples = "samples";
constexpr const char* frames = "frames";

/// Speech to text.
class SpeechToText final : public OnnxSeq2SeqConfigWithPast {
 public:
  explicit SpeechToText(const Request& request)
      : OnnxSeq2SeqConfigWithPast(request), model(request.config), c(model.c) {}

  std::string base_model_prefix() const override { return "speecht5"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return c.decoder.layers; }
  int64_t num_attention_heads() const override { return c.decoder.heads; }
  int64_t head_size() const override { return c.hidden / c.decoder.heads; }
  bool has_usual_cache() const override { return c.encoder.heads == c.decoder.heads; }
  int64_t vocab_size() const override { return c.vocab; }
  int64_t encoder_width() const override { return c.hidden; }
  std::vector<AxisSize> axis_sizes() const override {
    return {{.axis = samples,
             .usual = length_before(12, c.front.windows()),
             .minimum = length_before(1, c.front.windows())}};
  }

  std::vector<TensorSpec> encoder_inputs() const override {
    return {input::waveform("input_values", {axis::batch, samples}),
            input::mask("attention_mask", {axis::batch, samples}, {.of = "input_values"})};
  }
  bool takes_decoder_mask() const override { return false; }
  /// A recording's samples are followed by padding. Of too few samples, places are counted from the last one back.
  Value mask_of_result(const Value& mask, const Value& length) const override {
    Graph& g = mask.graph();
    const Value counted = length_behind(sum(mask, {1}), c.front.windows());
    const Value is_none = g.op("Less", {counted, g.integer(1)});
    return mask_of_lengths(where(is_none, counted + length, counted), length);
  }

  Value encode(Graph& g, const Inputs& in) const override {
    const Scope s = base(g) / "encoder", prenet = s / "prenet";
    g.unused((prenet / "masked_spec_embed").path());
    Value x = front_end(prenet / "feature_encoder", in.at("input_values").in(prenet), c.front).in(prenet);
    const Scope projection = prenet / "feature_projection";
    x = linear(projection / "projection", norm(projection / "layer_norm", x, model.norm_form()), {.out = c.hidden})
            .in(prenet);
    const Value mask = mask_of_result(in.at("attention_mask"), size_of(x, 1));
    const Value around = positional_convolution(prenet / "pos_conv_embed", transpose(x, {0, 2, 1}), c.around);
    x = x + transpose(around.in(prenet), {0, 2, 1});
    // The original numbers what it finds no padding token in, where the text is 0 for a place that counts and 1 for
    // one of padding.
    x = x + counted_sinusoids(prenet / "pos_sinusoidal_embed", g.integer(1) - mask, {c.hidden, c.padding});
    return model.encode(s / "wrapped_encoder", x, mask);
  }

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
  const SpeechT5Config& c;
};

/// Text to a spectrogram. What the net before the decoder drops by chance, generating as well, is drawn by the caller.
class TextToSpeech final : public OnnxConfig {
 public:
  explicit TextToSpeech(const Request& request) : OnnxConfig(request), model(request.config), c(model.c) {
    if (c.dropped >= 1)
      throw Error(ONNXPORT_CONFIG, "config field 'speech_decoder_prenet_dropout' is 1 or more; expected less");
  }

  std::string base_model_prefix() const override { return "speecht5"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return c.text_positions; }
  std::vector<AxisSize> axis_sizes() const override {
    return {{.axis = axis::decoder_sequence, .usual = 7, .minimum = 1, .maximum = c.speech_positions},
            {.axis = frames, .usual = 12, .minimum = 1}};
  }

  std::vector<TensorSpec> inputs() const override {
    std::vector<TensorSpec> specs = text_inputs();
    specs.push_back(input::features("decoder_input_values", {axis::batch, axis::decoder_sequence, c.mels}));
    specs.push_back(input::features("speaker_embeddings", {axis::batch, c.voice}));
    specs.push_back({kept, DType::boolean, {c.prenet.layers, axis::decoder_sequence, c.prenet.units}});
    return specs;
  }
  std::vector<OutputSpec> outputs() const override { return {{"spectrogram", {{0, axis::batch}, {1, frames}}}}; }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope s = base(g) / "decoder";
    Cache cache(in, over_encoder(), false);
    const Value made = model.decode(s / "wrapped_decoder", read_speech(s / "prenet", in),
                                    {.cache = &cache, .encoder = {encode(g, in), in.at("attention_mask")}});
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
             text_inputs(),
             {{"encoder_outputs", {{0, axis::batch}, {1, axis::encoder_sequence}}}},
             [this](Graph& g, const Inputs& in) -> Outputs {
               return {{"encoder_outputs", encode(g, in)}};
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
      for (const char* kind : {".encoder.key", ".encoder.value"}) all.push_back(cached(std::to_string(i) + kind, shape));
    }
    return all;
  }

  std::vector<TensorSpec> text_inputs() const {
    const std::vector<Dim> shape{axis::batch, axis::encoder_sequence};
    return {input::ids("input_ids", shape, c.vocab), input::mask("attention_mask", shape, {.of = "input_ids"})};
  }

  // Places by sines and cosines, and a learnt factor of them. Source: SpeechT5ScaledPositionalEncoding.
  Value place(const Scope& s, const Value& x) const {
    const Value places = paired_sinusoids(range(size_of(x, 1)).in(s), c.hidden);
    return x + (places * s.weight("alpha", {})).in(s.parent());
  }

  // -> f[batch, encoder_sequence, hidden]
  Value encode(Graph& g, const Inputs& in) const {
    const Scope s = base(g) / "encoder", prenet = s / "prenet";
    const Value x = embedding(prenet / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    return model.encode(s / "wrapped_encoder", place(prenet / "encode_positions", x), in.at("attention_mask"));
  }

  // The spectrogram so far, in a voice -> f[batch, decoder_sequence, hidden]
  Value read_speech(const Scope& s, const Inputs& in) const {
    Graph& g = s.graph();
    Value x = in.at("decoder_input_values").in(s);
    for (int64_t i = 0; i < c.prenet.layers; ++i) {
      x = relu(linear(s / "layers" / i, x, {.out = c.prenet.units}));
      x = where(pick(in.at(kept), 0, i), x, g.scalar(0)) / (1 - c.dropped);
    }
    x = place(s / "encode_positions", linear(s / "final_layer", x, {.out = c.hidden}));
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
  const SpeechT5Config& c;
};

std::unique_ptr<OnnxConfig> make_speecht5(const Request& request) {
  if (request.feature == "text-to-audio") return make<TextToSpeech>(request);
  return make<SpeechToText>(request);
}

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.speecht5",
    .name = "SpeechT5",
    .models = {{.types = {"speecht5"},
                .features = {"speech2seq-lm", "speech2seq-lm-with-past", "text-to-audio"},
                .architectures = {{"SpeechT5ForSpeechToText", "speech2seq-lm"},
                                  {"SpeechT5ForTextToSpeech", "text-to-audio"}},
                .known_gaps = {{.architecture = "SpeechT5ForSpeechToSpeech",
                                .reason = "speech into another voice is not defined"},
                               {.architecture = "SpeechT5Model",
                                .reason = "the model between vectors that something else makes is not defined"}},
                .make = make_speecht5}},
})
