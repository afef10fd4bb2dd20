// SPDX-License-Identifier: Apache-2.0
// The graphs of an export as its layout or package calls them.
#pragma once

#include <string>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "host/plan/export_plan.hpp"

namespace onnxport {

/// As graph_files() has it; a package may call graphs of another type than f32 otherwise. `model_file` names the one of
/// a single graph.
std::vector<GraphFile> layout_files(const ExportPlan& plan, const OnnxConfig& config, const std::string& model_file);

/// The same of graphs of an included package alone: "onnx/model.onnx" of "genai" is "onnx/genai_model.onnx".
std::vector<GraphFile> own_layout_files(const ExportPlan& plan, const OnnxConfig& config, const std::string& package);

/// "onnx/model.onnx" with the suffix "_fp16": "onnx/model_fp16.onnx".
std::string with_suffix(const std::string& file, const std::string& suffix);

}  // namespace onnxport
