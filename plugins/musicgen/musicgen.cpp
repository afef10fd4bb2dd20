// SPDX-License-Identifier: Apache-2.0
// MusicGen: an encoder of texts, a decoder that says the codes of several codebooks at once, and a codec that makes
// sound of them. Source: MusicgenForConditionalGeneration, transformers 4.57 and 5.24.
#include <cmath>

#include <onnxport/component.hpp>
#include <onnxport/families/bart.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/sinusoids.hpp>

using namespace onnxport::family;

namespace {

struct MusicgenConfig {
  explicit MusicgenConfig(const Config& all) : MusicgenConfig(all, all.section("decoder")) {}
  int64_t vocab, width, layers, heads, inner, codebooks;
  std::string activation;
  int64_t text_width;
  std::optional<int64_t> cross_width;

  bool is_projected() const { return text_width != width && !cross_width; }

 private:
  MusicgenConfig(const Config& all, const Config& c)
      : vocab(c.size("vocab_size", 2048)),
        width(c.size("hidden_size", 1024)),
        layers(c.count("num_hidden_layers", 24)),
        heads(c.size("num_attention_heads", 16)),
        inner(c.size("ffn_dim", 4096)),
        codebooks(c.size("num_codebooks", 4)),
        activation(c.text("activation_function", "gelu")),
        text_width(width_of(all.section("text_encoder"))),
        cross_width(c.maybe_integer("cross_attention_hidden_size")) {
    require_multiple({"decoder.hidden_size", width}, {"num_attention_heads", heads});
    all.no_effect({"initializer_factor"});
  }
  static int64_t width_of(const Config& text) {
    return text.has("d_model") ? text.size("d_model") : text.size("hidden_size", 768);
  }
};

class Musicgen final : public OnnxSeq2SeqConfigWithPast {
 public:
  explicit Musicgen(const Request& request)
      : OnnxSeq2SeqConfigWithPast(request),
        c(request.config),
        text(request.config.section("text_encoder"), {.model_type = type_in(request.config, "text_encoder", "t5")}),
        codec(request.config.section("audio_encoder"),
              {.model_type = type_in(request.config, "audio_encoder", "encodec")}),
        text_part(has_decoder(text.part()) ? "encoder" : ""),
        reads(text.part(text_part)),
        sounds(codec.part("decoder")) {}

  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.width / c.heads; }
  int64_t vocab_size() const override { return reads.input("input_ids")->limit; }
  int64_t decoder_vocab_size() const override { return c.vocab + 1; }
  int64_t encoder_width() const override { return c.text_width; }
  bool takes_decoder_mask() const override { return false; }
  std::vector<AxisSize> axis_sizes() const override { return sounds.axes; }

  std::vector<TensorSpec> inputs() const override { return by_codebook(OnnxSeq2SeqConfigWithPast::inputs()); }

  Value encode(Graph& g, const Inputs& in) const override {
    Inputs given;
    for (const char* name : {"input_ids", "attention_mask"}) given.emplace(name, in.at(name));
    const ComponentCall call{text_part, "text_encoder", "encoder_", {{"", "text_encoder."}}, {"last_hidden_state"}};
    return text(g, call, given).at("last_hidden_state");
  }

  /// -> the scores of every codebook: f32[batch·codebooks, decoder_sequence, vocab]
  Value decode(Graph& g, const DecoderStep& step, Cache& cache) const override {
    const Scope s = g.root() / "decoder.model.decoder";
    const Value ids = reshape(step.ids, concat({g.integers({-1, c.codebooks}), shape_of(step.ids, 1, 2)}, 0));
    Value x;
    for (int64_t i = 0; i < c.codebooks; ++i) {
      const Value words = embedding(s / "embed_tokens" / i, pick(ids, 1, i), {c.vocab + 1, c.width}).in(s);
      x = x ? x + words : words;
    }
    x = x + places(s / "embed_positions", decoder_places(step, cache)).in(s);
    const TransformerLayer layer = bart_layer_over_encoder(
        {.width = c.width, .heads = c.heads, .inner = c.inner, .activation = c.activation, .bias = {}});
    const auto form = [&](int64_t) {
      TransformerLayer made = layer;
      made.feed_forward.bias = false;
      return made;
    };
    x = transformer_layers(s / "layers", x, {c.layers, form, "decoder_"},
                           {.cache = &cache, .encoder = {seen(g, step), step.encoder_mask}});
    x = norm(s / "layer_norm", x, {});
    std::vector<Value> scores;
    for (int64_t i = 0; i < c.codebooks; ++i)
      scores.push_back(unsqueeze(linear(g.root() / "decoder.lm_heads" / i, x, {.out = c.vocab, .bias = false}), {1}));
    const Value all = concat(scores, 1);
    return reshape(all, concat({g.integers({-1}), shape_of(all, 2, 4)}, 0));
  }

  Heads heads() const override {
    return {head::logits("text-to-audio", [](const Encoded& at) { return at.hidden; })};
  }

  /// As transformers.js and optimum load them.
  std::vector<Part> parts() const override {
    std::vector<Part> all = OnnxSeq2SeqConfigWithPast::parts();
    all.front().name = "text_encoder";
    for (Part& part : all) {
      if (part.name != "text_encoder") part.inputs = by_codebook(std::move(part.inputs));
    }
    const auto decodes = [this](Graph& g, const Inputs& in) -> Outputs {
      g.unused("audio_encoder.encoder.*");  // what makes codes of a sound, which no part is given
      const ComponentCall call{"decoder", "audio_encoder", "audio_", {{"", "audio_encoder."}}, {"audio_values"}};
      return {{"audio_values", codec(g, call, in).at("audio_values")}};
    };
    all.push_back({"encodec_decode", sounds.inputs, sounds.outputs, decodes});
    return all;
  }

 protected:
  std::vector<OutputSpec> decoder_outputs() const override {
    return {{"logits", {{0, rows()}, {1, axis::decoder_sequence}}}};
  }

 private:
  static std::string type_in(const Config& c, const char* section, const char* otherwise) {
    return c.section(section).has("model_type") ? "" : otherwise;
  }
  /// Whether the type is read as a whole model, of which the encoder is one part.
  static bool has_decoder(const ComponentPart& whole) {
    const auto parts = whole.texts.find("parts");
    return parts != whole.texts.end() && parts->second.starts_with("encoder");
  }
  /// The codebooks of a text stand one behind the other along the batch.
  std::string rows() const { return c.codebooks == 1 ? axis::batch : std::to_string(c.codebooks) + "*" + axis::batch; }
  std::vector<TensorSpec> by_codebook(std::vector<TensorSpec> specs) const {
    for (TensorSpec& spec : specs) {
      const bool codes = spec.role == Role::ids && spec.shape.at(1).symbol == decoder_axis();
      if (codes) spec.shape[0] = Dim(rows());
    }
    return specs;
  }

  /// What the decoder sees of the text, padding as zeros; absent in a cached step.
  Value seen(Graph& g, const DecoderStep& step) const {
    Value hidden = step.encoder_hidden;
    if (!hidden) return hidden;
    if (c.is_projected()) hidden = linear(g.root() / "enc_to_dec_proj", hidden, {.out = c.width});
    return step.encoder_mask ? hidden * unsqueeze(cast(step.encoder_mask, DType::f32), {2}) : hidden;
  }

  /// Cosines, then sines: i64[n] -> f32[n, width].
  Value places(const Scope& s, const Value& at) const {
    const std::vector<double> frequencies = frequencies_to_last(c.width);
    Graph& g = s.graph();
    const Value turns = unsqueeze(cast(at.in(s), DType::f32), {1}) *
                        g.constant<float>(DType::f32, {static_cast<int64_t>(frequencies.size())},
                                          std::vector<float>(frequencies.begin(), frequencies.end()));
    return concat({g.op("Cos", {turns}), g.op("Sin", {turns})}, -1);
  }

  const MusicgenConfig c;
  const Component text, codec;
  const std::string text_part;
  const ComponentPart reads, sounds;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.musicgen",
    .name = "MusicGen",
    .models = {{.types = {"musicgen"},
                .features = {"text-to-audio", "text-to-audio-with-past"},
                .architectures = {{"MusicgenForConditionalGeneration", "text-to-audio"}},
                .make = make<Musicgen>}},
    .abi_minor_needed = 4,
})
