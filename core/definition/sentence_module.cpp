// SPDX-License-Identifier: Apache-2.0
// The modules of sentence-transformers as nodes. Source: sentence_transformers.models, 5.1.
#include "core/definition/sentence_module.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <vector>

#include "core/definition/weights.hpp"
#include "core/error.hpp"

namespace onnxport::sentence {
namespace {

using ir::ValueId;

/// Nodes of one module, named after its folder: "1_Pooling".
struct Steps {
  ir::Graph& graph;
  std::string scope;

  ValueId op(const char* name, std::vector<ValueId> inputs, ir::Attributes attributes = {}, const char* domain = "") {
    return graph.add_node({domain, name, scope, std::move(inputs), {}, std::move(attributes), ""})[0];
  }
  ValueId composite(const char* name, std::vector<ValueId> inputs, ir::Attributes attributes = {}) {
    return op(name, std::move(inputs), std::move(attributes), ir::composite_domain);
  }
  ValueId number(float value) { return graph.add_constant(ir::Tensor::f32_scalar(value)); }
  ValueId integer(int64_t value) { return graph.add_constant(ir::Tensor::i64_scalar(value)); }
  ValueId to_float(ValueId x) { return op("Cast", {x}, {{"to", static_cast<int64_t>(ir::DType::f32)}}); }
  ValueId sum(ValueId x) { return op("ReduceSum", {x}, {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{0}}}); }
  /// f32[batch, sequence] -> f32[batch, sequence, 1]
  ValueId column(ValueId x) { return op("Unsqueeze", {x}, {{"axes", std::vector<int64_t>{-1}}}); }
  /// 1, 2, …: f32[sequence]
  ValueId places(ValueId tokens) {
    const ValueId length = composite("Size", {tokens}, {{"axis", int64_t{1}}});
    return to_float(op("Range", {integer(1), op("Add", {length, integer(1)}), integer(1)}));
  }
  /// Every token times its weight, and the sum of the weights, which is not 0.
  struct Sums {
    ValueId tokens, weights;
  };
  Sums weighted(ValueId tokens, ValueId weights) {
    const ValueId each = column(weights);
    return {sum(op("Mul", {tokens, each})), op("Max", {sum(each), number(1e-9F)})};
  }
};

// ----------------------------------------------------------------------------------------------- pooling

using Pool = ValueId (*)(Steps&, const State&);

ValueId pool_cls(Steps& s, const State& at) {
  return s.op("Gather", {at.tokens, s.integer(0)}, {{"axis", int64_t{1}}});
}
ValueId pool_max(Steps& s, const State& at) {
  const ValueId absent =
      s.op("Unsqueeze", {s.op("Equal", {at.mask, s.integer(0)})}, {{"axes", std::vector<int64_t>{-1}}});
  const ValueId counted = s.op("Where", {absent, s.number(-1e9F), at.tokens});
  return s.op("ReduceMax", {counted}, {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{0}}});
}
ValueId pool_mean(Steps& s, const State& at) {
  const Steps::Sums sums = s.weighted(at.tokens, s.to_float(at.mask));
  return s.op("Div", {sums.tokens, sums.weights});
}
ValueId pool_mean_sqrt_len(Steps& s, const State& at) {
  const Steps::Sums sums = s.weighted(at.tokens, s.to_float(at.mask));
  return s.op("Div", {sums.tokens, s.op("Sqrt", {sums.weights})});
}
ValueId pool_weighted_mean(Steps& s, const State& at) {
  const Steps::Sums sums = s.weighted(at.tokens, s.op("Mul", {s.to_float(at.mask), s.places(at.tokens)}));
  return s.op("Div", {sums.tokens, sums.weights});
}
/// The last token that counts has the largest place; a row without any yields zeros.
ValueId pool_last(Steps& s, const State& at) {
  const ValueId places = s.op("Mul", {s.to_float(at.mask), s.places(at.tokens)});
  const ValueId last = s.op("ReduceMax", {places}, {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{1}}});
  const ValueId chosen = s.op("And", {s.op("Equal", {places, last}), s.op("Greater", {places, s.number(0.0F)})});
  return s.sum(s.op("Mul", {at.tokens, s.column(s.to_float(chosen))}));
}

/// In the order in which several are joined. Source: sentence_transformers.models.Pooling.
struct PoolingMode {
  const char *field, *name;  // the flag in config.json, and the value of its newer pooling_mode
  bool by_default;
  Pool pool;
};
constexpr PoolingMode pooling_modes[] = {
    {"pooling_mode_cls_token", "cls", false, pool_cls},
    {"pooling_mode_max_tokens", "max", false, pool_max},
    {"pooling_mode_mean_tokens", "mean", true, pool_mean},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", false, pool_mean_sqrt_len},
    {"pooling_mode_weightedmean_tokens", "weightedmean", false, pool_weighted_mean},
    {"pooling_mode_lasttoken", "lasttoken", false, pool_last},
};

// ------------------------------------------------------------------------------------------------ modules

Module pooling(const ModuleFolder& folder) {
  if (!folder.flag("include_prompt", true))
    folder.refuse("the field 'include_prompt' is false, and a graph does not know how long a prompt is");
  const std::string only = folder.text("pooling_mode", "");
  std::vector<Pool> chosen;
  for (const PoolingMode& mode : pooling_modes) {
    if (only.empty() ? folder.flag(mode.field, mode.by_default) : only == mode.name) chosen.push_back(mode.pool);
  }
  for (const auto& [field, value] : folder.config.items()) {
    const bool known = std::any_of(std::begin(pooling_modes), std::end(pooling_modes),
                                   [&field = field](const PoolingMode& mode) { return field == mode.field; });
    if (field.starts_with("pooling_mode_") && !known && !(value.is_boolean() && !value.get<bool>()))
      folder.refuse(fmt::format("unknown pooling '{}'", field));
  }
  if (chosen.empty()) folder.refuse(only.empty() ? "no pooling is chosen" : fmt::format("unknown pooling '{}'", only));
  return [chosen, scope = folder.path](ir::Graph& graph, const State& at) {
    Steps s{graph, scope};
    std::vector<ValueId> parts;
    for (Pool pool : chosen) parts.push_back(pool(s, at));
    return parts.size() == 1 ? parts[0] : s.op("Concat", parts, {{"axis", int64_t{1}}});
  };
}

/// torch's activations by class name, as one operator each; an empty one does nothing.
struct Activation {
  const char *name, *domain, *op;
};
constexpr Activation activations[] = {
    {"Identity", "", ""},
    {"Tanh", "", "Tanh"},
    {"ReLU", "", "Relu"},
    {"Sigmoid", "", "Sigmoid"},
    {"GELU", ir::composite_domain, "Gelu"},
    {"SiLU", ir::composite_domain, "Silu"},
};

Activation activation_of(const ModuleFolder& folder) {
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

Module dense(const ModuleFolder& folder) {
  const int64_t in = folder.size("in_features"), out = folder.size("out_features");
  const Activation activation = activation_of(folder);
  for (const char* field : {"module_input_name", "module_output_name"}) {
    if (const std::string value = folder.text(field, "sentence_embedding"); value != "sentence_embedding")
      folder.refuse(fmt::format("the field '{}' is '{}', expected 'sentence_embedding'", field, value));
  }
  std::map<std::string, std::vector<int64_t>> shapes{{"linear.weight", {out, in}}};
  if (folder.flag("bias", true)) shapes["linear.bias"] = {out};
  return [weights = weights_of(folder, shapes), activation, scope = folder.path](ir::Graph& graph, const State& at) {
    Steps s{graph, scope};
    std::vector<ValueId> inputs{at.sentence};
    for (const char* part : {"linear.weight", "linear.bias"}) {
      if (const auto found = weights.find(part); found != weights.end())
        inputs.push_back(graph.add_weight(scope + "." + part, found->second));
    }
    const ValueId y = s.composite("Linear", inputs);
    return *activation.op == '\0' ? y : s.op(activation.op, {y}, {}, activation.domain);
  };
}

Module layer_norm(const ModuleFolder& folder) {
  const int64_t width = folder.size("dimension");
  return [weights = weights_of(folder, {{"norm.weight", {width}}, {"norm.bias", {width}}}), scope = folder.path](
             ir::Graph& graph, const State& at) {
    std::vector<ValueId> inputs{at.sentence};
    for (const char* part : {"norm.weight", "norm.bias"})
      inputs.push_back(graph.add_weight(scope + "." + part, weights.at(part)));
    return Steps{graph, scope}.composite("LayerNorm", inputs, {{"epsilon", 1e-5}});
  };
}

Module normalize(const ModuleFolder& folder) {
  return [scope = folder.path](ir::Graph& graph, const State& at) {
    Steps s{graph, scope};
    const ValueId length =
        s.op("ReduceL2", {at.sentence}, {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{1}}});
    return s.op("Div", {at.sentence, s.op("Max", {length, s.number(1e-12F)})});
  };
}

Module dropout(const ModuleFolder&) {
  return [](ir::Graph&, const State& at) { return at.sentence; };
}

constexpr ModuleType module_types[] = {
    {"Pooling", true, pooling},      {"Dense", true, dense},      {"LayerNorm", true, layer_norm},
    {"Normalize", false, normalize}, {"Dropout", false, dropout},
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

const ModuleType* find_module_type(std::string_view name) {
  for (const ModuleType& type : module_types) {
    if (name == type.name) return &type;
  }
  return nullptr;
}

std::string known_module_types() {
  std::vector<std::string_view> names;
  for (const ModuleType& type : module_types) names.emplace_back(type.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace onnxport::sentence
