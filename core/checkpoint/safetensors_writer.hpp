// SPDX-License-Identifier: Apache-2.0
// Writing safetensors files of any size without holding them.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/tensor/dtype.hpp"

namespace onnxport {

/// A tensor to be written: its place follows from the order.
struct TensorPlan {
  std::string name;
  ir::DType dtype = ir::DType::f32;
  std::vector<int64_t> shape;

  uint64_t bytes() const;
};

/// The text in front of the tensors: length, JSON and padding. Throws Error(internal) for a type that the format lacks.
std::string safetensors_header(const std::vector<TensorPlan>& tensors);

/// Fills a piece of a tensor's bytes, in order: a call for a tensor begins where the last one ended.
using FillPiece = std::function<void(const TensorPlan& tensor, std::span<std::byte> piece)>;

/// Writes one file, tensor by tensor in pieces of at most a megabyte. Throws Error(output).
void stream_safetensors(const std::filesystem::path& path, const std::vector<TensorPlan>& tensors,
                        const FillPiece& fill);

/// Which tensors go into which file, in order: as many as fit into `shard_bytes` and at least one. 0: all into one.
std::vector<std::vector<TensorPlan>> shards_of(const std::vector<TensorPlan>& tensors, uint64_t shard_bytes);

/// "model.safetensors", or "model-00002-of-00005.safetensors" where there are several.
std::string shard_name(size_t index, size_t count);

/// model.safetensors.index.json as text.
std::string shard_index(const std::vector<std::vector<TensorPlan>>& shards);

}  // namespace onnxport
