// SPDX-License-Identifier: Apache-2.0
// The modules of sentence-transformers behind the pooling, and the table of all. Source: sentence-transformers 6.2.
#include "core/definition/sentence_module.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "core/definition/sentence_steps.hpp"
#include "core/definition/weights.hpp"
#include "core/error.hpp"

namespace onnxport::sentence {
namespace {

using ir::ValueId;

/// torch's activations by class name, as one operator each with the class's own defaults; an empty one does nothing.
struct Activation {
  const char *name, *domain, *op;
  double alpha = 0;  // an attribute; 0: there is none
};
constexpr Activation activations[] = {
    {"Identity", "", ""},
    {"Tanh", "", "Tanh"},
    {"ReLU", "", "Relu"},
    {"Sigmoid", "", "Sigmoid"},
    {"GELU", ir::composite_domain, "Gelu"},
    {"SiLU", ir::composite_domain, "Silu"},
    {"LeakyReLU", "", "LeakyRelu", 0.01},
    {"ELU", "", "Elu", 1.0},
    {"Softplus", "", "Softplus"},
    {"Softsign", "", "Softsign"},
    {"Mish", "", "Mish"},
    {"Hardswish", "", "HardSwish"},
};

Activation activation_of(const ModuleFolder& folder) {
  if (folder.config.value("activation_function", Json("")).is_null())
    folder.refuse("the field 'activation_function' is null, expected the name of a class");
  const std::string name = folder.text("activation_function", "torch.nn.modules.activation.Tanh");
  std::vector<std::string_view> known;
  for (const Activation& row : activations) {
    if (name.starts_with("torch.nn.") && name.ends_with(fmt::format(".{}", row.name))) return row;
    known.emplace_back(row.name);
  }
  folder.refuse(fmt::format("the activation '{}' is none of torch's {}", name, fmt::join(known, ", ")));
}

/// The weights beside a module's config.json, each with its expected shape.
std::map<std::string, Weight> weights_of(const ModuleFolder& folder,
                                         const std::map<std::string, std::vector<int64_t>>& shapes) {
  const Checkpoint checkpoint = Checkpoint::open(folder.root / folder.path);
  WeightSource source(checkpoint);
  std::map<std::string, Weight> weights;
  for (const auto& [name, shape] : shapes) weights.emplace(name, source.get(name, shape).second);
  source.finish(false);
  return weights;
}

/// Which value a module reads and which it writes: by its fields, else what the model is about.
struct Names {
  std::string reads, writes;
};
Names names_of(const ModuleFolder& folder) {
  const std::string reads = folder.text("module_input_name", folder.subject);
  const Names names{reads, folder.text("module_output_name", reads)};
  for (const auto& [field, name] : {std::pair{"module_input_name", reads}, {"module_output_name", names.writes}}) {
    if (name != tokens_name && name != sentence_name)
      folder.refuse(
          fmt::format("the field '{}' is '{}', expected '{}' or '{}'", field, name, tokens_name, sentence_name));
  }
  return names;
}

/// A linear layer, an activation, and what it was given beside the two where `use_residual` says so.
Module dense(const ModuleFolder& folder) {
  const int64_t in = folder.size("in_features"), out = folder.size("out_features");
  const Activation activation = activation_of(folder);
  const Names names = names_of(folder);
  const bool residual = folder.flag("use_residual", false);
  std::map<std::string, std::vector<int64_t>> shapes{{"linear.weight", {out, in}}};
  if (folder.flag("bias", true)) shapes["linear.bias"] = {out};
  if (residual && in != out) shapes["residual.weight"] = {out, in};
  const auto run = [weights = weights_of(folder, shapes), activation, names, residual, in, folder, scope = folder.path](
                       ir::Graph& graph, const Features& features) {
    Steps s{graph, scope};
    const auto linear = [&](const ValueId x, std::initializer_list<const char*> parts) {
      std::vector<ValueId> inputs{x};
      for (const char* part : parts) {
        if (const auto found = weights.find(part); found != weights.end())
          inputs.push_back(graph.add_weight(scope + "." + part, found->second));
      }
      return inputs.size() == 1 ? x : s.composite("Linear", inputs);
    };
    const ValueId x = features.values.at(names.reads);
    folder.require_width("in_features", in, graph[x].type.shape);
    ValueId y = linear(x, {"linear.weight", "linear.bias"});
    if (*activation.op != '\0') {
      ir::Attributes attributes;
      if (activation.alpha != 0) attributes["alpha"] = activation.alpha;
      y = s.op(activation.op, {y}, attributes, activation.domain);
    }
    return residual ? s.op("Add", {y, linear(x, {"residual.weight"})}) : y;
  };
  return {names.reads, names.writes, run};
}

Module layer_norm(const ModuleFolder& folder) {
  const int64_t width = folder.size("dimension");
  const auto run = [weights = weights_of(folder, {{"norm.weight", {width}}, {"norm.bias", {width}}}), width, folder,
                    scope = folder.path](ir::Graph& graph, const Features& features) {
    std::vector<ValueId> inputs{features.values.at(sentence_name)};
    folder.require_width("dimension", width, graph[inputs[0]].type.shape);
    for (const char* part : {"norm.weight", "norm.bias"})
      inputs.push_back(graph.add_weight(scope + "." + part, weights.at(part)));
    return Steps{graph, scope}.composite("LayerNorm", inputs, {{"epsilon", 1e-5}});
  };
  return {sentence_name, sentence_name, run};
}

Module normalize(const ModuleFolder& folder) {
  const Names names = names_of(folder);
  const auto run = [names, scope = folder.path](ir::Graph& graph, const Features& features) {
    Steps s{graph, scope};
    const ValueId x = features.values.at(names.reads);
    const ValueId length = s.op("ReduceL2", {x}, {{"axes", Steps::Axes{-1}}, {"keepdims", int64_t{1}}});
    return s.op("Div", {x, s.op("Max", {length, s.number(1e-12F)})});
  };
  return {names.reads, names.writes, run};
}

Module dropout(const ModuleFolder&) {
  return {sentence_name, sentence_name,
          [](ir::Graph&, const Features& features) { return features.values.at(sentence_name); }};
}

/// Which tokens are scored depends on their words, which a graph does not know: it changes no vector.
Module multi_vector_mask(const ModuleFolder&) {
  return {tokens_name, tokens_name,
          [](ir::Graph&, const Features& features) { return features.values.at(tokens_name); }};
}

constexpr ModuleType module_types[] = {
    {"Pooling", true, read_pooling},
    {"SpladePooling", true, read_splade_pooling},
    {"Dense", true, dense},
    {"LayerNorm", true, layer_norm},
    {"Normalize", false, normalize},
    {"Dropout", false, dropout},
    {"MultiVectorMask", false, multi_vector_mask},
};

}  // namespace

void ModuleFolder::refuse(const std::string& what) const {
  throw Error(Failure::checkpoint, fmt::format("{}: {}", (root / path / "config.json").string(), what),
              "sentence-embedding does not implement this, and would rather not guess; export --feature default and do "
              "this step outside of the graph");
}

bool ModuleFolder::flag(const std::string& field, bool fallback) const {
  const auto found = config.find(field);
  if (found == config.end()) return fallback;
  if (!found->is_boolean()) refuse(fmt::format("the field '{}' is {}, expected true or false", field, found->dump()));
  return found->get<bool>();
}

std::string ModuleFolder::text(const std::string& field, const std::string& fallback) const {
  const auto found = config.find(field);
  if (found == config.end() || found->is_null()) return fallback;
  if (!found->is_string()) refuse(fmt::format("the field '{}' is {}, expected a text", field, found->dump()));
  return found->get<std::string>();
}

int64_t ModuleFolder::size(const std::string& field) const {
  const auto found = config.find(field);
  if (found == config.end() || !found->is_number_integer() || found->get<int64_t>() <= 0)
    refuse(fmt::format("the field '{}' is missing or no size", field));
  return found->get<int64_t>();
}

void ModuleFolder::require_width(const char* field, int64_t stated, const ir::Shape& given) const {
  const std::optional<int64_t> width = given.empty() ? std::nullopt : given.back().maybe_size();
  if (!width || *width == stated) return;
  throw Error(Failure::checkpoint,
              fmt::format("{}: the field '{}' is {}, and what comes before yields {} numbers",
                          (root / path / "config.json").string(), field, stated, *width),
              "a file of another model lies there, or the poolings are others: download the folders again");
}

const ModuleType* find_module_type(std::string_view name) {
  for (const ModuleType& type : module_types) {
    if (name == type.name) return &type;
  }
  return nullptr;
}

Module truncation(int64_t width) {
  const auto run = [width](ir::Graph& graph, const Features& features) {
    const ValueId x = features.values.at(sentence_name);
    const std::optional<int64_t> given = graph[x].type.shape.back().maybe_size();
    if (given && *given <= width) return x;
    return Steps{graph, truncation_field}.op(
        "Slice", {x}, {{"starts", Steps::Axes{0}}, {"ends", Steps::Axes{width}}, {"axes", Steps::Axes{-1}}});
  };
  return {sentence_name, sentence_name, run};
}

std::string known_module_types() {
  std::vector<std::string_view> names;
  for (const ModuleType& type : module_types) names.emplace_back(type.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace onnxport::sentence
