// SPDX-License-Identifier: Apache-2.0
// onnxport transform, pack and unpack: a finished file, other in its form or in where its weights are.
#include <fmt/format.h>

#include "core/backend/backend.hpp"
#include "core/error.hpp"
#include "core/onnx/model_file.hpp"
#include "core/output/staging.hpp"
#include "core/transform/read_model.hpp"
#include "core/transform/sample_inputs.hpp"
#include "core/transform/transform.hpp"
#include "core/validate/file_inputs.hpp"
#include "core/validate/validate.hpp"
#include "host/commands.hpp"
#include "host/plan/input_plan.hpp"
#include "host/report/report.hpp"
#include "host/report/transformed_file.hpp"
#include "host/validation/requirements.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

Transformation transformation_of(const TransformArguments& arguments) {
  return {.fixed = fixed_axes(arguments.fixed), .int32 = value_of(id_choices, arguments.ids), .fp16 = arguments.fp16};
}

/// What the file says of itself where onnxport wrote it, so that it can still be validated as what it is now.
void update_metadata(pb::ModelProto& model, const Transformation& wanted) {
  std::map<std::string, std::string> metadata;
  for (const auto& entry : model.metadata_props()) metadata[entry.key()] = entry.value();
  if (!metadata.contains("onnxport.model_type")) return;
  InputForm form = input_form_of(metadata);
  form.fixed.insert(wanted.fixed.begin(), wanted.fixed.end());
  form.int32 = form.int32 || wanted.int32;
  for (auto& [key, value] : metadata_of(form)) metadata[key] = value;
  if (wanted.fp16) metadata["onnxport.dtype"] = "fp16";
  model.clear_metadata_props();
  for (const auto& [key, value] : metadata) {
    auto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
}

uint64_t bytes_of(const ModelParts& model) {
  uint64_t bytes = 0;
  for (const StreamedInitializer& weight : model.weights) bytes += weight.weight->bytes();
  return bytes;
}

/// Both files on the same inputs.
ValidationReport compared(const fs::path& before, const fs::path& after, const Transformation& wanted,
                          Console& console) {
  const ModelParts original = read_model(before).parts;
  Backend& runtime = load_backend("onnxruntime");
  const std::unique_ptr<Runnable> reference = runtime.load_file(before.string());
  console.stop_if_cancelled();
  const std::unique_ptr<Runnable> file =
      as_defined(runtime.load_file(after.string()), {.fixed = {}, .int32 = wanted.int32});
  std::vector<ValidationInputs> sets;
  for (uint64_t set : {0, 1})
    sets.push_back({fmt::format("set {}", set + 1), sample_inputs(original, wanted.fixed, set), std::nullopt});
  // Of 16 bits as an export to them is held to its definition; else what another order of sums may change.
  const double units = 16 * (wanted.fp16 ? 0x1p-11 : 0x1p-24);
  return validate_model_outputs(
      reference.get(), *file, sets,
      {.absolute = wanted.fp16 ? 1e-3 : 1e-5, .relative = usual_relative, .of_largest = units},
      [&](const ValidationRun&) { console.stop_if_cancelled(); });
}

}  // namespace

int run_transform(const TransformArguments& arguments, Console& console) {
  if (!arguments.layout.empty()) return run_transform_layout(arguments, console);
  const Transformation wanted = transformation_of(arguments);
  std::error_code ignored;
  const fs::path file = fs::is_directory(arguments.file, ignored) ? arguments.file / "model.onnx" : arguments.file;
  const bool validates = wanted.changes_graph() && !arguments.no_validate;
  if (validates) require_backends(false);
  StagedOutput output(arguments.output);
  if (fs::equivalent(file, output.final_folder() / output.model_file(), ignored)) {
    throw Error(Failure::usage, "the output is the file that is read, " + file.string(), "name another folder or file");
  }
  ReadModel read = read_model(file);
  TransformedFile told{file, output.final_folder() / output.model_file(), transform(read.parts, wanted), {}, {}};
  update_metadata(read.parts.model, wanted);
  const uint64_t bytes = bytes_of(read.parts);
  if (validates) require_memory({.weights = bytes, .file = bytes});
  output.require_space(bytes);

  std::vector<ModelToWrite> models;
  models.push_back({std::move(read.parts), output.model_file()});
  const ModelFileOptions how{
      .folder = output.folder(),
      .external_data = arguments.external_data.value_or(read.has_external_data) || !arguments.data_name.empty(),
      .data_file = arguments.data_name,
      .linked = {},
      .planned = {},
      .progress = progress_on(console)};
  for (const ExportedFile& written : write_models(models, how))
    told.files.push_back({output.final_folder() / written.path.filename(), written.bytes});
  console.stop_if_cancelled();
  if (validates) told.validation = compared(file, output.folder() / output.model_file(), wanted, console);
  output.commit();
  report(told, console);
  const bool passes = !told.validation || told.validation->passes();
  console.result()["status"] = passes ? "ok" : "differs";
  if (passes) return 0;
  console.fail(static_cast<int>(Failure::differs), "differs",
               fmt::format("the two files yield other numbers (largest difference {:.3g})",
                           told.validation->largest_difference()),
               "the output is kept for a look at it");
  console.result()["status"] = "differs";
  return static_cast<int>(Failure::differs);
}

}  // namespace onnxport
