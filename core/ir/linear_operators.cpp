// SPDX-License-Identifier: Apache-2.0
// Products of matrices, and tables of embeddings.
#include <map>

#include "core/ir/inference.hpp"

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

void infer_einsum(Inference& x) {
  std::string equation = x.node.text("equation", "");
  std::erase(equation, ' ');
  const size_t arrow = equation.find("->");
  if (arrow == std::string::npos) refuse("its equation needs an explicit result (->)");
  std::map<char, Dim> letters;
  size_t input = 0, axis = 0;
  for (char letter : equation.substr(0, arrow)) {
    if (letter == ',') {
      if (axis != x.shape(input).size()) refuse(fmt::format("input {} has another rank than its letters", input));
      ++input;
      axis = 0;
      continue;
    }
    if (input >= x.node.inputs.size() || axis >= x.shape(input).size()) refuse("its equation does not fit its inputs");
    const Dim& dim = x.shape(input)[axis++];
    const auto [known, fresh] = letters.try_emplace(letter, dim);
    if (!fresh) require_same(dim, known->second, "a letter");
  }
  if (input + 1 != x.node.inputs.size()) refuse("its equation has another number of inputs");
  Shape shape;
  for (char letter : equation.substr(arrow + 2)) {
    if (!letters.contains(letter)) refuse(fmt::format("the letter '{}' of the result is in no input", letter));
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

}  // namespace

const std::vector<Operator>& linear_operators() {
  using enum AttributeKind;
  static const std::vector<Operator> rows{
      {"", "MatMul", 2, 2, 1, infer_matmul},
      {"", "Gemm", 2, 3, 1, infer_gemm, {{"alpha", real}, {"beta", real}, {"transA", integer}, {"transB", integer}}},
      {"", "Einsum", 1, 16, 1, infer_einsum, {{"equation", text}}},
      {composite_domain, "Linear", 2, 3, 1, infer_linear},
      {composite_domain, "Embedding", 2, 2, 1, infer_embedding},
  };
  return rows;
}

}  // namespace onnxport::ir
