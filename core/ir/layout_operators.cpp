// SPDX-License-Identifier: Apache-2.0
// Operators that move elements and leave them as they are, and those that tell lengths.
#include <algorithm>
#include <set>

#include "core/ir/inference.hpp"

namespace onnxport::ir {
namespace {

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

/// f[batch, c·size², height, width] -> f[batch, c, height·size, width·size]
void infer_depth_to_space(Inference& x) {
  require_rank(x, 0, 4);
  const int64_t size = x.node.integer("blocksize", 0);
  const std::string mode = x.node.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") refuse("there is no mode '" + mode + "'; known: DCR, CRD");
  const Shape& from = x.shape(0);
  if (size < 1 || !from[1].is_static() || from[1].size() % (size * size) != 0)
    refuse(fmt::format("{} channels do not make squares of {} by {}", from[1].to_string(), size, size));
  set(x, dtype_of(x), {from[0], Dim(from[1].size() / (size * size)), from[2] * Dim(size), from[3] * Dim(size)});
}

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

}  // namespace

const std::vector<Operator>& layout_operators() {
  using enum AttributeKind;
  static const std::vector<Operator> rows{
      {"", "Reshape", 1, 2, 1, infer_reshape, {{"shape", integers}}},
      {"", "Transpose", 1, 1, 1, infer_transpose, {{"perm", integers}}},
      {"", "Unsqueeze", 1, 1, 1, infer_unsqueeze, {{"axes", integers}}},
      {"", "Squeeze", 1, 1, 1, infer_squeeze, {{"axes", integers}}},
      {"",
       "Slice",
       1,
       3,
       1,
       infer_slice,
       {{"starts", integers}, {"ends", integers}, {"axes", integers}, {"steps", integers}}},
      {"", "Gather", 2, 2, 1, infer_gather, {{"axis", integer}}},
      {"", "GatherElements", 2, 2, 1, infer_gather_elements, {{"axis", integer}}},
      {"", "GatherND", 2, 2, 1, infer_gather_nd, {{"batch_dims", integer}}},
      {"", "Concat", 1, 4096, 1, infer_concat, {{"axis", integer}}},
      {"", "Split", 1, 1, 4096, infer_split, {{"axis", integer}, {"split", integers}}},
      {"", "DepthToSpace", 1, 1, 1, infer_depth_to_space, {{"blocksize", integer}, {"mode", text}}},
      {"", "Expand", 1, 2, 1, infer_expand, {{"shape", integers}}},
      {"", "Trilu", 1, 1, 1, infer_same, {{"upper", integer}, {"k", integer}}},
      {"", "Shape", 1, 1, 1, infer_shape, {{"start", integer}, {"end", integer}}},
      {"", "Range", 3, 3, 1, infer_range},
      {composite_domain, "Size", 1, 1, 1, infer_size, {{"axis", integer}}},
  };
  return rows;
}

}  // namespace onnxport::ir
