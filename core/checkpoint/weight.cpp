// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/weight.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/checkpoint/convert.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace {

struct Form {
  ir::DType dtype;
  std::vector<int64_t> shape;
};

Form form_of(const Weight& weight) {
  Form form{weight.stored->dtype, weight.stored->shape};
  for (const Transform& transform : weight.transforms) {
    if (const auto* cast = std::get_if<CastTo>(&transform)) {
      form.dtype = cast->dtype;
    } else if (const auto* reshape = std::get_if<ReshapeTo>(&transform)) {
      form.shape = reshape->shape;
    } else if (const auto* slice = std::get_if<SliceAxis>(&transform)) {
      form.shape.at(static_cast<size_t>(slice->axis)) = slice->end - slice->begin;
    } else if (std::holds_alternative<TransposeMatrix>(transform)) {
      if (form.shape.size() != 2)
        throw Error(Failure::internal, fmt::format("{}: only a matrix can be transposed", weight.stored->name));
      std::swap(form.shape[0], form.shape[1]);
    }
  }
  return form;
}

bool same_transform(const Transform& a, const Transform& b) {
  if (a.index() != b.index()) return false;
  if (const auto* cast = std::get_if<CastTo>(&a)) return cast->dtype == std::get<CastTo>(b).dtype;
  if (const auto* reshape = std::get_if<ReshapeTo>(&a)) return reshape->shape == std::get<ReshapeTo>(b).shape;
  if (const auto* slice = std::get_if<SliceAxis>(&a)) {
    const auto& other = std::get<SliceAxis>(b);
    return slice->axis == other.axis && slice->begin == other.begin && slice->end == other.end;
  }
  if (const auto* scale = std::get_if<ScaleRows>(&a)) return scale->factor->same_as(*std::get<ScaleRows>(b).factor);
  if (const auto* add = std::get_if<AddWeight>(&a)) {
    const auto& other = std::get<AddWeight>(b);
    return add->times == other.times && add->summand->same_as(*other.summand);
  }
  if (const auto* root = std::get_if<InverseRoot>(&a)) return root->epsilon == std::get<InverseRoot>(b).epsilon;
  return true;
}

}  // namespace

std::vector<int64_t> row_major_strides(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * shape[axis];
  return strides;
}

bool is_contiguous(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
  int64_t expected = 1;
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] == 0) return true;
    if (shape[axis] == 1) continue;  // its stride is never walked
    if (strides[axis] != expected) return false;
    expected *= shape[axis];
  }
  return true;
}

ir::DType Weight::dtype() const {
  return form_of(*this).dtype;
}
std::vector<int64_t> Weight::shape() const {
  return form_of(*this).shape;
}
uint64_t Weight::bytes() const {
  const Form form = form_of(*this);
  uint64_t bytes = ir::size_of(form.dtype);
  for (int64_t size : form.shape) bytes *= static_cast<uint64_t>(size);
  return bytes;
}

Weight Weight::then(Transform transform) const {
  Weight next = *this;
  next.transforms.push_back(std::move(transform));
  return next;
}

bool Weight::same_as(const Weight& other) const {
  if (stored != other.stored && !(stored->file != nullptr && stored->file == other.stored->file &&
                                  stored->offset == other.stored->offset && stored->dtype == other.stored->dtype &&
                                  stored->shape == other.stored->shape && stored->strides == other.stored->strides)) {
    return false;
  }
  if (transforms.size() != other.transforms.size()) return false;
  for (size_t i = 0; i < transforms.size(); ++i) {
    if (!same_transform(transforms[i], other.transforms[i])) return false;
  }
  return true;
}

bool only_moves_elements(const Weight& weight) {
  return std::all_of(weight.transforms.begin(), weight.transforms.end(), [](const Transform& transform) {
    return std::holds_alternative<TransposeMatrix>(transform) || std::holds_alternative<CastTo>(transform) ||
           std::holds_alternative<ReshapeTo>(transform) || std::holds_alternative<SliceAxis>(transform);
  });
}

ir::Tensor materialize(const Weight& weight) {
  const Form form = form_of(weight);
  ir::Tensor tensor{form.dtype, form.shape, std::vector<std::byte>(weight.bytes())};
  TileReader(weight).read(0, tensor.data);
  return tensor;
}

}  // namespace onnxport
