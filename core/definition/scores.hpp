// SPDX-License-Identifier: Apache-2.0
// The output `scores` of a classifier or reranker: its logits as probabilities, beside them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/checkpoint/checkpoint.hpp"
#include "core/description/description.hpp"
#include "core/ir/graph.hpp"

namespace onnxport {

/// The user's choice for an export, among ModelFolder::options, and the output that it adds.
inline constexpr const char* scores_option = "scores";
inline constexpr const char* scores_output = "scores";
/// Where a file says which choice it was made with.
inline constexpr const char* scores_metadata = "onnxport.scores";
/// What is read for it, by name, as every classifier puts it out: f[batch, labels].
inline constexpr const char* scored_output = "logits";

/// What makes scores of logits.
enum class Scoring {
  sigmoid,   ///< each label by itself
  softmax,   ///< over the labels, of which one holds
  tanh,      ///< each label by itself, from -1 to 1
  identity,  ///< they are the logits
};

/// A step behind a model, chosen by the user or by the checkpoint.
class Scores {
 public:
  /// `choice` is sigmoid, softmax or auto: what the checkpoint says of itself as a cross-encoder of
  /// sentence-transformers (activation_fn of config_sentence_transformers.json, or of `sentence_transformers` in
  /// config.json, or sbert_ce_default_activation_function), else what suits its labels. Throws Error(usage) for an
  /// activation that is none of these. Source: CrossEncoder.get_default_activation_fn, sentence-transformers 6.2, and
  /// TextClassificationPipeline, transformers 5.24.
  static Scores read(const std::string& choice, const Json& config, const std::filesystem::path& folder);

  /// Adds `scores` before `logits`, which clients find by its name, while others take the first output. Throws
  /// Error(usage) for a model without logits, or whose logits are not one row for each text, image or sound.
  void declare(Description& description, const std::string& feature) const;
  /// The same in the graph, whose logits must be f[batch, labels]; errors as of declare().
  void append(ir::Graph& graph, const std::string& feature) const;

 private:
  Scoring scoring_for(int64_t labels) const;

  std::optional<Scoring> scoring_;      // nullopt: by the number of labels
  Scoring several_ = Scoring::softmax;  // of more than one label, where that decides
};

}  // namespace onnxport
