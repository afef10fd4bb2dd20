// SPDX-License-Identifier: Apache-2.0
// Several sets of inputs that go through the reference together.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "core/backend/backend.hpp"
#include "core/error.hpp"
#include "core/validate/validate.hpp"
#include "tests/support/graph_fixture.hpp"
#include "tests/support/skips.hpp"

namespace shared_run_test {

using namespace onnxport;
using ir::Dim;
using ir::DType;
using ir::Tensor;

namespace {

Tensor waves(std::vector<int64_t> shape, float step) {
  Tensor tensor{DType::f32, std::move(shape), {}};
  tensor.data.resize(static_cast<size_t>(tensor.element_count()) * sizeof(float));
  for (size_t i = 0; i < tensor.as<float>().size(); ++i) tensor.as<float>()[i] = std::sin(static_cast<float>(i) * step);
  return tensor;
}

/// y = tanh(x W + b) of rows of any number of axes
struct Rows {
  ir::Graph g;
  Rows() {
    const ir::ValueId x = g.add_input("x", {DType::f32, {Dim::symbol("batch"), Dim::symbol("sequence"), Dim(6)}});
    const ir::ValueId w = g.add_constant(waves({4, 6}, 0.7F)), b = g.add_constant(waves({4}, 0.3F));
    const ir::ValueId y = g.add_node({ir::composite_domain, "Linear", "model.dense", {x, w, b}, {}, {}, ""})[0];
    g.add_output("y", g.add_node({"", "Tanh", "model", {y}, {}, {}, ""})[0]);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(shared_run, *boost::unit_test::precondition(test::reference_built))

BOOST_FIXTURE_TEST_CASE(sets_together_are_as_sets_alone, Rows) {
  const auto runnable = load_backend("reference").load_graph(g);
  const std::vector<Tensors> sets{{{"x", waves({2, 5, 6}, 0.1F)}},
                                  {{"x", waves({1, 1, 6}, 0.2F)}},
                                  {{"x", waves({3, 0, 6}, 0.3F)}},
                                  {{"x", waves({1, 7, 6}, 0.4F)}}};
  std::vector<const Tensors*> all;
  for (const Tensors& set : sets) all.push_back(&set);
  const std::vector<Tensors> together = runnable->run_all(all);
  BOOST_REQUIRE_EQUAL(together.size(), sets.size());
  for (size_t i = 0; i < sets.size(); ++i) {
    for (const Difference& difference : compare(runnable->run(sets[i]), together[i], 1e-6))
      BOOST_TEST(difference.passes, difference.output << " of set " << i << " " << difference.problem);
  }
}

BOOST_FIXTURE_TEST_CASE(a_set_that_cannot_be_computed_is_a_run_that_differs, Rows) {
  const auto runnable = load_backend("reference").load_graph(g);
  const auto set = [](const std::string& label, std::vector<int64_t> shape) {
    return ValidationInputs{label, {{"x", waves(std::move(shape), 0.1F)}}, std::nullopt, 1000};
  };
  const ValidationReport report =
      validate_model_outputs(runnable.get(), *load_backend("reference").load_graph(g),
                             {set("good", {2, 3, 6}), set("bad", {2, 3, 5}), set("also good", {1, 1, 6})}, {});
  BOOST_REQUIRE_EQUAL(report.runs.size(), 3u);
  BOOST_TEST(report.runs[0].passes);
  BOOST_TEST(!report.runs[1].passes);
  BOOST_TEST(report.runs[1].problem.find("'x'") != std::string::npos, report.runs[1].problem);
  BOOST_TEST(report.runs[1].fails_for_shape());
  BOOST_TEST(report.runs[2].passes);
  BOOST_TEST(!report.passes());
  // Where nothing can be computed there is nothing to compare.
  BOOST_CHECK_THROW(
      validate_model_outputs(runnable.get(), *load_backend("reference").load_graph(g), {set("bad", {2, 3, 5})}, {}),
      Error);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace shared_run_test
