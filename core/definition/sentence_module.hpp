// SPDX-License-Identifier: Apache-2.0
// One module of sentence-transformers: its folder, what it reads and writes, and what it adds to a graph.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "core/checkpoint/checkpoint.hpp"
#include "core/ir/graph.hpp"

namespace onnxport::sentence {

/// The names under which modules hand values on: f32[batch, sequence, n] and f32[batch, m].
inline constexpr const char* tokens_name = "token_embeddings";
inline constexpr const char* sentence_name = "sentence_embedding";
/// The field of config_sentence_transformers.json that says how many numbers of a sentence are kept.
inline constexpr const char* truncation_field = "truncate_dim";

/// What the modules before have left.
struct Features {
  ir::ValueId mask;                           ///< i64[batch, sequence]
  ir::ValueId prompt_length = ir::absent;     ///< i64[n], whose first entry counts; absent where no module asks for it
  std::map<std::string, ir::ValueId> values;  ///< by name
};

/// A module, read and checked.
struct Module {
  std::string reads, writes;                                    ///< names of values
  std::function<ir::ValueId(ir::Graph&, const Features&)> run;  ///< yields what is written
  bool excludes_prompt = false;                                 ///< asks for the length of the prompt
};

/// A module's folder and its config.json, which is empty for a module without one.
struct ModuleFolder {
  std::filesystem::path root;
  std::string path;  // below the root: "1_Pooling"
  Json config;
  /// What a module works on that does not say: the sentence, or in a model without a pooling (ColBERT) its tokens.
  const char* subject = sentence_name;

  /// Throws Error(checkpoint) naming the file.
  [[noreturn]] void refuse(const std::string& what) const;
  /// Throws Error(checkpoint) where what the module reads is not as wide as its field states.
  void require_width(const char* field, int64_t stated, const ir::Shape& given) const;
  /// Fields; one of another type is refused.
  bool flag(const std::string& field, bool fallback) const;
  std::string text(const std::string& field, const std::string& fallback) const;
  int64_t size(const std::string& field) const;
};

struct ModuleType {
  const char* name;  // of the class
  bool configured;   // its folder has a config.json; of others it is read where it is there
  Module (*read)(const ModuleFolder&);
};
/// By the class's name without its package, or null.
const ModuleType* find_module_type(std::string_view name);
/// "Pooling, Dense, …"
std::string known_module_types();

/// One vector of a text's tokens. Source: Pooling, sentence-transformers 6.2.
Module read_pooling(const ModuleFolder& folder);
/// A weight for each word of the vocabulary. Source: SpladePooling, sentence-transformers 6.2.
Module read_splade_pooling(const ModuleFolder& folder);
/// The first so many numbers of a sentence, which are not normalised again; all where it has no more of them.
Module truncation(int64_t width);

}  // namespace onnxport::sentence
