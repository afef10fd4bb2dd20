// SPDX-License-Identifier: Apache-2.0
// What `onnxport plugins trust`, `sign`, `verify` and `quarantine` accept.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "host/plan/arguments.hpp"
#include "host/process/console.hpp"

namespace onnxport {

/// Gives a command what all have, and what it does once it is named.
using FinishCommand = std::function<void(CLI::App&, const std::function<int(Console&)>& run)>;

/// Adds the commands to `plugins`; they fill `arguments`, which outlives it.
void define_trust_commands(CLI::App& plugins, TrustCommandArguments& arguments, const FinishCommand& finish);

}  // namespace onnxport
