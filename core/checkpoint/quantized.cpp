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
    {"quanto_qmap.json", "quanto"},
};

/// What has to be true of the tensors of a module before a name in it tells anything, since other models may have a
/// tensor called so.
enum class Beside { anything, integers, of_8_bits };

/// How a tensor's name ends that tells how the tensors of its module are quantized. Of several that a checkpoint has,
/// the first tells.
struct TensorMark {
  std::string_view ending, who;
  Beside beside = Beside::anything;
};
constexpr TensorMark tensor_marks[] = {
    {".qweight", "GPTQ or AWQ"},
    {".q_weight", "EXL2"},
    {".trellis", "EXL3", Beside::integers},
    {".W_q", "HQQ"},
    {".weight._data", "quanto"},
    {".weight._data._data", "quanto"},
    {"_weight_qdata", "torchao"},
    {".weight:qdata", "torchao"},
    {".weight:_data", "torchao"},
    {".weight_packed", "compressed-tensors"},
    {".SCB", "bitsandbytes, 8 bits"},
    {".absmax", "bitsandbytes, 4 bits"},
    {".bitsandbytes__nf4", "bitsandbytes, 4 bits"},
    {".bitsandbytes__fp4", "bitsandbytes, 4 bits"},
    {".centroids.weight", "VPTQ"},
    {".dense_weights", "SpQR", Beside::integers},
    {".codebooks", "AQLM", Beside::integers},
    {".tables2", "HIGGS"},
    {".Qidxs", "QuIP#"},
    {".B", "Marlin", Beside::integers},
    {"_quantizer._amax", "ModelOpt, which simulates them"},
    {"_quantizer._pre_quant_scale", "ModelOpt, which simulates them"},
    {"._packed_params", "torch.ao.quantization"},
    {"._packed_params.dtype", "torch.ao.quantization"},
    {".weight_fake_quant.scale", "torch.ao.quantization, which simulates them"},
    {".activation_post_process.min_val", "torch.ao.quantization, which observes them"},
    {"_observer.min_val", "a program that observes them"},
    {".weight_scale_2", "NVFP4", Beside::of_8_bits},
    {".weight_scale_inv", "FP8 with scales for blocks", Beside::of_8_bits},
    {".weight_scale", "FP8 or int8 with scales", Beside::of_8_bits},
    {".weight_scales", "EETQ", Beside::of_8_bits},
    {"_blocks", "MXFP4", Beside::of_8_bits},
    {".scales", "MLX, or another program that keeps scales beside integers", Beside::integers},
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
  if (member(stated, "desc_act") != nullptr) return "GPTQ";
  if (member(stated, "w_bit") != nullptr) return "AWQ";
  if (member(stated, "bits") != nullptr && member(stated, "group_size") != nullptr) return "MLX";
  return {};
}

std::string_view module_of(std::string_view name) {
  const size_t dot = name.rfind('.');
  return dot == name.npos ? std::string_view{} : name.substr(0, dot);
}

bool is_integer(ir::DType dtype) {
  return dtype != ir::DType::boolean && !ir::is_floating(dtype);
}

/// Whether a module has a tensor of which something is true.
template <class Test>
bool any_of_module(const Checkpoint& checkpoint, std::string_view module, Test test) {
  const auto& tensors = checkpoint.tensors();
  for (auto at = tensors.lower_bound(std::string(module)); at != tensors.end() && at->first.starts_with(module); ++at) {
    if (module_of(at->first) == module && test(at->second->dtype)) return true;
  }
  return false;
}

bool is_proved(const TensorMark& mark, const Checkpoint& checkpoint, std::string_view name) {
  switch (mark.beside) {
    case Beside::integers:
      return any_of_module(checkpoint, module_of(name), is_integer);
    case Beside::of_8_bits:
      return any_of_module(checkpoint, module_of(name),
                           [](ir::DType dtype) { return ir::size_of(dtype) == 1 && dtype != ir::DType::boolean; });
    default:
      return true;
  }
}

/// The first mark that any tensor has, and the first tensor that has it.
std::pair<const TensorMark*, std::string> first_mark(const Checkpoint& checkpoint) {
  const TensorMark* best = std::end(tensor_marks);
  std::string tensor;
  for (const auto& [name, stored] : checkpoint.tensors()) {
    for (const TensorMark* mark = std::begin(tensor_marks); mark != best; ++mark) {
      if (!name.ends_with(mark->ending) || !is_proved(*mark, checkpoint, name)) continue;
      best = mark;
      tensor = name;
      break;
    }
  }
  return {best == std::end(tensor_marks) ? nullptr : best, tensor};
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
  if (const auto [mark, tensor] = first_mark(checkpoint); mark != nullptr)
    refuse(checkpoint.folder(), fmt::format("the tensor {} is of {}", tensor, mark->who));
}

}  // namespace onnxport
