// SPDX-License-Identifier: Apache-2.0
#include "core/validate/compare.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "core/checkpoint/convert.hpp"

namespace onnxport {
namespace {

/// Every element as f64; integers of 64 bits beyond 2^53 lose their last bits, which no model's ids reach.
std::vector<double> as_doubles(const ir::Tensor& tensor) {
  const auto count = static_cast<size_t>(tensor.element_count());
  std::vector<double> values(count);
  const auto copy = [&](auto numbers) {
    for (size_t i = 0; i < count; ++i) values[i] = static_cast<double>(numbers[i]);
  };
  switch (tensor.dtype) {
    case ir::DType::i64:
      copy(tensor.as<int64_t>());
      break;
    case ir::DType::i32:
      copy(tensor.as<int32_t>());
      break;
    case ir::DType::i16:
      copy(tensor.as<int16_t>());
      break;
    case ir::DType::i8:
      copy(tensor.as<int8_t>());
      break;
    case ir::DType::u64:
      copy(tensor.as<uint64_t>());
      break;
    case ir::DType::u32:
      copy(tensor.as<uint32_t>());
      break;
    case ir::DType::u16:
      copy(tensor.as<uint16_t>());
      break;
    case ir::DType::u8:
    case ir::DType::boolean:
      copy(tensor.as<uint8_t>());
      break;
    default:
      convert_elements(tensor.dtype, tensor.data.data(), ir::DType::f64, reinterpret_cast<std::byte*>(values.data()),
                       count);
      break;
  }
  return values;
}

std::vector<int64_t> index_of(int64_t flat, const std::vector<int64_t>& shape) {
  std::vector<int64_t> index(shape.size());
  for (size_t i = shape.size(); i-- > 0;) {
    index[i] = flat % shape[i];
    flat /= shape[i];
  }
  return index;
}

/// What the tolerance allows of each element, whatever its value.
double everywhere_allowed(const std::vector<double>& want, const Tolerance& tolerance) {
  double largest = 0;
  for (double value : want) largest = std::isfinite(value) ? std::max(largest, std::fabs(value)) : largest;
  return tolerance.absolute + tolerance.of_largest * largest;
}

/// The places of the largest values of a row, largest first, and of equal ones the first.
std::vector<size_t> best_of(const double* row, size_t classes, size_t count) {
  std::vector<size_t> best;
  for (size_t i = 0; i < classes; ++i) {
    if (best.size() == count && row[i] <= row[best.back()]) continue;
    if (best.size() == count) best.pop_back();
    const auto place = std::find_if(best.begin(), best.end(), [&](size_t other) { return row[i] > row[other]; });
    best.insert(place, i);
  }
  return best;
}

/// In how many rows of logits the same classes are best.
void compare_classes(const std::vector<double>& want, const std::vector<double>& got, size_t classes,
                     Difference& result) {
  constexpr size_t few = 5;
  if (classes < 2 || want.empty()) return;
  const size_t rows = want.size() / classes;
  size_t same = 0, same_few = 0;
  for (size_t row = 0; row < rows; ++row) {
    std::vector<size_t> of_want = best_of(want.data() + row * classes, classes, few),
                        of_got = best_of(got.data() + row * classes, classes, few);
    if (of_want[0] == of_got[0]) ++same;
    std::sort(of_want.begin(), of_want.end());
    std::sort(of_got.begin(), of_got.end());
    if (of_want == of_got) ++same_few;
  }
  const auto share = [&](size_t count) { return static_cast<double>(count) / static_cast<double>(rows); };
  result.same_best = share(same);
  if (classes > few) result.same_best_five = share(same_few);
}

Difference compare_one(const std::string& name, const ir::Tensor& expected, const ir::Tensor& actual,
                       const Tolerance& tolerance) {
  Difference result;
  result.output = name;
  if (expected.shape != actual.shape) {
    result.has_other_shape = true;
    result.problem = fmt::format("has the shape [{}], expected [{}]", fmt::join(actual.shape, ", "),
                                 fmt::join(expected.shape, ", "));
    return result;
  }
  // Floats of any width are numbers of one kind: the reference computes 16-bit models in 32 bits.
  if (expected.dtype != actual.dtype && !(ir::is_floating(expected.dtype) && ir::is_floating(actual.dtype))) {
    result.problem = fmt::format("is of type {}, expected {}", ir::name_of(actual.dtype), ir::name_of(expected.dtype));
    return result;
  }
  const std::vector<double> want = as_doubles(expected), got = as_doubles(actual);
  result.elements = static_cast<int64_t>(want.size());
  const double everywhere = everywhere_allowed(want, tolerance);
  size_t worst = 0, on_one_side = 0, on_both = 0;
  double sum = 0, product = 0, want_square = 0, got_square = 0;
  size_t finite = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    if (!std::isfinite(want[i]) || !std::isfinite(got[i])) {
      result.finite = false;
      const bool both_nan = std::isnan(want[i]) && std::isnan(got[i]);
      result.has_nan = result.has_nan || std::isnan(want[i]) || std::isnan(got[i]);
      if (both_nan || want[i] == got[i]) {
        if (both_nan || tolerance.only_finite) ++on_both;
        if (tolerance.only_finite) ++result.mismatches;
        continue;
      }
      ++result.mismatches;
      if (++on_one_side == 1) worst = i;  // no finite difference is worse
      continue;
    }
    const double difference = std::fabs(want[i] - got[i]);
    ++finite;
    sum += difference;
    product += want[i] * got[i];
    want_square += want[i] * want[i];
    got_square += got[i] * got[i];
    if (difference > everywhere + tolerance.relative * std::fabs(want[i])) ++result.mismatches;
    if (want[i] != 0) result.max_rel = std::max(result.max_rel, difference / std::fabs(want[i]));
    if (difference > result.max_abs) {
      result.max_abs = difference;
      if (on_one_side == 0) worst = i;
    }
  }
  if (!want.empty()) {
    result.worst_index = index_of(static_cast<int64_t>(worst), expected.shape);
    result.expected = want[worst];
    result.actual = got[worst];
  }
  if (finite > 0) result.mean_abs = sum / static_cast<double>(finite);
  if (want_square > 0 && got_square > 0)
    result.cosine = std::clamp(product / std::sqrt(want_square * got_square), -1.0, 1.0);
  if (is_logits(name) && result.finite && !expected.shape.empty())
    compare_classes(want, got, static_cast<size_t>(expected.shape.back()), result);
  if (on_one_side > 0) {
    result.problem = fmt::format("has {} elements that are NaN or infinite on one side only", on_one_side);
  } else if (on_both > 0) {
    result.problem = fmt::format("has {} elements that are NaN{} on both sides", on_both,
                                 tolerance.only_finite ? " or infinite" : "");
  }
  result.passes = result.mismatches == 0;
  return result;
}

}  // namespace

std::vector<DifferingValue> differing_values(const ir::Tensor& expected, const ir::Tensor& actual,
                                             const Tolerance& tolerance, size_t most) {
  std::vector<DifferingValue> values;
  if (expected.shape != actual.shape) return values;
  const std::vector<double> want = as_doubles(expected), got = as_doubles(actual);
  const double everywhere = everywhere_allowed(want, tolerance);
  for (size_t i = 0; i < want.size() && values.size() < most; ++i) {
    const bool is_equal = want[i] == got[i] || (std::isnan(want[i]) && std::isnan(got[i]));
    if (is_equal || std::fabs(want[i] - got[i]) <= everywhere + tolerance.relative * std::fabs(want[i])) continue;
    values.push_back({index_of(static_cast<int64_t>(i), expected.shape), want[i], got[i]});
  }
  return values;
}

bool is_logits(const std::string& output) {
  return output == "logits" || output.ends_with("_logits");
}

std::vector<Difference> compare(const Tensors& expected, const Tensors& actual, const Tolerance& tolerance) {
  std::vector<Difference> differences;
  for (const auto& [name, tensor] : expected) {
    const auto found = actual.find(name);
    if (found != actual.end()) {
      differences.push_back(compare_one(name, tensor, found->second, tolerance));
    } else {
      Difference missing;
      missing.output = name;
      missing.problem = "is missing";
      differences.push_back(std::move(missing));
    }
  }
  return differences;
}

}  // namespace onnxport
