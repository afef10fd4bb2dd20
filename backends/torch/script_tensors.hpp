// SPDX-License-Identifier: Apache-2.0
// Tensors that a module holds, as weights over the same memory.
#pragma once

#include <ATen/core/ivalue.h>

#include <map>
#include <memory>
#include <string>

#include "core/backend/script_graph.hpp"

namespace onnxport::reference {

class ScriptTensors {
 public:
  /// `owner` keeps the memory of all of them.
  ScriptTensors(std::shared_ptr<const void> owner, std::string file)
      : owner_(std::move(owner)), file_(std::move(file)) {}

  /// The weight over a tensor's storage; tensors that share one share the weight's file. Throws Error(usage) for
  /// tensors that are no plain arrays.
  ScriptTensor of(const std::string& name, const at::Tensor& tensor);
  /// A constant, whose tensors go by `name`. Throws Error(usage) for values of other kinds.
  ScriptConstant constant_of(const std::string& name, const c10::IValue& value);

 private:
  std::shared_ptr<const void> owner_;
  std::string file_;
  std::map<const void*, std::shared_ptr<const MappedFile>> storages_;
};

}  // namespace onnxport::reference
