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

/// A module that something puts around others, anywhere in a name.
constexpr Wrapper inner_wrappers[] = {
    {"_orig_mod.", "torch.compile"},
    {"_checkpoint_wrapped_module.", "activation checkpointing"},
    {"_fsdp_wrapped_module.", "FSDP"},
};

/// What a tensor's name has that only an adapter's has, where it is not merged into the weights.
struct AdapterMark {
  std::string_view part, what;
};
constexpr AdapterMark adapter_marks[] = {
    {".lora_A", "LoRA"},
    {".lora_B", "LoRA"},
    {".lora_embedding_", "LoRA"},
    {".lora_down.", "LoRA"},
    {".lora_up.", "LoRA"},
    {".lora_magnitude_vector", "DoRA"},
    {".lora_E", "AdaLoRA"},
    {".randlora_", "RandLoRA"},
    {".hada_w", "LoHa"},
    {".lokr_w", "LoKr"},
    {".ia3_l", "IA3"},
    {".oft_r", "OFT"},
    {".oft_R", "OFT"},
    {".boft_", "BOFT"},
    {".hra_u", "HRA"},
    {".vera_", "VeRA"},
    {".fourierft_", "FourierFT"},
    {".shira_", "SHiRA"},
    {".miss_block", "MiSS"},
    {".bone_", "Bone"},
    {".road_", "RoAd"},
    {".c3a_", "C3A"},
    {".base_layer.", "PEFT"},
    {".original_module.", "PEFT"},
    {".modules_to_save.", "PEFT"},
    {".trainable_tokens_", "PEFT"},
    {".adapter_down.", "bottleneck adapters"},
};

/// How a name begins of what is put before a model's inputs, which no weights could hold.
struct PromptMark {
  std::string_view begin, what;
};
constexpr PromptMark prompt_marks[] = {
    {"prompt_embeddings", "prompt tuning"},
    {"prompt_encoder.default.", "prompt tuning"},
    {"prefix_encoder.", "prefix tuning"},
};

/// A field that tells whose config.json it is, where there is no model_type.
struct OtherConfig {
  const char *field, *who, *next_step;
};
constexpr OtherConfig other_configs[] = {
    {"pretrained_cfg", "timm",
     "write the type that transformers gives it into config.json (\"model_type\": \"NAME\"); `onnxport features` lists "
     "what is known"},
    {"build_config", "an engine of TensorRT-LLM", "export the checkpoint that it was built of"},
    {"mapping", "TensorRT-LLM", "export the checkpoint that it was converted from"},
    {"_class_name", "diffusers", "diffusers' models are not exported; the text encoders of its pipelines are"},
};

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

/// Where the wrapper is around modules within, its name stands in the middle of theirs.
void refuse_wrapped_within(const Checkpoint& checkpoint) {
  for (const auto& [name, stored] : checkpoint.tensors()) {
    for (const Wrapper& wrapper : inner_wrappers) {
      if (name.find(wrapper.prefix) == std::string::npos) continue;
      throw Error(Failure::checkpoint,
                  fmt::format("the names of tensors have '{}' in them, which {} puts around a module: {}",
                              wrapper.prefix, wrapper.who, name),
                  "save the model as it is without that (load the state dict with these words taken out of its names, "
                  "then save_pretrained), and export that");
    }
  }
}

void refuse_adapted(const Checkpoint& checkpoint) {
  for (const auto& [name, stored] : checkpoint.tensors()) {
    for (const PromptMark& mark : prompt_marks) {
      if (!name.starts_with(mark.begin)) continue;
      throw Error(Failure::checkpoint,
                  fmt::format("the checkpoint holds what {} puts before the model's inputs, which is no part of an "
                              "export: {}",
                              mark.what, name),
                  "export the model that it was tuned over, or one whose own weights were trained");
    }
    // A model with adapters of its own has them as torch's parametrizations; jina_embeddings_v3 does.
    if (name.find(".parametrizations.") != std::string::npos) continue;
    for (const AdapterMark& mark : adapter_marks) {
      if (name.find(mark.part) == std::string::npos) continue;
      throw Error(
          Failure::checkpoint,
          fmt::format("the checkpoint holds tensors of {} that are not merged into the weights: {}", mark.what, name),
          "merge them first: merge_and_unload() of PEFT, then save_pretrained, and export that");
    }
  }
}

/// Each process of such a training holds a part of every parameter, and saves none of it.
void refuse_emptied(const Checkpoint& checkpoint) {
  const auto& tensors = checkpoint.tensors();
  const auto empty = std::count_if(tensors.begin(), tensors.end(), [](const auto& tensor) {
    const auto& shape = tensor.second->shape;
    return std::find(shape.begin(), shape.end(), 0) != shape.end();
  });
  if (2 * static_cast<size_t>(empty) <= tensors.size()) return;
  throw Error(
      Failure::checkpoint,
      fmt::format("{} of the {} tensors have no elements, as DeepSpeed's ZeRO stage 3 leaves them where it saves "
                  "a model without gathering it",
                  empty, tensors.size()),
      "gather them with zero_to_fp32.py, or train with stage3_gather_16bit_weights_on_model_save; export what "
      "that saves");
}

}  // namespace

void explain_other_config(const Json& config, const fs::path& file) {
  for (const OtherConfig& other : other_configs) {
    if (!config.contains(other.field)) continue;
    throw Error(
        Failure::checkpoint,
        fmt::format("{} is of {}, by its field '{}', and has no model_type", file.string(), other.who, other.field),
        other.next_step);
  }
}

void refuse_other_kinds(const Checkpoint& checkpoint) {
  refuse_quantized(checkpoint);
  refuse_emptied(checkpoint);
  // An adapter's parts tell more than the prefix that PEFT puts before all names.
  refuse_adapted(checkpoint);
  refuse_wrapped(checkpoint);
  refuse_wrapped_within(checkpoint);
}

}  // namespace onnxport
