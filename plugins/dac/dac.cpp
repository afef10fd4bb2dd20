// SPDX-License-Identifier: Apache-2.0
// DAC: sound as the codes of quantisers, which compare directions in a few dimensions. Source: DacModel,
// transformers 4.57 and 5.24 (modeling_dac.py).
#include <onnxport/codec_config.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

struct DacConfig {
  explicit DacConfig(const Config& c)
      : filters(c.size("encoder_hidden_size", 64)),
        down(ratios(c, "downsampling_ratios", {2, 4, 8, 8})),
        up(ratios(c, "upsampling_ratios", {down.rbegin(), down.rend()})),
        width(c.size("hidden_size", filters << down.size())),
        decoder_filters(c.size("decoder_hidden_size", 1536)),
        quantizers(c.size("n_codebooks", 9)),
        codebook_size(c.size("codebook_size", 1024)),
        codebook_width(c.size("codebook_dim", 8)) {
    c.no_effect({"hop_length", "sampling_rate", "quantizer_dropout", "commitment_loss_weight", "codebook_loss_weight"});
    require_multiple({"decoder_hidden_size", decoder_filters},
                     {"2 for each of upsampling_ratios", int64_t{1} << up.size()});
  }
  int64_t filters;
  std::vector<int64_t> down, up;
  int64_t width, decoder_filters;
  int64_t quantizers, codebook_size, codebook_width;

 private:
  static std::vector<int64_t> ratios(const Config& c, const char* field, std::vector<int64_t> usual) {
    const std::vector<int64_t> stated = c.integers(field);
    return stated.empty() ? usual : stated;
  }
};

/// A convolution, whose weight may be stored as a direction and a length.
Value conv(const Scope& scope, const Value& x, Conv1dOptions options) {
  options.weight = stored_weight(scope, {options.out, x.fixed(1), options.kernel});
  return conv1d(scope, x, options);
}

/// f[..., width] with each vector's length 1. Source: torch.nn.functional.normalize.
Value direction(const Value& x) {
  Graph& g = x.graph();
  const Value length = g.op("ReduceL2", {x}, {{"axes", {-1}}, {"keepdims", 1}});
  return x / g.op("Max", {length, g.scalar(1e-12)});
}

class DacOnnxConfig final : public OnnxCodecConfig {
 public:
  explicit DacOnnxConfig(const Request& request) : OnnxCodecConfig(request), c(request.config) {}

  // A snake divides by its frequency, which may lie near 0.
  double atol_for_validation() const override { return 1e-3; }
  int64_t audio_channels() const override { return 1; }
  int64_t num_quantizers() const override { return c.quantizers; }
  int64_t hop_length() const override {
    int64_t product = 1;
    for (const int64_t ratio : c.down) product *= ratio;
    return product;
  }
  int decoded_rank() const override { return 2; }

  std::vector<TensorSpec> codes() const override {
    return {{.name = "audio_codes", .shape = {axis::batch, axis::quantizers, axis::frames}, .limit = c.codebook_size}};
  }

  Outputs encode(const Scope& root, const Value& signal) const override {
    Value left = encoder(root / "encoder", signal);
    std::vector<Value> codes;
    for (int64_t i = 0; i < c.quantizers; ++i) {
      const Scope s = root / "quantizer.quantizers" / i;
      const Value latent = transpose(conv(s / "in_proj", left, {.out = c.codebook_width}), {0, 2, 1});
      const Value entries = direction(codebook(s));
      // The squared lengths, which are 1 but for an entry of zeros, are added where a distance would take them away.
      const Value scores = 2.0 * matmul(direction(latent), transpose(entries, {1, 0})) + sum(entries * entries, {1});
      const Value chosen = s.op("ArgMax", {scores}, {{"axis", -1}, {"keepdims", 0}});
      codes.push_back(unsqueeze(chosen, {1}));
      if (i + 1 == c.quantizers) break;
      const Value found = transpose(gather(codebook(s), chosen), {0, 2, 1}).in(s);
      left = left - conv(s / "out_proj", found, {.out = c.width});
    }
    return {{"audio_codes", concat(codes, 1)}};
  }

  // Quantisers have layers behind them: those of the first few that the codes are of.
  Value decode(const Scope& root, const Inputs& in) const override {
    const Value codes = in.at("audio_codes"), count = size_of(codes, 1);
    std::vector<Value> entries, weights, biases;
    for (int64_t i = 0; i < c.quantizers; ++i) {
      const Scope s = root / "quantizer.quantizers" / i, out = s / "out_proj";
      entries.push_back(codebook(s));
      weights.push_back(squeeze(stored_weight(out, {c.width, c.codebook_width, 1}), {2}));
      biases.push_back(out.weight("bias", {c.width}));
    }
    const Scope s = root / "quantizer";
    const Value weight = transpose(first_rows(s.composite("Stack", weights), count), {0, 2, 1});
    const Value bias = unsqueeze(first_rows(s.composite("Stack", biases), count), {1});
    const Value found = sum(matmul(entries_of(codes, entries), weight) + bias, {1});
    return decoder(root / "decoder", transpose(found, {0, 2, 1}));
  }

 private:
  Value codebook(const Scope& quantizer) const {
    return (quantizer / "codebook").weight("weight", {c.codebook_size, c.codebook_width});
  }

  // x + conv(snake(conv(snake(x)))), the first of which reaches far.
  static Value residual(const Scope& s, const Value& x, int64_t dilation) {
    const int64_t n = x.fixed(1);
    const Value h = conv(s / "conv1", snake(s / "snake1", x),
                         {.out = n, .kernel = 7, .padding = 3 * dilation, .dilation = dilation});
    return (x.in(s) + conv(s / "conv2", snake(s / "snake2", h), {.out = n})).in(s.parent());
  }
  static Value residuals(const Scope& s, Value x) {
    x = residual(s / "res_unit1", x, 1);
    x = residual(s / "res_unit2", x, 3);
    return residual(s / "res_unit3", x, 9);
  }

  Value encoder(const Scope& s, const Value& signal) const {
    Value x = conv(s / "conv1", signal, {.out = c.filters, .kernel = 7, .padding = 3});
    for (size_t i = 0; i < c.down.size(); ++i) {
      const Scope block = s / "block" / static_cast<int64_t>(i);
      const int64_t stride = c.down[i];
      x = conv(block / "conv1", snake(block / "snake1", residuals(block, x)),
               {.out = 2 * x.fixed(1), .kernel = 2 * stride, .stride = stride, .padding = (stride + 1) / 2});
    }
    return conv(s / "conv2", snake(s / "snake1", x), {.out = c.width, .kernel = 3, .padding = 1});
  }

  Value decoder(const Scope& s, const Value& hidden) const {
    Value x = conv(s / "conv1", hidden, {.out = c.decoder_filters, .kernel = 7, .padding = 3});
    for (size_t i = 0; i < c.up.size(); ++i) {
      const Scope block = s / "block" / static_cast<int64_t>(i), longer = block / "conv_t1";
      const int64_t stride = c.up[i], n = x.fixed(1);
      x = conv_transpose1d(longer, snake(block / "snake1", x),
                           {.out = n / 2,
                            .kernel = 2 * stride,
                            .stride = stride,
                            .padding = (stride + 1) / 2,
                            .weight = stored_weight(longer, {n, n / 2, 2 * stride})});
      x = residuals(block, x);
    }
    return squeeze(tanh(conv(s / "conv2", snake(s / "snake1", x), {.out = 1, .kernel = 7, .padding = 3})), {1});
  }

  const DacConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.dac",
    .name = "DAC",
    .models = {{.types = {"dac"}, .features = {"default"}, .make = make<DacOnnxConfig>}},
})
