// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/kind.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "core/error.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// A prefix that something puts before the names of all tensors.
struct Wrapper {
  const char *prefix, *who;
};
constexpr Wrapper wrappers[] = {
    {"module.", "DataParallel"},
    {"_orig_mod.", "torch.compile"},
    {"base_model.model.", "PEFT"},
};

std::string text_of(const Json& json, const char* key) {
  const auto found = json.is_object() ? json.find(key) : json.end();
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void refuse_quantized(const Checkpoint& checkpoint) {
  const Json& config = checkpoint.config();
  const auto stated = config.find("quantization_config");
  if (stated == config.end()) return;
  const std::string method = text_of(*stated, "quant_method");
  if (method.empty()) return;  // what an export without any left behind
  throw Error(Failure::checkpoint,
              fmt::format("{} holds quantized weights: its config.json states quantization_config with the method '{}'",
                          checkpoint.folder().string(), method),
              "export the checkpoint that it was made of; or load this one, dequantize it, and save it without "
              "quantization_config");
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
    if (name.find(".lora_A.") == std::string::npos && name.find(".lora_B.") == std::string::npos) continue;
    throw Error(Failure::checkpoint,
                fmt::format("the checkpoint holds matrices of LoRA that are not merged into the weights: {}", name),
                "merge them first: merge_and_unload() of PEFT, then save_pretrained, and export that");
  }
}

}  // namespace

void explain_missing_config(const fs::path& folder) {
  std::error_code ignored;
  if (fs::exists(folder / "adapter_config.json", ignored)) {
    const std::string base = text_of(read_json(folder / "adapter_config.json"), "base_model_name_or_path");
    throw Error(Failure::checkpoint,
                fmt::format("{} is an adapter{}, and not a model: it has adapter_config.json and no config.json",
                            folder.string(), base.empty() ? "" : " of " + base),
                "merge it into its base first: merge_and_unload() of PEFT, then save_pretrained, and export that");
  }
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() != ".gguf") continue;
    throw Error(
        Failure::checkpoint,
        fmt::format("{} holds a GGUF file, {}, and no config.json", folder.string(), entry.path().filename().string()),
        "export the checkpoint that it was made of, as save_pretrained writes it");
  }
}

void refuse_other_kinds(const Checkpoint& checkpoint) {
  refuse_quantized(checkpoint);
  refuse_wrapped(checkpoint);
  refuse_adapted(checkpoint);
}

}  // namespace onnxport
