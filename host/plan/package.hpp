// SPDX-License-Identifier: Apache-2.0
// Packages: folders that a program loads as they are. A package is data: a row that says which graphs it has, where
// they lie and what their axes are called, and templates that make further files of what was exported.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/package/layout.hpp"

namespace onnxport {

/// A file that a template makes.
struct PackageFile {
  /// How the template's result becomes the file.
  enum class Form {
    json,   ///< it is the file
    text,   ///< its field `text` is the file
    patch,  ///< it is merged into the file of that name that the checkpoint has (RFC 7396)
    files,  ///< each of its fields is a file of that name, and a text
  };
  std::string name;  ///< below the output's folder
  Form form = Form::json;
  std::filesystem::path made_by;  ///< the template, a jsonnet function of what was exported
  std::string package;            ///< whose it is: plugins add to it under that name
  Json data;                      ///< the package's tables, for the template
  /// Where the template refuses the model: whether the file is left out and the user told so, or the export ends.
  bool may_be_left_out = false;
};

/// One row, as package.yaml states it.
struct Package {
  Layout layout;
  /// Whether a feature that config.json names is exported with its cache, where the model has one.
  bool with_past = false;
  /// What is chosen for the model where it has the choice and the user made none: {"position_ids", "input"}.
  std::map<std::string, std::string> choices;
  /// Options that it cannot honour, alone or with a value ("weights=link"), and why.
  std::map<std::string, std::string> refused;
  /// What stands before ".onnx" in the names of graphs of a type, by the word for it ("fp16"); a type that is not
  /// listed is refused. Empty: nothing, whatever the type.
  std::map<std::string, std::string> suffixes;
  std::vector<PackageFile> files;
  /// The choices of the packages whose files it has too, by their names.
  std::map<std::string, std::map<std::string, std::string>> included_choices{};
  /// Whether tokenizer.json is made of a vocabulary where a checkpoint has nothing else (host/package/tokenizer_file).
  bool wants_tokenizer = false;
};

/// What stands before ".onnx" in the names of graphs of this type; nullopt where the package has no such graphs.
std::optional<std::string> suffix_for(const Package& package, const std::string& dtype);

/// Whether a path names something within a folder, whatever folder that is.
bool stays_below(const std::filesystem::path& path);
/// A template of the installation that belongs to no package.
std::filesystem::path installed_template(const std::string& name);

/// Folders of packages: the user's own, which come first, and the installation's.
std::vector<std::filesystem::path> package_places();
/// The names of all packages there, sorted.
std::vector<std::string> package_names();

/// Reads a package by its name, or by the path of its folder where that has a slash. Throws Error(usage), which lists
/// layouts and packages, where there is none, and Error(plugin) with file and line for a row that is wrong.
std::shared_ptr<const Package> find_package(const std::string& name);
/// The same from its folder.
Package read_package(const std::filesystem::path& folder);

}  // namespace onnxport
