// SPDX-License-Identifier: Apache-2.0
// A codec of sound: OnnxCodecConfig. A plugin says how a signal becomes codes and codes a signal; the graphs of both
// halves, and that of the whole, are put together here.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <utility>
#include <vector>

#include <onnxport/audio_codec.hpp>
#include <onnxport/onnx_config.hpp>

namespace onnxport::sdk {

namespace axis {
inline constexpr const char* samples = "samples";
inline constexpr const char* frames = "frames";
inline constexpr const char* quantizers = "quantizers";
}  // namespace axis

/// input_values f32[batch, channels, samples] -> codes -> audio_values, in the parts encoder and decoder; the one graph
/// has both, and puts out audio_codes and sound as long as what it was given. Codes are those of all quantisers; a
/// decoder takes those of the first few as well.
class OnnxCodecConfig : public OnnxConfig {
 public:
  using OnnxConfig::OnnxConfig;

  virtual int64_t audio_channels() const = 0;
  /// How many quantisers there are, and how many samples one of their codes stands for.
  virtual int64_t num_quantizers() const = 0;
  virtual int64_t hop_length() const = 0;
  /// What the decoder takes, and by the same names the encoder yields: audio_codes first, over axis::quantizers.
  virtual std::vector<TensorSpec> codes() const = 0;
  /// A signal f32[batch, channels, samples] -> what codes() lists.
  virtual Outputs encode(const Scope& root, const Value& signal) const = 0;
  /// The reverse: -> f32[batch, …, samples].
  virtual Value decode(const Scope& root, const Inputs& codes) const = 0;
  /// The rank of what decode() yields.
  virtual int decoded_rank() const { return 3; }

  std::vector<TensorSpec> inputs() const override {
    return {input::waveform("input_values", {axis::batch, audio_channels(), axis::samples})};
  }
  std::vector<OutputSpec> outputs() const override { return {code_outputs().front(), sound()}; }
  std::vector<AxisSize> axis_sizes() const override {
    constexpr int64_t usual = 12;
    return {{.axis = axis::samples, .usual = usual * hop_length(), .minimum = hop_length()},
            {.axis = axis::frames, .usual = usual, .minimum = 1},
            {.axis = axis::quantizers, .usual = num_quantizers(), .minimum = 1, .maximum = num_quantizers()}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Value signal = in.at("input_values");
    const Outputs codes = encode(g.root(), signal);
    Inputs made;
    for (const auto& [name, value] : codes) made.emplace(name, g.mark(name, value));
    const Value decoded = decode(g.root(), made);
    return {codes.front(), {sound().name, until(decoded, decoded_rank() - 1, size_of(signal, 2))}};
  }
  std::vector<Part> parts() const override {
    const auto encodes = [this](Graph& g, const Inputs& in) { return encode(g.root(), in.at("input_values")); };
    const auto decodes = [this](Graph& g, const Inputs& in) -> Outputs {
      return {{sound().name, decode(g.root(), in)}};
    };
    return {{"encoder", inputs(), code_outputs(), encodes}, {"decoder", codes(), {sound()}, decodes}};
  }

 private:
  OutputSpec sound() const { return {"audio_values", {{0, axis::batch}, {decoded_rank() - 1, "audio_samples"}}}; }
  std::vector<OutputSpec> code_outputs() const {
    std::vector<OutputSpec> specs;
    for (const TensorSpec& spec : codes()) {
      OutputSpec& made = specs.emplace_back();
      made.name = spec.name;
      for (size_t i = 0; i < spec.shape.size(); ++i) {
        const std::string& name = spec.shape[i].symbol;
        if (!name.empty() && name != axis::quantizers) made.axes[static_cast<int>(i)] = name;
      }
    }
    return specs;
  }
};

}  // namespace onnxport::sdk
