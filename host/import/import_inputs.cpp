// SPDX-License-Identifier: Apache-2.0
#include "host/import/import_inputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/dummy/dummy_inputs.hpp"
#include "core/validate/activations.hpp"

namespace onnxport {
namespace {

using Lengths = std::map<std::string, int64_t>;

/// The next prime above a number.
int64_t prime_above(int64_t number) {
  const auto is_prime = [](int64_t n) {
    for (int64_t divisor = 2; divisor * divisor <= n; ++divisor) {
      if (n % divisor == 0) return false;
    }
    return true;
  };
  do ++number;
  while (!is_prime(number));
  return number;
}

Description described(const ImportPlan& plan, const ImportedScript& imported) {
  Description description;
  int64_t usual = 9;
  for (const ScriptInput& input : plan.inputs) {
    InputSpec spec{.name = input.name, .type = input.type};
    const auto range = plan.ranges.find(input.name);
    const auto limit = imported.limits.find(input.name);
    if (range != plan.ranges.end() && ir::is_floating(input.type.dtype)) {
      spec.low = range->second.low;
      spec.high = range->second.high;
    } else if (range != plan.ranges.end()) {
      spec.limit = static_cast<int64_t>(range->second.high - range->second.low);
    } else if (limit != imported.limits.end()) {
      spec.limit = limit->second;
    }
    for (const ir::Dim& dim : input.type.shape) {
      for (const auto& [symbol, factor] : dim.terms()) {
        // Lengths that could be mistaken for each other differ.
        if (!dummy::is_common_axis(symbol) && !description.axes.contains(symbol))
          description.axes[symbol].usual = usual++;
      }
    }
    description.inputs.push_back(std::move(spec));
  }
  settle_roles(description);
  return description;
}

/// Makes sets of one description.
class Maker {
 public:
  Maker(const ImportPlan& plan, const ImportedScript& imported)
      : plan_(plan), imported_(imported), description_(described(plan, imported)), axes_(axes_of(plan.inputs)) {
    DummyOptions options;
    for (const auto& [axis, lengths] : plan.sizes) options.sizes[axis] = lengths[0];
    usual_ = dummy::axis_sizes(description_, Json::object(), nullptr, options);
    std::erase_if(usual_, [&](const auto& length) { return !axes_.contains(length.first); });
  }

  const std::set<std::string>& axes() const { return axes_; }
  const Lengths& usual() const { return usual_; }
  /// Other lengths of an axis: those that were asked for, or a prime and 1.
  std::vector<int64_t> others(const std::string& axis) const {
    const auto asked = plan_.sizes.find(axis);
    if (asked != plan_.sizes.end() && asked->second.size() > 1) return {asked->second.begin() + 1, asked->second.end()};
    return {prime_above(usual_.at(axis)), 1};
  }

  ImportInputs make(const Lengths& lengths, const std::string& axis) {
    DummyOptions options;
    options.sizes = lengths;
    options.varied = made_ > 0;
    options.padding = made_ > 0 ? Padding::both : Padding::usual;
    options.seed = made_++;
    ImportInputs inputs{{}, lengths, axis};
    for (const auto& [symbol, length] : lengths)
      inputs.set.label += fmt::format("{}{} {}", inputs.set.label.empty() ? "" : ", ", symbol, length);
    if (inputs.set.label.empty()) inputs.set.label = "fixed sizes";
    inputs.set.inputs = generate_dummy_inputs(description_, Json::object(), nullptr, options);
    for (auto& [name, tensor] : inputs.set.inputs) move_into_range(name, tensor);
    inputs.set.activations = activation_bytes(imported_.graph, inputs.set.inputs);
    return inputs;
  }

 private:
  /// Whole numbers are made from 0 on.
  void move_into_range(const std::string& name, ir::Tensor& tensor) const {
    const auto range = plan_.ranges.find(name);
    if (range == plan_.ranges.end()) return;
    const auto low = static_cast<int64_t>(range->second.low);
    if (tensor.dtype == ir::DType::i64) {
      for (int64_t& value : tensor.as<int64_t>()) value += low;
    } else if (tensor.dtype == ir::DType::i32) {
      for (int32_t& value : tensor.as<int32_t>()) value += static_cast<int32_t>(low);
    }
  }

  const ImportPlan& plan_;
  const ImportedScript& imported_;
  Description description_;
  std::set<std::string> axes_;
  Lengths usual_;
  uint64_t made_ = 0;
};

}  // namespace

std::vector<ImportInputs> inputs_for(const ImportPlan& plan, const ImportedScript& imported) {
  Maker maker(plan, imported);
  std::vector<ImportInputs> sets{maker.make(maker.usual(), ""), maker.make(maker.usual(), "")};
  sets[1].set.label += ", other values";
  Lengths all = maker.usual();
  for (const std::string& axis : maker.axes()) {
    for (const int64_t length : maker.others(axis)) {
      Lengths lengths = maker.usual();
      lengths[axis] = length;
      sets.push_back(maker.make(lengths, axis));
    }
    all[axis] = maker.others(axis)[0];
  }
  if (maker.axes().size() > 1) sets.push_back(maker.make(all, ""));
  return sets;
}

}  // namespace onnxport
