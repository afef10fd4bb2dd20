// SPDX-License-Identifier: Apache-2.0
#include "host/export/existing_export.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include "core/error.hpp"
#include "core/onnx/model_file.hpp"
#include "core/output/companions.hpp"
#include "core/split_list.hpp"
#include "host/export/layout_files.hpp"
#include "host/export/model_card.hpp"
#include "host/export/write_export.hpp"
#include "host/model/added_metadata.hpp"
#include "host/model/model_summary.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

constexpr const char* validation_metadata = "onnxport.validation";

/// When the last of the checkpoint's files was written that an export is made of.
fs::file_time_type time_of(const fs::path& checkpoint) {
  fs::file_time_type latest = fs::file_time_type::min();
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoint)) {
    const fs::path extension = entry.path().extension();
    const bool is_of_checkpoint =
        extension == ".safetensors" || extension == ".bin" || is_companion(entry.path().filename());
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
    const bool is_of_export = key.starts_with("onnxport.") && key != parts_metadata && key != renamed_metadata &&
                              key != measured_metadata && key != package_files_metadata;
    if (is_of_export && !expected.contains(key)) return fmt::format("it says '{}' for {}", value, key);
  }
  return std::nullopt;
}

/// What lies beside the models: weights, and what the package made, of which one of the models tells.
struct Beside {
  std::set<std::string> files;
  uint64_t bytes = 0;
  uint64_t largest_inside = 0;  // bytes of the largest weight that lies in a model all the same
  std::vector<std::string> made;
};

/// One graph; adds what it tells of others.
std::optional<std::string> reason_of(const fs::path& model, const ExportToRepeat& wanted, Beside& beside) {
  std::error_code absent;
  if (!fs::is_regular_file(model, absent)) return "it is not there";
  const ModelSummary summary = read_model_summary(model);
  if (summary.opset() != wanted.opset)
    return fmt::format("it has opset {}, and this export {}", summary.opset(), wanted.opset);
  for (const auto& [file, end] : summary.external_files) {
    const uintmax_t size = fs::file_size(model.parent_path() / file, absent);
    if (absent) return "its weights in " + file + " are not there";
    if (size < end) return fmt::format("its weights in {} end at byte {}, and {} are there", file, end, size);
    if (beside.files.insert(file).second) beside.bytes += end;
  }
  beside.largest_inside = std::max(beside.largest_inside, summary.largest_inside);
  if (const auto told = summary.metadata.find(package_files_metadata); told != summary.metadata.end())
    beside.made = split_list(told->second);
  if (auto other = other_metadata(summary, metadata_of(wanted.plan, wanted.selection))) return other;
  if (fs::last_write_time(model) < time_of(wanted.checkpoint)) return "the checkpoint is newer";
  return std::nullopt;
}

/// Whether weights lie where this export puts them.
std::optional<std::string> reason_of_place(const ExportPlan& plan, const Beside& beside) {
  const WeightPlan& weights = plan.weights;
  const bool has_large = beside.largest_inside >= inline_below;  // small ones stay inside in any case
  if (weights.external_data && has_large) return "its weights lie in the model's file";
  if (!weights.data_name.empty() && !beside.files.contains(weights.data_name) && (has_large || !beside.files.empty()))
    return "its weights do not lie in " + weights.data_name;
  const bool is_too_large = OnnxConfig::use_external_data_format(beside.bytes / ir::size_of(weights.dtype));
  const bool may_lie_beside = weights.external_data || !weights.data_name.empty() || is_too_large ||
                              !plan.layout->shared_data_file.empty() || weights.place == WeightPlace::link;
  if (!beside.files.empty() && (weights.place == WeightPlace::embed || !may_lie_beside))
    return "its weights lie beside it, in " + *beside.files.begin();
  return std::nullopt;
}

bool same_bytes(const fs::path& one, const fs::path& other) {
  std::error_code absent;
  if (fs::file_size(one, absent) != fs::file_size(other, absent) || absent) return false;
  std::ifstream in(one, std::ios::binary), like(other, std::ios::binary);
  using Bytes = std::istreambuf_iterator<char>;
  return in && like && std::equal(Bytes(in), Bytes(), Bytes(like), Bytes());
}

/// What stands beside the models: copies of the checkpoint's files, and what the package made.
std::optional<std::string> reason_of_others(const ExportToRepeat& wanted, const fs::path& folder,
                                            const std::vector<std::string>& made) {
  std::error_code absent;
  for (const std::string& name : made) {
    const uintmax_t size = fs::file_size(folder / name, absent);
    if (absent || size == 0) return fmt::format("{}: it is not there", (folder / name).string());
  }
  if (fs::equivalent(wanted.checkpoint, folder, absent)) return std::nullopt;
  for (const fs::path& name : companion_files(wanted.checkpoint)) {
    const bool is_copy = std::find(made.begin(), made.end(), name.string()) == made.end();
    if (is_copy && !same_bytes(wanted.checkpoint / name, folder / name))
      return fmt::format("{}: it is not there as the checkpoint has it", (folder / name).string());
  }
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
  const ExportPlan& plan = wanted.plan;
  try {
    Beside beside;
    for (const GraphFile& graph : files.graphs) {
      const fs::path model = files.folder / graph.file;
      if (const auto reason = reason_of(model, wanted, beside)) return model.string() + ": " + *reason;
    }
    if (const auto reason = reason_of_place(plan, beside))
      return (files.folder / files.graphs[0].file).string() + ": " + *reason;
    if (files.folder == plan.output) {  // not the name of a file, beside which nothing is put
      if (auto reason = reason_of_others(wanted, files.folder, beside.made)) return reason;
    }
  } catch (const Error& error) {
    return error.what();
  }
  if (plan.model_card && !fs::exists(files.folder / model_card_file))
    return fmt::format("{} is not there", (files.folder / model_card_file).string());
  return std::nullopt;
}

void mark_as_differing(const fs::path& model) {
  add_metadata(model, {validation_metadata, "differs"});
}

}  // namespace onnxport
