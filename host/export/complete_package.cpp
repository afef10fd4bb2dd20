// SPDX-License-Identifier: Apache-2.0
#include "host/export/complete_package.hpp"

#include <fmt/ranges.h>

#include <map>
#include <utility>

#include "host/model/added_metadata.hpp"
#include "host/package/package_files.hpp"
#include "host/package/tokenizer_file.hpp"

namespace onnxport {

void complete_package(const PackageToComplete& folder, WrittenExport& written) {
  std::vector<std::string> names;
  if (folder.package.wants_tokenizer) {
    BuiltTokenizer tokenizer = build_tokenizer(folder.staging);
    if (tokenizer.is_built) names.emplace_back(tokenizer_file);
    if (!tokenizer.left_out.empty()) written.left_out.push_back(std::move(tokenizer.left_out));
  }
  for (const std::string& name : names) written.set_file(folder.staging, name);
  const Json facts = folder.facts();
  const auto take = [&](PackageFiles made) {
    for (std::string& reason : made.left_out) written.left_out.push_back(std::move(reason));
    for (const std::filesystem::path& name : made.written) {
      written.set_file(folder.staging, name);
      names.push_back(name.generic_string());
    }
    return std::move(made.of_own_graphs);
  };
  std::map<std::string, std::vector<PackageFile>> waiting;
  for (PackageFile& file : take(write_package_files(
           {folder.package.files, folder.plugin_folders, facts, folder.staging, folder.own_graphs != nullptr})))
    waiting[file.package].push_back(std::move(file));
  for (const auto& [package, files] : waiting) {
    const size_t before = written.files.size();
    const Json own = folder.own_graphs(package, written);
    for (size_t i = before; i < written.files.size(); ++i) names.push_back(written.files[i].name.generic_string());
    take(write_package_files({files, folder.plugin_folders, own, folder.staging}));
  }
  if (names.empty() || written.graphs.empty()) return;
  // So that whoever comes back knows what belongs here: not every model has every file.
  const std::string& model = written.graphs[0].file;
  add_metadata(folder.staging / model, {package_files_metadata, fmt::format("{}", fmt::join(names, ","))});
  written.set_file(folder.staging, model);
}

}  // namespace onnxport
