// SPDX-License-Identifier: Apache-2.0
// From counts at single lengths to the polynomial that they lie on: Newton's forward differences on the lattice of all
// lengths whose distances from its corner add up to three at most.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/inspect/model_cost.hpp"

namespace onnxport::inspect {
namespace {

constexpr int degree = 3;
constexpr size_t most_axes = 4;
/// Lengths at which nothing is broadcast, and which are seldom those of a frozen axis.
constexpr int64_t corner = 5;

using Steps = std::vector<int>;              // by axis
using Polynomial = std::map<Steps, double>;  // by exponents

/// All steps from the corner that add up to `degree` at most, in an order in which smaller ones come first.
void lattice(size_t axes, int left, Steps& steps, std::vector<Steps>& out) {
  if (steps.size() == axes) {
    out.push_back(steps);
    return;
  }
  for (int step = 0; step <= left; ++step) {
    steps.push_back(step);
    lattice(axes, left - step, steps, out);
    steps.pop_back();
  }
}

/// What the counts at one place and below tell on top of all that lower differences told: Δ^α f at the corner.
double difference(const std::map<Steps, double>& counts, const Steps& alpha) {
  double sum = 0;
  Steps at(alpha.size(), 0);
  const std::function<void(size_t, double)> over = [&](size_t axis, double factor) {
    if (axis == alpha.size()) {
      sum += factor * counts.at(at);
      return;
    }
    double binomial = 1;
    for (int k = 0; k <= alpha[axis]; ++k) {
      at[axis] = k;
      over(axis + 1, factor * binomial * ((alpha[axis] - k) % 2 == 0 ? 1 : -1));
      binomial = binomial * (alpha[axis] - k) / (k + 1);
    }
    at[axis] = 0;
  };
  over(0, 1);
  return sum;
}

/// binom(x - corner, k) by powers of x.
std::vector<double> falling(int k) {
  std::vector<double> powers{1};
  for (int j = 0; j < k; ++j) {
    std::vector<double> next(powers.size() + 1, 0.0);
    for (size_t i = 0; i < powers.size(); ++i) {
      next[i + 1] += powers[i] / (j + 1);
      next[i] -= powers[i] * static_cast<double>(corner + j) / (j + 1);
    }
    powers = next;
  }
  return powers;
}

void add_product(Polynomial& sum, const Steps& alpha, double factor) {
  Polynomial product{{Steps(alpha.size(), 0), factor}};
  for (size_t axis = 0; axis < alpha.size(); ++axis) {
    const std::vector<double> powers = falling(alpha[axis]);
    Polynomial next;
    for (const auto& [exponents, value] : product) {
      for (size_t power = 0; power < powers.size(); ++power) {
        Steps raised = exponents;
        raised[axis] += static_cast<int>(power);
        next[raised] += value * powers[power];
      }
    }
    product = std::move(next);
  }
  for (const auto& [exponents, value] : product) sum[exponents] += value;
}

double value_at(const Polynomial& polynomial, const std::vector<int64_t>& lengths) {
  double sum = 0;
  for (const auto& [exponents, factor] : polynomial) {
    double term = factor;
    for (size_t axis = 0; axis < lengths.size(); ++axis)
      term *= std::pow(static_cast<double>(lengths[axis]), exponents[axis]);
    sum += term;
  }
  return sum;
}

/// The count at lengths; nullopt where some nodes could not be counted.
std::optional<double> count_at(const SizableModel& model, const std::vector<std::string>& axes,
                               const std::vector<int64_t>& lengths) {
  ir::Lengths named;
  for (size_t i = 0; i < lengths.size(); ++i) named[axes[i]] = lengths[i];
  const SizedModel sized = model.at(model.complete(named, corner));
  if (!sized.problems.empty()) return std::nullopt;
  const ModelCost cost = cost_of(sized);
  if (!cost.unsized.empty() || cost.endless_loops > 0) return std::nullopt;
  return static_cast<double>(cost.operations);
}

std::string raised(int power) {
  constexpr const char* digits[] = {"", "", "²", "³"};
  return digits[power];
}

}  // namespace

std::optional<std::vector<CostTerm>> law_of(const SizableModel& model) {
  std::vector<std::string> free;
  for (const OpenAxis& axis : model.axes()) {
    if (!axis.only) free.push_back(axis.name);
  }
  const size_t axes = free.size();
  if (axes > most_axes) return std::nullopt;
  std::vector<Steps> places;
  Steps steps;
  lattice(axes, degree, steps, places);
  std::map<Steps, double> counts;
  for (const Steps& place : places) {
    std::vector<int64_t> lengths;
    for (const int step : place) lengths.push_back(corner + step);
    const auto count = count_at(model, free, lengths);
    if (!count) return std::nullopt;
    counts[place] = *count;
  }
  Polynomial law;
  for (const Steps& place : places) {
    if (const double found = difference(counts, place); found != 0) add_product(law, place, found);
  }
  // Other lengths, far away and uneven, have to lie on it as well.
  std::vector<int64_t> proof;
  for (size_t axis = 0; axis < axes; ++axis) proof.push_back(11 + 12 * static_cast<int64_t>(axis));
  const auto counted = count_at(model, free, proof);
  if (!counted || std::abs(value_at(law, proof) - *counted) > 1e-9 * *counted + 0.5) return std::nullopt;

  std::vector<CostTerm> terms;
  for (const auto& [exponents, factor] : law) {
    CostTerm term{std::round(factor), {}};
    if (term.factor == 0) continue;
    for (size_t axis = 0; axis < axes; ++axis) {
      if (exponents[axis] > 0) term.powers[free[axis]] = exponents[axis];
    }
    terms.push_back(term);
  }
  const auto order = [](const CostTerm& term) {
    int sum = 0;
    for (const auto& [axis, power] : term.powers) sum += power;
    return sum;
  };
  std::stable_sort(terms.begin(), terms.end(),
                   [&](const CostTerm& a, const CostTerm& b) { return order(a) > order(b); });
  return terms;
}

std::string to_string(const std::vector<CostTerm>& law) {
  std::string text;
  for (const CostTerm& term : law) {
    const double size = std::abs(term.factor);
    if (!text.empty() || term.factor < 0) text += term.factor < 0 ? " - " : " + ";
    text += fmt::format("{:.0f}", size);
    for (const auto& [axis, power] : term.powers) text += fmt::format("·{}{}", axis, raised(power));
  }
  return text.empty() ? "0" : text;
}

}  // namespace onnxport::inspect
