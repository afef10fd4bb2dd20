// SPDX-License-Identifier: Apache-2.0
// The feature sentence-embedding: what sentence-transformers puts behind a model, put into its graph.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "core/definition/sentence_module.hpp"
#include "core/description/description.hpp"
#include "core/ir/graph.hpp"

namespace onnxport {

/// It works for every model whose plugin has `default_feature` with a mask i64[batch, sequence] and
/// last_hidden_state: f32[batch, sequence, n].
inline constexpr std::string_view sentence_embedding_feature = "sentence-embedding";
inline constexpr std::string_view default_feature = "default";

/// The modules behind the transformer in a checkpoint's modules.json: Pooling, Dense, LayerNorm, Normalize, Dropout.
/// Source: sentence_transformers.models, 5.1.
class SentenceModules {
 public:
  /// Reads modules.json of the folder (or, where the transformer has a folder of its own, of the one above) and what
  /// it names. Throws Error(usage) where there is none; Error(checkpoint) for a module or an option that is not
  /// known, by its name, and for weights that do not fit.
  static SentenceModules read(const std::filesystem::path& folder);

  /// Replaces the output last_hidden_state by token_embeddings: f32[batch, sequence, n] and sentence_embedding:
  /// f32[batch, m]. `description` says which input is the mask. Throws Error(checkpoint) where the widths of model and
  /// modules differ.
  void append(ir::Graph& graph, const Description& description) const;
  /// The same in a description. Throws Error(usage) for a model whose last_hidden_state has not a row for each place of
  /// its mask.
  void declare(Description& description) const;

 private:
  std::vector<sentence::Module> modules_;
};

}  // namespace onnxport
