// SPDX-License-Identifier: Apache-2.0
#include "host/report/json.hpp"

namespace onnxport {
namespace {

Json object_of(const ValidationRun& run) {
  Json json{{"label", run.label}, {"passes", run.passes}, {"outputs", Json::array()}};
  if (!run.problem.empty()) json["problem"] = run.problem;
  for (const Difference& difference : run.differences) {
    Json& output = json["outputs"].emplace_back(Json{{"name", difference.output},
                                                     {"max_difference", difference.max_abs},
                                                     {"mean_difference", difference.mean_abs},
                                                     {"max_relative_difference", difference.max_rel},
                                                     {"cosine", difference.cosine},
                                                     {"passes", difference.passes},
                                                     {"problem", difference.problem}});
    if (difference.same_best) output["same_best_class"] = *difference.same_best;
    if (difference.same_best_five) output["same_best_five"] = *difference.same_best_five;
  }
  return json;
}

Json ranges_of(const std::vector<ModuleRange>& ranges) {
  Json list = Json::array();
  for (const ModuleRange& range : ranges)
    list.push_back({{"module", range.module}, {"operator", range.op}, {"largest", range.largest}});
  return list;
}

Json object_of(const StepDifference& step) {
  return {{"module", step.module},
          {"operator", step.op},
          {"shape", step.shape},
          {"max_difference", step.difference.max_abs},
          {"mean_difference", step.difference.mean_abs},
          {"max_relative_difference", step.difference.max_rel},
          {"cosine", step.difference.cosine},
          {"passes", !step.departs()},
          {"problem", step.difference.problem}};
}

Json object_of(const SegmentDifference& segment) {
  const auto numbers = [](const Difference& worst) -> Json {
    return {{"of", worst.output},
            {"max_difference", worst.max_abs},
            {"mean_difference", worst.mean_abs},
            {"max_relative_difference", worst.max_rel},
            {"cosine", worst.cosine},
            {"passes", worst.passes}};
  };
  return {{"from", segment.from},
          {"to", segment.to},
          {"weight_bytes", segment.weights},
          {"own", numbers(segment.own)},
          {"carried", numbers(segment.total)}};
}

Json names_of(const std::vector<ExportedValue>& values) {
  Json names = Json::array();
  for (const ExportedValue& value : values) names.push_back(value.name);
  return names;
}

}  // namespace

void fill_json(const ChosenModel& chosen, Json& json) {
  const Selection& selection = chosen.selection;
  json["model"] = chosen.name;
  json["model_type"] = selection.model_type;
  json["feature"] = selection.feature;
  json["plugin"] = {{"id", selection.plugin_id}, {"version", selection.plugin_version}};
  if (!selection.plugin_sha256.empty()) json["plugin"]["sha256"] = selection.plugin_sha256;
  fill_json(selection.decisions, json);
  if (!selection.extension_id.empty())
    json["extension"] = {{"id", selection.extension_id}, {"version", selection.extension_version}};
  if (!selection.transformers_version.empty()) json["transformers_version"] = selection.transformers_version;
  const auto& facts = selection.onnx_config->description().texts;
  if (const auto positions = facts.find("positions"); positions != facts.end())
    json["position_ids"] = positions->second;
  if (!selection.feature_source.empty()) json["feature_source"] = selection.feature_source;
  if (const auto prompts = selection.onnx_config->prompts(); !prompts.empty()) json["prompts"] = prompts;
}

void fill_json(const JudgeFiles& files, Json& json) {
  const auto add = [&](const char* kind, const std::filesystem::path& file) {
    json["judged_by"].push_back({{"path", file.string()}, {"kind", kind}});
  };
  for (const std::filesystem::path& file : files.cases) add("case", file);
  for (const ScriptReference& reference : files.references) add("original", reference.file);
  if (!files.calibration.empty()) add("calibration", files.calibration);
}

void fill_json(const std::vector<TrustDecision>& decisions, Json& json) {
  for (const TrustDecision& decision : decisions) {
    json["trust"].push_back({{"what", decision.what},
                             {"id", decision.id},
                             {"policy", decision.policy.string()},
                             {"allowed", decision.allowed},
                             {"by", decision.by}});
  }
}

void fill_json(const FetchedCheckpoint& fetched, Json& json) {
  json["checkpoint"] = {{"folder", fetched.folder.string()},
                        {"commit", fetched.commit},
                        {"fetched_files", fetched.files},
                        {"fetched_bytes", fetched.bytes}};
}

void fill_json(const WriteForecast& forecast, Json& json) {
  json["planned_bytes"] = forecast.bytes;
  if (forecast.seconds) json["predicted_seconds"] = *forecast.seconds;
}

void fill_json(const WrittenExport& written, Json& json) {
  if (!written.linked.empty()) json["linked"] = written.linked;
  if (!written.linked.empty() && !written.not_linked.empty()) json["not_linked"] = written.not_linked;
  json["opset"] = written.opset;
  json["output"] = written.folder.string();
  json["model_file"] = (written.folder / written.graphs[0].file).string();
  json["files"] = Json::array();
  for (const WrittenExport::File& file : written.files)
    json["files"].push_back({{"path", (written.folder / file.name).string()}, {"bytes", file.bytes}});
  if (written.graphs.size() == 1) {
    const ExportedGraph& graph = written.graphs[0];
    json["nodes"] = graph.nodes;
    json["initializers"] = graph.initializers;
    json["inputs"] = names_of(graph.inputs);
    json["outputs"] = names_of(graph.outputs);
    return;
  }
  json["graphs"] = Json::array();
  for (const ExportedGraph& graph : written.graphs) {
    json["graphs"].push_back({{"file", graph.file},
                              {"nodes", graph.nodes},
                              {"initializers", graph.initializers},
                              {"inputs", names_of(graph.inputs)},
                              {"outputs", names_of(graph.outputs)}});
  }
}

void fill_json(const ExportValidation& found, Json& json) {
  Json& validation = json["validation"];
  validation["memory"] = {{"available", found.memory.available},
                          {"weights_in_files", found.memory.in_files},
                          {"keeps_weights", found.memory.keeps_weights},
                          {"graph_optimised", found.memory.makes_copies}};
  if (found.memory.segment_weights) validation["memory"]["segment_weights"] = *found.memory.segment_weights;
  if (found.substitute) validation["substitute"] = "f32 with weights rounded to bf16";
  for (const FileValidation& file : found.files) {
    if (!file.reference.empty()) validation["reference"] = file.reference;
    validation["runtime"] = file.runtime;
    validation["checker"] = true;
    validation["atol"] = found.tolerance.absolute;
    validation["rtol"] = found.tolerance.relative;
    if (found.tolerance.of_largest > 0) validation["tolerance_of_largest"] = found.tolerance.of_largest;
    for (const ValidationReport& comparison : file.comparisons) {
      for (const ValidationRun& run : comparison.runs) {
        Json& object = validation["runs"].emplace_back(object_of(run));
        if (!comparison.judge.empty()) object["original"] = comparison.judge;
      }
      for (const std::string& what : comparison.not_compared) validation["not_compared"].push_back(what);
      if (comparison.frozen_axis) validation["frozen_axis"] = *comparison.frozen_axis;
      for (const SegmentDifference& segment : comparison.segments) validation["segments"].push_back(object_of(segment));
      if (comparison.first_departure) validation["first_departure"] = *comparison.first_departure;
      for (const StepDifference& step : comparison.steps) validation["steps"].push_back(object_of(step));
    }
  }
  if (found.cached_step) validation["runs"].push_back(object_of(*found.cached_step));
  if (!found.overflows.empty()) validation["overflows"] = ranges_of(found.overflows);
  validation["status"] = found.passes() ? "passed" : "failed";
  validation["largest_difference"] = found.largest_difference();
}

void fill_json(const KeptInRange& kept, Json& json) {
  json["kept_in_fp32"] = {{"limit", kept.limit}, {"modules", ranges_of(kept.modules)}};
}

void fill_json(const ModelCard& card, Json& json) {
  json["model_card"] = card.file.string();
}

}  // namespace onnxport
