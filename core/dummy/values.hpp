// SPDX-License-Identifier: Apache-2.0
// Dummy values of one input: what fills a tensor of known shape.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/description/description.hpp"
#include "core/dummy/preprocessor.hpp"
#include "core/dummy/random.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport::dummy {

/// The shape of an input's rows: all axes but the last.
int64_t rows_of(const std::vector<int64_t>& shape);
int64_t width_of(const std::vector<int64_t>& shape);
int64_t elements_of(const std::vector<int64_t>& shape);

/// Integers as the input's element type. Throws Error(plugin) for a type that has no dummy values.
ir::Tensor from_integers(const InputSpec& spec, const std::vector<int64_t>& shape, const std::vector<int64_t>& values);

/// The same value everywhere.
ir::Tensor filled(const InputSpec& spec, const std::vector<int64_t>& shape, double value);

/// Reals in the range that the input states, else in [-1, 1). Throws as from_integers.
ir::Tensor reals(const InputSpec& spec, const std::vector<int64_t>& shape, Stream stream);

/// The same; without a stated range, in the one that the image processor makes of black and white, channel by channel.
ir::Tensor pixels(const InputSpec& spec, const std::vector<int64_t>& shape, Stream stream,
                  const Preprocessor* preprocessor);

/// Boxes x0, y0, x1, y1 with x0 <= x1 and y0 <= y1 below the input's limit, else on the scale of 0 to 1000 that layout
/// models use. Throws Error(plugin) where the last axis is not 4.
ir::Tensor boxes(const InputSpec& spec, const std::vector<int64_t>& shape, Stream stream);

/// 1 for images of different sizes in one batch, each in the upper left, 0 beside: the first one fills its place.
std::vector<int64_t> image_mask(const std::vector<int64_t>& shape, bool is_padded);

/// 1 for the first place of each row, 0 for the others.
std::vector<int64_t> first_of_row(const std::vector<int64_t>& shape);

}  // namespace onnxport::dummy
