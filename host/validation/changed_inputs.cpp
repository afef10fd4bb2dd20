// SPDX-License-Identifier: Apache-2.0
#include "host/validation/changed_inputs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/printable.hpp"
#include "core/validate/file_inputs.hpp"

namespace onnxport {
namespace {

using TensorInfo = ModelSummary::TensorInfo;

/// Element type and number of axes: how long each may be is for the runs to find out.
bool is_of_type(const TensorInfo& declared, const ir::Tensor& given) {
  return declared.element == ir::name_of(given.dtype) &&
         (!declared.dimensions || declared.dimensions->size() == given.shape.size());
}

std::vector<std::string> changes(const std::vector<TensorInfo>& declared, const Tensors& given) {
  std::vector<std::string> found;
  for (const TensorInfo& input : declared) {
    const auto own = given.find(input.name);
    if (own == given.end())
      found.push_back(fmt::format("'{}', {}, is no input of the model", input.name, input.type));
    else if (!is_of_type(input, own->second))
      found.push_back(fmt::format("'{}' is {}, expected {} with {} axes", input.name, input.type,
                                  ir::name_of(own->second.dtype), own->second.shape.size()));
  }
  for (const auto& [name, tensor] : given) {
    const bool is_taken = std::any_of(declared.begin(), declared.end(),
                                      [&name = name](const TensorInfo& input) { return input.name == name; });
    if (!is_taken) found.push_back(fmt::format("'{}' is missing", name));
  }
  return found;
}

}  // namespace

void require_unchanged_inputs(const FileToValidate& written, const ModelSummary& file) {
  for (const Comparison& comparison : written.comparisons) {
    if (comparison.inputs.empty()) continue;
    const std::vector<std::string> found =
        changes(file.inputs, as_file_takes(comparison.inputs[0].inputs, written.form.inputs));
    if (found.empty()) continue;
    std::string text = written.file.string() + " has other inputs than it was exported with:";
    for (const std::string& change : found) text += "\n  " + printable(change);
    throw Error(Failure::differs, text,
                "it was changed since; export it again, or compare it with recorded outputs: --case FILE.safetensors");
  }
}

}  // namespace onnxport
