// SPDX-License-Identifier: Apache-2.0
// EnCodec: sound as the codes of quantisers, each of which codes what those before it left over. Source: EncodecModel,
// transformers 4.57 and 5.24 (modeling_encodec.py). Of a model that cuts sound into pieces, a graph takes one piece.
#include <algorithm>

#include <onnxport/codec_config.hpp>
#include <onnxport/families/seanet.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::family;

namespace {

struct EncodecConfig {
  explicit EncodecConfig(const Config& c)
      : net(Seanet{.lstm_layers = c.size("num_lstm_layers", 2)}.with(c)),
        codebook_size(c.size("codebook_size", 1024)),
        normalized(c.boolean("normalize", false)) {
    const std::string norm = c.choice("norm_type", "weight_norm", {"weight_norm", "time_group_norm"});
    net.norm = norm == "weight_norm" ? Seanet::ConvNorm::weight : Seanet::ConvNorm::group;
    require_equal({"codebook_dim", c.size("codebook_dim", net.width)}, {"hidden_size", net.width});
    quantizers = quantizers_of(c);
    if (c.has("chunk_length_s")) pieces = pieces_of(c);
    c.no_effect({"overlap"});
  }
  Seanet net;
  int64_t codebook_size;
  bool normalized;  // loudness is coded apart
  int64_t quantizers;
  /// In samples. Sound that is longer than a step is cut into pieces that overlap.
  struct Pieces {
    int64_t length = 0, step = 0;  // 0: it is never cut
  };
  Pieces pieces;

 private:
  // Source: EncodecConfig.chunk_length and chunk_stride, transformers 4.57.
  static Pieces pieces_of(const Config& c) {
    const auto length =
        static_cast<int64_t>(c.real("chunk_length_s", 0) * static_cast<double>(c.size("sampling_rate", 24000)));
    const auto step = static_cast<int64_t>((1.0 - c.real("overlap", 0)) * static_cast<double>(length));
    return {std::max<int64_t>(length, 1), std::max<int64_t>(step, 1)};
  }

  // As many as the widest band takes, at so many bits a frame. Source: EncodecConfig.num_quantizers, transformers 4.57.
  int64_t quantizers_of(const Config& c) const {
    const int64_t rate = c.size("sampling_rate", 24000), frames = (rate + net.hop() - 1) / net.hop();
    int64_t bits = 0;
    while ((int64_t{1} << bits) < codebook_size) ++bits;
    const std::vector<double> bands = c.reals("target_bandwidths");
    const double widest = bands.empty() ? 24.0 : bands.back();
    const auto count = static_cast<int64_t>(std::floor(1000 * widest / static_cast<double>(frames * bits)));
    if (count > 0) return count;
    throw Error(ONNXPORT_CONFIG, "config field 'target_bandwidths' ends in " + std::to_string(widest) +
                                     ", less than one quantiser of " + std::to_string(bits) + " bits at " +
                                     std::to_string(frames) + " frames a second takes");
  }
};

class EncodecOnnxConfig final : public OnnxCodecConfig {
 public:
  explicit EncodecOnnxConfig(const Request& request) : OnnxCodecConfig(request), c(request.config) {}

  double atol_for_validation() const override { return 1e-4; }
  int64_t audio_channels() const override { return c.net.audio_channels; }
  int64_t num_quantizers() const override { return c.quantizers; }
  int64_t hop_length() const override { return c.net.hop(); }

  /// audio_codes, whose first axis counts pieces of the sound, and how loud it is where that is coded apart.
  std::vector<TensorSpec> codes() const override {
    std::vector<TensorSpec> specs{
        {.name = "audio_codes", .shape = {1, axis::batch, axis::quantizers, axis::frames}, .limit = c.codebook_size}};
    if (c.normalized) specs.push_back({.name = "audio_scales", .dtype = DType::f32, .shape = {1, axis::batch, 1}});
    return specs;
  }

  std::vector<AxisSize> axis_sizes() const override {
    std::vector<AxisSize> sizes = OnnxCodecConfig::axis_sizes();
    if (c.pieces.step == 0) return sizes;
    const int64_t frames = (c.pieces.step + hop_length() - 1) / hop_length();
    for (AxisSize& size : sizes) {
      if (size.axis == axis::samples) size.maximum = c.pieces.step;
      if (size.axis == axis::frames) size.maximum = frames;
      if (size.maximum > 0) size.usual = std::min(size.usual, size.maximum);
    }
    return sizes;
  }

  /// The part `encoder` takes a piece as the original cuts it; the whole takes sound that is not cut.
  Outputs forward(Graph& g, const Inputs& in) const override {
    Inputs given = in;
    given["input_values"] = at_most(g.root() / "uncut", in.at("input_values"), c.pieces.step);
    return OnnxCodecConfig::forward(g, given);
  }

  Outputs encode(const Scope& root, const Value& signal) const override {
    Value x = at_most(root / "one_piece", signal, c.pieces.length), loudness;
    if (c.normalized) {
      const Value mono = mean(x, {1});
      loudness = sqrt(mean(mono * mono, {1})) + 1e-8;
      x = x / unsqueeze(loudness, {1, 2});
    }
    const Value hidden = seanet_encoder(root / "encoder", x, c.net);
    const Value codes = residual_codes(transpose(hidden, {0, 2, 1}), codebooks(root));
    Outputs outputs{{"audio_codes", unsqueeze(codes, {0})}};
    if (c.normalized) outputs.emplace_back("audio_scales", unsqueeze(loudness, {0, 2}));
    return outputs;
  }

  Value decode(const Scope& root, const Inputs& in) const override {
    const Value found = sum(entries_of(squeeze(in.at("audio_codes"), {0}), codebooks(root)), {1});
    const Value signal = seanet_decoder(root / "decoder", transpose(found, {0, 2, 1}), c.net);
    return c.normalized ? signal * reshape(in.at("audio_scales"), {-1, 1, 1}) : signal;
  }

 private:
  // The signal as it is. A run fails on one that is longer, and would otherwise be coded as a whole.
  static Value at_most(const Scope& s, const Value& signal, int64_t samples) {
    if (samples == 0) return signal;
    Graph& g = s.graph();
    const Value beyond = g.op("Div", {size_of(signal.in(s), 2) - g.integer(1), g.integer(samples)});
    return (signal.in(s)*gather(g.constant<float>(DType::f32, {1}, {1.0f}), beyond)).in(s.parent());
  }

  std::vector<Value> codebooks(const Scope& root) const {
    for (const char* statistic : {"inited", "cluster_size", "embed_avg"})
      root.graph().unused(std::string("*quantizer.layers.*.codebook.") + statistic);
    std::vector<Value> all;
    for (int64_t i = 0; i < c.quantizers; ++i)
      all.push_back((root / "quantizer.layers" / i / "codebook").weight("embed", {c.codebook_size, c.net.width}));
    return all;
  }

  const EncodecConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.encodec",
    .name = "EnCodec",
    .models = {{.types = {"encodec"}, .features = {"default"}, .make = make<EncodecOnnxConfig>}},
})
