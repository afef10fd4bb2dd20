// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/torch/evaluator.hpp"

namespace onnxport::reference {
namespace {

using at::Tensor;

template <Tensor (*function)(const Tensor&)>
Results unary(const Call& c) {
  return {function(c.in(0))};
}

template <Tensor (*function)(const Tensor&, const Tensor&)>
Results binary(const Call& c) {
  return {function(c.in(0), c.in(1))};
}

Results add(const Call& c) {
  return {at::add(c.in(0), c.in(1))};
}
Results subtract(const Call& c) {
  return {at::sub(c.in(0), c.in(1))};
}

/// Integers divide towards zero, as ONNX has it.
Results divide(const Call& c) {
  if (at::isIntegralType(c.in(0).scalar_type(), false)) return {at::div(c.in(0), c.in(1), "trunc")};
  return {at::div(c.in(0), c.in(1))};
}

Results elu(const Call& c) {
  return {at::elu(c.in(0), c.real("alpha", 1.0))};
}
Results leaky_relu(const Call& c) {
  return {at::leaky_relu(c.in(0), c.real("alpha", 0.01))};
}
Results hard_sigmoid(const Call& c) {
  return {at::clamp(c.in(0) * c.real("alpha", 0.2) + c.real("beta", 0.5), 0.0, 1.0)};
}
Results softplus(const Call& c) {
  return {at::log1p(at::exp(-at::abs(c.in(0)))) + at::relu(c.in(0))};
}
Results softsign(const Call& c) {
  return {c.in(0) / (at::abs(c.in(0)) + 1.0)};
}

Results clip(const Call& c) {
  Tensor x = c.in(0);
  if (c.node.has("min")) x = at::clamp_min(x, c.real("min", 0));
  if (c.node.has("max")) x = at::clamp_max(x, c.real("max", 0));
  return {x.to(c.in(0).scalar_type())};  // a bound is a real number, and would make one of an integer
}

Results where(const Call& c) {
  return {at::where(c.in(0), c.in(1), c.in(2))};
}

/// To 16 bits it rounds as asked, though the result is held in 32.
Results cast(const Call& c) {
  return {widened(c.in(0).to(scalar_type(static_cast<ir::DType>(c.integer("to", 0)))))};
}

// ------------------------------------------------------------------------------------------------ layout

std::vector<int64_t> attribute_or_input(const Call& c, const char* name, size_t input) {
  return c.has(input) ? numbers(c.in(input)) : c.integers(name);
}

Results reshape(const Call& c) {
  std::vector<int64_t> target = attribute_or_input(c, "shape", 1);
  for (size_t i = 0; i < target.size(); ++i) {
    if (target[i] == 0) target[i] = c.in(0).size(static_cast<int64_t>(i));
  }
  return {c.in(0).reshape(target)};
}

Results transpose(const Call& c) {
  return {c.in(0).permute(c.integers("perm"))};
}

Results unsqueeze(const Call& c) {
  std::vector<int64_t> axes = c.integers("axes");
  const int64_t rank = c.in(0).dim() + static_cast<int64_t>(axes.size());
  for (int64_t& axis : axes) axis = axis < 0 ? axis + rank : axis;
  std::sort(axes.begin(), axes.end());
  Tensor x = c.in(0);
  for (int64_t axis : axes) x = x.unsqueeze(axis);
  return {x};
}

Results squeeze(const Call& c) {
  std::vector<int64_t> axes = c.integers("axes");
  for (int64_t& axis : axes) axis = axis < 0 ? axis + c.in(0).dim() : axis;
  std::sort(axes.rbegin(), axes.rend());
  Tensor x = c.in(0);
  for (int64_t axis : axes) {
    TORCH_CHECK(x.size(axis) == 1, "axis ", axis, " is of length ", x.size(axis), " and not 1");
    x = x.squeeze(axis);
  }
  return {x};
}

Results slice(const Call& c) {
  const std::vector<int64_t> starts = attribute_or_input(c, "starts", 1), ends = attribute_or_input(c, "ends", 2),
                             axes = c.integers("axes");
  std::vector<int64_t> steps = c.integers("steps");
  if (steps.empty()) steps.assign(axes.size(), 1);
  Tensor x = c.in(0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = axes[i] < 0 ? axes[i] + x.dim() : axes[i], size = x.size(axis);
    if (steps[i] > 0) {
      x = x.slice(axis, starts[i], ends[i], steps[i]);
      continue;
    }
    // ATen has no negative steps: pick the rows one by one.
    int64_t from = starts[i] < 0 ? starts[i] + size : starts[i];
    from = std::min(from, size - 1);
    const int64_t stop = ends[i] < -size ? -1 : ends[i] < 0 ? ends[i] + size : ends[i];
    std::vector<int64_t> rows;
    for (int64_t row = from; row > stop; row += steps[i]) rows.push_back(row);
    x = x.index_select(axis, at::tensor(rows, at::kLong));
  }
  return {x};
}

Results gather(const Call& c) {
  const Tensor& x = c.in(0);
  const Tensor indices = c.in(1).to(at::kLong);
  const int64_t axis = c.integer("axis", 0) < 0 ? c.integer("axis", 0) + x.dim() : c.integer("axis", 0),
                size = x.size(axis);
  const Tensor wrapped = at::where(indices < 0, indices + size, indices);
  std::vector<int64_t> shape(x.sizes().begin(), x.sizes().begin() + axis);
  shape.insert(shape.end(), indices.sizes().begin(), indices.sizes().end());
  shape.insert(shape.end(), x.sizes().begin() + axis + 1, x.sizes().end());
  return {x.index_select(axis, wrapped.reshape({-1})).reshape(shape)};
}

Results gather_elements(const Call& c) {
  const int64_t axis = c.integer("axis", 0), size = c.in(0).size(axis);
  const Tensor indices = c.in(1).to(at::kLong);
  return {at::gather(c.in(0), axis, at::where(indices < 0, indices + size, indices))};
}

/// Rows of every batch entry by index: batch_dims leading axes are walked together.
Results gather_nd(const Call& c) {
  const Tensor &x = c.in(0), indices = c.in(1).to(at::kLong);
  const int64_t batch_dims = c.integer("batch_dims", 0), depth = indices.size(-1);
  std::vector<int64_t> shape(indices.sizes().begin(), indices.sizes().end() - 1);
  shape.insert(shape.end(), x.sizes().begin() + batch_dims + depth, x.sizes().end());
  // All batch axes as one, and the indexed axes as one.
  int64_t batch = 1, indexed = 1;
  for (int64_t i = 0; i < batch_dims; ++i) batch *= x.size(i);
  Tensor flat = at::zeros({batch, indices.numel() / std::max<int64_t>(1, batch * depth)}, at::kLong);
  const Tensor rows = indices.reshape({batch, -1, depth});
  for (int64_t i = 0; i < depth; ++i) {
    const int64_t size = x.size(batch_dims + i);
    const Tensor at = rows.select(2, i);
    flat = flat * size + at::where(at < 0, at + size, at);
    indexed *= size;
  }
  const Tensor data = x.reshape({batch * indexed, -1});
  const Tensor base = at::arange(batch, at::kLong).unsqueeze(1) * indexed;
  return {data.index_select(0, (flat + base).reshape({-1})).reshape(shape)};
}

Results concat(const Call& c) {
  return {at::cat(c.inputs, c.integer("axis", 0))};
}

Results split(const Call& c) {
  const auto sizes = c.integers("split");
  return at::split_with_sizes(c.in(0), sizes, c.integer("axis", 0));
}

/// DCR: a pixel's places are the slower part of its channels; CRD: the faster one, as torch has it.
Results depth_to_space(const Call& c) {
  const int64_t size = c.integer("blocksize", 1);
  if (c.text("mode", "DCR") == "CRD") return {at::pixel_shuffle(c.in(0), size)};
  const int64_t batch = c.in(0).size(0), depth = c.in(0).size(1) / (size * size), height = c.in(0).size(2),
                width = c.in(0).size(3);
  const Tensor blocks = c.in(0).reshape({batch, size, size, depth, height, width});
  return {blocks.permute({0, 3, 4, 1, 5, 2}).reshape({batch, depth, height * size, width * size})};
}

Results expand(const Call& c) {
  const Tensor& x = c.in(0);
  std::vector<int64_t> target = attribute_or_input(c, "shape", 1);
  while (static_cast<int64_t>(target.size()) < x.dim()) target.insert(target.begin(), 1);
  const int64_t offset = static_cast<int64_t>(target.size()) - x.dim();
  for (int64_t i = 0; i < x.dim(); ++i) {
    if (target[static_cast<size_t>(offset + i)] == 1) target[static_cast<size_t>(offset + i)] = x.size(i);
  }
  return {x.expand(target)};
}

// --------------------------------------------------------------------------------------------- reductions

template <Tensor (*function)(const Tensor&, at::IntArrayRef, bool)>
Results reduce(const Call& c) {
  std::vector<int64_t> axes = c.integers("axes");
  if (axes.empty()) {
    for (int64_t i = 0; i < c.in(0).dim(); ++i) axes.push_back(i);
  }
  return {function(c.in(0), axes, c.integer("keepdims", 1) != 0)};
}

Tensor mean(const Tensor& x, at::IntArrayRef axes, bool keep) {
  return at::mean(x, axes, keep);
}
Tensor sum(const Tensor& x, at::IntArrayRef axes, bool keep) {
  return at::sum(x, axes, keep, x.scalar_type());
}
Tensor amax(const Tensor& x, at::IntArrayRef axes, bool keep) {
  return at::amax(x, axes, keep);
}
Tensor amin(const Tensor& x, at::IntArrayRef axes, bool keep) {
  return at::amin(x, axes, keep);
}
Tensor l2(const Tensor& x, at::IntArrayRef axes, bool keep) {
  return at::sqrt(at::sum(x * x, axes, keep));
}
Tensor product(const Tensor& x, at::IntArrayRef axes, bool keep) {
  std::vector<int64_t> sorted(axes.begin(), axes.end());
  for (int64_t& axis : sorted) axis = axis < 0 ? axis + x.dim() : axis;
  std::sort(sorted.rbegin(), sorted.rend());
  Tensor y = x;
  for (int64_t axis : sorted) y = at::prod(y, axis, keep, x.scalar_type());
  return y;
}

Results argmax(const Call& c) {
  return {at::argmax(c.in(0), c.integer("axis", 0), c.integer("keepdims", 1) != 0)};
}
Results softmax(const Call& c) {
  return {at::softmax(c.in(0), c.integer("axis", -1))};
}
Results log_softmax(const Call& c) {
  return {at::log_softmax(c.in(0), c.integer("axis", -1))};
}

Results cumsum(const Call& c) {
  const int64_t axis = c.integer("axis", 0);
  const bool reverse = c.integer("reverse", 0) != 0;
  const Tensor x = reverse ? c.in(0).flip({axis}) : c.in(0);
  Tensor y = at::cumsum(x, axis, x.scalar_type());
  // Moved by one rather than less x, which is exact, and right beside infinities.
  if (c.integer("exclusive", 0) != 0 && x.size(axis) > 0) {
    y = at::cat({at::zeros_like(x.narrow(axis, 0, 1)), y.narrow(axis, 0, x.size(axis) - 1)}, axis);
  }
  return {reverse ? y.flip({axis}) : y};
}

// ------------------------------------------------------------------------------------------ linear algebra

Results gemm(const Call& c) {
  const Tensor a = c.integer("transA", 0) != 0 ? c.in(0).t() : c.in(0),
               b = c.integer("transB", 0) != 0 ? c.in(1).t() : c.in(1);
  Tensor y = at::matmul(a, b) * c.real("alpha", 1.0);
  if (c.has(2)) y = y + c.in(2) * c.real("beta", 1.0);
  return {y};
}

Results einsum(const Call& c) {
  return {at::einsum(c.node.text("equation", ""), c.inputs)};
}

// ------------------------------------------------------------------------------------------ shapes, ranges

Results shape(const Call& c) {
  const int64_t rank = c.in(0).dim();
  const auto clamp = [rank](int64_t at) { return std::min(std::max<int64_t>(at < 0 ? at + rank : at, 0), rank); };
  const int64_t start = clamp(c.integer("start", 0)), end = clamp(c.integer("end", rank));
  return {at::tensor(
      c.in(0).sizes().slice(static_cast<size_t>(start), static_cast<size_t>(std::max<int64_t>(0, end - start))),
      at::kLong)};
}

/// Empty where the limit lies behind the start, which ATen refuses.
Results range(const Call& c) {
  const double start = c.in(0).item().toDouble(), limit = c.in(1).item().toDouble(), delta = c.in(2).item().toDouble();
  TORCH_CHECK(delta != 0, "its delta is 0");
  if ((limit - start) / delta <= 0) return {at::empty({0}, c.in(0).options())};
  return {at::arange(c.in(0).item(), c.in(1).item(), c.in(2).item(), c.in(0).options())};
}

Results trilu(const Call& c) {
  const int64_t k = c.integer("k", 0);
  return {c.integer("upper", 1) != 0 ? at::triu(c.in(0), k) : at::tril(c.in(0), k)};
}

}  // namespace

const Table& operator_table() {
  static const Table table{
      {"Abs", unary<at::abs>},
      {"Neg", unary<at::neg>},
      {"Exp", unary<at::exp>},
      {"Log", unary<at::log>},
      {"Sqrt", unary<at::sqrt>},
      {"Reciprocal", unary<at::reciprocal>},
      {"Erf", unary<at::erf>},
      {"Tanh", unary<at::tanh>},
      {"Sigmoid", unary<at::sigmoid>},
      {"Relu", unary<at::relu>},
      {"Softplus", softplus},
      {"Softsign", softsign},
      {"Sin", unary<at::sin>},
      {"Cos", unary<at::cos>},
      {"Floor", unary<at::floor>},
      {"Ceil", unary<at::ceil>},
      {"Round", unary<at::round>},
      {"Sign", unary<at::sign>},
      {"Identity", [](const Call& c) { return Results{c.in(0)}; }},
      {"Elu", elu},
      {"LeakyRelu", leaky_relu},
      {"HardSigmoid", hard_sigmoid},
      {"Mish", unary<at::mish>},
      {"HardSwish", unary<at::hardswish>},
      {"Clip", clip},
      {"IsNaN", unary<at::isnan>},
      {"Not", unary<at::logical_not>},
      {"Add", add},
      {"Sum", add},
      {"Sub", subtract},
      {"Mul", binary<at::mul>},
      {"Div", divide},
      {"Pow", binary<at::pow>},
      {"Min", binary<at::minimum>},
      {"Max", binary<at::maximum>},
      {"Mod", binary<at::remainder>},
      {"And", binary<at::logical_and>},
      {"Or", binary<at::logical_or>},
      {"Equal", binary<at::eq>},
      {"Less", binary<at::lt>},
      {"LessOrEqual", binary<at::le>},
      {"Greater", binary<at::gt>},
      {"GreaterOrEqual", binary<at::ge>},
      {"Where", where},
      {"Cast", cast},
      {"Reshape", reshape},
      {"Transpose", transpose},
      {"Unsqueeze", unsqueeze},
      {"Squeeze", squeeze},
      {"Slice", slice},
      {"Gather", gather},
      {"GatherElements", gather_elements},
      {"GatherND", gather_nd},
      {"Concat", concat},
      {"Split", split},
      {"DepthToSpace", depth_to_space},
      {"Expand", expand},
      {"Softmax", softmax},
      {"LogSoftmax", log_softmax},
      {"ReduceMean", reduce<mean>},
      {"ReduceSum", reduce<sum>},
      {"ReduceMax", reduce<amax>},
      {"ReduceMin", reduce<amin>},
      {"ReduceProd", reduce<product>},
      {"ReduceL2", reduce<l2>},
      {"ArgMax", argmax},
      {"MatMul", binary<at::matmul>},
      {"Gemm", gemm},
      {"Einsum", einsum},
      {"Shape", shape},
      {"Range", range},
      {"CumSum", cumsum},
      {"Trilu", trilu},
  };
  return table;
}

}  // namespace onnxport::reference
