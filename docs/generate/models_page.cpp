// SPDX-License-Identifier: Apache-2.0
#include "docs/generate/models_page.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "docs/generate/section.hpp"

namespace onnxport {
namespace {

/// A text within a cell.
std::string cell(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

}  // namespace

std::string models_page(const std::string& present_page, const std::vector<Manifest>& manifests) {
  std::map<std::string, std::string> rows, gaps;
  for (const Manifest& manifest : manifests) {
    for (const Manifest::Model& model : manifest.models) {
      for (const std::string& type : model.types) {
        rows[type] = fmt::format("| {} | {} | {} |\n", type, cell(manifest.name), fmt::join(model.features, ", "));
        for (const Manifest::KnownGap& gap : model.known_gaps)
          gaps[type] += fmt::format("| {} | {} | {} |\n", type, cell(gap.what()), cell(gap.reason));
      }
    }
  }
  std::string types = "| model type | plugin | features |\n|---|---|---|\n";
  for (const auto& [type, row] : rows) types += row;
  std::string lacks = "| model type | what | reason |\n|---|---|---|\n";
  for (const auto& [type, row] : gaps) lacks += row;
  return with_section(with_section(present_page, "model types", types), "known gaps", lacks);
}

}  // namespace onnxport
