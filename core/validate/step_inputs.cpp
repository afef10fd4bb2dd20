// SPDX-License-Identifier: Apache-2.0
#include "core/validate/step_inputs.hpp"

#include <algorithm>

#include "core/dummy/values.hpp"

namespace onnxport {
namespace {

bool holds_tokens(const InputSpec& spec) {
  return (spec.role == ONNXPORT_ROLE_IDS || spec.role == ONNXPORT_ROLE_EMBEDDINGS) && spec.type.shape.size() >= 2;
}

}  // namespace

std::optional<ir::Dim> step_axis(const Description& description) {
  for (const StateSpec& state : description.states) {
    const OutputSpec* present = description.output(state.present);
    if (!state.grows || present == nullptr || *state.grows >= present->axes.size()) continue;
    const std::optional<ir::Dim>& grown = present->axes[*state.grows];
    if (grown) return *grown - description.input(state.past)->type.shape[*state.grows];
  }
  const auto is_tokens = [](const InputSpec& spec) { return holds_tokens(spec); };
  const auto& inputs = description.inputs;
  if (std::count_if(inputs.begin(), inputs.end(), is_tokens) != 1) return std::nullopt;
  return std::find_if(inputs.begin(), inputs.end(), is_tokens)->type.shape[1];
}

const InputSpec* tokens_of(const Description& description, const ir::Dim& step) {
  for (const InputSpec& spec : description.inputs) {
    if (holds_tokens(spec) && spec.type.shape[1] == step) return &spec;
  }
  return nullptr;
}

bool belongs_to(const InputSpec& spec, const InputSpec& tokens) {
  return &spec == &tokens || spec.of == tokens.name;
}

ir::Tensor mask_for(const InputSpec& spec, const ir::Dim& step, const Tokens& tokens) {
  const int64_t total = tokens.mask.shape[1], n = tokens.ids.shape[1];
  const bool is_of_step = spec.type.shape.size() == 2 && spec.type.shape[1] == step;
  const ir::Tensor mask = is_of_step ? along_sequence(tokens.mask, total - n, total) : tokens.mask;
  const auto counts = mask.as<int64_t>();
  return dummy::from_integers(spec, mask.shape, {counts.begin(), counts.end()});
}

ir::Tensor positions_for(const InputSpec& spec, const Tokens& tokens) {
  const int64_t batch = tokens.ids.shape[0], n = tokens.ids.shape[1], total = tokens.mask.shape[1];
  const auto counts = tokens.mask.as<int64_t>();
  std::vector<int64_t> positions;
  for (int64_t b = 0; b < batch; ++b) {
    int64_t seen = 0;
    for (int64_t i = 0; i < total; ++i) {
      seen += counts[static_cast<size_t>(b * total + i)];
      if (i >= total - n) positions.push_back(std::max<int64_t>(0, seen - 1));
    }
  }
  // Positions of several axes stand before those of the text, and go on alike.
  std::vector<int64_t> shape{batch, n}, all;
  for (size_t axis = 0; axis + 2 < spec.type.shape.size(); ++axis)
    shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), spec.type.shape[axis].maybe_size().value_or(1));
  int64_t axes = 1;
  for (size_t axis = 0; axis + 2 < shape.size(); ++axis) axes *= shape[axis];
  for (int64_t i = 0; i < axes; ++i) all.insert(all.end(), positions.begin(), positions.end());
  return dummy::from_integers(spec, shape, all);
}

ir::Tensor empty_state(const InputSpec& spec, int64_t batch) {
  ir::Tensor state{spec.type.dtype, {}, {}};
  for (const ir::Dim& dim : spec.type.shape) {
    const bool is_first = state.shape.empty();
    state.shape.push_back(dim.evaluate({{"batch", batch}}).value_or(is_first ? batch : 0));
  }
  state.data.resize(static_cast<size_t>(state.element_count()) * ir::size_of(state.dtype));
  return state;
}

ir::Tensor along_sequence(const ir::Tensor& tensor, int64_t begin, int64_t end) {
  ir::Tensor part{tensor.dtype, tensor.shape, {}};
  part.shape[1] = end - begin;
  size_t inner = ir::size_of(tensor.dtype);
  for (size_t i = 2; i < tensor.shape.size(); ++i) inner *= static_cast<size_t>(tensor.shape[i]);
  for (int64_t b = 0; b < tensor.shape[0]; ++b) {
    const std::byte* row = tensor.data.data() + static_cast<size_t>(b * tensor.shape[1] + begin) * inner;
    part.data.insert(part.data.end(), row, row + static_cast<size_t>(end - begin) * inner);
  }
  return part;
}

}  // namespace onnxport
