// SPDX-License-Identifier: Apache-2.0
#include "core/definition/own_inputs.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

#include "core/definition/given.hpp"
#include "core/definition/status.hpp"

namespace onnxport::detail {
namespace {

/// The tensor as the input's own. Throws std::invalid_argument where it does not fit.
ir::Tensor checked(const OwnInputs& into, const std::string& name, const onnxport_tensor& from) {
  const InputSpec* spec = into.description.input(name);
  if (spec == nullptr) throw std::invalid_argument(fmt::format("dummy values for '{}', which is no input", name));
  ir::Tensor tensor{static_cast<ir::DType>(from.dtype), shape_from(from.shape, from.rank), {}};
  std::vector<int64_t> expected;
  for (const ir::Dim& dim : spec->type.shape) expected.push_back(dim.evaluate(into.sizes).value_or(-1));
  const bool fits = tensor.dtype == spec->type.dtype && tensor.shape == expected;
  if (!fits) {
    throw std::invalid_argument(fmt::format("dummy values for '{}' are {}[{}], expected {}[{}]", name,
                                            ir::name_of(tensor.dtype), fmt::join(tensor.shape, ", "),
                                            ir::name_of(spec->type.dtype), fmt::join(expected, ", ")));
  }
  const size_t bytes = static_cast<size_t>(tensor.element_count()) * ir::size_of(tensor.dtype);
  if (bytes != from.bytes) {
    throw std::invalid_argument(
        fmt::format("dummy values for '{}' have {} bytes, expected {}", name, from.bytes, bytes));
  }
  tensor.data = data_from(from);
  return tensor;
}

onnxport_status* take(onnxport_tensors* self, onnxport_string name, const onnxport_tensor* tensor) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    auto& into = *static_cast<OwnInputs*>(self);
    std::string known(name_from(name));
    ir::Tensor made = checked(into, known, whole(tensor, ONNXPORT_SIZE_THROUGH(onnxport_tensor, bytes), "a tensor"));
    into.made.insert_or_assign(std::move(known), std::move(made));
  });
}

}  // namespace

OwnInputs::OwnInputs(const Description& of, const std::map<std::string, int64_t>& lengths)
    : onnxport_tensors{sizeof(onnxport_tensors), take}, description(of), sizes(lengths) {}

}  // namespace onnxport::detail
