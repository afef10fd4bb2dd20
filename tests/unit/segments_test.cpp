// SPDX-License-Identifier: Apache-2.0
// A definition and its file cut at the same steps: where, into what, and what a comparison of the pieces finds.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "core/error.hpp"
#include "core/files/scratch_folder.hpp"
#include "core/onnx/model_file.hpp"
#include "core/passes/pipeline.hpp"
#include "core/validate/segmented_model.hpp"
#include "tests/support/skips.hpp"

namespace segments_test {

using namespace onnxport;
using ir::Dim;
using ir::DType;
using ir::Tensor;
using ir::ValueId;

namespace {

constexpr int64_t width = 24;
constexpr size_t layers = 4;
constexpr uint64_t layer_bytes = width * width * sizeof(float);

Tensor waves(std::vector<int64_t> shape, float step) {
  Tensor tensor{DType::f32, std::move(shape), {}};
  tensor.data.resize(static_cast<size_t>(tensor.element_count()) * sizeof(float));
  for (size_t i = 0; i < tensor.as<float>().size(); ++i) tensor.as<float>()[i] = std::sin(static_cast<float>(i) * step);
  return tensor;
}

/// y = four times x + gate * tanh(x W), where the gate is made of an input alone.
struct Layers {
  ir::Graph g;
  std::vector<ValueId> hidden;
  ValueId gate;
  Tensors inputs{{"x", waves({2, 3, width}, 0.1F)}, {"scale", waves({2, 1, 1}, 0.5F)}};

  explicit Layers(float third = 1) {
    const ValueId x = g.add_input("x", {DType::f32, {Dim::symbol("batch"), Dim::symbol("sequence"), Dim(width)}});
    const ValueId scale = g.add_input("scale", {DType::f32, {Dim::symbol("batch"), Dim(1), Dim(1)}});
    gate = add("Tanh", "model.gate", {scale});
    hidden.push_back(x);
    for (size_t i = 0; i < layers; ++i) {
      const std::string scope = "model.layers." + std::to_string(i);
      auto bytes = std::make_shared<const Tensor>(waves({width, width}, i == 2 ? 0.3F * third : 0.3F + 0.1F * i));
      const ValueId w = g.add_weight(scope + ".weight", constant_weight(bytes));
      const ValueId product =
          g.add_node({ir::composite_domain, "Linear", scope + ".dense", {hidden.back(), w}, {}, {}, ""})[0];
      const ValueId inner = add("Tanh", scope, {product});
      hidden.push_back(add("Add", scope, {hidden.back(), add("Mul", scope, {inner, gate})}));
    }
    g.add_output("y", add("Identity", "model", {hidden.back()}));
  }
  ValueId add(const std::string& op, const std::string& scope, std::vector<ValueId> values) {
    return g.add_node({"", op, scope, std::move(values), {}, {}, ""})[0];
  }
};

TracedLowering lowered(const ir::Graph& graph, const InputForm& form = {}) {
  const ir::Graph marked = with_marks(graph);
  return traced(marked, lower(marked, {.opset = 18, .patches = {}, .inputs = form}), form);
}

/// The written file of a graph.
struct Written {
  ScratchFolder folder;
  inspect::OnnxFile file;
  explicit Written(const ir::Graph& graph) {
    const ir::Graph lowered = lower(graph, {.opset = 18, .patches = {}});
    write_models({{to_model(lowered, {.opset = 18, .metadata = {}}), "model.onnx"}},
                 {.folder = folder.path(), .external_data = true});
    file = inspect::read_onnx_file(folder.path() / "model.onnx");
  }
};

SegmentedModel cut(const ir::Graph& definition, const Written& written, uint64_t most) {
  return cut_model(lowered(definition), written.file, {}, "", most);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(segments)

BOOST_AUTO_TEST_CASE(cuts_are_where_little_passes) {
  const Layers model;
  const TracedLowering both = lowered(model.g);
  const std::vector<size_t> cuts = cuts_of(both);
  BOOST_TEST(cuts.size() == layers - 1);
  const std::vector<Segment> all = segments_of(both.definition, cuts, 0);
  BOOST_REQUIRE_EQUAL(all.size(), layers);
  for (size_t i = 0; i < all.size(); ++i) {
    BOOST_TEST(all[i].weights == layer_bytes);
    BOOST_TEST(all[i].to.starts_with(i + 1 < layers ? "model.layers." + std::to_string(i) : "model"));
    if (i == 0) continue;
    BOOST_TEST(all[i].takes == (std::vector<ValueId>{model.gate, model.hidden[i]}), boost::test_tools::per_element());
  }
  BOOST_TEST(all[0].yields == (std::vector<ValueId>{model.gate, model.hidden[1]}), boost::test_tools::per_element());
  BOOST_TEST(all[1].yields == (std::vector<ValueId>{model.hidden[2]}), boost::test_tools::per_element());
  BOOST_TEST(all.back().yields.empty());
  BOOST_REQUIRE_EQUAL(all.back().outputs.size(), 1u);
  BOOST_TEST(all.back().outputs[0].name == "y");
}

BOOST_AUTO_TEST_CASE(segments_are_as_long_as_their_weights_allow) {
  const Layers model;
  const std::vector<size_t> cuts = cuts_of(lowered(model.g));
  BOOST_TEST(segments_of(model.g, cuts, 2 * layer_bytes).size() == 2u);
  BOOST_TEST(segments_of(model.g, cuts, 3 * layer_bytes).size() == 2u);
  BOOST_TEST(segments_of(model.g, cuts, 4 * layer_bytes).size() == 1u);
  BOOST_TEST(segments_of(model.g, {}, 0).size() == 1u);
}

BOOST_AUTO_TEST_CASE(nothing_is_cut_where_the_file_has_not_what_passes) {
  const Layers model;
  TracedLowering both = lowered(model.g);
  both.carries[model.hidden[2]] = false;
  BOOST_TEST(cuts_of(both).size() == layers - 2);
  // What hangs on inputs alone the definition has by itself.
  both = lowered(model.g);
  both.carries[model.gate] = false;
  BOOST_TEST(cuts_of(both).size() == layers - 1);
}

BOOST_AUTO_TEST_CASE(shapes_that_a_file_fixes_are_the_definitions) {
  const Layers model;
  BOOST_TEST(cuts_of(lowered(model.g, {.fixed = {{"batch", 2}, {"sequence", 3}}})).size() == layers - 1);
}

BOOST_AUTO_TEST_CASE(a_file_in_segments_computes_what_it_computes,
                     *boost::unit_test::precondition(test::reference_built)) {
  const Layers model;
  const Written written(model.g);
  const SegmentedModel cut_up = cut(model.g, written, 0);
  BOOST_REQUIRE_EQUAL(cut_up.segments.size(), layers);
  for (size_t k = 0; k < layers; ++k) {
    inspect::pb::ModelProto piece;
    BOOST_REQUIRE(piece.ParseFromString(cut_up.file->image(k).bytes));
    BOOST_TEST(piece.graph().initializer_size() == 1);
  }
  const Tensors whole = load_backend("onnxruntime").load_file(written.file.path.string())->run(model.inputs);
  BOOST_TEST((run_in_segments(cut_up)->run(model.inputs) == whole));
}

BOOST_AUTO_TEST_CASE(a_right_file_passes_in_segments, *boost::unit_test::precondition(test::reference_built)) {
  const Layers model;
  const Written written(model.g);
  const ValidationReport report = validate_in_segments(
      cut(model.g, written, 0), {.inputs = {{"one", model.inputs, std::nullopt}}, .tolerance = {.absolute = 1e-5}});
  BOOST_TEST(report.passes());
  BOOST_TEST(report.segments.size() == layers);
  BOOST_TEST(!report.first_departure);
  BOOST_TEST(report.steps.empty());
}

BOOST_AUTO_TEST_CASE(a_wrong_segment_is_told_from_those_behind_it,
                     *boost::unit_test::precondition(test::reference_built)) {
  const Layers model;
  const Written written(Layers(1.7F).g);  // its third layer is another one
  const ValidationReport report = validate_in_segments(
      cut(model.g, written, 0), {.inputs = {{"one", model.inputs, std::nullopt}}, .tolerance = {.absolute = 1e-5}});
  BOOST_TEST(!report.passes());
  BOOST_REQUIRE_EQUAL(report.segments.size(), layers);
  for (size_t i = 0; i < layers; ++i) {
    BOOST_TEST(report.segments[i].own.passes == (i != 2));
    BOOST_TEST(report.segments[i].total.passes == (i < 2));
  }
  BOOST_REQUIRE(report.first_departure);
  BOOST_TEST(report.first_departure->starts_with("model.layers.2.dense (Linear) [2, 3, 24]"), *report.first_departure);
}

BOOST_AUTO_TEST_CASE(a_set_that_cannot_be_computed_ends_alone, *boost::unit_test::precondition(test::reference_built)) {
  const Layers model;
  const Written written(model.g);
  Tensors bad = model.inputs;
  bad["scale"] = waves({3, 1, 1}, 0.5F);
  const ValidationReport report = validate_in_segments(
      cut(model.g, written, 0),
      {.inputs = {{"bad", bad, std::nullopt}, {"good", model.inputs, std::nullopt}}, .tolerance = {.absolute = 1e-5}});
  BOOST_REQUIRE_EQUAL(report.runs.size(), 2u);
  BOOST_TEST(!report.runs[0].passes);
  BOOST_TEST(report.runs[0].fails_for_shape());
  BOOST_TEST(report.runs[1].passes);
}

BOOST_AUTO_TEST_CASE(a_file_without_the_value_of_a_cut_is_refused) {
  const Layers model;
  Written written(model.g);
  for (auto& node : *written.file.model.mutable_graph()->mutable_node()) {
    for (std::string& output : *node.mutable_output()) output += "'";
  }
  BOOST_CHECK_THROW(cut(model.g, written, 0), Error);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace segments_test
