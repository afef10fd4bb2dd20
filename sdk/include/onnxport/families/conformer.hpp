// SPDX-License-Identifier: Apache-2.0
// The Conformer: layers in which a convolution over frames stands between the attention and a second feed-forward.
// Source: Wav2Vec2ConformerEncoderLayer and Wav2Vec2BertEncoderLayer, transformers 4.57.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cmath>
#include <string>
#include <vector>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/relative_shift.hpp>
#include <onnxport/families/speech_heads.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary.hpp>
#include <onnxport/sinusoids.hpp>

namespace onnxport::family {

/// How an attention knows where frames stand.
enum class ConformerPlaces {
  none,
  rotary,        ///< what makes queries and keys is turned
  relative,      ///< sines of distances are scored as in Transformer-XL
  relative_key,  ///< a learnt vector for each of the near distances is scored
};
/// position_embeddings_type, which may be null: there are none.
inline ConformerPlaces conformer_places(const Config& c, const char* otherwise, bool learnt) {
  if (c.is_null("position_embeddings_type")) return ConformerPlaces::none;
  const std::string type = learnt
                               ? c.choice("position_embeddings_type", otherwise, {"relative", "rotary", "relative_key"})
                               : c.choice("position_embeddings_type", otherwise, {"relative", "rotary"});
  if (type == "rotary") return ConformerPlaces::rotary;
  return type == "relative" ? ConformerPlaces::relative : ConformerPlaces::relative_key;
}

struct ConformerLayer {
  int64_t hidden, heads, inner;
  std::string activation;
  double epsilon = 1e-5;
  ConformerPlaces places = ConformerPlaces::none;
  int64_t before = 0, after = 0;  ///< the farthest keys that have a learnt vector, on either side of the query
  int64_t kernel = 31;
  bool causal = false;  ///< the convolution sees no later frame and a norm over the channels follows, not a batch norm

  Norm norm() const { return {.epsilon = epsilon}; }
  int64_t head_size() const { return hidden / heads; }
};

/// What the layers are given of a recording.
struct ConformerGiven {
  Value mask{};            ///< i64[batch, n], 1 where a frame counts; absent: all do
  bool convolved = false;  ///< whether the convolution heeds it, too
  Angles angles{};
  Spread spread{};    ///< where distances are scored
  Value distances{};  ///< f[2·n, hidden] or, of learnt vectors, the row for each: i64[2·n]
  std::string probabilities{};
};

/// The same but for masks, of so many frames (an i64 scalar). Source: Wav2Vec2ConformerRelPositionalEmbedding.
inline ConformerGiven conformer_given(const Scope& s, const Operand& length, const ConformerLayer& form,
                                      const Rotary& rotary) {
  ConformerGiven given;
  Graph& g = s.graph();
  if (form.places == ConformerPlaces::none) return given;
  if (form.places == ConformerPlaces::rotary) {
    given.angles = rotary.angles(unsqueeze(range(length).in(s), {0}));
    return given;
  }
  given.spread = {length, length};
  const Value behind = distances(given.spread).in(s);
  if (form.places == ConformerPlaces::relative_key) {
    const Value near = g.op("Max", {g.op("Min", {-behind, g.integer(form.after)}), g.integer(-form.before)});
    given.distances = near + g.integer(form.before);
    return given;
  }
  given.distances = paired_sinusoids(behind, form.hidden);
  return given;
}

/// x: f[batch, n, hidden] -> the same. Source: Wav2Vec2ConformerSelfAttention and Wav2Vec2BertSelfAttention.
inline Value conformer_attention(const Scope& s, const Operand& x, const ConformerLayer& form,
                                 const ConformerGiven& given) {
  const int64_t heads = form.heads, d = form.head_size();
  const auto in_heads = [&](const char* name, const Value& from) {
    return split_heads(linear(s / name, from, {.out = form.hidden}), heads);
  };
  const Value turned = given.angles.cos ? merge_heads(rotate(split_heads(x.in(s), heads), given.angles)) : Value(x);
  Value query = in_heads("linear_q", turned), scores;
  const double scale = 1 / std::sqrt(static_cast<double>(d));
  if (form.places == ConformerPlaces::relative) {
    const auto with = [&](const char* bias) { return query + unsqueeze(s.weight(bias, {heads, d}), {1}); };
    const Value places = linear(s / "linear_pos", given.distances, {.out = form.hidden, .bias = false});
    const Value by_head = transpose(split_heads(unsqueeze(places, {0}), heads), {0, 1, 3, 2});
    scores = relative_shift(matmul(with("pos_bias_v"), by_head), given.spread) * scale;
    query = with("pos_bias_u");
  } else if (form.places == ConformerPlaces::relative_key) {
    const Value table = (s / "distance_embedding").weight("weight", {form.before + form.after + 1, d});
    const Value near = matmul(query, transpose(table * scale, {1, 0}));
    scores = relative_shift(gather(near, given.distances, 3), given.spread);
  }
  const Value mixed =
      attention(query, in_heads("linear_k", turned), in_heads("linear_v", x),
                {.heads = heads, .bias = scores, .mask = given.mask, .probabilities = given.probabilities})
          .mixed;
  return linear(s / "linear_out", mixed, {.out = form.hidden});
}

/// x: f[batch, n, hidden], behind its norm -> the same. Source: Wav2Vec2ConformerConvolutionModule and
/// Wav2Vec2BertConvolutionModule.
inline Value conformer_convolution(const Scope& s, const Operand& x, const ConformerLayer& form,
                                   const ConformerGiven& given) {
  Value h = x;
  if (given.mask && given.convolved) h = h * unsqueeze(cast(given.mask, h.dtype()), {2});
  h = transpose(h, {0, 2, 1});
  h = glu(conv1d(s / "pointwise_conv1", h, {.out = 2 * form.hidden, .bias = false}), 1);
  h = conv1d(s / "depthwise_conv", h,
             {.out = form.hidden,
              .kernel = form.kernel,
              .padding = form.causal ? form.kernel - 1 : form.kernel / 2,
              .padding_behind = form.causal ? 0 : form.kernel / 2,
              .groups = form.hidden,
              .bias = false});
  h = form.causal ? transpose(norm(s / "depthwise_layer_norm", transpose(h, {0, 2, 1}), form.norm()), {0, 2, 1})
                  : batch_norm(s / "batch_norm", h);
  h = conv1d(s / "pointwise_conv2", activation(h, form.activation), {.out = form.hidden, .bias = false});
  return transpose(h, {0, 2, 1});
}

/// x: f[batch, n, hidden] -> the same.
inline Value conformer_layer(const Scope& s, const Operand& x, const ConformerLayer& form,
                             const ConformerGiven& given) {
  const auto before = [&](const char* name, double scale = 1) {
    return Residual{.norm = form.norm(), .name = name, .scale = scale};
  };
  const auto feeds = [&](const char* name) {
    return [&form, at = s / name](const Value& h) {
      return feed_forward(at, h, speech_feed_forward(form.inner, form.activation));
    };
  };
  Value h = residual(s, x, before("ffn1_layer_norm", 0.5), feeds("ffn1"));
  h = residual(s, h, before("self_attn_layer_norm"),
               [&](const Value& y) { return conformer_attention(s / "self_attn", y, form, given); });
  h = residual(s, h, before("conv_module.layer_norm"),
               [&](const Value& y) { return conformer_convolution(s / "conv_module", y, form, given); });
  h = residual(s, h, before("ffn2_layer_norm", 0.5), feeds("ffn2"));
  return norm(s / "final_layer_norm", h, form.norm());
}

/// What the config says of the convolution. Throws CONFIG where its kernel has no middle.
inline int64_t conformer_kernel(const Config& c) {
  const int64_t kernel = c.size("conv_depthwise_kernel_size", 31);
  c.no_effect({"conformer_conv_dropout", "max_source_positions"});
  if (kernel % 2 == 1) return kernel;
  throw Error(ONNXPORT_CONFIG, "config field 'conv_depthwise_kernel_size' is " + std::to_string(kernel) +
                                   "; expected an odd number, which has a middle");
}

}  // namespace onnxport::family
