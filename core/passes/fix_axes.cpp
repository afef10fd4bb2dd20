// SPDX-License-Identifier: Apache-2.0
#include "core/passes/fix_axes.hpp"

#include <fmt/format.h>

#include "core/error.hpp"
#include "core/ir/infer_again.hpp"
#include "core/ir/lengths.hpp"

namespace onnxport {
namespace {

/// The dimension with the sizes for their names.
ir::Dim fixed(const ir::Dim& dim, const ir::Lengths& known) {
  ir::Dim sum(dim.constant());
  for (const auto& [symbol, factor] : dim.terms()) {
    const ir::Dim term = ir::Dim::symbol(symbol);
    const std::optional<int64_t> length = ir::length_of(term, known);
    sum = sum + (length ? ir::Dim(*length) : term) * ir::Dim(factor);
  }
  return sum;
}

/// Axes whose size the model fixes and the file would leave open.
void close_axes(ir::Value& input, const std::map<std::string, int64_t>& sizes) {
  std::erase_if(input.open_axes, [&](const auto& open) {
    const auto found = sizes.find(open.second);
    if (found == sizes.end()) return false;
    const ir::Dim& is = input.type.shape.at(open.first);
    if (is == ir::Dim(found->second)) return true;
    throw Error(Failure::usage,
                fmt::format("the axis '{}' of the input '{}' is of size {} in this model, and {} was asked for",
                            open.second, input.name, is.to_string(), found->second),
                fmt::format("pass --fix {}={}, or leave it out", open.second, is.to_string()));
  });
}

}  // namespace

void fix_axes(ir::Graph& graph, const std::map<std::string, int64_t>& sizes) {
  const ir::Lengths known(sizes.begin(), sizes.end());
  const auto fix = [&](ir::TensorType& type) {
    for (ir::Dim& dim : type.shape) dim = fixed(dim, known);
  };
  for (const ir::NamedValue& input : graph.inputs) {
    ir::Value& value = graph[input.value];
    close_axes(value, sizes);
    fix(value.type);
  }
  std::vector<ir::TensorType> declared;
  for (const ir::NamedValue& output : graph.outputs) declared.push_back(graph[output.value].type);
  ir::infer_again(graph, fix);
  // The definition knows best what is still open is called.
  for (size_t i = 0; i < declared.size(); ++i) {
    ir::TensorType& type = graph[graph.outputs[i].value].type;
    for (size_t axis = 0; axis < type.shape.size(); ++axis) {
      if (!type.shape[axis].is_static()) type.shape[axis] = fixed(declared[i].shape.at(axis), known);
    }
  }
}

}  // namespace onnxport
