// SPDX-License-Identifier: Apache-2.0
#include "host/plan/input_plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "core/dummy/sizes.hpp"
#include "core/error.hpp"
#include "core/export/export.hpp"
#include "core/split_list.hpp"

namespace onnxport {
namespace {

constexpr const char *fixed_key = "onnxport.fixed", *ids_key = "onnxport.ids", *kept_key = "onnxport.kept_logits",
                     *buffer_key = "onnxport.max_sequence";

/// The names of axes that inputs of a graph have.
std::set<std::string> axes_of(const Description& description) {
  std::set<std::string> names;
  for (const InputSpec& input : description.inputs) {
    for (const ir::Dim& dim : input.type.shape) {
      for (const auto& [symbol, factor] : dim.terms()) names.insert(symbol);
    }
    for (const auto& [axis, name] : input.open_axes) names.insert(name);
  }
  return names;
}

void require_size(const std::string& axis, int64_t size, const Description& description) {
  const auto stated = description.axes.find(axis);
  if (stated == description.axes.end()) return;
  const int64_t nearest = dummy::fit(stated->second, size);
  if (nearest == size) return;
  const AxisSize& limits = stated->second;
  std::string allowed = fmt::format("at least {}", std::max<int64_t>(1, limits.minimum));
  if (limits.maximum > 0) allowed += fmt::format(", at most {}", limits.maximum);
  if (limits.step > 1) allowed += fmt::format(", a multiple of {}", limits.step);
  throw Error(Failure::usage, fmt::format("--fix {}={}: this model takes {}", axis, size, allowed),
              fmt::format("pass --fix {}={}, or another such size", axis, nearest));
}

/// Throws Error(usage) where states cannot be kept in buffers.
void require_buffers(const OnnxConfig& config, const std::vector<GraphFile>& files) {
  const std::string model =
      fmt::format("a model of type '{}' with feature '{}'", config.model_type(), config.feature());
  size_t found = 0;
  for (const GraphFile& file : files) {
    for (const std::string& part : file.parts) {
      const std::vector<GrowingState> states = growing_states(config.description(part));
      found += states.size();
      if (states.empty()) continue;
      // A first step of its own would put out what has no buffer.
      if (file.parts.size() > 1 || !config.first_step(part).empty())
        throw Error(Failure::usage, fmt::format("--max-sequence: {} has its cache between several graphs here", model),
                    "leave it out, or choose a layout of one graph");
      for (const GrowingState& state : states) {
        if (!state.total.input.empty() && !state.step.input.empty()) continue;
        throw Error(Failure::usage,
                    fmt::format("--max-sequence: no input of {} tells how much of the buffer '{}' is filled, as a mask "
                                "of all tokens does",
                                model, state.past),
                    "leave it out");
      }
    }
  }
  if (found == 0)
    throw Error(Failure::usage, fmt::format("--max-sequence: {} has no cache that grows", model),
                "leave it out, or choose a feature with a past, such as causal-lm-with-past");
}

}  // namespace

std::map<std::string, int64_t> fixed_axes(const std::vector<std::string>& words) {
  std::map<std::string, int64_t> fixed;
  for (const std::string& word : words) {
    const size_t equals = word.rfind('=');
    int64_t size = 0;
    const char* end = word.data() + word.size();
    const bool has_size = equals != std::string::npos && equals > 0 &&
                          std::from_chars(word.data() + equals + 1, end, size).ptr == end && size > 0;
    if (!has_size) {
      throw Error(Failure::usage, fmt::format("--fix {} gives no axis a size", word),
                  "say which axis has which size, such as --fix batch=1");
    }
    const auto [known, fresh] = fixed.emplace(word.substr(0, equals), size);
    if (!fresh && known->second != size)
      throw Error(Failure::usage,
                  fmt::format("--fix gives the axis '{}' two sizes, {} and {}", known->first, known->second, size),
                  "leave one of the two out");
  }
  return fixed;
}

std::string to_text(const std::map<std::string, int64_t>& fixed) {
  std::string text;
  for (const auto& [axis, size] : fixed) text += fmt::format("{}{}={}", text.empty() ? "" : ",", axis, size);
  return text;
}

InputForm plan_inputs(const ExportArguments& arguments) {
  return {.fixed = fixed_axes(arguments.fixed),
          .int32 = value_of(id_choices, arguments.ids),
          .kept_logits = arguments.kept_logits,
          .max_sequence = arguments.max_sequence.value_or(0)};
}

void require_inputs(const InputForm& form, const OnnxConfig& config, const std::vector<GraphFile>& files) {
  std::set<std::string> axes;
  bool has_logits = false;
  for (const GraphFile& file : files) {
    for (const std::string& part : file.parts) {
      const Description& description = config.description(part);
      axes.merge(axes_of(description));
      has_logits = has_logits || !logits_of(description).empty();
      for (const auto& [axis, size] : form.fixed) require_size(axis, size, description);
    }
  }
  for (const auto& [axis, size] : form.fixed) {
    if (axes.contains(axis)) continue;
    throw Error(Failure::usage, fmt::format("--fix {}={}: the model's inputs have no axis '{}'", axis, size, axis),
                fmt::format("their axes are: {}", fmt::join(axes, ", ")));
  }
  if (form.max_sequence > 0) require_buffers(config, files);
  if (form.kept_logits && !has_logits) {
    throw Error(Failure::usage,
                fmt::format("--num-logits-to-keep: a model of type '{}' with feature '{}' yields no logits for each "
                            "token",
                            config.model_type(), config.feature()),
                "leave the option out");
  }
}

std::map<std::string, std::string> metadata_of(const InputForm& form) {
  std::map<std::string, std::string> metadata;
  if (!form.fixed.empty()) metadata[fixed_key] = to_text(form.fixed);
  if (form.int32) metadata[ids_key] = name_of(id_choices, true);
  if (form.kept_logits) metadata[kept_key] = kept_logits_input;
  if (form.max_sequence > 0) metadata[buffer_key] = std::to_string(form.max_sequence);
  return metadata;
}

InputForm input_form_of(const std::map<std::string, std::string>& metadata) {
  const auto entry = [&](const char* key) {
    const auto found = metadata.find(key);
    return found == metadata.end() ? std::string() : found->second;
  };
  const std::string places = entry(buffer_key);
  int64_t max_sequence = 0;
  std::from_chars(places.data(), places.data() + places.size(), max_sequence);
  return {.fixed = fixed_axes(split_list(entry(fixed_key))),
          .int32 = value_of(id_choices, entry(ids_key)),
          .kept_logits = !entry(kept_key).empty(),
          .max_sequence = max_sequence};
}

}  // namespace onnxport
