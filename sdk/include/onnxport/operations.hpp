// SPDX-License-Identifier: Apache-2.0
// Plain operations on values: arithmetic, shapes, slices. The result stands where the first value stands.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/graph.hpp>

namespace onnxport::sdk {

inline Value add(const Operand& a, const Value& b) {
  return a.graph().op("Add", {a, b});
}
inline Value operator+(const Operand& a, const Value& b) {
  return add(a, b);
}
inline Value operator-(const Operand& a, const Value& b) {
  return a.graph().op("Sub", {a, b});
}
inline Value operator*(const Operand& a, const Value& b) {
  return a.graph().op("Mul", {a, b});
}
inline Value operator/(const Operand& a, const Value& b) {
  return a.graph().op("Div", {a, b});
}
inline Value operator+(const Operand& a, double b) {
  return a + a.graph().scalar(b, a.dtype());
}
inline Value operator-(const Operand& a, double b) {
  return a - a.graph().scalar(b, a.dtype());
}
inline Value operator*(const Operand& a, double b) {
  return a * a.graph().scalar(b, a.dtype());
}
inline Value operator/(const Operand& a, double b) {
  return a / a.graph().scalar(b, a.dtype());
}
inline Value operator+(double a, const Operand& b) {
  return b.graph().scalar(a, b.dtype()) + b;
}
inline Value operator-(double a, const Operand& b) {
  return b.graph().scalar(a, b.dtype()) - b;
}
inline Value operator*(double a, const Operand& b) {
  return b.graph().scalar(a, b.dtype()) * b;
}
inline Value operator/(double a, const Operand& b) {
  return b.graph().scalar(a, b.dtype()) / b;
}
inline Value operator-(const Operand& x) {
  return x.graph().op("Neg", {x});
}

inline Value tanh(const Operand& x) {
  return x.graph().op("Tanh", {x});
}
inline Value exp(const Operand& x) {
  return x.graph().op("Exp", {x});
}
inline Value log(const Operand& x) {
  return x.graph().op("Log", {x});
}
inline Value sqrt(const Operand& x) {
  return x.graph().op("Sqrt", {x});
}
inline Value sigmoid(const Operand& x) {
  return x.graph().op("Sigmoid", {x});
}
inline Value relu(const Operand& x) {
  return x.graph().op("Relu", {x});
}
inline Value softmax(const Operand& x, int64_t axis = -1) {
  return x.graph().op("Softmax", {x}, {{"axis", axis}});
}
/// The mean over axes, which disappear.
inline Value mean(const Operand& x, const std::vector<int64_t>& axes) {
  return x.graph().op("ReduceMean", {x}, {{"axes", axes}, {"keepdims", 0}});
}
/// The sum over axes, which disappear.
inline Value sum(const Operand& x, const std::vector<int64_t>& axes) {
  return x.graph().op("ReduceSum", {x}, {{"axes", axes}, {"keepdims", 0}});
}
/// The largest over axes, which disappear, or stay with a length of 1.
inline Value largest(const Operand& x, const std::vector<int64_t>& axes, bool keep = false) {
  return x.graph().op("ReduceMax", {x}, {{"axes", axes}, {"keepdims", keep}});
}
/// Sums of all entries up to each along an axis.
inline Value cumulative_sum(const Operand& x, int64_t axis) {
  return x.graph().op("CumSum", {x}, {{"axis", axis}});
}
/// boolean: where both are the same.
inline Value equal(const Operand& a, const Value& b) {
  return a.graph().op("Equal", {a, b});
}
inline Value equal(const Operand& a, int64_t b) {
  return equal(a, a.graph().integer(b));
}
inline Value logical_not(const Operand& x) {
  return x.graph().op("Not", {x});
}
inline Value matmul(const Operand& a, const Value& b) {
  return a.graph().op("MatMul", {a, b});
}
inline Value cast(const Operand& x, DType to) {
  return x.graph().op("Cast", {x}, {{"to", static_cast<int64_t>(to)}});
}
inline Value where(const Operand& condition, const Value& a, const Value& b) {
  return a.graph().op("Where", {condition, a, b});
}

/// 0 copies an axis, -1 takes the rest: `reshape(x, {0, 0, -1})`.
inline Value reshape(const Operand& x, const std::vector<int64_t>& shape) {
  return x.graph().op("Reshape", {x}, {{"shape", shape}});
}
/// To a shape that is known at run time (i64[rank]).
inline Value reshape(const Operand& x, const Value& shape) {
  return x.graph().op("Reshape", {x, shape});
}
inline Value transpose(const Operand& x, const std::vector<int64_t>& perm) {
  return x.graph().op("Transpose", {x}, {{"perm", perm}});
}
inline Value unsqueeze(const Operand& x, const std::vector<int64_t>& axes) {
  return x.graph().op("Unsqueeze", {x}, {{"axes", axes}});
}
inline Value squeeze(const Operand& x, const std::vector<int64_t>& axes) {
  return x.graph().op("Squeeze", {x}, {{"axes", axes}});
}
inline Value concat(const std::vector<Value>& parts, int64_t axis, const char* file = __builtin_FILE(),
                    uint32_t line = __builtin_LINE()) {
  const CallSite site(file, line);
  if (parts.empty()) throw Error(ONNXPORT_GRAPH, "concat() was given no values");
  return parts[0].graph().op("Concat", parts, {{"axis", axis}});
}
/// Rows of an axis by index: `gather(x, g.integer(0), 1)` is x[:, 0].
inline Value gather(const Operand& x, const Value& indices, int64_t axis = 0) {
  return x.graph().op("Gather", {x, indices}, {{"axis", axis}});
}
/// One row of each entry of a batch: x: f[batch, n, width], places: i64[batch, 1] -> f[batch, width].
inline Value row_at(const Operand& x, const Value& places) {
  return x.graph().op("GatherND", {x, places}, {{"batch_dims", 1}});
}
inline Value einsum(const CalledName& equation, const std::vector<Value>& inputs) {
  if (inputs.empty()) throw Error(ONNXPORT_GRAPH, "einsum() was given no values");
  return inputs[0].graph().op("Einsum", inputs, {{"equation", std::string(std::string_view(equation))}});
}

inline constexpr int64_t to_end = std::numeric_limits<int64_t>::max();

/// x[..., begin:end, ...] along one axis; negative ends count from the back.
struct Range {
  int64_t axis, begin, end = to_end;
};
inline Value slice(const Operand& x, const Range& range) {
  return x.graph().op("Slice", {x},
                      {{"starts", {range.begin}}, {"ends", {range.end}}, {"axes", {range.axis}}, {"steps", {1}}});
}

/// The part of x at one index of an axis, which disappears: x[:, 0].
inline Value pick(const Operand& x, int64_t axis, int64_t index) {
  return gather(x, x.graph().integer(index), axis);
}

/// Splits an axis into parts of the given sizes.
inline std::vector<Value> split(const Operand& x, int64_t axis, const std::vector<int64_t>& sizes) {
  return x.graph().add({"", "Split", {x}, {{"axis", axis}, {"split", sizes}}, sizes.size()});
}

/// Splits the last axis in two: x[..., :first] and what is behind.
inline std::pair<Value, Value> split_at(const Operand& x, int64_t first) {
  const std::vector<Value> parts = split(x, -1, {first, x.fixed(-1) - first});
  return {parts[0], parts[1]};
}

/// Repeats axes of length 1: `expand(x, {1, heads, 1, 1})`, where 1 leaves an axis as it is.
inline Value expand(const Operand& x, const std::vector<int64_t>& shape) {
  return x.graph().op("Expand", {x}, {{"shape", shape}});
}

/// The length of an axis as an i64 scalar.
inline Value size_of(const Operand& x, int64_t axis) {
  return x.graph().composite("Size", {x}, {{"axis", axis}});
}
/// The lengths of the axes [begin, end) as i64[end - begin].
inline Value shape_of(const Operand& x, int64_t begin, int64_t end) {
  return x.graph().op("Shape", {x}, {{"start", begin}, {"end", end}});
}
/// 0, 1, … length - 1 for an i64 scalar.
inline Value range(const Operand& length) {
  Graph& g = length.graph();
  return g.op("Range", {g.integer(0), length, g.integer(1)});
}
/// A length that only the run knows, as one that shapes can name: an i64 scalar -> the same.
inline Value named_length(const Scope& scope, const Operand& length) {
  return size_of(range(length.in(scope)), 0);
}
/// The first `length` rows of a table: f32[n, width] -> f32[length, width]; length: i64 scalar.
inline Value first_rows(const Operand& table, const Value& length) {
  Graph& g = table.graph();
  return g.op("Slice", {table, g.integers({0}), unsqueeze(length, {0})}, {{"axes", {0}}});
}

/// Zeros in f32 for each entry of x's first axis: any[batch, ...] -> f32[batch, shape...].
inline Value zeros_of_batch(const Operand& x, const std::vector<int64_t>& shape) {
  Graph& g = x.graph();
  return g.op("Expand", {g.scalar(0), concat({shape_of(x, 0, 1), g.integers(shape)}, 0)});
}

/// x[..., begin:, ...] of one axis from a place that is known at run time (i64 scalar).
inline Value from_row(const Operand& x, int64_t axis, const Value& begin) {
  Graph& g = x.graph();
  return g.op("Slice", {x, unsqueeze(begin, {0}), g.integers({to_end})}, {{"axes", {axis}}});
}

}  // namespace onnxport::sdk
