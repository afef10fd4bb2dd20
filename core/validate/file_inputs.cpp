// SPDX-License-Identifier: Apache-2.0
#include "core/validate/file_inputs.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/error.hpp"
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

class DefinedInputs final : public Runnable {
 public:
  DefinedInputs(std::unique_ptr<Runnable> file, InputForm form) : file_(std::move(file)), form_(std::move(form)) {}
  void ready() override { file_->ready(); }
  void rest() override { file_->rest(); }
  Tensors run(const Tensors& inputs, const std::vector<std::string>& wanted) override {
    return file_->run(as_file_takes(inputs, form_), wanted);
  }
  std::vector<Tensors> run_all(const std::vector<const Tensors*>& sets,
                               const std::vector<std::string>& wanted) override {
    std::vector<Tensors> taken;
    taken.reserve(sets.size());
    std::vector<const Tensors*> pointers;
    for (const Tensors* set : sets) pointers.push_back(&taken.emplace_back(as_file_takes(*set, form_)));
    return file_->run_all(pointers, wanted);
  }

 private:
  const std::unique_ptr<Runnable> file_;
  const InputForm form_;
};

/// The first places of a tensor along an axis; where it has fewer, with bytes of no meaning behind them.
ir::Tensor resized(const ir::Tensor& tensor, size_t axis, int64_t places, std::byte filler) {
  ir::Tensor other{tensor.dtype, tensor.shape, {}};
  other.shape[axis] = places;
  size_t inner = ir::size_of(tensor.dtype);
  for (size_t i = axis + 1; i < tensor.shape.size(); ++i) inner *= static_cast<size_t>(tensor.shape[i]);
  int64_t outer = 1;
  for (size_t i = 0; i < axis; ++i) outer *= tensor.shape[i];
  const size_t has = static_cast<size_t>(tensor.shape[axis]) * inner, wants = static_cast<size_t>(places) * inner;
  other.data.resize(static_cast<size_t>(outer) * wants, filler);
  for (int64_t i = 0; i < outer; ++i)
    std::copy_n(tensor.data.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(i) * has), std::min(has, wants),
                other.data.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(i) * wants));
  return other;
}

/// A file with buffers, whose states grow.
class GrownStates final : public Runnable {
 public:
  GrownStates(std::unique_ptr<Runnable> file, int64_t places, std::vector<GrowingState> states)
      : file_(std::move(file)), places_(places), states_(std::move(states)) {}

  void ready() override { file_->ready(); }
  void rest() override { file_->rest(); }
  Tensors run(const Tensors& inputs, const std::vector<std::string>& wanted) override {
    return cut(file_->run(filled(inputs), wanted), inputs);
  }
  std::vector<Tensors> run_all(const std::vector<const Tensors*>& sets,
                               const std::vector<std::string>& wanted) override {
    std::vector<Tensors> taken;
    taken.reserve(sets.size());
    std::vector<const Tensors*> pointers;
    for (const Tensors* set : sets) pointers.push_back(&taken.emplace_back(filled(*set)));
    std::vector<Tensors> results = file_->run_all(pointers, wanted);
    for (size_t i = 0; i < sets.size(); ++i) results.at(i) = cut(std::move(results.at(i)), *sets[i]);
    return results;
  }

 private:
  /// Bytes that make a number of no use in every type, and a finite one.
  static constexpr std::byte unused{0x5a};

  Tensors filled(Tensors inputs) const {
    for (const GrowingState& state : states_) {
      const int64_t total = inputs.at(state.total.input).shape.at(state.total.axis);
      if (total > places_)
        throw Error(Failure::usage,
                    "a past and a step of " + std::to_string(total) + " places have no room in the buffer '" +
                        state.past + "', which has " + std::to_string(places_),
                    "give fewer tokens, or export with a larger --max-sequence");
      const auto past = inputs.find(state.past);
      if (past != inputs.end()) past->second = resized(past->second, state.axis, places_, unused);
    }
    return inputs;
  }

  Tensors cut(Tensors results, const Tensors& inputs) const {
    for (const GrowingState& state : states_) {
      const auto present = results.find(state.present);
      if (present == results.end()) continue;
      const int64_t held = inputs.at(state.total.input).shape.at(state.total.axis);
      present->second = resized(present->second, state.axis, held, unused);
    }
    return results;
  }

  const std::unique_ptr<Runnable> file_;
  const int64_t places_;
  const std::vector<GrowingState> states_;
};

class KeptLogits final : public Runnable {
 public:
  KeptLogits(std::unique_ptr<Runnable> definition, std::string logits)
      : definition_(std::move(definition)), logits_(std::move(logits)) {}

  void ready() override { definition_->ready(); }
  void rest() override { definition_->rest(); }
  Tensors run(const Tensors& inputs, const std::vector<std::string>& wanted) override {
    return cut_logits(definition_->run(inputs, wanted), inputs, logits_);
  }
  std::vector<Tensors> run_all(const std::vector<const Tensors*>& sets,
                               const std::vector<std::string>& wanted) override {
    std::vector<Tensors> results = definition_->run_all(sets, wanted);
    for (size_t i = 0; i < sets.size(); ++i) results.at(i) = cut_logits(std::move(results.at(i)), *sets[i], logits_);
    return results;
  }

 private:
  const std::unique_ptr<Runnable> definition_;
  const std::string logits_;
};

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
  if (form.max_sequence > 0 && !states.empty())
    file = std::make_unique<GrownStates>(std::move(file), form.max_sequence, std::move(states));
  if (!form.int32 && !form.kept_logits) return file;
  return std::make_unique<DefinedInputs>(std::move(file), form);
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
  return std::make_unique<KeptLogits>(std::move(definition), std::move(logits));
}

}  // namespace onnxport
