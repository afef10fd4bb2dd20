// SPDX-License-Identifier: Apache-2.0
// The heads of wav2vec 2.0 and its relatives: characters of every frame, classes of a recording or of its frames, and
// who speaks. Source: Wav2Vec2ForCTC, Wav2Vec2ForSequenceClassification, Wav2Vec2ForAudioFrameClassification and
// Wav2Vec2ForXVector, transformers 4.57, and 5.24 for what layers yield.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/audio_encoder.hpp>
#include <onnxport/blocks/feed_forward.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// A list of config.json with exactly as many entries as another one, which is known.
inline std::vector<int64_t> as_many(const Config& c, std::string_view key, std::vector<int64_t> fallback,
                                    size_t entries) {
  std::vector<int64_t> values = by_stage(c, key, std::move(fallback), entries);
  require_equal({key, static_cast<int64_t>(values.size())}, {"the number of layers", static_cast<int64_t>(entries)});
  return values;
}

/// intermediate_dense and output_dense, as the layers of wav2vec 2.0 have them.
inline FeedForward speech_feed_forward(int64_t inner, std::string activation) {
  return {.inner = inner,
          .activation = std::move(activation),
          .up = "intermediate_dense",
          .down = "output_dense",
          .bias = true};
}

/// Defaults of config classes that differ.
struct SpeechDefaults {
  int64_t hidden = 768, layers = 12;
  std::optional<int64_t> vocab = 32;
  int64_t projected = 256;  ///< of the classifier's layer
};

/// What the heads read of config.json.
struct SpeechHeads {
  SpeechHeads(const Config& c, const SpeechDefaults& otherwise)
      : layers(c.count("num_hidden_layers", otherwise.layers)),
        vocab(c.integer("vocab_size", otherwise.vocab.value_or(0))),
        projected(c.size("classifier_proj_size", otherwise.projected)),
        weighs_layers(c.boolean("use_weighted_layer_sum", false)),
        voice(c.size("xvector_output_dim", 512)),
        widths(by_stage(c, "tdnn_dim", {512, 512, 512, 512, 1500}, 1)),
        kernels(as_many(c, "tdnn_kernel", {5, 3, 3, 1, 1}, widths.size())),
        dilations(as_many(c, "tdnn_dilation", {1, 2, 3, 1, 1}, widths.size())) {
    c.no_effect({"final_dropout", "ctc_loss_reduction", "ctc_zero_infinity", "pad_token_id", "bos_token_id",
                 "eos_token_id", "initializer_range"});
  }
  int64_t layers, vocab;
  int64_t projected;
  bool weighs_layers;  // a head reads a weighted mean of what all layers yield
  int64_t voice;
  std::vector<int64_t> widths, kernels, dilations;  // of the convolutions before a voice

  /// Frames that the convolutions before a voice need for a deviation.
  int64_t frames_of_voice() const {
    int64_t frames = 2;
    for (size_t i = 0; i < kernels.size(); ++i) frames += (kernels[i] - 1) * dilations[i];
    return frames;
  }
};

/// An encoder of speech with those heads.
class SpeechEncoder : public AudioEncoder {
 public:
  SpeechEncoder(const Request& request, const SpeechDefaults& otherwise)
      : AudioEncoder(request), heads_(request.config, otherwise) {}

 protected:
  Value words(const Scope& model, const AudioFeatures& made) const override {
    if (heads_.vocab <= 0) {
      throw Error(ONNXPORT_CONFIG,
                  "config field 'vocab_size' is missing or below 1: the head for ctc has a score for "
                  "each character of a vocabulary");
    }
    return linear(model.graph().root() / "lm_head", made.last, {.out = heads_.vocab});
  }

  Value classify(const Scope& model, const AudioFeatures& made) const override {
    const Scope root = model.graph().root();
    const Value x = linear(root / "projector", read(root, made), {.out = heads_.projected});
    const Value pooled = made.length ? mean_of_tokens(x, mask_of_lengths(made.length, size_of(x, 1))) : mean(x, {1});
    return linear(root / "classifier", pooled, {.out = labels()});
  }

  Value classify_frames(const Scope& model, const AudioFeatures& made) const override {
    const Scope root = model.graph().root();
    return linear(root / "classifier", read(root, made), {.out = labels()});
  }

  Voice identify(const Scope& model, const AudioFeatures& made) const override {
    const Scope root = model.graph().root();
    root.graph().unused("objective.weight");
    Value x = transpose(linear(root / "projector", read(root, made), {.out = heads_.widths.at(0)}), {0, 2, 1});
    for (size_t i = 0; i < heads_.widths.size(); ++i) {
      const Scope layer = root / "tdnn" / static_cast<int64_t>(i);
      x = relu(convolve(layer / "kernel", x, i));
    }
    const Value embedding =
        linear(root / "feature_extractor", statistics(transpose(x, {0, 2, 1}), made.length), {.out = heads_.voice});
    return {embedding, linear(root / "classifier", embedding, {.out = heads_.voice})};
  }

  const SpeechHeads& heads_of_speech() const { return heads_; }

 private:
  /// What the heads behind `ctc` read: f[batch, frames, n].
  Value read(const Scope& root, const AudioFeatures& made) const {
    if (!heads_.weighs_layers) return made.last;
    const Value shares = softmax(root.weight("layer_weights", {heads_.layers + 1}));
    std::vector<Value> stacked;
    for (const Value& layer : made.layers) stacked.push_back(unsqueeze(layer, {1}));
    return sum(concat(stacked, 1).in(root)*reshape(shares, {-1, 1, 1}), {1});
  }

  /// A layer over several frames that is stored as one over their concatenation: f[batch, in, n] -> f[batch, out, …].
  Value convolve(const Scope& s, const Value& x, size_t i) const {
    const int64_t out = heads_.widths[i], kernel = heads_.kernels[i], in = x.fixed(1);
    const Value weight = s.weight("weight", {out, kernel * in});
    return conv1d(s, x,
                  {.out = out,
                   .kernel = kernel,
                   .dilation = heads_.dilations[i],
                   .weight = transpose(reshape(weight, {out, kernel, in}), {0, 2, 1})});
  }

  /// Mean and standard deviation of the frames that count: f[batch, n, width] -> f[batch, 2·width]. `length` is that
  /// before the convolutions, whose gaps the reference leaves out of account here.
  Value statistics(const Value& x, const Value& length) const {
    Graph& g = x.graph();
    const Value all = size_of(x, 1);
    Value middle, squares, others;
    if (length) {
      std::vector<SlidingWindow> windows;
      for (const int64_t kernel : heads_.kernels) windows.push_back({.size = kernel});
      const Value behind = length_behind(length, windows);
      // Of a sound that is too short the reference counts fewer than none: its slice ends that far before the last.
      const Value ends = where(g.op("Less", {behind, g.integer(0)}), behind + all, behind);
      const Value counts = mask_of_lengths(ends, all);
      const Value counted = unsqueeze(cast(counts, x.dtype()), {2}), count = sum(counted, {1});
      middle = sum(x * counted, {1}) / count;
      const Value apart = (x - unsqueeze(middle, {1})) * counted;
      squares = sum(apart * apart, {1});
      others = count - 1.0;
    } else {
      middle = mean(x, {1});
      const Value apart = x - unsqueeze(middle, {1});
      squares = sum(apart * apart, {1});
      others = cast(all - g.integer(1), x.dtype());
    }
    return concat({middle, sqrt(squares / others)}, -1);
  }

  const SpeechHeads heads_;
};

}  // namespace onnxport::family
