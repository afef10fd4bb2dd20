// SPDX-License-Identifier: Apache-2.0
#include "core/ir/types.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <numeric>

#include "core/error.hpp"

namespace onnxport::ir {

Dim Dim::symbol(std::string name) {
  Dim dim;
  dim.terms_.emplace_back(std::move(name), 1);
  return dim;
}

Dim Dim::parse(std::string_view text) {
  Dim sum;
  std::string_view rest = text;
  while (true) {
    const size_t plus = rest.find('+');
    std::string_view term = rest.substr(0, plus);
    while (!term.empty() && term.front() == ' ') term.remove_prefix(1);
    while (!term.empty() && term.back() == ' ') term.remove_suffix(1);
    int64_t number = 1;
    const auto [end, error] = std::from_chars(term.data(), term.data() + term.size(), number);
    if (error == std::errc{} && end == term.data() + term.size()) {
      sum = sum + Dim(number);
    } else {
      if (error == std::errc{}) {
        term.remove_prefix(static_cast<size_t>(end - term.data()));
        if (!term.empty() && term.front() == '*') term.remove_prefix(1);
      } else {
        number = 1;
      }
      if (term.empty()) throw Error(Failure::usage, fmt::format("'{}' is no dimension", text));
      sum = sum + symbol(std::string(term)) * Dim(number);
    }
    if (plus == std::string_view::npos) return sum;
    rest = rest.substr(plus + 1);
  }
}

std::string Dim::to_string() const {
  std::string text;
  for (const auto& [name, factor] : terms_) {
    if (!text.empty()) text += " + ";
    text += factor == 1 ? name : fmt::format("{}*{}", factor, name);
  }
  if (terms_.empty() || constant_ != 0) {
    if (!text.empty()) text += constant_ < 0 ? " - " : " + ";
    text += fmt::format("{}", terms_.empty() ? constant_ : std::abs(constant_));
  }
  return text;
}

std::optional<int64_t> Dim::evaluate(const std::map<std::string, int64_t>& symbols) const {
  int64_t sum = constant_;
  for (const auto& [name, factor] : terms_) {
    const auto found = symbols.find(name);
    if (found == symbols.end()) return std::nullopt;
    sum += factor * found->second;
  }
  return sum;
}

void Dim::add_term(const std::string& symbol, int64_t coefficient) {
  const auto found = std::find_if(terms_.begin(), terms_.end(), [&](const auto& term) { return term.first == symbol; });
  if (found == terms_.end()) {
    if (coefficient != 0) terms_.emplace_back(symbol, coefficient);
  } else if ((found->second += coefficient) == 0) {
    terms_.erase(found);
  }
}

bool operator==(const Dim& a, const Dim& b) {
  return a.constant_ == b.constant_ && a.terms_.size() == b.terms_.size() &&
         std::is_permutation(a.terms_.begin(), a.terms_.end(), b.terms_.begin());
}

Dim operator+(const Dim& a, const Dim& b) {
  Dim sum = a;
  sum.constant_ += b.constant_;
  for (const auto& [name, factor] : b.terms_) sum.add_term(name, factor);
  return sum;
}
namespace {

/// The factors of "(batch)*(rows)"; of another symbol, itself.
std::vector<std::string> factors_of(const std::string& symbol) {
  std::vector<std::string> factors;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i < symbol.size(); ++i) {
    if (symbol[i] == '(' && depth++ == 0) begin = i + 1;
    if (symbol[i] != ')' || --depth > 0) continue;
    factors.push_back(symbol.substr(begin, i - begin));
    const bool is_last = i + 1 == symbol.size();
    if (is_last || symbol.substr(i + 1, 2) != "*(") return is_last ? factors : std::vector<std::string>{symbol};
    ++i;
  }
  return {symbol};
}

/// A symbol for a product of two symbolic dimensions: the same in whichever order it came about.
Dim product_of(const Dim& a, const Dim& b) {
  std::vector<Dim> factors;
  const int64_t number = take_factors(a, factors) * take_factors(b, factors);
  std::vector<std::string> texts;
  for (const Dim& factor : factors) texts.push_back(factor.to_string());
  std::sort(texts.begin(), texts.end());
  std::string text;
  for (const std::string& factor : texts) text += (text.empty() ? "(" : "*(") + factor + ")";
  return Dim::symbol(std::move(text)) * Dim(number);
}

}  // namespace

int64_t take_factors(const Dim& dim, std::vector<Dim>& factors) {
  if (dim.is_static()) return dim.size();
  int64_t number = std::abs(dim.constant());
  for (const auto& [symbol, times] : dim.terms()) number = std::gcd(number, times);
  Dim rest(dim.constant() / number);
  for (const auto& [symbol, times] : dim.terms()) rest = rest + Dim::symbol(symbol) * Dim(times / number);
  const bool is_product = rest.terms().size() == 1 && rest.constant() == 0 && rest.terms()[0].second == 1 &&
                          rest.terms()[0].first.starts_with('(');
  if (!is_product) {
    factors.push_back(std::move(rest));
    return number;
  }
  const std::vector<std::string> texts = factors_of(rest.terms()[0].first);
  if (texts.size() == 1) {
    factors.push_back(std::move(rest));
  } else {
    for (const std::string& text : texts) {
      // What is more than a sum of symbols stays a symbol.
      const bool is_sum = text.find_first_of("()/-") == std::string::npos;
      factors.push_back(is_sum ? Dim::parse(text) : Dim::symbol(text));
    }
  }
  return number;
}

Dim operator*(const Dim& a, const Dim& b) {
  if (!a.is_static() && !b.is_static()) return product_of(a, b);
  const Dim& form = a.is_static() ? b : a;
  const int64_t factor = a.is_static() ? a.constant_ : b.constant_;
  Dim product(form.constant_ * factor);
  for (const auto& [name, own] : form.terms_) product.add_term(name, own * factor);
  return product;
}
Dim operator-(const Dim& a, const Dim& b) {
  return a + b * Dim(-1);
}

namespace {

int64_t floored(int64_t a, int64_t b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/// What "floor((height + 1)/2)" was made from, where `dim` is such a symbol and a number: numerator and divisor.
std::optional<std::pair<Dim, int64_t>> as_quotient(const Dim& dim) {
  if (dim.terms().size() != 1 || dim.terms()[0].second != 1) return std::nullopt;
  std::string_view text = dim.terms()[0].first;
  constexpr std::string_view opening = "floor(";
  if (!text.starts_with(opening) || !text.ends_with(')')) return std::nullopt;
  text = text.substr(opening.size(), text.size() - opening.size() - 1);
  const size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  std::string_view numerator = text.substr(0, slash);
  if (numerator.starts_with('(')) numerator = numerator.substr(1, numerator.size() - 2);
  // Anything but a plain sum is left nested.
  if (numerator.find_first_of("()/") != std::string_view::npos) return std::nullopt;
  int64_t divisor = 0;
  std::from_chars(text.data() + slash + 1, text.data() + text.size(), divisor);
  return std::pair(Dim::parse(numerator), divisor);
}

}  // namespace

Dim floor_divide(const Dim& dim, int64_t divisor) {
  if (const auto inner = as_quotient(dim)) {
    // floor((floor(a/m) + k)/n) = floor((a + k·m)/(m·n))
    return floor_divide(inner->first + Dim(dim.constant() * inner->second), inner->second * divisor);
  }
  const int64_t whole = floored(dim.constant(), divisor), rest = dim.constant() - whole * divisor;
  const bool divides =
      std::all_of(dim.terms().begin(), dim.terms().end(), [&](const auto& term) { return term.second % divisor == 0; });
  Dim quotient(whole);
  if (divides) {
    for (const auto& [name, factor] : dim.terms()) quotient = quotient + Dim::symbol(name) * Dim(factor / divisor);
    return quotient;
  }
  const Dim numerator = dim - Dim(dim.constant()) + Dim(rest);
  std::string text = numerator.to_string();
  if (rest != 0 || dim.terms().size() > 1) text = "(" + text + ")";
  return quotient + Dim::symbol(fmt::format("floor({}/{})", text, divisor));
}

Dim remainder(const Dim& dim, int64_t divisor) {
  // Multiples leave nothing.
  const int64_t constant = dim.constant() - floored(dim.constant(), divisor) * divisor;
  Dim rest(constant);
  bool is_below = true;
  for (const auto& [symbol, times] : dim.terms()) {
    if (times % divisor == 0) continue;
    rest = rest + Dim::symbol(symbol) * Dim(times);
    is_below = is_below && times < 0;
  }
  if (rest.is_static()) return rest;
  if (!is_below) return rest - floor_divide(rest, divisor) * Dim(divisor);
  const Dim above = Dim(0) - rest;
  return floor_divide(above + Dim(divisor - 1), divisor) * Dim(divisor) - above;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + shape[i].to_string();
  return text + "]";
}
std::optional<int64_t> element_count(const Shape& shape) {
  int64_t count = 1;
  for (const Dim& dim : shape) {
    if (!dim.is_static()) return std::nullopt;
    count *= dim.size();
  }
  return count;
}
std::string to_string(const TensorType& type) {
  return std::string(name_of(type.dtype)) + to_string(type.shape);
}

}  // namespace onnxport::ir
