// SPDX-License-Identifier: Apache-2.0
// Files of other exporters, made here: what is read of them, what they cost, and that each fault is found.
#include "core/inspect/inspection.hpp"

#include <onnx/defs/parser.h>

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "core/inspect/model_diff.hpp"
#include "core/inspect/module_graph.hpp"

namespace inspect_test {

namespace {

namespace fs = std::filesystem;
using namespace onnxport::inspect;

/// Models in a folder of their own, written in onnx's text form.
class Files {
 public:
  Files() : folder_(fs::temp_directory_path() / ("onnxport-inspect-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~Files() { fs::remove_all(folder_); }

  static pb::ModelProto parse(const std::string& text) {
    pb::ModelProto model;
    pb::OnnxParser parser(text.c_str());
    const auto status = parser.Parse(model);
    BOOST_REQUIRE_MESSAGE(status.IsOK(), status.ErrorMessage());
    return model;
  }
  OnnxFile write(const pb::ModelProto& model, const std::string& name = "m.onnx") const {
    std::ofstream(folder_ / name, std::ios::binary) << model.SerializeAsString();
    return read_onnx_file(folder_ / name);
  }

 private:
  fs::path folder_;
};

std::string model_text(const std::string& graph) {
  return "<ir_version: 8, opset_import: [\"\" : 17]> m " + graph;
}

pb::TensorProto& add_weight(pb::ModelProto& model, const std::string& name, const std::vector<int64_t>& dims,
                            float value) {
  pb::TensorProto& tensor = *model.mutable_graph()->add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(pb::TensorProto::FLOAT);
  int64_t count = 1;
  for (const int64_t size : dims) {
    tensor.add_dims(size);
    count *= size;
  }
  const std::vector<float> values(static_cast<size_t>(count), value);
  tensor.set_raw_data(values.data(), values.size() * sizeof(float));
  return tensor;
}

const Finding* finding(const Inspection& found, const std::string& kind) {
  for (const Finding& one : found.findings) {
    if (one.kind == kind) return &one;
  }
  return nullptr;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(inspect_files)

BOOST_AUTO_TEST_CASE(weights_are_passed_over_and_found_again) {
  const Files files;
  pb::ModelProto model = Files::parse(model_text("(float[n, 64] x) => (float[n, 64] y) { y = MatMul (x, w) }"));
  const std::string bytes = add_weight(model, "w", {64, 64}, 0.5F).raw_data();
  const OnnxFile file = files.write(model);
  const pb::TensorProto& read = file.model.graph().initializer(0);
  BOOST_TEST(read.raw_data().empty());
  BOOST_REQUIRE(place_of(read).has_value());
  TensorBytes held(file);
  BOOST_TEST(held.problem(read).empty());
  const auto found = held.of(read);
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST((std::string(reinterpret_cast<const char*>(found->data()), found->size()) == bytes));
}

/// The chain that tracing exporters write between a shape and a Reshape, with an Expand behind ConstantOfShape and
/// Where.
BOOST_AUTO_TEST_CASE(traced_shapes_are_followed) {
  const Files files;
  const OnnxFile file = files.write(Files::parse(model_text(R"((float[batch, sequence, 8] x) => (float[a, b, c, d] y)
    <int64[1] zero = {0}, int64[1] one = {1}, int64[1] heads = {2}, int64[1] width = {4}, int64[4] ones = {1, 1, 1, 1}>
    {
      shape = Shape (x)
      b0 = Gather <axis = 0> (shape, zero)
      s0 = Gather <axis = 0> (shape, one)
      to = Concat <axis = 0> (b0, s0, heads, width)
      split = Reshape (x, to)
      four = Shape (to)
      filled = ConstantOfShape (four)
      is_zero = Equal (to, filled)
      wanted = Where (is_zero, ones, to)
      y = Expand (split, wanted)
    })")));
  InspectOptions options;
  options.sizes = {{"batch", 3}, {"sequence", 5}};
  const SizedModel sized = SizableModel(file.model).at(options.sizes);
  const ValueTypes types(sized.model.graph());
  BOOST_REQUIRE(types.sizes("y").has_value());
  BOOST_TEST(*types.sizes("y") == (Sizes{3, 5, 2, 4}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(operations_follow_a_law) {
  const Files files;
  pb::ModelProto model =
      Files::parse(model_text("(float[batch, sequence, 8] x) => (float[batch, sequence, sequence] y)"
                              "{ t = Transpose <perm = [0, 2, 1]> (x) y = MatMul (x, t) }"));
  const Inspection found = inspect(files.write(model), {});
  BOOST_REQUIRE(found.law.has_value());
  BOOST_TEST(to_string(*found.law) == "16·batch·sequence²");
  BOOST_TEST(found.cost.operations == 16 * 128 * 128);
}

BOOST_AUTO_TEST_CASE(faults_are_found) {
  const Files files;
  pb::ModelProto model = Files::parse(
      model_text("(float[batch, 64] x, float[batch, 3] idle) => (float[batch, 64] y)"
                 "<int64[2] built_in = {2, 64}> { a = MatMul (x, w) b = MatMul (a, v) y = Reshape (b, built_in) }"));
  add_weight(model, "w", {64, 64}, 0.5F);
  add_weight(model, "v", {64, 64}, 0.5F);
  add_weight(model, "left", {64, 64}, 0.25F);
  const Inspection found = inspect(files.write(model), {});
  BOOST_REQUIRE(finding(found, "duplicated-weights") != nullptr);
  BOOST_TEST(finding(found, "duplicated-weights")->places == (std::vector<std::string>{"w", "v"}),
             boost::test_tools::per_element());
  BOOST_REQUIRE(finding(found, "frozen-axis") != nullptr);
  BOOST_REQUIRE(finding(found, "unused-input") != nullptr);
  BOOST_TEST(finding(found, "unused-input")->places.at(0) == "idle");
  BOOST_REQUIRE(finding(found, "unused-weight") != nullptr);
  BOOST_TEST(finding(found, "unused-weight")->places.at(0) == "left");
  BOOST_TEST(!found.is_sound());
}

/// Behind a value that is missing nothing has a shape, whatever the axes.
BOOST_AUTO_TEST_CASE(a_missing_value_freezes_no_axis) {
  const Files files;
  pb::ModelProto model =
      Files::parse(model_text("(float[batch, 64] x) => (float[batch, 64] y) { a = Relu (x) y = Gemm (a, a, a) }"));
  model.mutable_graph()->mutable_node(1)->set_input(1, "nowhere");
  const Inspection found = inspect(files.write(model), {});
  BOOST_REQUIRE(finding(found, "undefined-value") != nullptr);
  BOOST_TEST(finding(found, "frozen-axis") == nullptr);
}

/// What shape inference says of a branch is no verdict on the file.
BOOST_AUTO_TEST_CASE(within_a_branch_an_axis_is_a_note) {
  const Files files;
  pb::ModelProto model =
      Files::parse(model_text("(bool which, float[batch, 64] x) => (float[batch, 64] y)"
                              "{ y = If (which) <"
                              "then_branch = t () => (float[n, 64] a) { a = Add (x, w) },"
                              "else_branch = e () => (float[m, 64] b) { b = Neg (x) } > }"));
  add_weight(model, "w", {7, 64}, 0.5F);
  const Inspection found = inspect(files.write(model), {});
  const Finding* frozen = finding(found, "frozen-axis");
  BOOST_REQUIRE(frozen != nullptr);
  BOOST_TEST((frozen->weight == Finding::Weight::note), frozen->text << ": " << frozen->places.at(0));
  BOOST_TEST(found.is_sound());
}

BOOST_AUTO_TEST_CASE(an_axis_of_which_some_lengths_run_is_limited_and_not_frozen) {
  const Files files;
  const pb::ModelProto model =
      Files::parse(model_text("(float[patches, 64] x) => (float[merged, 4, 64] y)"
                              "<int64[3] merges = {-1, 4, 64}> { y = Reshape (x, merges) }"));
  const Inspection found = inspect(files.write(model), {});
  BOOST_TEST(finding(found, "frozen-axis") == nullptr);
  BOOST_REQUIRE(finding(found, "limited-axis") != nullptr);
  BOOST_TEST(found.is_sound());
}

BOOST_AUTO_TEST_CASE(a_sound_file_has_no_findings) {
  const Files files;
  pb::ModelProto model = Files::parse(model_text("(float[batch, 64] x) => (float[batch, 64] y) { y = MatMul (x, w) }"));
  add_weight(model, "w", {64, 64}, 0.5F);
  BOOST_TEST(inspect(files.write(model), {}).findings.empty());
}

/// Other names of values, another order of nodes and another name of a weight are no other function; an attribute is.
BOOST_AUTO_TEST_CASE(functions_are_compared_and_not_names) {
  const Files files;
  const auto model = [&](const std::string& nodes, const std::string& weight) {
    pb::ModelProto made = Files::parse(model_text("(float[batch, 64] x) => (float[batch, 64] y) {" + nodes + "}"));
    add_weight(made, weight, {64, 64}, 0.5F);
    return made;
  };
  const OnnxFile a = files.write(model("p = Relu (x) q = Tanh (x) s = Add (p, q) y = MatMul (s, w)", "w"), "a.onnx");
  const OnnxFile b =
      files.write(model("k = Tanh (x) l = Relu (x) z = Add (l, k) y = MatMul (z, other)", "other"), "b.onnx");
  const OnnxFile c = files.write(model("p = Relu (x) q = Sigmoid (x) s = Add (p, q) y = MatMul (s, w)", "w"), "c.onnx");
  const ModelDiff same = diff_models(a, b);
  BOOST_TEST(same.same_function());
  BOOST_REQUIRE(same.weights.size() == 1u);
  BOOST_TEST((same.weights[0].kind == WeightChange::Kind::renamed));
  const ModelDiff other = diff_models(a, c);
  BOOST_TEST(!other.same_function());
  BOOST_REQUIRE(other.partings.size() == 2u);
  BOOST_TEST(other.partings[0].op == "Tanh");
  BOOST_TEST(other.partings[1].op == "Sigmoid");
}

BOOST_AUTO_TEST_CASE(nodes_of_a_module_are_one_box) {
  pb::ModelProto model = Files::parse(
      model_text("(float[batch, 64] x) => (float[batch, 64] y) { p = Relu (x) q = Tanh (p) y = Exp (q) }"));
  const char* names[] = {"/encoder/layer.0/Relu", "/encoder/layer.1/Tanh", "/head/Exp"};
  for (int i = 0; i < 3; ++i) model.mutable_graph()->mutable_node(i)->set_name(names[i]);
  const Picture top = collapsed(model.graph(), 1);
  BOOST_TEST(top.boxes.size() == 4u);  // encoder, head, what comes in and what goes out
  const Picture inner = inside(model.graph(), "encoder");
  size_t modules = 0;
  for (const Box& box : inner.boxes) modules += box.kind == Box::Kind::module ? 1 : 0;
  BOOST_TEST(modules == 1u);  // "layer", which holds both
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace inspect_test
