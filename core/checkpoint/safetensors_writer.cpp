// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/safetensors_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/files/output_file.hpp"

namespace onnxport {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr uint64_t piece_bytes = uint64_t{1} << 20;

std::string format_name(ir::DType dtype) {
  switch (dtype) {
    case ir::DType::f64:
      return "F64";
    case ir::DType::f32:
      return "F32";
    case ir::DType::f16:
      return "F16";
    case ir::DType::bf16:
      return "BF16";
    default:
      throw Error(Failure::internal, fmt::format("a random tensor of type {}", ir::name_of(dtype)));
  }
}

}  // namespace

uint64_t TensorPlan::bytes() const {
  uint64_t bytes = ir::size_of(dtype);
  for (int64_t size : shape) bytes *= static_cast<uint64_t>(size);
  return bytes;
}

std::string safetensors_header(const std::vector<TensorPlan>& tensors) {
  OrderedJson header = OrderedJson::object();
  header["__metadata__"] = {{"format", "pt"}};
  uint64_t offset = 0;
  for (const TensorPlan& tensor : tensors) {
    const uint64_t end = offset + tensor.bytes();
    header[tensor.name] = {
        {"dtype", format_name(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  std::string out(sizeof length, '\0');
  std::memcpy(out.data(), &length, sizeof length);
  return out + text;
}

void stream_safetensors(const std::filesystem::path& path, const std::vector<TensorPlan>& tensors,
                        const FillPiece& fill) {
  const std::string header = safetensors_header(tensors);
  uint64_t total = header.size();
  for (const TensorPlan& tensor : tensors) total += tensor.bytes();
  OutputFile file(path, total);
  file.write(std::as_bytes(std::span(header)), 0);
  uint64_t offset = header.size();
  std::vector<std::byte> piece;
  for (const TensorPlan& tensor : tensors) {
    for (uint64_t left = tensor.bytes(); left > 0;) {
      piece.resize(std::min(left, piece_bytes));
      fill(tensor, piece);
      file.write(piece, offset);
      offset += piece.size();
      left -= piece.size();
    }
  }
  file.close();
}

std::vector<std::vector<TensorPlan>> shards_of(const std::vector<TensorPlan>& tensors, uint64_t shard_bytes) {
  std::vector<std::vector<TensorPlan>> shards(1);
  uint64_t bytes = 0;
  for (const TensorPlan& tensor : tensors) {
    if (shard_bytes > 0 && !shards.back().empty() && bytes + tensor.bytes() > shard_bytes) {
      shards.emplace_back();
      bytes = 0;
    }
    shards.back().push_back(tensor);
    bytes += tensor.bytes();
  }
  return shards;
}

std::string shard_name(size_t index, size_t count) {
  return count == 1 ? "model.safetensors" : fmt::format("model-{:05}-of-{:05}.safetensors", index + 1, count);
}

std::string shard_index(const std::vector<std::vector<TensorPlan>>& shards) {
  OrderedJson index{{"metadata", {{"total_size", 0}}}, {"weight_map", OrderedJson::object()}};
  uint64_t total = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    for (const TensorPlan& tensor : shards[i]) {
      index["weight_map"][tensor.name] = shard_name(i, shards.size());
      total += tensor.bytes();
    }
  }
  index["metadata"]["total_size"] = total;
  return index.dump(2) + "\n";
}

}  // namespace onnxport
