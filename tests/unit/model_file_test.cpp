// SPDX-License-Identifier: Apache-2.0
// Written files: several graphs of one export and the data file that they share.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/checkpoint/checkpoint.hpp"
#include "core/error.hpp"
#include "core/onnx/model_file.hpp"
#include "tests/support/temporary_folder.hpp"

namespace model_file_test {

using namespace onnxport;
namespace fs = std::filesystem;

namespace {

/// A checkpoint of three weights, and graphs that add some of them to their input.
struct Fixture {
  Fixture() {
    std::map<std::string, ir::Tensor> tensors;
    for (const char* name : {"a", "b", "c"}) {
      std::vector<float> values(size * size);
      for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) + static_cast<float>(name[0]);
      tensors.emplace(name, ir::Tensor::of<float>(ir::DType::f32, {size, size}, values));
    }
    write_safetensors(path / "model.safetensors", tensors);
    for (StoredTensor& stored : read_safetensors((path / "model.safetensors").string()))
      weights.emplace(stored.name, Weight{std::make_shared<const StoredTensor>(stored), {}});
  }

  ModelToWrite model(const std::string& file, const std::vector<Weight>& used) const {
    ir::Graph graph;
    graph.name = file;
    ir::ValueId y = graph.add_input("x", {ir::DType::f32, {ir::Dim(size), ir::Dim(size)}});
    for (const Weight& weight : used)
      y = graph.add_node({"", "Add", "", {y, graph.add_weight(weight.stored->name, weight)}, {}, {}, ""})[0];
    graph.add_output("y", y);
    return {to_model(graph, {.opset = 18, .metadata = {}}), file};
  }

  /// An initializer's bytes as a reader of the written file finds them.
  std::vector<float> read_back(const std::string& file, size_t index) const {
    pb::ModelProto proto;
    std::ifstream in(path / file, std::ios::binary);
    BOOST_REQUIRE(proto.ParseFromIstream(&in));
    const pb::TensorProto& tensor = proto.graph().initializer(static_cast<int>(index));
    std::string bytes = tensor.raw_data();
    if (tensor.data_location() == pb::TensorProto_DataLocation_EXTERNAL) {
      std::map<std::string, std::string> entries;
      for (const pb::StringStringEntryProto& entry : tensor.external_data()) entries[entry.key()] = entry.value();
      const std::string data = content(entries.at("location"));
      bytes = data.substr(std::stoull(entries.at("offset")), std::stoull(entries.at("length")));
    }
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  std::string content(const fs::path& file) const {
    std::ifstream in(path / file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static std::vector<float> values_of(const Weight& weight) {
    const ir::Tensor tensor = materialize(weight);
    return {tensor.as<float>().begin(), tensor.as<float>().end()};
  }

  static constexpr int64_t size = 40;  // 6400 bytes a weight: two pages of the data file
  test::TemporaryFolder path;
  std::map<std::string, Weight> weights;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(model_file, Fixture)

BOOST_AUTO_TEST_CASE(graphs_of_one_export_share_their_weights) {
  const Weight &a = weights.at("a"), &b = weights.at("b"), turned = weights.at("c").then(TransposeMatrix{});
  const std::vector<ModelToWrite> models{model("decoder.onnx", {a, b, turned}),
                                         model("decoder_with_past.onnx", {b, turned, weights.at("c")})};
  const ModelFileOptions options{.folder = path, .external_data = true, .data_file = "all.onnx_data", .progress = {}};
  const std::vector<ExportedFile> planned = plan_models(models, options), files = write_models(models, options);

  BOOST_TEST(files.size() == 3u);
  BOOST_TEST(files[0].path == path / "decoder.onnx");
  BOOST_TEST(files[1].path == path / "decoder_with_past.onnx");
  BOOST_TEST(files[2].path == path / "all.onnx_data");
  for (size_t i = 0; i < files.size(); ++i) {
    BOOST_TEST(planned[i].path == files[i].path);
    BOOST_TEST(planned[i].bytes == fs::file_size(files[i].path));
  }
  // a, b, c turned and c as it is: each once, and begun at a page.
  BOOST_TEST(files[2].bytes == 3 * 8192 + 6400u);
  BOOST_TEST(read_back("decoder.onnx", 0) == values_of(a));
  BOOST_TEST(read_back("decoder.onnx", 2) == values_of(turned));
  BOOST_TEST(read_back("decoder_with_past.onnx", 0) == values_of(b));
  BOOST_TEST(read_back("decoder_with_past.onnx", 1) == values_of(turned));
  BOOST_TEST(read_back("decoder_with_past.onnx", 2) == values_of(weights.at("c")));
}

BOOST_AUTO_TEST_CASE(without_external_data_each_file_has_its_own) {
  const std::vector<ModelToWrite> models{model("one.onnx", {weights.at("a")}), model("two.onnx", {weights.at("a")})};
  const ModelFileOptions options{.folder = path, .progress = {}};
  BOOST_TEST(write_models(models, options).size() == 2u);
  BOOST_TEST(read_back("one.onnx", 0) == values_of(weights.at("a")));
  BOOST_TEST(read_back("two.onnx", 0) == values_of(weights.at("a")));
}

BOOST_AUTO_TEST_CASE(linked_weights_are_referred_to_in_the_checkpoint) {
  const Weight &a = weights.at("a"), turned = weights.at("b").then(TransposeMatrix{});
  const std::vector<ModelToWrite> models{model("one.onnx", {a, turned})};
  const ModelFileOptions options{
      .folder = path, .linked = {{a.stored->file.get(), "model.safetensors"}}, .progress = {}};
  const std::vector<ExportedFile> files = write_models(models, options);
  BOOST_TEST(files.size() == 2u);
  BOOST_TEST(files[1].bytes == 6400u);  // the turned one alone
  BOOST_TEST(read_back("one.onnx", 0) == values_of(a));
  BOOST_TEST(read_back("one.onnx", 1) == values_of(turned));
  BOOST_TEST(weights_not_linked(models, options) == std::vector<std::string>{"b"});
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_into_one_file_is_refused_before_anything_is_written) {
  auto stored = std::make_shared<StoredTensor>();
  stored->name = "big";
  stored->dtype = ir::DType::f32;
  stored->shape = {size, int64_t{1} << 24};
  stored->bytes = uint64_t{4} * size << 24;
  ir::Graph graph;
  const ir::ValueId big = graph.add_weight("big", Weight{stored, {}});
  graph.add_output("y", graph.add_node({"", "Identity", "", {big}, {}, {}, ""})[0]);
  const std::vector<ModelToWrite> models{{to_model(graph, {.opset = 18, .metadata = {}}), "big.onnx"}};
  const ModelFileOptions options{.folder = path, .progress = {}};
  BOOST_CHECK_EXCEPTION(write_models(models, options), Error, [](const Error& error) {
    return std::string(error.what()).find("2 GB") != std::string::npos && error.failure() == Failure::usage;
  });
  BOOST_TEST(!fs::exists(path / "big.onnx"));
}

BOOST_AUTO_TEST_CASE(the_same_models_give_the_same_bytes) {
  const std::vector<ModelToWrite> models{model("one.onnx", {weights.at("a"), weights.at("b")}),
                                         model("two.onnx", {weights.at("b")})};
  const ModelFileOptions options{.folder = path, .external_data = true, .progress = {}};
  write_models(models, options);
  const std::string first = content("one.onnx") + content("two.onnx") + content("one.onnx_data");
  write_models(models, options);
  BOOST_TEST((content("one.onnx") + content("two.onnx") + content("one.onnx_data")) == first);
}

BOOST_FIXTURE_TEST_CASE(graphs_with_pieces_of_their_own, Fixture) {
  const Weight &a = weights.at("a"), &b = weights.at("b"), &c = weights.at("c");
  fs::create_directory(path / "onnx");
  const std::vector<ModelToWrite> models{model("onnx/one.onnx", {a, b, c}), model("onnx/two.onnx", {a})};
  // Room for two weights, each of which begins on a page.
  const uint64_t bytes = a.bytes();
  const ModelFileOptions options{
      .folder = path, .external_data = true, .data_piece = 4096 * (bytes / 4096 + 1) + bytes};
  std::vector<std::string> names;
  for (const ExportedFile& file : write_models(models, options)) names.push_back(file.path.lexically_relative(path));
  const std::vector<std::string> expected{"onnx/one.onnx", "onnx/two.onnx", "onnx/one.onnx_data",
                                          "onnx/one.onnx_data_1", "onnx/two.onnx_data"};
  BOOST_TEST(names == expected, boost::test_tools::per_element());
  pb::ModelProto proto;
  std::ifstream in(path / "onnx/one.onnx", std::ios::binary);
  BOOST_REQUIRE(proto.ParseFromIstream(&in));
  // Beside the model: without the folder's name.
  BOOST_TEST(proto.graph().initializer(2).external_data(0).value() == "one.onnx_data_1");
  const std::string data = content("onnx/one.onnx_data_1");
  std::vector<float> read(bytes / sizeof(float));
  std::memcpy(read.data(), data.data(), bytes);
  BOOST_TEST(read == values_of(c), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace model_file_test
