// SPDX-License-Identifier: Apache-2.0
#include "core/validate/validate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <future>
#include <new>
#include <span>

#include "core/error.hpp"

namespace onnxport {
std::string ValidationRun::shape_problem() const {
  for (const Difference& difference : differences) {
    if (difference.has_other_shape) return difference.output + " " + difference.problem;
  }
  return problem;
}

bool ValidationReport::passes() const {
  return !runs.empty() && std::all_of(runs.begin(), runs.end(), [](const ValidationRun& run) { return run.passes; });
}

double ValidationReport::largest_difference() const {
  double largest = 0;
  for (const ValidationRun& run : runs) {
    for (const Difference& difference : run.differences) largest = std::max(largest, difference.max_abs);
  }
  return largest;
}

namespace {

/// How many of the sets from `first` on run together.
size_t together(const std::vector<ValidationInputs>& inputs, size_t first) {
  size_t count = 1;
  uint64_t bytes = inputs[first].activations;
  for (; bytes > 0 && first + count < inputs.size(); ++count) {
    const uint64_t next = inputs[first + count].activations;
    if (next == 0 || bytes + next > together_bytes) break;
    bytes += next;
  }
  return count;
}

ValidationRun compared(const ValidationInputs& set, const Tensors& expected, const Tensors& actual,
                       const Tolerance& tolerance) {
  ValidationRun run;
  run.label = set.label;
  Tolerance used = tolerance;
  used.only_finite = !set.expected;
  run.differences = compare(expected, actual, used);
  run.passes =
      std::all_of(run.differences.begin(), run.differences.end(), [](const Difference& d) { return d.passes; });
  return run;
}

}  // namespace

namespace {

/// What a back end made of each set: results, or why there are none.
struct Computed {
  std::vector<Tensors> results;
  std::vector<std::exception_ptr> problems;
};

Computed compute(Runnable& model, const std::vector<const Tensors*>& sets) {
  if (sets.empty()) return {};
  model.ready();  // what it says here is of the model, and not of these inputs
  try {
    return {model.run_all(sets), std::vector<std::exception_ptr>(sets.size())};
  } catch (const Error&) {
    if (sets.size() == 1) return {std::vector<Tensors>(1), {std::current_exception()}};
  } catch (const std::bad_alloc&) {
    if (sets.size() == 1) throw;
  }
  Computed computed;
  for (const Tensors* set : sets) {
    Computed one = compute(model, {set});
    computed.results.push_back(std::move(one.results[0]));
    computed.problems.push_back(one.problems[0]);
  }
  return computed;
}

}  // namespace

ValidationReport validate_model_outputs(Runnable* reference, Runnable& onnx,
                                        const std::vector<ValidationInputs>& inputs, const Tolerance& tolerance,
                                        const std::function<void(const ValidationRun&)>& each) {
  ValidationReport report;
  std::exception_ptr first_problem;
  bool is_any_computed = false;
  for (size_t first = 0; first < inputs.size();) {
    const size_t count = together(inputs, first);
    const std::span sets(inputs.data() + first, count);
    std::vector<const Tensors*> to_run, to_expect;
    for (const ValidationInputs& set : sets) {
      to_run.push_back(&set.inputs);
      if (!set.expected) to_expect.push_back(&set.inputs);
    }
    if (!to_expect.empty() && reference == nullptr)
      throw Error(Failure::internal, "neither recorded outputs nor a reference to compare with");
    const bool is_last = first + count == inputs.size();
    auto running = std::async(std::launch::async, [&] {
      Computed computed = compute(onnx, to_run);
      if (is_last) onnx.rest();
      return computed;
    });
    const Computed evaluated = to_expect.empty() ? Computed{} : compute(*reference, to_expect);
    const Computed actual = running.get();
    for (size_t i = 0, next = 0; i < count; ++i) {
      ValidationRun run;
      const bool is_recorded = sets[i].expected.has_value();
      const size_t place = is_recorded ? 0 : next++;
      // What the runtime says of the file comes first.
      std::exception_ptr problem = actual.problems[i];
      if (!problem && !is_recorded) problem = evaluated.problems[place];
      if (problem) {
        if (!first_problem) first_problem = problem;
        run = {sets[i].label, {}, false, text_of(problem)};
      } else {
        is_any_computed = true;
        run =
            compared(sets[i], is_recorded ? *sets[i].expected : evaluated.results[place], actual.results[i], tolerance);
      }
      if (each) each(run);
      report.runs.push_back(std::move(run));
    }
    first += count;
  }
  if (first_problem && !is_any_computed) std::rethrow_exception(first_problem);
  return report;
}

ValidationInputs read_case(const std::filesystem::path& file) {
  ValidationInputs set;
  set.label = file.filename().string();
  set.expected.emplace();
  std::vector<StoredTensor> tensors;
  try {
    tensors = read_safetensors(file.string());
  } catch (const Error& error) {
    throw Error(error.failure(), error.what(),
                "a case is a safetensors file that `onnxport record` or its own program has written: record it again");
  }
  for (StoredTensor& stored : tensors) {
    const std::string name = stored.name;
    ir::Tensor tensor = materialize(Weight{std::make_shared<const StoredTensor>(std::move(stored)), {}});
    if (name.starts_with("in/"))
      set.inputs.emplace(name.substr(3), std::move(tensor));
    else if (name.starts_with("out/"))
      set.expected->emplace(name.substr(4), std::move(tensor));
  }
  if (set.inputs.empty() || set.expected->empty()) {
    throw Error(Failure::checkpoint,
                fmt::format("{} is no case file: it holds {} tensors in/… and {} tensors out/…", file.string(),
                            set.inputs.size(), set.expected->size()),
                "a case file records a model's inputs as in/NAME and its outputs as out/NAME");
  }
  return set;
}

}  // namespace onnxport
