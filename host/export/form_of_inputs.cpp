// SPDX-License-Identifier: Apache-2.0
#include "host/export/form_of_inputs.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.hpp"
#include "core/passes/fix_axes.hpp"
#include "core/passes/keep_logits.hpp"
#include "core/passes/narrow_ids.hpp"
#include "core/passes/preallocate_cache.hpp"
#include "host/validation/inputs.hpp"

namespace onnxport {
namespace {

/// What a size beyond the model's own ends in is told by the operator that cannot have it; the user asked for a size.
Error refused_sizes(const std::map<std::string, int64_t>& sizes, const Json& config, const Error& found) {
  std::vector<std::string> words;
  for (const auto& [axis, size] : sizes) words.push_back(fmt::format("--fix {}={}", axis, size));
  const std::string hint = "choose sizes that go together and that the model has room for";
  const auto positions = stated_positions(config);
  return Error(
      Failure::usage, fmt::format("{}: this model cannot have such inputs: {}", fmt::join(words, " "), found.what()),
      positions ? fmt::format("config.json gives {} positions ({}); {}", positions->count, positions->field, hint)
                : hint);
}

void fix(ir::Graph& graph, const std::map<std::string, int64_t>& sizes, const Json& config) {
  try {
    fix_axes(graph, sizes);
  } catch (const Error& error) {
    if (!error.hint().empty()) throw;  // it says what to ask for instead
    throw refused_sizes(sizes, config, error);
  }
}

}  // namespace

ir::Graph in_form(const Definition& definition, const InputForm& form, const Json& config) {
  ir::Graph graph = definition.graph;
  const std::vector<GrowingState> states = growing_states(definition.description);
  const std::string logits = logits_of(definition.description);
  if (form.max_sequence > 0 && !states.empty()) preallocate_cache(graph, states, form.max_sequence);
  if (!form.fixed.empty()) fix(graph, form.fixed, config);
  if (form.kept_logits && !logits.empty()) require_kept_logits(graph, logits);
  if (form.int32) narrow_ids(graph);
  return graph;
}

}  // namespace onnxport
