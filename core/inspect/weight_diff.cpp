// SPDX-License-Identifier: Apache-2.0
#include "core/inspect/weight_diff.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace onnxport::inspect {
namespace {

using Kind = WeightChange::Kind;
using Bytes = std::span<const std::byte>;

struct Side {
  const OnnxFile& file;
  TensorBytes bytes{file};
  std::map<std::string, const pb::TensorProto*> tensors{};

  explicit Side(const OnnxFile& opened) : file(opened) {
    for (const StoredTensor& tensor : stored_tensors(opened.model)) tensors.emplace(tensor.name, tensor.tensor);
  }
};

std::string type_of(const pb::TensorProto& tensor) {
  return fmt::format("{}[{}]", type_name(tensor.data_type()), fmt::join(tensor.dims(), ", "));
}

bool same_shape(const pb::TensorProto& a, const pb::TensorProto& b) {
  return std::equal(a.dims().begin(), a.dims().end(), b.dims().begin(), b.dims().end());
}

/// Elements of tensors whose bytes are protobuf's numbers compare as messages.
bool same_elements(Side& in_a, const pb::TensorProto& a, Side& in_b, const pb::TensorProto& b) {
  const auto of_a = in_a.bytes.of(a), of_b = in_b.bytes.of(b);
  if (of_a && of_b) return of_a->size() == of_b->size() && std::memcmp(of_a->data(), of_b->data(), of_a->size()) == 0;
  if (of_a || of_b || place_of(a) || place_of(b)) return false;
  pb::TensorProto left = a, right = b;
  left.clear_name();
  right.clear_name();
  return left.SerializeAsString() == right.SerializeAsString();
}

double largest_difference(Bytes a, Bytes b) {
  double largest = 0;
  for (size_t at = 0; at + sizeof(float) <= a.size(); at += sizeof(float)) {
    float x = 0, y = 0;
    std::memcpy(&x, a.data() + at, sizeof x);
    std::memcpy(&y, b.data() + at, sizeof y);
    const double difference = std::abs(static_cast<double>(x) - static_cast<double>(y));
    if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, difference);
  }
  return largest;
}

bool is_transposed(Side& in_a, const pb::TensorProto& a, Side& in_b, const pb::TensorProto& b) {
  if (a.dims_size() != 2 || b.dims_size() != 2 || a.dims(0) != b.dims(1) || a.dims(1) != b.dims(0)) return false;
  const auto of_a = in_a.bytes.of(a), of_b = in_b.bytes.of(b);
  const size_t width = bits_of(a.data_type()) / 8;
  if (!of_a || !of_b || a.data_type() != b.data_type() || width == 0 || of_a->size() != of_b->size()) return false;
  const auto rows = static_cast<size_t>(a.dims(0)), columns = static_cast<size_t>(a.dims(1));
  for (size_t row = 0; row < rows; ++row) {
    for (size_t column = 0; column < columns; ++column) {
      if (std::memcmp(of_a->data() + (row * columns + column) * width, of_b->data() + (column * rows + row) * width,
                      width) != 0)
        return false;
    }
  }
  return true;
}

WeightChange change_between(Side& in_a, Side& in_b, const std::string& name) {
  const pb::TensorProto &a = *in_a.tensors.at(name), &b = *in_b.tensors.at(name);
  WeightChange change{Kind::values, name, name, {}, 0};
  if (!same_shape(a, b) || a.data_type() != b.data_type()) {
    const bool other_shape = !same_shape(a, b);
    change.kind = is_transposed(in_a, a, in_b, b) ? Kind::transposed : other_shape ? Kind::shape : Kind::type;
    change.text = fmt::format("{} and {}", type_of(a), type_of(b));
    return change;
  }
  const auto of_a = in_a.bytes.of(a), of_b = in_b.bytes.of(b);
  if (!of_a || !of_b) {
    change.kind = place_of(a) || place_of(b) ? Kind::unreadable : Kind::values;
    change.text = in_a.bytes.problem(a).empty() ? in_b.bytes.problem(b) : in_a.bytes.problem(a);
  } else if (a.data_type() == pb::TensorProto::FLOAT) {
    change.difference = largest_difference(*of_a, *of_b);
  }
  return change;
}

/// Tensors of one side that the other does not have by name, paired where they hold the same.
void pair_by_bytes(Side& in_a, Side& in_b, std::vector<std::string>& only_a, std::vector<std::string>& only_b,
                   WeightMatch& out) {
  constexpr uint64_t tells_something = 64;  // bytes; smaller ones are alike by chance
  for (const Kind kind : {Kind::renamed, Kind::transposed}) {
    std::erase_if(only_b, [&](const std::string& name) {
      const pb::TensorProto& b = *in_b.tensors.at(name);
      if (bytes_of(b) < tells_something) return false;
      const auto twin = std::find_if(only_a.begin(), only_a.end(), [&](const std::string& other) {
        const pb::TensorProto& a = *in_a.tensors.at(other);
        if (kind == Kind::transposed) return is_transposed(in_a, a, in_b, b);
        return a.data_type() == b.data_type() && same_shape(a, b) && same_elements(in_a, a, in_b, b);
      });
      if (twin == only_a.end()) return false;
      out.changes.push_back({kind, *twin, name, {}, 0});
      if (kind == Kind::renamed) out.same_in_a[name] = *twin;
      only_a.erase(twin);
      return true;
    });
  }
}

}  // namespace

WeightMatch match_weights(const OnnxFile& a, const OnnxFile& b) {
  Side in_a(a), in_b(b);
  WeightMatch out;
  std::vector<std::string> only_a, only_b;
  for (const auto& [name, tensor] : in_a.tensors) {
    const auto other = in_b.tensors.find(name);
    if (other == in_b.tensors.end()) {
      only_a.push_back(name);
    } else if (tensor->data_type() == other->second->data_type() && same_shape(*tensor, *other->second) &&
               same_elements(in_a, *tensor, in_b, *other->second)) {
      ++out.equal;
      out.same_in_a[name] = name;
    } else {
      out.changes.push_back(change_between(in_a, in_b, name));
    }
  }
  for (const auto& [name, tensor] : in_b.tensors) {
    if (!in_a.tensors.contains(name)) only_b.push_back(name);
  }
  pair_by_bytes(in_a, in_b, only_a, only_b, out);
  for (const std::string& name : only_a)
    out.changes.push_back({Kind::only_in_a, name, {}, type_of(*in_a.tensors.at(name)), 0});
  for (const std::string& name : only_b)
    out.changes.push_back({Kind::only_in_b, {}, name, type_of(*in_b.tensors.at(name)), 0});
  return out;
}

}  // namespace onnxport::inspect
