// SPDX-License-Identifier: Apache-2.0
// Safetensors files and checkpoint folders: what is read, and what each defect is called.
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/checkpoint/checkpoint.hpp"
#include "core/error.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/torch_writer.hpp"

namespace checkpoint_test {

using namespace onnxport;
namespace fs = std::filesystem;

namespace {

using Folder = test::TemporaryFolder;

std::string safetensors(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + std::string(data_bytes, '\1');
}

template <class Body>
std::string refusal(Body body) {
  try {
    body();
  } catch (const Error& error) {
    BOOST_TEST((error.failure() == Failure::checkpoint));
    return error.what();
  }
  return "accepted";
}

std::string parse(const std::string& bytes) {
  return refusal([&] {
    parse_safetensors_header({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, "w.safetensors");
  });
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(safetensors_files)

BOOST_AUTO_TEST_CASE(good_files) {
  BOOST_TEST(parse(safetensors("{}", 0)) == "accepted");
  BOOST_TEST(
      parse(safetensors("{\"__metadata__\":{\"format\":\"pt\"}," + entry("a", "F32", "[2,3]", "[0,24]") + "," +
                            entry("s", "BF16", "[]", "[24,26]") + "," + entry("none", "I64", "[0,5]", "[26,26]") + "}",
                        26)) == "accepted");
  for (const char* dtype : {"F16", "U16", "I16", "BF16"})
    BOOST_TEST(parse(safetensors("{" + entry("a", dtype, "[2]", "[0,4]") + "}", 4)) == "accepted");
  for (const char* dtype : {"BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"})
    BOOST_TEST(parse(safetensors("{" + entry("a", dtype, "[2]", "[0,2]") + "}", 2)) == "accepted");
}

BOOST_AUTO_TEST_CASE(each_defect_is_named) {
  const struct {
    std::string bytes, message;
  } defects[] = {
      {"1234", "4 bytes are too few"},
      {std::string(7, '\xff') + '\x7f', "would be 9223372036854775807 bytes long"},
      {safetensors("{}", 0).replace(0, 1, "\x40"), "would be 64 bytes long; the file has 2"},
      {safetensors("{\"a\":", 0), "no valid JSON"},
      {safetensors("[]", 0), "no JSON object"},
      {safetensors("{" + entry("a", "U8", "[1]", "[0,1]") + "," + entry("a", "U8", "[1]", "[1,2]") + "}", 2),
       "tensor 'a' twice"},
      {safetensors("{\"a\":7}", 0), "tensor 'a' is described by number"},
      {safetensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 0), "tensor 'a' has no data_offsets"},
      {safetensors("{" + entry("a", "F4", "[1]", "[0,1]") + "}", 1), "tensor 'a' has the dtype F4"},
      {safetensors("{" + entry("a", "F32", "[-1]", "[0,4]") + "}", 4), "shape holds -1"},
      {safetensors("{" + entry("a", "F32", "[1.5]", "[0,4]") + "}", 4), "shape holds 1.5"},
      {safetensors("{" + entry("a", "F64", "[4611686018427387904,4]", "[0,0]") + "}", 0), "its shape overflows"},
      {safetensors("{" + entry("a", "U8", "[1]", "[2,1]") + "}", 2), "outside the file"},
      {safetensors("{" + entry("a", "F32", "[4]", "[0,16]") + "}", 9), "[0, 16) of 9 bytes of data"},
      {safetensors("{" + entry("a", "F32", "[4]", "[0,8]") + "}", 8), "takes 16 bytes; the header gives it 8"},
      {safetensors("{" + entry("a", "U8", "[4]", "[0,4]") + "," + entry("b", "U8", "[4]", "[2,6]") + "}", 6),
       "'a' and 'b' overlap"},
      {safetensors("{" + entry("a", "U8", "[2]", "[1,3]") + "}", 3), "1 bytes before the tensor 'a' belong to none"},
      {safetensors("{" + entry("a", "U8", "[2]", "[0,2]") + "}", 5), "3 bytes after the last tensor"},
      {safetensors(std::string(200'000, '['), 0), "no valid JSON"},
      {safetensors("{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}", 0),
       "tensor 'a' is described by array"},
  };
  for (const auto& defect : defects) {
    const std::string text = parse(defect.bytes);
    BOOST_TEST(contains(text, "w.safetensors: "));
    BOOST_CHECK_MESSAGE(contains(text, defect.message),
                        "expected '" << defect.message << "', got: " << text.substr(0, 300));
  }
}

BOOST_AUTO_TEST_CASE(what_is_written_is_read) {
  const Folder folder;
  const std::map<std::string, ir::Tensor> tensors{{"b", ir::Tensor::of<float>(ir::DType::f32, {2, 2}, {1, 2, 3, 4})},
                                                  {"a", ir::Tensor::i64_scalar(7)}};
  write_safetensors(folder.path / "t.safetensors", tensors);
  const auto stored = read_safetensors((folder.path / "t.safetensors").string());
  BOOST_REQUIRE(stored.size() == 2u);
  BOOST_TEST(stored[0].name == "a");
  for (const StoredTensor& tensor : stored)
    BOOST_TEST((materialize(Weight{std::make_shared<const StoredTensor>(tensor), {}}) == tensors.at(tensor.name)));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(checkpoints)

BOOST_AUTO_TEST_CASE(each_defect_of_a_folder_is_named) {
  const Folder folder;
  const auto open = [&](const fs::path& path) { return refusal([&] { Checkpoint::open(path); }); };
  BOOST_TEST(contains(open(folder.path / "nowhere"), "no such folder"));
  folder.write("file", "x");
  BOOST_TEST(contains(open(folder.path / "file"), "is a file"));
  BOOST_TEST(contains(open(folder.path), "no config.json"));
  folder.write("config.json", "{\n\"a\": ,\n}");
  BOOST_TEST(contains(open(folder.path), "line 2, column 6"));
  folder.write("config.json", "[1]");
  BOOST_TEST(contains(open(folder.path), "holds array, expected an object"));
  folder.write("config.json", "{}");
  BOOST_TEST(contains(open(folder.path), "has no weights"));
  folder.write("tf_model.h5", "x");
  BOOST_TEST(contains(open(folder.path), "holds TensorFlow's weights (tf_model.h5)"));
  folder.write("pytorch_model.bin", "x");
  BOOST_TEST(contains(open(folder.path), "pytorch_model.bin is no file of torch.save"));
  folder.write("pytorch_model.bin", "version https://git-lfs.github.com/spec/v1\n");
  BOOST_TEST(contains(open(folder.path), "is a pointer of Git LFS"));
  folder.write("model.safetensors", "");
  BOOST_TEST(contains(open(folder.path), "is empty"));
}

BOOST_AUTO_TEST_CASE(shards) {
  const Folder folder;
  folder.write("config.json", "{}");
  const auto tensor = [](float value) { return ir::Tensor::of<float>(ir::DType::f32, {1}, {value}); };
  write_safetensors(folder.path / "one.safetensors", {{"a", tensor(1)}});
  write_safetensors(folder.path / "two.safetensors", {{"b", tensor(2)}});
  const auto index = [&](const std::string& map) {
    folder.write("model.safetensors.index.json", "{\"weight_map\":" + map + "}");
  };
  const auto open = [&] { return refusal([&] { Checkpoint::open(folder.path); }); };
  index(R"({"a":"one.safetensors","b":"two.safetensors"})");
  BOOST_TEST(open() == "accepted");
  BOOST_TEST(Checkpoint::open(folder.path).tensors().size() == 2u);
  BOOST_TEST(Checkpoint::open(folder.path).total_bytes() == 8u);
  index(R"({"a":"one.safetensors","b":"three.safetensors"})");
  BOOST_TEST(contains(open(), "names the shard three.safetensors, which is not there"));
  index(R"({"a":"../one.safetensors"})");
  BOOST_TEST(contains(open(), "not a file of the checkpoint's own folder"));
  index(R"({"a":"one.safetensors","b":"one.safetensors"})");
  BOOST_TEST(contains(open(), "holds the tensor 'b', and it does not"));
  write_safetensors(folder.path / "two.safetensors", {{"a", tensor(2)}, {"b", tensor(2)}});
  index(R"({"a":"one.safetensors","b":"two.safetensors"})");
  BOOST_TEST(contains(open(), "the tensor 'a' is in two files"));
  index("{}");
  BOOST_TEST(contains(open(), "no weight_map"));
}

BOOST_AUTO_TEST_CASE(shards_of_torch_save) {
  const Folder folder;
  folder.write("config.json", "{}");
  folder.write("pytorch_model.bin.index.json", R"({"weight_map":{"a":"1.bin","b":"2.bin"}})");
  const auto file = [](const std::string& name) {
    using namespace torch_writer;
    return archive(dict(text(name) + tensor({})));
  };
  folder.write("1.bin", file("a"));
  folder.write("2.bin", file("b"));
  BOOST_TEST(Checkpoint::open(folder.path).tensors().size() == 2u);
  BOOST_TEST(Checkpoint::open(folder.path).total_bytes() == 48u);
  folder.write("2.bin", file("c"));
  BOOST_TEST(contains(refusal([&] { Checkpoint::open(folder.path); }), "2.bin holds the tensor 'b', and it does not"));
}

BOOST_AUTO_TEST_CASE(shards_that_are_links) {
  const Folder cache;
  const fs::path snapshot = cache.path / "snapshots/1";
  fs::create_directories(snapshot);
  fs::create_directories(cache.path / "blobs");
  cache.write("snapshots/1/config.json", "{}");
  cache.write("snapshots/1/model.safetensors.index.json", R"({"weight_map":{"a":"a.safetensors"}})");
  write_safetensors(cache.path / "blobs/f00d.safetensors", {{"a", ir::Tensor::i64_scalar(7)}});
  write_safetensors(cache.path / "elsewhere.safetensors", {{"a", ir::Tensor::i64_scalar(7)}});
  const auto open = [&] { return refusal([&] { Checkpoint::open(snapshot); }); };
  fs::create_symlink("../../blobs/f00d.safetensors", snapshot / "a.safetensors");
  BOOST_TEST(open() == "accepted");
  fs::remove(snapshot / "a.safetensors");
  fs::create_symlink("../../elsewhere.safetensors", snapshot / "a.safetensors");
  BOOST_TEST(contains(open(), "elsewhere.safetensors, outside the checkpoint's folder"));
  fs::remove(snapshot / "a.safetensors");
  fs::create_symlink("nothing", snapshot / "a.safetensors");
  BOOST_TEST(contains(open(), "which is not there"));
}

BOOST_AUTO_TEST_CASE(of_several_forms_the_safest_is_read) {
  const Folder folder;
  folder.write("config.json", "{}");
  folder.write("pytorch_model.bin", torch_writer::archive(torch_writer::dict("")));
  BOOST_TEST(Checkpoint::open(folder.path).notes().empty());
  write_safetensors(folder.path / "model.safetensors", {{"a", ir::Tensor::i64_scalar(7)}});
  const Checkpoint checkpoint = Checkpoint::open(folder.path);
  BOOST_TEST(checkpoint.tensors().contains("a"));
  BOOST_REQUIRE(checkpoint.notes().size() == 1u);
  BOOST_TEST(contains(checkpoint.notes()[0], "model.safetensors is read, pytorch_model.bin is not"));
}

BOOST_AUTO_TEST_CASE(an_index_names_files_of_its_own_folder) {
  for (const char* shard : {"", ".", "..", "../w.bin", "/etc/passwd", "a/b.bin", "a\\\\b.bin", "w\\u0000.bin"}) {
    const Json index = parse_json(R"({"weight_map":{"a":")" + std::string(shard) + "\"}}", "i.json");
    BOOST_TEST(
        contains(refusal([&] { parse_shard_index(index, "i.json"); }), "not a file of the checkpoint's own folder"));
  }
  for (const char* text :
       {R"({})", R"([])", R"(7)", R"({"weight_map":[]})", R"({"weight_map":{}})", R"({"weight_map":7})"})
    BOOST_TEST(contains(refusal([&] { parse_shard_index(parse_json(text, "i"), "i"); }), "has no weight_map"));
  BOOST_TEST(contains(refusal([] { parse_shard_index(parse_json(R"({"weight_map":{"a":7}})", "i"), "i"); }),
                      "the shard of 'a' is no text"));
}

BOOST_AUTO_TEST_CASE(numbers_that_python_writes) {
  const Json json = parse_json(R"({"a": NaN, "b": [-Infinity, Infinity], "c": "NaN \" Infinity"})", "c");
  BOOST_TEST(json["a"] == "NaN");
  BOOST_TEST(json["b"][0].get<double>() < -1e308);
  BOOST_TEST(json["b"][1].get<double>() > 1e308);
  BOOST_TEST(json["c"] == "NaN \" Infinity");
}

BOOST_AUTO_TEST_CASE(a_file_that_changes_is_noticed) {
  const Folder folder;
  folder.write("config.json", "{}");
  write_safetensors(folder.path / "model.safetensors", {{"a", ir::Tensor::i64_scalar(7)}});
  const Checkpoint checkpoint = Checkpoint::open(folder.path);
  BOOST_CHECK_NO_THROW(checkpoint.check_unchanged());
  std::ofstream(folder.path / "model.safetensors", std::ios::app) << "x";
  BOOST_TEST(contains(refusal([&] { checkpoint.check_unchanged(); }), "changed while it was read"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace checkpoint_test
