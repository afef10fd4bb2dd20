// SPDX-License-Identifier: Apache-2.0
// What the functions that infer types share: checks whose failure names the cause, and where results go.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "core/ir/operators.hpp"

namespace onnxport::ir {

/// An operator does not take what it was given; Graph::add_node adds the operator, its scope and the input types.
[[noreturn]] inline void refuse(const std::string& why) {
  throw std::invalid_argument(why);
}

/// An axis that may count from the end, as an index.
inline size_t axis_index(int64_t axis, size_t rank) {
  const int64_t index = axis < 0 ? axis + static_cast<int64_t>(rank) : axis;
  if (index < 0 || index >= static_cast<int64_t>(rank))
    refuse(fmt::format("axis {} of a tensor of rank {}", axis, rank));
  return static_cast<size_t>(index);
}

inline void require_attribute(const Inference& x, const char* name) {
  if (!x.node.has(name)) refuse(fmt::format("needs the attribute '{}'", name));
}

inline void require_rank(const Inference& x, size_t input, size_t rank) {
  if (x.shape(input).size() != rank) refuse(fmt::format("input {} must be of rank {}", input, rank));
}

inline void require_same(const Dim& a, const Dim& b, const char* what) {
  if (!(a == b)) refuse(fmt::format("{}: {} is not {}", what, a.to_string(), b.to_string()));
}

inline void set(Inference& x, DType dtype, Shape shape, size_t result = 0) {
  x.results[result].type = {dtype, std::move(shape)};
}

inline DType dtype_of(const Inference& x, size_t input = 0) {
  return x.in(input).type.dtype;
}

inline void require_same_dtype(const Inference& x, size_t a, size_t b) {
  if (dtype_of(x, a) != dtype_of(x, b)) refuse("its inputs have two element types; cast one");
}

/// Contents for results of rank 0 or 1 only.
inline void set_contents(Inference& x, Shape contents) {
  x.results[0].contents = std::move(contents);
}

/// The inference of what yields its first input's type.
inline void infer_same(Inference& x) {
  set(x, dtype_of(x), x.shape(0));
  if (x.node.op == "Identity") x.results[0].contents = x.in(0).contents;
}

/// The same, of floating-point tensors alone.
inline void infer_float(Inference& x) {
  if (!is_floating(dtype_of(x))) refuse("takes a floating-point tensor");
  infer_same(x);
}

}  // namespace onnxport::ir
