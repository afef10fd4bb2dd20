// SPDX-License-Identifier: Apache-2.0
// Files that an export was compared with, or on, beside its checkpoint.
#pragma once

#include <filesystem>
#include <vector>

#include "host/plan/script_reference.hpp"

namespace onnxport {

struct JudgeFiles {
  const std::vector<std::filesystem::path>& cases;
  const std::vector<ScriptReference>& references;
  const std::filesystem::path& calibration;  // empty: none
};

}  // namespace onnxport
