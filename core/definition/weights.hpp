// SPDX-License-Identifier: Apache-2.0
// From the names that a definition asks for to the checkpoint's tensors: the one place where names are adapted.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/definition/name_rules.hpp"
#include "core/error.hpp"

namespace onnxport {

/// Answers a definition's requests for weights and keeps the account of them.
class WeightSource {
 public:
  /// Of a checkpoint, which must outlive the source. Throws as adapt_tensors() does.
  explicit WeightSource(const Checkpoint& checkpoint, std::vector<NameRule> rules = {});
  /// Of nothing: every tensor exists as asked for. For synth and for exports without weights.
  WeightSource() = default;

  /// Weights of the base model are looked up with and without this prefix.
  void set_base_model_prefix(std::string prefix) { prefix_ = std::move(prefix); }

  /// The tensor under any of its spellings, as f32. A missing or mis-shaped one is noted, and a stand-in returned;
  /// where too many are missing for any model, throws as finish() does. Yields the tensor's name in the checkpoint (of
  /// a part of one, or of several joined, its own) and the weight.
  std::pair<std::string, Weight> get(const std::string& name, const std::vector<int64_t>& shape);
  bool has(const std::string& name) const;
  /// Whether the tensor was asked for under any of its spellings.
  bool was_asked_for(const std::string& name) const;
  /// Tensors that match (* stands for any text) are known not to be used.
  void mark_unused(std::string pattern) { unused_patterns_.push_back(std::move(pattern)); }

  /// What other graphs and features of the model ask for, made only where it is needed.
  using Others = std::function<WeightSource()>;
  /// Throws Error(checkpoint) listing missing, mis-shaped and unexpected tensors together. Unexpected are those inside
  /// modules that the definition uses and that none of the `others` knows; the rest is returned: tensors of other
  /// heads.
  std::vector<std::string> finish(bool allow_unused, const Others& others = {}) const;

  /// Counts the names that another was asked for, or told of, as asked of this one.
  void add_asked(const WeightSource& other);
  /// The same tensors for another definition, of which none was asked for.
  WeightSource anew() const;
  /// Whether any was asked for, and all of these are there as they were asked for.
  bool has_all_asked_for() const;
  /// Whether tensors that were asked for are missing, and nothing else is wrong with those that are there.
  bool lacks_only_tensors() const;
  /// A feature that a checkpoint has no head for, those that it has all of, and the classes that config.json names.
  struct OtherHead {
    std::string feature;
    std::vector<std::string> held, classes;
  };
  /// What is told where the missing ones are of such a head.
  Error lacks_a_head(const OtherHead& head) const;

  /// Every tensor asked for, with its shape, by name.
  const std::map<std::string, std::vector<int64_t>>& requested() const { return requested_; }

 private:
  std::vector<std::string> spellings(const std::string& name) const;
  const AdaptedTensor* find(const std::string& name, std::string* found) const;
  std::string shown(const std::string& name) const;
  std::string scale_of(const std::string& name) const;
  std::string prefix_of_missing() const;
  std::string next_step_of_stand_ins() const;
  std::string next_step(const std::string& prefix) const;
  std::string with_own_code(std::string hint) const;
  bool uses_any_under(std::string_view module) const;
  bool misses_parts_of_modules() const;
  bool is_known_unused(const std::string& name) const;
  std::set<std::string> asked_spellings() const;
  bool inside_used_module(const std::string& name) const;

  bool synthetic_ = true;
  std::map<std::string, AdaptedTensor> tensors_;  // under their adapted names
  std::vector<NameRule> rules_;
  std::string prefix_;
  std::vector<std::string> unused_patterns_;
  std::map<std::string, std::vector<int64_t>> requested_;
  std::set<std::string> used_;
  std::vector<std::string> missing_, misshapen_;
  std::string own_code_;    // the class of the model's own code that config.json names
  bool quantized_ = false;  // whether any of the misshapen has a scale beside it
};

}  // namespace onnxport
