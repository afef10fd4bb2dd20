// SPDX-License-Identifier: Apache-2.0
// Texts in which some tokens stand for vectors of something else, an image or a sound.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <string>
#include <vector>

#include <onnxport/onnx_config.hpp>
#include <onnxport/selection.hpp>

namespace onnxport::sdk {

/// So many tokens of a dummy text.
struct Placeholders {
  int64_t count, token;
};
struct TextsWithPlaceholders {
  std::vector<Placeholders> all;
  int64_t vocab;  ///< ids are below this
};
/// Dummy texts that begin with them; of the others none stands for anything: input_ids, i64[batch, sequence].
inline DummyTensor texts_with_placeholders(const DummyRequest& request, const TextsWithPlaceholders& texts) {
  const int64_t rows = request.sizes.at(axis::batch), columns = request.sizes.at(axis::sequence);
  const auto length = static_cast<size_t>(rows * columns);
  const auto stands_for_others = [&](int64_t id) {
    return std::any_of(texts.all.begin(), texts.all.end(), [&](const Placeholders& one) { return one.token == id; });
  };
  std::vector<int64_t> ids;
  for (const Placeholders& one : texts.all)
    ids.resize(std::min(length, ids.size() + static_cast<size_t>(one.count)), one.token);
  const size_t begun = ids.size();
  uint64_t drawn = request.seed * 6364136223846793005u + 1442695040888963407u;
  for (size_t i = 0; i < length; ++i) {
    drawn = drawn * 6364136223846793005u + 1442695040888963407u;
    if (i < begun) continue;
    auto id = static_cast<int64_t>((drawn >> 33) % static_cast<uint64_t>(texts.vocab));
    for (size_t tries = 0; tries < texts.all.size() && stands_for_others(id); ++tries)
      id = id == 0 ? texts.vocab - 1 : id - 1;
    ids.push_back(id);
  }
  return DummyTensor::of("input_ids", DType::i64, {rows, columns}, ids);
}

/// f[…, width] -> f[n + 1, width], the last of zeros: where nothing is given there is a row to look at even so.
inline Value with_a_row(const Value& vectors) {
  const int64_t width = vectors.fixed(-1);
  const Value zeros =
      vectors.graph().constant<float>(DType::f32, {1, width}, std::vector<float>(static_cast<size_t>(width), 0.f));
  return concat({vectors.rank() == 2 ? vectors : reshape(vectors, {-1, width}), zeros}, 0);
}

/// The rows of a batch, f[batch, n, width], of which a mask of truths b[batch, n] says which count: f[m, width].
inline Value counted_rows(const Value& vectors, const Value& counts) {
  const Value places = vectors.graph().op("NonZero", {reshape(counts, {-1})});
  return gather(reshape(vectors, {-1, vectors.fixed(-1)}), reshape(places, {-1}));
}

}  // namespace onnxport::sdk
