// SPDX-License-Identifier: Apache-2.0
#include "backends/torch/weights.hpp"

namespace onnxport::reference {
namespace {

/// Whether a tensor can stand over the mapped bytes.
bool is_in_place(const Weight& weight) {
  const StoredTensor& stored = *weight.stored;
  if (!weight.transforms.empty() || !stored.strides.empty() || stored.file == nullptr) return false;
  return reinterpret_cast<uintptr_t>(stored.file->bytes().data() + stored.offset) % alignof(double) == 0;
}

at::Tensor tensor_of(const Weight& weight) {
  const StoredTensor& stored = *weight.stored;
  if (is_in_place(weight)) return view_of(stored.file->bytes().data() + stored.offset, stored.shape, stored.dtype);
  const auto owned = std::make_shared<ir::Tensor>(materialize(weight));
  const auto keep = [owned](void*) {};  // releases the bytes together with the tensor
  return widened(at::from_blob(owned->data.data(), owned->shape, keep, at::TensorOptions(scalar_type(owned->dtype))));
}

/// Pages of the file that were read for the weight. They stay in the page cache, and no longer count as memory of this
/// process.
void forget(const Weight& weight) {
  if (weight.stored->file != nullptr) weight.stored->file->forget(weight.stored->offset, weight.stored->bytes);
  for (const Weight& piece : weight.pieces()) {
    if (piece.stored->file != nullptr) piece.stored->file->forget(piece.stored->offset, piece.stored->bytes);
  }
}

}  // namespace

at::Tensor view_of(const std::byte* bytes, const std::vector<int64_t>& shape, ir::DType dtype) {
  return widened(at::from_blob(const_cast<std::byte*>(bytes), shape, at::TensorOptions(scalar_type(dtype))));
}

at::Tensor Weights::get(ir::ValueId id) const {
  at::Tensor& tensor = made_[id];
  if (tensor.defined()) return tensor;
  const ir::Value& value = graph_[id];
  if (value.origin == ir::Origin::constant) {
    const ir::Tensor& constant = *value.constant;
    tensor = view_of(constant.data.data(), constant.shape, constant.dtype);
  } else {
    tensor = tensor_of(*value.weight);
  }
  return tensor;
}

void Weights::give_back(ir::ValueId id) const {
  if (!made_[id].defined() || graph_[id].origin != ir::Origin::weight) return;
  made_[id] = at::Tensor();
  forget(*graph_[id].weight);
}

void Weights::give_back() const {
  for (size_t id = 0; id < made_.size(); ++id) give_back(static_cast<ir::ValueId>(id));
}

}  // namespace onnxport::reference
