// SPDX-License-Identifier: Apache-2.0
#include "host/package/package_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>

#include "core/error.hpp"
#include "core/files/output_error.hpp"
#include "host/package/jsonnet.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// The template, and what the plugin adds to it.
std::vector<fs::path> templates_of(const PackageFile& file, const std::vector<fs::path>& plugin_folders) {
  std::vector<fs::path> templates{file.made_by};
  for (const fs::path& folder : plugin_folders) {
    const fs::path added = folder / "packages" / file.package / file.made_by.filename();
    std::error_code absent;
    if (fs::is_regular_file(added, absent)) templates.push_back(added);
  }
  return templates;
}

std::string text_of(const PackageFile& file, const Json& made, const fs::path& there) {
  constexpr int indent = 2;
  switch (file.form) {
    case PackageFile::Form::text:
      if (const auto text = made.find("text"); text != made.end() && text->is_string()) return text->get<std::string>();
      throw Error(Failure::plugin,
                  fmt::format("the template {} made no field 'text', which is the file", file.made_by.string()),
                  "add it, or write form: json into the package's row");
    case PackageFile::Form::patch: {
      Json patched = fs::exists(there) ? read_json(there) : Json::object();
      patched.merge_patch(made);
      return patched.dump(indent) + "\n";
    }
    case PackageFile::Form::json:
    case PackageFile::Form::files:
      break;
  }
  return made.dump(indent) + "\n";
}

void write(const fs::path& path, const std::string& text) {
  std::error_code reason;
  fs::create_directories(path.parent_path(), reason);
  if (reason) throw output_error("cannot create the folder", path.parent_path(), reason.value());
  errno = 0;
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) throw output_error("cannot write", path, errno == 0 ? EIO : errno);
}

/// What the template made, by the names of the files.
std::map<fs::path, std::string> texts_of(const PackageFile& file, const Json& made, const fs::path& staging) {
  if (file.form != PackageFile::Form::files) return {{file.name, text_of(file, made, staging / file.name)}};
  std::map<fs::path, std::string> texts;
  for (const auto& [name, text] : made.items()) {
    if (!text.is_string() || !stays_below(name)) {
      throw Error(Failure::plugin,
                  fmt::format("the template {} makes a file '{}' of {}", file.made_by.string(), name, text.type_name()),
                  "make each field a text, by a name within the folder");
    }
    texts.emplace(name, text.get<std::string>());
  }
  return texts;
}

}  // namespace

PackageFiles write_package_files(const PackageToWrite& package) {
  PackageFiles done;
  const auto waits = [&](const PackageFile& file) {
    return std::any_of(done.of_own_graphs.begin(), done.of_own_graphs.end(),
                       [&](const PackageFile& other) { return other.package == file.package; });
  };
  for (const PackageFile& file : package.files) {
    if (waits(file)) {
      done.of_own_graphs.push_back(file);
      continue;
    }
    Json told = package.exported;
    told["data"] = file.data;
    const Json made = evaluate_templates(templates_of(file, package.plugin_folders), told);
    if (made.is_null()) continue;  // the model needs none
    if (const auto refused = made.find("refused"); refused != made.end()) {
      if (package.has_own_graphs && file.may_be_left_out && made.value("own_graphs", false)) {
        done.of_own_graphs.push_back(file);
        continue;
      }
      const std::string reason = refused->is_string() ? refused->get<std::string>() : refused->dump();
      if (!file.may_be_left_out) {
        throw Error(Failure::usage, fmt::format("--layout {}: {}", file.package, reason),
                    "choose another --layout, or another --feature");
      }
      done.left_out.push_back(fmt::format("{} is left out: {}", file.name, reason));
      continue;
    }
    for (const auto& [name, text] : texts_of(file, made, package.staging)) {
      write(package.staging / name, text);
      done.written.push_back(name);
    }
  }
  return done;
}

}  // namespace onnxport
