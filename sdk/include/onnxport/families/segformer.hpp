// SPDX-License-Identifier: Apache-2.0
// The encoder of SegFormer, which GLPN has as well: patches that overlap, attention to fewer places than there are, and
// a feed-forward that looks at neighbours. Source: SegformerModel and GLPNModel, transformers 4.57
// (modeling_segformer.py, modeling_glpn.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <string>
#include <vector>

#include <onnxport/blocks/norm.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// Attention of tokens f[batch, rows·columns, width] to a smaller image of them.
struct ReducedAttention {
  int64_t heads;
  int64_t ratio;  ///< so many times smaller on a side; 1: to all
  /// So many places on a side in place of the ratio: means, with a GELU behind the norm; 0: by the ratio.
  int64_t pooled = 0;
  std::string projections = "self";     ///< the module of all but the last layer; "" for the attention's own
  std::string output = "output.dense";  ///< the last layer
  std::string reduction = "sr";         ///< the convolution that makes the image smaller
  bool bias = true;                     ///< of queries, keys and values
  double epsilon = 1e-5;
};
/// size: i64[2], rows and columns. Weights: query, key, value, {reduction} and layer_norm of the projections, {output}.
/// Source: SegformerEfficientSelfAttention, PvtEfficientSelfAttention and PvtV2SelfAttention.
inline Value reduced_attention(const Scope& s, const Operand& x, const Value& size, const ReducedAttention& form) {
  const Scope self = form.projections.empty() ? s : s / form.projections;
  const int64_t width = x.fixed(2);
  Value seen = x;
  if (form.pooled > 0 || form.ratio > 1) {
    Value image = image_of(x.in(s), size);
    if (form.pooled > 0) image = adaptive_average_pool(image, form.pooled);
    const int64_t step = form.pooled > 0 ? 1 : form.ratio;
    image = conv2d(self / form.reduction, image, {.out = width, .kernel = step, .stride = step});
    seen = norm(self / "layer_norm", tokens_of(image), {.epsilon = form.epsilon});
    if (form.pooled > 0) seen = activation(seen, "gelu");
  }
  const auto projected = [&](const char* name, const Value& of) {
    return linear(self / name, of, {.out = width, .bias = form.bias});
  };
  const Value mixed =
      attention(projected("query", x), projected("key", seen), projected("value", seen), {.heads = form.heads}).mixed;
  return linear(s / form.output, mixed, {.out = width});
}

/// A feed-forward with a convolution of each channel by itself between its layers.
struct MixedFeedForward {
  int64_t inner;
  std::string activation = "gelu";
  bool relu_first = false;  ///< before the convolution
};
/// x: f[batch, rows·columns, width] -> the same; size: i64[2]. Weights: dense1, dwconv.dwconv, dense2.
/// Source: SegformerMixFFN and PvtV2ConvFeedForwardNetwork.
inline Value mixed_feed_forward(const Scope& s, const Operand& x, const Value& size, const MixedFeedForward& form) {
  Value wide = linear(s / "dense1", x, {.out = form.inner});
  if (form.relu_first) wide = relu(wide);
  const Value seen = conv2d(s / "dwconv.dwconv", image_of(wide, size),
                            {.out = form.inner, .kernel = 3, .padding = 1, .groups = form.inner});
  return linear(s / "dense2", activation(tokens_of(seen), form.activation), {.out = x.fixed(2)});
}

struct SegformerEncoder {
  explicit SegformerEncoder(const Config& c)
      : channels(c.size("num_channels", 3)),
        stages(static_cast<size_t>(c.size("num_encoder_blocks", 4))),
        widths(by_stage(c, "hidden_sizes", {32, 64, 160, 256}, stages)),
        depths(by_stage(c, "depths", {2, 2, 2, 2}, stages)),
        ratios(by_stage(c, "sr_ratios", {8, 4, 2, 1}, stages)),
        kernels(by_stage(c, "patch_sizes", {7, 3, 3, 3}, stages)),
        strides(by_stage(c, "strides", {4, 2, 2, 2}, stages)),
        heads(by_stage(c, "num_attention_heads", {1, 2, 5, 8}, stages)),
        expansions(c.has("mlp_ratios") ? c.reals("mlp_ratios") : std::vector<double>(stages, 4)),
        activation(c.text("hidden_act", "gelu")) {
    // Of training; and epsilons are the same whatever layer_norm_eps says.
    c.no_effect({"drop_path_rate", "layer_norm_eps", "classifier_dropout_prob", "semantic_loss_ignore_index",
                 "downsampling_rates", "image_size"});
    for (size_t i = 0; i < stages; ++i)
      require_multiple({"hidden_sizes", widths[i]}, {"num_attention_heads", heads[i]});
    if (expansions.size() < stages)
      throw Error(ONNXPORT_CONFIG, "config field 'mlp_ratios' is shorter than the stages");
  }

  /// The stages' results, f[batch, widths[i], rows, columns] each; of the last one tokens as well.
  ImageFeatures operator()(const Scope& model, const Value& pixels) const {
    const Scope encoder = model / "encoder";
    ImageFeatures made;
    Value image = pixels, x;
    for (size_t i = 0; i < stages; ++i) {
      const auto index = static_cast<int64_t>(i);
      const Scope embeddings = encoder / "patch_embeddings" / index;
      image = conv2d(embeddings / "proj", image,
                     {.out = widths[i],
                      .kernel = kernels[i],
                      .stride = strides[i],
                      .padding = kernels[i] / 2,
                      .in = i == 0 ? channels : 0});
      made.size = shape_of(image, 2, 4);
      x = norm(embeddings / "layer_norm", tokens_of(image), {});
      for (int64_t j = 0; j < depths[i]; ++j) x = layer(encoder / "block" / index / j, x, made.size, i);
      x = norm(encoder / "layer_norm" / index, x, {});
      image = image_of(x, made.size);
      made.stages.push_back(image);
      model.graph().mark("hidden_states." + std::to_string(i), image);
    }
    made.last = x;
    return made;
  }

  int64_t channels;
  size_t stages;
  std::vector<int64_t> widths, depths, ratios, kernels, strides, heads;
  std::vector<double> expansions;
  std::string activation;

 private:
  Value layer(const Scope& s, const Value& x, const Value& size, size_t stage) const {
    const Value read = norm(s / "layer_norm_1", x, {});
    const Value attended =
        reduced_attention(s / "attention", read, size, {.heads = heads[stage], .ratio = ratios[stage]});
    const Value y = attended.in(s) + x;
    const auto inner = static_cast<int64_t>(static_cast<double>(x.fixed(2)) * expansions[stage]);
    return mixed_feed_forward(s / "mlp", norm(s / "layer_norm_2", y, {}), size,
                              {.inner = inner, .activation = activation})
               .in(s) +
           y;
  }
};

}  // namespace onnxport::family
