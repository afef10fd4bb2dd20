// SPDX-License-Identifier: Apache-2.0
#include "core/definition/sentence_modules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

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

/// Classes of sentence-transformers, and of PyLate, whose checkpoints have the same form.
bool is_of_type(const ModulesFile::Entry& entry, std::string_view name) {
  const bool known = entry.type.starts_with("sentence_transformers.") || entry.type.starts_with("pylate.models.");
  return known && entry.type.ends_with(fmt::format(".{}", name));
}

bool is_transformer(const ModulesFile::Entry& entry) {
  return is_of_type(entry, "Transformer") || is_of_type(entry, "MLMTransformer");
}

/// A file that may be missing, which is an empty one.
Json read_if_there(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return Json::object();
  const Json json = read_json(path);
  if (json.is_object()) return json;
  throw Error(Failure::checkpoint, path.string() + ": expected an object", "download the file again");
}

/// The file that sentence-transformers keeps beside the transformer's config.json.
struct TransformerFile {
  fs::path path;
  Json config;
};

TransformerFile transformer_file(const ModulesFile& file) {
  const fs::path path = file.root / file.entries[0].path / "sentence_bert_config.json";
  return {path, read_if_there(path)};
}

/// What the transformer is loaded for.
std::string task_of(const ModulesFile& file, const Json& config) {
  const char* usual = is_of_type(file.entries[0], "MLMTransformer") ? "fill-mask" : "feature-extraction";
  const auto task = config.find("transformer_task");
  return task != config.end() && task->is_string() ? task->get<std::string>() : usual;
}

/// A transformer may hand on another of its results than its tokens, of text or of images, and by another name.
void require_tokens(const TransformerFile& file, const char* output) {
  const Json& config = file.config;
  const auto refuse = [&](const char* field, const Json& found, const char* expected) {
    throw Error(Failure::checkpoint,
                fmt::format("{}: '{}' is {}, expected '{}'", file.path.string(), field, found.dump(), expected),
                "export --feature default, and do the model's further steps outside of the graph");
  };
  const Json name = config.value("module_output_name", Json());
  if (!name.is_null() && name != sentence::tokens_name) refuse("module_output_name", name, sentence::tokens_name);
  const Json modalities = config.value("modality_config", Json::object());
  const Json text = modalities.is_object() ? modalities.value("text", Json::object()) : Json::object();
  const Json result = text.is_object() ? text.value("method_output_name", Json()) : Json();
  if (!result.is_null() && result != output) refuse("modality_config.text.method_output_name", result, output);
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
    if (root == model && !is_transformer(file.entries[0])) return file;  // read() tells what it is
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

sentence::Module read_module(const ModulesFile& file, const ModulesFile::Entry& entry, const char* subject) {
  const sentence::ModuleType* type = sentence::find_module_type(entry.type.substr(entry.type.rfind('.') + 1));
  if (type == nullptr || !is_of_type(entry, type->name)) {
    throw Error(Failure::checkpoint,
                fmt::format("{} has a module of the type '{}'; known behind the transformer are {}", file.name(),
                            entry.type, sentence::known_module_types()),
                "export --feature default, and do the model's further steps outside of the graph");
  }
  sentence::ModuleFolder folder{file.root, entry.path, Json::object(), subject};
  const fs::path config = file.root / entry.path / "config.json";
  // Those without a folder of their own say the model's.
  if (type->configured)
    folder.config = read_json(config);
  else if (!entry.path.empty())
    folder.config = read_if_there(config);
  if (!folder.config.is_object()) folder.refuse("expected an object");
  return type->read(folder);
}

/// What the transformer yields, by the task that it is loaded for.
struct Base {
  const char *task, *feature, *output;
  bool kept;  // whether its tokens are worth an output
};
constexpr Base bases[] = {
    {"feature-extraction", "default", "last_hidden_state", true},
    {"fill-mask", "masked-lm", "logits", false},
};

const Base& base_of(const ModulesFile& file, const Json& config) {
  const std::string task = task_of(file, config);
  for (const Base& base : bases) {
    if (task == base.task) return base;
  }
  throw Error(
      Failure::usage,
      fmt::format("{} loads its transformer for '{}', and the feature {} knows feature-extraction and fill-mask",
                  file.name(), task, sentence_embedding_feature),
      fmt::format("choose --feature {}", task));
}

/// What is put before a text, by the name of the task: of config_sentence_transformers.json.
std::map<std::string, std::string> prompts_in(const Json& settings) {
  std::map<std::string, std::string> prompts;
  const auto given = settings.find("prompts");
  if (given == settings.end() || !given->is_object()) return prompts;
  for (const auto& [name, prompt] : given->items()) {
    if (prompt.is_string() && !prompt.get_ref<const std::string&>().empty()) prompts[name] = prompt.get<std::string>();
  }
  return prompts;
}

/// How many numbers of a sentence are kept, where config_sentence_transformers.json says so. SparseEncoder and
/// MultiVectorEncoder do not read the field. Source: SentenceTransformer, sentence-transformers 6.2.
std::optional<int64_t> truncation_in(const Json& settings, const fs::path& file) {
  if (settings.value("model_type", Json("SentenceTransformer")) != "SentenceTransformer") return std::nullopt;
  const auto given = settings.find(sentence::truncation_field);
  if (given == settings.end() || given->is_null()) return std::nullopt;
  if (given->is_number_integer() && given->get<int64_t>() > 0) return given->get<int64_t>();
  throw Error(Failure::checkpoint,
              fmt::format("{}: the field '{}' is {}, expected a whole number above 0, or null", file.string(),
                          sentence::truncation_field, given->dump()),
              "write how many numbers of an embedding are to be kept, or take the field out");
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
  if (!is_transformer(file.entries[0])) {
    throw Error(Failure::checkpoint,
                fmt::format("{} begins with a module of the type '{}', expected a Transformer", file.name(),
                            file.entries[0].type),
                "choose another feature: sentence-embedding starts from a transformer");
  }
  if (file.entries.size() < 2) {
    throw Error(Failure::checkpoint, file.name() + " has no Pooling behind the transformer",
                "choose another feature: nothing here makes one vector of a text's tokens");
  }
  const bool pools = std::any_of(file.entries.begin(), file.entries.end(), [](const ModulesFile::Entry& entry) {
    return is_of_type(entry, "Pooling") || is_of_type(entry, "SpladePooling");
  });
  const TransformerFile transformer = transformer_file(file);
  const Base& base = base_of(file, transformer.config);
  require_tokens(transformer, base.output);
  const fs::path settings_file = file.root / "config_sentence_transformers.json";
  const Json settings = read_if_there(settings_file);
  const std::optional<int64_t> kept = truncation_in(settings, settings_file);
  SentenceModules result;
  result.feature_ = base.feature;
  result.output_ = base.output;
  result.prompts_ = prompts_in(settings);
  const char* subject = pools ? sentence::sentence_name : sentence::tokens_name;
  for (size_t i = 1; i < file.entries.size(); ++i)
    result.modules_.push_back(read_module(file, file.entries[i], subject));
  // PyLate normalises without a module that would say so.
  if (settings.value("model_type", Json()) == "ColBERT")
    result.modules_.push_back(
        sentence::find_module_type("Normalize")->read({file.root, "normalize", Json::object(), subject}));

  std::set<std::string> made{sentence::tokens_name};
  for (size_t i = 0; i < result.modules_.size(); ++i) {
    const sentence::Module& module = result.modules_[i];
    if (!made.contains(module.reads)) {
      throw Error(Failure::checkpoint,
                  fmt::format("{}: the module '{}' reads '{}', which none before it makes", file.name(),
                              file.entries[i + 1].type, module.reads),
                  "choose another feature: nothing here makes one vector of a text's tokens");
    }
    made.insert(module.writes);
  }
  if (kept && made.contains(sentence::sentence_name)) result.modules_.push_back(sentence::truncation(*kept));
  if (base.kept || !made.contains(sentence::sentence_name)) result.outputs_.push_back(sentence::tokens_name);
  if (made.contains(sentence::sentence_name)) result.outputs_.push_back(sentence::sentence_name);
  return result;
}

bool SentenceModules::exclude_prompt() const {
  return std::any_of(modules_.begin(), modules_.end(), [](const sentence::Module& m) { return m.excludes_prompt; });
}

void SentenceModules::append(ir::Graph& graph, const Description& description) const {
  const InputSpec* mask = mask_in(description);
  sentence::Features features{mask == nullptr ? ir::absent : find_value(graph.inputs, mask->name),
                              find_value(graph.inputs, prompt_length_input),
                              {{sentence::tokens_name, find_value(graph.outputs, output_)}}};
  for (const sentence::Module& module : modules_) features.values[module.writes] = module.run(graph, features);
  std::erase_if(graph.outputs, [&](const ir::NamedValue& output) { return output.name == output_; });
  for (size_t i = 0; i < outputs_.size(); ++i) {
    graph.outputs.insert(graph.outputs.begin() + static_cast<std::ptrdiff_t>(i),
                         {outputs_[i], features.values.at(outputs_[i])});
  }
}

void SentenceModules::declare(Description& description) const {
  const InputSpec* mask = mask_in(description);
  const auto given = std::find_if(description.outputs.begin(), description.outputs.end(),
                                  [&](const OutputSpec& output) { return output.name == output_; });
  const bool fits = mask != nullptr && given != description.outputs.end() && mask->type.shape.size() == 2 &&
                    given->axes.size() >= 2 && given->axes[0] == mask->type.shape[0] &&
                    given->axes[1] == mask->type.shape[1];
  if (!fits) {
    throw Error(Failure::usage,
                fmt::format("the feature {} needs a model whose {} has a row for each place of a mask",
                            sentence_embedding_feature, output_),
                "choose another feature");
  }
  const std::vector<std::optional<ir::Dim>> places{given->axes[0], given->axes[1]};
  auto at = description.outputs.erase(given);
  for (const std::string& name : outputs_) {
    const bool tokens = name == sentence::tokens_name;
    at = description.outputs.insert(at, {name, tokens ? places : std::vector{places[0]}}) + 1;
  }
  if (!exclude_prompt()) return;
  InputSpec& length = description.inputs.emplace_back();
  length.name = prompt_length_input;
  length.type = {ir::DType::i64, {ir::Dim::symbol("prompts")}};
  length.limit = 3;
  description.axes["prompts"] = {.usual = 1, .minimum = 1, .maximum = 1};
}

}  // namespace onnxport
