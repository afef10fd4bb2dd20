// SPDX-License-Identifier: Apache-2.0
#include "host/plan/package.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <set>

#include "core/error.hpp"
#include "core/installation.hpp"
#include "host/plan/choices.hpp"
#include "registry/yaml.hpp"
#include "registry/yaml_json.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
using yaml::Map;
using yaml::Node;

constexpr const char* row_file = "package.yaml";

constexpr Choice<PackageFile::Form> forms[] = {{"json", PackageFile::Form::json},
                                               {"text", PackageFile::Form::text},
                                               {"patch", PackageFile::Form::patch},
                                               {"files", PackageFile::Form::files}};
constexpr Choice<Graphs> graphs_choices[] = {
    {"whole", Graphs::whole}, {"by_part", Graphs::by_part}, {"merged", Graphs::merged}};

/// What the word stands for; another word is an error.
template <class Value, size_t n>
Value choice_in(const Choice<Value> (&table)[n], const Node& node, const fs::path& file, const char* what) {
  const std::string& word = yaml::string(node, file, what);
  for (const Choice<Value>& choice : table) {
    if (choice.name == word) return choice.value;
  }
  yaml::fail(file, node.line,
             fmt::format("{} is '{}'; expected one of {}", what, word, fmt::join(names_of(table), ", ")));
}

bool truth(const Node& node, const fs::path& file, const char* what) {
  constexpr Choice<bool> words[] = {{"true", true}, {"false", false}};
  return choice_in(words, node, file, what);
}

/// A map of texts; its values may be empty.
std::map<std::string, std::string> texts(const Node* node, const fs::path& file, const char* what) {
  std::map<std::string, std::string> read;
  if (node == nullptr) return read;
  if (node->kind != Node::Kind::map) yaml::fail(file, node->line, fmt::format("{} is no map", what));
  for (size_t i = 0; i + 1 < node->items.size(); i += 2)
    read.emplace(yaml::string(node->items[i], file, what), node->items[i + 1].text);
  return read;
}

/// A path below the folder: of words that are no "..", so that a row names nothing outside of it.
fs::path path_below(const Node& node, const fs::path& file, const char* what) {
  const fs::path path = yaml::string(node, file, what);
  if (!stays_below(path)) {
    yaml::fail(file, node.line,
               fmt::format("{} is '{}'; expected a path that stays within the folder", what, path.string()));
  }
  return path;
}

std::vector<PackageFile> files_in(const Node* node, const fs::path& file, const std::string& package,
                                  const Json& data) {
  std::vector<PackageFile> files;
  if (node == nullptr) return files;
  if (node->kind != Node::Kind::sequence) yaml::fail(file, node->line, "files is no list");
  for (const Node& item : node->items) {
    Map row(item, file, "an entry of files");
    PackageFile& made = files.emplace_back();
    made.name = path_below(row.required("name"), file, "name").generic_string();
    made.made_by = file.parent_path() / path_below(row.required("template"), file, "template");
    if (const Node* form = row.optional("form")) made.form = choice_in(forms, *form, file, "form");
    row.finish();
    made.package = package;
    made.data = data;
    if (!fs::is_regular_file(made.made_by))
      yaml::fail(file, item.line, fmt::format("there is no template {}", made.made_by.string()));
  }
  return files;
}

uint64_t bytes_in(const Node* node, const fs::path& file) {
  if (node == nullptr) return 0;
  const std::string& digits = yaml::string(*node, file, "data_piece");
  if (digits == "unlimited") return std::numeric_limits<uint64_t>::max();
  if (digits.size() < 15 && std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return std::stoull(digits);
  yaml::fail(file, node->line, fmt::format("data_piece is '{}'; expected a number of bytes, or unlimited", digits));
}

/// The files of other packages, each with its own tables, where the model is one that they take.
void include(const Node* node, const fs::path& file, Package& package) {
  if (node == nullptr) return;
  for (const std::string& name : yaml::strings(*node, file, "includes")) {
    Package other = read_package(file.parent_path().parent_path() / name);
    for (PackageFile& made : other.files) {
      made.may_be_left_out = true;
      package.files.push_back(std::move(made));
    }
    package.included_choices.emplace(name, std::move(other.choices));
  }
}

/// Beside the plugins: of the command, and of libonnxport in whatever program uses it.
fs::path installed_packages() {
  return installed_files() / "packages";
}

}  // namespace

std::optional<std::string> suffix_for(const Package& package, const std::string& dtype) {
  if (package.suffixes.empty()) return std::string();
  const auto found = package.suffixes.find(dtype);
  return found == package.suffixes.end() ? std::nullopt : std::optional(found->second);
}

bool stays_below(const fs::path& path) {
  return path.is_relative() &&
         std::none_of(path.begin(), path.end(), [](const fs::path& step) { return step == ".." || step.empty(); });
}

fs::path installed_template(const std::string& name) {
  return installed_packages() / name;
}

std::vector<fs::path> package_places() {
  std::vector<fs::path> places;
  const char *data = std::getenv("XDG_DATA_HOME"), *home = std::getenv("HOME");
  if (data != nullptr && fs::path(data).is_absolute())
    places.push_back(fs::path(data) / "onnxport/packages");
  else if (home != nullptr && fs::path(home).is_absolute())
    places.push_back(fs::path(home) / ".local/share/onnxport/packages");
  places.push_back(installed_packages());
  return places;
}

std::vector<std::string> package_names() {
  std::set<std::string> names;
  for (const fs::path& place : package_places()) {
    std::error_code absent;
    for (const fs::directory_entry& entry : fs::directory_iterator(place, absent)) {
      if (fs::exists(entry.path() / row_file, absent)) names.insert(entry.path().filename());
    }
  }
  return {names.begin(), names.end()};
}

Package read_package(const fs::path& folder) {
  const fs::path file = folder / row_file;
  const Node root = yaml::parse(yaml::read_text(file), file);
  Map row(root, file, "a package");
  if (const Node& format = row.required("package"); format.text != "1")
    yaml::fail(file, format.line, fmt::format("package is '{}'; this program reads format 1", format.text));
  Package package;
  Layout& layout = package.layout;
  layout.name = folder.filename();
  layout.any_model = true;
  layout.summary = yaml::string(row.required("summary"), file, "summary");
  layout.graphs = choice_in(graphs_choices, row.required("graphs"), file, "graphs");
  const auto name = [&](const char* key, const char* otherwise) {
    const Node* given = row.optional(key);
    return given == nullptr ? otherwise : path_below(*given, file, key).generic_string();
  };
  layout.whole_file = name("whole_file", "model.onnx");
  layout.part_file = name("part_file", "{}_model.onnx");
  layout.merged_file = name("merged_file", "{}_model_merged.onnx");
  layout.named_file = name("named_file", "{}.onnx");
  if (const Node* towers = row.optional("towers")) layout.towers = yaml::strings(*towers, file, "towers");
  layout.axes = texts(row.optional("axes"), file, "axes");
  layout.outputs = texts(row.optional("outputs"), file, "outputs");
  if (const Node* open = row.optional("open_axes")) layout.keeps_open_axes = truth(*open, file, "open_axes");
  layout.data_piece = bytes_in(row.optional("data_piece"), file);
  if (const Node* shared = row.optional("shared_data"))
    layout.shared_data_file = path_below(*shared, file, "shared_data").generic_string();
  if (const Node* past = row.optional("with_past")) package.with_past = truth(*past, file, "with_past");
  if (const Node* wants = row.optional("tokenizer_json"))
    package.wants_tokenizer = truth(*wants, file, "tokenizer_json");
  package.choices = texts(row.optional("choices"), file, "choices");
  package.refused = texts(row.optional("refused"), file, "refused");
  package.suffixes = texts(row.optional("suffixes"), file, "suffixes");
  const Node* data = row.optional("data");
  package.files = files_in(
      row.optional("files"), file, layout.name,
      data == nullptr ? Json::object() : yaml::json_of(*data, [](const Node& scalar) -> Json { return scalar.text; }));
  include(row.optional("includes"), file, package);
  row.finish();
  return package;
}

std::shared_ptr<const Package> find_package(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    const fs::path folder = fs::absolute(name).lexically_normal();
    return std::make_shared<const Package>(read_package(folder.has_filename() ? folder : folder.parent_path()));
  }
  for (const fs::path& place : package_places()) {
    std::error_code absent;
    if (fs::exists(place / name / row_file, absent)) return std::make_shared<const Package>(read_package(place / name));
  }
  std::vector<std::string> known;
  for (const Layout& layout : layouts()) known.push_back(layout.name);
  for (std::string& package : package_names()) known.push_back(std::move(package));
  throw Error(Failure::usage, fmt::format("there is no layout or package '{}'", name),
              fmt::format("choose one of {}, or give the path of a package's folder", fmt::join(known, ", ")));
}

}  // namespace onnxport
