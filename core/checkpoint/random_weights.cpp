// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/random_weights.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "core/checkpoint/convert.hpp"
#include "core/lower_case.hpp"

namespace onnxport {
namespace {

bool is_norm(const std::string& name) {
  const std::string lower = lower_case(name);
  return lower.find("norm") != std::string::npos || lower.find("ln_") != std::string::npos;
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
  Stream(uint64_t seed, const TensorPlan& tensor) : normal_(seed, tensor.name), dtype_(tensor.dtype) {
    const bool vector = tensor.shape.size() <= 1;
    // A variance below 0 has no root.
    const bool variance = tensor.name.ends_with("running_var");
    if (variance || (vector && is_norm(tensor.name) && tensor.name.ends_with("weight"))) centre_ = 1.0;
    scale_ = vector ? 0.05f
                    : std::max(0.02f, 1.0f / std::sqrt(static_cast<float>(std::max<int64_t>(1, tensor.shape.back()))));
  }

  void fill(std::span<std::byte> piece) {
    const uint64_t count = piece.size() / ir::size_of(dtype_);
    numbers_.resize(count);
    // The product of two floats is exact in double, so that a machine that multiplies and adds in one step rounds
    // alike.
    for (float& number : numbers_) number = static_cast<float>(centre_ + static_cast<double>(scale_) * normal_());
    convert_elements(ir::DType::f32, reinterpret_cast<const std::byte*>(numbers_.data()), dtype_, piece.data(), count);
  }

 private:
  Normal normal_;
  ir::DType dtype_;
  double centre_ = 0;
  float scale_ = 0;
  std::vector<float> numbers_;
};

RandomWeights::RandomWeights(uint64_t seed, const TensorPlan& tensor)
    : stream_(std::make_unique<Stream>(seed, tensor)) {}
RandomWeights::~RandomWeights() = default;
RandomWeights::RandomWeights(RandomWeights&&) noexcept = default;

void RandomWeights::fill(std::span<std::byte> piece) {
  stream_->fill(piece);
}

}  // namespace onnxport
