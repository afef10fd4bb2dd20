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
    } else if (const auto* permute = std::get_if<PermuteAxes>(&transform)) {
      std::vector<int64_t> shape;
      for (int64_t axis : permute->order) shape.push_back(form.shape.at(static_cast<size_t>(axis)));
      form.shape = std::move(shape);
    } else if (const auto* expand = std::get_if<ExpandTo>(&transform)) {
      form.shape = expand->shape;
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
  if (const auto* permute = std::get_if<PermuteAxes>(&a)) return permute->order == std::get<PermuteAxes>(b).order;
  if (const auto* expand = std::get_if<ExpandTo>(&a)) return expand->shape == std::get<ExpandTo>(b).shape;
  if (const auto* apply = std::get_if<Apply>(&a)) return apply->function == std::get<Apply>(b).function;
  if (const auto* combine = std::get_if<CombineWith>(&a)) {
    const auto& other = std::get<CombineWith>(b);
    return combine->how == other.how && combine->reversed == other.reversed && combine->other->same_as(*other.other);
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
  if (std::holds_alternative<CastTo>(transform) || std::holds_alternative<Apply>(transform)) return each(transform);
  if (const auto* combine = std::get_if<CombineWith>(&transform)) {
    for (int64_t i = 0; i < count; ++i) {
      Weight& piece = pieces[static_cast<size_t>(i)];
      const Weight other = combine->other->then(SliceAxis{0, i, i + 1}).then(ReshapeTo{piece.shape()});
      piece = piece.then(CombineWith{combine->how, std::make_shared<const Weight>(other), combine->reversed});
    }
    return stacked(pieces);
  }
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

std::vector<int64_t> broadcast(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  std::vector<int64_t> shape(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < shape.size(); ++i) {
    const int64_t left = i < a.size() ? a.end()[-1 - static_cast<std::ptrdiff_t>(i)] : 1;
    const int64_t right = i < b.size() ? b.end()[-1 - static_cast<std::ptrdiff_t>(i)] : 1;
    if (left != right && left != 1 && right != 1)
      throw Error(Failure::internal, fmt::format("axes of {} and {} do not broadcast", left, right));
    shape.end()[-1 - static_cast<std::ptrdiff_t>(i)] = left == 1 ? right : left;
  }
  return shape;
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

Weight constant_weight(std::shared_ptr<const ir::Tensor> constant) {
  auto stored = std::make_shared<StoredTensor>();
  stored->name = "a constant";
  stored->dtype = constant->dtype;
  stored->shape = constant->shape;
  stored->bytes = constant->data.size();
  stored->constant = std::move(constant);
  return {std::move(stored), {}};
}

Weight computed_weight(std::shared_ptr<const Recipe> recipe, std::string name, ir::DType dtype,
                       std::vector<int64_t> shape) {
  auto stored = std::make_shared<StoredTensor>();
  stored->name = std::move(name);
  stored->dtype = dtype;
  stored->bytes = ir::size_of(dtype);
  for (int64_t size : shape) stored->bytes *= static_cast<uint64_t>(size);
  stored->shape = std::move(shape);
  stored->recipe = std::move(recipe);
  return {std::move(stored), {}};
}

Weight combined(Arithmetic how, const Weight& left, const Weight& right) {
  if (left.dtype() != right.dtype()) {
    throw Error(Failure::internal, fmt::format("{} is {} and {} is {}", left.stored->name, ir::name_of(left.dtype()),
                                               right.stored->name, ir::name_of(right.dtype())));
  }
  const std::vector<int64_t> shape = broadcast(left.shape(), right.shape());
  const auto expanded = [&](const Weight& weight) {
    return weight.shape() == shape ? weight : weight.then(ExpandTo{shape});
  };
  // The result goes by the name and the place of a tensor of the checkpoint, of the larger one where there are two.
  const bool reversed =
      right.stored->constant == nullptr && (left.stored->constant != nullptr || left.shape() != shape);
  const Weight &base = reversed ? right : left, &other = reversed ? left : right;
  return expanded(base).then(CombineWith{how, std::make_shared<const Weight>(expanded(other)), reversed});
}

Weight scaled_rows(const Weight& weight, const Weight& factor) {
  std::vector<int64_t> column(weight.shape().size(), 1);
  column.at(0) = factor.shape().at(0);
  const Weight rows = factor.then(ReshapeTo{column});
  return combined(Arithmetic::multiply, weight,
                  rows.dtype() == weight.dtype() ? rows : rows.then(CastTo{weight.dtype()}));
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
  const StoredTensor &a = *stored, &b = *other.stored;
  const bool same_place = a.file != nullptr && a.file == b.file && a.offset == b.offset && a.dtype == b.dtype &&
                          a.shape == b.shape && a.strides == b.strides;
  const bool same_constant = a.constant != nullptr && b.constant != nullptr && *a.constant == *b.constant;
  const bool same_recipe = a.recipe != nullptr && b.recipe != nullptr && a.recipe->same_as(*b.recipe) &&
                           a.offset == b.offset && a.shape == b.shape;
  if (stored != other.stored && !same_place && !same_constant && !same_recipe) return false;
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
           std::holds_alternative<ReshapeTo>(transform) || std::holds_alternative<SliceAxis>(transform) ||
           std::holds_alternative<ExpandTo>(transform) || std::holds_alternative<PermuteAxes>(transform);
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
