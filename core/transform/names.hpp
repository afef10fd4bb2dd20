// SPDX-License-Identifier: Apache-2.0
// What the inputs and outputs of a finished file, and their axes, are called.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/ir/types.hpp"
#include "core/onnx/axis_names.hpp"
#include "core/onnx/model_proto.hpp"

namespace onnxport {

/// An input or output as a definition has it.
struct PortAxes {
  std::vector<std::optional<ir::Dim>> axes;  // nullopt: nothing is known of that axis
  std::map<size_t, std::string> open{};      // axes of a fixed size that a file may leave open, with their names
  bool is_whole = true;                      // the definition has no more axes than these
};

/// Calls axes as the definition does, under these names, whatever the file calls them; numbers stay. An axis that has a
/// size in the definition becomes that number, unless it is one of those that stay open. `ports`: by the names of
/// inputs and outputs; of outputs that are not among them, and of values in between, what became of the inputs' names
/// is carried over. Throws Error(usage) where a file's rank or size is another than the definition's.
void name_axes(ModelParts& model, const std::map<std::string, PortAxes>& ports, const AxisNames& names);

/// Gives outputs other names; those that the model does not have, or whose new name another output has, stay.
/// Yields what was renamed.
std::map<std::string, std::string> rename_outputs(ModelParts& model, const std::map<std::string, std::string>& names);

/// Whether an input is one that the caller gives, and no weight: before version 4 of the format these are inputs as
/// well.
bool is_given(const ModelParts& model, const pb::ValueInfoProto& input);

}  // namespace onnxport
