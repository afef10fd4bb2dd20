// SPDX-License-Identifier: Apache-2.0
// Loads a model in ONNX Runtime with its default settings and ends: what the load costs a process.
#include <fmt/format.h>

#include "core/backend.hpp"

int main(int argc, char** argv) try {
  if (argc != 2) {
    fmt::print(stderr, "usage: load_model FILE.onnx\n");
    return 2;
  }
  const auto model = onnxport::load_backend("onnxruntime").load_file(argv[1]);
  return model == nullptr ? 1 : 0;
} catch (const std::exception& problem) {
  fmt::print(stderr, "load_model: {}\n", problem.what());
  return 1;
}
