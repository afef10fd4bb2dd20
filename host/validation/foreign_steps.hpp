// SPDX-License-Identifier: Apache-2.0
// Where a file of another exporter departs from a definition. Its values have names of their own, so that they are told
// by what they hold.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "core/backend/backend.hpp"
#include "core/definition/onnx_config.hpp"
#include "core/validate/compare.hpp"

namespace onnxport {

struct ForeignRun {
  const std::filesystem::path& file;
  const Definition& definition;
  /// Puts the file behind the definition's names; values of its own that are wanted keep theirs.
  const std::function<std::unique_ptr<Runnable>(const Definition&, Runnable&)>& behind_names;
  const Tensors& inputs;
  const Tolerance& tolerance;
};

/// Runs both with every result as an output, and looks for what each module of the definition yields among the file's
/// values of as many elements. Tells the first module that none of them is, and behind which nothing is found either
/// (another exporter may compute one module otherwise and go on right), with the nearest value; or why that cannot be
/// told.
std::string first_departure(const ForeignRun& run);

}  // namespace onnxport
