// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/quantized.hpp"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "core/error.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// A file that a program of quantization writes beside config.json.
struct SideFile {
  const char *name, *who;
};
constexpr SideFile side_files[] = {
    {"quantize_config.json", "AutoGPTQ"},
    {"quant_config.json", "AutoAWQ"},
    {"hf_quant_config.json", "ModelOpt"},
};

/// The last part of a tensor's name that tells how the tensors of its module are quantized.
struct TensorMark {
  std::string_view ending, who;
  bool in_8_bits;  ///< says so only beside a tensor of 8 bits of the same module, since others are called so as well
};
constexpr TensorMark tensor_marks[] = {
    {".qweight", "GPTQ or AWQ", false},
    {".weight_packed", "compressed-tensors", false},
    {".weight_scale_inv", "FP8 with scales for blocks", true},
    {".weight_scale", "FP8 or int8 with scales", true},
    {".SCB", "bitsandbytes, 8 bits", false},
    {".absmax", "bitsandbytes, 4 bits", false},
    {"_blocks", "MXFP4", true},
};

[[noreturn]] void refuse(const fs::path& folder, const std::string& sign) {
  throw Error(Failure::checkpoint, fmt::format("{} holds quantized weights: {}", folder.string(), sign),
              "export the checkpoint that it was made of; or load this one, dequantize it, and save it without "
              "quantization_config");
}

const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

bool is_true(const Json& object, const char* key) {
  const Json* value = member(object, key);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

/// The method that a map of quantization names; empty for what an export without any left behind.
std::string method_of(const Json& stated) {
  for (const char* key : {"quant_method", "quant_algo", "quant_type"}) {
    if (const Json* name = member(stated, key); name != nullptr && name->is_string()) return name->get<std::string>();
  }
  if (is_true(stated, "load_in_8bit") || is_true(stated, "load_in_4bit")) return "bitsandbytes";
  if (member(stated, "bits") != nullptr && member(stated, "group_size") != nullptr) return "MLX";
  return {};
}

std::string_view module_of(std::string_view name) {
  const size_t dot = name.rfind('.');
  return dot == name.npos ? std::string_view{} : name.substr(0, dot);
}

/// Whether the module of a tensor has one whose elements are of 8 bits and no truth values.
bool has_8_bits(const Checkpoint& checkpoint, std::string_view module) {
  const auto& tensors = checkpoint.tensors();
  for (auto at = tensors.lower_bound(std::string(module)); at != tensors.end() && at->first.starts_with(module); ++at) {
    const ir::DType dtype = at->second->dtype;
    if (module_of(at->first) == module && ir::size_of(dtype) == 1 && dtype != ir::DType::boolean) return true;
  }
  return false;
}

}  // namespace

void refuse_quantized_config(const Json& config, const fs::path& folder) {
  for (const char* key : {"quantization_config", "compression_config", "quantization"}) {
    const Json* stated = member(config, key);
    if (stated == nullptr) continue;
    if (const std::string method = method_of(*stated); !method.empty())
      refuse(folder, fmt::format("its config.json states {} with the method '{}'", key, method));
  }
}

void refuse_quantized(const Checkpoint& checkpoint) {
  refuse_quantized_config(checkpoint.config(), checkpoint.folder());
  for (const SideFile& file : side_files) {
    std::error_code ignored;
    if (fs::exists(checkpoint.folder() / file.name, ignored))
      refuse(checkpoint.folder(), fmt::format("{} lies beside config.json, which {} writes", file.name, file.who));
  }
  for (const auto& [name, stored] : checkpoint.tensors()) {
    for (const TensorMark& mark : tensor_marks) {
      if (!name.ends_with(mark.ending) || (mark.in_8_bits && !has_8_bits(checkpoint, module_of(name)))) continue;
      refuse(checkpoint.folder(), fmt::format("the tensor {} is of {}", name, mark.who));
    }
  }
}

}  // namespace onnxport
