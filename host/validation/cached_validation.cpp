// SPDX-License-Identifier: Apache-2.0
#include "host/validation/cached_validation.hpp"

#include <algorithm>
#include <map>
#include <memory>

#include "core/package/layout.hpp"
#include "core/validate/file_inputs.hpp"
#include "core/validate/light_model.hpp"
#include "host/validation/segmented.hpp"

namespace onnxport {
namespace {

constexpr int64_t prefix = 4, step = 3;

ir::Tensor flag(bool value) {
  return ir::Tensor::of<uint8_t>(ir::DType::boolean, {1}, {value ? uint8_t{1} : uint8_t{0}});
}

/// Whether any of the names of a dimension has a fixed size.
bool is_fixed(const ir::Dim& dim, const InputForm& form) {
  return std::any_of(dim.terms().begin(), dim.terms().end(),
                     [&](const auto& term) { return form.fixed.contains(term.first); });
}

ir::Tensor ones(int64_t rows, int64_t width) {
  return ir::Tensor::of<int64_t>(ir::DType::i64, {rows, width},
                                 std::vector<int64_t>(static_cast<size_t>(rows * width), 1));
}

/// The tensors and runs that a check is made of. Parts are told by what they state: the cached one has states, and
/// names the one that fills them or is that itself; the others are those whose results either takes.
class CacheCheck {
 public:
  explicit CacheCheck(const ExportToValidate& exported) : e_(exported) {
    const auto fixed = e_.form.inputs.fixed.find("batch");
    if (fixed != e_.form.inputs.fixed.end()) batch_ = fixed->second;
  }

  CachedStepCheck run(const Tolerance& tolerance) {
    if (!find_steps()) return {};
    const Description& cached = e_.config.description(cached_);
    const std::optional<ir::Dim> axis = step_axis(cached);
    if (!axis || axis->terms().size() != 1 || tokens_of(cached, *axis) == nullptr) return {};
    axis_ = *axis;
    if (has_fixed_lengths(cached)) return {.lengths_are_fixed = true};
    const auto size = cached.axes.find(axis_.terms()[0].first);
    if (size != cached.axes.end() && size->second.maximum == 1) return {.takes_one_token = true};
    const SteppedDecoder decoder{
        [this](const Tokens& tokens) { return run_step(first_, tokens, nullptr); },
        [this](const Tokens& tokens, const Tensors& before) { return run_step(cached_, tokens, &before); },
        cached.states};
    return {.run = compare_cached_step(decoder, tokens(), prefix, tolerance)};
  }

 private:
  /// Whether the file takes so many tokens, or a past of one length, only.
  bool has_fixed_lengths(const Description& cached) const {
    const auto grows_to = [&](const StateSpec& state) {
      const InputSpec* past = cached.input(state.past);
      return state.grows && past != nullptr && is_fixed(past->type.shape.at(*state.grows), e_.form.inputs);
    };
    return is_fixed(axis_, e_.form.inputs) || std::any_of(cached.states.begin(), cached.states.end(), grows_to);
  }

  // ------------------------------------------------------------------------------------------------- parts

  /// Where a part lies: in one of the files, and there under use_cache_branch or not.
  struct Holder {
    std::string file;
    const Definition* definition;
    const Definition* other = nullptr;  // the branch beside it
  };
  std::optional<Holder> holder_of(const std::string& part) const {
    for (const GraphToExport& graph : e_.graphs) {
      for (const Definition* definition : graph.definitions) {
        if (definition->part != part) continue;
        Holder holder{graph.file, definition};
        for (const Definition* other : graph.definitions) {
          if (other != definition) holder.other = other;
        }
        return holder;
      }
    }
    return std::nullopt;
  }

  /// Finds the cached step among the exported parts, and what its first one is. False where there is none.
  bool find_steps() {
    for (const GraphToExport& graph : e_.graphs) {
      for (const Definition* definition : graph.definitions) {
        if (e_.config.description(definition->part).states.empty()) continue;
        cached_ = first_ = definition->part;
        // The model as one graph has the first step of its parts.
        std::vector<std::string> steps = e_.config.parts();
        if (!cached_.empty()) steps = {cached_};
        for (const std::string& part : steps) {
          if (const std::string first = e_.config.first_step(part); !first.empty()) first_ = first;
        }
        return true;
      }
    }
    return false;
  }

  /// The part that puts out `output`; empty where none does.
  std::string maker_of(const std::string& output) const {
    for (const std::string& part : e_.config.parts()) {
      if (e_.config.description(part).output(output) != nullptr) return part;
    }
    return {};
  }

  /// The part as something to run: its file or, where it is in none, its definition.
  Runnable& runnable(const std::string& part) {
    const std::optional<Holder> holder = holder_of(part);
    auto& slot = runnables_[holder ? holder->file : part];
    if (slot != nullptr) return *slot;
    if (holder && e_.memory.segment_weights) {
      slot = segmented_runnable(e_, e_.folder / holder->file, *holder->definition);
    } else if (holder) {
      ModelImage image = image_of(inspect::read_onnx_file(e_.folder / holder->file));
      image.is_optimised = e_.memory.makes_copies;
      slot = as_defined(load_backend("onnxruntime").load_image(image), e_.form.inputs,
                        growing_states(holder->definition->description));
    } else {
      const std::vector<Definition> defined = e_.config.define_parts(*e_.weights, {part}, {.allow_unused = true});
      slot = load_backend("reference").load_graph(defined[0].graph);
    }
    return *slot;
  }

  // ---------------------------------------------------------------------------------------------- values

  /// What the part's inputs hold but for what a step gives them; values of the one graph, where that has the input.
  const Tensors& dummy(const std::string& part) {
    const auto known = dummies_.find(part);
    if (known != dummies_.end()) return known->second;
    DummyOptions options;
    options.sizes = e_.form.inputs.fixed;
    options.batch_size = batch_;
    options.seq_length = prefix + step + 1;  // of an encoder: another length
    options.sizes[axis_.terms()[0].first] = prefix + step;
    options.varied = true;
    Tensors values = e_.config.generate_dummy_inputs(e_.preprocessor, options, part);
    count_all_that_shrinks(part, values);
    if (cached_.empty() && !part.empty() && part != first_) {
      for (const auto& [name, value] : dummy("")) {
        if (values.contains(name)) values[name] = value;
      }
    }
    return dummies_.emplace(part, std::move(values)).first->second;
  }

  /// Which places of a result count cannot be told from a mask of what was heard where the result is shorter, so that
  /// all of that counts then: in the part that makes the result, and in the model as one graph.
  void count_all_that_shrinks(const std::string& part, Tensors& values) const {
    const std::vector<std::string> makers = part.empty() ? e_.config.parts() : std::vector<std::string>{part};
    for (const std::string& maker : makers) {
      if (maker == cached_ || maker == first_) continue;
      const Description& description = e_.config.description(maker);
      for (const InputSpec& input : description.inputs) {
        const auto mask = values.find(input.name);
        if (input.role != ONNXPORT_ROLE_MASK || mask == values.end()) continue;
        if (mask->second.dtype != ir::DType::i64 || mask->second.shape.size() != 2) continue;
        const bool is_kept =
            std::any_of(description.outputs.begin(), description.outputs.end(), [&](const OutputSpec& output) {
              return output.axes.size() > 1 && output.axes[1] && *output.axes[1] == input.type.shape[1];
            });
        if (!is_kept) mask->second = ones(mask->second.shape[0], mask->second.shape[1]);
      }
    }
  }

  /// All tokens of the check; every place counts, so that each row of the cache is compared.
  Tokens tokens() {
    const InputSpec& spec = *tokens_of(e_.config.description(cached_), axis_);
    return {dummy(cached_).at(spec.name), ones(batch_, prefix + step)};
  }

  /// What an earlier part puts out.
  const ir::Tensor& result(const std::string& output) {
    const auto known = results_.find(output);
    if (known != results_.end()) return known->second;
    const std::string part = maker_of(output);
    Tensors inputs = dummy(part);
    for (const InputSpec& spec : e_.config.description(part).inputs) {
      if (spec.role == ONNXPORT_ROLE_HIDDEN && !maker_of(spec.of).empty()) inputs[spec.name] = result(spec.of);
    }
    return results_.emplace(output, runnable(part).run(inputs).at(output)).first->second;
  }

  /// Which places of an earlier part's result count: those of that part's mask, where it has as many or the step is to
  /// be given that mask itself, else all.
  ir::Tensor mask_of_result(const InputSpec& spec) {
    const std::string part = maker_of(spec.of);
    const int64_t width = result(spec.of).shape.at(1);
    for (const InputSpec& input : e_.config.description(part).inputs) {
      if (input.role != ONNXPORT_ROLE_MASK) continue;
      const ir::Tensor& mask = dummy(part).at(input.name);
      const bool is_asked_for = input.type.shape == spec.type.shape;
      const bool is_as_long = mask.shape == std::vector<int64_t>{batch_, width};
      if ((is_asked_for || is_as_long) && mask.dtype == spec.type.dtype) return mask;
    }
    return mask_for(spec, ir::Dim(width), {ones(batch_, width), ones(batch_, width)});
  }

  ir::Tensor value_of(const InputSpec& spec, const Description& description, const Tokens& tokens,
                      const Tensors& states) {
    const InputSpec* fresh = tokens_of(description, axis_);
    const auto state = states.find(spec.name);
    if (state != states.end()) return state->second;
    if (spec.role == ONNXPORT_ROLE_STATE) return empty_state(spec, batch_);
    if (&spec == fresh) return tokens.ids;
    const bool is_of_tokens = fresh != nullptr && spec.of == fresh->name;
    if (is_of_tokens && spec.role == ONNXPORT_ROLE_MASK) return mask_for(spec, axis_, tokens);
    if (is_of_tokens && spec.role == ONNXPORT_ROLE_POSITIONS) return positions_for(spec, tokens);
    const bool is_made = description.input(spec.of) == nullptr && !maker_of(spec.of).empty();
    if (is_made && spec.role == ONNXPORT_ROLE_HIDDEN) return result(spec.of);
    if (is_made && spec.role == ONNXPORT_ROLE_MASK) return mask_of_result(spec);
    const ir::Tensor& whole = dummy(part_of(description)).at(spec.name);
    // What belongs to tokens goes along with them.
    const int64_t seen = tokens.mask.shape[1], n = tokens.ids.shape[1];
    const bool is_over_step = spec.type.shape.size() >= 2 && spec.type.shape[1] == axis_;
    return is_over_step ? along_sequence(whole, seen - n, seen) : whole;
  }
  std::string part_of(const Description& description) const {
    return &description == &e_.config.description(first_) ? first_ : cached_;
  }

  Tensors run_step(const std::string& part, const Tokens& tokens, const Tensors* before) {
    const Description& description = e_.config.description(part);
    const Tensors states = before ? as_past(e_.config.description(cached_).states, *before) : Tensors{};
    Tensors inputs;
    for (const InputSpec& spec : description.inputs)
      inputs.emplace(spec.name, value_of(spec, description, tokens, states));
    const std::optional<Holder> holder = holder_of(part);
    if (holder && holder->other != nullptr) {
      const Description& other = e_.config.description(holder->other->part);
      for (const InputSpec& spec : other.inputs) {
        if (!inputs.contains(spec.name)) inputs.emplace(spec.name, value_of(spec, other, tokens, {}));
      }
      inputs.emplace(branch_input, flag(before != nullptr));
    }
    return runnable(part).run(inputs);
  }

  const ExportToValidate& e_;
  int64_t batch_ = 2;
  std::string cached_, first_;  // parts
  ir::Dim axis_;                // of the tokens that a step adds
  std::map<std::string, Tensors> dummies_;
  Tensors results_;
  std::map<std::string, std::unique_ptr<Runnable>> runnables_;  // by file, else by part
};

}  // namespace

CachedStepCheck validate_cached_step(const ExportToValidate& exported, const Tolerance& tolerance) {
  return CacheCheck(exported).run(tolerance);
}

}  // namespace onnxport
