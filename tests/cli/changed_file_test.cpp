// SPDX-License-Identifier: Apache-2.0
// onnxport validate of an export that somebody edited: what was changed is named, and is no defect of the command.
#include <boost/test/unit_test.hpp>

#include "command.hpp"
#include "core/inspect/onnx_file.hpp"

namespace changed_file_test {

using namespace cli;
namespace pb = onnxport::inspect::pb;

namespace {

/// An export of the tiny BERT that says so, and its model to edit.
struct Exported {
  Sandbox sandbox;
  pb::ModelProto model;

  Exported() {
    sandbox.checkpoint();
    BOOST_REQUIRE(sandbox.run({"export", "-m", "bert", "--no-validate", "out"}).status == 0);
    BOOST_REQUIRE(model.ParseFromString(sandbox.read("out/model.onnx")));
  }

  void check_failure(const Words& parts) const {
    std::string bytes;
    BOOST_REQUIRE(model.SerializeToString(&bytes));
    sandbox.write("out/model.onnx", bytes);
    cli::check_failure(sandbox, {"validate", "out", "-m", "bert"}, 1, parts);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(changed_file, *boost::unit_test::precondition(reference_built))

BOOST_AUTO_TEST_CASE(an_input_of_another_name) {
  Exported exported;
  for (auto& node : *exported.model.mutable_graph()->mutable_node()) {
    for (auto& name : *node.mutable_input()) name = name == "input_ids" ? "tokens" : name;
  }
  exported.model.mutable_graph()->mutable_input(0)->set_name("tokens");
  exported.check_failure({"out/model.onnx has other inputs than it was exported with",
                          "'tokens', i64[batch, sequence], is no input of the model", "'input_ids' is missing",
                          "export it again"});
}

BOOST_AUTO_TEST_CASE(an_input_of_another_type) {
  Exported exported;
  auto* type = exported.model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type();
  type->set_elem_type(pb::TensorProto::INT32);
  exported.check_failure({"'input_ids' is i32[batch, sequence], expected i64 with 2 axes", "export it again"});
}

BOOST_AUTO_TEST_CASE(an_operator_that_is_none) {
  Exported exported;
  for (auto& node : *exported.model.mutable_graph()->mutable_node()) {
    if (node.op_type() == "MatMul") node.set_op_type("MatMull");
  }
  exported.check_failure({"the ONNX checker refuses out/model.onnx", "MatMull", "export it again"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace changed_file_test
