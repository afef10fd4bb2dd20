// SPDX-License-Identifier: Apache-2.0
#include "core/definition/scores.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/definition/sentence_steps.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

constexpr const char* settings_file = "config_sentence_transformers.json";

struct ScoringOfActivation {
  std::string_view name;  // of a module of torch, without the packages before it
  Scoring scoring;
};
constexpr ScoringOfActivation activations[] = {{"Sigmoid", Scoring::sigmoid},
                                               {"Softmax", Scoring::softmax},
                                               {"Tanh", Scoring::tanh},
                                               {"Identity", Scoring::identity}};

/// What a cross-encoder's files say of it, and where.
struct Stated {
  std::string activation, where;
};

std::optional<std::string> text_in(const Json& json, const char* field) {
  const auto found = json.find(field);
  if (found == json.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

std::optional<Stated> stated(const Json& config, const fs::path& folder) {
  std::error_code ignored;
  if (const fs::path file = folder / settings_file; fs::exists(file, ignored)) {
    if (const auto found = text_in(read_json(file), "activation_fn")) return Stated{*found, settings_file};
  }
  if (const auto own = config.find("sentence_transformers"); own != config.end()) {
    if (const auto found = text_in(*own, "activation_fn"))
      return Stated{*found, "config.json, sentence_transformers.activation_fn"};
  }
  constexpr const char* before_4 = "sbert_ce_default_activation_function";
  if (const auto found = text_in(config, before_4)) return Stated{*found, fmt::format("config.json, {}", before_4)};
  return std::nullopt;
}

Scoring scoring_of(const Stated& said) {
  const size_t dot = said.activation.rfind('.');
  const std::string name = dot == std::string::npos ? said.activation : said.activation.substr(dot + 1);
  for (const ScoringOfActivation& activation : activations) {
    if (name == activation.name) return activation.scoring;
  }
  throw Error(Failure::usage,
              fmt::format("{} says that scores come of '{}'; known are Sigmoid, Softmax, Tanh and Identity", said.where,
                          said.activation),
              "leave the option out, and put this behind the logits outside of the graph; --scores sigmoid or softmax "
              "would score otherwise than the model's authors do");
}

[[noreturn]] void no_rows(const std::string& feature, const std::string& found) {
  throw Error(Failure::usage,
              fmt::format("--scores needs '{}' with one row of labels for each input, and the feature {} has {}",
                          scored_output, feature, found),
              "leave the option out, or choose --feature sequence-classification");
}

template <class Outputs>
auto find_named(Outputs& outputs, std::string_view name) {
  return std::find_if(outputs.begin(), outputs.end(), [&](const auto& output) { return output.name == name; });
}

}  // namespace

Scores Scores::read(const std::string& choice, const Json& config, const fs::path& folder) {
  Scores scores;
  if (choice == "sigmoid") {
    scores.scoring_ = Scoring::sigmoid;
  } else if (choice == "softmax") {
    scores.scoring_ = Scoring::softmax;
  } else if (choice != "auto") {
    throw Error(Failure::usage, fmt::format("scores may come of sigmoid, softmax or auto, and not of '{}'", choice),
                "choose one of these");
  } else if (const auto said = stated(config, folder)) {
    scores.scoring_ = scoring_of(*said);
  }
  const std::string problem = text_in(config, "problem_type").value_or("");
  if (problem == "multi_label_classification") scores.several_ = Scoring::sigmoid;
  if (problem == "regression") scores.several_ = Scoring::identity;
  return scores;
}

void Scores::declare(Description& description, const std::string& feature) const {
  const auto logits = find_named(description.outputs, scored_output);
  if (logits == description.outputs.end()) no_rows(feature, "none");
  if (logits->axes.size() > 2) no_rows(feature, fmt::format("{} axes of them", logits->axes.size()));
  description.outputs.insert(logits, {scores_output, logits->axes});
}

void Scores::append(ir::Graph& graph, const std::string& feature) const {
  const auto logits = find_named(graph.outputs, scored_output);
  const ir::TensorType& type = graph[logits->value].type;
  if (type.shape.size() != 2 || !type.shape[1].is_static()) no_rows(feature, to_string(type));
  sentence::Steps s{graph, scores_output};
  const ir::ValueId x = logits->value;
  ir::ValueId scores = x;
  switch (scoring_for(type.shape[1].size())) {
    case Scoring::sigmoid:
      scores = s.op("Sigmoid", {x});
      break;
    case Scoring::softmax:
      scores = s.op("Softmax", {x}, {{"axis", int64_t{-1}}});
      break;
    case Scoring::tanh:
      scores = s.op("Tanh", {x});
      break;
    case Scoring::identity:
      break;
  }
  graph.outputs.insert(find_named(graph.outputs, scored_output), {scores_output, scores});
}

Scoring Scores::scoring_for(int64_t labels) const {
  if (scoring_ == Scoring::softmax && labels == 1) {
    throw Error(Failure::usage, "the model has one label, of which softmax makes 1 whatever it was given",
                "choose --scores sigmoid");
  }
  if (scoring_) return *scoring_;
  return labels == 1 ? Scoring::sigmoid : several_;
}

}  // namespace onnxport
