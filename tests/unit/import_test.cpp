// SPDX-License-Identifier: Apache-2.0
// Scripts that are written down here, as graphs: what is known is computed, and sizes stay symbolic.
#include <boost/test/unit_test.hpp>

#include "core/error.hpp"
#include "core/import/import_script.hpp"
#include "core/passes/pipeline.hpp"

namespace import_test {

using namespace onnxport;
using ir::Dim;
using ir::DType;

namespace {

/// A script under construction.
struct Script {
  ScriptGraph graph{"test.pt", {}, {}, {}};
  ScriptValue next = 1;

  ScriptValue argument(const std::string& name) {
    graph.arguments.push_back({name, {ScriptType::Kind::tensor, {}, "Tensor"}, next});
    return next++;
  }
  ScriptValue constant(ScriptConstant value) {
    graph.constants.emplace(next, std::move(value));
    return next++;
  }
  ScriptValue number(int64_t value) { return constant({value}); }
  ScriptValue none() { return constant({}); }
  ScriptValue add(ScriptBlock& block, const std::string& kind, std::vector<ScriptValue> inputs) {
    block.nodes.push_back({kind, "encoder.layer.0", "", std::move(inputs), {next}, {}});
    return next++;
  }
  ScriptValue add(const std::string& kind, std::vector<ScriptValue> inputs) {
    return add(graph.body, kind, std::move(inputs));
  }
  ScriptValue list(std::vector<ScriptValue> items) { return add("prim::ListConstruct", std::move(items)); }
  ir::Graph imported(ScriptValue result, const std::vector<ScriptInput>& inputs) {
    graph.body.results = {result};
    ir::Graph made = import_script(graph, inputs).graph;
    made.verify();
    return made;
  }
};

const ScriptInput x_of_rows{"x", {DType::f32, {Dim::symbol("batch"), Dim::symbol("rows"), Dim(6)}}};

std::string type_of_result(const ir::Graph& graph) {
  return to_string(graph[graph.outputs.at(0).value].type);
}

bool has(const ir::Graph& graph, const std::string& op) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const ir::Node& node) { return node.op == op; });
}

/// Checks that an error says all of it.
auto says(std::vector<std::string> parts) {
  return [parts = std::move(parts)](const Error& error) {
    for (const std::string& part : parts) {
      BOOST_TEST(std::string(error.what()).find(part) != std::string::npos, error.what() << ": " << part);
    }
    BOOST_TEST(!error.hint().empty());
    return error.failure() == Failure::usage;
  };
}

}  // namespace

BOOST_AUTO_TEST_SUITE(importing_scripts)

BOOST_AUTO_TEST_CASE(sizes_stay_symbolic_through_arithmetic) {
  Script s;
  const ScriptValue x = s.argument("x");
  const ScriptValue batch = s.add("aten::size", {x, s.number(0)}), rows = s.add("aten::size", {x, s.number(1)});
  const ScriptValue product = s.add("aten::mul", {s.add("prim::NumToTensor", {rows}), batch});
  const ScriptValue y = s.add("aten::view", {x, s.list({s.add("aten::Int", {product}), s.number(3), s.number(2)})});
  const ScriptValue half = s.add("aten::floor_divide", {product, batch});
  const ir::Graph graph = s.imported(y, {x_of_rows});
  BOOST_TEST(type_of_result(graph) == "f32[(batch)*(rows), 3, 2]");
  (void)half;
  for (int64_t opset : {13, 18, 24}) BOOST_CHECK_NO_THROW(lower(graph, {.opset = opset, .patches = {}}));
}

BOOST_AUTO_TEST_CASE(a_view_says_what_it_can_in_attributes) {
  Script s;
  const ScriptValue x = s.argument("x");
  const ScriptValue batch = s.add("aten::size", {x, s.number(0)}), rows = s.add("aten::size", {x, s.number(1)});
  const ir::Graph graph =
      s.imported(s.add("aten::view", {x, s.list({batch, rows, s.number(2), s.number(3)})}), {x_of_rows});
  BOOST_TEST(type_of_result(graph) == "f32[batch, rows, 2, 3]");
  const auto reshape =
      std::find_if(graph.nodes.begin(), graph.nodes.end(), [](const ir::Node& n) { return n.op == "Reshape"; });
  BOOST_REQUIRE(reshape != graph.nodes.end());
  BOOST_TEST((reshape->integers("shape") == std::vector<int64_t>{0, 0, 2, 3}));
  BOOST_TEST(reshape->scope == "encoder.layer.0");
}

BOOST_AUTO_TEST_CASE(what_is_left_of_two_products_is_known) {
  Script s;
  const ScriptValue x = s.argument("x");
  const ScriptValue batch = s.add("aten::size", {x, s.number(0)});
  const ScriptValue apart =
      s.add("aten::view", {x, s.list({s.add("aten::mul", {batch, s.number(2)}), s.number(-1), s.number(3)})});
  BOOST_TEST(type_of_result(s.imported(apart, {x_of_rows})) == "f32[2*batch, rows, 3]");
}

BOOST_AUTO_TEST_CASE(types_are_promoted_as_torch_does) {
  const auto type_of = [](DType dtype, ir::Shape shape, ScriptConstant number) {
    Script s;
    const ScriptValue x = s.argument("x"), y = s.constant(std::move(number)), one = s.number(1);
    return type_of_result(s.imported(s.add("aten::add", {x, y, one}), {{"x", {dtype, std::move(shape)}}}));
  };
  BOOST_TEST(type_of(DType::i32, {Dim(2)}, {int64_t{3}}) == "i32[2]");
  BOOST_TEST(type_of(DType::i64, {Dim(2)}, {1.5}) == "f32[2]");
  BOOST_TEST(type_of(DType::f16, {Dim(2)}, {1.5}) == "f16[2]");
  BOOST_TEST(type_of(DType::boolean, {Dim(2)}, {int64_t{3}}) == "i64[2]");
  // One without axes does not widen one that has some.
  Script s;
  const ScriptValue x = s.argument("x"), y = s.argument("y"), one = s.number(1);
  const ScriptValue z = s.add("aten::mul", {x, y});
  (void)one;
  BOOST_TEST(type_of_result(s.imported(z, {{"x", {DType::f16, {Dim(2)}}}, {"y", {DType::f32, {}}}})) == "f16[2]");
}

BOOST_AUTO_TEST_CASE(a_known_condition_takes_its_branch_and_a_known_loop_is_unrolled) {
  Script s;
  const ScriptValue x = s.argument("x");
  const ScriptValue is_three = s.add("aten::eq", {s.add("aten::dim", {x}), s.number(3)});
  ScriptNode choice{"prim::If", "m", "", {is_three}, {s.next++}, {}};
  ScriptBlock yes, no;
  yes.results = {s.add(yes, "aten::relu", {x})};
  no.results = {s.add(no, "aten::no_such_operator", {x})};
  choice.blocks = {yes, no};
  const ScriptValue chosen = choice.outputs[0];
  s.graph.body.nodes.push_back(choice);
  ScriptNode loop{"prim::Loop", "m", "", {s.number(3), s.constant({true}), chosen}, {s.next++}, {}};
  ScriptBlock body;
  body.arguments = {s.next++, s.next++};
  const ScriptValue more = s.constant({true});
  body.results = {more, s.add(body, "aten::tanh", {body.arguments[1]})};
  loop.blocks = {body};
  s.graph.body.nodes.push_back(loop);
  const ir::Graph graph = s.imported(loop.outputs[0], {x_of_rows});
  BOOST_TEST(has(graph, "Relu"));
  BOOST_TEST(std::count_if(graph.nodes.begin(), graph.nodes.end(), [](const ir::Node& n) { return n.op == "Tanh"; }) ==
             3);
}

BOOST_AUTO_TEST_CASE(what_the_run_alone_knows_decides_nothing) {
  Script s;
  const ScriptValue x = s.argument("x");
  ScriptNode choice{"prim::If", "gate", "model.py:12", {s.add("aten::Bool", {s.add("aten::any", {x})})},
                    {s.next++}, {}};
  choice.blocks = {{{}, {}, {x}}, {{}, {}, {x}}};
  s.graph.body.nodes.push_back(choice);
  BOOST_CHECK_EXCEPTION(s.imported(choice.outputs[0], {x_of_rows}), Error,
                        says({"aten::Bool in 'encoder.layer.0'", "the run alone knows"}));
  Script t;
  const ScriptValue y = t.argument("x");
  ScriptNode loop{"prim::Loop", "steps", "model.py:7", {t.add("aten::size", {y, t.number(1)}), t.constant({true})},
                  {},           {}};
  loop.blocks = {{{t.next++}, {}, {t.constant({true})}}};
  t.graph.body.nodes.push_back(loop);
  BOOST_CHECK_EXCEPTION(t.imported(y, {x_of_rows}), Error,
                        says({"prim::Loop in 'steps' (model.py:7)", "runs rows times"}));
}

BOOST_AUTO_TEST_CASE(a_size_that_was_written_down_is_refused_by_axis_and_place) {
  Script s;
  const ScriptValue x = s.argument("x");
  const ScriptValue y = s.add("aten::view", {x, s.list({s.number(2), s.number(8), s.number(6)})});
  BOOST_CHECK_EXCEPTION(s.imported(y, {x_of_rows}), Error,
                        says({"aten::view in 'encoder.layer.0'", "'batch', 'rows'", "was written down"}));
  Script t;
  const ScriptValue z = t.argument("x");
  const ScriptValue wide =
      t.add("aten::expand", {z, t.list({t.number(2), t.number(-1), t.number(6)}), t.constant({false})});
  BOOST_CHECK_EXCEPTION(t.imported(wide, {x_of_rows}), Error, says({"aten::expand", "expanded to 2 along axis 0"}));
}

BOOST_AUTO_TEST_CASE(a_part_that_is_changed_changes_the_whole) {
  Script s;
  const ScriptValue x = s.argument("x");
  const ScriptValue whole = s.add("aten::clone", {x, s.none()});
  const ScriptValue part =
      s.add("aten::slice", {whole, s.number(1), s.number(1), s.constant({INT64_MAX}), s.number(1)});
  s.add("aten::zero_", {part});
  const ir::Graph graph = s.imported(whole, {x_of_rows});
  BOOST_TEST(type_of_result(graph).starts_with("f32[batch, "));
  BOOST_TEST(has(graph, "Concat"));
  // The original is another tensor.
  Script t;
  const ScriptValue y = t.argument("x");
  const ScriptValue copy = t.add("aten::clone", {y, t.none()});
  t.add("aten::relu_", {copy});
  BOOST_TEST(t.imported(y, {x_of_rows}).nodes.size() == 1u);
  const ir::Graph changed = t.imported(copy, {x_of_rows});
  BOOST_TEST(changed.outputs[0].value == changed.nodes.at(0).outputs[0]);
}

BOOST_AUTO_TEST_CASE(operators_and_arguments_that_are_not_known_are_named) {
  Script s;
  const ScriptValue x = s.argument("x");
  const ScriptValue y = s.add("aten::fft_rfft", {x});
  BOOST_CHECK_EXCEPTION(s.imported(y, {x_of_rows}), Error, says({"test.pt: aten::fft_rfft in 'encoder.layer.0'"}));
  BOOST_CHECK_EXCEPTION(s.imported(x, {}), Error, says({"forward() wants x: Tensor", "it takes x: Tensor"}));
  BOOST_CHECK_EXCEPTION(s.imported(x, {x_of_rows, {"z", {DType::f32, {}}}}), Error, says({"does not take z"}));
  Script t;
  const ScriptValue z = t.argument("x");
  const ScriptValue drawn = t.add("aten::rand_like", {z});
  BOOST_CHECK_EXCEPTION(t.imported(drawn, {x_of_rows}), Error, says({"aten::rand_like", "random numbers"}));
}

BOOST_AUTO_TEST_CASE(what_is_returned_has_the_names_that_it_is_given) {
  Script s;
  const ScriptValue x = s.argument("x");
  const ScriptValue pair =
      s.add("prim::TupleConstruct", {s.add("aten::relu", {x}), s.none(), s.add("aten::tanh", {x})});
  const ScriptValue dictionary =
      s.add("prim::DictConstruct", {s.constant({std::string("logits")}), x, s.constant({std::string("states")}), pair});
  s.graph.body.results = {dictionary};
  const auto names = [&](const std::vector<std::string>& given) {
    std::vector<std::string> names;
    for (const ir::NamedValue& output : import_script(s.graph, {x_of_rows}, given).graph.outputs)
      names.push_back(output.name);
    return names;
  };
  BOOST_TEST((names({}) == std::vector<std::string>{"logits", "output_0", "output_1"}));
  BOOST_TEST((names({"y", "z"}) == std::vector<std::string>{"y", "z", "output_1"}));
  BOOST_CHECK_EXCEPTION(names({"a", "b", "c", "d"}), Error, says({"returns 3 tensors, and 4 outputs are named"}));
}

BOOST_AUTO_TEST_CASE(inputs_are_as_large_as_the_tables_that_they_are_looked_up_in) {
  Script s;
  const ScriptValue x = s.argument("ids"), table = s.argument("table"), no = s.constant({false});
  const ScriptValue y =
      s.add("aten::embedding", {table, s.add("aten::to", {x, s.number(4), no, no}), s.number(-1), no, no});
  s.graph.body.results = {y};
  const ImportedScript imported = import_script(
      s.graph, {{"ids", {DType::i32, {Dim::symbol("batch")}}}, {"table", {DType::f32, {Dim(17), Dim(4)}}}});
  BOOST_TEST(imported.limits.at("ids") == 17);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace import_test
