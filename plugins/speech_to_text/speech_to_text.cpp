// SPDX-License-Identifier: Apache-2.0
// Speech2Text: a spectrogram of any length to text, in the same language or another. Source: Speech2TextModel and
// Speech2TextForConditionalGeneration, transformers 4.30, 4.57 and 5.24.
#include <onnxport/families/bart.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/selection.hpp>
#include <onnxport/sinusoids.hpp>

using namespace onnxport::family;

namespace {

constexpr const char* frames = "frames";

struct Speech2TextConfig {
  explicit Speech2TextConfig(const Config& c)
      : vocab(c.size("vocab_size", 10000)),
        width(c.size("d_model", 256)),
        encoder_layers(c.count("encoder_layers", 12)),
        decoder_layers(c.count("decoder_layers", 6)),
        features(c.size("input_feat_per_channel", 80) * c.size("input_channels", 1)),
        channels(c.size("conv_channels", 1024)),
        kernels(c.has("conv_kernel_sizes") ? c.integers("conv_kernel_sizes") : std::vector<int64_t>{5, 5}),
        padding(c.integer("pad_token_id", 1)),
        scale(c.boolean("scale_embedding", true) ? std::sqrt(static_cast<double>(width)) : 1.0),
        tied(c.tie(true)) {
    require_equal({"num_conv_layers", c.size("num_conv_layers", 2)},
                  {"the number of conv_kernel_sizes", static_cast<int64_t>(kernels.size())});
    require_multiple({"conv_channels", channels}, {"the halves of a gate", 2});
    require_multiple({"d_model", width}, {"the sines and cosines of a position", 2});
    const std::string activation = c.text("activation_function", "relu");
    const auto side = [&](const char* heads, const char* inner) {
      const BartLayer layer{
          .width = width, .heads = c.size(heads, 4), .inner = c.size(inner, 2048), .activation = activation};
      require_multiple({"d_model", width}, {heads, layer.heads});
      return layer;
    };
    encoder = side("encoder_attention_heads", "encoder_ffn_dim");
    decoder = side("decoder_attention_heads", "decoder_ffn_dim");
    // The tables of positions grow with what they are asked for.
    c.no_effect({"max_source_positions", "max_target_positions", "num_hidden_layers", "init_std", "encoder_layerdrop",
                 "decoder_layerdrop"});
  }

  int64_t vocab, width;
  int64_t encoder_layers, decoder_layers;
  BartLayer encoder{}, decoder{};
  int64_t features, channels;
  std::vector<int64_t> kernels;  // of the convolutions that shorten a recording, each by half
  int64_t padding;
  double scale;
  Tie tied;
};

class Speech2TextOnnxConfig final : public OnnxSeq2SeqConfigWithPast {
 public:
  explicit Speech2TextOnnxConfig(const Request& request)
      : OnnxSeq2SeqConfigWithPast(request), c(request.config.with_names(bart_names)) {}

  std::string base_model_prefix() const override { return "model"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return c.decoder_layers; }
  int64_t num_attention_heads() const override { return c.decoder.heads; }
  int64_t head_size() const override { return c.width / c.decoder.heads; }
  bool has_usual_cache() const override { return c.encoder.heads == c.decoder.heads; }
  int64_t vocab_size() const override { return c.vocab; }
  int64_t encoder_width() const override { return c.width; }
  std::vector<AxisSize> axis_sizes() const override { return {{.axis = frames, .usual = 50, .minimum = 1}}; }

  std::vector<TensorSpec> encoder_inputs() const override {
    return {input::features("input_features", {axis::batch, frames, c.features}),
            input::mask("attention_mask", {axis::batch, frames}, {.of = "input_features"})};
  }
  bool takes_decoder_mask() const override { return false; }
  /// A recording's frames are followed by padding: its places are as many as its frames leave. One of padding alone is
  /// taken for a whole one, as the original does.
  Value mask_of_result(const Value& mask, const Value& length) const override {
    Graph& g = mask.graph();
    const Value one = g.integer(1), two = g.integer(2);
    Value count = g.op("ReduceSum", {mask}, {{"axes", {1}}, {"keepdims", 1}});
    const Value is_empty = equal(count, 0);
    for (size_t i = 0; i < c.kernels.size(); ++i) count = g.op("Div", {count + one, two});
    return cast(g.op("Less", {range(length), where(is_empty, length, count)}), DType::i64);
  }

  Value encode(Graph& g, const Inputs& in) const override {
    const Scope s = base(g) / "encoder";
    Value x = shorten(s / "conv", in.at("input_features")).in(s);
    if (c.scale != 1.0) x = x * c.scale;
    const Value mask = mask_of_result(in.at("attention_mask"), size_of(x, 1));
    // The original numbers what it finds no padding token in, where the text is 0 for a place that counts and 1 for
    // one of padding.
    x = x + counted_sinusoids(s / "embed_positions", g.integer(1) - mask, {c.width, c.padding});
    x = transformer_layers(s / "layers", x,
                           {c.encoder_layers, [this](int64_t) { return bart_layer(c.encoder); }, "encoder_"},
                           {.mask = mask});
    return g.mark("encoder_hidden_states." + std::to_string(c.encoder_layers), norm(s / "layer_norm", x, {}));
  }

  Value decode(Graph& g, const DecoderStep& step, Cache& cache) const override {
    const Scope s = base(g) / "decoder";
    if (c.tied) g.stand_in(s / "embed_tokens", g.root() / "lm_head");
    Value x = embedding(s / "embed_tokens", step.ids, {c.vocab, c.width});
    if (c.scale != 1.0) x = x * c.scale;
    x = x + counted_sinusoids(s / "embed_positions", step.ids, {c.width, c.padding, cache.past_length()});
    x = transformer_layers(
        s / "layers", x, {c.decoder_layers, [this](int64_t) { return bart_layer_over_encoder(c.decoder); }, "decoder_"},
        {.mask = step.mask, .cache = &cache, .encoder = {step.encoder_hidden, step.encoder_mask}});
    return g.mark("decoder_hidden_states." + std::to_string(c.decoder_layers), norm(s / "layer_norm", x, {}));
  }

  Heads heads() const override {
    return {head::hidden_states(), head::logits("speech2seq-lm", [this](const Encoded& at) {
              Graph& g = at.hidden.graph();
              const TiedLinear head{g.root() / "lm_head", base(g) / "decoder.embed_tokens", c.tied};
              return linear(head, at.hidden, {.out = c.vocab, .bias = false});
            })};
  }

 private:
  Scope base(Graph& g) const { return task() == "default" ? g.root() : g.root() / "model"; }

  // Convolutions with gates: f32[batch, frames, features] -> f32[batch, encoder_sequence, width]
  Value shorten(const Scope& s, const Value& features) const {
    Value x = transpose(features.in(s), {0, 2, 1});
    for (size_t i = 0; i < c.kernels.size(); ++i) {
      const bool is_last = i + 1 == c.kernels.size();
      const int64_t kernel = c.kernels[i];
      x = glu(conv1d(s / "conv_layers" / static_cast<int64_t>(i), x,
                     {.out = is_last ? 2 * c.width : c.channels, .kernel = kernel, .stride = 2, .padding = kernel / 2}),
              1);
    }
    return transpose(x, {0, 2, 1});
  }

  const Speech2TextConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.speech-to-text",
    .name = "Speech2Text",
    .models = {{.types = {"speech_to_text"},
                .features = {"default", "default-with-past", "speech2seq-lm", "speech2seq-lm-with-past"},
                .make = make<Speech2TextOnnxConfig>}},
})
