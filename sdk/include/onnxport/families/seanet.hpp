// SPDX-License-Identifier: Apache-2.0
// SEANet, the convolutions on both sides of EnCodec and Mimi. Source: EncodecEncoder, EncodecDecoder, MimiEncoder and
// MimiDecoder, transformers 4.57 and 5.24.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/audio_codec.hpp>
#include <onnxport/channel_norms.hpp>
#include <onnxport/config.hpp>
#include <onnxport/recurrent.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// What EncodecConfig and MimiConfig have in common; the values are defaults of the former, which the latter replaces.
struct Seanet {
  enum class ConvNorm { none, weight, group };

  int64_t audio_channels = 1, filters = 32, width = 128;
  int64_t residual_layers = 1;
  std::vector<int64_t> ratios{8, 5, 4, 2};  ///< in order of the decoder
  int64_t kernel = 7, last_kernel = 7, residual_kernel = 3;
  int64_t dilation_growth = 2, compress = 2;
  bool causal = true, shortcut = true;
  Border border = Border::reflect;
  double cut_at_end = 1;
  ConvNorm norm = ConvNorm::none;
  int64_t lstm_layers = 0;

  /// These values where config.json has no others. Throws CONFIG and UNSUPPORTED.
  Seanet with(const Config& c) const;
  /// Samples of an entry that the encoder yields.
  int64_t hop() const {
    int64_t product = 1;
    for (const int64_t ratio : ratios) product *= ratio;
    return product;
  }
};

inline Seanet Seanet::with(const Config& c) const {
  Seanet net = *this;
  net.audio_channels = c.size("audio_channels", audio_channels);
  net.filters = c.size("num_filters", filters);
  net.width = c.size("hidden_size", width);
  net.residual_layers = c.count("num_residual_layers", residual_layers);
  if (const std::vector<int64_t> stated = c.integers("upsampling_ratios"); !stated.empty()) net.ratios = stated;
  net.kernel = c.size("kernel_size", kernel);
  net.last_kernel = c.size("last_kernel_size", last_kernel);
  net.residual_kernel = c.size("residual_kernel_size", residual_kernel);
  net.dilation_growth = c.size("dilation_growth_rate", dilation_growth);
  net.compress = c.size("compress", compress);
  net.causal = c.boolean("use_causal_conv", causal);
  net.shortcut = c.boolean("use_conv_shortcut", shortcut);
  net.cut_at_end = c.real("trim_right_ratio", cut_at_end);
  const char* usual = border == Border::reflect ? "reflect" : "constant";
  const std::string mode = c.choice("pad_mode", usual, {"constant", "reflect", "replicate"});
  net.border = mode == "constant" ? Border::constant : mode == "reflect" ? Border::reflect : Border::edge;
  if (!net.causal && net.cut_at_end != 1) {
    throw Error(ONNXPORT_CONFIG,
                "config field 'trim_right_ratio' is " + std::to_string(net.cut_at_end) +
                    ", which is of causal convolutions alone; expected 1 beside use_causal_conv=false");
  }
  return net;
}

namespace detail {

inline Value elu(const Operand& x) {
  return x.graph().op("Elu", {x});
}

inline Value direction_of(const Scope& conv, const Seanet& net, const std::vector<int64_t>& shape) {
  return net.norm == Seanet::ConvNorm::weight ? weight_norm(conv, shape) : Value();
}
inline Value behind_conv(const Scope& module, const Operand& x, const Seanet& net) {
  return (net.norm == Seanet::ConvNorm::group ? group_norm(module / "norm", x, {.groups = 1}) : Value(x))
      .in(module.parent());
}

/// The convolution `module`.conv with the net's borders and norm.
inline Value seanet_conv(const Scope& module, const Operand& x, const Seanet& net, BorderedConvOptions options) {
  options.causal = net.causal;
  options.border = net.border;
  options.weight = direction_of(module / "conv", net, {options.out, x.fixed(1), options.kernel});
  return behind_conv(module, bordered_conv1d(module / "conv", x, options), net);
}
/// Its transpose, by twice as long a kernel as its stride.
inline Value seanet_upsample(const Scope& module, const Operand& x, const Seanet& net, int64_t stride) {
  const int64_t out = x.fixed(1) / 2, kernel = 2 * stride;
  const Value weight = direction_of(module / "conv", net, {x.fixed(1), out, kernel});
  const Value longer =
      conv_transpose1d(module / "conv", x, {.out = out, .kernel = kernel, .stride = stride, .weight = weight});
  return without(behind_conv(module, longer, net), cut_of(kernel - stride, net.causal, net.cut_at_end));
}

/// x + conv(elu(conv(elu(x)))), narrower between: -> f[batch, channels, length].
inline Value seanet_residual(const Scope& module, const Operand& x, const Seanet& net, int64_t dilation) {
  const int64_t width = x.fixed(1);
  Value h = seanet_conv(module / "block.1", elu(x.in(module)), net,
                        {.out = width / net.compress, .kernel = net.residual_kernel, .dilation = dilation});
  h = seanet_conv(module / "block.3", elu(h), net, {.out = width});
  const Value kept = net.shortcut ? seanet_conv(module / "shortcut", x, net, {.out = width}) : Value(x);
  return (kept.in(module) + h).in(module.parent());
}
inline Value seanet_lstm(const Scope& module, const Operand& x, const Seanet& net) {
  if (net.lstm_layers == 0) return x;
  const Value steps = transpose(x, {2, 0, 1});
  const Value read = lstm(module / "lstm", steps, {.hidden = x.fixed(1), .layers = net.lstm_layers}).sequence + steps;
  return transpose(read, {1, 2, 0}).in(module.parent());
}

/// Modules of a list, in order.
class Numbered {
 public:
  explicit Numbered(const Scope& list) : list_(list) {}
  Scope next() { return list_ / count_++; }
  void skip() { ++count_; }  // an activation

 private:
  Scope list_;
  int64_t count_ = 0;
};

inline Value seanet_residuals(Numbered& modules, Value x, const Seanet& net) {
  int64_t dilation = 1;
  for (int64_t i = 0; i < net.residual_layers; ++i, dilation *= net.dilation_growth)
    x = seanet_residual(modules.next(), x, net, dilation);
  return x;
}

}  // namespace detail

/// A signal f[batch, audio channels, samples] -> f[batch, width, ⌈samples/hop⌉].
inline Value seanet_encoder(const Scope& scope, const Operand& signal, const Seanet& net) {
  detail::Numbered modules(scope / "layers");
  Value x = detail::seanet_conv(modules.next(), signal, net, {.out = net.filters, .kernel = net.kernel});
  for (auto ratio = net.ratios.rbegin(); ratio != net.ratios.rend(); ++ratio) {
    x = detail::seanet_residuals(modules, x, net);
    modules.skip();
    x = detail::seanet_conv(modules.next(), detail::elu(x), net,
                            {.out = 2 * x.fixed(1), .kernel = 2 * *ratio, .stride = *ratio});
  }
  if (net.lstm_layers > 0) x = detail::seanet_lstm(modules.next(), x, net);
  modules.skip();
  return detail::seanet_conv(modules.next(), detail::elu(x), net, {.out = net.width, .kernel = net.last_kernel});
}

/// f[batch, width, n] -> a signal f[batch, audio channels, n·hop].
inline Value seanet_decoder(const Scope& scope, const Operand& hidden, const Seanet& net) {
  detail::Numbered modules(scope / "layers");
  const int64_t widest = net.filters << net.ratios.size();
  Value x = detail::seanet_conv(modules.next(), hidden, net, {.out = widest, .kernel = net.kernel});
  if (net.lstm_layers > 0) x = detail::seanet_lstm(modules.next(), x, net);
  for (const int64_t ratio : net.ratios) {
    modules.skip();
    x = detail::seanet_upsample(modules.next(), detail::elu(x), net, ratio);
    x = detail::seanet_residuals(modules, x, net);
  }
  modules.skip();
  return detail::seanet_conv(modules.next(), detail::elu(x), net,
                             {.out = net.audio_channels, .kernel = net.last_kernel});
}

}  // namespace onnxport::family
