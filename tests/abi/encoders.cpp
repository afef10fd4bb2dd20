// SPDX-License-Identifier: Apache-2.0
// Encoder-decoders whose encoder takes no text: an image, or a sound. Beside keys and values the decoder keeps the last
// inputs of a convolution, a state that every step replaces.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/stem.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

constexpr int64_t width = 16, head_count = 2, vocab = 20, patch = 8,
                  seen = 2;  // `seen`: earlier inputs of the convolution

class EncodersOnnxConfig final : public OnnxSeq2SeqConfigWithPast {
 public:
  explicit EncodersOnnxConfig(const Request& request)
      : OnnxSeq2SeqConfigWithPast(request), sees_(request.model_type == "sees") {}

  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return 1; }
  int64_t num_attention_heads() const override { return head_count; }
  int64_t head_size() const override { return width / head_count; }
  int64_t vocab_size() const override { return vocab; }
  int64_t encoder_width() const override { return width; }
  std::vector<TensorSpec> encoder_inputs() const override {
    if (sees_) return {pixel_values()};
    return {input::waveform("sound", {axis::batch, "samples"}, {.low = -0.5, .high = 0.5})};
  }
  std::vector<AxisSize> axis_sizes() const override {
    if (sees_) return {};
    return {{.axis = "samples", .usual = 96, .minimum = 24, .step = patch}};
  }

  Value encode(Graph& g, const Inputs& in) const override {
    const Scope s = g.root() / "encoder";
    return transformer_layers(s / "layers", tokens(s, in), {1, [](int64_t) { return layer(); }, "encoder_"}, {});
  }
  Value decode(Graph& g, const DecoderStep& step, Cache& cache) const override {
    const Scope s = g.root() / "decoder";
    const Value x = convolved(s / "conv", embedding(s / "embed_tokens", step.ids, {vocab, width}), cache);
    TransformerLayer form = layer();
    form.attention.causal = true;
    form.cross = {.attention = layer().attention};
    return transformer_layers(s / "layers", x, {1, [&](int64_t) { return form; }, "decoder_"},
                              {.mask = step.mask, .cache = &cache, .encoder = {.hidden = step.encoder_hidden}});
  }
  std::vector<State> states() const override {
    std::vector<State> all = OnnxSeq2SeqConfigWithPast::states();
    all.push_back(cached("conv", {axis::batch, width, seen}));
    return all;
  }
  Heads heads() const override {
    return {head::logits("seq2seq-lm",
                         [](const Encoded& at) { return linear(at.base / "lm_head", at.hidden, {.out = vocab}); })};
  }

 private:
  // -> f32[batch, n, width]
  Value tokens(const Scope& s, const Inputs& in) const {
    if (sees_) return patch_stem(s, in.at("pixel_values"), {.width = width, .patch = patch}).tokens;
    const Value signal = unsqueeze(in.at("sound"), {1});
    return transpose(conv1d(s / "conv", signal, {.out = width, .kernel = patch, .stride = patch, .in = 1}), {0, 2, 1});
  }

  // Each token with the two before it: f32[batch, n, width] -> the same
  static Value convolved(const Scope& s, const Value& x, Cache& cache) {
    const Value fresh = transpose(x, {0, 2, 1}), nothing = slice(fresh, {2, 0, 1}) * 0.0;
    const Value before = cache.past("conv") ? cache.past("conv") : concat({nothing, nothing}, 2);
    const Value all = concat({before, fresh}, 2);
    cache.replace("conv", slice(all, {2, -seen}));
    return transpose(conv1d(s, all, {.out = width, .kernel = 1 + seen, .groups = width}), {0, 2, 1});
  }

  static TransformerLayer layer() {
    return {.attention = {.heads = head_count, .head_size = width / head_count}, .feed_forward = {.inner = 2 * width}};
  }

  bool sees_;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.test.encoders",
    .name = "Encoders of images and of sound",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .vendor = "onnxport",
    .models = {{.types = {"sees", "hears"},
                .features = {"seq2seq-lm", "seq2seq-lm-with-past"},
                .make = make<EncodersOnnxConfig>}},
})
