// SPDX-License-Identifier: Apache-2.0
// HiFi-GAN, a vocoder: a signal of what a spectrogram or a latent tells. Source: SpeechT5HifiGan and VitsHifiGan,
// transformers 4.57 and 5.24.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/config.hpp>
#include <onnxport/convolutions.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// What SpeechT5HifiGanConfig and VitsConfig say of it; the values are defaults of the former.
struct HifiGan {
  int64_t widest = 512;
  std::vector<int64_t> rates{4, 4, 4, 4}, kernels{8, 8, 8, 8};
  std::vector<int64_t> residual_kernels{3, 7, 11};
  std::vector<std::vector<int64_t>> dilations{{1, 3, 5}, {1, 3, 5}, {1, 3, 5}};
  double slope = 0.1;  ///< of activations below 0
  bool last_bias = true;

  /// These values where config.json has no others. Throws CONFIG.
  HifiGan with(const Config& c) const;
  /// Samples of an entry that goes in.
  int64_t hop() const {
    int64_t product = 1;
    for (const int64_t rate : rates) product *= rate;
    return product;
  }
};

inline HifiGan HifiGan::with(const Config& c) const {
  HifiGan made = *this;
  made.widest = c.size("upsample_initial_channel", widest);
  const auto read = [&](const char* field, std::vector<int64_t>& values) {
    if (c.has(field)) values = c.integers(field);
  };
  read("upsample_rates", made.rates);
  read("upsample_kernel_sizes", made.kernels);
  read("resblock_kernel_sizes", made.residual_kernels);
  if (c.has("resblock_dilation_sizes")) made.dilations = c.integer_lists("resblock_dilation_sizes");
  made.slope = c.real("leaky_relu_slope", slope);
  const auto count = [](const auto& list) { return static_cast<int64_t>(list.size()); };
  require_equal({"upsample_kernel_sizes (how many)", count(made.kernels)},
                {"as many as upsample_rates", count(made.rates)});
  require_equal({"resblock_dilation_sizes (how many)", count(made.dilations)},
                {"as many as resblock_kernel_sizes", count(made.residual_kernels)});
  return made;
}

namespace detail {

inline Value leaky_relu(const Operand& x, double slope) {
  return x.graph().op("LeakyRelu", {x}, {{"alpha", slope}});
}

struct Reach {
  int64_t kernel, dilation = 1;
};
/// A convolution that keeps width and length.
inline Value even_conv(const Scope& scope, const Operand& x, const Reach& reach) {
  const int64_t n = x.fixed(1);
  return conv1d(scope, x,
                {.out = n,
                 .kernel = reach.kernel,
                 .padding = (reach.kernel - 1) * reach.dilation / 2,
                 .dilation = reach.dilation,
                 .weight = stored_weight(scope, {n, n, reach.kernel})});
}

/// x + conv(relu(conv(relu(x)))) for each dilation.
inline Value hifi_gan_residual(const Scope& block, Value x, const HifiGan& form, size_t number) {
  const int64_t kernel = form.residual_kernels.at(number);
  for (size_t i = 0; i < form.dilations.at(number).size(); ++i) {
    const auto index = static_cast<int64_t>(i);
    const Value far =
        even_conv(block / "convs1" / index, leaky_relu(x.in(block), form.slope), {kernel, form.dilations[number][i]});
    x = (even_conv(block / "convs2" / index, leaky_relu(far, form.slope).in(block), {kernel}) + x).in(block);
  }
  return x.in(block.parent().parent());
}

}  // namespace detail

/// The first layer: f[batch, in, n] -> f[batch, widest, n].
inline Value hifi_gan_first(const Scope& scope, const Operand& x, const HifiGan& form) {
  const Scope first = scope / "conv_pre";
  return conv1d(
      first, x,
      {.out = form.widest, .kernel = 7, .padding = 3, .weight = stored_weight(first, {form.widest, x.fixed(1), 7})});
}

/// The others: f[batch, widest, n] -> samples f[batch, n·hop].
inline Value hifi_gan_samples(const Scope& scope, Value x, const HifiGan& form) {
  const auto blocks = static_cast<int64_t>(form.residual_kernels.size());
  for (size_t i = 0; i < form.rates.size(); ++i) {
    const auto stage = static_cast<int64_t>(i);
    const Scope up = scope / "upsampler" / stage;
    const int64_t rate = form.rates[i], kernel = form.kernels[i], in = x.fixed(1), out = form.widest >> (i + 1);
    x = conv_transpose1d(up, detail::leaky_relu(x, form.slope),
                         {.out = out,
                          .kernel = kernel,
                          .stride = rate,
                          .padding = (kernel - rate) / 2,
                          .weight = stored_weight(up, {in, out, kernel})})
            .in(scope);
    Value all;
    for (int64_t j = 0; j < blocks; ++j) {
      const Value one =
          detail::hifi_gan_residual(scope / "resblocks" / (stage * blocks + j), x, form, static_cast<size_t>(j));
      all = all ? all + one : one;
    }
    x = all / static_cast<double>(blocks);
  }
  constexpr double torch_slope = 0.01;
  const Scope last = scope / "conv_post";
  x = conv1d(
      last, detail::leaky_relu(x, torch_slope),
      {.out = 1, .kernel = 7, .padding = 3, .bias = form.last_bias, .weight = stored_weight(last, {1, x.fixed(1), 7})});
  return squeeze(tanh(x), {1});
}

}  // namespace onnxport::family
