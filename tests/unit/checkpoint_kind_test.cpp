// SPDX-License-Identifier: Apache-2.0
// Folders that look like checkpoints and are another thing are called what they are.
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/kind.hpp"
#include "core/checkpoint/other_files.hpp"
#include "core/error.hpp"
#include "tests/support/temporary_folder.hpp"

namespace checkpoint_kind_test {

namespace fs = std::filesystem;
using namespace onnxport;

namespace {

struct Folder : test::TemporaryFolder {
  void tensors(const std::vector<std::string>& names, const std::vector<std::string>& of_8_bits = {}) const {
    std::map<std::string, ir::Tensor> made;
    for (const std::string& name : names) made.emplace(name, ir::Tensor::of<float>(ir::DType::f32, {1}, {1.0F}));
    for (const std::string& name : of_8_bits) made.emplace(name, ir::Tensor::of<uint8_t>(ir::DType::u8, {1}, {1}));
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
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(checkpoint_kinds, Folder)

BOOST_AUTO_TEST_CASE(an_adapter_names_its_base) {
  write("adapter_config.json", R"({"base_model_name_or_path": "org/base", "peft_type": "LORA"})");
  check_says({"is an adapter of org/base", "merge_and_unload"});
}

BOOST_AUTO_TEST_CASE(a_gguf_file_is_no_checkpoint) {
  write("model-q4.gguf", "GGUF");
  check_says({"a GGUF file (model-q4.gguf)", "save_pretrained"});
}

BOOST_AUTO_TEST_CASE(quantized_weights_are_told_by_the_config) {
  tensors({"a.qweight", "a.scales"});
  write("config.json", R"({"model_type": "llama", "quantization_config": {"quant_method": "gptq", "bits": 4}})");
  check_says({"quantized weights", "'gptq'", "dequantize"});
  tensors({"a.weight"});
  for (const char* without : {"null", "{}", R"({"load_in_8bit": false})"}) {
    write("config.json", R"({"quantization_config": )" + std::string(without) + "}");
    BOOST_TEST(refusal() == "");
  }
  write("config.json", R"({"quantization_config": {"load_in_8bit": true}})");
  check_says({"'bitsandbytes'"});
  write("config.json", R"({"quantization": {"group_size": 64, "bits": 4}})");
  check_says({"states quantization with the method 'MLX'"});
  // As the first releases of these programs wrote it, without the method's name.
  write("config.json", R"({"quantization_config": {"bits": 4, "group_size": 128, "desc_act": false}})");
  check_says({"'GPTQ'"});
  write("config.json", R"({"quantization_config": {"w_bit": 4, "q_group_size": 128, "zero_point": true}})");
  check_says({"'AWQ'"});
  write("config.json", R"({"compression_config": {"quant_method": "compressed-tensors"}})");
  check_says({"'compressed-tensors'"});
}

BOOST_AUTO_TEST_CASE(quantized_weights_are_told_by_files_and_tensors) {
  write("config.json", "{}");
  tensors({"a.weight"});
  write("quantize_config.json", "{}");
  check_says({"quantize_config.json", "AutoGPTQ"});
  fs::remove(path / "quantize_config.json");
  const std::pair<std::vector<std::string>, const char*> marked[] = {
      {{"a.qweight"}, "GPTQ or AWQ"},
      {{"a.weight_packed"}, "compressed-tensors"},
      {{"a.weight", "a.SCB"}, "bitsandbytes, 8 bits"},
      {{"a.weight", "a.weight.absmax"}, "bitsandbytes, 4 bits"},
      {{"a.weight", "a.weight.quant_state.bitsandbytes__nf4"}, "bitsandbytes, 4 bits"},
      {{"a.q_invperm", "a.q_weight"}, "EXL2"},
      {{"a.W_q"}, "HQQ"},
      {{"a.weight._data"}, "quanto"},
      {{"a._weight_qdata"}, "torchao"},
      {{"a.centroids.weight"}, "VPTQ"},
      {{"a.scales", "a.tables2"}, "HIGGS"},
      {{"a.Qidxs"}, "QuIP#"},
      {{"a.weight", "a.weight_quantizer._amax"}, "ModelOpt"},
      {{"a.weight", "a.input_quantizer._pre_quant_scale"}, "ModelOpt"},
      {{"a._packed_params.dtype"}, "torch.ao.quantization"},
      {{"a.weight", "a.weight_fake_quant.scale"}, "torch.ao.quantization"},
      {{"a.weight", "a.weight_observer.min_val"}, "a program that observes them"},
  };
  for (const auto& [names, who] : marked) {
    tensors(names);
    check_says({"holds quantized weights", names.back().c_str(), who});
  }
  const std::pair<const char*, const char*> beside_integers[] = {
      {"a.trellis", "EXL3"}, {"a.dense_weights", "SpQR"}, {"a.codebooks", "AQLM"},      {"a.B", "Marlin"},
      {"a.scales", "MLX"},   {"a.weight_scales", "EETQ"}, {"a.weight_scale_2", "NVFP4"}};
  for (const auto& [name, who] : beside_integers) {
    tensors({name}, {"a.of_integers"});
    check_says({"holds quantized weights", name, who});
    tensors({name, "a.of_floats"});
    BOOST_TEST(refusal() == "", name);
  }
  tensors({"a.weight_scale"}, {"a.weight"});
  check_says({"a.weight_scale", "FP8 or int8 with scales"});
  tensors({"experts.up_scales"}, {"experts.up_blocks"});
  check_says({"experts.up_blocks", "MXFP4"});
  // A parameter of that name beside weights of floats is the model's own.
  tensors({"a.weight", "a.weight_scale", "up_blocks"});
  BOOST_TEST(refusal() == "");
}

BOOST_AUTO_TEST_CASE(configs_of_other_libraries) {
  const auto said_of = [](const char* config) {
    try {
      explain_other_config(Json::parse(config), "config.json");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  BOOST_TEST(said_of(R"({"architecture": "resnet50", "pretrained_cfg": {}})") ==
             "config.json is of timm, by its field 'pretrained_cfg', and has no model_type");
  BOOST_TEST(said_of(R"({"_class_name": "UNet2DConditionModel"})").find("diffusers") != std::string::npos);
  BOOST_TEST(said_of(R"({"pretrained_config": {}, "build_config": {}})").find("TensorRT-LLM") != std::string::npos);
  BOOST_TEST(said_of(R"({"architecture": "LlamaForCausalLM", "mapping": {}})").find("TensorRT-LLM") !=
             std::string::npos);
  BOOST_TEST(said_of(R"({"hidden_size": 128})") == "");
}

BOOST_AUTO_TEST_CASE(folders_without_config) {
  const std::pair<const char*, const char*> others[] = {{"model_index.json", "a pipeline of several models"},
                                                        {"params.json", "the original release's files"},
                                                        {"last.ckpt", "a training program's checkpoint"},
                                                        {"model.onnx", "an ONNX model"},
                                                        {"checkpoint-500", "checkpoints of a training run"},
                                                        {"__0_0.distcp", "a training program's checkpoint in parts"},
                                                        {"mp_rank_00_model_states.pt", "in parts"},
                                                        {"latest_checkpointed_iteration.txt", "Megatron-LM"},
                                                        {"lit_model.pth", "LitGPT's weights"},
                                                        {"_CHECKPOINT_METADATA", "Orbax"},
                                                        {"dict.txt", "fairseq's files"},
                                                        {"config.cfg", "a pipeline of spaCy"},
                                                        {"bert_model.ckpt.index", "TensorFlow's weights"},
                                                        {"saved_model.pb", "a TensorFlow model"},
                                                        {"model.keras", "a Keras model"},
                                                        {"ggml-base.en.bin", "a GGML file"},
                                                        {"model.mlmodel", "a Core ML model"},
                                                        {"rank0.engine", "an engine of TensorRT"},
                                                        {"adapter_model.safetensors", "an adapter's weights"},
                                                        {"pytorch_lora_weights.safetensors", "a LoRA of diffusers"},
                                                        {"base.pt", "a file of PyTorch, which does not tell its model"},
                                                        {"tokenizer_config.json", "a tokenizer"},
                                                        {"model.safetensors.index.json", "weights"}};
  for (const auto& [file, what] : others) {
    write(file, "{}");
    check_says({file, what, "and no config.json"});
    fs::remove(path / file);
  }
  for (const char* inner : {"model", "snapshots/0123abc"}) {
    fs::create_directories(path / inner);
    std::ofstream(path / inner / "config.json") << "{}";
    check_says({"has no config.json, and its folder", inner, "name that folder"});
    fs::remove_all(path / std::string(inner).substr(0, std::string(inner).find('/')));
  }
  fs::create_directory(path / "0_Transformer");
  write("modules.json", R"([{"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}])");
  check_says({"0_Transformer", "sentence-transformers"});
  fs::create_directory(path / "0_BERT");
  write("modules.json", R"([{"path": "0_BERT", "type": "sentence_transformers.models.BERT"}])");
  check_says({"0_BERT", "sentence-transformers"});
}

BOOST_AUTO_TEST_CASE(folders_without_weights_that_are_read) {
  write("config.json", "{}");
  const std::pair<const char*, const char*> others[] = {
      {"model-00001-of-00002.safetensors", "shards without their index"},
      {"model.fp16.safetensors", "weights of a variant"},
      {"model-q4.gguf", "a GGUF file"},
      {"tf_model.h5", "TensorFlow's weights"},
      {"flax_model.msgpack", "Flax's weights"},
      {"consolidated.safetensors", "the original release's files"},
      {"consolidated.00.pth", "the original release's files"},
      {"model.onnx", "an ONNX model"},
      {"qmodel.pt", "HQQ's quantized weights"},
      {"model.bin", "CTranslate2's weights"},
      {"openvino_model.xml", "an OpenVINO model"},
      {"weights.00.safetensors", "MLX's weights"},
      {"global_step100", "a training program's checkpoint in parts"},
      {"checkpoint-500", "checkpoints of a training run"},
      {"model.safetensors.incomplete", "an unfinished download"},
      {"best.safetensors", "tensors under another name"},
      {"model_best.pt", "a file of PyTorch under another name"},
      {"rng_state.pth", "what a training run keeps beside the weights"},
      {"flax_model.msgpack.index.json", "Flax's weights"},
      {"model.weights.h5", "Keras's weights"},
      {"openvino", "a folder of OpenVINO models"},
      {"coreml", "a folder of Core ML models"},
      {"ggml-model-q4_0.bin", "a GGML file"},
      {"rank0.safetensors", "TensorRT-LLM's weights"},
      {"meta_model_0.pt", "torchtune's weights"},
      {"training_args.bin", "what a training run keeps beside the weights"}};
  for (const auto& [file, what] : others) {
    write(file, "x");
    check_says({file, what, "model.safetensors"});
    fs::remove(path / file);
  }
  write("adapter_config.json", R"({"base_model_name_or_path": "org/base"})");
  write("adapter_model.safetensors", "x");
  check_says({"is an adapter of org/base", "no weights of its own", "merge_and_unload"});
  write("adapter_config.json", R"({"model_name": "org/base", "config": {}})");
  check_says({"is an adapter of org/base"});
  write("adapter_config.json", "{");
  check_says({"is an adapter, and not a model"});
}

BOOST_AUTO_TEST_CASE(files_that_hold_another_thing_than_their_name_says) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
  write("config.json", pointer);
  check_says({"config.json is a pointer of Git LFS", "git lfs pull"});
  write("config.json", "<!DOCTYPE html><html>");
  check_says({"config.json is a web page", "download the file again"});
  write("config.json", "{}");
  write("model.safetensors.index.json", pointer);
  check_says({"model.safetensors.index.json is a pointer of Git LFS"});
  fs::remove(path / "model.safetensors.index.json");
  const std::string zeros(24, '\0');
  const std::pair<std::string, const char*> of_safetensors[] = {
      {pointer, "a pointer of Git LFS"},
      {"<!DOCTYPE html><html></html>", "a web page"},
      {"Entry not found", "an error that a server answered with"},
      {R"({"error":"Repository not found"})", "an error that a server answered with"},
      {"PK\x03\x04" + zeros, "a zip archive, as torch.save writes it"},
      {"\x1f\x8b\x08" + zeros, "an archive (gzip)"},
      {"\x89HDF\r\n" + zeros, "an HDF5 file"},
      {"GGUF\x03" + zeros, "a GGUF file"},
      {zeros, "its header is empty"}};
  for (const auto& [content, what] : of_safetensors) {
    write("model.safetensors", content);
    check_says({"model.safetensors", what});
  }
  // The parser's own prefix is no part of what users read.
  write("model.safetensors", std::string("\x08\0\0\0\0\0\0\0nonsense", 16));
  check_says({"its header is no valid JSON: parse error at line 1"});
  tensors({"a.weight"});
  fs::rename(path / "model.safetensors", path / "pytorch_model.bin");
  check_says({"pytorch_model.bin is a safetensors file", "rename it to model.safetensors"});
}

BOOST_AUTO_TEST_CASE(weights_that_are_not_there_are_told_so) {
  write("config.json", "{}");
  std::map<std::string, ir::Tensor> emptied{{"c.bias", ir::Tensor::of<float>(ir::DType::f32, {1}, {1.0F})}};
  for (const char* name : {"a.weight", "b.weight"})
    emptied.emplace(name, ir::Tensor::of<float>(ir::DType::f32, {0}, {}));
  write_safetensors(path / "model.safetensors", emptied);
  check_says({"2 of the 3 tensors have no elements", "ZeRO stage 3", "zero_to_fp32.py"});
}

BOOST_AUTO_TEST_CASE(an_adapter_beside_the_weights_is_noted) {
  write("config.json", "{}");
  tensors({"a.weight"});
  BOOST_TEST(Checkpoint::open(path).notes().empty());
  write("adapter_config.json", R"({"base_model_name_or_path": "org/base", "peft_type": "LORA"})");
  const std::vector<std::string> notes = Checkpoint::open(path).notes();
  BOOST_REQUIRE(notes.size() == 1U);
  BOOST_TEST(notes[0].find("an adapter of org/base is no part of this export") != std::string::npos, notes[0]);
}

BOOST_AUTO_TEST_CASE(files_in_place_of_a_folder) {
  const auto said_of = [](const char* file) {
    try {
      refuse_file(file);
    } catch (const Error& error) {
      return std::string(error.what()) + "\n" + error.hint();
    }
  };
  BOOST_TEST(said_of("/m/model-q4.gguf").find("/m/model-q4.gguf is a GGUF file, and no folder") == 0U);
  BOOST_TEST(said_of("/m/model.safetensors").find("is a file; expected the folder of a checkpoint") !=
             std::string::npos);
  BOOST_TEST(said_of("/m/config.json").ends_with("that holds config.json and the weights: /m"));
}

BOOST_AUTO_TEST_CASE(a_wrapper_is_told_by_its_prefix) {
  write("config.json", "{}");
  for (const char* prefix : {"module.", "_orig_mod.", "base_model.model.", "_fsdp_wrapped_module."}) {
    tensors({prefix + std::string("a.weight"), prefix + std::string("b.weight")});
    check_says({"all 2 tensors begin with", prefix, "save the model that is inside"});
  }
  // A module of that name among others is the model's own.
  tensors({"module.weight", "other.weight"});
  BOOST_TEST(refusal() == "");
}

BOOST_AUTO_TEST_CASE(a_wrapper_within_is_told_by_its_name) {
  write("config.json", "{}");
  for (const char* wrapper : {"_orig_mod.", "_checkpoint_wrapped_module.", "_fsdp_wrapped_module."}) {
    const std::string name = "layer.0." + std::string(wrapper) + "a.weight";
    tensors({"b.weight", name});
    check_says({wrapper, "puts around a module", name.c_str(), "save_pretrained"});
  }
}

BOOST_AUTO_TEST_CASE(what_tuning_puts_before_the_inputs_is_not_left_out) {
  write("config.json", "{}");
  tensors({"a.weight", "prefix_encoder.embedding.weight"});
  check_says({"prefix tuning", "prefix_encoder.embedding.weight", "no part of an export"});
  tensors({"a.weight", "prompt_embeddings"});
  check_says({"prompt tuning", "prompt_embeddings"});
}

BOOST_AUTO_TEST_CASE(parts_of_adapters_are_not_left_out) {
  write("config.json", "{}");
  tensors({"a.weight", "a.lora_A.default.weight", "a.lora_B.default.weight"});
  check_says({"LoRA", "a.lora_A.default.weight", "merge_and_unload"});
  tensors({"a.weight", "a.lora_embedding_A.default"});
  check_says({"LoRA", "a.lora_embedding_A.default"});
  tensors({"a.weight", "a.ia3_l.default"});
  check_says({"IA3", "a.ia3_l.default"});
  tensors({"a.weight", "a.lora_down.weight", "a.lora_up.weight"});
  check_says({"LoRA", "a.lora_down.weight", "merge_and_unload"});
  tensors({"a.weight", "a.lora_magnitude_vector.default.weight"});
  check_says({"DoRA", "a.lora_magnitude_vector.default.weight"});
  tensors({"a.weight", "a.lora_E.default"});
  check_says({"AdaLoRA", "a.lora_E.default"});
  tensors({"a.weight", "a.boft_R.default"});
  check_says({"BOFT", "a.boft_R.default"});
  tensors({"a.weight", "a.lora_A", "a.lora_B"});
  check_says({"LoRA", "a.lora_A"});
  for (const auto& [name, what] : {std::pair{"a.vera_A.default", "VeRA"},
                                   {"a.fourierft_spectrum.default", "FourierFT"},
                                   {"a.shira_weight.default", "SHiRA"},
                                   {"a.miss_block.default", "MiSS"},
                                   {"a.road_theta.default", "RoAd"},
                                   {"a.c3a_kernel.default", "C3A"},
                                   {"a.randlora_lambda.default", "RandLoRA"},
                                   {"a.bone_block.default", "Bone"},
                                   {"a.original_module.weight", "PEFT"},
                                   {"a.trainable_tokens_delta.default", "PEFT"},
                                   {"a.adapters.sst.adapter_down.0.weight", "bottleneck adapters"}}) {
    tensors({"a.weight", name});
    check_says({name, what, "merge"});
  }
  // The prefix that PEFT puts before all names is told of whole models alone.
  tensors({"base_model.model.a.lora_A.weight", "base_model.model.a.lora_B.weight"});
  check_says({"LoRA", "base_model.model.a.lora_A.weight"});
  tensors({"a.base_layer.weight"});
  check_says({"PEFT", "a.base_layer.weight"});
}

BOOST_AUTO_TEST_CASE(names_and_kinds_of_files_that_cannot_be_are_told) {
  write("config.json", "{}");
  write("model.safetensors.index.json", R"({"weight_map": {"a": ")" + std::string(300, 'x') + R"("}})");
  check_says({"names the shard xxx", "…, which is not there"});
  fs::remove(path / "model.safetensors.index.json");
  BOOST_REQUIRE(::mkfifo((path / "model.safetensors").c_str(), 0600) == 0);
  check_says({"model.safetensors is not a regular file"});
  fs::remove(path / "config.json");
  fs::create_directory(path / "config.json");
  check_says({"config.json is a folder, expected a file"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace checkpoint_kind_test
