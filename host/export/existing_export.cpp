// SPDX-License-Identifier: Apache-2.0
#include "host/export/existing_export.hpp"

#include <fmt/format.h>

#include <fstream>

#include "core/error.hpp"
#include "host/export/layout_files.hpp"
#include "host/export/model_card.hpp"
#include "host/export/write_export.hpp"
#include "host/model/model_summary.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

constexpr const char* validation_metadata = "onnxport.validation";

/// When the last of the checkpoint's files was written.
fs::file_time_type time_of(const fs::path& checkpoint) {
  fs::file_time_type latest = fs::file_time_type::min();
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoint)) {
    const fs::path extension = entry.path().extension();
    const bool is_of_checkpoint =
        extension == ".safetensors" || extension == ".bin" || entry.path().filename() == "config.json";
    std::error_code gone;
    const fs::file_time_type time = fs::last_write_time(entry.path(), gone);
    if (is_of_checkpoint && !gone) latest = std::max(latest, time);
  }
  return latest;
}

std::optional<std::string> other_metadata(const ModelSummary& summary,
                                          const std::map<std::string, std::string>& expected) {
  for (const auto& [key, value] : expected) {
    const auto found = summary.metadata.find(key);
    const std::string there = found == summary.metadata.end() ? "nothing" : "'" + found->second + "'";
    if (found == summary.metadata.end() || found->second != value)
      return fmt::format("it says {} for {}, and this export has '{}'", there, key, value);
  }
  for (const auto& [key, value] : summary.metadata) {
    const bool is_of_export =
        key.starts_with("onnxport.") && key != parts_metadata && key != renamed_metadata && key != measured_metadata;
    if (is_of_export && !expected.contains(key)) return fmt::format("it says '{}' for {}", value, key);
  }
  return std::nullopt;
}

std::optional<std::string> reason_of(const fs::path& model, const ExportToRepeat& wanted) {
  std::error_code absent;
  if (!fs::is_regular_file(model, absent)) return "it is not there";
  const ModelSummary summary = read_model_summary(model);
  if (summary.opset() != wanted.opset)
    return fmt::format("it has opset {}, and this export {}", summary.opset(), wanted.opset);
  for (const std::string& file : summary.external_files) {
    if (!fs::exists(model.parent_path() / file, absent)) return "its weights in " + file + " are not there";
  }
  if (auto other = other_metadata(summary, metadata_of(wanted.plan, wanted.selection))) return other;
  if (fs::last_write_time(model) < time_of(wanted.checkpoint)) return "the checkpoint is newer";
  return std::nullopt;
}

}  // namespace

ExportedFiles files_of(const ExportPlan& plan, const OnnxConfig& config) {
  std::error_code absent;
  const bool names_file = plan.output.extension() == ".onnx" && !fs::is_directory(plan.output, absent);
  const std::string model = names_file ? plan.output.filename().string() : "model.onnx";
  return {names_file ? plan.output.parent_path() : plan.output, layout_files(plan, config, model)};
}

std::optional<std::string> reason_to_export(const ExportToRepeat& wanted, const ExportedFiles& files) {
  for (const GraphFile& graph : files.graphs) {
    const fs::path model = files.folder / graph.file;
    try {
      if (const auto reason = reason_of(model, wanted)) return model.string() + ": " + *reason;
    } catch (const Error& error) {
      return error.what();
    }
  }
  if (wanted.plan.model_card && !fs::exists(files.folder / model_card_file))
    return fmt::format("{} is not there", (files.folder / model_card_file).string());
  return std::nullopt;
}

/// In the encoding of protocol buffers the entries of a list may stand anywhere, also behind all else.
void mark_as_differing(const fs::path& model) {
  const auto field = [](int number, const std::string& bytes) {
    return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} + bytes;
  };
  constexpr int metadata_props = 14, key = 1, value = 2;  // of ModelProto and of StringStringEntryProto
  std::ofstream out(model, std::ios::binary | std::ios::app);
  out << field(metadata_props, field(key, validation_metadata) + field(value, "differs"));
  if (!out.flush()) throw Error(Failure::output, "cannot write " + model.string());
}

}  // namespace onnxport
