// SPDX-License-Identifier: Apache-2.0
// The feature sentence-embedding: what sentence-transformers puts behind a model, put into its graph.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/definition/sentence_module.hpp"
#include "core/description/description.hpp"
#include "core/ir/graph.hpp"

namespace onnxport {

/// It works for every model whose plugin has `default_feature` with a mask i64[batch, sequence] and
/// last_hidden_state: f32[batch, sequence, n]; of SPLADE, masked-lm with logits.
inline constexpr std::string_view sentence_embedding_feature = "sentence-embedding";
inline constexpr std::string_view default_feature = "default";
/// The input of a model whose pooling leaves prompts out (include_prompt is false): i64[n], whose first entry is the
/// number of a prompt's tokens, 0 without a prompt.
inline constexpr const char* prompt_length_input = "prompt_length";

/// The modules behind the transformer in a checkpoint's modules.json: Pooling, SpladePooling, Dense, LayerNorm,
/// Normalize, Dropout, and those of ColBERT. Source: sentence-transformers 6.2, PyLate 1.
class SentenceModules {
 public:
  /// Reads modules.json of the folder (or, where the transformer has a folder of its own, of the one above) and what
  /// it names. Throws Error(usage) where there is none; Error(checkpoint) for a module or an option that is not
  /// known, by its name, and for weights that do not fit.
  static SentenceModules read(const std::filesystem::path& folder);

  /// What the plugin is asked for: "default", or "masked-lm".
  const std::string& base_feature() const { return feature_; }
  /// What clients put before a text, by the name of the task.
  const std::map<std::string, std::string>& prompts() const { return prompts_; }

  /// Replaces the base feature's output by what the modules make: token_embeddings: f32[batch, sequence, n], and, where
  /// something pools, sentence_embedding: f32[batch, m]. `description` says which input is the mask. Throws
  /// Error(checkpoint) where the widths of model and modules differ.
  void append(ir::Graph& graph, const Description& description) const;
  /// The same in a description, and the input prompt_length where it is asked for. Throws Error(usage) for a model
  /// whose output has not a row for each place of its mask.
  void declare(Description& description) const;

 private:
  bool exclude_prompt() const;

  std::string feature_, output_;
  std::vector<std::string> outputs_;
  std::vector<sentence::Module> modules_;
  std::map<std::string, std::string> prompts_;
};

}  // namespace onnxport
