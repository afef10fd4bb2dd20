// SPDX-License-Identifier: Apache-2.0
// What came of trying a plugin, as lines and as JSON.
#pragma once

#include "host/author/try_plugin.hpp"
#include "host/process/console.hpp"

namespace onnxport {

void print_text(const TrialResult& result, Console& console);
/// What is left to say when all was tried.
void print_text(const PluginTrials& trials, Console& console);
void fill_json(const PluginTrials& trials, Json& json);

}  // namespace onnxport
