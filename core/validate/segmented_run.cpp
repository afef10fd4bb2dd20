// SPDX-License-Identifier: Apache-2.0
// The chains of a segmented validation.
#include <algorithm>
#include <exception>
#include <future>
#include <map>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/error.hpp"
#include "core/tensor/elements.hpp"
#include "core/validate/activations.hpp"
#include "core/validate/file_inputs.hpp"
#include "core/validate/segmented_model.hpp"

namespace onnxport {
namespace {

/// A value of the file as the definition has it, whose type may be wider.
ir::Tensor as_type(const ir::Tensor& tensor, ir::DType dtype) {
  if (tensor.dtype == dtype) return tensor;
  ir::Tensor wide{dtype, tensor.shape, {}};
  const auto count = static_cast<size_t>(tensor.element_count());
  wide.data.resize(count * ir::size_of(dtype));
  if (tensor.dtype == ir::DType::i32 && dtype == ir::DType::i64)
    std::copy_n(tensor.as<int32_t>().begin(), count, wide.as<int64_t>().begin());
  else
    convert_elements(tensor.dtype, tensor.data.data(), dtype, wide.data.data(), count);
  return wide;
}

/// One set of inputs on its way. Each side has what its segments take: inputs, and what was carried to where they are.
struct Set {
  const ValidationInputs* asked;
  ValidationRun run;
  std::exception_ptr problem{};  // that ended it
  Tensors file;                  // ONNX Runtime's, by the file's names
  Tensors own;                   // the reference's of one segment alone: of what ONNX Runtime has yielded
  Tensors chain;                 // its own results, carried through
};

/// What one side made of a set in one segment, or why it could not.
struct Made {
  Tensors values;
  std::exception_ptr problem{};
};

void keep_worse(Difference& worst, const Difference& other) {
  const auto rank = [](const Difference& d) { return std::pair(!d.passes, d.max_abs); };
  if (worst.output.empty() || rank(other) > rank(worst)) worst = other;
}

class Chains {
 public:
  Chains(const SegmentedModel& model, const SegmentedValidation& asked) : model_(model), asked_(asked) {
    judged_ = asked.tolerance;
    judged_.only_finite = true;
    for (const ValidationInputs& inputs : asked.inputs) {
      Set& set = sets_.emplace_back(Set{.asked = &inputs, .run = {.label = inputs.label, .differences = {}}});
      set.file = as_file_takes(inputs.inputs, model.form);
      set.own = set.chain = inputs.inputs;
    }
    for (size_t k = 0; k < model.segments.size(); ++k) {
      for (ir::ValueId id : model.segments[k].takes) last_take_[id] = k;
    }
  }

  ValidationReport run() {
    uint64_t done = 0, all = 0;
    for (const Segment& segment : model_.segments) all += segment.weights;
    for (size_t k = 0; k < model_.segments.size(); ++k) {
      if (asked_.before_each) asked_.before_each(done, all);
      pass(k);
      done += segment(k).weights;
    }
    return concluded();
  }

 private:
  const Segment& segment(size_t k) const { return model_.segments[k]; }
  const ir::Graph& definition() const { return model_.both.definition; }

  std::vector<Set*> running() {
    std::vector<Set*> sets;
    for (Set& set : sets_) {
      if (!set.problem) sets.push_back(&set);
    }
    return sets;
  }

  void pass(size_t k) {
    SegmentDifference& difference = report_.segments.emplace_back();
    difference.from = segment(k).from;
    difference.to = segment(k).to;
    difference.weights = segment(k).weights;
    const std::vector<Set*> sets = running();
    auto judged = std::async(std::launch::async, [&] { return run_file(k, sets); });
    const ir::Graph graph = graph_of(definition(), segment(k));
    std::vector<Made> references = run_reference(graph, sets);
    std::vector<Made> files = judged.get();
    for (size_t s = 0; s < sets.size(); ++s) {
      Set& set = *sets[s];
      Made &own = references[2 * s], &chain = references[2 * s + 1];
      // What the runtime says of the file comes first.
      for (const Made* made : {&files[s], &own, &chain}) {
        if (made->problem && !set.problem) set.problem = made->problem;
      }
      if (set.problem) continue;
      const bool is_right = compare_set(k, set, {files[s].values, own.values, chain.values}, difference);
      const bool is_first = !is_right && !departure_;
      if (is_first || (asked_.traces_values && s == 0)) trace(k, graph, set, is_first);
      carry(k, set, std::move(files[s].values), own.values, std::move(chain.values));
    }
  }

  std::vector<Made> run_file(size_t k, const std::vector<Set*>& sets) const {
    const auto runtime = load_backend("onnxruntime").load_image(model_.file->image(k));
    std::vector<Made> made;
    for (const Set* set : sets) {
      try {
        made.push_back({runtime->run(set->file)});
      } catch (const Error&) {
        made.push_back({{}, std::current_exception()});
      }
    }
    return made;
  }

  /// Of each set first the segment alone, then the chain. As many together as may be in memory at once.
  std::vector<Made> run_reference(const ir::Graph& graph, const std::vector<Set*>& sets) const {
    auto reference = load_backend("reference").load_graph(graph);
    reference = with_kept_logits(std::move(reference), model_.logits);
    std::vector<Made> made;
    for (size_t first = 0; first < sets.size();) {
      std::vector<const Tensors*> together;
      uint64_t bytes = 0;
      size_t next = first;
      do {
        together.push_back(&sets[next]->own);
        together.push_back(&sets[next]->chain);
        bytes += 2 * sets[next]->asked->activations;
        ++next;
      } while (next < sets.size() && bytes > 0 && bytes + 2 * sets[next]->asked->activations <= together_bytes);
      for (Made& one : run_together(*reference, together)) made.push_back(std::move(one));
      first = next;
    }
    return made;
  }

  static std::vector<Made> run_together(Runnable& reference, const std::vector<const Tensors*>& inputs) {
    std::vector<Made> made;
    try {
      for (Tensors& values : reference.run_all(inputs)) made.push_back({std::move(values)});
      return made;
    } catch (const Error&) {
      if (inputs.size() == 1) return {{{}, std::current_exception()}};
    } catch (const std::bad_alloc&) {
      if (inputs.size() == 1) throw;
    }
    made.clear();
    for (const Tensors* one : inputs) made.push_back(run_together(reference, {one})[0]);
    return made;
  }

  /// What a segment yields may have been made before it.
  static const ir::Tensor& file_value(const Set& set, const Tensors& made, const std::string& name) {
    const auto found = made.find(name);
    return found == made.end() ? set.file.at(name) : found->second;
  }

  struct Results {
    const Tensors &file, &own, &chain;
  };

  /// Whether what the segment yields is right by itself.
  bool compare_set(size_t k, Set& set, const Results& made, SegmentDifference& difference) const {
    bool is_right = true;
    const auto note = [&](const std::string& name, const std::string& module, const ir::Tensor& actual) {
      const auto differs = [&](const Tensors& expected) {
        Difference found = compare({{name, expected.at(name)}}, {{name, actual}}, judged_)[0];
        found.output = module;
        return found;
      };
      const Difference own = differs(made.own);
      is_right = is_right && own.passes;
      keep_worse(difference.own, own);
      keep_worse(difference.total, differs(made.chain));
    };
    for (ir::ValueId id : segment(k).yields) {
      const std::string name = model_.both.carried(id);
      if (name.empty()) continue;
      const ir::Tensor actual = as_type(file_value(set, made.file, name), definition()[id].type.dtype);
      note(carried_name(id), module_of(k, id), actual);
    }
    for (const ir::NamedValue& output : segment(k).outputs) {
      Tensors actual;
      if (const auto found = made.file.find(output.name); found != made.file.end()) {
        actual.insert(*found);
        note(output.name, output.name, found->second);
      }
      set.run.differences.push_back(compare({{output.name, made.chain.at(output.name)}}, actual, judged_)[0]);
    }
    return is_right;
  }

  std::string module_of(size_t k, ir::ValueId id) const {
    for (size_t i = segment(k).first; i < segment(k).last; ++i) {
      const ir::Node& node = definition().nodes[i];
      if (std::find(node.outputs.begin(), node.outputs.end(), id) != node.outputs.end())
        return StepDifference{.module = node.scope, .op = node.op, .shape = {}, .difference = {}}.name();
    }
    return {};
  }

  /// The segment's steps, on what ONNX Runtime has yielded before it.
  void trace(size_t k, const ir::Graph& graph, const Set& set, bool departs) {
    if (departs) departure_run_ = set.run.label;
    const std::string told =
        asked_.too_little_for_steps ? asked_.too_little_for_steps(result_bytes(graph, set.own)) : "";
    if (!told.empty()) {
      const std::string place = segment(k).from + " to " + segment(k).to;
      if (departs) departure_ = place + ": " + told;
      if (asked_.traces_values) report_.not_compared.push_back(place + ", step by step: " + told);
      return;
    }
    std::vector<NamedStep> steps = steps_of(model_.both, segment(k).first, segment(k).last);
    std::erase_if(steps, [&](const NamedStep& step) { return !model_.file->makes(k).contains(step.name); });
    std::set<std::string> names;
    for (const NamedStep& step : steps) names.insert(step.name);
    Tensors inputs = set.file;
    if (model_.form.kept_logits) inputs[kept_logits_input] = ir::Tensor::i64_scalar(0);  // steps yield all of them
    const Tensors actual = load_backend("onnxruntime").load_image(model_.file->image(k, names))->run(inputs);
    const Tensors expected = load_backend("reference").load_graph(graph)->run(set.own, marks_of(definition(), steps));
    std::vector<StepDifference> found = step_differences(definition(), steps, expected, actual, asked_.tolerance);
    if (departs) {
      const StepDifference* first = first_departure(found);
      departure_ = first ? describe(*first)
                         : segment(k).from + " to " + segment(k).to + ": no single step; their differences add up";
      if (!asked_.traces_values) {
        for (const StepDifference* step : growth(found)) report_.steps.push_back(*step);
      }
    }
    if (asked_.traces_values) report_.steps.insert(report_.steps.end(), found.begin(), found.end());
  }

  /// What the segment yields to the next ones, and what they want no more.
  void carry(size_t k, Set& set, Tensors file, Tensors& own, Tensors chain) {
    for (ir::ValueId id : segment(k).yields) {
      const std::string name = model_.both.carried(id), value = carried_name(id);
      set.own[value] =
          name.empty() ? std::move(own.at(value)) : as_type(file_value(set, file, name), definition()[id].type.dtype);
      set.chain[value] = std::move(chain.at(value));
    }
    set.file.merge(file);
    model_.file->forget(set.file, k);
    for (const auto& [id, last] : last_take_) {
      if (last > k) continue;
      set.own.erase(carried_name(id));
      set.chain.erase(carried_name(id));
    }
  }

  ValidationReport concluded() {
    bool is_any_computed = false;
    for (Set& set : sets_) {
      ValidationRun& run = set.run;
      if (set.problem) {
        run = {.label = run.label, .differences = {}, .passes = false, .problem = text_of(set.problem)};
      } else {
        is_any_computed = true;
        std::ranges::sort(run.differences, {}, &Difference::output);
        run.passes = std::ranges::all_of(run.differences, &Difference::passes);
      }
      report_.runs.push_back(run);
    }
    if (!is_any_computed && !sets_.empty()) std::rethrow_exception(sets_[0].problem);
    const bool differs = std::any_of(report_.runs.begin(), report_.runs.end(),
                                     [](const ValidationRun& run) { return !run.passes && run.problem.empty(); });
    if (differs) {
      report_.first_departure = departure_.value_or("no single segment; the differences of several add up");
      report_.departure_run = departure_run_;
    } else if (!asked_.traces_values) {
      report_.steps.clear();
    }
    return std::move(report_);
  }

  const SegmentedModel& model_;
  const SegmentedValidation& asked_;
  Tolerance judged_;
  std::vector<Set> sets_;
  std::map<ir::ValueId, size_t> last_take_;  // segments
  ValidationReport report_;
  std::optional<std::string> departure_;
  std::string departure_run_;
};

}  // namespace

ValidationReport validate_in_segments(const SegmentedModel& model, const SegmentedValidation& asked) {
  return Chains(model, asked).run();
}

}  // namespace onnxport
