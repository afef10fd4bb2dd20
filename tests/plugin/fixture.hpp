// SPDX-License-Identifier: Apache-2.0
// What the tests of plugins share: the plugins that were built and their recorded checkpoints.
#pragma once

#include <filesystem>
#include <string>

#include "core/definition/onnx_config.hpp"
#include "registry/registry.hpp"

namespace onnxport::test {

/// The plugins that were built, and no others.
const Registry& built_plugins();

/// A checkpoint among a plugin's own cases: recorded("bert", "bert/BertModel").
std::filesystem::path recorded(const std::string& plugin, const std::string& checkpoint);

/// What the built plugin makes of a config.
OnnxConfig config_of(const ModelFolder& folder, const std::string& model_type, const std::string& feature);

/// Whether everything is to be tested, as `scripts/test --all` asks: ONNXPORT_TEST_ALL is set.
bool test_all();

}  // namespace onnxport::test
