// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/kind.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "core/checkpoint/quantized.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// A prefix that something puts before the names of all tensors.
struct Wrapper {
  std::string_view prefix, who;
};
constexpr Wrapper wrappers[] = {
    {"module.", "DataParallel"},       {"_orig_mod.", "torch.compile"},   {"base_model.model.", "PEFT"},
    {"_fsdp_wrapped_module.", "FSDP"}, {"_forward_module.", "Lightning"},
};

/// A part of a tensor's name that only an adapter's has, where it is not merged into the weights.
struct AdapterMark {
  std::string_view part, what;
};
constexpr AdapterMark adapter_marks[] = {
    {".lora_A.", "LoRA"},
    {".lora_B.", "LoRA"},
    {".lora_embedding_", "LoRA"},
    {".lora_down.", "LoRA"},
    {".lora_up.", "LoRA"},
    {".lora_magnitude_vector", "DoRA"},
    {".lora_E.", "AdaLoRA"},
    {".hada_w", "LoHa"},
    {".lokr_w", "LoKr"},
    {".ia3_l", "IA3"},
    {".oft_r", "OFT"},
    {".oft_R.", "OFT"},
    {".boft_", "BOFT"},
    {".hra_u.", "HRA"},
    {".vera_lambda_", "VeRA"},
    {".base_layer.", "PEFT"},
    {".modules_to_save.", "PEFT"},
};

const std::string merge_first =
    "merge it into its base first: merge_and_unload() of PEFT, then save_pretrained, and export that";

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

/// In place of config.json.
constexpr OtherFile without_config[] = {
    {"model_index.json", "a pipeline of several models, as diffusers saves it",
     "name the folder of one of its models, such as text_encoder"},
    {"params.json", "the original release's files", convert_it},
    {".nemo", "NeMo's archive", convert_it},
    {".gguf", "a GGUF file", original},
    {".ckpt", "a training program's checkpoint", save_it},
    {".onnx", "an ONNX model", "inspect shows what is in it; export takes checkpoints"},
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
    {".ckpt", "a training program's checkpoint", save_it},
    {".onnx", "an ONNX model", "inspect shows what is in it; export takes checkpoints"},
};

/// A field that tells whose config.json it is, where there is no model_type.
struct OtherConfig {
  const char *field, *who, *next_step;
};
constexpr OtherConfig other_configs[] = {
    {"pretrained_cfg", "timm",
     "write the type that transformers gives it into config.json (\"model_type\": \"NAME\"); `onnxport features` lists "
     "what is known"},
    {"_class_name", "diffusers", "diffusers' models are not exported; the text encoders of its pipelines are"},
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

/// Throws where the folder holds an adapter; `lacks` says what a model would have.
void explain_adapter(const fs::path& folder, const char* lacks) {
  std::error_code ignored;
  const fs::path file = folder / "adapter_config.json";
  if (!fs::exists(file, ignored)) return;
  const Json config = read_json(file);
  const auto base = config.is_object() ? config.find("base_model_name_or_path") : config.end();
  const std::string of = base != config.end() && base->is_string() ? " of " + base->get<std::string>() : "";
  throw Error(Failure::checkpoint,
              fmt::format("{} is an adapter{}, and not a model: it has adapter_config.json and no {}", folder.string(),
                          of, lacks),
              merge_first);
}

void refuse_wrapped(const Checkpoint& checkpoint) {
  for (const Wrapper& wrapper : wrappers) {
    const auto& tensors = checkpoint.tensors();
    const bool all = !tensors.empty() && std::all_of(tensors.begin(), tensors.end(), [&](const auto& tensor) {
      return tensor.first.starts_with(wrapper.prefix);
    });
    if (!all) continue;
    throw Error(Failure::checkpoint,
                fmt::format("the names of all {} tensors begin with '{}', a prefix that {} puts before them",
                            tensors.size(), wrapper.prefix, wrapper.who),
                "save the model that is inside (its .module, ._orig_mod, or merge_and_unload()), and export that");
  }
}

void refuse_adapted(const Checkpoint& checkpoint) {
  for (const auto& [name, stored] : checkpoint.tensors()) {
    for (const AdapterMark& mark : adapter_marks) {
      if (name.find(mark.part) == std::string::npos) continue;
      throw Error(
          Failure::checkpoint,
          fmt::format("the checkpoint holds tensors of {} that are not merged into the weights: {}", mark.what, name),
          "merge them first: merge_and_unload() of PEFT, then save_pretrained, and export that");
    }
  }
}

}  // namespace

void explain_missing_config(const fs::path& folder) {
  explain_adapter(folder, "config.json");
  std::error_code ignored;
  if (fs::exists(folder / "modules.json", ignored) && fs::is_directory(folder / "0_Transformer", ignored)) {
    throw Error(Failure::checkpoint,
                fmt::format("{} keeps its model in the folder 0_Transformer, as the first releases of "
                            "sentence-transformers did, and has no config.json",
                            folder.string()),
                "load it with a later sentence-transformers and save it again; or name the folder 0_Transformer");
  }
  explain_by_files(folder, without_config, "config.json");
}

void explain_other_config(const Json& config, const fs::path& file) {
  for (const OtherConfig& other : other_configs) {
    if (!config.contains(other.field)) continue;
    throw Error(
        Failure::checkpoint,
        fmt::format("{} is of {}, by its field '{}', and has no model_type", file.string(), other.who, other.field),
        other.next_step);
  }
}

void explain_missing_weights(const fs::path& folder) {
  explain_adapter(folder, "weights of its own");
  explain_by_files(folder, without_weights, "weights that are read (model.safetensors or pytorch_model.bin)");
}

void refuse_other_kinds(const Checkpoint& checkpoint) {
  refuse_quantized(checkpoint);
  refuse_wrapped(checkpoint);
  refuse_adapted(checkpoint);
}

}  // namespace onnxport
