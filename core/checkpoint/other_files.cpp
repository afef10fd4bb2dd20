// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/other_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// What a folder may hold in place of the files that are read: of which name, what it is, and what to do.
struct OtherFile {
  /// A name; or an ending, where it begins with a dot; or a begin and an ending with a star between.
  std::string_view name, what;
  std::string_view next_step;
};
constexpr std::string_view save_it = "load it with transformers and save it with save_pretrained; export that folder";
constexpr std::string_view convert_it =
    "convert it with transformers' script for this model (convert_…_to_hf.py), and export what that writes";
constexpr std::string_view original = "export the checkpoint that it was made of, as save_pretrained writes it";

constexpr std::string_view gather_it =
    "gather it first, with the program's own script (zero_to_fp32.py, merge-weights)";
constexpr std::string_view download_it = "download config.json of the model into the folder";
constexpr std::string_view merge_it =
    "merge it into its base first: merge_and_unload() of PEFT, then save_pretrained, and export that";
constexpr std::string_view inspect_it = "inspect shows what is in it; export takes checkpoints";
constexpr std::string_view finish_it = "download the file to its end";
constexpr std::string_view rename_it = "where it is a state dict of this model, rename it to pytorch_model.bin";

/// In place of config.json, before what else may be there.
constexpr OtherFile without_config[] = {
    {"model_index.json", "a pipeline of several models, as diffusers saves it",
     "name the folder of one of its models, such as text_encoder"},
    {"params.json", "the original release's files", convert_it},
    {"lit_model.pth", "LitGPT's weights", "convert them with `litgpt convert from_litgpt`, and add config.json"},
    {"config.cfg", "a pipeline of spaCy", "export the model that it was made of, as save_pretrained writes it"},
    {"dict*.txt", "fairseq's files", convert_it},
};

/// In place of the weights, beside config.json.
constexpr OtherFile without_weights[] = {
    {"model-*.safetensors", "shards without their index",
     "download model.safetensors.index.json, which tells what is in them"},
    {"pytorch_model-*.bin", "shards without their index",
     "download pytorch_model.bin.index.json, which tells what is in them"},
    {"model.*.safetensors", "weights of a variant", "rename them to model.safetensors"},
    {"pytorch_model.*.bin", "weights of a variant", "rename them to pytorch_model.bin"},
    {"weights.npz", "MLX's weights", original},
    {"consolidated*.pth", "the original release's files", convert_it},
    {"consolidated*.safetensors", "the original release's files", convert_it},
    {"open_clip_*", "OpenCLIP's weights", convert_it},
    {"diffusion_pytorch_model*", "weights of diffusers", "diffusers' models are not exported"},
    {"qmodel.pt", "HQQ's quantized weights", original},
    {"model.bin", "CTranslate2's weights", original},
    {"rank*.safetensors", "TensorRT-LLM's weights", original},
    {"weights*.safetensors", "MLX's weights", original},
    {"meta_model*.pt", "torchtune's weights",
     "save them in the form of Hugging Face (torchtune's FullModelHFCheckpointer), and export that"},
};

/// In place of either.
constexpr OtherFile in_any_case[] = {
    {"adapter_model*", "an adapter's weights", merge_it},
    {"pytorch_adapter*", "an adapter's weights", merge_it},
    {"pytorch_lora_weights*", "a LoRA of diffusers", "merge it into its base; the text encoders of that are exported"},
    {".gguf", "a GGUF file", original},
    {"ggml-*.bin", "a GGML file", original},
    {"tf_model*.h5", "TensorFlow's weights", save_it},
    {".ckpt.index", "TensorFlow's weights", save_it},
    {"flax_model*", "Flax's weights", save_it},
    {"rust_model.ot", "rust-bert's weights", "download model.safetensors or pytorch_model.bin"},
    {"openvino_model*", "an OpenVINO model", original},
    {"openvino", "a folder of OpenVINO models", original},
    {".tflite", "a TensorFlow Lite model", original},
    {".mlmodel", "a Core ML model", original},
    {".mlmodelc", "a Core ML model", original},
    {".mlpackage", "a Core ML model", original},
    {"coreml", "a folder of Core ML models", original},
    {"saved_model.pb", "a TensorFlow model", original},
    {".keras", "a Keras model", original},
    {".weights.h5", "Keras's weights", original},
    {".engine", "an engine of TensorRT", original},
    {".nemo", "NeMo's archive", convert_it},
    {"latest_checkpointed_iteration.txt", "Megatron-LM's checkpoints", convert_it},
    {"_CHECKPOINT_METADATA", "a checkpoint of Orbax, for JAX", convert_it},
    {"manifest.ocdbt", "a checkpoint of Orbax, for JAX", convert_it},
    {".distcp", "a training program's checkpoint in parts", gather_it},
    {"pytorch_model_fsdp*", "a training program's checkpoint in parts", gather_it},
    {"global_step*", "a training program's checkpoint in parts", gather_it},
    {"mp_rank_*", "a training program's checkpoint in parts", gather_it},
    {".ckpt", "a training program's checkpoint", save_it},
    {"checkpoint-*", "checkpoints of a training run", "name one of these folders"},
    {".onnx", "an ONNX model", inspect_it},
    {".incomplete", "an unfinished download", finish_it},
    {".part", "an unfinished download", finish_it},
    {".crdownload", "an unfinished download", finish_it},
};

/// Weights where nothing else is known of the folder, for want of config.json.
constexpr OtherFile bare_weights[] = {
    {"model.safetensors*", "weights", download_it},
    {"pytorch_model.bin*", "weights", download_it},
    {".safetensors", "weights", download_it},
    {".pt", "a file of PyTorch, which does not tell its model", convert_it},
    {".pth", "a file of PyTorch, which does not tell its model", convert_it},
    {"onnx", "a folder of ONNX models", "inspect shows what is in one; export takes checkpoints"},
    {"tokenizer*.json", "a tokenizer", "download config.json and the weights into the folder"},
    {"vocab.*", "a tokenizer", "download config.json and the weights into the folder"},
};

/// What is left beside config.json where there are no weights.
constexpr OtherFile no_weights_at_all[] = {
    {".safetensors", "tensors under another name",
     "where they are this model's weights, rename the file to model.safetensors"},
    {"training_args.bin", "what a training run keeps beside the weights", "download model.safetensors, too"},
    {"optimizer.pt", "what a training run keeps beside the weights", "download model.safetensors, too"},
    {"optimizer.bin", "what a training run keeps beside the weights", "download model.safetensors, too"},
    {"rng_state*.pth", "what a training run keeps beside the weights", "download model.safetensors, too"},
    {".pt", "a file of PyTorch under another name", rename_it},
    {".pth", "a file of PyTorch under another name", rename_it},
    {"onnx", "a folder of ONNX models", "inspect shows what is in one; for an export download the weights, too"},
};

/// A file that is named itself, where a folder is expected.
constexpr OtherFile as_a_file[] = {
    {".gguf", "a GGUF file", original},
    {".onnx", "an ONNX model", "inspect shows what is in it; export takes the folder of a checkpoint"},
    {".nemo", "NeMo's archive", convert_it},
    {".ckpt", "a training program's checkpoint", save_it},
    {".zip", "an archive", "unpack it, and name the folder that holds config.json and the weights"},
    {".gz", "an archive", "unpack it, and name the folder that holds config.json and the weights"},
    {".tar", "an archive", "unpack it, and name the folder that holds config.json and the weights"},
};

bool is_called(const std::string& file, std::string_view name) {
  const size_t star = name.find('*');
  if (star == name.npos) return name.starts_with('.') ? file.ends_with(name) : file == name;
  const std::string_view begin = name.substr(0, star), end = name.substr(star + 1);
  return file.size() >= begin.size() + end.size() && file.starts_with(begin) && file.ends_with(end);
}

/// Throws where the folder has one of the files.
template <size_t count>
void explain_by_files(const fs::path& folder, const OtherFile (&others)[count], const char* lacks) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  for (const OtherFile& other : others) {
    const auto found =
        std::find_if(names.begin(), names.end(), [&](const std::string& name) { return is_called(name, other.name); });
    if (found == names.end()) continue;
    throw Error(Failure::checkpoint,
                fmt::format("{} holds {} ({}), and no {}", folder.string(), other.what, *found, lacks),
                std::string(other.next_step));
  }
}

/// The model that an adapter's config names as its base; empty where it tells none.
std::string base_of_adapter(const fs::path& file) {
  try {
    const Json config = read_json(file);
    // As PEFT, and as AdapterHub calls it.
    for (const char* field : {"base_model_name_or_path", "model_name"}) {
      const auto base = config.is_object() ? config.find(field) : config.end();
      if (base != config.end() && base->is_string()) return base->get<std::string>();
    }
  } catch (const Error&) {  // it is an adapter's all the same
  }
  return {};
}

/// Throws where the folder holds an adapter; `lacks` says what a model would have.
void explain_adapter(const fs::path& folder, const char* lacks) {
  std::error_code ignored;
  const fs::path file = folder / "adapter_config.json";
  if (!fs::exists(file, ignored)) return;
  const std::string base = base_of_adapter(file);
  throw Error(Failure::checkpoint,
              fmt::format("{} is an adapter{}, and not a model: it has adapter_config.json and no {}", folder.string(),
                          base.empty() ? "" : " of " + base, lacks),
              std::string(merge_it));
}

/// "0_Transformer", "0_BERT", "0_CLIPModel": where modules.json begins with a folder of its own that is there; else
/// empty.
std::string folder_of_first_module(const fs::path& folder) {
  std::ifstream file(folder / "modules.json");
  const Json modules = Json::parse(file, nullptr, false);
  if (!modules.is_array() || modules.empty() || !modules[0].is_object()) return {};
  const Json path = modules[0].value("path", Json());
  std::error_code ignored;
  if (!path.is_string() || path.get<std::string>().find("..") != std::string::npos) return {};
  const std::string name = path.get<std::string>();
  return !name.empty() && fs::is_directory(folder / name, ignored) ? name : "";
}

/// Throws where the checkpoint lies in a folder within: snapshots/COMMIT of a cache, or one of the user's.
void explain_inner_folder(const fs::path& folder) {
  std::vector<fs::path> candidates;
  std::error_code ignored;
  for (const char* place : {"", "snapshots"}) {
    for (const auto& entry : fs::directory_iterator(folder / place, ignored)) candidates.push_back(entry.path());
  }
  std::sort(candidates.begin(), candidates.end());
  for (const fs::path& inner : candidates) {
    if (!fs::is_regular_file(inner / "config.json", ignored)) continue;
    throw Error(Failure::checkpoint,
                fmt::format("{} has no config.json, and its folder {} has", folder.string(),
                            inner.lexically_relative(folder).string()),
                "name that folder: " + inner.string());
  }
}

}  // namespace

void explain_missing_config(const fs::path& folder) {
  explain_adapter(folder, "config.json");
  std::error_code ignored;
  if (const std::string model = folder_of_first_module(folder); !model.empty()) {
    throw Error(
        Failure::checkpoint,
        fmt::format("{} keeps its model in the folder {}, as the first releases of "
                    "sentence-transformers did, and has no config.json",
                    folder.string(), model),
        fmt::format("load it with a later sentence-transformers and save it again; or name the folder {}", model));
  }
  constexpr const char* lacks = "config.json";
  explain_by_files(folder, without_config, lacks);
  explain_by_files(folder, in_any_case, lacks);
  explain_inner_folder(folder);
  explain_by_files(folder, bare_weights, lacks);
}

void explain_missing_weights(const fs::path& folder) {
  explain_adapter(folder, "weights of its own");
  constexpr const char* lacks = "weights that are read (model.safetensors or pytorch_model.bin)";
  explain_by_files(folder, without_weights, lacks);
  explain_by_files(folder, in_any_case, lacks);
  explain_by_files(folder, no_weights_at_all, lacks);
}

std::string note_of_adapter(const fs::path& folder) {
  std::error_code ignored;
  const fs::path file = folder / "adapter_config.json";
  if (!fs::exists(file, ignored)) return {};
  const std::string base = base_of_adapter(file);
  return fmt::format(
      "adapter_config.json lies beside the weights: an adapter{} is no part of this export, which is of the weights "
      "as they are; merge it into them first where it is meant",
      base.empty() ? "" : " of " + base);
}

void refuse_file(const fs::path& file) {
  for (const OtherFile& other : as_a_file) {
    if (!is_called(file.filename().string(), other.name)) continue;
    throw Error(Failure::checkpoint, fmt::format("{} is {}, and no folder of a checkpoint", file.string(), other.what),
                std::string(other.next_step));
  }
  throw Error(Failure::checkpoint, fmt::format("{} is a file; expected the folder of a checkpoint", file.string()),
              "name the folder that holds config.json and the weights: " + file.parent_path().string());
}

}  // namespace onnxport
