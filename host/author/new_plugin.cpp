// SPDX-License-Identifier: Apache-2.0
#include "host/author/new_plugin.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>

#include "core/error.hpp"
#include "core/files/output_error.hpp"
#include "core/files/whole_file.hpp"
#include "host/author/project_files.hpp"
#include "host/author/sample.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream out(file, std::ios::binary);
  out << text;
  if (!out.flush()) throw output_error("cannot write", file, errno);
}

void replace_all(std::string& text, const std::string& what, const std::string& by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

/// "my-encoder" -> "MyEncoder"
std::string class_name(const std::string& name) {
  std::string result;
  bool begins = true;
  for (const char c : name) {
    if (c == '-' || c == '_') {
      begins = true;
      continue;
    }
    result += begins && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    begins = false;
  }
  return result;
}

/// The row's recording in the project, its config under the new type.
void copy_recording(const Json& row, const fs::path& from, const NewPlugin& plugin) {
  const std::string path = row.at("path");
  Json config = read_json(from / path / "config.json");
  config["model_type"] = plugin.model_type;
  const fs::path cases = plugin.folder / "cases";
  Json renamed = row;
  renamed["model_type"] = plugin.model_type;
  renamed["path"] = fmt::format("{}/{}", plugin.model_type, fs::path(path).filename().string());
  const fs::path to = cases / renamed["path"].get<std::string>();
  Json kept = Json::array();
  for (const Json& name : row.at("cases")) {
    const fs::path file = from / path / name.get<std::string>();
    std::error_code ignored;
    if (!fs::exists(file, ignored)) continue;
    write(to / file.filename(), read_whole(file));
    kept.push_back(name);
  }
  renamed["cases"] = kept;
  write(to / "config.json", config.dump(2) + "\n");
  write(cases / "index.json", fmt::format("[\n{}\n]\n", renamed.dump()));
}

/// A recording of the type whose weights need not be stored; null where there is none.
const Json* drawn_row(const Json& rows, const std::string& type) {
  for (const Json& row : rows) {
    const Json weights = row.value("weights", Json::object());
    const bool drawn = weights.contains("synth") && !weights.at("synth").contains("type");
    if (drawn && normal_type(row.at("model_type").get<std::string>()) == normal_type(type)) return &row;
  }
  return nullptr;
}

/// Where the value of a field ends that begins at `from`: at a comma or brace that is not within brackets; npos
/// nowhere.
size_t end_of_value(const std::string& text, size_t from) {
  const auto is_one_of = [](const std::string& marks, char c) { return marks.find(c) != std::string::npos; };
  int depth = 0;
  for (size_t i = from; i < text.size(); ++i) {
    if (is_one_of("<(", text[i])) ++depth;
    if (depth > 0 && is_one_of(">)", text[i])) --depth;
    if (depth == 0 && is_one_of("},", text[i])) return i;
  }
  return std::string::npos;
}

/// The `.make = …` of the entry that has the type, in the declaration at the end of a source.
std::string maker_in(const std::string& declaration, const std::string& type, const fs::path& file) {
  const size_t named = declaration.find(fmt::format("\"{}\"", type));
  const std::string key = ".make = ";
  const size_t made = named == std::string::npos ? named : declaration.find(key, named);
  if (made != std::string::npos) {
    const size_t end = end_of_value(declaration, made + key.size());
    if (end != std::string::npos) return declaration.substr(made + key.size(), end - made - key.size());
  }
  throw Error(Failure::usage, fmt::format("{} does not tell how the type '{}' is made", file.string(), type),
              "name another type of the family with --like");
}

std::string quoted(const std::vector<std::string>& words) {
  return words.empty() ? "" : fmt::format("\"{}\"", fmt::join(words, "\", \""));
}

/// The end of the new plugin's source: what it is.
std::string declaration_of(const NewPlugin& plugin, const SourceSample& sample, const std::string& maker) {
  const Manifest::Model& model = *sample.resolved.model;
  std::string architectures;
  for (const auto& [name, feature] : model.architectures)
    architectures += fmt::format("{}{{\"{}\", \"{}\"}}", architectures.empty() ? "" : ", ", name, feature);
  if (!architectures.empty()) architectures = fmt::format("                .architectures = {{{}}},\n", architectures);
  return fmt::format(like_declaration, fmt::arg("known", sample.resolved.model_type), fmt::arg("maker", maker),
                     fmt::arg("name", plugin.name), fmt::arg("type", plugin.model_type),
                     fmt::arg("features", quoted(model.features)), fmt::arg("architectures", architectures));
}

/// Copies the sources; the one that declares the plugin gets its name. Yields those that are compiled.
std::vector<std::string> copy_sources(const NewPlugin& plugin, const SourceSample& sample) {
  std::vector<std::string> compiled;
  bool declared = false;
  for (const fs::directory_entry& entry : fs::directory_iterator(sample.folder)) {
    const std::string extension = entry.path().extension();
    if (extension != ".cpp" && extension != ".hpp") continue;
    std::string text = read_whole(entry.path());
    std::string name = entry.path().filename();
    if (const size_t at = text.find("ONNXPORT_PLUGIN({"); at != std::string::npos) {
      const std::string maker = maker_in(text.substr(at), sample.resolved.model_type, entry.path());
      text = text.substr(0, at) + declaration_of(plugin, sample, maker);
      name = plugin.name + ".cpp";
      declared = true;
    }
    if (extension == ".cpp") compiled.push_back(name);
    write(plugin.folder / name, text);
  }
  if (!declared)
    throw Error(Failure::usage, fmt::format("{} holds no C++ source of a plugin", sample.folder.string()),
                "name another type with --like");
  std::sort(compiled.begin(), compiled.end());
  return compiled;
}

void write_project_files(const NewPlugin& plugin, const std::vector<std::string>& sources, bool has_cases) {
  const std::string listed = sources.size() == 1 ? "" : fmt::format(" SOURCES {}", fmt::join(sources, " "));
  write(plugin.folder / "CMakeLists.txt",
        fmt::format(project_cmake, fmt::arg("name", plugin.name), fmt::arg("sources", listed),
                    fmt::arg("cases", has_cases ? " CASES cases" : "")));
  write(plugin.folder / "check", check_script);
  fs::permissions(plugin.folder / "check", fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec,
                  fs::perm_options::add);
  write(plugin.folder / ".github/workflows/check.yml", workflow);
  write(plugin.folder / ".gitignore", "build/\n");
}

}  // namespace

void require_plugin_name(const std::string& name) {
  const bool spelled = name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == std::string::npos;
  if (!name.empty() && spelled && name[0] >= 'a' && name[0] <= 'z') return;
  throw Error(Failure::usage, fmt::format("'{}' cannot be a plugin's name", name),
              "use small letters, digits, '-' and '_', beginning with a letter: my-encoder");
}

void write_from_template(const NewPlugin& plugin) {
  const fs::path from = template_folder();
  const std::string own = class_name(plugin.name);
  std::string source = read_whole(from / "bag.cpp");
  replace_all(source, "com.example.bag", "com.example." + plugin.name);
  replace_all(source, "\"Bag of words\"", fmt::format("\"{}\"", plugin.name));
  replace_all(source, ".types = {\"bag\"}", fmt::format(".types = {{\"{}\"}}", plugin.model_type));
  replace_all(source, "Bag", own);
  write(plugin.folder / (plugin.name + ".cpp"), source);
  std::string original = read_whole(from / "original.py");
  replace_all(original, "bag.cpp", plugin.name + ".cpp");
  replace_all(original, "Bag", own);
  write(plugin.folder / "original.py", original);
  Json config = read_json(from / "config.json");
  config["model_type"] = plugin.model_type;
  config["architectures"] = {own + "ForSequenceClassification"};
  write(plugin.folder / "config.json", config.dump(2) + "\n");
  copy_recording(read_json(from / "cases/index.json").at(0), from / "cases", plugin);
  write_project_files(plugin, {plugin.name + ".cpp"}, true);
}

void write_from_sample(const NewPlugin& plugin, const SourceSample& sample, const fs::path& config) {
  const std::vector<std::string> sources = copy_sources(plugin, sample);
  const fs::path cases = sample.folder / "cases";
  const Json rows = read_json(cases / "index.json");
  const Json* row = drawn_row(rows, sample.resolved.model_type);
  if (row != nullptr) copy_recording(*row, cases, plugin);
  Json tried;
  if (!config.empty()) {
    tried = read_json(config);
  } else {
    const auto like = std::find_if(rows.begin(), rows.end(), [&](const Json& one) {
      return normal_type(one.at("model_type").get<std::string>()) == normal_type(sample.resolved.model_type);
    });
    if (like == rows.end())
      throw Error(Failure::usage, fmt::format("no config of the type '{}' is installed", sample.model_type),
                  "give one with --from CONFIG.json");
    tried = read_json(cases / like->at("path").get<std::string>() / "config.json");
  }
  tried["model_type"] = plugin.model_type;
  write(plugin.folder / "config.json", tried.dump(2) + "\n");
  write_project_files(plugin, sources, row != nullptr);
}

}  // namespace onnxport
