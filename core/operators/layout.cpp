// SPDX-License-Identifier: Apache-2.0
// Operators that move elements and leave them as they are.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <set>

#include "core/ir/builder.hpp"
#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"
#include "core/operators/evaluation.hpp"
#include "core/operators/place.hpp"

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
  // Cancel equal symbolic factors of both sides, so that what is left is static on both.
  std::vector<Dim> left;
  int64_t from_size = 1, to_size = 1;
  for (const Dim& dim : from) from_size *= take_factors(dim, left);
  bool is_matched = true;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (rest && i == *rest) continue;
    std::vector<Dim> factors;
    to_size *= take_factors(shape[i], factors);
    for (const Dim& factor : factors) {
      const auto found = std::find(left.begin(), left.end(), factor);
      is_matched = is_matched && found != left.end();
      if (found != left.end()) left.erase(found);
    }
  }
  if (rest) {
    Dim size(1);
    if (is_matched) {
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
  } else if (left.empty() && is_matched && from_size != to_size) {
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
    unknown.push_back(Dim::symbol(fmt::format("{} {} of {}", name, i, place_of(x.node))));
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

void infer_concat(Inference& x) {
  require_attribute(x, "axis");
  Shape shape = x.shape(0);
  const size_t axis = axis_index(x.node.integer("axis", 0), shape.size());
  Shape contents;
  const bool is_list = shape.size() == 1 && dtype_of(x) == DType::i64;
  bool is_any_known = false, has_length = is_list;
  for (size_t i = 0; i < x.node.inputs.size(); ++i) {
    require_same_dtype(x, 0, i);
    const Shape& other = x.shape(i);
    if (other.size() != shape.size()) refuse("its inputs have different ranks");
    for (size_t d = 0; d < shape.size(); ++d) {
      if (d != axis) require_same(other[d], shape[d], "an axis that is not joined");
    }
    if (i > 0) shape[axis] = shape[axis] + other[axis];
    const auto length = is_list ? other[0].maybe_size() : std::nullopt;
    has_length = has_length && length.has_value();
    is_any_known = is_any_known || x.in(i).contents.has_value();
    // What the run alone tells is a length of its own.
    for (int64_t k = 0; has_length && k < *length; ++k)
      contents.push_back(x.in(i).contents
                             ? x.in(i).contents->at(static_cast<size_t>(k))
                             : Dim::symbol(fmt::format("entry {} of {}", contents.size(), place_of(x.node))));
  }
  set(x, dtype_of(x), std::move(shape));
  if (has_length && is_any_known) set_contents(x, std::move(contents));
}

void infer_split(Inference& x) {
  const auto sizes = x.node.integers("split");
  if (sizes.size() != x.results.size()) refuse(fmt::format("{} sizes for {} outputs", sizes.size(), x.results.size()));
  const size_t axis = axis_index(x.node.integer("axis", 0), x.shape(0).size());
  int64_t total = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 0) refuse(fmt::format("a part cannot be {} long", sizes[i]));
    Shape shape = x.shape(0);
    shape[axis] = Dim(sizes[i]);
    total += sizes[i];
    set(x, dtype_of(x), std::move(shape), i);
  }
  require_same(x.shape(0)[axis], Dim(total), "the sum of the sizes");
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

void infer_expand(Inference& x) {
  set(x, dtype_of(x), broadcast(x.shape(0), attribute_or_input(x, 1, "shape")));
}

/// Any number of equal shapes -> [n, ...].
void infer_stack(Inference& x) {
  for (size_t i = 0; i < x.node.inputs.size(); ++i) {
    if (!x.has(i)) refuse(fmt::format("input {} is absent", i));
    if (!(x.in(i).type == x.in(0).type))
      refuse(fmt::format("input {} is {}, and input 0 is {}", i, to_string(x.in(i).type), to_string(x.in(0).type)));
  }
  Shape shape = x.shape(0);
  shape.insert(shape.begin(), Dim(static_cast<int64_t>(x.node.inputs.size())));
  set(x, dtype_of(x), std::move(shape));
}

// ------------------------------------------------------------------------------------------------- folding

/// The same elements under the result's shape.
std::optional<Weight> reshaped_weight(const Folding& f) {
  if (f.inputs.size() > 1) return std::nullopt;
  return f.inputs[0].then(ReshapeTo{f.shape});
}

bool swaps_last_two(std::vector<int64_t> perm) {
  if (perm.size() < 3) return false;
  std::swap(perm.end()[-1], perm.end()[-2]);
  return std::is_sorted(perm.begin(), perm.end());
}

/// Two groups of axes that change places are the transpose of a matrix, which is read in tiles; axes of length 1 stand
/// anywhere.
std::optional<Weight> transposed_weight(const Folding& f) {
  const Weight& from = f.inputs[0];
  const std::vector<int64_t> shape = from.shape(), perm = f.node.integers("perm");
  std::vector<int64_t> order;
  for (int64_t axis : perm) {
    if (shape[static_cast<size_t>(axis)] != 1) order.push_back(axis);
  }
  const auto cut = std::is_sorted_until(order.begin(), order.end());
  if (cut == order.end()) return from.then(ReshapeTo{f.shape});
  if (swaps_last_two(perm)) return from.then(TransposeMatrix{});
  if (!std::is_sorted(cut, order.end()) || order.back() > order.front()) return from.then(PermuteAxes{perm});
  int64_t rows = 1, columns = 1;
  for (auto axis = order.begin(); axis != order.end(); ++axis)
    (axis < cut ? columns : rows) *= shape[static_cast<size_t>(*axis)];
  return from.then(ReshapeTo{{rows, columns}}).then(TransposeMatrix{}).then(ReshapeTo{f.shape});
}

std::optional<Weight> sliced_weight(const Folding& f) {
  const auto axes = f.node.integers("axes"), steps = f.node.integers("steps");
  auto starts = f.node.integers("starts");
  if (f.inputs.size() > 1) {
    const Weight& given = f.inputs[1];
    if (given.stored->constant == nullptr || !given.transforms.empty()) return std::nullopt;
    starts.assign(given.stored->constant->as<int64_t>().begin(), given.stored->constant->as<int64_t>().end());
  }
  Weight sliced = f.inputs[0];
  const std::vector<int64_t> shape = sliced.shape();
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t step = steps.empty() ? 1 : steps[i];
    if (step < 1) return std::nullopt;
    const size_t axis = axis_index(axes[i], shape.size());
    const int64_t size = shape[axis], count = f.shape[axis];
    const int64_t begin = std::clamp<int64_t>(starts[i] < 0 ? starts[i] + size : starts[i], 0, size);
    const int64_t end = begin + (count == 0 ? 0 : (count - 1) * step + 1);
    sliced = sliced.then(SliceAxis{static_cast<int64_t>(axis), begin, end, step});
  }
  return sliced;
}

std::optional<Weight> stacked_weights(const Folding& f) {
  return stacked(f.inputs);
}

// ------------------------------------------------------------------------------------------------- lowering

/// A part of the result each, one behind the other.
Results stack(Builder& b) {
  Results parts;
  for (ValueId input : b.node().inputs) parts.push_back(b.unsqueeze(input, {0}));
  return {b.op("Concat", parts, {{"axis", int64_t{0}}})};
}

}  // namespace

const std::vector<Operator>& layout_operators() {
  using enum AttributeKind;
  const Operand second{.input = 1, .since = 13};
  static const std::vector<Operator> rows{
      {.name = "Reshape",
       .inputs = {1, 2},
       .infer = infer_reshape,
       .attributes = {{"shape", integers, "0 copies the axis, one -1", second}},
       .fold = {.rule = reshaped_weight, .layout = true},
       .documentation = {"x, [shape: i64 1-D]", "attribute or input"}},
      {.name = "Transpose",
       .infer = infer_transpose,
       .attributes = {{"perm", integers}},
       .fold = {.rule = transposed_weight, .layout = true},
       .documentation = {"x"}},
      {.name = "Unsqueeze",
       .infer = infer_unsqueeze,
       .attributes = {{"axes", integers, "", second}},
       .fold = {.rule = reshaped_weight, .layout = true},
       .documentation = {"x", "given, never implied"}},
      {.name = "Squeeze",
       .infer = infer_squeeze,
       .attributes = {{"axes", integers, "", second}},
       .fold = {.rule = reshaped_weight, .layout = true},
       .documentation = {"x", "given, never implied"}},
      {.name = "Slice",
       .inputs = {1, 3},
       .infer = infer_slice,
       .attributes = {{"starts", integers, "", {.input = 1, .since = 10}},
                      {"ends", integers, "", {.input = 2, .since = 10}},
                      {"axes", integers, "", {.input = 3, .since = 10}},
                      {"steps", integers, "1", {.input = 4, .since = 10}}},
       .fold = {.rule = sliced_weight, .layout = true, .evaluate = evaluate_slice},
       .documentation = {"x, [starts, ends: i64 1-D]", "starts/ends as attributes, or as inputs"}},
      {.name = "Concat",
       .inputs = {1, any_number},
       .infer = infer_concat,
       .attributes = {{"axis", integer}},
       .fold = {.evaluate = evaluate_concat},
       .documentation = {"x..."}},
      {.name = "Split",
       .max_outputs = any_number,
       .infer = infer_split,
       .attributes = {{"axis", integer, "0"}, {"split", integers, "the sizes", second}},
       .fold = {.evaluate = evaluate_split},
       .documentation = {"x", "as many outputs as sizes"}},
      {.name = "DepthToSpace",
       .infer = infer_depth_to_space,
       .attributes = {{"blocksize", integer, "the size"}, {"mode", text, "DCR or CRD; DCR"}},
       .documentation =
           {"x: f[batch, c·size², height, width]",
            "f[batch, c, height·size, width·size]; a pixel's places are the slower (DCR) or the faster part "
            "(CRD, torch's pixel_shuffle) of its channels"}},
      {.name = "Expand",
       .inputs = {1, 2},
       .infer = infer_expand,
       .attributes = {{"shape", integers, "", second}},
       .fold = {.evaluate = evaluate_expand},
       .documentation = {"x, [shape: i64 1-D]", "attribute or input"}},
      {.domain = composite_domain,
       .name = "Stack",
       .inputs = {1, any_number},
       .infer = infer_stack,
       .lowering = {{stack}},
       .fold = {stacked_weights},
       .documentation = {"x... of one shape", "[n, ...]; of weights: one weight"}},
  };
  return rows;
}

}  // namespace onnxport::ir
