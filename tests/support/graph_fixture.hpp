// SPDX-License-Identifier: Apache-2.0
// A graph with values for its inputs, and whether what each opset's form of it computes is what the reference does.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "core/ir/operators.hpp"
#include "core/passes/precision.hpp"
#include "core/validate/compare.hpp"
#include "tests/support/both_back_ends.hpp"

namespace onnxport::test {

/// Numbers of both signs that do not repeat.
inline ir::Tensor filled(const std::vector<int64_t>& shape, float step) {
  const ir::Tensor empty{ir::DType::f32, shape, {}};
  std::vector<float> values(static_cast<size_t>(empty.element_count()));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = std::sin(step * static_cast<float>(i + 1)) * (i % 3 == 0 ? -1.F : 1.F);
  return ir::Tensor::of<float>(ir::DType::f32, shape, values);
}

inline std::vector<float> numbers(const ir::Tensor& tensor) {
  const auto values = tensor.as<float>();
  return {values.begin(), values.end()};
}

/// A graph whose inputs have the given names, types and values.
struct GraphFixture {
  ir::Graph g;
  Tensors values;
  ir::Dim batch = ir::Dim::symbol("batch"), n = ir::Dim::symbol("n"), past = ir::Dim::symbol("past");

  ir::ValueId input(const std::string& name, ir::Shape shape, ir::Tensor value) {
    const ir::DType dtype = value.dtype;
    values.emplace(name, std::move(value));
    return g.add_input(name, {dtype, std::move(shape)});
  }
  std::vector<ir::ValueId> add_all(const std::string& op, std::vector<ir::ValueId> inputs, ir::Attributes attributes,
                                   size_t outputs) {
    const bool composite = ir::find_operator(ir::composite_domain, op) != nullptr;
    return g.add_node(
        {composite ? ir::composite_domain : "", op, "m", std::move(inputs), {}, std::move(attributes), ""}, outputs);
  }
  ir::ValueId add(const std::string& op, std::vector<ir::ValueId> inputs, ir::Attributes attributes = {}) {
    return add_all(op, std::move(inputs), std::move(attributes), 1)[0];
  }

  Tensors references() { return load_backend("reference").load_graph(g)->run(values); }
  ir::Tensor reference() { return references().at("y"); }

  /// What a form of the graph computes at an opset against what is expected.
  void check_opset(const ir::Graph& form, int64_t opset, const Tensors& expected, double tolerance) const {
    const ModelParts parts = to_model(lower(form, {.opset = opset, .patches = {}}), {.opset = opset, .metadata = {}});
    for (const Difference& difference : compare(expected, run_model(parts.model, values), tolerance)) {
      BOOST_TEST(difference.passes, "opset " << opset << ", " << difference.output << ": " << difference.max_abs << " "
                                             << difference.problem);
    }
  }

  /// Every form that an opset has computes what the reference does.
  void check_all_opsets() {
    if (!backend_installed("reference")) return test::not_run("the reference back end is not built");
    const Tensors expected = references();
    for (const int64_t opset : {13, 17, 18, 23, 24}) check_opset(g, opset, expected, 1e-5);
  }

  /// The same in f16, to what that type can tell.
  void check_f16() {
    if (!backend_installed("reference")) return test::not_run("the reference back end is not built");
    const Tensors expected = references();
    for (const int64_t opset : {18, 23})
      check_opset(to_precision(g, {.dtype = ir::DType::f16, .keep_in_fp32 = {}, .opset = opset}), opset, expected,
                  5e-3);
  }
};

}  // namespace onnxport::test
