// SPDX-License-Identifier: Apache-2.0
// Constants of every element type reach the reference and the written file with their values.
#include <boost/test/unit_test.hpp>

#include "core/definition/host_tables.hpp"
#include "core/definition/onnx_config.hpp"
#include "core/ir/scalar.hpp"
#include "tests/support/both_back_ends.hpp"

namespace constants_test {

using namespace onnxport;
using namespace onnxport::ir;

namespace {

constexpr DType all[] = {DType::f32, DType::f64, DType::f16, DType::bf16,   DType::i64,
                         DType::i32, DType::u8,  DType::i8,  DType::boolean};

/// As the ABI gets it from a plugin.
ValueId constant_by_abi(Graph& g, const Tensor& tensor) {
  onnxport_graph handle;
  handle.graph = &g;
  const onnxport_host& host = plugin_host();
  const auto* table =
      static_cast<const onnxport_graph_1*>(host.get_interface(&host, onnxport::detail::abi("graph"), 1));
  onnxport_tensor from{};
  from.struct_size = sizeof from;
  from.dtype = static_cast<int32_t>(tensor.dtype);
  from.rank = static_cast<uint32_t>(tensor.shape.size());
  from.shape = tensor.shape.data();
  from.data = tensor.data.data();
  from.bytes = tensor.data.size();
  onnxport_value value = 0;
  BOOST_REQUIRE(table->constant(&handle, &from, &value) == nullptr);
  return value;
}

/// y = x + float(constant), with x a f32 scalar.
Graph plus_constant(const Tensor& constant) {
  Graph g;
  const ValueId x = g.add_input("x", {DType::f32, {}}), held = constant_by_abi(g, constant);
  const ValueId wide = g.add_node({"", "Cast", "", {held}, {}, {{"to", static_cast<int64_t>(DType::f32)}}, ""})[0];
  g.add_output("y", g.add_node({"", "Add", "", {x, wide}, {}, {}, ""})[0]);
  return g;
}

float run_file(const Graph& g, int64_t opset) {
  return test::by_runtime(g, opset, {{"x", Tensor::f32_scalar(10.F)}}).at("y").as<float>()[0];
}

}  // namespace

BOOST_AUTO_TEST_SUITE(constants)

BOOST_AUTO_TEST_CASE(every_type_keeps_its_value) {
  for (const DType dtype : all) {
    const Tensor held = scalar(dtype == DType::boolean ? 1 : 3, dtype);
    const float expected = dtype == DType::boolean ? 11.F : 13.F;
    const Graph g = plus_constant(held);
    BOOST_TEST_CONTEXT(name_of(dtype)) {
      BOOST_TEST((g[g.nodes[0].inputs[0]].type.dtype == dtype));
      if (!backend_installed("reference"))
        test::not_run("the reference back end is not built");
      else
        BOOST_TEST(
            load_backend("reference").load_graph(g)->run({{"x", Tensor::f32_scalar(10.F)}}).at("y").as<float>()[0] ==
            expected);
      if (backend_installed("onnxruntime")) {
        for (const int64_t opset : {13, 24}) BOOST_TEST(run_file(g, opset) == expected);
      }
    }
  }
}

/// Equal bytes of two types are two constants.
BOOST_AUTO_TEST_CASE(types_are_kept_apart) {
  Graph g;
  BOOST_TEST(g.add_constant(scalar(1, DType::u8)) != g.add_constant(scalar(1, DType::boolean)));
  BOOST_TEST(g.add_constant(scalar(0, DType::f16)) != g.add_constant(scalar(0, DType::bf16)));
  BOOST_TEST(g.add_constant(scalar(0, DType::i32)) == g.add_constant(scalar(0, DType::i32)));
}

BOOST_AUTO_TEST_CASE(numbers_beyond_a_type_become_its_bound) {
  BOOST_TEST(scalar(300, DType::u8).as<uint8_t>()[0] == 255);
  BOOST_TEST(scalar(-1, DType::u8).as<uint8_t>()[0] == 0);
  BOOST_TEST(scalar(-2.7, DType::i32).as<int32_t>()[0] == -2);
  BOOST_TEST(scalar(1e30, DType::i64).as<int64_t>()[0] == INT64_MAX);
  BOOST_TEST(scalar(-1e30, DType::i64).as<int64_t>()[0] == INT64_MIN);
  BOOST_TEST(scalar(0.5, DType::boolean).as<uint8_t>()[0] == 1);
}

/// What an opset lacks is made of scalars of the operand's own type.
BOOST_AUTO_TEST_CASE(lowering_makes_scalars_of_the_operands_type,
                     *boost::unit_test::precondition(test::runtime_built)) {
  Graph g;
  const ValueId x = g.add_input("x", {DType::f32, {}});
  const ValueId table = constant_by_abi(g, Tensor::of<int32_t>(DType::i32, {2, 2}, {1, 2, 4, 8}));
  const ValueId upper = g.add_node({"", "Trilu", "", {table}, {}, {}, ""})[0];
  const ValueId bounded = g.add_node({"", "Clip", "", {upper}, {}, {{"max", 5.0}}, ""})[0];
  const ValueId sum = g.add_node({"", "ReduceSum", "", {bounded}, {}, {{"keepdims", int64_t{0}}}, ""})[0];
  const ValueId wide = g.add_node({"", "Cast", "", {sum}, {}, {{"to", static_cast<int64_t>(DType::f32)}}, ""})[0];
  g.add_output("y", g.add_node({"", "Add", "", {x, wide}, {}, {}, ""})[0]);
  for (const int64_t opset : {13, 18}) BOOST_TEST(run_file(g, opset) == 18.F);
}

BOOST_AUTO_TEST_CASE(a_type_that_there_is_not_is_refused) {
  onnxport_graph handle;
  Graph g;
  handle.graph = &g;
  const onnxport_host& host = plugin_host();
  const auto* table =
      static_cast<const onnxport_graph_1*>(host.get_interface(&host, onnxport::detail::abi("graph"), 1));
  onnxport_tensor from{};
  from.struct_size = sizeof from;
  from.dtype = 99;
  onnxport_value value = 0;
  onnxport_status* status = table->constant(&handle, &from, &value);
  BOOST_REQUIRE(status != nullptr);
  BOOST_TEST(onnxport::detail::text(host.status_text(status)) == "there is no element type 99");
  host.status_release(status);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace constants_test
