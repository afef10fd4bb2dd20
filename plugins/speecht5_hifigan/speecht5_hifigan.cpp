// SPDX-License-Identifier: Apache-2.0
// SpeechT5's vocoder, a HiFi-GAN that reads a log-mel spectrogram. Source: SpeechT5HifiGan, transformers 4.30 and 5.24
// (modeling_speecht5.py); the type was called hifigan before version 5.
#include <onnxport/families/hifi_gan.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::family;

namespace {

class HifiGanOnnxConfig final : public OnnxConfig {
 public:
  explicit HifiGanOnnxConfig(const Request& request)
      : OnnxConfig(request),
        form(HifiGan{}.with(request.config)),
        bins(request.config.size("model_in_dim", 80)),
        normalized(request.config.boolean("normalize_before", true)) {
    request.config.no_effect({"sampling_rate", "initializer_range"});
  }

  double atol_for_validation() const override { return 1e-4; }

  std::vector<TensorSpec> inputs() const override {
    return {input::features("spectrogram", {axis::batch, "frames", bins})};
  }
  std::vector<OutputSpec> outputs() const override { return {{"waveform", {{0, axis::batch}, {1, "samples"}}}}; }
  std::vector<AxisSize> axis_sizes() const override { return {{.axis = "frames", .usual = 16, .minimum = 1}}; }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope root = g.root();
    Value x = in.at("spectrogram");
    if (normalized)
      x = (x - root.weight("mean", {bins})) / root.weight("scale", {bins});
    else
      for (const char* statistic : {"mean", "scale"}) g.unused(statistic);
    return {{"waveform", hifi_gan_samples(root, hifi_gan_first(root, transpose(x, {0, 2, 1}), form), form)}};
  }

 private:
  const HifiGan form;
  const int64_t bins;
  const bool normalized;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.speecht5_hifigan",
    .name = "SpeechT5's HiFi-GAN",
    .models = {{.types = {"speecht5_hifigan", "hifigan"},
                .features = {"default"},
                .architectures = {{"SpeechT5HifiGan", "default"}},
                .make = make<HifiGanOnnxConfig>}},
})
