// SPDX-License-Identifier: Apache-2.0
// What a module's forward() is called with, of the inputs that a definition has.
#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/backend/script_file.hpp"

namespace onnxport::reference {

/// What the definition calls that which the module calls so.
std::string defined_name(const std::map<std::string, std::string>& names, const std::string& scripted);

/// How an argument of forward() is filled: a tensor, by its name among the inputs, or a structure of such.
struct Filling {
  c10::TypePtr type;
  std::string input;             // of a tensor; empty: the argument is left at its default
  std::vector<Filling> parts{};  // of a tuple or a list
  std::optional<c10::IValue> otherwise{};
};

/// Fills arguments with the definition's inputs.
class ScriptArguments {
 public:
  /// Keeps a reference to the first. Throws Error(usage) where the module wants what the definition does not have, or
  /// does not take what it has.
  ScriptArguments(const ScriptFile& script, const c10::FunctionSchema& schema);

  std::vector<c10::IValue> values(const Tensors& inputs) const;

 private:
  [[noreturn]] void refuse(const std::string& what) const;
  Filling filling_of(const c10::Argument& argument);
  /// The leaves in their order, in tuples and lists as the type has them; a list takes whatever there is.
  Filling structure_of(const c10::TypePtr& type, const std::vector<std::string>& leaves, size_t& next);

  const ScriptFile& script_;
  std::vector<std::string> arguments_, missing_;
  std::vector<Filling> fillings_;
  std::set<std::string> used_;
};

}  // namespace onnxport::reference
