// SPDX-License-Identifier: Apache-2.0
#include "backends/torch/script_tensors.hpp"

#include <ATen/ATen.h>

#include <utility>

#include "backends/torch/evaluator.hpp"
#include "backends/torch/exchange.hpp"
#include "core/error.hpp"

namespace onnxport::reference {

ScriptTensor ScriptTensors::of(const std::string& name, const at::Tensor& tensor) {
  if (tensor.layout() != at::kStrided || tensor.is_quantized() || !tensor.device().is_cpu() || tensor.is_complex()) {
    throw Error(Failure::usage, file_ + ": the tensor '" + name + "' is sparse, quantized or complex",
                "make the module of a model with plain tensors");
  }
  const c10::Storage& storage = tensor.storage();
  std::shared_ptr<const MappedFile>& memory = storages_[storage.data()];
  if (memory == nullptr) {
    memory = MappedFile::of_memory(file_, {static_cast<const std::byte*>(storage.data()), storage.nbytes()}, owner_);
  }
  auto stored = std::make_shared<StoredTensor>();
  stored->file = memory;
  stored->name = name;
  stored->dtype = dtype_of(tensor.scalar_type());
  stored->shape.assign(tensor.sizes().begin(), tensor.sizes().end());
  stored->offset = static_cast<uint64_t>(tensor.storage_offset()) * tensor.element_size();
  stored->bytes = static_cast<uint64_t>(tensor.numel()) * tensor.element_size();
  if (!tensor.is_contiguous()) stored->strides.assign(tensor.strides().begin(), tensor.strides().end());
  return {name, Weight{std::move(stored), {}}};
}

ScriptConstant ScriptTensors::constant_of(const std::string& name, const c10::IValue& value) {
  if (value.isNone()) return {};
  if (value.isBool()) return {value.toBool()};
  if (value.isInt()) return {value.toInt()};
  if (value.isDouble()) return {value.toDouble()};
  if (value.isString()) return {value.toStringRef()};
  if (value.isDevice()) return {value.toDevice().str()};
  if (value.isTensor())
    return value.toTensor().defined() ? ScriptConstant{of(name, value.toTensor())} : ScriptConstant{};
  ScriptConstant::List list;
  const auto add = [&](const auto& elements) {
    for (const c10::IValue& element : elements)
      list.push_back(constant_of(name + "." + std::to_string(list.size()), element));
    return ScriptConstant{std::move(list)};
  };
  if (value.isList()) return add(value.toListRef());
  if (value.isTuple()) return add(value.toTupleRef().elements());
  throw Error(Failure::usage,
              file_ + ": '" + name + "' is a " + value.tagKind() + ", which cannot be told outside of libtorch",
              "make the module so that forward() does without it: of tensors, numbers, texts, lists and tuples");
}

}  // namespace onnxport::reference
