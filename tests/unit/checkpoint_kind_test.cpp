// SPDX-License-Identifier: Apache-2.0
// Folders that look like checkpoints and are another thing are called what they are.
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "core/checkpoint/checkpoint.hpp"
#include "core/error.hpp"

namespace fs = std::filesystem;
using namespace onnxport;

namespace {

struct Folder {
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "onnxport-kind-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Folder() { fs::remove_all(path); }

  void write(const char* name, const std::string& text) const { std::ofstream(path / name) << text; }
  void tensors(const std::vector<std::string>& names) const {
    std::map<std::string, ir::Tensor> made;
    for (const std::string& name : names) made.emplace(name, ir::Tensor::of<float>(ir::DType::f32, {1}, {1.0F}));
    write_safetensors(path / "model.safetensors", made);
  }
  /// What the error says, with its next step; empty where the folder opens.
  std::string refusal() const {
    try {
      Checkpoint::open(path);
    } catch (const Error& error) {
      BOOST_TEST(static_cast<int>(error.failure()) == static_cast<int>(Failure::checkpoint));
      return std::string(error.what()) + "\n" + error.hint();
    }
    return {};
  }
  void check_says(const std::vector<const char*>& parts) const {
    const std::string said = refusal();
    for (const char* part : parts) BOOST_TEST((said.find(part) != std::string::npos), part << " in: " << said);
  }

  fs::path path;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(checkpoint_kinds, Folder)

BOOST_AUTO_TEST_CASE(an_adapter_names_its_base) {
  write("adapter_config.json", R"({"base_model_name_or_path": "org/base", "peft_type": "LORA"})");
  check_says({"is an adapter of org/base", "merge_and_unload"});
}

BOOST_AUTO_TEST_CASE(a_gguf_file_is_no_checkpoint) {
  write("model-q4.gguf", "GGUF");
  check_says({"GGUF file, model-q4.gguf", "save_pretrained"});
}

BOOST_AUTO_TEST_CASE(quantized_weights_are_told_by_the_config) {
  tensors({"a.qweight", "a.scales"});
  write("config.json", R"({"model_type": "llama", "quantization_config": {"quant_method": "gptq", "bits": 4}})");
  check_says({"quantized weights", "'gptq'", "dequantize"});
  write("config.json", R"({"model_type": "llama", "quantization_config": null})");
  BOOST_TEST(refusal() == "");
}

BOOST_AUTO_TEST_CASE(a_wrapper_is_told_by_its_prefix) {
  write("config.json", "{}");
  for (const char* prefix : {"module.", "_orig_mod.", "base_model.model."}) {
    tensors({prefix + std::string("a.weight"), prefix + std::string("b.weight")});
    check_says({"all 2 tensors begin with", prefix, "save the model that is inside"});
  }
  // A module of that name among others is the model's own.
  tensors({"module.weight", "other.weight"});
  BOOST_TEST(refusal() == "");
}

BOOST_AUTO_TEST_CASE(matrices_of_lora_are_not_left_out) {
  write("config.json", "{}");
  tensors({"a.weight", "a.lora_A.default.weight", "a.lora_B.default.weight"});
  check_says({"LoRA", "a.lora_A.default.weight", "merge_and_unload"});
}

BOOST_AUTO_TEST_SUITE_END()
