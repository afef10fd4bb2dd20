// SPDX-License-Identifier: Apache-2.0
// VITS, a text as speech: an encoder of the text, how long each token sounds, flows and a vocoder. Source: VitsModel,
// transformers 4.57 and 5.24 (modeling_vits.py).
//
// What the original draws by chance, standard normal, where the config scales it by more than 0, follows from its place
// here, or is an input.
#include <onnxport/white_noise.hpp>

#include "durations.hpp"

namespace vits {
namespace {

class VitsOnnxConfig final : public OnnxConfig {
 public:
  explicit VitsOnnxConfig(const Request& request)
      : OnnxConfig(request), c(request.config), durations(c), given_(noise_is_given(request)) {}

  double atol_for_validation() const override { return 1e-4; }
  /// A duration is rounded up to whole frames, so that the least error moves all that is behind it.
  std::vector<std::string> keep_in_fp32() const override { return {"text_encoder", "duration_predictor", "noise"}; }

  /// Where noise is given: duration_noise f32[batch, 2, sequence] and noise f32[batch, flow size, noise_frames], which
  /// starts over where there are more frames; speaker_id i64[batch] of a model of several.
  std::vector<TensorSpec> inputs() const override {
    const std::vector<Dim> shape{axis::batch, axis::sequence};
    std::vector<TensorSpec> specs{input::ids("input_ids", shape, c.vocab),
                                  input::mask("attention_mask", shape, {.of = "input_ids"})};
    if (c.has_speakers()) specs.push_back({.name = "speaker_id", .shape = {axis::batch}, .limit = c.speakers});
    if (given_ && c.duration_noise != 0)
      specs.push_back({.name = "duration_noise", .dtype = DType::f32, .shape = {axis::batch, 2, axis::sequence}});
    if (given_ && c.noise != 0)
      specs.push_back({.name = "noise", .dtype = DType::f32, .shape = {axis::batch, c.latent, "noise_frames"}});
    return specs;
  }
  /// waveform f32[batch, samples] and the latent that it was made of, f32[batch, flow size, frames].
  std::vector<OutputSpec> outputs() const override {
    return {{"waveform", {{0, axis::batch}, {1, "samples"}}}, {"spectrogram", {{0, axis::batch}, {2, "frames"}}}};
  }
  std::vector<AxisSize> axis_sizes() const override {
    if (!given_ || c.noise == 0) return {};
    return {{.axis = "noise_frames", .usual = 64, .minimum = 1}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope root = g.root();
    g.unused("posterior_encoder.*");
    if (!c.has_speakers()) {
      for (const char* conditioned : {"decoder.cond.*", "duration_predictor.cond.*", "flow.*.cond_layer.*"})
        g.unused(conditioned);
    }
    const Value mask = unsqueeze(cast(in.at("attention_mask"), DType::f32), {1});  // f[batch, 1, tokens]
    const Text text = encode(root / "text_encoder", in, mask);
    Value speaker;
    if (c.has_speakers()) {
      speaker = unsqueeze(
          embedding(root / "embed_speaker", in.at("speaker_id"), {.count = c.speakers, .width = c.speaker_width}), {2});
    }

    const Value ids = in.at("input_ids");
    Value drawn;
    if (c.duration_noise != 0) {
      drawn = given_ ? in.at("duration_noise") : noise(0, {size_of(ids, 0), 2, size_of(ids, 1)});
      drawn = drawn * c.duration_noise;
    }
    const Value logarithm = durations.logarithms(root / "duration_predictor", text.hidden, mask, speaker, drawn);
    const Value duration = squeeze(g.op("Ceil", {exp(logarithm) * mask * (1 / c.rate)}), {1});
    const Value lengths = cast(g.op("Max", {sum(duration, {1}), g.scalar(1)}), DType::i64);  // i64[batch]
    g.mark("sequence_lengths", lengths * g.integer(c.vocoder.hop()));
    const Value frames = range(largest(lengths, {0}));
    const Value counts =
        unsqueeze(cast(g.op("Less", {frames, unsqueeze(lengths, {1})}), DType::f32), {1});  // f[batch, 1, frames]

    // A frame is of the first token whose end lies behind it.
    const Value ends = unsqueeze(cumulative_sum(duration, 1), {2});
    const Value ended =
        g.op("LessOrEqual", {ends, unsqueeze(cast(frames, DType::f32), {0})});  // b[batch, tokens, frames]
    const Value token = sum(cast(ended, DType::i64), {1}), last = size_of(duration, 1) - g.integer(1);
    const Value is_spoken = unsqueeze(cast(g.op("LessOrEqual", {token, last}), DType::f32), {2});
    const Value places = unsqueeze(g.op("Min", {token, last}), {2});
    const auto of_frames = [&](const Value& prior) {
      return transpose(g.op("GatherND", {prior, places}, {{"batch_dims", 1}}) * is_spoken, {0, 2, 1});
    };
    Value latents = of_frames(text.means);
    if (c.noise != 0) {
      const Value around =
          given_ ? again(in.at("noise"), frames) : noise(1, {size_of(ids, 0), c.latent, size_of(frames, 0)});
      latents = latents + around * exp(of_frames(text.log_variances)) * c.noise;
    }

    for (int64_t i = c.flows; i > 0; --i)
      latents = turn(root / "flow.flows" / (i - 1), flip(latents, 1), counts, speaker);
    const Value spectrogram = latents * counts;
    return {{"waveform", vocode(root / "decoder", spectrogram, speaker)}, {"spectrogram", spectrogram}};
  }

 private:
  // f[rows, width, columns]; the durations' has another series than the frames'.
  static Value noise(int64_t series, const NoiseGrid& grid) {
    Graph& g = grid.rows.graph();
    return normal_noise(places_of(grid).in(g.root() / "noise"), series).in(g.root());
  }
  // Noise that starts over where there are more frames: f[batch, latent, frames].
  static Value again(const Value& noise, const Value& frames) {
    return gather(noise, noise.graph().op("Mod", {frames, size_of(noise, 2)}), 2);
  }

  /// What the encoder tells of each token: f[batch, width, tokens], f[batch, tokens, flow size].
  struct Text {
    Value hidden, means, log_variances;
  };
  Text encode(const Scope& s, const Inputs& in, const Value& mask) const {
    const Value keep = transpose(mask, {0, 2, 1});
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {.count = c.vocab, .width = c.width}) *
              std::sqrt(static_cast<double>(c.width)) * keep;
    const Value bias = attention_mask(in.at("attention_mask"));
    const Value near = c.window > 0 ? distances(size_of(x, 1)) : Value();
    for (int64_t i = 0; i < c.layers; ++i) {
      const Scope layer = s / "encoder.layers" / i;
      x = norm(layer / "layer_norm", x.in(layer) + attend(layer / "attention", x, bias, near), {.epsilon = c.epsilon});
      x = norm(layer / "final_layer_norm", x + feed(layer / "feed_forward", x, mask), {.epsilon = c.epsilon});
    }
    const Value hidden = transpose((x * keep).in(s), {0, 2, 1});
    const Value told = transpose(conv1d(s / "project", hidden, {.out = 2 * c.latent}), {0, 2, 1}) * keep;
    const std::vector<Value> parts = split(told, 2, {c.latent, c.latent});
    return {hidden, parts[0], parts[1]};
  }

  // Which of the distances that are told each pair has, if any: f[n, n, 2·window + 1], for a length (i64 scalar).
  Value distances(const Value& length) const {
    Graph& g = length.graph();
    const Value places = range(length);
    const Value apart = unsqueeze(places, {0}) - unsqueeze(places, {1}) + g.integer(c.window);
    return one_hot(apart, 2 * c.window + 1);
  }

  // Distances up to a window add to the scores and to what is found. Source: VitsAttention.
  Value attend(const Scope& s, const Value& x, const Value& bias, const Value& near) const {
    const LinearOptions form{.out = c.width, .bias = c.bias};
    const int64_t size = c.width / c.heads;
    const auto heads = [&](const char* name) { return split_heads(linear(s / name, x, form), c.heads); };
    const auto table = [&](const char* name) { return squeeze(s.weight(name, {1, 2 * c.window + 1, size}), {0}); };
    const Value query = heads("q_proj") * (1 / std::sqrt(static_cast<double>(size)));
    Value scores = matmul(query, transpose(heads("k_proj"), {0, 1, 3, 2}));
    if (near) scores = scores + einsum("bhik,ijk->bhij", {matmul(query, transpose(table("emb_rel_k"), {1, 0})), near});
    const Value shares = softmax(scores + bias);
    Value found = matmul(shares, heads("v_proj"));
    if (near) found = found + matmul(einsum("bhij,ijk->bhik", {shares, near}), table("emb_rel_v"));
    return linear(s / "out_proj", merge_heads(found), form);
  }

  Value feed(const Scope& s, const Value& x, const Value& mask) const {
    const int64_t kernel = c.inner_kernel;
    const auto conv = [&](const char* name, const Value& h, int64_t out) {
      return conv1d(s / name, h * mask,
                    {.out = out, .kernel = kernel, .padding = (kernel - 1) / 2, .padding_behind = kernel / 2});
    };
    const Value h = activation(conv("conv_1", transpose(x, {0, 2, 1}), c.inner), c.activation);
    return transpose(conv("conv_2", h, c.width) * mask, {0, 2, 1});
  }

  // The second half without what the first one tells of it. Source: VitsResidualCouplingLayer.
  Value turn(const Scope& s, const Value& latents, const Value& mask, const Value& speaker) const {
    const int64_t half = c.latent / 2;
    const std::vector<Value> halves = split(latents, 1, {half, half});
    const Value read = conv1d(s / "conv_pre", halves[0], {.out = c.width}) * mask;
    const Value mean = conv1d(s / "conv_post", wavenet(s / "wavenet", read, mask, speaker), {.out = half}) * mask;
    return concat({halves[0].in(s), (halves[1].in(s)-mean) * mask}, 1);
  }

  Value wavenet(const Scope& s, Value x, const Value& mask, const Value& speaker) const {
    const int64_t layers = c.wavenet.layers, kernel = c.wavenet.kernel, both = 2 * c.width;
    const auto conv = [](const Scope& at, const Value& of, Conv1dOptions options) {
      options.weight = weight_norm(at, {options.out, of.fixed(1), options.kernel});
      return conv1d(at, of, options);
    };
    const Value told = speaker ? conv(s / "cond_layer", speaker, {.out = both * layers}) : Value();
    Value all;
    int64_t dilation = 1;
    for (int64_t i = 0; i < layers; ++i, dilation *= c.wavenet.dilation) {
      Value h = conv(s / "in_layers" / i, x,
                     {.out = both, .kernel = kernel, .padding = (kernel - 1) * dilation / 2, .dilation = dilation});
      if (told) h = h + slice(told, {1, i * both, (i + 1) * both});
      const std::vector<Value> halves = split(h, 1, {c.width, c.width});
      const bool is_last = i + 1 == layers;
      const Value made =
          conv(s / "res_skip_layers" / i, tanh(halves[0]) * sigmoid(halves[1]), {.out = is_last ? c.width : both});
      Value kept = made;
      if (!is_last) {
        const std::vector<Value> parts = split(made, 1, {c.width, c.width});
        x = (x + parts[0]) * mask;
        kept = parts[1];
      }
      all = all ? all + kept : kept;
    }
    return (all ? all * mask : x * 0.0).in(s.parent());
  }

  Value vocode(const Scope& s, const Value& spectrogram, const Value& speaker) const {
    Value x = hifi_gan_first(s, spectrogram, c.vocoder);
    if (speaker) x = x + conv1d(s / "cond", speaker, {.out = c.vocoder.widest});
    return hifi_gan_samples(s, x, c.vocoder);
  }

  const VitsConfig c;
  const Durations durations;
  const bool given_;  // noise
};

}  // namespace
}  // namespace vits

ONNXPORT_PLUGIN({
    .id = "org.onnxport.vits",
    .name = "VITS",
    .models = {{.types = {"vits"},
                .features = {"text-to-audio"},
                .architectures = {{"VitsModel", "text-to-audio"}},
                .make = onnxport::sdk::make<vits::VitsOnnxConfig>}},
})
