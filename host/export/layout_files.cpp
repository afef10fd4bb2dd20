// SPDX-License-Identifier: Apache-2.0
#include "host/export/layout_files.hpp"

#include <filesystem>

namespace onnxport {

std::string with_suffix(const std::string& file, const std::string& suffix) {
  const std::filesystem::path name(file);
  return (name.parent_path() / (name.stem().string() + suffix + name.extension().string())).generic_string();
}

std::vector<GraphFile> layout_files(const ExportPlan& plan, const OnnxConfig& config, const std::string& model_file) {
  std::vector<GraphFile> files = graph_files(*plan.layout, config, model_file);
  if (plan.package == nullptr) return files;
  const std::string suffix = suffix_for(*plan.package, name_of(dtype_choices, plan.weights.dtype)).value_or("");
  for (GraphFile& file : files) file.file = with_suffix(file.file, suffix);
  return files;
}

std::vector<GraphFile> own_layout_files(const ExportPlan& plan, const OnnxConfig& config, const std::string& package) {
  std::vector<GraphFile> files = layout_files(plan, config, "model.onnx");
  for (GraphFile& file : files) {
    const std::filesystem::path name(file.file);
    file.file = (name.parent_path() / (package + "_" + name.filename().string())).generic_string();
  }
  return files;
}

}  // namespace onnxport
