// SPDX-License-Identifier: Apache-2.0
// Where weights go and in which type: --weights, --external-data, --data-name, --dtype, --max-memory.
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "tests/support/skips.hpp"

namespace weights_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

/// Exports "bert" into "out" and yields the object of --json.
Json exported(const Sandbox& sandbox, Words options) {
  Words words{"export", "-m", "bert", "--json"};
  if (!has_reference()) options.push_back("--no-validate");
  words.insert(words.end(), options.begin(), options.end());
  words.push_back("out");
  const Outcome outcome = sandbox.run(words);
  BOOST_TEST(outcome.status == 0, outcome.out << outcome.err);
  BOOST_REQUIRE_MESSAGE(Json::accept(outcome.out), "no JSON: " << outcome.out);
  return Json::parse(outcome.out);
}

/// The same file under two names.
bool same_file(const fs::path& a, const fs::path& b) {
  struct stat left {
  }, right{};
  return ::stat(a.c_str(), &left) == 0 && ::stat(b.c_str(), &right) == 0 && left.st_ino == right.st_ino &&
         left.st_dev == right.st_dev;
}

bool notes_mention(const Json& result, const std::string& part) {
  return result.contains("notes") && contains(result.at("notes").dump(), part);
}

void synth(const Sandbox& sandbox, const Words& options) {
  sandbox.write("c.json", tiny_config());
  Words words{"synth", "c.json", "bert", "--quiet"};
  words.insert(words.end(), options.begin(), options.end());
  const Outcome made = sandbox.run(words);
  BOOST_REQUIRE_MESSAGE(made.status == 0, made.err);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(weights)

/// What is read is never what is written over.
BOOST_AUTO_TEST_CASE(a_checkpoint_is_not_written_over) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const std::string weights = sandbox.read("bert/model.safetensors");
  check_failure(sandbox, {"export", "-m", "bert", "--external-data", "--data-name", "model.safetensors", "bert"}, 2,
                {"--data-name model.safetensors", "the checkpoint's own file"});
  check_failure(sandbox, {"synth", "bert/config.json", "bert"}, 2, {"bert holds weights already: model.safetensors"});
  BOOST_TEST((sandbox.read("bert/model.safetensors") == weights));
  BOOST_TEST(sandbox.run({"synth", "bert/config.json", "other", "--quiet"}).status == 0);
}

BOOST_AUTO_TEST_CASE(a_data_file_of_a_chosen_name) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  exported(sandbox, {"--data-name", "weights.bin"});
  BOOST_TEST(fs::exists(sandbox / "out/weights.bin"));
  BOOST_TEST(!fs::exists(sandbox / "out/model.onnx_data"));
  for (const char* name : {"../weights.bin", "a/b", "..", "/weights.bin"})
    check_failure(sandbox, {"export", "-m", "bert", "--no-validate", "--data-name", name, "other"}, 2, {"--data-name"});
}

BOOST_AUTO_TEST_CASE(linked_weights_stay_where_they_are) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const uintmax_t copied = exported(sandbox, {"--weights", "copy"}).at("planned_bytes");
  fs::remove_all(sandbox / "out");
  const Json result = exported(sandbox, {"--weights", "link"});
  BOOST_TEST(result.at("planned_bytes").get<uintmax_t>() < copied);
  BOOST_TEST(result.at("linked") == Json::array({"model.safetensors"}));
  BOOST_TEST(!result.contains("not_linked"));
  BOOST_TEST(same_file(sandbox / "bert/model.safetensors", sandbox / "out/model.safetensors"));
  // A second export into the same folder finds its own link there.
  exported(sandbox, {"--weights", "link"});
  BOOST_TEST(same_file(sandbox / "bert/model.safetensors", sandbox / "out/model.safetensors"));
  if (has_reference()) BOOST_TEST(sandbox.run({"validate", "out", "-m", "bert"}).status == 0);
}

BOOST_AUTO_TEST_CASE(a_linked_model_beside_its_checkpoint) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const std::string before = sandbox.read("bert/config.json");
  const Outcome outcome = sandbox.run({"export", "-m", "bert", "--weights", "link", "--no-validate", "bert"});
  BOOST_TEST(outcome.status == 0, outcome.err);
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(sandbox / "bert")) names.insert(entry.path().filename().string());
  BOOST_TEST((names == std::set<std::string>{"config.json", "model.onnx", "model.safetensors"}));
  BOOST_TEST(sandbox.read("bert/config.json") == before);
}

BOOST_AUTO_TEST_CASE(links_follow_the_symbolic_links_of_a_cache) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  fs::create_directory(sandbox / "blobs");
  fs::rename(sandbox / "bert/model.safetensors", sandbox / "blobs/0123abcd");
  fs::create_symlink("../blobs/0123abcd", sandbox / "bert/model.safetensors");
  exported(sandbox, {"--weights", "link"});
  BOOST_TEST(!fs::is_symlink(sandbox / "out/model.safetensors"));
  BOOST_TEST(same_file(sandbox / "blobs/0123abcd", sandbox / "out/model.safetensors"));
}

BOOST_AUTO_TEST_CASE(links_of_another_type_are_cast_by_the_graph) {
  for (const char* dtype : {"fp16", "bf16"}) {
    const Sandbox sandbox;
    synth(sandbox, {"--dtype", dtype});
    const Json result = exported(sandbox, {"--weights", "link"});
    BOOST_TEST(!result.contains("not_linked"));
    BOOST_TEST(same_file(sandbox / "bert/model.safetensors", sandbox / "out/model.safetensors"));
  }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_linked) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  sandbox.write("out/model.safetensors", "another file");
  check_failure(sandbox, {"export", "-m", "bert", "--weights", "link", "--no-validate", "out"}, 5,
                {"model.safetensors is there already"});
  BOOST_TEST(sandbox.read("out/model.safetensors") == "another file");
  check_failure(sandbox, {"export", "-m", "bert", "--weights", "link", "--external-data", "--no-validate", "x"}, 2,
                {"--external-data", "link"});
  struct stat here {
  }, there{};
  if (::stat(sandbox.path().c_str(), &here) != 0 || ::stat("/dev/shm", &there) != 0 || here.st_dev == there.st_dev ||
      ::access("/dev/shm", W_OK) != 0) {
    BOOST_TEST_MESSAGE("no second file system to write to; skipped");
    return;
  }
  const std::string far = "/dev/shm/onnxport-test-" + std::to_string(::getpid());
  check_failure(sandbox, {"export", "-m", "bert", "--weights", "link", "--no-validate", far}, 5,
                {"only below the model's own folder", "Invalid cross-device link", "--weights copy"});
  BOOST_TEST(!fs::exists(far));
}

BOOST_AUTO_TEST_CASE(half_precision_keeps_inputs_and_outputs) {
  const Sandbox sandbox;
  sandbox.checkpoint("bert", R"({"hidden_size": 64, "intermediate_size": 128})");
  const uintmax_t wide = exported(sandbox, {}).at("planned_bytes");
  fs::remove_all(sandbox / "out");
  for (const char* opset : {"13", "18", "23"}) {
    const Json result = exported(sandbox, {"--dtype", "fp16", "--opset", opset});
    BOOST_TEST(result.at("planned_bytes").get<uintmax_t>() < wide * 3 / 4);
    const Outcome inspected = sandbox.run({"inspect", "out/model.onnx", "--json"});
    const Json model = Json::parse(inspected.out);
    for (const char* side : {"inputs", "outputs"}) BOOST_TEST(!contains(model.at(side).dump(), "f16"), model.at(side));
    if (has_reference()) BOOST_TEST(sandbox.run({"validate", "out", "-m", "bert"}).status == 0);
  }
}

BOOST_AUTO_TEST_CASE(what_onnx_runtime_cannot_run_is_told) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const Json result = exported(sandbox, {"--dtype", "bf16"});
  if (!has_reference()) return onnxport::test::not_run("the reference back end is not built");
  // A later ONNX Runtime may have the kernels; then nothing stands in.
  if (!result.at("validation").contains("substitute")) return onnxport::test::not_run("ONNX Runtime has the kernels");
  BOOST_TEST(notes_mention(result, "cannot run bf16 here"));
  BOOST_TEST(notes_mention(result, "rounded to bf16"));
  BOOST_TEST(sandbox.tree().count("out/rounded") == 0u);
}

BOOST_AUTO_TEST_CASE(weights_that_are_no_numbers_without_validation) {
  const Sandbox sandbox;
  sandbox.write("c.json", tiny_config());
  for (const std::string part : {"query.weight", "LayerNorm.bias"}) {
    fs::remove_all(sandbox / "bert");
    synth(sandbox, {});
    std::string bytes = sandbox.read("bert/model.safetensors");
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    const Json header = Json::parse(bytes.substr(sizeof length, length));
    std::string broken;
    for (const auto& [name, tensor] : header.items()) {
      if (!contains(name, part) || !broken.empty()) continue;
      broken = name;
      const float number =
          part == "query.weight" ? std::numeric_limits<float>::quiet_NaN() : -std::numeric_limits<float>::infinity();
      const size_t end = sizeof length + length + tensor.at("data_offsets")[1].get<size_t>();
      std::memcpy(bytes.data() + end - sizeof number, &number, sizeof number);
    }
    BOOST_REQUIRE(!broken.empty());
    sandbox.write("bert/model.safetensors", bytes);
    for (const Words& storage : {Words{}, Words{"--external-data"}, Words{"--dtype", "bf16"}}) {
      Words words{"export", "-m", "bert", "--no-validate", "out"};
      words.insert(words.end() - 1, storage.begin(), storage.end());
      check_failure(sandbox, words, 3, {"NaN or infinite", broken, "--no-validate"});
      BOOST_TEST(!fs::exists(sandbox / "out"));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_bound_on_memory) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  check_failure(sandbox, {"export", "-m", "bert", "--no-validate", "--max-memory", "1MB", "out"}, 2, {"--max-memory"});
  check_failure(sandbox, {"export", "-m", "bert", "--no-validate", "--max-memory", "lots", "out"}, 2, {"--max-memory"});
  BOOST_TEST(sandbox.run({"export", "-m", "bert", "--no-validate", "--max-memory", "64MB", "out"}).status == 0);
  if (has_reference())
    check_failure(sandbox, {"export", "-m", "bert", "--max-memory", "64MB", "other"}, 2,
                  {"validation needs about", "--max-memory leaves", "--no-validate"});
  // It ends, whatever a library asks for in vain.
  const int status = sandbox.run({"export", "-m", "bert", "--max-memory", "330MB", "other"}).status;
  BOOST_TEST((status == 0 || status == 2));
}

BOOST_AUTO_TEST_CASE(attention_over_large_images_is_in_the_estimate) {
  const Sandbox sandbox;
  sandbox.write("vit.json",
                R"({"model_type": "vit", "architectures": ["ViTForImageClassification"], "hidden_size": 16,
                    "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 24, "image_size": 16,
                    "patch_size": 4})");
  BOOST_TEST(sandbox.run({"synth", "vit.json", "vit"}).status == 0);
  sandbox.write("vit/preprocessor_config.json", R"({"do_resize": true, "size": {"height": 320, "width": 320}})");
  if (!has_reference()) return onnxport::test::not_run("the reference back end is not built");
  // 6401 patches, hence scores of gigabytes for a model of a few thousand weights.
  check_failure(sandbox, {"export", "-m", "vit", "--max-memory", "2GB", "out"}, 2,
                {"validation needs about", "for what the runs compute", "--max-memory leaves"});
  // Nor are images made that no memory holds.
  sandbox.write("vit/preprocessor_config.json", R"({"do_resize": true, "size": {"height": 262144, "width": 262144}})");
  check_failure(sandbox, {"export", "-m", "vit", "out"}, 2, {"the inputs of validation alone take", "--no-validate"});
  BOOST_TEST(sandbox.run({"export", "-m", "vit", "--no-validate", "--max-memory", "64MB", "out"}).status == 0);
}

namespace {

/// The megabytes behind these words of a message.
uint64_t megabytes_behind(const std::string& words, const std::string& message) {
  const size_t at = message.find(words);
  BOOST_REQUIRE_MESSAGE(at != std::string::npos, message);
  return std::stoull(message.substr(at + words.size()));
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_an_estimate_asks_for_suffices) {
  const Sandbox sandbox;
  // Kernels of 38 MB, which a run must not hold a second time.
  sandbox.write("resnet.json",
                R"({"model_type": "resnet", "architectures": ["ResNetForImageClassification"], "embedding_size": 16,
                    "hidden_sizes": [1024], "depths": [2], "layer_type": "basic"})");
  BOOST_REQUIRE(sandbox.run({"synth", "resnet.json", "resnet"}).status == 0);
  sandbox.write("resnet/preprocessor_config.json", R"({"do_resize": true, "size": {"height": 32, "width": 32}})");
  if (!has_reference()) return onnxport::test::not_run("the reference back end is not built");
  const Outcome refused = sandbox.run({"export", "-m", "resnet", "--max-memory", "100MB", "out"});
  BOOST_TEST(refused.status == 2);
  const uint64_t needed = megabytes_behind("validation needs about ", refused.err),
                 left = megabytes_behind("--max-memory leaves ", refused.err);
  const std::string enough = std::to_string(100 + needed - left + 2) + "MB";
  const Outcome done = sandbox.run({"export", "-m", "resnet", "--max-memory", enough, "out"});
  BOOST_TEST(done.status == 0, enough << ": " << done.err);
}

BOOST_AUTO_TEST_CASE(sharded_checkpoints_of_any_type) {
  const Sandbox sandbox;
  synth(sandbox, {"--dtype", "bf16", "--shard-size", "4kB"});
  BOOST_TEST(fs::exists(sandbox / "bert/model.safetensors.index.json"));
  BOOST_TEST(!fs::exists(sandbox / "bert/model.safetensors"));
  exported(sandbox, {});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace weights_test
