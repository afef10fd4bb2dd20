// SPDX-License-Identifier: Apache-2.0
#include "core/inspect/small_integers.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/inspect/operator_cost.hpp"

namespace onnxport::inspect {
namespace {

constexpr size_t longest = 64;

using Known = std::map<std::string, SmallIntegers>;
using Result = std::optional<SmallIntegers>;

/// The numbers of a constant that the message holds; none for one that is large, or not whole.
Result integers_in(const pb::TensorProto& tensor) {
  if (tensor.dims_size() > 1 || elements_of(tensor) > longest || place_of(tensor)) return std::nullopt;
  SmallIntegers out{tensor.dims_size() == 0, {}};
  const auto raw = [&]<class T>(T) {
    for (size_t at = 0; at + sizeof(T) <= tensor.raw_data().size(); at += sizeof(T)) {
      T value{};
      std::memcpy(&value, tensor.raw_data().data() + at, sizeof value);
      out.values.push_back(static_cast<int64_t>(value));
    }
  };
  switch (tensor.data_type()) {
    case pb::TensorProto::INT64:
      out.values.assign(tensor.int64_data().begin(), tensor.int64_data().end());
      if (tensor.has_raw_data()) raw(int64_t{});
      break;
    case pb::TensorProto::INT32:
    case pb::TensorProto::BOOL:
      out.values.assign(tensor.int32_data().begin(), tensor.int32_data().end());
      if (tensor.has_raw_data() && tensor.data_type() == pb::TensorProto::INT32) raw(int32_t{});
      if (tensor.has_raw_data() && tensor.data_type() == pb::TensorProto::BOOL) raw(uint8_t{});
      break;
    default:
      return std::nullopt;
  }
  return out.values.size() == elements_of(tensor) ? Result(out) : std::nullopt;
}

int64_t quotient(int64_t a, int64_t b) {
  return b == 0 ? 0 : a / b;
}

class Evaluation {
 public:
  Evaluation(const pb::GraphProto& graph, const ValueTypes& types) {
    for (const auto& tensor : graph.initializer()) {
      if (const Result known = integers_in(tensor)) known_[tensor.name()] = *known;
    }
    for (const auto& node : graph.node()) {
      if (node.output_size() != 1) continue;
      const SizedNode sized = sized_node(node, types);
      if (Result result = value_of(sized); result && result->values.size() <= longest)
        known_[node.output(0)] = std::move(*result);
    }
  }
  Known take() { return std::move(known_); }

 private:
  const SmallIntegers* in(const SizedNode& node, int index) const {
    if (!node.has_input(static_cast<size_t>(index))) return nullptr;
    const auto found = known_.find(node.node.input(index));
    return found == known_.end() ? nullptr : &found->second;
  }

  template <class Operation>
  Result pairwise(const SizedNode& node, Operation operation) const {
    const SmallIntegers *a = in(node, 0), *b = in(node, 1);
    if (a == nullptr || b == nullptr) return std::nullopt;
    const size_t length = std::max(a->values.size(), b->values.size());
    if ((a->values.size() != length && a->values.size() != 1) || (b->values.size() != length && b->values.size() != 1))
      return std::nullopt;
    SmallIntegers out{a->is_scalar && b->is_scalar, {}};
    for (size_t i = 0; i < length; ++i)
      out.values.push_back(
          operation(a->values[a->values.size() == 1 ? 0 : i], b->values[b->values.size() == 1 ? 0 : i]));
    return out;
  }

  Result shape(const SizedNode& node) const {
    if (node.inputs.empty() || !node.inputs[0]) return std::nullopt;
    const Sizes& sizes = *node.inputs[0];
    const auto rank = static_cast<int64_t>(sizes.size());
    const auto within = [&](int64_t axis) { return std::clamp(axis < 0 ? axis + rank : axis, int64_t{0}, rank); };
    const int64_t begin = within(node.integer("start", 0)), end = within(node.integer("end", rank));
    if (begin > end) return SmallIntegers{};
    return SmallIntegers{false, {sizes.begin() + begin, sizes.begin() + end}};
  }

  Result gather(const SizedNode& node) const {
    const SmallIntegers *data = in(node, 0), *indices = in(node, 1);
    if (data == nullptr || indices == nullptr || data->is_scalar) return std::nullopt;
    SmallIntegers out{indices->is_scalar, {}};
    for (int64_t index : indices->values) {
      if (index < 0) index += static_cast<int64_t>(data->values.size());
      if (index < 0 || index >= static_cast<int64_t>(data->values.size())) return std::nullopt;
      out.values.push_back(data->values[static_cast<size_t>(index)]);
    }
    return out;
  }

  Result concat(const SizedNode& node) const {
    SmallIntegers out;
    for (int i = 0; i < node.node.input_size(); ++i) {
      const SmallIntegers* part = in(node, i);
      if (part == nullptr) return std::nullopt;
      out.values.insert(out.values.end(), part->values.begin(), part->values.end());
    }
    return out;
  }

  Result slice(const SizedNode& node) const {
    const SmallIntegers *data = in(node, 0), *starts = in(node, 1), *ends = in(node, 2), *steps = in(node, 4);
    if (data == nullptr || starts == nullptr || ends == nullptr || starts->values.size() != 1 ||
        ends->values.size() != 1)
      return std::nullopt;
    if (steps != nullptr && steps->values != std::vector<int64_t>{1}) return std::nullopt;
    const auto length = static_cast<int64_t>(data->values.size());
    const auto within = [&](int64_t at) { return std::clamp(at < 0 ? at + length : at, int64_t{0}, length); };
    const int64_t begin = within(starts->values[0]), end = std::max(within(ends->values[0]), within(starts->values[0]));
    return SmallIntegers{false, {data->values.begin() + begin, data->values.begin() + end}};
  }

  /// A copy; as scalar or list as the result's rank says.
  Result same(const SizedNode& node) const {
    const SmallIntegers* a = in(node, 0);
    if (a == nullptr || node.outputs.empty() || !node.outputs[0] || node.outputs[0]->size() > 1) return std::nullopt;
    return SmallIntegers{node.outputs[0]->empty(), a->values};
  }

  Result filled(const SizedNode& node) const {
    const SmallIntegers* length = in(node, 0);
    if (length == nullptr || length->values.size() != 1 || length->values[0] < 0 ||
        length->values[0] > static_cast<int64_t>(longest))
      return std::nullopt;
    int64_t value = 0;
    for (const auto& attribute : node.node.attribute()) {
      if (attribute.name() != "value") continue;
      const Result given = integers_in(attribute.t());
      if (!given || given->values.size() != 1) return std::nullopt;
      value = given->values[0];
    }
    return SmallIntegers{false, std::vector<int64_t>(static_cast<size_t>(length->values[0]), value)};
  }

  Result where(const SizedNode& node) const {
    const SmallIntegers *choice = in(node, 0), *a = in(node, 1), *b = in(node, 2);
    if (choice == nullptr || a == nullptr || b == nullptr) return std::nullopt;
    const size_t length = std::max({choice->values.size(), a->values.size(), b->values.size()});
    SmallIntegers out{choice->is_scalar && a->is_scalar && b->is_scalar, {}};
    for (size_t i = 0; i < length; ++i) {
      const auto at = [&](const SmallIntegers& list) { return list.values.at(list.values.size() == 1 ? 0 : i); };
      if (choice->values.size() > 1 && i >= choice->values.size()) return std::nullopt;
      out.values.push_back(at(*choice) != 0 ? at(*a) : at(*b));
    }
    return out;
  }

  Result constant(const SizedNode& node) const {
    for (const auto& attribute : node.node.attribute()) {
      if (attribute.name() == "value") return integers_in(attribute.t());
      if (attribute.name() == "value_int") return SmallIntegers{true, {attribute.i()}};
      if (attribute.name() == "value_ints")
        return SmallIntegers{false, {attribute.ints().begin(), attribute.ints().end()}};
    }
    return std::nullopt;
  }

  Result value_of(const SizedNode& node) const {
    const std::string& op = node.node.op_type();
    if (op == "Shape") return shape(node);
    if (op == "Constant") return constant(node);
    if (op == "Gather") return gather(node);
    if (op == "Concat") return concat(node);
    if (op == "Slice") return slice(node);
    if (op == "ConstantOfShape") return filled(node);
    if (op == "Where") return where(node);
    if (op == "Add") return pairwise(node, [](int64_t a, int64_t b) { return a + b; });
    if (op == "Sub") return pairwise(node, [](int64_t a, int64_t b) { return a - b; });
    if (op == "Mul") return pairwise(node, [](int64_t a, int64_t b) { return a * b; });
    if (op == "Div") return pairwise(node, quotient);
    if (op == "Equal") return pairwise(node, [](int64_t a, int64_t b) { return int64_t{a == b}; });
    if (op == "Max") return pairwise(node, [](int64_t a, int64_t b) { return std::max(a, b); });
    if (op == "Min") return pairwise(node, [](int64_t a, int64_t b) { return std::min(a, b); });
    static const std::vector<std::string> copies{"Identity", "Cast",  "Unsqueeze", "Squeeze",
                                                 "Reshape",  "Floor", "Ceil"};
    if (std::find(copies.begin(), copies.end(), op) != copies.end()) return same(node);
    return std::nullopt;
  }

  Known known_;
};

}  // namespace

std::map<std::string, SmallIntegers> small_integers(const pb::GraphProto& graph, const ValueTypes& types) {
  return Evaluation(graph, types).take();
}

pb::TensorProto tensor_of(const std::string& name, const SmallIntegers& integers, int32_t element_type) {
  pb::TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(element_type);
  if (!integers.is_scalar) tensor.add_dims(static_cast<int64_t>(integers.values.size()));
  for (const int64_t value : integers.values) {
    if (element_type == pb::TensorProto::INT64)
      tensor.add_int64_data(value);
    else if (element_type == pb::TensorProto::FLOAT)
      tensor.add_float_data(static_cast<float>(value));
    else
      tensor.add_int32_data(static_cast<int32_t>(value));
  }
  return tensor;
}

}  // namespace onnxport::inspect
