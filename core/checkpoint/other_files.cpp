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

/// In place of config.json.
constexpr OtherFile without_config[] = {
    {"model_index.json", "a pipeline of several models, as diffusers saves it",
     "name the folder of one of its models, such as text_encoder"},
    {"params.json", "the original release's files", convert_it},
    {".nemo", "NeMo's archive", convert_it},
    {".gguf", "a GGUF file", original},
    {".ckpt", "a training program's checkpoint", save_it},
    {".onnx", "an ONNX model", "inspect shows what is in it; export takes checkpoints"},
    {"checkpoint-*", "checkpoints of a training run", "name one of these folders"},
    {".distcp", "a training program's checkpoint in parts", gather_it},
    {"model.safetensors*", "weights", download_it},
    {"pytorch_model.bin*", "weights", download_it},
    {".safetensors", "weights", download_it},
};

/// In place of the weights, beside config.json.
constexpr OtherFile without_weights[] = {
    {"model-*.safetensors", "shards without their index",
     "download model.safetensors.index.json, which tells what is in them"},
    {"pytorch_model-*.bin", "shards without their index",
     "download pytorch_model.bin.index.json, which tells what is in them"},
    {"model.*.safetensors", "weights of a variant", "rename them to model.safetensors"},
    {"pytorch_model.*.bin", "weights of a variant", "rename them to pytorch_model.bin"},
    {".gguf", "a GGUF file", original},
    {"tf_model.h5", "TensorFlow's weights", save_it},
    {"flax_model.msgpack", "Flax's weights", save_it},
    {"model.ckpt.index", "TensorFlow's weights", save_it},
    {"rust_model.ot", "rust-bert's weights", "download model.safetensors or pytorch_model.bin"},
    {"weights.npz", "MLX's weights", original},
    {"consolidated*.pth", "the original release's files", convert_it},
    {"consolidated*.safetensors", "the original release's files", convert_it},
    {"open_clip_*", "OpenCLIP's weights", convert_it},
    {"diffusion_pytorch_model*", "weights of diffusers", "diffusers' models are not exported"},
    {"qmodel.pt", "HQQ's quantized weights", original},
    {"openvino_model*", "an OpenVINO model", original},
    {"model.bin", "CTranslate2's weights", original},
    {"weights*.safetensors", "MLX's weights", original},
    {".tflite", "a TensorFlow Lite model", original},
    {".mlmodel", "a Core ML model", original},
    {".mlpackage", "a Core ML model", original},
    {"saved_model.pb", "a TensorFlow model", original},
    {".distcp", "a training program's checkpoint in parts", gather_it},
    {"pytorch_model_fsdp*", "a training program's checkpoint in parts", gather_it},
    {"global_step*", "a training program's checkpoint in parts", gather_it},
    {".ckpt", "a training program's checkpoint", save_it},
    {"checkpoint-*", "checkpoints of a training run", "name one of these folders"},
    {".onnx", "an ONNX model", "inspect shows what is in it; export takes checkpoints"},
    {".incomplete", "an unfinished download", "download the file to its end"},
    {".part", "an unfinished download", "download the file to its end"},
    {".crdownload", "an unfinished download", "download the file to its end"},
    {".safetensors", "tensors under another name",
     "where they are this model's weights, rename the file to model.safetensors"},
    {"model*.pt", "a file of PyTorch under another name",
     "where it is a state dict of this model, rename it to pytorch_model.bin"},
    {"pytorch_model*.pt", "a file of PyTorch under another name",
     "where it is a state dict of this model, rename it to pytorch_model.bin"},
    {".pth", "a file of PyTorch under another name",
     "where it is a state dict of this model, rename it to pytorch_model.bin"},
    {"training_args.bin", "what a training run keeps beside the weights", "download model.safetensors, too"},
    {"optimizer.pt", "what a training run keeps beside the weights", "download model.safetensors, too"},
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
              "merge it into its base first: merge_and_unload() of PEFT, then save_pretrained, and export that");
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
  explain_by_files(folder, without_config, "config.json");
}

void explain_missing_weights(const fs::path& folder) {
  explain_adapter(folder, "weights of its own");
  explain_by_files(folder, without_weights, "weights that are read (model.safetensors or pytorch_model.bin)");
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
