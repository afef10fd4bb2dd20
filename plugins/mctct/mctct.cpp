// SPDX-License-Identifier: Apache-2.0
// M-CTC-T: characters of many languages from spectrograms, by gated convolutions and layers that know near distances.
// Source: MCTCTModel and MCTCTForCTC, transformers 4.57 (models/deprecated/mctct/modeling_mctct.py).
#include <onnxport/audio_encoder.hpp>
#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/relative_shift.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

struct MCTCTConfig {
  explicit MCTCTConfig(const Config& c)
      : vocab(c.size("vocab_size", 8065)),
        hidden(c.size("hidden_size", 1536)),
        layers(c.count("num_hidden_layers", 36)),
        heads(c.size("num_attention_heads", 4)),
        head_size(c.size("attention_head_dim", 384)),
        inner(c.size("intermediate_size", 6144)),
        activation(c.text("hidden_act", "relu")),
        epsilon(c.real("layer_norm_eps", 1e-5)),
        distances(c.size("max_position_embeddings", 920)),
        bands(c.size("input_feat_per_channel", 80) * c.size("input_channels", 1)),
        kernels(by_stage(c, "conv_kernel", {7}, 1)),
        strides(by_stage(c, "conv_stride", {3}, kernels.size())),
        channels(c.integers("conv_channels")) {
    require_equal({"num_attention_heads · attention_head_dim", heads * head_size}, {"hidden_size", hidden});
    require_equal({"num_conv_layers", c.size("num_conv_layers", 1)},
                  {"the entries of conv_kernel", static_cast<int64_t>(kernels.size())});
    require_equal({"conv_glu_dim", c.integer("conv_glu_dim", 1)}, {"the axis of the channels", 1});
    if (kernels.size() > 1 && channels.size() < kernels.size()) {
      throw Error(ONNXPORT_CONFIG, "config field 'conv_channels' has " + std::to_string(channels.size()) +
                                       " entries; expected one for each of " + std::to_string(kernels.size()) +
                                       " convolutions");
    }
    c.no_effect({"hidden_dropout_prob", "attention_probs_dropout_prob", "conv_dropout", "layerdrop",
                 "initializer_range", "ctc_loss_reduction", "ctc_zero_infinity", "pad_token_id", "bos_token_id",
                 "eos_token_id"});
  }
  int64_t vocab, hidden, layers, heads, head_size, inner;
  std::string activation;
  double epsilon;
  int64_t distances;  // keys as far away or farther have no vector
  int64_t bands;
  std::vector<int64_t> kernels, strides,
      channels;  // what every convolution makes, in pairs; the last makes the layers' width

  std::vector<SlidingWindow> windows() const {
    std::vector<SlidingWindow> all;
    for (size_t i = 0; i < kernels.size(); ++i)
      all.push_back({.size = kernels[i], .step = strides[i], .padding = kernels[i] / 2});
    return all;
  }
};

class MCTCT final : public AudioEncoder {
 public:
  explicit MCTCT(const Request& request) : AudioEncoder(request), c(request.config) {}

  std::string base_model_prefix() const override { return "mctct"; }
  std::vector<TensorSpec> inputs() const override {
    return with_mask(input::features("input_features", {axis::batch, "frames", c.bands}));
  }
  std::vector<AxisSize> axis_sizes() const override {
    return {{.axis = "frames", .usual = 20 * length_before(2, c.windows()), .minimum = length_before(1, c.windows())}};
  }

 private:
  AudioFeatures encode(const Scope& model, const Inputs& in) const override {
    const Scope s = model / "encoder", first = s / "layer_norm";
    const Value scaled =
        in.at("input_features").in(first)*first.weight("singleton_weight", {1}) + first.weight("singleton_bias", {1});
    AudioFeatures made{.last = convolve(s / "conv", scaled)};
    Attended given;
    if (const Value mask = in.maybe("attention_mask")) {
      made.length = length_behind(sum(mask, {1}), c.windows());
      given.mask = mask_of_lengths(made.length, size_of(made.last, 1));
    }
    const Value length = size_of(made.last, 1);
    const Spread spread{length, length};
    const Value behind = distances(spread).in(s);
    given.scores = [&](const Scope& module, const QueryKeyValue& of) {
      return relative_shift(scores(module / "self", split_heads(of.query, c.heads), behind), spread);
    };
    const TransformerLayer form = layer();
    made.last = transformer_layers(s / "layers", made.last, {c.layers, [&](int64_t) { return form; }}, given);
    model.graph().mark("hidden_states." + std::to_string(c.layers), made.last);
    return made;
  }

  // spectrogram: f[batch, frames, bands] -> f[batch, fewer, hidden]. The borders of all convolutions stand before the
  // first one. Source: MCTCTConv1dSubsampler.
  Value convolve(const Scope& s, const Value& spectrogram) const {
    int64_t border = 0;
    for (const int64_t kernel : c.kernels) border += kernel / 2;
    Value x = transpose(pad(spectrogram.in(s), {{1, border, border}}), {0, 2, 1});
    for (size_t i = 0; i < c.kernels.size(); ++i) {
      const int64_t out = i + 1 < c.kernels.size() ? c.channels[i] : 2 * c.hidden;
      const Conv1dOptions options{.out = out, .kernel = c.kernels[i], .stride = c.strides[i]};
      x = glu(conv1d(s / "conv_layers" / static_cast<int64_t>(i), x, options), 1);
    }
    return transpose(x, {0, 2, 1});
  }

  TransformerLayer layer() const {
    return {.attention_at = "attention",
            .feed_forward_at = "",
            .attention = {.heads = c.heads,
                          .head_size = c.head_size,
                          .projections = {.query = "self.query",
                                          .key = "self.key",
                                          .value = "self.value",
                                          .output = "output.dense"}},
            .feed_forward = {.inner = c.inner,
                             .activation = c.activation,
                             .up = "intermediate.dense",
                             .down = "output.dense"},
            .attention_branch = {Placement::after, {.epsilon = c.epsilon}, "attention.output.LayerNorm"},
            .feed_forward_branch = {Placement::after, {.epsilon = c.epsilon}, "output.LayerNorm"}};
  }

  // Of a query at every distance, 0 where that has no vector: query: f[batch, heads, n, d], behind: i64[m] ->
  // f[batch, heads, n, m]. Source: MCTCTSelfAttention.relative_position_embedding_rotate.
  Value scores(const Scope& self, const Value& query, const Value& behind) const {
    Graph& g = self.graph();
    const Value table = (self / "distance_embedding").weight("weight", {2 * c.distances - 1, c.head_size});
    const Value farthest = g.integer(c.distances - 1);
    const Value near = g.op("Min", {g.op("Max", {-behind, -farthest}), farthest});
    const Value has_vector = unsqueeze(cast(equal(near, -behind), table.dtype()), {1});
    const Value vectors = gather(table, near + farthest) * has_vector / std::sqrt(static_cast<double>(c.head_size));
    return matmul(query, transpose(vectors, {1, 0}));
  }

  Value words(const Scope& model, const AudioFeatures& made) const override {
    return linear(model.graph().root() / "ctc_head", made.last, {.out = c.vocab});
  }

  const MCTCTConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.mctct",
    .name = "M-CTC-T",
    .models = {{.types = {"mctct"}, .features = {"default", "ctc"}, .make = make<MCTCT>}},
})
