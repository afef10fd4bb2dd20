// SPDX-License-Identifier: Apache-2.0
// Modules of sentence-transformers that make one vector of a text's tokens.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/definition/sentence_module.hpp"
#include "core/definition/sentence_steps.hpp"
#include "core/lower_case.hpp"

namespace onnxport::sentence {
namespace {

using ir::ValueId;

/// What a pooling reads: f32[batch, sequence, n], and i64[batch, sequence], 1 where a token counts.
struct Tokens {
  ValueId values, counted;
  ValueId mask;  // the model's own, in which a prompt counts, too
};

/// Every token times its weight, and the sum of the weights, which is not 0.
struct Sums {
  ValueId tokens, weights;
};
Sums weighted(Steps& s, ValueId tokens, ValueId weights) {
  const ValueId each = s.column(weights);
  return {s.sum(s.op("Mul", {tokens, each})), s.op("Max", {s.sum(each), s.number(1e-9F)})};
}

using Pool = ValueId (*)(Steps&, const Tokens&);

/// The first token that counts.
ValueId pool_cls(Steps& s, const Tokens& at) {
  return s.op("GatherND", {at.values, s.first(at.counted)}, {{"batch_dims", int64_t{1}}});
}
ValueId pool_max(Steps& s, const Tokens& at) {
  const ValueId absent = s.column(s.op("Equal", {at.counted, s.integer(0)}));
  return s.largest(s.op("Where", {absent, s.number(-1e9F), at.values}));
}
ValueId pool_mean(Steps& s, const Tokens& at) {
  const Sums sums = weighted(s, at.values, s.to_float(at.counted));
  return s.op("Div", {sums.tokens, sums.weights});
}
ValueId pool_mean_sqrt_len(Steps& s, const Tokens& at) {
  const Sums sums = weighted(s, at.values, s.to_float(at.counted));
  return s.op("Div", {sums.tokens, s.op("Sqrt", {sums.weights})});
}
/// Tokens weigh 1, 2, … from where the text begins, its prompt included.
ValueId pool_weighted_mean(Steps& s, const Tokens& at) {
  const ValueId places = s.op("Sub", {s.op("Add", {s.places(at.mask), s.integer(1)}), s.first(at.mask)});
  const Sums sums = weighted(s, at.values, s.to_float(s.op("Mul", {at.counted, places})));
  return s.op("Div", {sums.tokens, sums.weights});
}
/// The last token that counts has the largest place; a row without any yields zeros.
ValueId pool_last(Steps& s, const Tokens& at) {
  const ValueId places = s.op("Mul", {at.counted, s.op("Add", {s.places(at.mask), s.integer(1)})});
  const ValueId last = s.op("ReduceMax", {places}, {{"axes", Steps::Axes{1}}, {"keepdims", int64_t{1}}});
  const ValueId chosen = s.op("And", {s.op("Equal", {places, last}), s.op("Greater", {places, s.integer(0)})});
  return s.sum(s.op("Mul", {at.values, s.column(s.to_float(chosen))}));
}

/// In the order in which flags are joined; the newer field gives its own.
struct PoolingMode {
  const char *field, *name;  // the flag in config.json, and the value of its newer pooling_mode
  Pool pool;
};
constexpr PoolingMode pooling_modes[] = {
    {"pooling_mode_cls_token", "cls", pool_cls},
    {"pooling_mode_max_tokens", "max", pool_max},
    {"pooling_mode_mean_tokens", "mean", pool_mean},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", pool_mean_sqrt_len},
    {"pooling_mode_weightedmean_tokens", "weightedmean", pool_weighted_mean},
    {"pooling_mode_lasttoken", "lasttoken", pool_last},
};

/// Until sentence-transformers 5 the case of letters did not matter.
Pool pool_named(const ModuleFolder& folder, const Json& name) {
  const std::string lower = lower_case(name.is_string() ? name.get<std::string>() : "");
  std::vector<std::string_view> known;
  for (const PoolingMode& mode : pooling_modes) {
    if (lower == mode.name) return mode.pool;
    known.emplace_back(mode.name);
  }
  folder.refuse(fmt::format("unknown pooling {}; known are {}", name.dump(), fmt::join(known, ", ")));
}

/// The field pooling_mode: a name, or a list of them.
std::vector<Pool> named_poolings(const ModuleFolder& folder, const Json& given) {
  std::vector<Pool> chosen;
  if (!given.is_array()) return {pool_named(folder, given)};
  for (const Json& name : given) chosen.push_back(pool_named(folder, name));
  if (chosen.empty()) folder.refuse("the field 'pooling_mode' names no pooling");
  return chosen;
}

/// The older form, a flag each. Where none is set, the mean.
std::vector<Pool> flagged_poolings(const ModuleFolder& folder) {
  std::vector<Pool> chosen;
  for (const PoolingMode& mode : pooling_modes) {
    if (folder.flag(mode.field, false)) chosen.push_back(mode.pool);
  }
  for (const auto& [field, value] : folder.config.items()) {
    const bool known = std::any_of(std::begin(pooling_modes), std::end(pooling_modes),
                                   [&field = field](const PoolingMode& mode) { return field == mode.field; });
    if (field.starts_with("pooling_mode_") && !known && !(value.is_boolean() && !value.get<bool>()))
      folder.refuse(fmt::format("unknown pooling '{}'", field));
  }
  return chosen.empty() ? std::vector<Pool>{pool_mean} : chosen;
}

/// The mask without the first `prompt_length` tokens of each text.
ValueId without_prompt(Steps& s, const Features& features) {
  const ValueId length = s.op("Gather", {features.prompt_length, s.integer(0)}, {{"axis", int64_t{0}}});
  const ValueId begin = s.op("Add", {s.first(features.mask), length});
  const ValueId behind = s.op("GreaterOrEqual", {s.places(features.mask), begin});
  return s.op("Mul", {features.mask, s.cast(behind, ir::DType::i64)});
}

}  // namespace

Module read_pooling(const ModuleFolder& folder) {
  const auto given = folder.config.find("pooling_mode");
  const bool named = given != folder.config.end() && !given->is_null();
  const std::vector<Pool> chosen = named ? named_poolings(folder, *given) : flagged_poolings(folder);
  const bool excludes_prompt = !folder.flag("include_prompt", true);
  const auto run = [chosen, excludes_prompt, scope = folder.path](ir::Graph& graph, const Features& features) {
    Steps s{graph, scope};
    const ValueId counted = excludes_prompt ? without_prompt(s, features) : features.mask;
    std::vector<ValueId> parts;
    for (Pool pool : chosen) parts.push_back(pool(s, {features.values.at(tokens_name), counted, features.mask}));
    return parts.size() == 1 ? parts[0] : s.op("Concat", parts, {{"axis", int64_t{1}}});
  };
  return {tokens_name, sentence_name, run, excludes_prompt};
}

Module read_splade_pooling(const ModuleFolder& folder) {
  const std::string strategy = folder.text("pooling_strategy", "max");
  const std::string activation = folder.text("activation_function", "relu");
  if (strategy != "max" && strategy != "sum")
    folder.refuse(fmt::format("unknown pooling_strategy '{}'; known are max, sum", strategy));
  if (activation != "relu" && activation != "log1p_relu")
    folder.refuse(fmt::format("unknown activation_function '{}'; known are relu, log1p_relu", activation));
  const int logarithms = activation == "relu" ? 1 : 2;
  const auto run = [=, scope = folder.path](ir::Graph& graph, const Features& features) {
    Steps s{graph, scope};
    // A token that does not count weighs 0, as does a word that none of the texts is about.
    ValueId x = s.op("Mul", {features.values.at(tokens_name), s.column(s.to_float(features.mask))});
    x = s.op("Relu", {x});
    // The logarithm is monotonous: behind the largest it is computed once a word, not once a token.
    if (strategy == "max") x = s.largest(x);
    for (int i = 0; i < logarithms; ++i) x = s.op("Log", {s.op("Add", {x, s.number(1.0F)})});
    return strategy == "max" ? x : s.sum(x);
  };
  return {tokens_name, sentence_name, run};
}

}  // namespace onnxport::sentence
