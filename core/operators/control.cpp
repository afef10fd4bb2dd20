// SPDX-License-Identifier: Apache-2.0
// Operators that run graphs. Bodies speak of the same symbols as the graph around them.
#include <fmt/format.h>

#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"
#include "core/operators/place.hpp"

namespace onnxport::ir {
namespace {

const Graph& body_of(const Inference& x, const char* name) {
  const auto found = x.node.bodies.find(name);
  if (found == x.node.bodies.end() || found->second == nullptr) refuse(fmt::format("needs a body '{}'", name));
  if (x.node.formal_inputs > x.node.inputs.size())
    refuse(fmt::format("takes {} inputs itself, and was given {}", x.node.formal_inputs, x.node.inputs.size()));
  return *found->second;
}

/// Whether a value can stand for an input of that type; a symbol is any length.
bool fits(const TensorType& given, const TensorType& wanted) {
  if (given.dtype != wanted.dtype || given.shape.size() != wanted.shape.size()) return false;
  for (size_t axis = 0; axis < given.shape.size(); ++axis) {
    const Dim &is = given.shape[axis], &must_be = wanted.shape[axis];
    if (is.is_static() && must_be.is_static() && !(is == must_be)) return false;
  }
  return true;
}

/// The inputs of a body are what the operator hands it, then the captures.
void check_inputs(const Inference& x, const Graph& body, std::vector<TensorType> given) {
  for (size_t i = x.node.formal_inputs; i < x.node.inputs.size(); ++i) given.push_back(x.in(i).type);
  if (given.size() != body.inputs.size())
    refuse(fmt::format("a body takes {} inputs, and is given {}", body.inputs.size(), given.size()));
  for (size_t i = 0; i < given.size(); ++i) {
    const TensorType& wanted = body[body.inputs[i].value].type;
    if (!fits(given[i], wanted)) {
      refuse(fmt::format("the input '{}' of a body is {}, and is given {}", body.inputs[i].name, to_string(wanted),
                         to_string(given[i])));
    }
  }
}

const TensorType& output_type(const Graph& body, size_t output) {
  return body[body.outputs.at(output).value].type;
}

void require_outputs(const Graph& body, size_t count) {
  if (body.outputs.size() != count)
    refuse(fmt::format("a body yields {} values, and {} are needed", body.outputs.size(), count));
}

/// What is known of a value that is either of the two; lengths that differ are a symbol.
TensorType either(const Inference& x, const TensorType& a, const TensorType& b, size_t result) {
  if (a.dtype != b.dtype || a.shape.size() != b.shape.size())
    refuse(fmt::format("result {} is {} in one case and {} in the other", result, to_string(a), to_string(b)));
  TensorType type = a;
  for (size_t axis = 0; axis < a.shape.size(); ++axis) {
    if (!(a.shape[axis] == b.shape[axis]))
      type.shape[axis] =
          Dim::symbol(fmt::format("axis {} of result {} of {} in {}", axis, result, x.node.op, place_of(x.node)));
  }
  return type;
}

void infer_if(Inference& x) {
  if (x.in(0).type.dtype != DType::boolean || x.shape(0).size() > 1) refuse("its condition must be one boolean");
  const Graph &yes = body_of(x, "then_branch"), &no = body_of(x, "else_branch");
  for (const Graph* branch : {&yes, &no}) {
    check_inputs(x, *branch, {});
    require_outputs(*branch, x.results.size());
  }
  for (size_t i = 0; i < x.results.size(); ++i)
    x.results[i].type = either(x, output_type(yes, i), output_type(no, i), i);
}

/// The types of inputs [first, formal_inputs), which are states.
std::vector<TensorType> types_from(const Inference& x, size_t first) {
  std::vector<TensorType> types;
  for (size_t i = first; i < x.node.formal_inputs; ++i) types.push_back(x.in(i).type);
  return types;
}

/// Results of a repeated body: its states, then what it yields each time, stacked. `first`: the body's output that is
/// the first state.
void set_results(Inference& x, const Graph& body, size_t first, const std::vector<TensorType>& states,
                 const Dim& times) {
  for (size_t i = 0; i < x.results.size(); ++i) {
    const TensorType& yielded = output_type(body, first + i);
    if (i < states.size()) {
      x.results[i].type = either(x, states[i], yielded, i);
      continue;
    }
    Shape shape = yielded.shape;
    shape.insert(shape.begin(), times);
    set(x, yielded.dtype, std::move(shape), i);
  }
}

/// Inputs: the number of times or absent, whether to begin or absent, states.
/// Body: time i64[], whether this is done bool[], states, captures -> whether to go on bool[], states, stacked results.
void infer_loop(Inference& x) {
  const Graph& body = body_of(x, "body");
  if (x.node.formal_inputs < 2) refuse("takes a number of times and a condition, or absent ones, before its states");
  const std::vector<TensorType> states = types_from(x, 2);
  std::vector<TensorType> given{{DType::i64, {}}, {DType::boolean, {}}};
  given.insert(given.end(), states.begin(), states.end());
  check_inputs(x, body, std::move(given));
  require_outputs(body, 1 + x.results.size());
  set_results(x, body, 1, states, Dim::symbol("times of the loop in " + place_of(x.node)));
}

/// Inputs: states, then as many as num_scan_inputs whose first axis is walked.
/// Body: states, slices, captures -> states, stacked results.
void infer_scan(Inference& x) {
  const Graph& body = body_of(x, "body");
  const auto scanned = static_cast<size_t>(x.node.integer("num_scan_inputs", 0));
  if (scanned == 0 || scanned > x.node.formal_inputs) refuse("num_scan_inputs does not fit its inputs");
  const size_t count = x.node.formal_inputs - scanned;
  std::vector<TensorType> given = types_from(x, 0);
  const std::vector<TensorType> states(given.begin(), given.begin() + static_cast<std::ptrdiff_t>(count));
  const Shape& walked = x.shape(count);
  for (size_t i = count; i < given.size(); ++i) {
    if (given[i].shape.empty()) refuse(fmt::format("input {} is a scalar and has no axis to walk", i));
    require_same(given[i].shape[0], walked[0], "the axis that is walked");
    given[i].shape.erase(given[i].shape.begin());
  }
  check_inputs(x, body, std::move(given));
  require_outputs(body, x.results.size());
  set_results(x, body, 0, states, walked[0]);
}

}  // namespace

const std::vector<Operator>& control_operators() {
  using enum AttributeKind;
  static const std::vector<Operator> rows{
      {.name = "If",
       .inputs = {1, any_number},
       .max_outputs = any_number,
       .infer = infer_if,
       .documentation = {"condition: bool, captures...",
                         "bodies `then_branch`, `else_branch`; see [below](#graphs-in-graphs)"}},
      {.name = "Loop",
       .inputs = {0, any_number},
       .max_outputs = any_number,
       .infer = infer_loop,
       .documentation = {"[times: i64], [condition: bool], states..., captures...",
                         "body `body`: time, condition, states, captures → condition, states, rows; yields states, "
                         "then rows stacked"}},
      {.name = "Scan",
       .inputs = {1, any_number},
       .max_outputs = any_number,
       .infer = infer_scan,
       .attributes = {{"num_scan_inputs", integer}},
       .documentation = {"states..., what is walked..., captures...",
                         "body `body`: states, slices of the first axis, captures → states, rows; yields states, then "
                         "rows stacked"}},
  };
  return rows;
}

}  // namespace onnxport::ir
