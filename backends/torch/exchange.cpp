// SPDX-License-Identifier: Apache-2.0
#include "backends/torch/exchange.hpp"

#include <cstring>
#include <string_view>

#include "backends/torch/evaluator.hpp"
#include "backends/torch/weights.hpp"

namespace onnxport::reference {
namespace {

struct TypeRow {
  ir::DType dtype;
  at::ScalarType type;
};
constexpr TypeRow types[] = {
    {ir::DType::f32, at::kFloat},     {ir::DType::f64, at::kDouble}, {ir::DType::f16, at::kHalf},
    {ir::DType::bf16, at::kBFloat16}, {ir::DType::i64, at::kLong},   {ir::DType::i32, at::kInt},
    {ir::DType::i16, at::kShort},     {ir::DType::i8, at::kChar},    {ir::DType::u8, at::kByte},
    {ir::DType::boolean, at::kBool},
};

}  // namespace

at::Tensor to_aten(const ir::Tensor& tensor) {
  return view_of(tensor.data.data(), tensor.shape, tensor.dtype);
}

ir::Tensor from_aten(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.contiguous();
  ir::Tensor out;
  out.dtype = dtype_of(dense.scalar_type());
  out.shape.assign(dense.sizes().begin(), dense.sizes().end());
  out.data.resize(static_cast<size_t>(dense.numel()) * dense.element_size());
  if (!out.data.empty()) std::memcpy(out.data.data(), dense.data_ptr(), out.data.size());
  return out;
}

std::string reason_of(const std::exception& problem) {
  const std::string text = problem.what();
  constexpr std::string_view raised = "\nRuntimeError: ";
  size_t begin = text.find(raised);
  begin = begin == std::string::npos ? text.find_first_not_of('\n') : begin + raised.size();
  if (begin == std::string::npos) return text;
  return text.substr(begin, text.find('\n', begin) - begin);
}

at::ScalarType scalar_type(ir::DType dtype) {
  for (const TypeRow& row : types) {
    if (row.dtype == dtype) return row.type;
  }
  throw Error(Failure::internal, "the reference has no tensors of type " + std::string(ir::name_of(dtype)));
}

ir::DType dtype_of(at::ScalarType type) {
  for (const TypeRow& row : types) {
    if (row.type == type) return row.dtype;
  }
  throw Error(Failure::internal, "libtorch yields a tensor of a type that is not read");
}

}  // namespace onnxport::reference
