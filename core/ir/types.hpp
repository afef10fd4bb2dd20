// SPDX-License-Identifier: Apache-2.0
// Symbolic dimensions and tensor types of the graph.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tensor/dtype.hpp"

namespace onnxport::ir {

/// A dimension: an integer linear form over named symbols, `3`, `batch`, `past_sequence + sequence`, `2*n + 1`.
/// Two dimensions are the same length exactly when their forms are equal. Immutable.
class Dim {
 public:
  Dim() = default;
  Dim(int64_t size) : constant_(size) {}  // NOLINT: a number is a dimension
  /// A fresh form of one symbol.
  static Dim symbol(std::string name);
  /// Parses "past_sequence + sequence", "2*n + 1", "7". Throws Error(usage) on other text.
  static Dim parse(std::string_view text);

  bool is_static() const { return terms_.empty(); }
  /// The size; only where is_static().
  int64_t size() const { return constant_; }
  std::optional<int64_t> maybe_size() const { return is_static() ? std::optional<int64_t>(constant_) : std::nullopt; }
  /// "past_sequence + sequence": the symbols in the order in which they were added; digits for a static one.
  std::string to_string() const;
  /// Evaluates with the given symbols; nullopt where one is missing.
  std::optional<int64_t> evaluate(const std::map<std::string, int64_t>& symbols) const;
  /// Symbol and coefficient, in the order in which they were added.
  const std::vector<std::pair<std::string, int64_t>>& terms() const { return terms_; }
  int64_t constant() const { return constant_; }

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  /// Product; one of the two must be static, else a symbol named after the product: the same for the same factors.
  friend Dim operator*(const Dim& a, const Dim& b);
  /// Whether the forms are equal, whatever the order of their symbols.
  friend bool operator==(const Dim& a, const Dim& b);

 private:
  void add_term(const std::string& symbol, int64_t coefficient);

  std::vector<std::pair<std::string, int64_t>> terms_;  // symbol and coefficient, never 0, each symbol once
  int64_t constant_ = 0;
};

/// ⌊dim / divisor⌋ for a divisor above 0. Where that is no linear form it is a symbol of its own, in a normal form:
/// ⌊(height - 16)/16⌋ + 1 is "floor(height/16)", and nested ones are one, "floor((height + 31)/32)".
Dim floor_divide(const Dim& dim, int64_t divisor);

/// What is left of dim divided by a divisor above 0: with b, b*floor((a + b - 1)/b) - a of -a, so that a length and
/// what pads it are a multiple of b.
Dim remainder(const Dim& dim, int64_t divisor);

/// The number and the symbolic factors that a dimension is the product of, the factors behind those that are there: of
/// 4*(batch)*(rows) it yields 4, and adds batch and rows; of 2*n + 2 it yields 2, and adds n + 1.
int64_t take_factors(const Dim& dim, std::vector<Dim>& factors);

using Shape = std::vector<Dim>;

/// "[batch, sequence, 768]"
std::string to_string(const Shape& shape);
/// Number of elements where all dims are static.
std::optional<int64_t> element_count(const Shape& shape);

struct TensorType {
  DType dtype = DType::undefined;
  Shape shape;
  friend bool operator==(const TensorType&, const TensorType&) = default;
};

/// "f32[batch, sequence, 768]"
std::string to_string(const TensorType& type);

}  // namespace onnxport::ir
