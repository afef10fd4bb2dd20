// SPDX-License-Identifier: Apache-2.0
// Linear layers whose results are split: which of them become a layer for each part, and which rows a part has.
#include <numeric>

#include "core/passes/divide_layers.hpp"
#include "tests/support/graph_fixture.hpp"

namespace divide_layers_test {

using namespace onnxport;
using namespace onnxport::ir;
using namespace onnxport::test;

namespace {

using Ops = std::vector<std::string>;

struct Fixture : GraphFixture {
  static constexpr int64_t in = 8;

  /// f[out, in] of 0, 1, 2, …
  ValueId weight(const std::string& name, std::vector<int64_t> shape) {
    Tensor tensor{DType::f32, std::move(shape), {}};
    std::vector<float> numbers(static_cast<size_t>(tensor.element_count()));
    std::iota(numbers.begin(), numbers.end(), 0.0F);
    return g.add_weight(
        name, constant_weight(std::make_shared<const Tensor>(Tensor::of<float>(DType::f32, tensor.shape, numbers))));
  }
  std::vector<ValueId> split(ValueId value, std::vector<int64_t> sizes, int64_t axis = -1) {
    const size_t count = sizes.size();
    return add_all("Split", {value}, {{"axis", axis}, {"split", std::move(sizes)}}, count);
  }
  void put_out(const std::vector<ValueId>& parts) {
    for (size_t i = 0; i < parts.size(); ++i) g.add_output("part" + std::to_string(i), parts[i]);
  }
  Ops divided(const std::vector<Patch>& patches = {}) {
    divide_layers(g, patches);
    Ops ops;
    for (const Node& node : g.nodes) ops.push_back(node.op);
    return ops;
  }

  ValueId x = input("x", {batch, n, Dim(in)}, filled({2, 3, in}, 0.7F));
};

const Ops whole{"Linear", "Split"};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(layers_that_are_split, Fixture)

BOOST_AUTO_TEST_CASE(each_part_becomes_a_layer_of_its_rows) {
  for (const int64_t axis : {-1, 2}) {
    Fixture f;
    f.put_out(f.split(f.add("Linear", {f.x, f.weight("wide.weight", {11, in})}), {5, 2, 4}, axis));
    BOOST_TEST(f.divided() == (Ops{"Linear", "Linear", "Linear"}), boost::test_tools::per_element());
    float first = 0;
    for (const Node& node : f.g.nodes) {
      BOOST_TEST(node.inputs[0] == f.x);
      BOOST_TEST(f.g[node.inputs[1]].name == "wide.weight");
      const std::vector<float> rows = numbers(materialize(*f.g[node.inputs[1]].weight));
      for (const float number : rows) BOOST_TEST(number == first++);
    }
    BOOST_TEST(first == 11.0F * in);
    for (size_t i = 0; i < 3; ++i) BOOST_TEST((f.g.outputs[i].value == f.g.nodes[i].outputs[0]));
    f.g.verify();
  }
}

BOOST_AUTO_TEST_CASE(the_parts_compute_what_the_split_did) {
  const std::vector<ValueId> parts = split(add("Linear", {x, weight("w", {12, in})}), {4, 4, 4});
  g.add_output("y", add("Mul", {add("Add", {parts[0], parts[1]}), parts[2]}));
  if (!backend_installed("reference")) return test::not_run("the reference back end is not built");
  const std::vector<float> before = numbers(reference());
  BOOST_TEST(divided().size() == 5u);
  const std::vector<float> after = numbers(reference());
  BOOST_REQUIRE(after.size() == before.size());
  for (size_t i = 0; i < before.size(); ++i) BOOST_TEST(after[i] == before[i], boost::test_tools::tolerance(1e-5F));
}

BOOST_AUTO_TEST_CASE(layers_that_stay) {
  {
    Fixture f;  // a bias each would be a node more each
    f.put_out(f.split(f.add("Linear", {f.x, f.weight("w", {8, in}), f.weight("b", {8})}), {4, 4}));
    BOOST_TEST(f.divided() == whole);
  }
  {
    Fixture f;  // the input is read again for two columns, and for one
    f.put_out(f.split(f.add("Linear", {f.x, f.weight("w", {9, in})}), {7, 2}));
    BOOST_TEST(f.divided() == (Ops{"Linear", "Linear"}));
    Fixture narrow;
    narrow.put_out(narrow.split(narrow.add("Linear", {narrow.x, narrow.weight("w", {9, in})}), {8, 1}));
    BOOST_TEST(narrow.divided() == whole);
  }
  {
    Fixture f;  // somebody else reads the whole result
    const ValueId all = f.add("Linear", {f.x, f.weight("w", {8, in})});
    f.put_out(f.split(all, {4, 4}));
    f.g.add_output("all", all);
    BOOST_TEST(f.divided() == whole);
  }
  {
    Fixture f;  // so does who looks at values by name
    const ValueId all = f.add("Linear", {f.x, f.weight("w", {8, in})});
    f.g.marks.push_back({"all", all});
    f.put_out(f.split(all, {4, 4}));
    BOOST_TEST(f.divided() == whole);
  }
  {
    Fixture f;  // the matrix is needed as a whole, and would be in the file twice
    const ValueId w = f.weight("w", {8, in});
    f.put_out(f.split(f.add("Linear", {f.x, w}), {4, 4}));
    f.g.add_output("w", w);
    BOOST_TEST(f.divided() == whole);
  }
  {
    Fixture f;  // tokens are split
    f.x = f.input("four", {f.batch, Dim(4), Dim(in)}, filled({2, 4, in}, 0.7F));
    f.put_out(f.split(f.add("Linear", {f.x, f.weight("w", {4, in})}), {2, 2}, 1));
    BOOST_TEST(f.divided() == whole);
  }
  for (const char* domain : {composite_domain, ""}) {
    Fixture f;  // somebody lowers either node in a way of their own
    f.put_out(f.split(f.add("Linear", {f.x, f.weight("w", {8, in})}), {4, 4}));
    BOOST_TEST(f.divided({{domain, *domain == '\0' ? "Split" : "Linear", {}}}) == whole);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace divide_layers_test
