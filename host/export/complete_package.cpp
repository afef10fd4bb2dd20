// SPDX-License-Identifier: Apache-2.0
#include "host/export/complete_package.hpp"

#include <utility>

#include "host/package/package_files.hpp"
#include "host/package/tokenizer_file.hpp"

namespace onnxport {

void complete_package(const PackageToComplete& folder, WrittenExport& written) {
  if (folder.package.wants_tokenizer) {
    BuiltTokenizer tokenizer = build_tokenizer(folder.staging);
    if (tokenizer.is_built) written.set_file(folder.staging, tokenizer_file);
    if (!tokenizer.left_out.empty()) written.left_out.push_back(std::move(tokenizer.left_out));
  }
  const Json facts = folder.facts();
  PackageFiles made = write_package_files({folder.package.files, folder.plugin_folders, facts, folder.staging});
  for (std::string& reason : made.left_out) written.left_out.push_back(std::move(reason));
  for (const std::filesystem::path& name : made.written) written.set_file(folder.staging, name);
}

}  // namespace onnxport
