// SPDX-License-Identifier: Apache-2.0
// Parakeet: a Fast Conformer over a spectrogram, eight times shortened, and characters of each of its places.
// Source: ParakeetEncoder and ParakeetForCTC, transformers 4.57 and 5.24.
#include <onnxport/audio_encoder.hpp>
#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/relative_shift.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/sinusoids.hpp>
#include <onnxport/vision.hpp>

using namespace onnxport::sdk;

namespace {

constexpr const char* time_axis = "frames";

struct ParakeetConfig {
  explicit ParakeetConfig(const Config& c)
      : hidden(c.size("hidden_size", 1024)),
        layers(c.count("num_hidden_layers", 24)),
        heads(c.size("num_attention_heads", 8)),
        head_size(c.size("head_dim", hidden / heads)),
        inner(c.size("intermediate_size", 4096)),
        activation(c.text("hidden_act", "silu")),
        attention_bias(c.boolean("attention_bias", true)),
        convolution_bias(c.boolean("convolution_bias", true)),
        kernel(c.size("conv_kernel_size", 9)),
        shortenings(static_cast<int64_t>(std::log2(c.size("subsampling_factor", 8)))),
        channels(c.size("subsampling_conv_channels", 256)),
        mels(c.size("num_mel_bins", 80)),
        window(c.size("subsampling_conv_kernel_size", 3)),
        step(c.size("subsampling_conv_stride", 2)),
        scale(c.boolean("scale_input", true) ? std::sqrt(static_cast<double>(hidden)) : 1.0) {
    if (!c.has("head_dim")) require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    require_multiple({"hidden_size", hidden}, {"the sines and cosines of a place", 2});
    require_at_most({"subsampling_factor, of at least one convolution,", 1}, {"its logarithm", shortenings});
    // The layer behind the convolutions is as wide as if each left exactly a part of the bins.
    int64_t bins = mels, parts = mels;
    for (int64_t i = 0; i < shortenings; ++i) {
      bins = (bins + 2 * border() - window) / step + 1;
      parts /= step;
    }
    require_equal({"num_mel_bins, behind the convolutions,", bins}, {"its part by their steps", parts});
    // As many keys as queries, whatever is stated; places are computed; and what is of training.
    c.no_effect({"num_key_value_heads", "max_position_embeddings", "dropout", "dropout_positions", "layerdrop",
                 "activation_dropout", "attention_dropout"});
  }
  int64_t border() const { return (window - 1) / 2; }

  int64_t hidden, layers;
  int64_t heads, head_size, inner;
  std::string activation;
  bool attention_bias, convolution_bias;
  int64_t kernel;
  int64_t shortenings, channels, mels, window, step;  // of the convolutions that shorten a spectrogram
  double scale;
};

class ParakeetOnnxConfig final : public AudioEncoder {
 public:
  explicit ParakeetOnnxConfig(const Request& request)
      : AudioEncoder(request),
        c(task() == "ctc" ? request.config.section("encoder_config") : request.config),
        vocab(request.config.integer("vocab_size", 1025)) {
    request.config.no_effect({"ctc_loss_reduction", "ctc_zero_infinity", "initializer_range"});
  }

  std::string base_model_prefix() const override { return "encoder"; }
  std::vector<AxisSize> axis_sizes() const override { return {{.axis = time_axis, .usual = 60, .minimum = 1}}; }
  std::vector<TensorSpec> inputs() const override {
    return {input::features("input_features", {axis::batch, time_axis, c.mels}),
            input::mask("attention_mask", {axis::batch, time_axis}, {.of = "input_features"})};
  }

 protected:
  AudioFeatures encode(const Scope& model, const Inputs& in) const override {
    Graph& g = model.graph();
    auto [x, mask] = shorten(model / "subsampling", in);
    if (c.scale != 1.0) x = x.in(model)*c.scale;
    const Value length = size_of(x, 1);
    const Surroundings around{
        .spread = {length, length},
        .mask = mask,
        .places = paired_sinusoids(distances({length, length}).in(model / "encode_positions"), c.hidden)};
    for (int64_t i = 0; i < c.layers; ++i) {
      g.mark("hidden_states." + std::to_string(i), x);
      x = block(model / "layers" / i, x, around, "attentions." + std::to_string(i));
    }
    return {.last = g.mark("hidden_states." + std::to_string(c.layers), x)};
  }

  Value words(const Scope& model, const AudioFeatures& made) const override {
    const Scope head = model.graph().root() / "ctc_head";
    return transpose(conv1d(head, transpose(made.last, {0, 2, 1}), {.out = vocab}), {0, 2, 1});
  }

 private:
  struct Shortened {
    Value x;     // f[batch, n, hidden]
    Value mask;  // i64[batch, n]
  };
  // Convolutions over bins and frames; of what is behind a recording's end nothing goes on to the next one.
  Shortened shorten(const Scope& s, const Inputs& in) const {
    Graph& g = s.graph();
    Value x = unsqueeze(in.at("input_features").in(s), {1});
    Value count = g.op("ReduceSum", {in.at("attention_mask")}, {{"axes", {1}}, {"keepdims", 1}});
    Value mask;
    const auto convolve = [&](int64_t layer, const ConvOptions& options) {
      x = conv2d(s / "layers" / layer, x, options);
      if (options.stride.height != 1 || !mask) {
        count = g.op("Div", {count + g.integer(2 * c.border() - c.window + c.step), g.integer(c.step)});
        mask = cast(g.op("Less", {range(size_of(x, 2)), count}), DType::i64);
      }
      x = x * unsqueeze(cast(mask, x.dtype()), {1, 3});
    };
    const ConvOptions shortening{.out = c.channels, .kernel = c.window, .stride = c.step, .padding = c.border()};
    convolve(0, shortening);
    x = relu(x);
    for (int64_t i = 1; i < c.shortenings; ++i) {
      ConvOptions each = shortening;
      each.groups = c.channels;
      convolve(3 * i - 1, each);
      convolve(3 * i, {.out = c.channels});
      x = relu(x);
    }
    const Value rows = reshape(transpose(x, {0, 2, 1, 3}), {0, 0, c.channels * x.fixed(3)});
    return {linear(s / "linear", rows, {.out = c.hidden}), mask};
  }

  /// What all layers are given.
  struct Surroundings {
    Spread spread;
    Value mask;    // i64[batch, n]
    Value places;  // f[2·n, hidden]
  };
  // A conformer: two halves of a feed-forward around attention and convolution.
  Value block(const Scope& s, Value x, const Surroundings& around, const std::string& probabilities) const {
    const FeedForward form{
        .inner = c.inner, .activation = c.activation, .up = "linear1", .down = "linear2", .bias = c.attention_bias};
    const auto feeds = [&](const char* name, const char* normed) {
      return residual(s, x, {.norm = {}, .name = normed, .scale = 0.5},
                      [&](const Value& h) { return feed_forward(s / name, h, form); });
    };
    x = feeds("feed_forward1", "norm_feed_forward1");
    x = residual(s, x, {.name = "norm_self_att"},
                 [&](const Value& h) { return attend(s / "self_attn", h, around, probabilities); });
    x = residual(s, x, {.name = "norm_conv"}, [&](const Value& h) { return convolve(s / "conv", h, around.mask); });
    x = feeds("feed_forward2", "norm_feed_forward2");
    return norm(s / "norm_out", x, {});
  }

  // Scores by content and by distance. A place behind the end attends to all alike, and nobody attends to it.
  Value attend(const Scope& s, const Value& x, const Surroundings& around, const std::string& probabilities) const {
    Graph& g = s.graph();
    constexpr double hidden_score = -65504;  // the lowest half; no score comes near it
    const int64_t width = c.heads * c.head_size;
    const bool bias = c.attention_bias;
    const AttentionBlock block{
        .heads = c.heads, .head_size = c.head_size, .projections = {.bias = {bias, bias, bias, bias}}};
    const QueryKeyValue made = project(s, x, block);
    const auto shifted = [&](const char* by) {
      return made.query + reshape(s.weight(by, {c.heads, c.head_size}), {width});
    };
    const Value keys = linear(s / "relative_k_proj", around.places, {.out = width, .bias = false});
    const Value by_distance =
        einsum("bhqd,phd->bhqp", {split_heads(shifted("bias_v"), c.heads), reshape(keys, {-1, c.heads, c.head_size})});
    const Value scores = relative_shift(by_distance, around.spread) / std::sqrt(static_cast<double>(c.head_size));
    const Value counts = cast(around.mask, DType::boolean);
    const Value both = g.op("And", {unsqueeze(counts, {1, 2}), unsqueeze(counts, {1, 3})});
    const Value query = shifted("bias_u") * unsqueeze(cast(around.mask, x.dtype()), {2});
    const Value mixed =
        attention(
            query, made.key, made.value,
            {.heads = c.heads, .bias = where(both, scores, g.scalar(hidden_score)), .probabilities = probabilities})
            .mixed;
    return linear(s / "o_proj", mixed, {.out = c.hidden, .bias = bias});
  }

  // Over the places around each, of which those behind the end are none.
  Value convolve(const Scope& s, const Value& x, const Value& mask) const {
    const auto pointwise = [&](const char* name, const Value& y, int64_t out) {
      return conv1d(s / name, y, {.out = out, .bias = c.convolution_bias});
    };
    Value y = glu(pointwise("pointwise_conv1", transpose(x.in(s), {0, 2, 1}), 2 * c.hidden), 1);
    y = y * unsqueeze(cast(mask, x.dtype()), {1});
    y = conv1d(s / "depthwise_conv", y,
               {.out = c.hidden,
                .kernel = c.kernel,
                .padding = (c.kernel - 1) / 2,
                .groups = c.hidden,
                .bias = c.convolution_bias});
    y = activation(batch_norm(s / "norm", y), c.activation);
    return transpose(pointwise("pointwise_conv2", y, c.hidden), {0, 2, 1});
  }

  const ParakeetConfig c;
  const int64_t vocab;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.parakeet",
    .name = "Parakeet",
    .models = {{.types = {"parakeet_ctc"}, .features = {"ctc"}, .make = make<ParakeetOnnxConfig>},
               {.types = {"parakeet_encoder"},
                .features = {"default"},
                .architectures = {{"ParakeetEncoder", "default"}},
                .make = make<ParakeetOnnxConfig>}},
})
