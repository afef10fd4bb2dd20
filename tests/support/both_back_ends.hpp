// SPDX-License-Identifier: Apache-2.0
// A graph by the reference, and as a file by ONNX Runtime, for tests that compare the two.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "core/backend/backend.hpp"
#include "core/onnx/model_proto.hpp"
#include "core/passes/pipeline.hpp"
#include "tests/support/skips.hpp"
#include "tests/support/temporary_folder.hpp"

namespace onnxport::test {

inline Tensors by_reference(const ir::Graph& graph, const Tensors& inputs) {
  return load_backend("reference").load_graph(graph)->run(inputs);
}

/// What an ONNX file computes; the file is gone afterwards.
inline Tensors run_model(const pb::ModelProto& model, const Tensors& values) {
  const TemporaryFolder folder;
  return load_backend("onnxruntime").load_file(folder.write("model.onnx", model.SerializeAsString()))->run(values);
}

/// ONNX Runtime's results for the graph, lowered to the opset. Its weights must be constants.
inline Tensors by_runtime(const ir::Graph& graph, int64_t opset, const Tensors& inputs) {
  const ir::Graph lowered = lower(graph, {.opset = opset, .patches = {}});
  return run_model(to_model(lowered, {.opset = opset, .metadata = {}}).model, inputs);
}

/// Both yield the same shapes and, up to `tolerance`, the same numbers.
inline void check_equal(const Tensors& actual, const Tensors& expected, double tolerance, const std::string& who) {
  BOOST_REQUIRE_EQUAL(actual.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    const ir::Tensor& found = actual.at(name);
    BOOST_TEST(found.shape == tensor.shape, boost::test_tools::per_element());
    BOOST_REQUIRE(found.data.size() == tensor.data.size());
    if (tensor.dtype != ir::DType::f32) {
      BOOST_TEST(found.data == tensor.data, who << ": " << name);
      continue;
    }
    for (size_t i = 0; i < tensor.as<float>().size(); ++i) {
      const double difference = std::fabs(found.as<float>()[i] - tensor.as<float>()[i]);
      BOOST_TEST(difference <= tolerance, who << ": " << name << ", element " << i << " is " << found.as<float>()[i]
                                              << " and not " << tensor.as<float>()[i]);
    }
  }
}

/// The reference's results, and that ONNX Runtime yields them at opsets of every kind.
inline Tensors same_at_every_opset(const ir::Graph& graph, const Tensors& inputs, double tolerance = 1e-5) {
  const Tensors expected = by_reference(graph, inputs);
  for (const int64_t opset : {13, 15, 18, 21, 24})
    check_equal(by_runtime(graph, opset, inputs), expected, tolerance, "opset " + std::to_string(opset));
  return expected;
}

}  // namespace onnxport::test
