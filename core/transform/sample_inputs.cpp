// SPDX-License-Identifier: Apache-2.0
#include "core/transform/sample_inputs.hpp"

#include <fmt/format.h>

#include <random>
#include <set>

#include "core/error.hpp"
#include "core/ir/lengths.hpp"

namespace onnxport {
namespace {

constexpr int64_t first_length = 2;  // of the first axis without a size; each further name has one more

[[noreturn]] void refuse(const pb::ValueInfoProto& input, const std::string& why) {
  throw Error(Failure::usage, fmt::format("the two files cannot be compared: the input '{}' {}", input.name(), why),
              "pass --no-validate");
}

/// Whether the text is one name, and no sum or product of others.
bool is_name(const std::string& text) {
  return text.find_first_of("+*/() ") == std::string::npos;
}

class Sampler {
 public:
  Sampler(const ModelParts& model, const std::map<std::string, int64_t>& sizes, uint64_t set)
      : model_(model), lengths_(sizes.begin(), sizes.end()), set_(set) {
    for (const StreamedInitializer& weight : model.weights) weights_.insert(weight.header.name());
    for (const auto& weight : model.model.graph().initializer()) weights_.insert(weight.name());
    for (const pb::ValueInfoProto& input : model.model.graph().input()) {
      for (const auto& dim : input.type().tensor_type().shape().dim()) {
        if (is_name(dim.dim_param()) && !dim.dim_param().empty())
          lengths_.emplace(dim.dim_param(), first_length + static_cast<int64_t>(lengths_.size()));
      }
    }
  }

  Tensors run() {
    Tensors inputs;
    for (const pb::ValueInfoProto& input : model_.model.graph().input()) {
      if (!weights_.contains(input.name())) inputs.emplace(input.name(), values_of(input));
    }
    return inputs;
  }

 private:
  std::vector<int64_t> shape_of(const pb::ValueInfoProto& input) const {
    if (!input.type().has_tensor_type() || !input.type().tensor_type().has_shape()) refuse(input, "has no shape");
    std::vector<int64_t> shape;
    for (const auto& dim : input.type().tensor_type().shape().dim()) {
      const std::string place = fmt::format("{}[{}]", input.name(), shape.size());
      if (dim.has_dim_value()) {
        shape.push_back(dim.dim_value());
      } else if (const auto named = lengths_.find(place); named != lengths_.end()) {
        shape.push_back(named->second);
      } else if (dim.dim_param().empty()) {
        shape.push_back(first_length);
      } else {
        const auto length = ir::length_of(ir::Dim::symbol(dim.dim_param()), lengths_);
        if (!length) refuse(input, "has an axis of '" + dim.dim_param() + "', which hangs on a name of no input");
        shape.push_back(*length);
      }
    }
    return shape;
  }

  ir::Tensor values_of(const pb::ValueInfoProto& input) {
    const auto dtype = static_cast<ir::DType>(input.type().tensor_type().elem_type());
    ir::Tensor tensor{dtype, shape_of(input), {}};
    const auto count = static_cast<size_t>(tensor.element_count());
    const auto fill = [&]<class T>(T) {
      std::vector<T> values(count);
      for (T& value : values) value = static_cast<T>(set_ % 2 == 0 ? 1 : random_() % 2);
      return ir::Tensor::of<T>(dtype, tensor.shape, values);
    };
    switch (dtype) {
      case ir::DType::i64:
        return fill(int64_t{});
      case ir::DType::i32:
        return fill(int32_t{});
      case ir::DType::u8:
      case ir::DType::i8:
      case ir::DType::boolean:
        return fill(uint8_t{});
      case ir::DType::f32: {
        std::vector<float> values(count);
        for (float& value : values) value = static_cast<float>(random_() % 2001) / 1000 - 1;
        return ir::Tensor::of<float>(dtype, tensor.shape, values);
      }
      default:
        refuse(input, "is of a type that no values are made for");
    }
  }

  const ModelParts& model_;
  ir::Lengths lengths_;
  const uint64_t set_;
  std::mt19937 random_{static_cast<uint32_t>(set_ + 1)};
  std::set<std::string> weights_;
};

}  // namespace

Tensors sample_inputs(const ModelParts& model, const std::map<std::string, int64_t>& sizes, uint64_t set) {
  return Sampler(model, sizes, set).run();
}

}  // namespace onnxport
