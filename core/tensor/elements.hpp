// SPDX-License-Identifier: Apache-2.0
// Loops over a tensor's elements: conversion between types, transposition, collecting what lies apart.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/tensor/dtype.hpp"

namespace onnxport {

/// Converts `count` elements between floating types, rounding to nearest even. Those of 8 bits become others and not
/// the reverse; other types only themselves. Throws Error(checkpoint) naming both types.
void convert_elements(ir::DType from, const std::byte* source, ir::DType to, std::byte* target, uint64_t count);
bool can_convert(ir::DType from, ir::DType to);
/// Whether any of `count` finite elements became infinite as one of `halves`, f16.
bool leave_f16(ir::DType from, const std::byte* source, const std::byte* halves, uint64_t count);

/// Elements of one type, one behind the other.
struct Elements {
  ir::DType dtype;
  const std::byte* data;
  uint64_t count;
};
/// Whether a finite one of them became an infinity as `target`, to which they were converted: the type has no number
/// that large.
bool become_infinite(const Elements& source, ir::DType to, const std::byte* target);

/// A matrix at any address: rows `stride` elements apart.
struct Matrix {
  const std::byte* source;
  int64_t rows, columns, stride;
};
/// target[column][row] = source[row][column], for elements of `size` bytes. The target is aligned to them.
void transpose_elements(size_t size, const Matrix& matrix, std::byte* target);

/// Elements `stride` apart become neighbours. As above.
void collect_elements(size_t size, const std::byte* source, int64_t stride, std::byte* target, int64_t count);

}  // namespace onnxport
