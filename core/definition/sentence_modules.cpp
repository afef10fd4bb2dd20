// SPDX-License-Identifier: Apache-2.0
#include "core/definition/sentence_modules.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// modules.json: the folder in which it lies, and its entries.
struct ModulesFile {
  struct Entry {
    std::string type, path;
  };
  fs::path root;
  std::vector<Entry> entries;

  std::string name() const { return (root / "modules.json").string(); }
};

ModulesFile read_modules(const fs::path& root) {
  ModulesFile file{root, {}};
  const Json json = read_json(root / "modules.json");
  const auto broken = [&](const std::string& what) {
    return Error(Failure::checkpoint, file.name() + what, "download the file again");
  };
  if (!json.is_array() || json.empty()) throw broken(" is no list of modules");
  for (const Json& module : json) {
    ModulesFile::Entry& entry = file.entries.emplace_back();
    for (const auto& [field, to] : {std::pair{"type", &entry.type}, std::pair{"path", &entry.path}}) {
      if (!module.is_object() || !module.contains(field) || !module[field].is_string())
        throw broken(fmt::format(" has a module without '{}'", field));
      *to = module[field].get<std::string>();
    }
    const fs::path inside = fs::path(entry.path).lexically_normal();
    if (inside.is_absolute() || inside.native().starts_with(".."))
      throw Error(Failure::checkpoint, fmt::format("{} points to '{}', outside its folder", file.name(), entry.path),
                  "do not use this checkpoint");
  }
  return file;
}

bool is_of_type(const ModulesFile::Entry& entry, std::string_view name) {
  return entry.type.starts_with("sentence_transformers.") && entry.type.ends_with(fmt::format(".{}", name));
}

/// The file lies in the transformer's own folder, or above it and names that folder.
ModulesFile find_modules(const fs::path& folder) {
  std::error_code ignored;
  fs::path model = fs::absolute(folder.empty() ? "." : folder, ignored).lexically_normal();
  if (!model.has_filename()) model = model.parent_path();
  for (const fs::path& root : {model, model.parent_path()}) {
    if (!fs::exists(root / "modules.json", ignored)) continue;
    ModulesFile file = read_modules(root);
    const std::string& first = file.entries[0].path;
    const fs::path transformer = first.empty() ? root : (root / first).lexically_normal();
    if (transformer == model) return file;
    if (root == model && !is_of_type(file.entries[0], "Transformer")) return file;  // read() tells what it is
    if (root == model) {
      throw Error(Failure::checkpoint, fmt::format("{} keeps its transformer in '{}'", file.name(), first),
                  fmt::format("pass -m {}", transformer.string()));
    }
  }
  throw Error(Failure::usage,
              fmt::format("the feature {} needs a checkpoint of sentence-transformers, and {} has no modules.json",
                          sentence_embedding_feature, folder.string()),
              "choose another feature, or add modules.json and the folders that it names");
}

sentence::Module read_module(const ModulesFile& file, const ModulesFile::Entry& entry) {
  const sentence::ModuleType* type = sentence::find_module_type(entry.type.substr(entry.type.rfind('.') + 1));
  if (type == nullptr || !is_of_type(entry, type->name)) {
    throw Error(Failure::checkpoint,
                fmt::format("{} has a module of the type '{}'; known behind the transformer are {}", file.name(),
                            entry.type, sentence::known_module_types()),
                "export --feature default, and do the model's further steps outside of the graph");
  }
  sentence::ModuleFolder folder{file.root, entry.path, Json::object()};
  if (type->configured) folder.config = read_json(file.root / entry.path / "config.json");
  if (!folder.config.is_object()) folder.refuse("expected an object");
  return type->read(folder);
}

ir::ValueId find_value(const std::vector<ir::NamedValue>& values, std::string_view name) {
  for (const ir::NamedValue& value : values) {
    if (value.name == name) return value.value;
  }
  return ir::absent;
}

const InputSpec* mask_in(const Description& description) {
  for (const InputSpec& input : description.inputs) {
    if (input.role == ONNXPORT_ROLE_MASK) return &input;
  }
  return nullptr;
}

}  // namespace

SentenceModules SentenceModules::read(const fs::path& folder) {
  const ModulesFile file = find_modules(folder);
  if (!is_of_type(file.entries[0], "Transformer")) {
    throw Error(Failure::checkpoint,
                fmt::format("{} begins with a module of the type '{}', expected a Transformer", file.name(),
                            file.entries[0].type),
                "choose another feature: sentence-embedding starts from a transformer");
  }
  if (file.entries.size() < 2 || !is_of_type(file.entries[1], "Pooling")) {
    throw Error(Failure::checkpoint, file.name() + " has no Pooling behind the transformer",
                "choose another feature: nothing here makes one vector of a text's tokens");
  }
  SentenceModules result;
  for (size_t i = 1; i < file.entries.size(); ++i) result.modules_.push_back(read_module(file, file.entries[i]));
  return result;
}

void SentenceModules::append(ir::Graph& graph, const Description& description) const {
  const InputSpec* mask = mask_in(description);
  sentence::State at{find_value(graph.outputs, "last_hidden_state"),
                     mask == nullptr ? ir::absent : find_value(graph.inputs, mask->name), ir::absent};
  for (const sentence::Module& module : modules_) at.sentence = module(graph, at);
  std::erase_if(graph.outputs, [](const ir::NamedValue& output) { return output.name == "last_hidden_state"; });
  graph.outputs.insert(graph.outputs.begin(), {{"token_embeddings", at.tokens}, {"sentence_embedding", at.sentence}});
}

void SentenceModules::declare(Description& description) const {
  const InputSpec* mask = mask_in(description);
  const auto hidden = std::find_if(description.outputs.begin(), description.outputs.end(),
                                   [](const OutputSpec& output) { return output.name == "last_hidden_state"; });
  const bool fits = mask != nullptr && hidden != description.outputs.end() && mask->type.shape.size() == 2 &&
                    hidden->axes.size() >= 2 && hidden->axes[0] == mask->type.shape[0] &&
                    hidden->axes[1] == mask->type.shape[1];
  if (!fits) {
    throw Error(Failure::usage,
                fmt::format("the feature {} needs a model whose last_hidden_state has a row for each place of a mask",
                            sentence_embedding_feature),
                "choose another feature");
  }
  hidden->name = "token_embeddings";
  const OutputSpec sentence{"sentence_embedding", {hidden->axes[0]}};
  description.outputs.insert(hidden + 1, sentence);
}

}  // namespace onnxport
