// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/random_weights.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/checkpoint/convert.hpp"
#include "core/error.hpp"
#include "core/lower_case.hpp"

namespace onnxport {
namespace {

struct Moments {
  double centre;
  float deviation;
};

constexpr float of_vectors = 0.05f;

/// Of a matrix that sums over so many.
float of_matrix(int64_t summed) {
  return std::max(0.02f, 1.0f / std::sqrt(static_cast<float>(std::max<int64_t>(1, summed))));
}

bool is_norm(const std::string& name) {
  const std::string lower = lower_case(name);
  return lower.find("norm") != std::string::npos || lower.find("ln_") != std::string::npos;
}

/// Form 1.
Moments by_last_axis(const TensorPlan& tensor) {
  const bool vector = tensor.shape.size() <= 1;
  // A variance below 0 has no root.
  const bool variance = tensor.name.ends_with("running_var");
  const bool near_one = variance || (vector && is_norm(tensor.name) && tensor.name.ends_with("weight"));
  return {near_one ? 1.0 : 0.0, vector ? of_vectors : of_matrix(tensor.shape.back())};
}

/// Ends of the names of what multiplies channels and is near 1 in a trained model, or makes a branch heard in one that
/// nobody trained: variances, lengths of normed weights, scales of layers, of snakes.
constexpr std::array<std::string_view, 10> factors{"running_var", "weight_g", "weight.original0", ".gamma",
                                                   ".gamma_1",    ".gamma_2", ".lambda1",         ".lambda_1",
                                                   ".lambda_2",   ".alpha"};
/// Ends of the names of convolutions' kernels.
constexpr std::array<std::string_view, 3> kernels{".weight", ".weight_v", ".weight.original1"};

template <size_t count>
bool ends_with_one_of(const std::string& name, const std::array<std::string_view, count>& ends) {
  return std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return name.ends_with(end); });
}

bool is_factor(const TensorPlan& tensor) {
  // A vector that is a module's weight is that of a norm, whatever the norm is called.
  const bool norm = tensor.shape.size() == 1 && tensor.name.ends_with(".weight");
  return norm || ends_with_one_of(tensor.name, factors) || tensor.name.find("layer_scal") != std::string::npos;
}

bool is_stack_of_experts(const std::string& name) {
  return name.find("expert") != std::string::npos || name.find("moe") != std::string::npos;
}

/// Form 2.
Moments by_use(const TensorPlan& tensor) {
  const std::vector<int64_t>& shape = tensor.shape;
  if (is_factor(tensor)) return {1.0, of_vectors};
  if (shape.size() <= 1) return {0.0, of_vectors};
  if (shape.size() == 2) return {0.0, of_matrix(shape.back())};
  if (ends_with_one_of(tensor.name, kernels) && !is_stack_of_experts(tensor.name)) {
    const int64_t summed = std::accumulate(shape.begin() + 1, shape.end(), int64_t{1}, std::multiplies<>());
    // Between what keeps a signal's strength by itself (1) and behind a ReLU (2): nets without residuals have dozens of
    // the latter one after the other, and those with residuals add up the former.
    return {0.0, std::sqrt(1.75f / static_cast<float>(std::max<int64_t>(1, summed)))};
  }
  // A stack of matrices, turned one way or the other, or a table of vectors: the product is over the longest axis or
  // one that is not much shorter.
  return {0.0, of_matrix(*std::max_element(shape.begin(), shape.end()))};
}

/// Ends of the names of what makes queries whose products with keys are not divided by the root of a head's size: those
/// of T5 and GPT-Neo, whose own initialisation and training keep the queries small instead.
constexpr std::array<std::string_view, 2> unscaled_queries{"Attention.q.weight", "attn.attention.q_proj.weight"};

/// Form 3.
Moments by_scores(const TensorPlan& tensor) {
  Moments moments = by_use(tensor);
  // By the root of 64, of which heads mostly are. Scores that deviate by 8 pick one place each, and what picks it turns
  // over at the last bits of its inputs: layer upon layer that makes outputs that no two programs agree on.
  if (tensor.shape.size() == 2 && ends_with_one_of(tensor.name, unscaled_queries)) moments.deviation *= 0.125f;
  return moments;
}

Moments moments_of(int form, const TensorPlan& tensor) {
  constexpr std::array forms{by_last_axis, by_use, by_scores};
  static_assert(forms.size() == newest_form - first_form + 1);
  if (form < first_form || form > newest_form)
    throw Error(Failure::usage,
                "weights of form " + std::to_string(form) + " are not known: there are forms " +
                    std::to_string(first_form) + " to " + std::to_string(newest_form),
                "a later version of onnxport may know it");
  return forms.at(static_cast<size_t>(form - first_form))(tensor);
}

}  // namespace

class RandomWeights::Stream {
  /// About normal, by the sum of four uniform numbers: std's distributions differ between libraries, and logarithms in
  /// the last bit between machines.
  class Normal {
   public:
    Normal(uint64_t seed, const std::string& name) {
      uint64_t hash = 14695981039346656037u ^ seed;
      for (unsigned char c : name) hash = (hash ^ c) * 1099511628211u;
      engine_.seed(hash);
    }
    float operator()() {
      const uint64_t bits = engine_();
      const auto sum =
          static_cast<int64_t>((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48));
      // Four numbers in [0, 65536) have mean 131070 and standard deviation 37837.
      return static_cast<float>(static_cast<double>(sum - 131070) / 37837.0);
    }

   private:
    std::mt19937_64 engine_;  // the standard fixes what it yields
  };

 public:
  Stream(const Draw& draw, const TensorPlan& tensor)
      : normal_(draw.seed, tensor.name), dtype_(tensor.dtype), moments_(moments_of(draw.form, tensor)) {}

  void fill(std::span<std::byte> piece) {
    const uint64_t count = piece.size() / ir::size_of(dtype_);
    numbers_.resize(count);
    // The product of two floats is exact in double, so that a machine that multiplies and adds in one step rounds
    // alike.
    for (float& number : numbers_)
      number = static_cast<float>(moments_.centre + static_cast<double>(moments_.deviation) * normal_());
    convert_elements(ir::DType::f32, reinterpret_cast<const std::byte*>(numbers_.data()), dtype_, piece.data(), count);
  }

 private:
  Normal normal_;
  ir::DType dtype_;
  Moments moments_;
  std::vector<float> numbers_;
};

RandomWeights::RandomWeights(const Draw& draw, const TensorPlan& tensor)
    : stream_(std::make_unique<Stream>(draw, tensor)) {}
RandomWeights::~RandomWeights() = default;
RandomWeights::RandomWeights(RandomWeights&&) noexcept = default;

void RandomWeights::fill(std::span<std::byte> piece) {
  stream_->fill(piece);
}

}  // namespace onnxport
