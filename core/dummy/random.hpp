// SPDX-License-Identifier: Apache-2.0
// Numbers for dummy inputs.
#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace onnxport::dummy {

/// Numbers that are the same with every standard library: only the engine is fixed by the standard, its
/// distributions are not. Each input has a stream of its own, so that one more input does not change the others.
class Stream {
 public:
  Stream(uint64_t seed, const std::string& name) {
    uint64_t hash = 14695981039346656037u ^ seed;  // FNV-1a
    for (unsigned char c : name) hash = (hash ^ c) * 1099511628211u;
    engine_.seed(hash);
  }
  int64_t below(int64_t limit) { return static_cast<int64_t>(engine_() % static_cast<uint64_t>(limit)); }
  /// In [-1, 1), in steps that every floating type of 24 bits or more holds exactly.
  float value() { return static_cast<float>(static_cast<int64_t>(engine_() >> 41)) / 4194304.0f - 1.0f; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace onnxport::dummy
