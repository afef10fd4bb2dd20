// SPDX-License-Identifier: Apache-2.0
#include "core/inspect/module_path.hpp"

#include <algorithm>
#include <cctype>
#include <vector>

namespace onnxport::inspect {
namespace {

bool is_number(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

std::string joined(const std::vector<std::string>& parts, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    if (parts[i].empty()) continue;
    text += (text.empty() ? "" : ".") + parts[i];
  }
  return text;
}

/// "['', 'model', 'model.layers.0', 'linear']": the last but one is the module.
std::string module_in_scopes(const std::string& scopes) {
  const std::vector<std::string> quoted = split(scopes, '\'');
  std::vector<std::string> names;
  for (size_t i = 1; i < quoted.size(); i += 2) names.push_back(quoted[i]);
  return names.size() < 2 ? std::string() : names[names.size() - 2];
}

}  // namespace

std::string module_of(const pb::NodeProto& node) {
  for (const auto& entry : node.metadata_props()) {
    if (entry.key() == "pkg.torch.onnx.name_scopes") return module_in_scopes(entry.value());
  }
  if (!node.name().starts_with('/')) return {};
  const std::vector<std::string> parts = split(node.name(), '/');
  return joined(parts, parts.size() - 1);
}

bool is_within(const std::string& path, const std::string& module) {
  return module.empty() || path == module || path.starts_with(module + ".");
}

WeightModules::WeightModules(const pb::GraphProto& graph) {
  for (const auto& node : graph.node()) {
    const std::string module = module_of(node);
    if (module.empty()) continue;
    for (const std::string& input : node.input()) users_.emplace(input, module);
  }
}

std::string WeightModules::of(const std::string& tensor) const {
  const bool is_own = tensor.find('.') != std::string::npos && tensor.find("::") == std::string::npos &&
                      tensor.find('/') == std::string::npos;
  if (is_own) {
    const std::vector<std::string> parts = split(tensor, '.');
    return joined(parts, parts.size() - 1);
  }
  const auto user = users_.find(tensor);
  return user == users_.end() ? std::string() : user->second;
}

std::string pattern_of(const std::string& module) {
  std::vector<std::string> parts = split(module, '.');
  for (std::string& part : parts) {
    if (is_number(part)) part = "*";
  }
  return joined(parts, parts.size());
}

}  // namespace onnxport::inspect
