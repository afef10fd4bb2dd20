// SPDX-License-Identifier: Apache-2.0
// Operators that choose among entries, and those that put entries back.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/ir/builder.hpp"
#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"
#include "core/operators/evaluation.hpp"
#include "core/operators/place.hpp"

namespace onnxport::ir {
namespace {

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

/// How many are wanted: an attribute, or i64[1] where only the run knows.
Dim chosen(const Inference& x) {
  if (x.has(1) && x.node.has("k")) refuse("has k as an attribute and as an input");
  if (!x.has(1)) return Dim(x.node.integer("k", 0));
  require_rank(x, 1, 1);
  if (dtype_of(x, 1) != DType::i64 || !(x.shape(1)[0] == Dim(1))) refuse("its k must be i64[1]");
  return x.in(1).contents ? (*x.in(1).contents)[0] : Dim::symbol("chosen of " + place_of(x.node));
}

void infer_top_k(Inference& x) {
  const Dim k = chosen(x);
  Shape shape = x.shape(0);
  Dim& along = shape[axis_index(x.node.integer("axis", -1), shape.size())];
  if (k.is_static() && (k.size() <= 0 || (along.is_static() && along.size() < k.size())))
    refuse(fmt::format("the {} largest of {}", k.size(), along.to_string()));
  along = k;
  set(x, dtype_of(x), shape);
  if (x.results.size() > 1) set(x, DType::i64, shape, 1);
}

void infer_non_zero(Inference& x) {
  set(x, DType::i64, {Dim(static_cast<int64_t>(x.shape(0).size())), Dim::symbol("entries of " + place_of(x.node))});
}

/// What both kinds of scattering ask for; `wanted` is the shape of the updates.
void infer_scatter(Inference& x, const Shape& wanted) {
  if (dtype_of(x, 1) != DType::i64) refuse("its indices must be i64");
  if (dtype_of(x, 0) != dtype_of(x, 2)) refuse("its updates are of another type than its data");
  const Shape& updates = x.shape(2);
  bool fits = updates.size() == wanted.size();
  for (size_t i = 0; fits && i < wanted.size(); ++i)
    fits = !updates[i].is_static() || !wanted[i].is_static() || updates[i] == wanted[i];
  if (!fits) refuse(fmt::format("its updates are {}; expected {}", to_string(updates), to_string(wanted)));
  static constexpr std::string_view known[] = {"none", "add", "mul", "min", "max"};
  const std::string reduction = x.node.text("reduction", "none");
  if (std::find(std::begin(known), std::end(known), reduction) == std::end(known))
    refuse(fmt::format("there is no reduction '{}'; known: {}", reduction, fmt::join(known, ", ")));
  set(x, dtype_of(x), x.shape(0));
}

void infer_scatter_elements(Inference& x) {
  axis_index(x.node.integer("axis", 0), x.shape(0).size());
  require_rank(x, 1, x.shape(0).size());
  infer_scatter(x, x.shape(1));
}

void infer_scatter_nd(Inference& x) {
  const Shape &data = x.shape(0), &indices = x.shape(1);
  const auto depth = indices.empty() ? std::nullopt : indices.back().maybe_size();
  if (!depth || static_cast<size_t>(*depth) > data.size()) refuse("the last axis of its indices does not fit its data");
  Shape wanted(indices.begin(), indices.end() - 1);
  wanted.insert(wanted.end(), data.begin() + *depth, data.end());
  infer_scatter(x, wanted);
}

/// x, a number -> the last entries of an axis, so many or all for 0; that axis is called `length`.
void infer_keep_last(Inference& x) {
  require_rank(x, 1, 0);
  if (dtype_of(x, 1) != DType::i64) refuse("its number must be i64");
  Shape shape = x.shape(0);
  shape[axis_index(x.node.integer("axis", 0), shape.size())] = Dim::symbol(x.node.text("length", "kept"));
  set(x, dtype_of(x), std::move(shape));
}

/// A row that is known when the graph is built is a view of the weight.
std::optional<Weight> known_row(const Folding& f) {
  const Weight &table = f.inputs[0], &index = f.inputs[1];
  if (index.stored->constant == nullptr || !index.shape().empty() || index.dtype() != DType::i64 ||
      f.node.integer("axis", 0) != 0)
    return std::nullopt;
  const int64_t at = index.stored->constant->as<int64_t>()[0], row = at < 0 ? at + table.shape().at(0) : at;
  if (row < 0 || row >= table.shape().at(0)) return std::nullopt;
  return table.then(SliceAxis{0, row, row + 1}).then(ReshapeTo{f.shape});
}

/// From -n on, which for 0 is the beginning.
Results keep_last(Builder& b) {
  const ValueId begin = b.op("Neg", {b.reshape(b.node().input(1), {1})});
  const ValueId end = b.integers({to_end});
  return {
      b.op("Slice", {b.node().input(0), begin, end}, {{"axes", std::vector<int64_t>{b.node().integer("axis", 0)}}})};
}

/// Sums and products are reductions since opset 16, the smallest and the largest since 18.
Results scatter(Builder& b) {
  const Node& node = b.node();
  const std::string reduction = node.text("reduction", "none");
  const int64_t since = reduction == "none" ? 13 : reduction == "add" || reduction == "mul" ? 16 : 18;
  if (b.opset() < since) {
    throw Error(Failure::usage,
                fmt::format("'{}': {} with the reduction '{}' needs opset {}, and {} was asked for", node.scope,
                            node.op, reduction, since, b.opset()),
                fmt::format("pass --opset {} or above", since));
  }
  Attributes attributes = node.attributes;
  if (since == 13) attributes.erase("reduction");
  return b.keep(std::move(attributes));
}

}  // namespace

const std::vector<Operator>& selection_operators() {
  using enum AttributeKind;
  static const std::vector<Operator> rows{
      {.name = "Gather",
       .inputs = {2},
       .infer = infer_gather,
       .attributes = {{"axis", integer, "0"}},
       .fold = {.rule = known_row, .evaluate = evaluate_gather},
       .documentation = {"x, indices"}},
      {.name = "GatherElements",
       .inputs = {2},
       .infer = infer_gather_elements,
       .attributes = {{"axis", integer, "0"}},
       .documentation = {"x, indices"}},
      {.name = "GatherND",
       .inputs = {2},
       .infer = infer_gather_nd,
       .attributes = {{"batch_dims", integer, "0"}},
       .documentation = {"x, indices"}},
      {.name = "TopK",
       .inputs = {1, 2},
       .max_outputs = 2,
       .infer = infer_top_k,
       .attributes = {{"k", integer, "", {.input = 1, .since = 10, .list = true}},
                      {"axis", integer, "-1"},
                      {"largest", integer, "1"}},
       .precision = {.wide_in_bf16_below = 24},
       .documentation = {"x, [k: i64[1]]",
                         "k as attribute or input; values and i64 indices of the k largest (or smallest), in order"}},
      {.name = "NonZero", .infer = infer_non_zero, .documentation = {"x", "i64[rank, n]: where x is not 0"}},
      {.name = "ScatterElements",
       .inputs = {3},
       .infer = infer_scatter_elements,
       .attributes = {{"axis", integer, "0"}, {"reduction", text, "none, add, mul, min or max; none"}},
       .lowering = {{.rule = scatter, .below = 18}},
       .documentation =
           {"x, indices: i64, updates",
            "x with updates[i] at indices[i] along the axis, or joined with what stands there: add and mul "
            "need opset 16, min and max 18, and are refused below"}},
      {.name = "ScatterND",
       .inputs = {3},
       .infer = infer_scatter_nd,
       .attributes = {{"reduction", text, "as ScatterElements'"}},
       .lowering = {{.rule = scatter, .below = 18}},
       .documentation = {"x, indices: i64[..., depth], updates",
                         "x with parts replaced, or joined; the last axis of the indices names a place"}},
      {.domain = composite_domain,
       .name = "KeepLast",
       .inputs = {2},
       .infer = infer_keep_last,
       .attributes = {{"axis", integer, "0"}, {"length", text, "what the axis is called then; kept"}},
       .lowering = {{keep_last}},
       .documentation = {"x, n: i64 scalar", "the last n entries of the axis, all of them for 0"}},
  };
  return rows;
}

}  // namespace onnxport::ir
