// SPDX-License-Identifier: Apache-2.0
// Squares of an image's patches that become one token of a text. Source: Mistral3PatchMerger and
// Lfm2VlModel.get_image_features, transformers 5.24.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/blocks/packed_images.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

struct PatchSquares {
  Value sizes;    ///< i64[images, 2]: rows and columns of patches of each
  Value begin;    ///< i64[images]: where its patches begin in a row of all
  int64_t merge;  ///< patches on a side of a square
};
/// Which patches are in each square of merge × merge, of all images one behind the other: i64[squares, merge²], row by
/// row. What is left over at an image's edges is in none.
inline Value patches_of_squares(const Scope& s, const PatchSquares& of) {
  Graph& g = s.graph();
  const auto merge = static_cast<double>(of.merge);
  const Value whole = of.sizes / merge, count = pick(whole, 1, 0) * pick(whole, 1, 1);
  const Value one = unsqueeze(count * 0 + g.integer(1), {1});
  const PackedPlaces at = packed_places(s, concat({one, whole}, 1), sum(count, {0}), 1);

  const Value columns = unsqueeze(gather(pick(of.sizes, 1, 1), at.image), {1, 2});
  const Value begin = unsqueeze(gather(of.begin, at.image), {1, 2}), within = range(g.integer(of.merge));
  const Value row = unsqueeze(at.row * merge, {1, 2}) + unsqueeze(within, {1});
  const Value column = unsqueeze(at.column * merge, {1, 2}) + within;
  return reshape(begin + row * columns + column, {0, of.merge * of.merge});
}

}  // namespace onnxport::family
