// SPDX-License-Identifier: Apache-2.0
// Finished files, whoever wrote them: read with their weights where they lie, changed, and written again.
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <set>

#include "core/error.hpp"
#include "core/onnx/model_file.hpp"
#include "core/transform/read_model.hpp"
#include "core/transform/sample_inputs.hpp"
#include "core/transform/transform.hpp"
#include "core/transform/values.hpp"
#include "core/validate/compare.hpp"
#include "core/validate/file_inputs.hpp"
#include "tests/support/both_back_ends.hpp"
#include "tests/support/graph_fixture.hpp"
#include "tests/support/temporary_folder.hpp"

namespace transform_test {

using namespace onnxport;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

/// A file as another exporter may write it: Constant nodes, a shape that is computed, axes called "s1" and "s1 + 1",
/// floats that are no raw_data.
///
///   ids[s0, s1] ─ Gather(table) ─ Reshape(Concat(Shape(ids), [2, 16])) ─ ReduceMean ─ MatMul(w) ─ Where(mask, ·,
///   lowest) ─ y
struct Foreign {
  Foreign() {
    model.set_ir_version(8);
    model.add_opset_import()->set_version(18);
    graph = model.mutable_graph();
    graph->set_name("foreign");
    input("ids", pb::TensorProto::INT64, {"s0", "s1"});
    input("mask", pb::TensorProto::INT64, {"s0", "s1"});
    weight("table", {5, 32});
    weight("w", {16, 64});
    node("Gather", {"table", "ids"}, "rows");
    node("Shape", {"ids"}, "lengths");
    constant("apart", ir::Tensor::i64({2, 16}));
    node("Concat", {"lengths", "apart"}, "shape");
    attribute("axis", 0);
    node("Reshape", {"rows", "shape"}, "split");
    constant("axes", ir::Tensor::i64({2}));
    node("ReduceMean", {"split", "axes"}, "mean");
    attribute("keepdims", 0);
    node("MatMul", {"mean", "w"}, "product");
    node("Cast", {"mask"}, "counts");
    attribute("to", pb::TensorProto::BOOL);
    node("Unsqueeze", {"counts", "axes"}, "rowwise");
    constant("lowest", ir::Tensor::f32_scalar(-3.4e38F));
    node("Where", {"rowwise", "product", "lowest"}, "masked");
    node("Softmax", {"masked"}, "y");
    attribute("axis", 1);
    pb::ValueInfoProto& output = *graph->add_output();
    output.set_name("y");
    type(output, pb::TensorProto::FLOAT, {"s0", "s1", "64"});
    save();
  }

  static void type(pb::ValueInfoProto& value, int32_t element, const Words& axes) {
    pb::TypeProto_Tensor& tensor = *value.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(element);
    for (const std::string& axis : axes) {
      pb::TensorShapeProto_Dimension& dim = *tensor.mutable_shape()->add_dim();
      if (axis.find_first_not_of("0123456789") == std::string::npos)
        dim.set_dim_value(std::stoll(axis));
      else
        dim.set_dim_param(axis);
    }
  }
  void input(const std::string& name, int32_t element, const Words& axes) {
    pb::ValueInfoProto& value = *graph->add_input();
    value.set_name(name);
    type(value, element, axes);
  }
  void weight(const std::string& name, const std::vector<int64_t>& shape) {
    const ir::Tensor tensor = test::filled(shape, 0.3F);
    pb::TensorProto& proto = *graph->add_initializer();
    proto.set_name(name);
    proto.set_data_type(pb::TensorProto::FLOAT);
    for (int64_t size : shape) proto.add_dims(size);
    for (float number : tensor.as<float>()) proto.add_float_data(number);
  }
  pb::NodeProto& node(const std::string& op, const Words& inputs, const std::string& output) {
    pb::NodeProto& added = *graph->add_node();
    added.set_op_type(op);
    added.set_name(output);
    for (const std::string& name : inputs) added.add_input(name);
    added.add_output(output);
    return added;
  }
  void attribute(const std::string& name, int64_t value) {
    pb::AttributeProto& added = *graph->mutable_node(graph->node_size() - 1)->add_attribute();
    added.set_name(name);
    added.set_type(pb::AttributeProto_AttributeType_INT);
    added.set_i(value);
  }
  void constant(const std::string& name, const ir::Tensor& tensor) {
    pb::AttributeProto& value = *node("Constant", {}, name).add_attribute();
    value.set_name("value");
    value.set_type(pb::AttributeProto_AttributeType_TENSOR);
    *value.mutable_t() = to_proto(tensor, "");
  }
  void save() const { std::ofstream(folder / "model.onnx", std::ios::binary) << model.SerializeAsString(); }

  /// The file with something done to it, in a folder of its own.
  Transformed write(const Transformation& wanted, bool external = false) {
    ReadModel read = read_model(folder / "model.onnx");
    const Transformed done = transform(read.parts, wanted);
    fs::create_directories(folder / "out");
    std::vector<ModelToWrite> models;
    models.push_back({std::move(read.parts), "model.onnx"});
    write_models(models, {.folder = folder / "out",
                          .external_data = external,
                          .data_file = {},
                          .linked = {},
                          .planned = {},
                          .progress = {}});
    std::ifstream in(folder / "out/model.onnx", std::ios::binary);
    BOOST_REQUIRE(written.ParseFromIstream(&in));
    return done;
  }
  std::set<std::string> operators() const {
    std::set<std::string> names;
    for (const pb::NodeProto& one : written.graph().node()) names.insert(one.op_type());
    return names;
  }
  /// Both files yield the same.
  void check_equal(const Transformation& wanted, double tolerance) const {
    if (!backend_installed("onnxruntime")) return test::not_run("ONNX Runtime's back end is not built");
    const ModelParts original = read_model(folder / "model.onnx").parts;
    for (uint64_t set : {0, 1, 3}) {
      const Tensors inputs = sample_inputs(original, wanted.fixed, set);
      const Tensors expected = load_backend("onnxruntime").load_file((folder / "model.onnx").string())->run(inputs);
      const Tensors found = load_backend("onnxruntime")
                                .load_file((folder / "out/model.onnx").string())
                                ->run(as_file_takes(inputs, {.fixed = {}, .int32 = wanted.int32}));
      for (const Difference& difference : compare(expected, found, tolerance))
        BOOST_TEST(difference.passes, difference.output << ": " << difference.max_abs << " " << difference.problem);
    }
  }

  test::TemporaryFolder folder;
  pb::ModelProto model, written;
  pb::GraphProto* graph = nullptr;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(transforming, Foreign)

BOOST_AUTO_TEST_CASE(axes_that_are_fixed_leave_no_shape) {
  const Transformation wanted{.fixed = {{"s0", 2}, {"s1", 4}}};
  const Transformed done = write(wanted);
  BOOST_REQUIRE(done.open.has_value());
  BOOST_TEST(done.open->axes == 0U);
  BOOST_TEST(done.open->shapes == 0U);
  BOOST_TEST((operators() == std::set<std::string>{"Gather", "Reshape", "ReduceMean", "MatMul", "Cast", "Unsqueeze",
                                                   "Where", "Softmax"}));
  const auto& dims = written.graph().output(0).type().tensor_type().shape().dim();
  BOOST_TEST(dims[0].dim_value() == 2);
  BOOST_TEST(dims[1].dim_value() == 4);
  check_equal(wanted, 1e-6);
}

/// Sums of what is normed: one that only a layer norm reads, one that also a further sum reads, and one of a row that
/// is repeated; before opset 17 as the operators that such a norm is made of.
struct Normed {
  explicit Normed(bool in_operators) {
    parts.model.set_ir_version(8);
    parts.model.add_opset_import()->set_version(in_operators ? 16 : 17);
    graph().set_name("normed");
    add_value(*graph().add_input(), "x", {"n", "4"});
    add_value(*graph().add_input(), "z", {"n", "4"});
    add_value(*graph().add_input(), "row", {"1", "4"});
    for (const char* name : {"scale", "bias"}) {
      *graph().add_initializer() = to_proto(ir::Tensor::of<float>(ir::DType::f32, {4}, {1, 2, 3, 4}), name);
    }
    node("Add", {"x", "z"}, "alone");
    norm("alone", "a", in_operators);
    node("Add", {"a", "z"}, "read");
    norm("read", "b", in_operators);
    node("Add", {"b", "read"}, "kept");
    node("Add", {"kept", "row"}, "repeated");
    norm("repeated", "y", in_operators);
    add_value(*graph().add_output(), "y", {"n", "4"});
  }
  pb::GraphProto& graph() { return *parts.model.mutable_graph(); }
  static void add_value(pb::ValueInfoProto& value, const std::string& name, const Words& axes) {
    value.set_name(name);
    Foreign::type(value, pb::TensorProto::FLOAT, axes);
  }
  pb::NodeProto& node(const std::string& op, const Words& inputs, const std::string& output) {
    pb::NodeProto& added = *graph().add_node();
    added.set_op_type(op);
    for (const std::string& input : inputs) added.add_input(input);
    added.add_output(output);
    return added;
  }
  void norm(const std::string& x, const std::string& y, bool in_operators) {
    if (!in_operators) {
      node("LayerNormalization", {x, "scale", "bias"}, y);
      return;
    }
    node("ReduceMean", {x}, y + ".mean").add_attribute()->CopyFrom(axes());
    node("Sub", {x, y + ".mean"}, y + ".off");
    node("Mul", {y + ".off", "scale"}, y);
  }
  static pb::AttributeProto axes() {
    pb::AttributeProto attribute;
    attribute.set_name("axes");
    attribute.set_type(pb::AttributeProto::INTS);
    attribute.add_ints(-1);
    return attribute;
  }
  std::map<std::string, std::string> sums() const {
    std::map<std::string, std::string> found;
    for (const pb::NodeProto& node : parts.model.graph().node()) {
      if (node.op_type() == "Add" || node.op_type() == "Sum") found[node.output(0)] = node.op_type();
    }
    return found;
  }
  ModelParts parts;
};

BOOST_AUTO_TEST_CASE(a_sum_that_is_normed_stays_apart_from_the_norm) {
  for (const bool in_operators : {false, true}) {
    Normed fixed(in_operators);
    transform(fixed.parts, {.fixed = {{"n", 2}}});
    using Sums = std::map<std::string, std::string>;
    BOOST_TEST((fixed.sums() == Sums{{"alone", "Sum"}, {"read", "Add"}, {"kept", "Add"}, {"repeated", "Add"}}));
    Normed open(in_operators);
    transform(open.parts, {});
    BOOST_TEST(open.sums().at("alone") == "Add");
  }
}

BOOST_AUTO_TEST_CASE(one_axis_by_its_place) {
  const Transformation wanted{.fixed = {{"mask[0]", 3}}};
  const Transformed done = write(wanted);
  BOOST_TEST(done.open->axes == 3U);
  BOOST_TEST(done.open->shapes == 1U);
  BOOST_TEST(written.graph().input(0).type().tensor_type().shape().dim(0).dim_value() == 3);
}

BOOST_AUTO_TEST_CASE(an_axis_that_is_not_there) {
  BOOST_CHECK_EXCEPTION(write({.fixed = {{"batch", 1}}}), Error, [](const Error& error) {
    return error.failure() == Failure::usage && error.hint() == "their axes are: s0, s1";
  });
}

BOOST_AUTO_TEST_CASE(weights_in_16_bits) {
  const Transformation wanted{.fp16 = true};
  write(wanted);
  for (const pb::TensorProto& tensor : written.graph().initializer()) {
    if (tensor.name() == "w") BOOST_TEST(tensor.data_type() == pb::TensorProto::FLOAT16);
  }
  // What is put out stays f32, and a mask's lowest number stays a number.
  BOOST_TEST(written.graph().output(0).type().tensor_type().elem_type() == pb::TensorProto::FLOAT);
  check_equal(wanted, 2e-3);
}

BOOST_AUTO_TEST_CASE(a_number_that_16_bits_have_not_is_no_mask) {
  // y = softmax(...) * 2e5 / 1e5, which is 2 where both numbers are what they are.
  pb::NodeProto& share = *graph->mutable_node(graph->node_size() - 1);
  share.set_name("share");
  share.set_output(0, "share");
  constant("up", ir::Tensor::f32_scalar(2e5F));
  node("Mul", {"share", "up"}, "far");
  constant("down", ir::Tensor::f32_scalar(1e5F));
  node("Div", {"far", "down"}, "y");
  save();
  const Transformation wanted{.fp16 = true};
  write(wanted);
  check_equal(wanted, 4e-3);
}

BOOST_AUTO_TEST_CASE(ids_in_32_bits) {
  const Transformation wanted{.int32 = true};
  BOOST_TEST(write(wanted).narrow_ids.value_or(0) == 2U);
  for (const pb::ValueInfoProto& input : written.graph().input())
    BOOST_TEST(input.type().tensor_type().elem_type() == pb::TensorProto::INT32);
  // Neither a table nor a Cast wants them wider.
  BOOST_TEST(written.graph().node_size() == model.graph().node_size());
  check_equal(wanted, 0);
}

BOOST_AUTO_TEST_CASE(all_at_once) {
  const Transformation wanted{.fixed = {{"s0", 2}, {"s1", 4}}, .int32 = true, .fp16 = true};
  write(wanted);
  check_equal(wanted, 2e-3);
}

BOOST_AUTO_TEST_CASE(weights_in_a_file_beside_and_back) {
  write({}, true);
  BOOST_TEST(fs::exists(folder / "out/model.onnx_data"));
  for (const pb::TensorProto& tensor : written.graph().initializer()) {
    const bool apart = tensor.data_location() == pb::TensorProto_DataLocation_EXTERNAL;
    BOOST_TEST(apart == (tensor.name() == "w"));  // the table is below a kilobyte
  }
  check_equal({}, 0);
  ReadModel again = read_model(folder / "out/model.onnx");
  BOOST_TEST(again.has_external_data);
  std::vector<ModelToWrite> models;
  models.push_back({std::move(again.parts), "whole.onnx"});
  write_models(models, {.folder = folder, .data_file = {}, .linked = {}, .planned = {}, .progress = {}});
  const ReadModel whole = read_model(folder / "whole.onnx");
  BOOST_TEST(!whole.has_external_data);
  BOOST_REQUIRE(whole.parts.weights.size() == 1U);
  const ir::Tensor tensor = materialize(*whole.parts.weights[0].weight), expected = test::filled({16, 64}, 0.3F);
  BOOST_TEST((tensor == expected));
}

BOOST_AUTO_TEST_CASE(external_data_outside_of_the_folder) {
  pb::TensorProto& tensor = *graph->mutable_initializer(1);
  tensor.clear_float_data();
  tensor.set_data_location(pb::TensorProto_DataLocation_EXTERNAL);
  for (const auto& [location, part] : {std::pair("../data", "outside of its folder"),
                                       std::pair("/etc/passwd", "outside"), std::pair("absent", "absent")}) {
    tensor.clear_external_data();
    auto& entry = *tensor.add_external_data();
    entry.set_key("location");
    entry.set_value(location);
    save();
    BOOST_CHECK_EXCEPTION(read_model(folder / "model.onnx"), Error, [part = part](const Error& error) {
      return error.failure() == Failure::checkpoint && std::string(error.what()).find(part) != std::string::npos;
    });
  }
}

BOOST_AUTO_TEST_CASE(files_that_are_no_models) {
  const std::string whole = model.SerializeAsString();
  for (const std::string& text :
       {std::string("no model"), whole.substr(0, whole.size() / 2), std::string(100, '\xff')}) {
    std::ofstream(folder / "model.onnx", std::ios::binary) << text;
    BOOST_CHECK_EXCEPTION(read_model(folder / "model.onnx"), Error,
                          [](const Error& error) { return error.failure() == Failure::checkpoint; });
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace transform_test
