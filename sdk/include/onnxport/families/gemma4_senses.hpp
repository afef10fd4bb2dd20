// SPDX-License-Identifier: Apache-2.0
// What models with Gemma 4's encoders read beside texts: their tokens, inputs, graphs and dummies. Source: Gemma4Model
// and EmbeddingGemma2Model, transformers 5.24.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/families/gemma4_audio.hpp>
#include <onnxport/families/gemma4_vision.hpp>
#include <onnxport/placeholders.hpp>

namespace onnxport::family {

struct Gemma4Senses {
  /// `sees`: a model that has images at any rate.
  explicit Gemma4Senses(const Config& c, bool sees = false)
      : image_token(c.count("image_token_id", 258880)),
        video_token(c.count("video_token_id", 258884)),
        audio_token(c.count("audio_token_id", 258881)),
        padding(c.section("text_config").count("pad_token_id", 0)),
        width(c.section("text_config").size("hidden_size")) {
    c.no_effect({"boi_token_id", "eoi_token_id", "boa_token_id", "eoa_token_id", "eoa_token_index"});
    if (sees || c.has("vision_config")) vision.emplace(c.section("vision_config"));
    if (c.has("audio_config")) audio.emplace(c.section("audio_config"));
  }
  int64_t image_token, video_token, audio_token, padding;
  int64_t width;  ///< of the texts' vectors
  std::optional<Gemma4Vision> vision;
  std::optional<Gemma4Audio> audio;

  static constexpr const char *images = "images", *patches = "patches", *sounds = "sounds", *frames = "frames";
  static constexpr const char *pixels = "pixel_values", *features = "input_features", *mask = "input_features_mask";
  /// Where patches lie, to the whole model and to the graph of images alone.
  static constexpr const char *places = "image_position_ids", *own_places = "pixel_position_ids";

  std::vector<TensorSpec> image_inputs(const char* where) const {
    return {input::features(pixels, {images, patches, 3 * vision->patch * vision->patch}, {.low = 0, .high = 1}),
            {where, DType::i64, {images, patches, 2}, vision->positions}};
  }
  std::vector<TensorSpec> sound_inputs() const {
    TensorSpec counts = input::mask(mask, {sounds, frames}, {.of = features});
    counts.dtype = DType::boolean;
    return {input::features(features, {sounds, frames, audio->bins()}), std::move(counts)};
  }
  static OutputSpec image_features() { return {"image_features", {{0, "image_sequence"}}}; }
  static OutputSpec audio_features() { return {"audio_features", {{0, "audio_sequence"}}}; }

  std::vector<AxisSize> axis_sizes() const {
    std::vector<AxisSize> sizes;
    if (vision) {
      const int64_t pooled = vision->pooled();
      sizes = {{.axis = images, .usual = 2}, {.axis = patches, .usual = 4 * pooled, .minimum = pooled, .step = pooled}};
    }
    if (audio) sizes.insert(sizes.end(), {{.axis = sounds, .usual = 2}, {.axis = frames, .usual = 60}});
    return sizes;
  }

  int64_t image_vectors(const std::map<std::string, int64_t>& sizes) const {
    return vision ? length(sizes, images) * (length(sizes, patches) / vision->pooled()) : 0;
  }
  int64_t audio_vectors(const std::map<std::string, int64_t>& sizes) const {
    return audio ? length(sizes, sounds) * Gemma4Audio::places(length(sizes, frames)) : 0;
  }
  /// Where patches lie, and in the whole model that all of a sound counts, so that a text can have as many tokens for
  /// it.
  std::vector<DummyTensor> dummies(const DummyRequest& request) const {
    std::vector<DummyTensor> made;
    const bool whole = request.part.empty();
    if (vision && (whole || request.part == "vision_encoder")) {
      made.push_back(vision->dummy_places(whole ? places : own_places, length(request.sizes, images),
                                          length(request.sizes, patches)));
    }
    if (audio && whole) {
      const int64_t count = length(request.sizes, sounds), each = length(request.sizes, frames);
      made.push_back(DummyTensor::of(mask, DType::boolean, {count, each},
                                     std::vector<uint8_t>(static_cast<size_t>(count * each), 1)));
    }
    return made;
  }

  /// The ids of words: what stands for something else is padding to their tables.
  Value words_of(const Value& ids) const {
    Graph& g = ids.graph();
    Value other = equal(ids, image_token);
    for (const int64_t token : {video_token, audio_token}) other = g.op("Or", {other, equal(ids, token)});
    return where(other, g.integer(padding), ids);
  }

  /// `base`: the module that holds the encoders -> f[n, width]
  Value see(const Scope& base, const Value& pixel_values, const Value& where) const {
    return gemma4_embedder(base / "embed_vision", (*vision)(base / "vision_tower", pixel_values, where), width,
                           vision->rms.epsilon);
  }
  Value hear(const Scope& base, const Inputs& in) const {
    const Gemma4Audio::Heard heard = (*audio)(base / "audio_tower", in.at(features), in.at(mask));
    return gemma4_embedder(base / "embed_audio", counted_rows(heard.places, heard.counts), width, audio->epsilon);
  }

 private:
  static int64_t length(const std::map<std::string, int64_t>& sizes, const char* axis) {
    const auto found = sizes.find(axis);
    return found == sizes.end() ? 1 : found->second;
  }
};

}  // namespace onnxport::family
