// SPDX-License-Identifier: Apache-2.0
// wav2vec 2.0 and its relatives: convolutions make frames of samples, a convolution over frames tells their places, and
// the layers of a transformer read them. Source: Wav2Vec2Model, transformers 4.57 (modeling_wav2vec2.py), and 5.24 for
// what layers yield.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/speech_heads.hpp>
#include <onnxport/vision.hpp>

namespace onnxport::family {

// --------------------------------------------------------------------------------------- samples to frames

/// The convolutions that make frames of samples.
struct FrontEnd {
  explicit FrontEnd(const Config& c, std::vector<int64_t> width = {512, 512, 512, 512, 512, 512, 512},
                    std::vector<int64_t> kernel = {10, 3, 3, 3, 3, 2, 2},
                    std::vector<int64_t> stride = {5, 2, 2, 2, 2, 2, 2})
      : widths(by_stage(c, "conv_dim", std::move(width), 1)),
        kernels(as_many(c, "conv_kernel", std::move(kernel), widths.size())),
        strides(as_many(c, "conv_stride", std::move(stride), widths.size())),
        bias(c.boolean("conv_bias", false)),
        activation(c.text("feat_extract_activation", "gelu")),
        by_layer(c.choice("feat_extract_norm", "group", {"group", "layer"}) == "layer") {
    c.no_effect({"num_feat_extract_layers"});
  }
  std::vector<int64_t> widths, kernels, strides;
  bool bias;
  std::string activation;
  bool by_layer;  // every convolution has a norm over the channels, else the first alone one over time

  std::vector<SlidingWindow> windows() const {
    std::vector<SlidingWindow> all;
    for (size_t i = 0; i < widths.size(); ++i) all.push_back({.size = kernels[i], .step = strides[i]});
    return all;
  }
};

/// samples: f[batch, n] -> f[batch, frames, width]. Source: Wav2Vec2FeatureEncoder.
inline Value front_end(const Scope& s, const Operand& samples, const FrontEnd& form) {
  Value x = unsqueeze(samples, {1});
  for (size_t i = 0; i < form.widths.size(); ++i) {
    const Scope layer = s / "conv_layers" / static_cast<int64_t>(i);
    x = conv1d(layer / "conv", x,
               {.out = form.widths[i],
                .kernel = form.kernels[i],
                .stride = form.strides[i],
                .bias = form.bias,
                .in = i == 0 ? 1 : form.widths[i - 1]});
    if (form.by_layer)
      x = transpose(norm(layer / "layer_norm", transpose(x, {0, 2, 1}), {}), {0, 2, 1});
    else if (i == 0)
      x = group_norm(layer / "layer_norm", x, {.groups = form.widths[i]});
    x = activation(x, form.activation);
  }
  return transpose(x.in(s), {0, 2, 1});
}

// ------------------------------------------------------------------------------------------------- places

/// A convolution over the frames around each.
struct PositionalConvolution {
  int64_t kernel, groups;
  int64_t stride = 1;
  std::string activation;
  bool normed_input = false;  ///< its input goes through a batch norm, in place of its weight's own norm
};
/// x: f[batch, width, frames] -> the same, or f[batch, width, ⌈frames/stride⌉]. Weights: conv, batch_norm.
/// Source: Wav2Vec2PositionalConvEmbedding, HubertPositionalConvEmbedding, SEWPositionalConvEmbedding.
inline Value positional_convolution(const Scope& s, const Operand& x, const PositionalConvolution& form) {
  const int64_t width = x.fixed(1);
  const Scope conv = s / "conv";
  Conv1dOptions options{
      .out = width, .kernel = form.kernel, .stride = form.stride, .padding = form.kernel / 2, .groups = form.groups};
  if (!form.normed_input) options.weight = weight_norm(conv, {width, width / form.groups, form.kernel}, 2);
  Value y = conv1d(conv, form.normed_input ? batch_norm(s / "batch_norm", x) : Value(x), options);
  // An even kernel leaves a frame too many.
  if (form.kernel % 2 == 0) y = slice(y, {2, 0, -1});
  return activation(y, form.activation);
}

// ------------------------------------------------------------------------------------------------- config

/// Convolutions behind the layers that make frames fewer.
struct SpeechAdapter {
  SpeechAdapter(const Config& c, int64_t hidden, int64_t usual_layers = 3)
      : used(c.boolean("add_adapter", false)),
        layers(c.count("num_adapter_layers", usual_layers)),
        kernel(c.size("adapter_kernel_size", 3)),
        stride(c.size("adapter_stride", 2)),
        width(used ? c.size("output_hidden_size", hidden) : hidden) {
    if (!used) c.no_effect({"output_hidden_size"});
  }
  bool used;
  int64_t layers, kernel, stride, width;

  /// As the reference counts lengths behind it, with a kernel of 1.
  std::vector<SlidingWindow> windows() const {
    return std::vector<SlidingWindow>(static_cast<size_t>(layers), {.size = 1, .step = stride});
  }
};

/// Throws UNSUPPORTED where the reference has no such head behind an adapter.
inline void require_head_behind(const SpeechAdapter& adapter, const std::string& task) {
  if (!adapter.used || (task != "audio-classification" && task != "audio-frame-classification")) return;
  throw Error(ONNXPORT_UNSUPPORTED, "config field 'add_adapter' is true; the classes of the feature '" + task +
                                        "' have no adapter, export another feature");
}

/// x: f[batch, frames, n] -> f[batch, fewer, width]. Source: Wav2Vec2Adapter.
inline Value adapt(const Scope& s, Value x, const SpeechAdapter& form) {
  if (x.fixed(-1) != form.width) x = norm(s / "proj_layer_norm", linear(s / "proj", x, {.out = form.width}), {});
  x = transpose(x, {0, 2, 1});
  for (int64_t i = 0; i < form.layers; ++i) {
    const Conv1dOptions options{.out = 2 * form.width, .kernel = form.kernel, .stride = form.stride, .padding = 1};
    x = glu(conv1d(s / "layers" / i / "conv", x, options), 1);
  }
  return transpose(x, {0, 2, 1});
}

/// Where a relative departs from wav2vec 2.0.
struct Wav2Vec2Variant {
  bool adapts = false;  ///< whether the class knows an adapter behind its layers
  bool stable = true;   ///< whether it knows layers whose norms stand before their halves
  SpeechDefaults defaults{};
  int64_t heads = 12, inner = 3072;
  std::string activation = "gelu";
  double epsilon = 1e-5;
};

/// What wav2vec 2.0 and its relatives have in common.
struct Wav2Vec2Config {
  Wav2Vec2Config(const Config& c, const Wav2Vec2Variant& otherwise)
      : hidden(c.size("hidden_size", otherwise.defaults.hidden)),
        layers(c.count("num_hidden_layers", otherwise.defaults.layers)),
        heads(c.size("num_attention_heads", otherwise.heads)),
        inner(c.size("intermediate_size", otherwise.inner)),
        activation(c.text("hidden_act", otherwise.activation)),
        epsilon(c.real("layer_norm_eps", otherwise.epsilon)),
        yields_normed(!c.written_since(5, 0)) {
    c.no_effect({"hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout", "layerdrop",
                 "apply_spec_augment", "mask_time_prob", "mask_time_length", "mask_time_min_masks", "mask_feature_prob",
                 "mask_feature_length", "mask_feature_min_masks"});
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
  }
  int64_t hidden, layers, heads, inner;
  std::string activation;
  double epsilon;
  bool yields_normed;  // what the last layer yields goes through the encoder's norm, where that stands behind it

  Norm norm() const { return {.epsilon = epsilon}; }

  /// A layer whose norms stand before its halves, or behind them.
  TransformerLayer layer(Placement placement) const {
    return {.attention_at = "attention",
            .feed_forward_at = "feed_forward",
            .attention = {.heads = heads,
                          .head_size = hidden / heads,
                          .projections = {.output = "out_proj", .bias = all_biased}},
            .feed_forward = speech_feed_forward(inner, activation),
            .attention_branch = {placement, norm(), "layer_norm"},
            .feed_forward_branch = {placement, norm(), "final_layer_norm"}};
  }
};

// ----------------------------------------------------------------------------------------------- the model

/// The frames that layers read.
struct Frames {
  Value hidden;    ///< f[batch, frames, n]
  Value mask{};    ///< i64[batch, frames], 1 where one counts; absent: all do
  Value length{};  ///< i64[batch], how many count; absent with the mask
};

/// Frames whose padding is 0: f[batch, frames, n] -> the same.
inline Value without_padding(const Frames& frames) {
  if (!frames.mask) return frames.hidden;
  return frames.hidden * unsqueeze(cast(frames.mask, frames.hidden.dtype()), {2});
}

/// Runs layers in a row and keeps what they read and yield: f[batch, n, width] -> the same. What layer i reads is the
/// step hidden_states.{i}.
template <class Layer>
Value run_layers(int64_t count, Value x, std::vector<Value>& kept, Layer layer) {
  for (int64_t i = 0; i < count; ++i) {
    kept.push_back(x.graph().mark("hidden_states." + std::to_string(i), x));
    x = layer(i, x);
  }
  kept.push_back(x);
  return x;
}

/// An encoder of samples, f32[batch, samples]. A relative says how frames run through its layers.
class Wav2Vec2Encoder : public SpeechEncoder {
 public:
  Wav2Vec2Encoder(const Request& request, const Wav2Vec2Variant& otherwise, FrontEnd heard_by)
      : SpeechEncoder(request, otherwise.defaults), c(request.config, otherwise), front(std::move(heard_by)) {
    if (!otherwise.adapts) return;
    adapter_.emplace(request.config, c.hidden);
    require_head_behind(*adapter_, task());
  }

  std::vector<TensorSpec> inputs() const override {
    return with_mask(input::waveform("input_values", {axis::batch, samples}));
  }
  std::vector<AxisSize> axis_sizes() const override {
    const int64_t frames = task() == "audio-xvector" ? heads_of_speech().frames_of_voice() : least_frames();
    return {{.axis = samples,
             .usual = length_before(std::max<int64_t>(frames, 50), front.windows()),
             .minimum = length_before(frames, front.windows())}};
  }

 protected:
  static constexpr const char* samples = "samples";

  /// Frames that the layers cannot do without.
  virtual int64_t least_frames() const { return 1; }
  /// What the layers read of the front end's frames: f[batch, frames, n] -> f[batch, frames, hidden], and what a head
  /// reads of them.
  struct Projected {
    Value hidden, front{};
  };
  virtual Projected project(const Scope& model, const Value& frames) const {
    const Scope s = model / "feature_projection";
    const Value normed = norm(s / "layer_norm", frames, c.norm());
    return {linear(s / "projection", normed, {.out = c.hidden}), normed};
  }
  /// Frames through the layers: f[batch, frames, hidden] -> the same. Keeps what each of the layers reads and yields.
  virtual Value run(const Scope& encoder, const Frames& frames, std::vector<Value>& kept) const = 0;

  AudioFeatures encode(const Scope& model, const Inputs& in) const final {
    model.graph().unused((model / "masked_spec_embed").path());
    const Value frames = front_end(model / "feature_extractor", in.at("input_values"), front);
    const Projected projected = project(model, frames);
    Frames given{projected.hidden};
    if (const Value mask = in.maybe("attention_mask")) {
      given.length = length_behind(sum(mask, {1}), front.windows());
      given.mask = mask_of_lengths(given.length, size_of(frames, 1));
    }
    AudioFeatures made{.front = projected.front};
    made.last = run(model / "encoder", given, made.layers);
    made.length = given.length;
    if (!adapter_ || !adapter_->used) return made;
    made.last = adapt(model / "adapter", made.last, *adapter_);
    if (made.length) made.length = length_behind(made.length, adapter_->windows());
    return made;
  }

  const Wav2Vec2Config c;
  const FrontEnd front;

 private:
  std::optional<SpeechAdapter> adapter_;
};

/// Frames that learn their places from a convolution, and a transformer whose norms stand on either side of its halves.
/// Source: Wav2Vec2Encoder and Wav2Vec2EncoderStableLayerNorm.
class Wav2Vec2Transformer : public Wav2Vec2Encoder {
 public:
  Wav2Vec2Transformer(const Request& request, const Wav2Vec2Variant& otherwise, FrontEnd heard_by)
      : Wav2Vec2Encoder(request, otherwise, std::move(heard_by)),
        stable(otherwise.stable && request.config.boolean("do_stable_layer_norm", false)),
        places_{.kernel = request.config.size("num_conv_pos_embeddings", 128),
                .groups = request.config.size("num_conv_pos_embedding_groups", 16),
                .activation = this->front.activation} {
    require_multiple({"hidden_size", c.hidden}, {"num_conv_pos_embedding_groups", places_.groups});
  }
  explicit Wav2Vec2Transformer(const Request& request, const Wav2Vec2Variant& otherwise = {})
      : Wav2Vec2Transformer(request, otherwise, FrontEnd(request.config)) {}

 protected:
  /// What a frame's place adds to it: f[batch, frames, hidden] -> the same.
  virtual Value embed_places(const Scope& s, const Value& x) const {
    return transpose(positional_convolution(s, transpose(x, {0, 2, 1}), places_), {0, 2, 1});
  }
  /// The layers that read x; asked once.
  virtual TransformerLayer layer(const Scope& /*layers*/, const Value& /*x*/) const {
    return c.layer(stable ? Placement::before : Placement::after);
  }
  /// What stands behind each layer: f[batch, frames, hidden] -> the same.
  virtual Value behind_layer(const Scope&, const Value& x) const { return x; }

  Value run(const Scope& encoder, const Frames& frames, std::vector<Value>& kept) const final {
    Value x = without_padding(frames);
    x = x + embed_places(encoder / "pos_conv_embed", x);
    if (!stable) x = norm(encoder / "layer_norm", x, c.norm());
    const Scope layers = encoder / "layers";
    const TransformerLayer form = layer(layers, x);
    x = run_layers(c.layers, x, kept, [&](int64_t i, const Value& h) {
      const Attended given{.mask = frames.mask, .layer = i, .probabilities = "attentions." + std::to_string(i)};
      return behind_layer(layers / i, transformer_layer(layers / i, h, form, given));
    });
    if (!stable) return x;
    x = norm(encoder / "layer_norm", x, c.norm());
    if (c.yields_normed) kept.back() = x;
    return x;
  }

  const bool stable;  // norms stand before the halves of a layer, and one behind all
  PositionalConvolution places_;
};

}  // namespace onnxport::family
