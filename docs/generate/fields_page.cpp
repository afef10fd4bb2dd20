// SPDX-License-Identifier: Apache-2.0
#include "docs/generate/fields_page.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "docs/generate/field_uses.hpp"
#include "docs/generate/section.hpp"

namespace onnxport {

std::string fields_page(const std::string& present_page, const BuiltPlugins& plugins) {
  std::map<std::string, std::string> rows;
  for (const Candidate& plugin : plugins.registry.candidates()) {
    const std::filesystem::path file =
        plugins.sources / plugin.manifest_path.parent_path().filename() / "cases/fields.json";
    if (!std::filesystem::exists(file)) continue;
    for (const ConfigClass& original : config_classes(file)) {
      const FieldUses uses = uses_of_fields(FeaturesManager(plugins.registry), plugin, original);
      rows[original.model_type] =
          fmt::format("| {} | {} | {} | {} |\n", original.model_type, fmt::join(uses.read, ", "),
                      fmt::join(uses.without_effect, ", "), fmt::join(uses.refused, ", "));
    }
  }
  std::string table = "| model type | read | without effect | refused |\n|---|---|---|---|\n";
  for (const auto& [type, row] : rows) table += row;
  return with_section(present_page, "fields", table);
}

}  // namespace onnxport
