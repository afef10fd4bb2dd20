// SPDX-License-Identifier: Apache-2.0
// The ONNX Runtime back end on files made here.
#include <onnx/onnx_pb.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "core/backend/backend.hpp"
#include "core/error.hpp"
#include "tests/support/skips.hpp"
#include "tests/support/temporary_folder.hpp"

namespace onnxruntime_test {

using namespace onnxport;
using ir::DType;
using ir::Tensor;
namespace fs = std::filesystem;
namespace utf = boost::unit_test;
namespace pb = ONNX_NAMESPACE;

namespace {

/// A model of single nodes, opset 18, with every axis of every input free.
struct ModelFile {
  ModelFile() {
    model.set_ir_version(8);
    model.add_opset_import()->set_version(18);
    model.mutable_graph()->set_name("test");
  }

  static void declare(pb::ValueInfoProto& value, const std::string& name, DType dtype, size_t rank) {
    value.set_name(name);
    auto* type = value.mutable_type()->mutable_tensor_type();
    type->set_elem_type(static_cast<int32_t>(dtype));
    type->mutable_shape();
    for (size_t i = 0; i < rank; ++i) type->mutable_shape()->add_dim()->set_dim_param(name + std::to_string(i));
  }
  void input(const std::string& name, DType dtype, size_t rank = 2) {
    declare(*model.mutable_graph()->add_input(), name, dtype, rank);
  }
  void output(const std::string& op, const std::vector<std::string>& inputs, const std::string& name, DType dtype,
              size_t rank = 2) {
    auto* node = model.mutable_graph()->add_node();
    node->set_op_type(op);
    for (const std::string& input : inputs) node->add_input(input);
    node->add_output(name);
    declare(*model.mutable_graph()->add_output(), name, dtype, rank);
  }
  std::string write(const std::string& name = "model.onnx") const {
    std::ofstream file(folder / name, std::ios::binary);
    BOOST_REQUIRE(model.SerializeToOstream(&file));
    return (folder / name).string();
  }

  test::TemporaryFolder folder;
  pb::ModelProto model;
};

/// y = a + b and z = tanh(y)
struct TwoOutputs : ModelFile {
  TwoOutputs() {
    input("a", DType::f32);
    input("b", DType::f32);
    output("Add", {"a", "b"}, "y", DType::f32);
    output("Tanh", {"y"}, "z", DType::f32);
  }
};

Tensor f32(std::vector<int64_t> shape, const std::vector<float>& values) {
  return Tensor::of<float>(DType::f32, std::move(shape), values);
}

std::string failure_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no failure";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(onnxruntime, *utf::precondition(test::runtime_built))

BOOST_FIXTURE_TEST_CASE(runs_a_file, TwoOutputs) {
  const auto runnable = load_backend("onnxruntime").load_file(write());
  BOOST_REQUIRE(runnable != nullptr);
  const Tensor a = f32({2, 2}, {1, 2, 3, 4}), b = f32({2, 2}, {-1, 0, 1, 2});
  const Tensors all = runnable->run({{"a", a}, {"b", b}});
  BOOST_TEST(all.size() == 2u);
  BOOST_TEST((all.at("y") == f32({2, 2}, {0, 2, 4, 6})));
  BOOST_TEST(all.at("z").as<float>()[0] == 0.F);
  // Again with another shape, and only what is wanted.
  const Tensors some = runnable->run({{"a", f32({1, 3}, {1, 2, 3})}, {"b", f32({1, 3}, {1, 1, 1})}}, {"y"});
  BOOST_TEST(some.size() == 1u);
  BOOST_TEST((some.at("y") == f32({1, 3}, {2, 3, 4})));
  // An empty batch has no bytes to point to.
  const Tensors empty = runnable->run({{"a", f32({0, 3}, {})}, {"b", f32({0, 3}, {})}});
  BOOST_TEST((empty.at("y") == f32({0, 3}, {})));
}

BOOST_AUTO_TEST_CASE(every_element_type_passes_through) {
  const std::vector<Tensor> tensors{
      f32({1, 2}, {1.5F, -2}),
      Tensor::of<uint16_t>(DType::f16, {1, 2}, {0x3C00, 0xC000}),
      Tensor::of<uint16_t>(DType::bf16, {1, 2}, {0x3F80, 0xC000}),
      Tensor::of<double>(DType::f64, {1, 2}, {1.25, -3}),
      Tensor::of<int64_t>(DType::i64, {1, 2}, {int64_t{1} << 40, -1}),
      Tensor::of<int32_t>(DType::i32, {1, 2}, {1 << 30, -1}),
      Tensor::of<int8_t>(DType::i8, {1, 2}, {127, -128}),
      Tensor::of<uint8_t>(DType::u8, {1, 2}, {0, 255}),
      Tensor::of<uint8_t>(DType::boolean, {1, 2}, {1, 0}),
  };
  for (const Tensor& tensor : tensors) {
    BOOST_TEST_CONTEXT(ir::name_of(tensor.dtype)) {
      ModelFile file;
      file.input("x", tensor.dtype);
      file.output("Identity", {"x"}, "y", tensor.dtype);
      const auto runnable = load_backend("onnxruntime").load_file(file.write());
      BOOST_TEST((runnable->run({{"x", tensor}}).at("y") == tensor));
    }
  }
}

BOOST_FIXTURE_TEST_CASE(what_it_cannot_load_is_told, TwoOutputs) {
  const auto failure = [](const std::string& path) {
    return failure_of([&] { load_backend("onnxruntime").load_file(path); });
  };
  const std::string missing = failure((folder / "nothing.onnx").string());
  BOOST_TEST(contains(missing, "nothing.onnx"), missing);
  const std::string path = write("broken.onnx");
  fs::resize_file(path, fs::file_size(path) / 2);
  const std::string broken = failure(path);
  BOOST_TEST(contains(broken, "broken.onnx"), broken);
  BOOST_TEST(contains(broken, "ONNX Runtime"), broken);
  model.mutable_graph()->mutable_node(0)->set_op_type("NoSuchOperator");
  const std::string unknown = failure(write());
  BOOST_TEST(contains(unknown, "NoSuchOperator"), unknown);
}

BOOST_FIXTURE_TEST_CASE(what_it_cannot_run_is_told, TwoOutputs) {
  const auto runnable = load_backend("onnxruntime").load_file(write());
  const Tensor x = f32({2, 2}, {1, 2, 3, 4});
  const auto failure = [&](const Tensors& inputs, const std::vector<std::string>& wanted = {}) {
    return failure_of([&] { runnable->run(inputs, wanted); });
  };
  BOOST_TEST(contains(failure({{"a", x}}), "'b'"));
  BOOST_TEST(contains(failure({{"a", x}, {"b", x}}, {"nothing"}), "nothing"));
  const std::string rank = failure({{"a", x}, {"b", f32({4}, {1, 2, 3, 4})}});
  BOOST_TEST(contains(rank, "rank"), rank);
  const std::string type = failure({{"a", x}, {"b", Tensor::of<int64_t>(DType::i64, {2, 2}, {1, 2, 3, 4})}});
  BOOST_TEST(contains(type, "int64"), type);
  Tensor short_of_bytes = x;
  short_of_bytes.shape[0] = 3;
  BOOST_TEST(failure({{"a", short_of_bytes}, {"b", x}}) != "no failure");
  BOOST_TEST(contains(failure({{"a", x}, {"b", Tensor{DType::u64, {0, 0}, {}}}}), "u64"));
  // And goes on working after all that.
  BOOST_TEST(runnable->run({{"a", x}, {"b", x}}).size() == 2u);
}

BOOST_AUTO_TEST_CASE(the_version_is_told) {
  BOOST_TEST(load_backend("onnxruntime").version().starts_with("ONNX Runtime 1."));
  BOOST_TEST(load_backend("onnxruntime").load_graph(ir::Graph()) == nullptr);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(backends)

BOOST_AUTO_TEST_CASE(one_that_is_not_there) {
  BOOST_TEST(!backend_installed("nothing"));
  try {
    load_backend("nothing");
    BOOST_ERROR("it was opened");
  } catch (const Error& error) {
    BOOST_TEST((error.failure() == Failure::usage));
    BOOST_TEST(contains(error.what(), "'nothing'"));
    BOOST_TEST(contains(error.hint(), "--no-validate"));
  }
}

namespace {

/// Sets ONNXPORT_BACKEND_PATH to a folder of its own for as long as it lives.
struct BackendFolder {
  BackendFolder() {
    if (const char* before = std::getenv("ONNXPORT_BACKEND_PATH")) kept = before;
    ::setenv("ONNXPORT_BACKEND_PATH", path.path.c_str(), 1);
  }
  ~BackendFolder() {
    if (kept)
      ::setenv("ONNXPORT_BACKEND_PATH", kept->c_str(), 1);
    else
      ::unsetenv("ONNXPORT_BACKEND_PATH");
  }
  test::TemporaryFolder path;
  std::optional<std::string> kept;
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(one_that_is_no_library, BackendFolder) {
  std::ofstream(path / "libonnxport_text.so") << "not a library";
  BOOST_TEST(backend_installed("text"));
  for (int attempt = 0; attempt < 2; ++attempt) {
    const std::string failure = failure_of([] { load_backend("text"); });
    BOOST_TEST(contains(failure, "libonnxport_text.so"), failure);
  }
}

/// ONNXPORT_ONNXRUNTIME is read when the back end starts, so a copy of it is started.
BOOST_FIXTURE_TEST_CASE(one_that_fails_to_start, BackendFolder, *utf::precondition(test::runtime_built)) {
  const fs::path installed = kept ? fs::path(*kept) : fs::path(ONNXPORT_BUILD_DIR) / "lib" / "onnxport" / "backends";
  fs::copy_file(installed / "libonnxport_onnxruntime.so", path / "libonnxport_copy.so");
  ::setenv("ONNXPORT_ONNXRUNTIME", "/nowhere/libonnxruntime.so", 1);
  for (int attempt = 0; attempt < 2; ++attempt) {
    const std::string failure = failure_of([] { load_backend("copy"); });
    BOOST_TEST(contains(failure, "/nowhere/libonnxruntime.so"), failure);
  }
  ::unsetenv("ONNXPORT_ONNXRUNTIME");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace onnxruntime_test
