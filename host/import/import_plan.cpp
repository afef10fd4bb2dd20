// SPDX-License-Identifier: Apache-2.0
#include "host/import/import_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/error.hpp"
#include "core/export/export.hpp"
#include "core/split_list.hpp"
#include "host/plan/choices.hpp"
#include "host/plan/export_plan.hpp"

namespace onnxport {
namespace {

/// The words for element types that people have beside ours.
struct TypeWord {
  std::string_view word;
  ir::DType dtype;
};
constexpr TypeWord type_words[] = {
    {"f32", ir::DType::f32},  {"float32", ir::DType::f32}, {"f64", ir::DType::f64},      {"float64", ir::DType::f64},
    {"f16", ir::DType::f16},  {"float16", ir::DType::f16}, {"i64", ir::DType::i64},      {"int64", ir::DType::i64},
    {"i32", ir::DType::i32},  {"int32", ir::DType::i32},   {"bool", ir::DType::boolean}, {"u8", ir::DType::u8},
    {"uint8", ir::DType::u8},
};

constexpr const char* input_hint =
    "say it as NAME=TYPE[AXIS,AXIS,…], such as words=i64[batch,sequence] or "
    "image=f32[batch,3,224,224]";

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

ScriptInput input_of(const std::string& word) {
  const auto refuse = [&](const std::string& why) {
    throw Error(Failure::usage, fmt::format("--input {}: {}", word, why), input_hint);
  };
  const size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0) refuse("has no name and type");
  const std::string name = word.substr(0, equals);
  std::string_view type = std::string_view(word).substr(equals + 1);
  const size_t bracket = std::min(type.find('['), type.size());
  const auto* known = std::find_if(std::begin(type_words), std::end(type_words),
                                   [&](const TypeWord& row) { return row.word == type.substr(0, bracket); });
  if (known == std::end(type_words))
    refuse(fmt::format("there is no type '{}'; known: f32, f64, f16, i64, i32, u8, bool", type.substr(0, bracket)));
  ScriptInput input{name, {known->dtype, {}}};
  if (bracket == type.size()) return input;
  if (!type.ends_with(']')) refuse("its axes do not end with ]");
  for (const std::string& axis : split_list(type.substr(bracket + 1, type.size() - bracket - 2))) {
    if (axis.find_first_of("()[]/ ") != std::string::npos) refuse(fmt::format("'{}' is no name of an axis", axis));
    const ir::Dim dim = ir::Dim::parse(axis);
    if (dim.is_static() && dim.size() < 1) refuse(fmt::format("'{}' is no size of an axis", axis));
    input.type.shape.push_back(dim);
  }
  return input;
}

void add_size(const std::string& word, ImportPlan& plan) {
  const auto refuse = [&](const std::string& why) {
    throw Error(Failure::usage, fmt::format("--size {}: {}", word, why),
                "name an axis of the inputs and its lengths: --size sequence=16, or --size height=224,256");
  };
  const size_t equals = word.find('=');
  if (equals == std::string::npos) refuse("gives no axis a size");
  const std::string axis = word.substr(0, equals);
  if (!axes_of(plan.inputs).contains(axis)) refuse("no input has an axis of that name");
  for (const std::string& text : split_list(std::string_view(word).substr(equals + 1))) {
    const auto size = number_of<int64_t>(text);
    if (!size || *size < 1) refuse(fmt::format("'{}' is no length", text));
    plan.sizes[axis].push_back(*size);
  }
  if (plan.sizes[axis].empty()) refuse("gives no axis a size");
}

void add_range(const std::string& word, ImportPlan& plan) {
  const auto refuse = [&](const std::string& why) {
    throw Error(Failure::usage, fmt::format("--range {}: {}", word, why),
                "name an input and the values that it may have: --range words=0:30522");
  };
  const size_t equals = word.find('='), colon = word.find(':', equals == std::string::npos ? 0 : equals);
  if (equals == std::string::npos || colon == std::string::npos) refuse("says no range");
  const std::string name = word.substr(0, equals);
  const auto known = std::find_if(plan.inputs.begin(), plan.inputs.end(),
                                  [&](const ScriptInput& input) { return input.name == name; });
  if (known == plan.inputs.end()) refuse("there is no such input");
  const auto real = [&](const std::string& text) {
    const auto number = number_of<double>(text);
    if (!number) refuse(fmt::format("'{}' is no number", text));
    return *number;
  };
  const ValueRange range{real(word.substr(equals + 1, colon - equals - 1)), real(word.substr(colon + 1))};
  if (range.low >= range.high) refuse("its end is not above its beginning");
  plan.ranges[name] = range;
}

}  // namespace

std::set<std::string> axes_of(const std::vector<ScriptInput>& inputs) {
  std::set<std::string> axes;
  for (const ScriptInput& input : inputs) {
    for (const ir::Dim& dim : input.type.shape) {
      for (const auto& [symbol, factor] : dim.terms()) axes.insert(symbol);
    }
  }
  return axes;
}

ImportPlan plan_import(const ImportArguments& arguments) {
  ImportPlan plan;
  plan.module = arguments.module;
  require_file("MODEL.pt", arguments.module, "make it with torch.jit.trace(model, inputs).save(FILE)");
  for (const std::string& word : arguments.inputs) plan.inputs.push_back(input_of(word));
  for (const std::string& word : arguments.sizes) add_size(word, plan);
  for (const std::string& word : arguments.ranges) add_range(word, plan);
  plan.outputs = arguments.outputs;
  constexpr int64_t usual_opset = 18;
  plan.opset = arguments.opset.value_or(usual_opset);
  if (plan.opset < lowest_opset || plan.opset > highest_opset) {
    throw Error(Failure::usage,
                fmt::format("opset {} is out of range: files can be written in opsets {} to {}", plan.opset,
                            lowest_opset, highest_opset),
                fmt::format("choose one of these with --opset; the default is {}", usual_opset));
  }
  plan.dtype = value_of(dtype_choices, arguments.dtype);
  plan.external_data = arguments.external_data || !arguments.data_name.empty();
  plan.data_name = arguments.data_name;
  for (const std::filesystem::path& file : arguments.cases) require_file("--case", file, "name a recorded case");
  plan.cases = arguments.cases;
  plan.atol = tolerance_from(arguments.atol);
  plan.validates = !arguments.no_validate;
  plan.output = arguments.output;
  return plan;
}

}  // namespace onnxport
