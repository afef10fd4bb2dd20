// SPDX-License-Identifier: Apache-2.0
// A checkpoint whose tensors are called, cut or joined otherwise than a definition has them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/safetensors_writer.hpp"
#include "core/definition/name_pattern.hpp"

namespace onnxport {

/// One rule: names of the checkpoint, and what the definition calls them. With several of `to` a tensor is split into
/// as many; with several of `from` these are joined. Never several of both.
struct NameRule {
  std::vector<NamePattern> from, to;
  int64_t axis = 0;                 ///< along which it is split or joined; negative ones count from the end
  std::vector<int64_t> sizes = {};  ///< of the parts of a split; none: equal ones
  /// The axis is first cut into so many groups, each of which holds its share of every part: heads, one after the
  /// other.
  int64_t groups = 1;

  bool splits() const { return to.size() > 1; }
  bool joins() const { return from.size() > 1; }
};

/// A tensor under the definition's name.
struct AdaptedTensor {
  Weight weight;
  /// What the checkpoint has of it: one name, or those that are joined.
  std::vector<std::string> origins;
  /// Whether it is that one tensor as it is.
  bool is_whole = true;
};

/// The checkpoint's tensors by the definition's names. Of each tensor the first rule that fits counts, in the order of
/// the rules; one that none fits keeps its name. Throws Error(checkpoint) where two tensors get the same name, one
/// cannot be split as its rule says, or tensors that are to be joined are missing or do not fit together.
std::map<std::string, AdaptedTensor> adapt_tensors(const Checkpoint& checkpoint, const std::vector<NameRule>& rules);

/// What the checkpoint would call a tensor of the definition, by the first rule that yields it; none where no rule
/// does. `names` are the definition's spellings of it.
std::optional<std::string> name_in_checkpoint(const std::vector<std::string>& names,
                                              const std::vector<NameRule>& rules);

/// The tensors of a definition as the checkpoint would hold them: renamed, and what is split in one piece. What a rule
/// joins stays as it is, since nothing tells where it is to be cut. `prefix` is the base model's; may be empty.
std::vector<TensorPlan> as_in_checkpoint(const std::vector<TensorPlan>& tensors, const std::vector<NameRule>& rules,
                                         const std::string& prefix);

/// The name with the base model's prefix and without: first as it is.
std::vector<std::string> with_and_without_prefix(const std::string& name, const std::string& prefix);

}  // namespace onnxport
