// SPDX-License-Identifier: Apache-2.0
#include "host/export/model_card.hpp"

#include <fmt/format.h>

#include "core/error.hpp"
#include "core/files/whole_file.hpp"
#include "host/export/exported_facts.hpp"
#include "host/package/package_files.hpp"

namespace onnxport {
namespace {

/// What each card says of who made it.
constexpr const char* card_mark = "exported by onnxport ";

}  // namespace

void require_card_place(const std::filesystem::path& folder) {
  const std::filesystem::path card = folder / model_card_file;
  std::error_code ignored;
  if (!std::filesystem::exists(std::filesystem::symlink_status(card, ignored))) return;
  const bool is_card =
      std::filesystem::is_regular_file(card, ignored) && read_whole(card).find(card_mark) != std::string::npos;
  if (is_card) return;
  throw Error(Failure::usage,
              fmt::format("--model-card: {} is there already, and is no card of an export", card.string()),
              "export to a folder of its own, or leave --model-card out");
}

ModelCard write_model_card(const ExportPlan& plan, const ExportSource& source, const WrittenExport& written,
                           const Json& validation, const StagedOutput& output) {
  Json facts = exported_facts(plan, source, written, output.folder());
  if (!validation.is_null()) facts["validation"] = validation;
  const std::vector<PackageFile> card{{.name = model_card_file,
                                       .form = PackageFile::Form::text,
                                       .made_by = installed_template("model-card/README.jsonnet"),
                                       .package = "model-card"}};
  write_package_files({card, source.selection.plugin_folders, facts, output.folder()});
  return {output.final_folder() / model_card_file, output.final_folder()};
}

}  // namespace onnxport
