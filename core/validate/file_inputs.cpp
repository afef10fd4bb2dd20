// SPDX-License-Identifier: Apache-2.0
#include "core/validate/file_inputs.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/error.hpp"
#include "core/validate/adapted.hpp"
#include "core/validate/step_inputs.hpp"

namespace onnxport {
namespace {

ir::Tensor in_32_bits(const ir::Tensor& wide) {
  std::vector<int32_t> values;
  for (int64_t value : wide.as<int64_t>()) {
    if (value < std::numeric_limits<int32_t>::min() || value > std::numeric_limits<int32_t>::max())
      throw Error(Failure::usage, "the number " + std::to_string(value) + " does not fit into an input of 32 bits",
                  "leave out --ids int32");
    values.push_back(static_cast<int32_t>(value));
  }
  return ir::Tensor::of<int32_t>(ir::DType::i32, wide.shape, values);
}

/// The first places of a tensor along an axis; where it has fewer, with numbers of no use behind them.
ir::Tensor resized(const ir::Tensor& tensor, size_t axis, int64_t places) {
  constexpr std::byte unused{0x5a};  // makes a finite number in every type
  ir::Tensor other{tensor.dtype, tensor.shape, {}};
  other.shape[axis] = places;
  size_t inner = ir::size_of(tensor.dtype);
  for (size_t i = axis + 1; i < tensor.shape.size(); ++i) inner *= static_cast<size_t>(tensor.shape[i]);
  int64_t outer = 1;
  for (size_t i = 0; i < axis; ++i) outer *= tensor.shape[i];
  const size_t has = static_cast<size_t>(tensor.shape[axis]) * inner, wants = static_cast<size_t>(places) * inner;
  other.data.resize(static_cast<size_t>(outer) * wants, unused);
  for (int64_t i = 0; i < outer; ++i)
    std::copy_n(tensor.data.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(i) * has), std::min(has, wants),
                other.data.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(i) * wants));
  return other;
}

/// What the state holds behind the step.
int64_t held(const GrowingState& state, const Tensors& inputs) {
  return inputs.at(state.total.input).shape.at(state.total.axis);
}

/// The inputs with each past in a buffer.
Tensors in_buffers(Tensors inputs, const std::vector<GrowingState>& states, int64_t places) {
  for (const GrowingState& state : states) {
    const int64_t total = held(state, inputs);
    if (total > places)
      throw Error(Failure::usage,
                  "a past and a step of " + std::to_string(total) + " places have no room in the buffer '" +
                      state.past + "', which has " + std::to_string(places),
                  "give fewer tokens, or export with a larger --max-sequence");
    const auto past = inputs.find(state.past);
    if (past != inputs.end()) past->second = resized(past->second, state.axis, places);
  }
  return inputs;
}

/// The results with as much of each buffer as it holds.
Tensors out_of_buffers(Tensors results, const std::vector<GrowingState>& states, const Tensors& inputs) {
  for (const GrowingState& state : states) {
    const auto present = results.find(state.present);
    if (present != results.end()) present->second = resized(present->second, state.axis, held(state, inputs));
  }
  return results;
}

}  // namespace

Tensors as_file_takes(Tensors inputs, const InputForm& form) {
  for (auto& [name, tensor] : inputs) {
    if (form.int32 && tensor.dtype == ir::DType::i64 && !tensor.shape.empty()) tensor = in_32_bits(tensor);
  }
  if (form.kept_logits) inputs.emplace(kept_logits_input, ir::Tensor::i64_scalar(0));
  return inputs;
}

std::unique_ptr<Runnable> as_defined(std::unique_ptr<Runnable> file, const InputForm& form,
                                     std::vector<GrowingState> states) {
  if (form.max_sequence > 0 && !states.empty()) {
    const auto kept = std::make_shared<const std::vector<GrowingState>>(std::move(states));
    file = adapted(
        std::move(file),
        {.take = [=, places = form.max_sequence](const Tensors& inputs) { return in_buffers(inputs, *kept, places); },
         .yield = [=](Tensors results,
                      const Tensors& inputs) { return out_of_buffers(std::move(results), *kept, inputs); }});
  }
  if (!form.int32 && !form.kept_logits) return file;
  return adapted(std::move(file), {.take = [form](const Tensors& inputs) { return as_file_takes(inputs, form); }});
}

Tensors cut_logits(Tensors results, const Tensors& inputs, const std::string& name) {
  const auto count = inputs.find(kept_logits_input);
  const auto logits = results.find(name);
  if (count == inputs.end() || logits == results.end()) return results;
  const int64_t rows = logits->second.shape.at(1), kept = count->second.as<int64_t>()[0];
  if (kept > 0 && kept < rows) logits->second = along_sequence(logits->second, rows - kept, rows);
  return results;
}

std::unique_ptr<Runnable> with_kept_logits(std::unique_ptr<Runnable> definition, std::string logits) {
  return adapted(std::move(definition), {.yield = [name = std::move(logits)](Tensors results, const Tensors& inputs) {
                   return cut_logits(std::move(results), inputs, name);
                 }});
}

}  // namespace onnxport
