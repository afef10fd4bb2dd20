// SPDX-License-Identifier: Apache-2.0
// What is wrong with a file, or dear without need, told without running it.
#pragma once

#include <string>
#include <vector>

#include "core/inspect/sized_model.hpp"
#include "core/inspect/stored_tensors.hpp"

namespace onnxport::inspect {

struct Finding {
  enum class Weight { note, error };  ///< an error: the file does not run, or not everywhere it claims to
  std::string kind;                   ///< "missing-data", "frozen-axis", …: docs/command-line.md lists them
  Weight weight = Weight::note;
  std::string text;                   ///< what was found, and what to do about it
  std::vector<std::string> places{};  ///< tensors, nodes or axes
  uint64_t bytes = 0;                 ///< that could be saved; 0 where it is not about bytes
};

/// What the checks look at.
struct Subject {
  const OnnxFile& file;
  const std::vector<StoredTensor>& tensors;
  const SizableModel& sizable;
};

/// Every finding, in the order of the table of checks.
std::vector<Finding> find_faults(const Subject& subject);

}  // namespace onnxport::inspect
