// SPDX-License-Identifier: Apache-2.0
#include "core/validate/padding.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "core/validate/adapted.hpp"

namespace onnxport {
namespace {

/// The axis of an output of this shape that goes along the mask's places, or along those of the tokens that it is of.
std::optional<size_t> places_axis(const ir::Shape& output, const ir::Shape& mask, const ir::Shape* tokens) {
  if (output.empty() || output[0] != mask[0]) return std::nullopt;
  for (size_t axis = 1; axis < output.size(); ++axis) {
    if (output[axis] == mask[1] || (tokens != nullptr && tokens->size() > 1 && output[axis] == (*tokens)[1]))
      return axis;
  }
  return std::nullopt;
}

const ir::Shape* shape_of(const Description& description, const std::string& input) {
  const auto found = std::find_if(description.inputs.begin(), description.inputs.end(),
                                  [&](const InputSpec& spec) { return spec.name == input; });
  return found == description.inputs.end() ? nullptr : &found->type.shape;
}

/// Whether a row of f32 holds NaN or infinity; of no other type.
bool is_finite(const ir::Tensor& tensor, const std::byte* row, size_t bytes) {
  if (tensor.dtype != ir::DType::f32) return true;
  for (size_t at = 0; at < bytes; at += sizeof(float)) {
    float value = 0;
    std::memcpy(&value, row + at, sizeof value);
    if (!std::isfinite(value)) return false;
  }
  return true;
}

void blank(ir::Tensor& tensor, size_t axis, const ir::Tensor& mask, int64_t begin, NotFinite not_finite) {
  const int64_t batch = tensor.shape[0], places = tensor.shape[axis];
  size_t inner = ir::size_of(tensor.dtype);
  for (size_t i = axis + 1; i < tensor.shape.size(); ++i) inner *= static_cast<size_t>(tensor.shape[i]);
  size_t between = 1;
  for (size_t i = 1; i < axis; ++i) between *= static_cast<size_t>(tensor.shape[i]);
  const auto counts = mask.as<int64_t>();
  std::byte* row = tensor.data.data();
  for (int64_t b = 0; b < batch; ++b) {
    for (size_t m = 0; m < between; ++m) {
      for (int64_t place = 0; place < places; ++place, row += inner) {
        const auto at = static_cast<size_t>(b * mask.shape[1] + begin + place);
        if (counts[at] != 0 || (not_finite == NotFinite::kept && !is_finite(tensor, row, inner))) continue;
        std::memset(row, 0, inner);
      }
    }
  }
}

}  // namespace

void blank_padding(ir::Tensor& tensor, size_t axis, const ir::Tensor& mask, int64_t begin) {
  blank(tensor, axis, mask, begin, NotFinite::blank);
}

Tensors without_padding(Tensors outputs, const Definition& definition, const Tensors& inputs, NotFinite not_finite) {
  for (const InputSpec& mask : definition.description.inputs) {
    const auto given = inputs.find(mask.name);
    if (mask.role != ONNXPORT_ROLE_MASK || mask.type.shape.size() != 2 || given == inputs.end()) continue;
    if (given->second.dtype != ir::DType::i64) continue;
    const ir::Shape* tokens = shape_of(definition.description, mask.of);
    for (const ir::NamedValue& output : definition.graph.outputs) {
      const auto found = outputs.find(output.name);
      if (found == outputs.end()) continue;
      const auto axis = places_axis(definition.graph[output.value].type.shape, mask.type.shape, tokens);
      ir::Tensor& tensor = found->second;
      if (!axis || *axis >= tensor.shape.size() || tensor.shape[0] != given->second.shape[0]) continue;
      const int64_t begin = given->second.shape[1] - tensor.shape[*axis];
      if (begin >= 0) blank(tensor, *axis, given->second, begin, not_finite);
    }
  }
  return outputs;
}

std::unique_ptr<Runnable> unpadded(Runnable& model, const Definition& definition, NotFinite not_finite) {
  return adapted(model, {.yield = [&definition, not_finite](Tensors results, const Tensors& inputs) {
                   return without_padding(std::move(results), definition, inputs, not_finite);
                 }});
}

}  // namespace onnxport
