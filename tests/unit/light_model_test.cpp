// SPDX-License-Identifier: Apache-2.0
// A file without its weights: what the checker and ONNX Runtime are given of it, and what is refused.
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "core/error.hpp"
#include "core/files/scratch_folder.hpp"
#include "core/validate/light_model.hpp"
#include "core/validate/validate.hpp"
#include "tests/support/skips.hpp"

namespace light_model_test {

using namespace onnxport;
using ir::DType;
using ir::Tensor;
namespace fs = std::filesystem;
namespace pb = inspect::pb;

namespace {

constexpr int64_t width = 1000;  // more than stays in the messages

/// y = (x + raw + typed) * constant, each of them a vector in another form.
pb::ModelProto model() {
  pb::ModelProto m;
  m.set_ir_version(8);
  m.add_opset_import()->set_version(18);
  pb::GraphProto& g = *m.mutable_graph();
  g.set_name("test");
  const auto declare = [](pb::ValueInfoProto& value, const std::string& name) {
    value.set_name(name);
    auto* type = value.mutable_type()->mutable_tensor_type();
    type->set_elem_type(pb::TensorProto::INT64);
    type->mutable_shape()->add_dim()->set_dim_value(width);
  };
  declare(*g.add_input(), "x");
  declare(*g.add_output(), "y");
  const auto vector = [](pb::TensorProto& tensor, const std::string& name) {
    tensor.set_name(name);
    tensor.set_data_type(pb::TensorProto::INT64);
    tensor.add_dims(width);
  };
  std::string bytes(width * sizeof(int64_t), '\0');
  for (int64_t i = 0; i < width; ++i) std::memcpy(bytes.data() + i * 8, &i, 8);
  pb::TensorProto& raw = *g.add_initializer();
  vector(raw, "raw");
  raw.set_raw_data(bytes);
  pb::TensorProto& typed = *g.add_initializer();
  vector(typed, "typed");
  for (int64_t i = 0; i < width; ++i) typed.add_int64_data(-2 * i);
  const auto node = [&](const std::string& op, const std::vector<std::string>& inputs, const std::string& output) {
    pb::NodeProto& n = *g.add_node();
    n.set_op_type(op);
    for (const std::string& input : inputs) n.add_input(input);
    n.add_output(output);
    return &n;
  };
  pb::AttributeProto& value = *node("Constant", {}, "constant")->add_attribute();
  value.set_name("value");
  value.set_type(pb::AttributeProto::TENSOR);
  vector(*value.mutable_t(), "");
  value.mutable_t()->set_raw_data(bytes);
  node("Add", {"x", "raw"}, "a");
  node("Add", {"a", "typed"}, "b");
  node("Mul", {"b", "constant"}, "y");
  return m;
}

struct File {
  File() : path(folder.path() / "model.onnx") { write(model().SerializeAsString()); }
  void write(const std::string& bytes) const { std::ofstream(path, std::ios::binary) << bytes; }
  ScratchFolder folder;
  fs::path path;
};

std::string failure_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(light_model, File)

BOOST_AUTO_TEST_CASE(weights_stay_in_the_file) {
  const ModelImage image = image_of(inspect::read_onnx_file(path));
  pb::ModelProto read;
  BOOST_REQUIRE(read.ParseFromString(image.bytes));
  BOOST_TEST(read.graph().initializer(0).data_location() == pb::TensorProto::EXTERNAL);
  BOOST_TEST(read.graph().initializer(0).raw_data().empty());
  BOOST_TEST(read.graph().initializer(1).int64_data_size() == width);
  BOOST_TEST(read.graph().node(0).attribute(0).t().raw_data().size() == width * sizeof(int64_t));
  BOOST_TEST(image.folder == path.parent_path());
}

BOOST_AUTO_TEST_CASE(what_is_run_is_the_file, *boost::unit_test::precondition(test::runtime_built)) {
  const auto runnable = load_backend("onnxruntime").load_image(image_of(inspect::read_onnx_file(path)));
  const Tensors inputs{{"x", Tensor::i64(std::vector<int64_t>(width, 5))}};
  const Tensors outputs = runnable->run(inputs);
  BOOST_REQUIRE(outputs == load_backend("onnxruntime").load_file(path.string())->run(inputs));
  BOOST_TEST(outputs.at("y").as<int64_t>()[7] == (5 + 7 - 14) * 7);

  // Another byte in the file is another result: none was kept from before.
  std::string bytes = model().SerializeAsString();
  bytes[bytes.rfind("raw") + 3 + 40] ^= 1;
  write(bytes);
  const auto changed = load_backend("onnxruntime").load_image(image_of(inspect::read_onnx_file(path)));
  BOOST_CHECK(changed->run(inputs) != outputs);
}

BOOST_AUTO_TEST_CASE(the_checker_sees_the_graph) {
  BOOST_CHECK_NO_THROW(check_model_file(path));
  pb::ModelProto wrong = model();
  wrong.mutable_graph()->mutable_node(1)->set_input(0, "nowhere");
  write(wrong.SerializeAsString());
  BOOST_TEST(failure_of([&] { check_model_file(path); }).find("the ONNX checker refuses") == 0u);
  wrong = model();
  wrong.mutable_graph()
      ->mutable_output(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(0)
      ->set_dim_value(width + 1);
  write(wrong.SerializeAsString());
  BOOST_TEST(failure_of([&] { check_model_file(path); }).find("the ONNX checker refuses") == 0u);
}

BOOST_AUTO_TEST_CASE(weights_are_as_long_as_they_say) {
  pb::ModelProto wrong = model();
  wrong.mutable_graph()->mutable_initializer(0)->mutable_raw_data()->resize(width * 8 - 8);
  write(wrong.SerializeAsString());
  const std::string shorter = failure_of([&] { check_model_file(path); });
  BOOST_TEST(shorter.find("gives 'raw' 7992 bytes, and its type and dimensions take 8000") != std::string::npos,
             shorter);
}

BOOST_AUTO_TEST_CASE(weights_in_another_file_must_be_there) {
  pb::ModelProto apart = model();
  pb::TensorProto& tensor = *apart.mutable_graph()->mutable_initializer(0);
  tensor.clear_raw_data();
  tensor.set_data_location(pb::TensorProto::EXTERNAL);
  for (const auto& [key, value] : {std::pair("location", "data"), {"offset", "8"}, {"length", "8000"}}) {
    tensor.add_external_data()->set_key(key);
    tensor.mutable_external_data()->rbegin()->set_value(value);
  }
  write(apart.SerializeAsString());
  BOOST_TEST(!failure_of([&] { check_model_file(path); }).empty());
  std::ofstream(path.parent_path() / "data", std::ios::binary) << std::string(8000, '\1');
  const std::string cut = failure_of([&] { check_model_file(path); });
  BOOST_TEST(cut.find("ends before the weight 'raw' does") != std::string::npos, cut);
  std::ofstream(path.parent_path() / "data", std::ios::binary) << std::string(8008, '\1');
  BOOST_CHECK_NO_THROW(check_model_file(path));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace light_model_test
