// SPDX-License-Identifier: Apache-2.0
// Operators that choose among entries, and those that put entries back.
#include <fmt/format.h>

#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"

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

void infer_top_k(Inference& x) {
  const int64_t k = x.node.integer("k", 0);
  Shape shape = x.shape(0);
  Dim& along = shape[axis_index(x.node.integer("axis", -1), shape.size())];
  if (k <= 0 || (along.is_static() && along.size() < k))
    refuse(fmt::format("the {} largest of {}", k, along.to_string()));
  along = Dim(k);
  set(x, dtype_of(x), shape);
  if (x.results.size() > 1) set(x, DType::i64, shape, 1);
}

void infer_non_zero(Inference& x) {
  set(x, DType::i64, {Dim(static_cast<int64_t>(x.shape(0).size())), Dim::symbol("entries of " + x.node.scope)});
}

void infer_scatter(Inference& x) {
  if (dtype_of(x, 1) != DType::i64) refuse("its indices must be i64");
  if (dtype_of(x, 0) != dtype_of(x, 2)) refuse("its updates are of another type than its data");
  set(x, dtype_of(x), x.shape(0));
}

/// A row that is known when the graph is built is a view of the weight.
std::optional<Weight> known_row(const Folding& f) {
  const Weight &table = f.inputs[0], &index = f.inputs[1];
  if (index.stored->constant == nullptr || !index.shape().empty() || index.dtype() != DType::i64 ||
      f.node.integer("axis", 0) != 0)
    return std::nullopt;
  const int64_t at = index.stored->constant->as<int64_t>()[0], row = at < 0 ? at + table.shape().at(0) : at;
  return table.then(SliceAxis{0, row, row + 1}).then(ReshapeTo{f.shape});
}

}  // namespace

const std::vector<Operator>& selection_operators() {
  using enum AttributeKind;
  static const std::vector<Operator> rows{
      {.name = "Gather",
       .inputs = {2},
       .infer = infer_gather,
       .attributes = {{"axis", integer, "0"}},
       .fold = {known_row},
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
       .max_outputs = 2,
       .infer = infer_top_k,
       .attributes = {{"k", integer, "", {.input = 1, .since = 10, .list = true}}, {"axis", integer, "-1"}},
       .documentation = {"x", "values and i64 indices of the k largest, largest first"}},
      {.name = "NonZero", .infer = infer_non_zero, .documentation = {"x", "i64[rank, n]: where x is not 0"}},
      {.name = "ScatterElements",
       .inputs = {3},
       .infer = infer_scatter,
       .attributes = {{"axis", integer, "0"}},
       .documentation = {"x, indices: i64, updates", "x with updates[i] at indices[i] along the axis"}},
      {.name = "ScatterND",
       .inputs = {3},
       .infer = infer_scatter,
       .documentation = {"x, indices: i64[..., depth], updates",
                         "x with parts replaced; the last axis of the indices names a place"}},
  };
  return rows;
}

}  // namespace onnxport::ir
