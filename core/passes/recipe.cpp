// SPDX-License-Identifier: Apache-2.0
#include "core/passes/recipe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "core/checkpoint/convert.hpp"
#include "core/error.hpp"
#include "core/operators/evaluation.hpp"

namespace onnxport {
namespace {

constexpr uint64_t piece_bytes = uint64_t{1} << 20;          // of what is summed up, at a time
constexpr uint64_t most_bytes_of_input = uint64_t{4} << 20;  // of an input that is looked at as a whole
constexpr int64_t most_products = 1 << 22;

std::optional<ir::Tensor> result_of(const ir::Node& node, const std::vector<ir::Tensor>& inputs,
                                    const ir::TensorType& type) {
  std::vector<const ir::Tensor*> known;
  for (const ir::Tensor& input : inputs) known.push_back(&input);
  ir::Evaluated results = ir::evaluate({node, known, {type}});
  return results ? std::optional(std::move(results->at(0))) : std::nullopt;
}

bool is_reduction(const ir::Node& node) {
  return node.domain.empty() && ir::Reducer::knows(node.op);
}

class NodeRecipe final : public Recipe {
 public:
  NodeRecipe(const ir::Node& node, std::vector<Weight> inputs, ir::TensorType type)
      : inputs_(std::move(inputs)), type_(std::move(type)) {
    node_.domain = node.domain;
    node_.op = node.op;
    node_.scope = node.scope;
    node_.inputs.assign(inputs_.size(), ir::absent);
    node_.attributes = node.attributes;
  }

  const ir::Tensor& tensor() const override {
    std::call_once(once_, [this] { tensor_ = is_reduction(node_) ? reduced() : computed(); });
    return tensor_;
  }

  bool same_as(const Recipe& other) const override {
    const auto* recipe = dynamic_cast<const NodeRecipe*>(&other);
    return recipe != nullptr && node_.domain == recipe->node_.domain && node_.op == recipe->node_.op &&
           node_.attributes == recipe->node_.attributes && type_ == recipe->type_ &&
           std::ranges::equal(inputs_, recipe->inputs_, [](const Weight& a, const Weight& b) { return a.same_as(b); });
  }

 private:
  ir::Tensor computed() const {
    std::vector<ir::Tensor> inputs;
    for (const Weight& input : inputs_) inputs.push_back(materialize(input));
    return done(result_of(node_, inputs, type_));
  }

  ir::Tensor reduced() const {
    const Weight& from = inputs_.at(0);
    const TileReader reader(from);
    const uint64_t bytes = from.bytes(), size = ir::size_of(from.dtype());
    const uint64_t step = std::max(reader.granularity(), piece_bytes / reader.granularity() * reader.granularity());
    ir::Reducer reducer(node_.op, from.shape(), node_.integers("axes"));
    ir::Tensor piece{from.dtype(), {0}, {}};
    for (uint64_t begin = 0; begin < bytes; begin += step) {
      piece.data.resize(std::min(step, bytes - begin));
      piece.shape[0] = static_cast<int64_t>(piece.data.size() / size);
      reader.read(begin, piece.data);
      if (const auto numbers = ir::numbers_of(piece)) reducer.add(begin / size, *numbers);
    }
    std::vector<int64_t> shape;
    for (const ir::Dim& dim : type_.shape) shape.push_back(dim.size());
    return done(ir::tensor_of(reducer.results(), type_.dtype, shape));
  }

  ir::Tensor done(std::optional<ir::Tensor> result) const {
    if (result) return *std::move(result);
    throw Error(Failure::internal, fmt::format("{}: {} of weights cannot be computed", node_.scope, node_.op));
  }

  ir::Node node_;
  const std::vector<Weight> inputs_;
  const ir::TensorType type_;
  mutable std::once_flag once_;
  mutable ir::Tensor tensor_;
};

}  // namespace

std::optional<Weight> evaluated(const ir::Node& node, const std::vector<Weight>& inputs, const ir::TensorType& type) {
  std::vector<ir::Tensor> tensors;
  for (const Weight& input : inputs) tensors.push_back(materialize(input));
  std::optional<ir::Tensor> result = result_of(node, tensors, type);
  if (!result) return std::nullopt;
  return constant_weight(std::make_shared<const ir::Tensor>(*std::move(result)));
}

std::optional<Weight> with_recipe(const ir::Node& node, const std::vector<Weight>& inputs, const ir::TensorType& type) {
  // Only floats are computed exactly enough for every value that a checkpoint may hold.
  const auto computes = [&](const Weight& input) {
    const bool is_index = input.stored->constant != nullptr;
    return (is_index || ir::is_floating(input.dtype())) && (is_reduction(node) || input.bytes() <= most_bytes_of_input);
  };
  // A product sums up more than its inputs and its result tell.
  const auto count = ir::element_count(type.shape);
  if (node.op == "MatMul" && (!count || *count * inputs[0].shape().back() > most_products)) return std::nullopt;
  if (!ir::is_floating(type.dtype) || inputs.empty() || !std::all_of(inputs.begin(), inputs.end(), computes))
    return std::nullopt;
  const auto base =
      std::find_if(inputs.begin(), inputs.end(), [](const Weight& input) { return input.stored->constant == nullptr; });
  std::vector<int64_t> shape;
  for (const ir::Dim& dim : type.shape) shape.push_back(dim.size());
  return computed_weight(std::make_shared<const NodeRecipe>(node, inputs, type), base->stored->name, type.dtype,
                         std::move(shape));
}

}  // namespace onnxport
