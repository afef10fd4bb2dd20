// SPDX-License-Identifier: Apache-2.0
// Loads a model in ONNX Runtime with its default settings and ends: what the load costs a process. With --run it runs
// the model some times, too, and writes the median of the seconds.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/backend/backend.hpp"
#include "core/onnx/model_proto.hpp"

namespace {

using namespace onnxport;

constexpr int64_t sequence = 64, image = 224;
constexpr int runs = 7;

/// "past_sequence + sequence" for any exporter's names: nothing past, a batch of one, the usual image, and 64
/// of everything else.
int64_t size_of_axis(const std::string& name) {
  int64_t sum = 0;
  for (size_t begin = 0; begin < name.size();) {
    const size_t end = std::min(name.find('+', begin), name.size());
    const std::string term = name.substr(begin, end - begin);
    const auto has = [&](const char* word) { return term.find(word) != std::string::npos; };
    sum += has("past") ? 0 : has("batch") ? 1 : has("height") || has("width") ? image : has("channels") ? 3 : sequence;
    begin = end + 1;
  }
  return sum;
}

/// Ones, which are tokens, positions and masks; zeros for what is not an integer.
ir::Tensor input_of(const pb::ValueInfoProto& input) {
  const auto& type = input.type().tensor_type();
  ir::Tensor tensor{static_cast<ir::DType>(type.elem_type()), {}, {}};
  for (const auto& axis : type.shape().dim())
    tensor.shape.push_back(axis.has_dim_value() ? axis.dim_value() : size_of_axis(axis.dim_param()));
  tensor.data.resize(static_cast<size_t>(tensor.element_count()) * ir::size_of(tensor.dtype));
  if (tensor.dtype == ir::DType::i64) std::ranges::fill(tensor.as<int64_t>(), 1);
  if (tensor.dtype == ir::DType::i32) std::ranges::fill(tensor.as<int32_t>(), 1);
  return tensor;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const bool run = words.size() == 2 && words[0] == "--run";
  if (words.size() != 1 && !run) {
    fmt::print(stderr, "usage: load_model [--run] FILE.onnx\n");
    return 2;
  }
  const auto model = load_backend("onnxruntime").load_file(words.back());
  if (!run) return 0;
  Tensors inputs;
  pb::ModelProto file;
  std::ifstream stream(words.back(), std::ios::binary);
  if (!file.ParseFromIstream(&stream)) throw std::runtime_error("no ONNX model: " + words.back());
  for (const auto& input : file.graph().input()) inputs.emplace(input.name(), input_of(input));
  std::vector<double> seconds;
  for (int i = 0; i <= runs; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    model->run(inputs);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    if (i > 0) seconds.push_back(taken.count());
  }
  std::sort(seconds.begin(), seconds.end());
  fmt::print("{}\n", seconds[seconds.size() / 2]);
  return 0;
} catch (const std::exception& problem) {
  fmt::print(stderr, "load_model: {}\n", problem.what());
  return 1;
}
