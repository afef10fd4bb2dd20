// SPDX-License-Identifier: Apache-2.0
// weights/1
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/definition/host_tables.hpp"

namespace onnxport {
namespace {

using detail::guarded;
using detail::invalid;

/// The name by which a definition's tensor is asked for: of a component's the first that the checkpoint has.
std::string asked_name(const onnxport_graph& self, std::string_view name) {
  if (self.component == nullptr) return std::string(name);
  const std::vector<std::string> names = self.component->names_of(name);
  for (const std::string& one : names) {
    if (self.weights->has(one)) return one;
  }
  return names[0];
}

/// A tensor has a name and one shape, however often it is asked for.
std::vector<int64_t> asked_shape(const WeightSource& weights, const std::string& name, const int64_t* lengths,
                                 uint32_t rank) {
  if (name.ends_with('.')) invalid(fmt::format("the tensor '{}' is asked for without a name of its own", name));
  std::vector<int64_t> shape;
  try {
    shape = detail::shape_from(lengths, rank);
  } catch (const std::invalid_argument& problem) {
    invalid(fmt::format("the tensor '{}': {}", name, problem.what()));
  }
  const auto before = weights.requested().find(name);
  if (before != weights.requested().end() && before->second != shape) {
    invalid(fmt::format("the tensor '{}' is asked for as [{}] and was as [{}] before; expected one shape", name,
                        fmt::join(shape, ", "), fmt::join(before->second, ", ")));
  }
  return shape;
}

onnxport_status* weights_weight(onnxport_graph* self, onnxport_string name, const int64_t* shape, uint32_t rank,
                                onnxport_value* out) {
  return guarded(ONNXPORT_WEIGHTS, [&] {
    if (self->weights == nullptr)
      invalid("neither a patch nor a step of a recurrence has weights of its own; it gets them as inputs");
    const std::string asked = asked_name(*self, detail::name_from(name));
    auto [found, weight] = self->weights->get(asked, asked_shape(*self->weights, asked, shape, rank));
    *out = self->graph->add_weight(std::move(found), std::move(weight));
  });
}

int32_t weights_has(onnxport_graph* self, onnxport_string name) {
  return self->weights != nullptr && self->weights->has(asked_name(*self, detail::clipped(name))) ? 1 : 0;
}

onnxport_status* weights_unused(onnxport_graph* self, onnxport_string pattern) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    if (self->weights == nullptr) return;
    const std::string_view given = detail::name_from(pattern);
    if (self->component == nullptr) return self->weights->mark_unused(std::string(given));
    for (std::string& one : self->component->names_of(given)) self->weights->mark_unused(std::move(one));
  });
}

const onnxport_weights_1 weights_functions{sizeof(onnxport_weights_1), weights_weight, weights_has, weights_unused};

}  // namespace

const onnxport_weights_1& detail::weights_table() {
  return weights_functions;
}

}  // namespace onnxport
