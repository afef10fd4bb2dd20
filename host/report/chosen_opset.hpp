// SPDX-License-Identifier: Apache-2.0
// What the run-time that was named means for an export.
#pragma once

#include "host/export/chosen_opset.hpp"
#include "host/process/console.hpp"

namespace onnxport {

void print_text(const ChosenOpset& chosen, Console& console);
void fill_json(const ChosenOpset& chosen, Json& json);

}  // namespace onnxport
