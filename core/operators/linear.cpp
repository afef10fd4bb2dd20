// SPDX-License-Identifier: Apache-2.0
// Products of matrices, and tables of embeddings.
#include <fmt/format.h>

#include <cctype>
#include <map>
#include <numeric>

#include "core/ir/builder.hpp"
#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"
#include "core/operators/evaluation.hpp"

namespace onnxport::ir {
namespace {

Shape matmul_shape(const Shape& a, const Shape& b) {
  if (a.size() < 2 || b.size() < 2) refuse("its inputs must be matrices or stacks of them");
  require_same(a.back(), b[b.size() - 2], "the axis that is summed over");
  Shape shape = broadcast(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2));
  shape.push_back(a[a.size() - 2]);
  shape.push_back(b.back());
  return shape;
}

void infer_matmul(Inference& x) {
  require_same_dtype(x, 0, 1);
  set(x, dtype_of(x), matmul_shape(x.shape(0), x.shape(1)));
}

void infer_gemm(Inference& x) {
  require_rank(x, 0, 2);
  require_rank(x, 1, 2);
  Shape a = x.shape(0), b = x.shape(1);
  if (x.node.integer("transA", 0) != 0) std::swap(a[0], a[1]);
  if (x.node.integer("transB", 0) != 0) std::swap(b[0], b[1]);
  set(x, dtype_of(x), matmul_shape(a, b));
}

/// An equation in its parts, without blanks: "bij,jk->bik".
struct Equation {
  std::string text;
  std::vector<std::string> terms;
  std::string result;

  [[noreturn]] void refuse(const std::string& what) const {
    ir::refuse(fmt::format("its equation \"{}\" {}", text, what));
  }
};

Equation equation_of(const Node& node) {
  Equation equation{node.text("equation", ""), {}, {}};
  std::erase(equation.text, ' ');
  const size_t arrow = equation.text.find("->");
  if (arrow == std::string::npos) equation.refuse("needs an explicit result (->)");
  equation.result = equation.text.substr(arrow + 2);
  equation.terms.emplace_back();
  for (char letter : equation.text.substr(0, arrow) + equation.result) {
    if (letter != ',' && std::isalpha(static_cast<unsigned char>(letter)) == 0)
      equation.refuse(fmt::format("has a '{}'; expected a letter for each axis, and a comma between inputs", letter));
  }
  for (char letter : equation.text.substr(0, arrow)) {
    if (letter == ',')
      equation.terms.emplace_back();
    else
      equation.terms.back() += letter;
  }
  return equation;
}

void infer_einsum(Inference& x) {
  const Equation equation = equation_of(x.node);
  if (equation.terms.size() != x.node.inputs.size()) {
    equation.refuse(fmt::format("is for {} inputs, and was given {}", equation.terms.size(), x.node.inputs.size()));
  }
  std::map<char, Dim> letters;
  for (size_t input = 0; input < equation.terms.size(); ++input) {
    const Shape& shape = x.shape(input);
    const std::string& term = equation.terms[input];
    if (term.size() != shape.size()) {
      equation.refuse(fmt::format("has {} letters for input {}, which has {} axes", term.size(), input, shape.size()));
    }
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      const auto [known, fresh] = letters.try_emplace(term[axis], shape[axis]);
      if (!fresh && !(known->second == shape[axis])) {
        equation.refuse(
            fmt::format("has '{}' for {} and for {}", term[axis], known->second.to_string(), shape[axis].to_string()));
      }
    }
  }
  Shape shape;
  for (char letter : equation.result) {
    if (!letters.contains(letter)) equation.refuse(fmt::format("has '{}' in its result and in no input", letter));
    shape.push_back(letters[letter]);
  }
  set(x, dtype_of(x), std::move(shape));
}

void infer_linear(Inference& x) {
  require_rank(x, 1, 2);
  const Shape& weight = x.shape(1);
  if (x.shape(0).empty()) refuse("its input is a scalar");
  require_same(x.shape(0).back(), weight[1], "the input width");
  if (x.has(2)) require_same(x.shape(2).at(0), weight[0], "the bias");
  Shape shape = x.shape(0);
  shape.back() = weight[0];
  set(x, dtype_of(x), std::move(shape));
}

void infer_embedding(Inference& x) {
  require_rank(x, 0, 2);
  if (dtype_of(x, 1) != DType::i64) refuse("its ids must be i64");
  Shape shape = x.shape(1);
  shape.push_back(x.shape(0)[1]);
  set(x, dtype_of(x), std::move(shape));
}

// ------------------------------------------------------------------------------------------------- lowering

/// MatMul with the weight turned while it is written. Where the same tensor is needed in its stored layout too (a head
/// that is tied to the embedding), Gemm reads that instead, so that it is in the file once.
///
///   x ─ MatMul(weightᵀ) ─ Add(bias)            x ─ Reshape[-1, in] ─ Gemm(transB) ─ Reshape[..., out]
Results linear(Builder& b) {
  const ValueId x = b.node().input(0), weight = b.node().input(1), bias = b.node().input(2);
  const Value stored = b.value(weight);
  const size_t rank = b.shape(x).size();
  const bool as_stored = b.stored_layout_needed(weight), turnable = stored.origin == Origin::weight && !as_stored;
  if (rank == 2 || as_stored) {
    const int64_t in = b.shape(weight)[1].size(), out = b.shape(weight)[0].size();
    Results inputs{rank == 2 ? x : b.reshape(x, {-1, in}), weight};
    if (bias != absent) inputs.push_back(bias);
    const ValueId y = b.op("Gemm", inputs, {{"transB", int64_t{1}}});
    if (rank == 2) return {y};
    if (rank == 3 && b.shape(x)[1].is_static()) return {b.reshape(y, {-1, b.shape(x)[1].size(), out})};
    Results dims;
    for (size_t axis = 0; axis + 1 < rank; ++axis) dims.push_back(b.length(x, axis));
    dims.push_back(b.integers({out}));
    return {b.op("Reshape", {y, b.op("Concat", dims, {{"axis", int64_t{0}}})})};
  }
  const ValueId turned = turnable ? b.graph().add_weight(stored.name, stored.weight->then(TransposeMatrix{}))
                                  : b.transpose(weight, {1, 0});
  const ValueId y = b.op("MatMul", {x, turned});
  return {bias == absent ? y : b.op("Add", {y, bias})};
}

/// In 16 bits both have the same rank: ONNX Runtime (1.32) joins a Transpose to the product and then does not load one
/// of a stack of matrices by fewer of them.
Results matmul(Builder& b) {
  Results inputs{b.node().input(0), b.node().input(1)};
  const size_t ranks[] = {b.shape(inputs[0]).size(), b.shape(inputs[1]).size()};
  const size_t smaller = ranks[0] < ranks[1] ? 0 : 1;
  const bool narrow = b.dtype(inputs[0]) == DType::f16 || b.dtype(inputs[0]) == DType::bf16;
  if (!narrow || ranks[0] == ranks[1] || ranks[smaller] < 3 || b.value(inputs[smaller]).origin == Origin::weight)
    return b.keep(b.node().attributes);
  std::vector<int64_t> axes(ranks[1 - smaller] - ranks[smaller]);
  std::iota(axes.begin(), axes.end(), 0);
  inputs[smaller] = b.unsqueeze(inputs[smaller], std::move(axes));
  return b.graph().add_node({"", "MatMul", b.node().scope, std::move(inputs), {}, {}, ""});
}

Results embedding(Builder& b) {
  return {b.op("Gather", {b.node().input(0), b.node().input(1)}, {{"axis", int64_t{0}}})};
}

}  // namespace

const std::vector<Operator>& linear_operators() {
  using enum AttributeKind;
  static const std::vector<Operator> rows{
      {.name = "MatMul",
       .inputs = {2},
       .infer = infer_matmul,
       .lowering = {{matmul}},
       .fold = {.evaluate = evaluate_matmul},
       .precision = {.product = true},
       .documentation = {"a, b"}},
      {.name = "Gemm",
       .inputs = {2, 3},
       .infer = infer_gemm,
       .attributes = {{"alpha", real, "1"}, {"beta", real, "1"}, {"transA", integer, "0"}, {"transB", integer, "0"}},
       .precision = {.product = true},
       .documentation = {"a, b, [c]", "matrices"}},
      {.name = "Einsum",
       .inputs = {1, 16},
       .infer = infer_einsum,
       .attributes = {{"equation", text}},
       .precision = {.wide_in_bf16_below = every_opset, .product = true},
       .documentation = {"x..."}},
      {.domain = composite_domain,
       .name = "Linear",
       .inputs = {2, 3},
       .infer = infer_linear,
       .lowering = {{linear}},
       .precision = {.product = true},
       .documentation = {"x: f[..., in], weight: f[out, in], [bias: f[out]]", "x · weightᵀ + bias, torch's layout"}},
      {.domain = composite_domain,
       .name = "Embedding",
       .inputs = {2},
       .infer = infer_embedding,
       .lowering = {{embedding}},
       .documentation = {"weight: f[n, width], ids: i64[...]", "rows of the table"}},
  };
  return rows;
}

}  // namespace onnxport::ir
