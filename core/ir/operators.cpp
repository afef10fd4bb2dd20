// SPDX-License-Identifier: Apache-2.0
#include "core/ir/operators.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/ir/attention_operators.hpp"
#include "core/ir/inference.hpp"

namespace onnxport::ir {
namespace {

// ------------------------------------------------------------------------------------------- elementwise

void infer_same(Inference& x) {
  set(x, dtype_of(x), x.shape(0));
  if (x.node.op == "Identity") x.results[0].contents = x.in(0).contents;
}

void infer_float(Inference& x) {
  if (!is_floating(dtype_of(x))) refuse("takes a floating-point tensor");
  infer_same(x);
}

void infer_not(Inference& x) {
  if (dtype_of(x) != DType::boolean) refuse("takes a boolean tensor");
  infer_same(x);
}

void infer_binary(Inference& x) {
  require_same_dtype(x, 0, 1);
  set(x, dtype_of(x), broadcast(x.shape(0), x.shape(1)));
  const auto& a = x.in(0).contents;
  const auto& b = x.in(1).contents;
  if (!a || !b || (a->size() != b->size() && a->size() != 1 && b->size() != 1)) return;
  const std::string& op = x.node.op;
  if (op != "Add" && op != "Sub" && op != "Mul") return;
  Shape contents;
  for (size_t i = 0; i < std::max(a->size(), b->size()); ++i) {
    const Dim& left = (*a)[a->size() == 1 ? 0 : i];
    const Dim& right = (*b)[b->size() == 1 ? 0 : i];
    if (op == "Mul" && !left.is_static() && !right.is_static()) return;
    contents.push_back(op == "Add" ? left + right : op == "Sub" ? left - right : left * right);
  }
  set_contents(x, std::move(contents));
}

void infer_logical(Inference& x) {
  if (dtype_of(x, 0) != DType::boolean || dtype_of(x, 1) != DType::boolean) refuse("takes boolean tensors");
  set(x, DType::boolean, broadcast(x.shape(0), x.shape(1)));
}

void infer_compare(Inference& x) {
  require_same_dtype(x, 0, 1);
  set(x, DType::boolean, broadcast(x.shape(0), x.shape(1)));
}

void infer_where(Inference& x) {
  if (dtype_of(x, 0) != DType::boolean) refuse("its condition must be boolean");
  require_same_dtype(x, 1, 2);
  set(x, dtype_of(x, 1), broadcast(x.shape(0), broadcast(x.shape(1), x.shape(2))));
}

void infer_cast(Inference& x) {
  const auto to = static_cast<DType>(x.node.integer("to", 0));
  if (size_of(to) == 0) refuse("its attribute 'to' is no element type");
  set(x, to, x.shape(0));
  if (to == DType::i64) x.results[0].contents = x.in(0).contents;
}

// ------------------------------------------------------------------------------------------------ layout

/// The result of Reshape for a target whose entries may be symbolic; 0 copies, one -1 takes the rest.
Shape reshaped(const Shape& from, const Shape& target) {
  Shape shape;
  std::optional<size_t> rest;
  for (size_t i = 0; i < target.size(); ++i) {
    if (target[i] == Dim(0)) {
      if (i >= from.size()) refuse(fmt::format("entry {} of the target copies an axis that is not there", i));
      shape.push_back(from[i]);
    } else if (target[i] == Dim(-1)) {
      if (rest) refuse("the target has two entries of -1");
      rest = i;
      shape.emplace_back(1);
    } else {
      shape.push_back(target[i]);
    }
  }
  // Cancel equal symbolic dims of both sides, so that what is left is static on both.
  std::vector<Dim> left;
  int64_t from_size = 1, to_size = 1;
  for (const Dim& dim : from) {
    if (dim.is_static())
      from_size *= dim.size();
    else
      left.push_back(dim);
  }
  std::vector<Dim> unmatched;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (rest && i == *rest) continue;
    if (shape[i].is_static()) {
      to_size *= shape[i].size();
    } else if (auto found = std::find(left.begin(), left.end(), shape[i]); found != left.end()) {
      left.erase(found);
    } else {
      unmatched.push_back(shape[i]);
    }
  }
  if (rest) {
    Dim size(1);
    if (unmatched.empty()) {
      if (to_size == 0) refuse("-1 beside an axis of length 0");
      for (const Dim& dim : left) size = size * dim;
      if (from_size % to_size == 0) {
        size = size * Dim(from_size / to_size);
      } else if (left.empty()) {
        refuse(fmt::format("{} elements do not divide by {}", from_size, to_size));
      } else {
        size = Dim::symbol(fmt::format("({})/{}", (size * Dim(from_size)).to_string(), to_size));
      }
    } else {
      size = Dim::symbol("rest of " + to_string(from));
    }
    shape[*rest] = size;
  } else if (left.empty() && unmatched.empty() && from_size != to_size) {
    refuse(fmt::format("{} elements cannot take the shape {}", from_size, to_string(shape)));
  }
  return shape;
}

Shape symbolic_contents(const Inference& x, size_t input, const char* name) {
  const auto& contents = x.in(input).contents;
  if (contents) return *contents;
  const auto length = x.shape(input).size() == 1 ? x.shape(input)[0].maybe_size() : std::nullopt;
  if (!length) refuse(fmt::format("the length of its {} is not known", name));
  Shape unknown;
  for (int64_t i = 0; i < *length; ++i)
    unknown.push_back(Dim::symbol(fmt::format("{} {} of {}", name, i, x.node.scope)));
  return unknown;
}

Shape attribute_or_input(const Inference& x, size_t input, const char* name) {
  if (x.has(input)) return symbolic_contents(x, input, name);
  if (!x.node.has(name)) refuse(fmt::format("needs the attribute '{}' or a further input", name));
  Shape shape;
  for (int64_t size : x.node.integers(name)) shape.emplace_back(size);
  return shape;
}

void infer_reshape(Inference& x) {
  set(x, dtype_of(x), reshaped(x.shape(0), attribute_or_input(x, 1, "shape")));
  if (x.in(0).contents && x.results[0].type.shape.size() <= 1) x.results[0].contents = x.in(0).contents;
}

void infer_transpose(Inference& x) {
  const auto perm = x.node.integers("perm");
  const Shape& from = x.shape(0);
  if (perm.size() != from.size()) refuse(fmt::format("perm has {} entries for rank {}", perm.size(), from.size()));
  Shape shape;
  std::set<int64_t> seen;
  for (int64_t axis : perm) {
    if (axis < 0 || !seen.insert(axis).second) refuse("perm is no permutation");
    shape.push_back(from[axis_index(axis, from.size())]);
  }
  set(x, dtype_of(x), std::move(shape));
}

void infer_unsqueeze(Inference& x) {
  const auto axes = x.node.integers("axes");
  const size_t rank = x.shape(0).size() + axes.size();
  std::set<size_t> added;
  for (int64_t axis : axes) {
    if (!added.insert(axis_index(axis, rank)).second) refuse("an axis is named twice");
  }
  Shape shape;
  auto next = x.shape(0).begin();
  for (size_t i = 0; i < rank; ++i) shape.push_back(added.contains(i) ? Dim(1) : *next++);
  set(x, dtype_of(x), std::move(shape));
  if (rank <= 1) x.results[0].contents = x.in(0).contents;
}

void infer_squeeze(Inference& x) {
  if (x.node.integers("axes").empty()) refuse("needs the attribute 'axes'");
  std::set<size_t> gone;
  for (int64_t axis : x.node.integers("axes")) gone.insert(axis_index(axis, x.shape(0).size()));
  Shape shape;
  for (size_t i = 0; i < x.shape(0).size(); ++i) {
    if (!gone.contains(i))
      shape.push_back(x.shape(0)[i]);
    else if (x.shape(0)[i].is_static() && x.shape(0)[i].size() != 1)
      refuse(fmt::format("axis {} is not of length 1", i));
  }
  set(x, dtype_of(x), std::move(shape));
  x.results[0].contents = x.in(0).contents;
}

/// One end of a slice against the axis: negative counts from the end, INT64_MAX is the end.
Dim slice_end(const Dim& end, const Dim& size, bool backwards) {
  if (!end.is_static()) return end;
  if (end.size() >= INT32_MAX) return size;
  if (end.size() <= INT32_MIN) return backwards ? Dim(-1) : Dim(0);
  if (end.size() < 0) return size + end;
  if (size.is_static()) return Dim(std::min(end.size(), size.size()));
  return end;
}

void infer_slice(Inference& x) {
  const bool dynamic = x.has(1);
  if (dynamic && !x.has(2)) refuse("starts are an input, and ends must be one");
  const Shape starts = attribute_or_input(x, 1, "starts");
  const Shape ends = attribute_or_input(x, 2, "ends");
  const auto axes = x.node.integers("axes");
  auto steps = x.node.integers("steps");
  if (steps.empty()) steps.assign(axes.size(), 1);
  if (starts.size() != axes.size() || ends.size() != axes.size() || steps.size() != axes.size()) {
    refuse("starts, ends, axes and steps have different lengths");
  }
  Shape shape = x.shape(0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const size_t axis = axis_index(axes[i], shape.size());
    const int64_t step = steps[i];
    if (step == 0) refuse("a step of 0");
    const Dim size = shape[axis];
    Dim begin = slice_end(starts[i], size, step < 0);
    if (step < 0 && begin == size) begin = size - Dim(1);
    const Dim end = slice_end(ends[i], size, step < 0);
    const Dim span = step > 0 ? end - begin : begin - end;
    const int64_t stride = step > 0 ? step : -step;
    if (span.is_static()) {
      shape[axis] = Dim(std::max<int64_t>(0, (span.size() + stride - 1) / stride));
    } else if (stride == 1) {
      shape[axis] = span;
    } else {
      shape[axis] = Dim::symbol(fmt::format("ceil(({})/{})", span.to_string(), stride));
    }
  }
  set(x, dtype_of(x), std::move(shape));
  const auto& contents = x.in(0).contents;
  if (contents && x.shape(0).size() == 1 && axes.size() == 1 && steps[0] == 1) {
    const Dim size(static_cast<int64_t>(contents->size()));
    const Dim begin = slice_end(starts[0], size, false), end = slice_end(ends[0], size, false);
    if (begin.is_static() && end.is_static() && begin.size() <= end.size()) {
      set_contents(x, Shape(contents->begin() + begin.size(), contents->begin() + end.size()));
    }
  }
}

void infer_gather(Inference& x) {
  if (dtype_of(x, 1) != DType::i64 && dtype_of(x, 1) != DType::i32) refuse("its indices must be integers");
  const Shape& data = x.shape(0);
  const size_t axis = axis_index(x.node.integer("axis", 0), data.size());
  Shape shape(data.begin(), data.begin() + axis);
  shape.insert(shape.end(), x.shape(1).begin(), x.shape(1).end());
  shape.insert(shape.end(), data.begin() + axis + 1, data.end());
  set(x, dtype_of(x), std::move(shape));
  const auto& contents = x.in(0).contents;
  const auto& indices = x.in(1).contents;
  if (!contents || !indices || data.size() != 1) return;
  Shape picked;
  for (const Dim& index : *indices) {
    if (!index.is_static()) return;
    picked.push_back((*contents)[axis_index(index.size(), contents->size())]);
  }
  set_contents(x, std::move(picked));
}

void infer_gather_nd(Inference& x) {
  if (dtype_of(x, 1) != DType::i64) refuse("its indices must be i64");
  const Shape& data = x.shape(0);
  const Shape& indices = x.shape(1);
  const auto batch_dims = static_cast<size_t>(x.node.integer("batch_dims", 0));
  const auto depth = indices.empty() ? std::nullopt : indices.back().maybe_size();
  if (!depth || batch_dims >= indices.size() || batch_dims + static_cast<size_t>(*depth) > data.size())
    refuse("the last axis of its indices does not fit its data");
  for (size_t i = 0; i < batch_dims; ++i) require_same(data[i], indices[i], "a batch axis");
  Shape shape(indices.begin(), indices.end() - 1);
  shape.insert(shape.end(), data.begin() + static_cast<std::ptrdiff_t>(batch_dims) + *depth, data.end());
  set(x, dtype_of(x), std::move(shape));
}

void infer_gather_elements(Inference& x) {
  set(x, dtype_of(x), x.shape(1));
}

void infer_concat(Inference& x) {
  Shape shape = x.shape(0);
  const size_t axis = axis_index(x.node.integer("axis", 0), shape.size());
  Shape contents;
  bool known = shape.size() == 1;
  for (size_t i = 0; i < x.node.inputs.size(); ++i) {
    require_same_dtype(x, 0, i);
    const Shape& other = x.shape(i);
    if (other.size() != shape.size()) refuse("its inputs have different ranks");
    for (size_t d = 0; d < shape.size(); ++d) {
      if (d != axis) require_same(other[d], shape[d], "an axis that is not joined");
    }
    if (i > 0) shape[axis] = shape[axis] + other[axis];
    known = known && x.in(i).contents.has_value();
    if (known) contents.insert(contents.end(), x.in(i).contents->begin(), x.in(i).contents->end());
  }
  set(x, dtype_of(x), std::move(shape));
  if (known) set_contents(x, std::move(contents));
}

void infer_split(Inference& x) {
  const auto sizes = x.node.integers("split");
  if (sizes.size() != x.results.size()) refuse(fmt::format("{} sizes for {} outputs", sizes.size(), x.results.size()));
  const size_t axis = axis_index(x.node.integer("axis", 0), x.shape(0).size());
  int64_t total = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    Shape shape = x.shape(0);
    shape[axis] = Dim(sizes[i]);
    total += sizes[i];
    set(x, dtype_of(x), std::move(shape), i);
  }
  require_same(x.shape(0)[axis], Dim(total), "the sum of the sizes");
}

void infer_expand(Inference& x) {
  set(x, dtype_of(x), broadcast(x.shape(0), attribute_or_input(x, 1, "shape")));
}

void infer_softmax(Inference& x) {
  axis_index(x.node.integer("axis", -1), x.shape(0).size());
  infer_float(x);
}

void infer_reduce(Inference& x) {
  const auto axes = x.node.integers("axes");
  const bool keep = x.node.integer("keepdims", 1) != 0;
  std::set<size_t> gone;
  for (int64_t axis : axes) gone.insert(axis_index(axis, x.shape(0).size()));
  Shape shape;
  for (size_t i = 0; i < x.shape(0).size(); ++i) {
    if (!gone.contains(i) && !axes.empty())
      shape.push_back(x.shape(0)[i]);
    else if (keep)
      shape.emplace_back(1);
  }
  set(x, dtype_of(x), std::move(shape));
}

void infer_argmax(Inference& x) {
  const size_t axis = axis_index(x.node.integer("axis", 0), x.shape(0).size());
  Shape shape = x.shape(0);
  if (x.node.integer("keepdims", 1) != 0)
    shape[axis] = Dim(1);
  else
    shape.erase(shape.begin() + static_cast<int64_t>(axis));
  set(x, DType::i64, std::move(shape));
}

// ---------------------------------------------------------------------------------------- linear algebra

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

// ---------------------------------------------------------------------------------------- shapes, ranges

void infer_shape(Inference& x) {
  const Shape& from = x.shape(0);
  const auto rank = static_cast<int64_t>(from.size());
  auto clamp = [rank](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t start = clamp(x.node.integer("start", 0)), end = clamp(x.node.integer("end", rank));
  Shape contents(from.begin() + start, from.begin() + std::max(start, end));
  set(x, DType::i64, {Dim(static_cast<int64_t>(contents.size()))});
  set_contents(x, std::move(contents));
}

void infer_size(Inference& x) {
  const Dim dim = x.shape(0)[axis_index(x.node.integer("axis", 0), x.shape(0).size())];
  set(x, DType::i64, {});
  set_contents(x, {dim});
}

void infer_range(Inference& x) {
  for (size_t i = 0; i < 3; ++i) require_rank(x, i, 0);
  const auto& start = x.in(0).contents;
  const auto& limit = x.in(1).contents;
  const auto& delta = x.in(2).contents;
  Dim length = Dim::symbol("length of " + x.node.scope);
  if (start && limit && delta && (*delta)[0] == Dim(1)) length = (*limit)[0] - (*start)[0];
  set(x, dtype_of(x), {length});
}

// -------------------------------------------------------------------------------------------- composites

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

void infer_norm(Inference& x) {
  for (size_t i = 1; i < x.node.inputs.size(); ++i)
    require_same(x.shape(i).at(0), x.shape(0).back(), "the normalised axis");
  infer_float(x);
}

std::vector<Operator> make_table() {
  std::vector<Operator> rows;
  for (std::string_view name : {"Abs", "Neg", "Sign", "Identity"}) rows.push_back({"", name, 1, 1, 1, infer_same});
  for (std::string_view name :
       {"Exp", "Log", "Sqrt",  "Reciprocal", "Erf",   "Tanh", "Sigmoid",   "Relu",        "Softplus", "Softsign",
        "Sin", "Cos", "Floor", "Ceil",       "Round", "Elu",  "LeakyRelu", "HardSigmoid", "Mish",     "HardSwish"}) {
    rows.push_back({"", name, 1, 1, 1, infer_float});
  }
  for (std::string_view name : {"Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Mod"})
    rows.push_back({"", name, 2, 2, 1, infer_binary});
  for (std::string_view name : {"And", "Or"}) rows.push_back({"", name, 2, 2, 1, infer_logical});
  for (std::string_view name : {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"}) {
    rows.push_back({"", name, 2, 2, 1, infer_compare});
  }
  for (std::string_view name : {"Softmax", "LogSoftmax"}) rows.push_back({"", name, 1, 1, 1, infer_softmax});
  for (std::string_view name : {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL2"}) {
    rows.push_back({"", name, 1, 1, 1, infer_reduce});
  }
  const Operator others[] = {
      {"", "Clip", 1, 1, 1, infer_same},
      {"", "Not", 1, 1, 1, infer_not},
      {"", "Where", 3, 3, 1, infer_where},
      {"", "Cast", 1, 1, 1, infer_cast},
      {"", "Reshape", 1, 2, 1, infer_reshape},
      {"", "Transpose", 1, 1, 1, infer_transpose},
      {"", "Unsqueeze", 1, 1, 1, infer_unsqueeze},
      {"", "Squeeze", 1, 1, 1, infer_squeeze},
      {"", "Slice", 1, 3, 1, infer_slice},
      {"", "Gather", 2, 2, 1, infer_gather},
      {"", "GatherElements", 2, 2, 1, infer_gather_elements},
      {"", "GatherND", 2, 2, 1, infer_gather_nd},
      {"", "Concat", 1, 4096, 1, infer_concat},
      {"", "Split", 1, 1, 4096, infer_split},
      {"", "Expand", 1, 2, 1, infer_expand},
      {"", "ArgMax", 1, 1, 1, infer_argmax},
      {"", "MatMul", 2, 2, 1, infer_matmul},
      {"", "Gemm", 2, 3, 1, infer_gemm},
      {"", "Einsum", 1, 16, 1, infer_einsum},
      {"", "Shape", 1, 1, 1, infer_shape},
      {"", "Range", 3, 3, 1, infer_range},
      {"", "CumSum", 1, 1, 1, infer_same},
      {"", "Trilu", 1, 1, 1, infer_same},
      {"", "LayerNormalization", 2, 3, 1, infer_norm},
      {"", "RMSNormalization", 2, 2, 1, infer_norm},
      {"", "Gelu", 1, 1, 1, infer_float},
      {"", "Attention", 3, 6, 3, infer_onnx_attention},
      {composite_domain, "Linear", 2, 3, 1, infer_linear},
      {composite_domain, "Embedding", 2, 2, 1, infer_embedding},
      {composite_domain, "LayerNorm", 2, 3, 1, infer_norm},
      {composite_domain, "RMSNorm", 2, 2, 1, infer_norm},
      {composite_domain, "Gelu", 1, 1, 1, infer_float},
      {composite_domain, "Silu", 1, 1, 1, infer_float},
      {composite_domain, "AttentionMask", 1, 2, 1, infer_attention_mask},
      {composite_domain, "CausalMask", 1, 2, 1, infer_causal_mask},
      {composite_domain, "Attention", 3, 10, 4, infer_attention},
      {composite_domain, "RotaryEmbedding", 3, 3, 1, infer_rotary_embedding},
      {composite_domain, "SplitHeads", 1, 1, 1, infer_split_heads},
      {composite_domain, "MergeHeads", 1, 1, 1, infer_merge_heads},
      {composite_domain, "Size", 1, 1, 1, infer_size},
  };
  rows.insert(rows.end(), std::begin(others), std::end(others));
  const std::vector<Operator>& images = image_operators();
  rows.insert(rows.end(), images.begin(), images.end());
  std::sort(rows.begin(), rows.end(), [](const Operator& a, const Operator& b) {
    return std::tie(a.domain, a.name) < std::tie(b.domain, b.name);
  });
  return rows;
}

}  // namespace

const std::vector<Operator>& operators() {
  static const std::vector<Operator> table = make_table();
  return table;
}

const Operator* find_operator(std::string_view domain, std::string_view name) {
  const auto& table = operators();
  const auto found =
      std::lower_bound(table.begin(), table.end(), std::tie(domain, name),
                       [](const Operator& row, const auto& key) { return std::tie(row.domain, row.name) < key; });
  return found != table.end() && found->domain == domain && found->name == name ? &*found : nullptr;
}

Shape broadcast(const Shape& a, const Shape& b) {
  Shape shape(std::max(a.size(), b.size()), Dim(1));
  for (size_t i = 0; i < shape.size(); ++i) {
    const Dim one(1);
    const Dim& left = i < a.size() ? a[a.size() - 1 - i] : one;
    const Dim& right = i < b.size() ? b[b.size() - 1 - i] : one;
    Dim& out = shape[shape.size() - 1 - i];
    if (left == right || right == one)
      out = left;
    else if (left == one)
      out = right;
    else
      refuse(fmt::format("{} and {} do not broadcast: {} is not {}", to_string(a), to_string(b), left.to_string(),
                         right.to_string()));
  }
  return shape;
}

}  // namespace onnxport::ir
