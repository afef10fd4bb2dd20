// SPDX-License-Identifier: Apache-2.0
#include "core/package/layout.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/error.hpp"

namespace onnxport {
namespace {

// The first is transformers.onnx's, the others are optimum's. Decoders of several files hold the same weights: in a
// data file beside them these lie once.
const Layout rows[] = {
    {.name = "single", .summary = "one graph", .graphs = Graphs::whole},
    {.name = "split",
     .summary = "encoder and decoder apart",
     .graphs = Graphs::by_part,
     .part_file = "{}_model.onnx",
     .named_file = "{}.onnx",
     .shared_data_file = "model.onnx_data"},
    {.name = "merged",
     .summary = "both decoder steps in one file",
     .graphs = Graphs::merged,
     .part_file = "{}_model.onnx",
     .named_file = "{}.onnx",
     .merged_file = "{}_model_merged.onnx"},
};

/// The part that continues what this one began; empty where none does.
std::string cached_step_of(const OnnxConfig& config, const std::string& part) {
  for (const std::string& other : config.parts()) {
    if (config.first_step(other) == part) return other;
  }
  return {};
}

/// Parts whose files consumers know by the part's name alone. Source: transformers.js and optimum.
constexpr std::string_view named_alone[] = {
    "vision_encoder", "audio_encoder", "text_encoder", "embed_tokens", "prompt_encoder_mask_decoder",
    "encodec_decode", "model"};

bool is_named_alone(const std::string& part) {
  return std::find(std::begin(named_alone), std::end(named_alone), part) != std::end(named_alone);
}

std::string file_of(std::string pattern, const std::string& part) {
  for (size_t at = pattern.find("{}"); at != std::string::npos; at = pattern.find("{}", at + part.size()))
    pattern.replace(at, 2, part);
  return pattern;
}

/// Whether the part is first step and cached one in one graph.
bool serves_both(const OnnxConfig& config, const std::string& part) {
  return !config.description(part).states.empty() && config.first_step(part).empty() &&
         cached_step_of(config, part).empty();
}

/// Throws where the model has no first step to merge with a cached one.
void require_merged(const Layout& layout, const OnnxConfig& config, const std::vector<GraphFile>& files) {
  const bool merged = std::any_of(files.begin(), files.end(), [&](const GraphFile& file) {
    return file.parts.size() > 1 || serves_both(config, file.parts[0]);
  });
  if (merged) return;
  if (config.with_past()) {
    throw Error(Failure::usage,
                fmt::format("--layout {} joins a first step and the cached ones, and plugin {} does not say which of "
                            "its parts ({}) are those",
                            layout.name, config.plugin_id(), fmt::join(config.parts(), ", ")),
                "choose --layout split");
  }
  throw Error(Failure::usage,
              fmt::format("--layout {} joins the first decoder step and the cached ones, and the feature '{}' has no "
                          "cache",
                          layout.name, config.feature()),
              fmt::format("choose --feature {}-with-past, or --layout split", config.feature()));
}

}  // namespace

std::span<const Layout> layouts() {
  return rows;
}

const Layout* find_layout(std::string_view name) {
  const auto found =
      std::find_if(std::begin(rows), std::end(rows), [&](const Layout& row) { return row.name == name; });
  return found == std::end(rows) ? nullptr : found;
}

const Layout& layout_from(std::string_view name) {
  if (const Layout* found = find_layout(name)) return *found;
  std::string known;
  for (const Layout& layout : rows) {
    if (!known.empty()) known += &layout == std::end(rows) - 1 ? " or " : ", ";
    known += layout.name;
  }
  throw Error(Failure::usage, fmt::format("there is no layout '{}'", name), "choose " + known);
}

std::vector<GraphFile> graph_files(const Layout& layout, const OnnxConfig& config, const std::string& model_file) {
  const std::string& whole_file = layout.whole_file.empty() ? model_file : layout.whole_file;
  if (layout.graphs == Graphs::whole) return {{whole_file, {""}}};
  const std::vector<std::string> parts = config.parts();
  if (parts.empty()) {
    if (layout.any_model) return {{whole_file, {""}}};
    throw Error(Failure::usage,
                fmt::format("--layout {} is for models of several parts, and one of type '{}' with feature '{}' is one "
                            "graph",
                            layout.name, config.model_type(), config.feature()),
                "leave --layout out, for --layout single");
  }
  const bool merges = layout.graphs == Graphs::merged;
  std::vector<GraphFile> files;
  const auto& besides = layout.whole_besides;
  if (std::find_first_of(parts.begin(), parts.end(), besides.begin(), besides.end()) != parts.end())
    files.push_back({whole_file, {""}});
  for (const std::string& part : parts) {
    if (merges && !config.first_step(part).empty()) continue;  // stands under its first step
    const std::string cached = merges ? cached_step_of(config, part) : "";
    const bool both = merges && (!cached.empty() || serves_both(config, part));
    const std::string& pattern = is_named_alone(part) ? layout.named_file
                                 : both               ? layout.merged_file
                                                      : layout.part_file;
    GraphFile& file = files.emplace_back(GraphFile{file_of(pattern, part), {part}});
    if (!cached.empty()) file.parts.push_back(cached);
  }
  if (merges && !layout.any_model) require_merged(layout, config, files);
  return files;
}

}  // namespace onnxport
