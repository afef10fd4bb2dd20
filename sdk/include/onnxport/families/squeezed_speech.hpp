// SPDX-License-Identifier: Apache-2.0
// Squeezed and efficient wav2vec: frames go through the layers several at once, and come apart again behind them.
// Source: SEWModel and SEWDModel, transformers 4.57 (modeling_sew.py, modeling_sew_d.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <utility>
#include <vector>

#include <onnxport/families/wav2vec2.hpp>

namespace onnxport::family {

/// Where the types differ.
struct SqueezedVariant {
  Wav2Vec2Variant wav2vec2{};
  const char* frames_epsilon = "layer_norm_eps";  ///< the field of the norm before the layers
};

class SqueezedSpeechEncoder : public Wav2Vec2Encoder {
 public:
  SqueezedSpeechEncoder(const Request& request, const SqueezedVariant& otherwise)
      : Wav2Vec2Encoder(request, otherwise.wav2vec2, front_of(request.config)),
        factor(request.config.size("squeeze_factor", 2)),
        frames_epsilon(request.config.real(otherwise.frames_epsilon, 1e-5)),
        places{.kernel = request.config.size("num_conv_pos_embeddings", 128),
               .groups = request.config.size("num_conv_pos_embedding_groups", 16),
               .stride = factor,
               .activation = front.activation},
        any_counts(request.config.written_since(5, 0)) {
    require_multiple({"hidden_size", c.hidden}, {"num_conv_pos_embedding_groups", places.groups});
  }

 protected:
  /// Squeezed frames through the layers: f[batch, n, hidden] -> the same.
  virtual Value layers(const Scope& encoder, const Frames& squeezed, std::vector<Value>& kept) const = 0;

  int64_t least_frames() const override { return factor; }

  Projected project(const Scope& model, const Value& frames) const override {
    const Value x = norm(model / "layer_norm", frames, {.epsilon = frames_epsilon});
    return {x.fixed(-1) == c.hidden ? x : linear(model / "feature_projection", x, {.out = c.hidden})};
  }

  Value run(const Scope& encoder, const Frames& frames, std::vector<Value>& kept) const final {
    const Value x = transpose(without_padding(frames), {0, 2, 1});
    const Value pooled = average_pool1d(x, {.kernel = factor, .stride = factor});
    const Value placed = positional_convolution(encoder / "pos_conv_embed", x, places);
    Frames squeezed{.hidden = transpose(pooled + first_places(placed, size_of(pooled, 2)), {0, 2, 1})};
    if (frames.length) {
      // Version 5 counts what was squeezed of any frame that counts.
      Graph& g = x.graph();
      const Value whole = any_counts ? frames.length + g.integer(factor - 1) : frames.length;
      squeezed.length = g.op("Div", {whole, g.integer(factor)});
      squeezed.mask = mask_of_lengths(squeezed.length, size_of(squeezed.hidden, 1));
    }
    return spread(encoder / "upsample", layers(encoder, squeezed, kept), size_of(frames.hidden, 1));
  }

 private:
  static FrontEnd front_of(const Config& c) {
    return FrontEnd(c, {64, 128, 128, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512},
                    {10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1}, {5, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1});
  }

  /// Of a last axis so many entries (an i64 scalar).
  static Value first_places(const Value& x, const Value& count) {
    Graph& g = x.graph();
    return g.op("Slice", {x, g.integers({0}), unsqueeze(count, {0})}, {{"axes", {2}}});
  }

  /// As many frames as there were, the last ones 0 where the squeeze left some over. Source: SEWUpsampling.
  Value spread(const Scope& s, const Value& x, const Value& count) const {
    const Value wide = activation(linear(s / "projection", x, {.out = c.hidden * factor}), front.activation);
    const Value apart = reshape(wide, {0, -1, c.hidden});
    Graph& g = x.graph();
    return pad(apart, {OpenPad{1, g.integer(0), count - size_of(apart, 1)}});
  }

  const int64_t factor;
  const double frames_epsilon;
  const PositionalConvolution places;
  const bool any_counts;
};

}  // namespace onnxport::family
