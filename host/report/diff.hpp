// SPDX-License-Identifier: Apache-2.0
// How two files differ, as lines and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "core/inspect/model_diff.hpp"
#include "host/process/console.hpp"

namespace onnxport {

void print_text(const inspect::ModelDiff& diff, Console& console);
void fill_json(const inspect::ModelDiff& diff, nlohmann::ordered_json& json);

}  // namespace onnxport
