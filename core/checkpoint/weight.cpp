// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/weight.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

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
      form.shape.at(static_cast<size_t>(slice->axis)) = (slice->end - slice->begin + slice->step - 1) / slice->step;
    } else if (const auto* stack = std::get_if<StackWith>(&transform)) {
      form.shape.insert(form.shape.begin(), static_cast<int64_t>(1 + stack->others.size()));
    } else if (std::holds_alternative<TransposeMatrix>(transform)) {
      if (form.shape.size() < 2)
        throw Error(Failure::internal, fmt::format("{}: only a matrix can be transposed", weight.stored->name));
      std::swap(form.shape.end()[-1], form.shape.end()[-2]);
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
    return slice->axis == other.axis && slice->begin == other.begin && slice->end == other.end &&
           slice->step == other.step;
  }
  if (const auto* scale = std::get_if<ScaleRows>(&a)) return scale->factor->same_as(*std::get<ScaleRows>(b).factor);
  if (const auto* add = std::get_if<AddWeight>(&a)) {
    const auto& other = std::get<AddWeight>(b);
    return add->times == other.times && add->summand->same_as(*other.summand);
  }
  if (const auto* stack = std::get_if<StackWith>(&a)) {
    const auto same = [](const auto& one, const auto& other) { return one->same_as(*other); };
    return std::ranges::equal(stack->others, std::get<StackWith>(b).others, same);
  }
  if (const auto* root = std::get_if<InverseRoot>(&a)) return root->epsilon == std::get<InverseRoot>(b).epsilon;
  return true;
}

/// A stack whose pieces are transformed each by itself; nullopt where the transform does not keep to them.
std::optional<Weight> transformed_pieces(const Weight& stack, const Transform& transform) {
  std::vector<Weight> pieces = stack.pieces();
  if (pieces.empty()) return std::nullopt;
  const auto count = static_cast<int64_t>(pieces.size());
  const auto each = [&](const Transform& inner) {
    for (Weight& piece : pieces) piece = piece.then(inner);
    return stacked(pieces);
  };
  if (std::holds_alternative<CastTo>(transform)) return each(transform);
  if (std::holds_alternative<TransposeMatrix>(transform) && pieces[0].shape().size() >= 2) return each(transform);
  if (const auto* reshape = std::get_if<ReshapeTo>(&transform)) {
    const std::vector<int64_t>& shape = reshape->shape;
    if (!shape.empty() && shape[0] == count) return each(ReshapeTo{{shape.begin() + 1, shape.end()}});
    if (count == 1) return pieces[0].then(transform);
  }
  if (const auto* slice = std::get_if<SliceAxis>(&transform)) {
    if (slice->axis > 0) return each(SliceAxis{slice->axis - 1, slice->begin, slice->end, slice->step});
    std::vector<Weight> chosen;
    for (int64_t i = slice->begin; i < slice->end; i += slice->step)
      chosen.push_back(pieces.at(static_cast<size_t>(i)));
    if (!chosen.empty()) return stacked(chosen);
  }
  return std::nullopt;
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
  if (auto stack = transformed_pieces(*this, transform)) return *std::move(stack);
  Weight next = *this;
  next.transforms.push_back(std::move(transform));
  return next;
}

std::vector<Weight> Weight::pieces() const {
  if (transforms.empty()) return {};
  const auto* stack = std::get_if<StackWith>(&transforms.back());
  if (stack == nullptr) return {};
  std::vector<Weight> pieces{{stored, {transforms.begin(), transforms.end() - 1}}};
  for (const auto& other : stack->others) pieces.push_back(*other);
  return pieces;
}

Weight stacked(const std::vector<Weight>& pieces) {
  Weight stack = pieces.at(0);
  StackWith with;
  for (size_t i = 1; i < pieces.size(); ++i) {
    if (pieces[i].dtype() != stack.dtype() || pieces[i].shape() != stack.shape()) {
      throw Error(Failure::internal, fmt::format("{} and {} are of two shapes or types and cannot be stacked",
                                                 stack.stored->name, pieces[i].stored->name));
    }
    with.others.push_back(std::make_shared<const Weight>(pieces[i]));
  }
  stack.transforms.emplace_back(std::move(with));
  return stack;
}

std::vector<Weight> along_first_axis(const Weight& weight) {
  const StoredTensor& stored = *weight.stored;
  std::vector<Transform> transforms;
  for (const Transform& transform : weight.transforms) {
    const auto* slice = std::get_if<SliceAxis>(&transform);
    if (slice != nullptr && slice->axis > 0)
      transforms.emplace_back(SliceAxis{slice->axis - 1, slice->begin, slice->end, slice->step});
    else if (std::holds_alternative<CastTo>(transform) ||
             (std::holds_alternative<TransposeMatrix>(transform) && stored.shape.size() > 2))
      transforms.push_back(transform);
    else
      return {};
  }
  if (stored.shape.size() < 2) return {};
  const std::vector<int64_t> strides = stored.strides.empty() ? row_major_strides(stored.shape) : stored.strides;
  std::vector<Weight> places;
  for (int64_t i = 0; i < stored.shape[0]; ++i) {
    auto one = std::make_shared<StoredTensor>(stored);
    one->shape.erase(one->shape.begin());
    one->offset += static_cast<uint64_t>(i * strides[0]) * ir::size_of(stored.dtype);
    one->bytes /= static_cast<uint64_t>(stored.shape[0]);
    if (!one->strides.empty()) one->strides.erase(one->strides.begin());
    places.push_back({std::move(one), transforms});
  }
  return places;
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
    if (const auto* stack = std::get_if<StackWith>(&transform))
      return std::ranges::all_of(stack->others, [](const auto& other) { return only_moves_elements(*other); });
    return std::holds_alternative<TransposeMatrix>(transform) || std::holds_alternative<CastTo>(transform) ||
           std::holds_alternative<ReshapeTo>(transform) || std::holds_alternative<SliceAxis>(transform);
  });
}

ir::Tensor materialize(const Weight& weight) {
  const Form form = form_of(weight);
  ir::Tensor tensor{form.dtype, form.shape, std::vector<std::byte>(weight.bytes())};
  std::vector<Weight> pieces = weight.pieces();
  if (pieces.empty()) pieces = {weight};
  const uint64_t bytes = weight.bytes() / pieces.size();
  for (size_t i = 0; i < pieces.size(); ++i) {
    const std::span place(tensor.data.data() + i * bytes, bytes);
    if (pieces[i].pieces().empty())
      TileReader(pieces[i]).read(0, place);
    else
      std::ranges::copy(materialize(pieces[i]).data, place.begin());
  }
  return tensor;
}

}  // namespace onnxport
