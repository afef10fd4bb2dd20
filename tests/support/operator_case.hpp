// SPDX-License-Identifier: Apache-2.0
// One operator: the reference against numbers that PyTorch gave, and ONNX Runtime against the reference at every opset,
// where the lengths of axes are known when the graph is built and where only the run knows them.
#pragma once

#include <set>

#include "core/error.hpp"
#include "tests/support/both_back_ends.hpp"

namespace onnxport::test {

/// Numbers of both signs that repeat late; those that the expectations were made of.
inline ir::Tensor numbers_of(std::vector<int64_t> shape, float factor = 1) {
  ir::Tensor tensor{ir::DType::f32, std::move(shape), {}};
  std::vector<float> values(static_cast<size_t>(tensor.element_count()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = (std::sin(static_cast<float>(i) * 1.7F) + 0.1F) * factor;
  return ir::Tensor::of<float>(ir::DType::f32, tensor.shape, values);
}

struct OperatorCase {
  std::string domain, op;
  std::vector<ir::Tensor> inputs;  // without a type: absent
  ir::Attributes attributes{};
  size_t outputs = 1;
  std::set<size_t> open{0, 2, 3, 4};  // axes of the first input whose lengths only the run knows
  std::set<size_t> fed{};             // further inputs that are the graph's; the others are constants
  int64_t first_opset = 13;
};

/// The graph, with results y0, y1, ...
inline ir::Graph graph_of(const OperatorCase& c, bool open) {
  ir::Graph g;
  std::vector<ir::ValueId> inputs;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const ir::Tensor& tensor = c.inputs[i];
    if (tensor.dtype == ir::DType::undefined) {
      inputs.push_back(ir::absent);
    } else if (i > 0 && !c.fed.contains(i)) {
      inputs.push_back(g.add_constant(tensor));
    } else {
      ir::Shape shape(tensor.shape.begin(), tensor.shape.end());
      for (size_t axis = 0; axis < shape.size() && open; ++axis) {
        if (i == 0 && c.open.contains(axis)) shape[axis] = ir::Dim::symbol("axis" + std::to_string(axis));
      }
      if (open && i > 0 && shape.size() > 1 && c.open.contains(0)) shape[0] = ir::Dim::symbol("axis0");
      inputs.push_back(g.add_input("x" + std::to_string(i), {tensor.dtype, shape}));
    }
  }
  const auto results = g.add_node({c.domain, c.op, "test", std::move(inputs), {}, c.attributes, ""}, c.outputs);
  for (size_t i = 0; i < results.size(); ++i) g.add_output("y" + std::to_string(i), results[i]);
  return g;
}

/// What the reference yields, after a look at whether every opset's form yields the same.
inline Tensors checked(const OperatorCase& c, double tolerance = 1e-5) {
  Tensors given, expected;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (i == 0 || c.fed.contains(i)) given["x" + std::to_string(i)] = c.inputs[i];
  }
  for (const bool open : {true, false}) {
    const ir::Graph g = graph_of(c, open);
    expected = by_reference(g, given);
    for (int64_t opset = c.first_opset; opset <= 24; ++opset)
      check_equal(by_runtime(g, opset, given), expected, tolerance, "opset " + std::to_string(opset));
  }
  return expected;
}

/// The first result's shape and numbers, which PyTorch gave.
inline void check_case(const OperatorCase& c, const std::vector<int64_t>& shape, const std::vector<float>& numbers) {
  const Tensors results = checked(c);
  check_equal({{"y", results.at("y0")}}, {{"y", ir::Tensor::of<float>(ir::DType::f32, shape, numbers)}}, 2e-5, "torch");
}

/// What is said of a node that is refused, or "accepted".
inline std::string refusal_of(const OperatorCase& c) {
  try {
    graph_of(c, false);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

/// A test that a message holds a part, and shows both where not.
inline void check_refusal(const OperatorCase& c, const std::string& part) {
  const std::string text = refusal_of(c);
  BOOST_TEST(text.find(part) != std::string::npos, "'" << text << "' does not say '" << part << "'");
}

}  // namespace onnxport::test
