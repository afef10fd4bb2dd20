// SPDX-License-Identifier: Apache-2.0
// EnCodec: sound as the codes of quantisers, each of which codes what those before it left over. Source: EncodecModel,
// transformers 4.57 and 5.24 (modeling_encodec.py).
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
    if (c.has("chunk_length_s")) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'chunk_length_s' is " + std::to_string(c.real("chunk_length_s", 0)) +
                      "; sound that is cut into overlapping pieces is not supported, expected null: cut it yourself, "
                      "and add up what the pieces are decoded to");
    }
    c.no_effect({"overlap"});
  }
  Seanet net;
  int64_t codebook_size;
  bool normalized;  // loudness is coded apart
  int64_t quantizers;

 private:
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

  Outputs encode(const Scope& root, const Value& signal) const override {
    Value x = signal, loudness;
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
