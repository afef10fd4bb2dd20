// SPDX-License-Identifier: Apache-2.0
// Products of matrices.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "core/import/rows.hpp"

namespace onnxport::script {
namespace {

Items linear(Call& call) {
  const ValueId x = call.tensor(0), weight = call.tensor(1);
  if (call.rank(weight) != 2) call.refuse("has a weight that is no matrix");
  std::vector<ValueId> inputs{x, weight};
  if (call.has(2)) inputs.push_back(call.tensor(2));
  if (call.rank(x) > 1) return {Tensor{call.composite("Linear", inputs)}};
  inputs[0] = call.unsqueeze(x, {0});
  return {Tensor{call.squeeze(call.composite("Linear", inputs), {0})}};
}

/// torch.matmul: a vector on the left is a row, one on the right a column, whose axis is gone then.
ValueId product(Call& call, ValueId a, ValueId b) {
  Ints gone;
  const bool is_row = call.rank(a) == 1, is_column = call.rank(b) == 1;
  if (is_row) a = call.unsqueeze(a, {0});
  if (is_column) b = call.unsqueeze(b, {1});
  const ValueId y = call.op("MatMul", {a, b});
  const auto rank = static_cast<int64_t>(call.rank(y));
  if (is_row) gone.push_back(rank - 2);
  if (is_column) gone.push_back(rank - 1);
  return call.squeeze(y, gone);
}

Items matmul(Call& call) {
  const std::vector<ValueId> both = promoted(call, {call.at(0), call.at(1)});
  return {Tensor{product(call, both[0], both[1])}};
}

ValueId times(Call& call, ValueId x, double factor) {
  return factor == 1 ? x : call.op("Mul", {x, call.scalar(factor, call.dtype(x))});
}

/// beta · x + alpha · a b: addmm, baddbmm, addmv
Items add_product(Call& call) {
  const ValueId y = times(call, product(call, call.tensor(1), call.tensor(2)), call.number(4, 1));
  const double beta = call.number(3, 1);
  if (beta == 0) return {Tensor{y}};
  return {Tensor{call.op("Add", {y, times(call, call.tensor(0), beta)})}};
}

Items outer(Call& call) {
  const std::vector<ValueId> both = promoted(call, {call.at(0), call.at(1)});
  return {Tensor{call.op("Mul", {call.unsqueeze(both[0], {1}), call.unsqueeze(both[1], {0})})}};
}

/// "bij,bjk" -> "bij,bjk->bik", with letters in place of the dots.
std::string whole_equation(Call& call, std::string equation, const std::vector<ValueId>& inputs) {
  std::erase(equation, ' ');
  const size_t arrow = equation.find("->");
  std::string left = equation.substr(0, arrow), right = arrow == std::string::npos ? "" : equation.substr(arrow + 2);
  std::string free;
  for (char letter = 'A'; letter <= 'Z'; ++letter) {
    if (equation.find(letter) == std::string::npos) free += letter;
  }
  std::string filled;
  size_t input = 0, begin = 0, most = 0;
  while (begin <= left.size()) {
    const size_t comma = std::min(left.find(',', begin), left.size());
    std::string term = left.substr(begin, comma - begin);
    if (const size_t dots = term.find("..."); dots != std::string::npos) {
      const size_t count = call.rank(inputs.at(input)) - (term.size() - 3);
      if (count > 0 && most > 0 && count != most) call.refuse("broadcasts the axes of its dots");
      most = std::max(most, count);
      term.replace(dots, 3, free.substr(0, count));
    }
    filled += (input > 0 ? "," : "") + term;
    ++input;
    begin = comma + 1;
  }
  if (arrow == std::string::npos) {
    std::set<char> once;
    for (char letter : filled) {
      if (letter != ',' && std::count(filled.begin(), filled.end(), letter) == 1) once.insert(letter);
    }
    right = std::string(once.begin(), once.end());
  } else if (const size_t dots = right.find("..."); dots != std::string::npos) {
    right.replace(dots, 3, free.substr(0, most));
  }
  return filled + "->" + right;
}

Items einsum(Call& call) {
  const std::vector<ValueId> inputs = promoted(call, call.list(1));
  return {Tensor{call.op("Einsum", inputs, {{"equation", whole_equation(call, call.text(0), inputs)}})}};
}

}  // namespace

const std::vector<Row>& linear_rows() {
  static const std::vector<Row> rows{
      {"aten::linear", linear},     {"aten::matmul", matmul},      {"aten::mm", matmul},
      {"aten::bmm", matmul},        {"aten::mv", matmul},          {"aten::dot", matmul},
      {"aten::__matmul__", matmul}, {"aten::addmm", add_product},  {"aten::baddbmm", add_product},
      {"aten::addmv", add_product}, {"aten::addbmm", add_product}, {"aten::outer", outer},
      {"aten::ger", outer},         {"aten::einsum", einsum},
  };
  return rows;
}

}  // namespace onnxport::script
