// SPDX-License-Identifier: Apache-2.0
// The inputs on which an imported model is compared with its original.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/validate/validate.hpp"
#include "host/import/import_plan.hpp"

namespace onnxport {

/// Inputs of one size each, and the only axis that is of another length than in the first set; empty where several are.
struct ImportInputs {
  ValidationInputs set;
  std::map<std::string, int64_t> lengths;
  std::string axis{};
};

/// The usual lengths, then each axis by itself as short as it may be and of another length, then all together. Values
/// of whole numbers are below the imported limits, or within the ranges that were asked for.
std::vector<ImportInputs> inputs_for(const ImportPlan& plan, const ImportedScript& imported);

}  // namespace onnxport
