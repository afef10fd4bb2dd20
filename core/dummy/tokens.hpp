// SPDX-License-Identifier: Apache-2.0
// The tokens that dummy texts are made of.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/dummy/preprocessor.hpp"

namespace onnxport::dummy {

/// What texts need of a tokenizer, with ids that lie outside the vocabulary left out.
struct Tokens {
  std::vector<int64_t> before, between, after;
  std::vector<int64_t> special;
  int64_t unk = 0, pad = 0;
  bool pads_left = false;

  bool is_special(int64_t id) const;
  /// How many special tokens a row has; those of a pair.
  int64_t around() const { return static_cast<int64_t>(before.size() + after.size()); }
  int64_t around_pair() const { return around() + static_cast<int64_t>(between.size()); }
};

/// Those of the tokenizer or, where `preprocessor` is null or tells none, of config.json. `limit` is the vocabulary's
/// size, 0 where it is not known.
Tokens tokens_for(const Preprocessor* preprocessor, const Json& config, int64_t limit);

/// A field of config.json that holds a number, or a list that begins with one.
std::optional<int64_t> config_number(const Json& config, const char* key);

}  // namespace onnxport::dummy
