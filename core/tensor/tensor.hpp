// SPDX-License-Identifier: Apache-2.0
// A small tensor with its own bytes: constants of the graph, inputs and outputs of a run.
#pragma once

#include <cstddef>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor/dtype.hpp"

namespace onnxport::ir {

/// Row-major, little-endian, owned bytes.
struct Tensor {
  DType dtype = DType::undefined;
  std::vector<int64_t> shape;
  std::vector<std::byte> data;

  int64_t element_count() const {
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    return count;
  }
  template <class T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T)};
  }
  template <class T>
  std::span<T> as() {
    return {reinterpret_cast<T*>(data.data()), data.size() / sizeof(T)};
  }
  template <class T>
  static Tensor of(DType dtype, std::vector<int64_t> shape, const std::vector<T>& values) {
    Tensor tensor{dtype, std::move(shape), std::vector<std::byte>(values.size() * sizeof(T))};
    if (!values.empty()) std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
    return tensor;
  }
  static Tensor i64(std::vector<int64_t> values) {
    auto count = static_cast<int64_t>(values.size());
    return of<int64_t>(DType::i64, {count}, values);
  }
  static Tensor i64_scalar(int64_t value) { return of<int64_t>(DType::i64, {}, {value}); }
  static Tensor f32_scalar(float value) { return of<float>(DType::f32, {}, {value}); }
  friend bool operator==(const Tensor&, const Tensor&) = default;
};

}  // namespace onnxport::ir

namespace onnxport {

/// Inputs or outputs of a run, by name.
using Tensors = std::map<std::string, ir::Tensor>;

}  // namespace onnxport
