// SPDX-License-Identifier: Apache-2.0
// What the run-time that was named means for an export.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "host/process/console.hpp"

namespace onnxport {

struct ChosenOpset {
  std::string runtime;  // "onnxruntime=1.17"
  int64_t opset, ir_version;
  int64_t own;                       // the opset that the model would be written in
  std::vector<std::string> avoided;  // operators of that one
};

void print_text(const ChosenOpset& chosen, Console& console);
void fill_json(const ChosenOpset& chosen, Json& json);

}  // namespace onnxport
