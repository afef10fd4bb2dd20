// SPDX-License-Identifier: Apache-2.0
#include "host/export/model_card.hpp"

#include "host/export/exported_facts.hpp"
#include "host/package/package_files.hpp"

namespace onnxport {

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
