// SPDX-License-Identifier: Apache-2.0
// Audio encoders: the heads that models of sound have in common.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <utility>
#include <vector>

#include <onnxport/missing_head.hpp>

namespace onnxport::sdk {

/// What an encoder makes of sound.
struct AudioFeatures {
  Value last{};                 ///< f[batch, frames, n]
  Value length{};               ///< i64[batch], how many frames of each recording count; absent: all do
  std::vector<Value> layers{};  ///< f[batch, m, n]: what the first layer reads and what each yields, for a head
  Value front{};                ///< f[batch, m, width], what is projected for the layers, where a head reads it
};

/// A voice: the vector by which speakers are compared, and its scores, f[batch, n] each.
struct Voice {
  Value embedding, scores;
};

/// An encoder with the features of audio models: default, ctc, audio-classification, audio-frame-classification,
/// audio-xvector and pretraining. A model says what it takes, how it encodes, and what those of the heads do that its
/// plugin lists.
class AudioEncoder : public OnnxConfig {
 public:
  explicit AudioEncoder(const Request& request)
      : OnnxConfig(request),
        labels_(request.config.num_labels()),
        masked_(request.options.text("sample_mask", "") == "input") {}

  double atol_for_validation() const override { return 1e-4; }

  std::vector<OutputSpec> outputs() const override {
    if (task() == "ctc" || task() == "audio-frame-classification")
      return {{"logits", {{0, axis::batch}, {1, frames()}}}};
    if (task() == "default") return {{"last_hidden_state", {{0, axis::batch}, {1, frames()}}}};
    if (task() == "audio-classification") return {{"logits", {{0, axis::batch}}}};
    if (task() == "audio-xvector") return {{"logits", {{0, axis::batch}}}, {"embeddings", {{0, axis::batch}}}};
    return OnnxConfig::outputs();
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope model = task() == "default" ? g.root() : g.root() / base_model_prefix();
    const AudioFeatures made = encode(model, in);
    if (task() == "ctc") return {{"logits", words(model, made)}};
    if (task() == "audio-classification") return {{"logits", classify(model, made)}};
    if (task() == "audio-frame-classification") return {{"logits", classify_frames(model, made)}};
    if (task() == "pretraining") return pretrain(model, made);
    if (task() == "audio-xvector") {
      const Voice voice = identify(model, made);
      return {{"logits", voice.scores}, {"embeddings", voice.embedding}};
    }
    if (made.front) g.mark("extract_features", made.front);
    if (g.wants("pooler_output")) {
      if (const Value pooled = pool(model, made)) g.mark("pooler_output", pooled);
    }
    return {{"last_hidden_state", made.last}};
  }

 protected:
  /// What the axis of the frames that the model yields is called.
  virtual std::string frames() const { return axis::sequence; }
  /// Marks hidden_states.{i} on its way.
  virtual AudioFeatures encode(const Scope& model, const Inputs& in) const = 0;
  /// The base model's pooler_output, f[batch, n]; absent where it has none.
  virtual Value pool(const Scope&, const AudioFeatures&) const { return {}; }
  /// Scores of characters for each frame: f[batch, frames, vocab]
  virtual Value words(const Scope& model, const AudioFeatures&) const { return missing_head(*this, model); }
  /// -> f[batch, labels]
  virtual Value classify(const Scope& model, const AudioFeatures&) const { return missing_head(*this, model); }
  /// -> f[batch, frames, labels]
  virtual Value classify_frames(const Scope& model, const AudioFeatures&) const { return missing_head(*this, model); }
  virtual Voice identify(const Scope& model, const AudioFeatures&) const { return {missing_head(*this, model), {}}; }
  /// What the class that the model was trained by yields, by its names; outputs() declares them.
  virtual Outputs pretrain(const Scope& model, const AudioFeatures&) const {
    return {{"", missing_head(*this, model)}};
  }

  /// The input, and where the option sample_mask="input" asks for it a mask of its first two axes, for recordings of
  /// different lengths in a batch. Of a model whose processor gives none unless told to.
  std::vector<TensorSpec> with_mask(const TensorSpec& sound) const {
    std::vector<TensorSpec> specs{sound};
    if (masked_) specs.push_back(input::mask("attention_mask", {sound.shape[0], sound.shape[1]}, {.of = sound.name}));
    return specs;
  }
  int64_t labels() const { return labels_; }

 private:
  int64_t labels_;
  bool masked_;
};

// ---------------------------------------------------------------------------------------------- lengths

/// A window that slides along a signal.
struct SlidingWindow {
  int64_t size, step = 1;
  int64_t padding = 0;  ///< on both sides
};

/// How many places windows, one behind the other, leave of a length: i64[...] -> the same.
/// Source: Wav2Vec2Model._get_feat_extract_output_lengths, transformers 4.57.
inline Value length_behind(Value length, const std::vector<SlidingWindow>& windows) {
  Graph& g = length.graph();
  for (const SlidingWindow& window : windows) {
    length = length + g.integer(2 * window.padding - window.size);
    if (window.step != 1) length = g.op("Div", {length, g.integer(window.step)});
    length = length + g.integer(1);
  }
  return length;
}

/// How long a signal must be for so many places behind windows that add nothing at its ends.
inline int64_t length_before(int64_t places, const std::vector<SlidingWindow>& windows) {
  for (auto window = windows.rbegin(); window != windows.rend(); ++window)
    places = (places - 1) * window->step + window->size;
  return places;
}

/// 1 in the first places of every row: lengths: i64[batch], of `count` places (an i64 scalar) -> i64[batch, count].
inline Value mask_of_lengths(const Operand& lengths, const Value& count) {
  Graph& g = lengths.graph();
  return cast(g.op("Less", {unsqueeze(range(count), {0}), unsqueeze(lengths, {1})}), DType::i64);
}

}  // namespace onnxport::sdk
