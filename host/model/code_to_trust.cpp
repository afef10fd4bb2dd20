// SPDX-License-Identifier: Apache-2.0
#include "host/model/code_to_trust.hpp"

#include <fmt/format.h>

#include <string_view>
#include <system_error>

#include "core/error.hpp"
#include "registry/backend_trust.hpp"
#include "registry/candidate.hpp"
#include "registry/signature.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// "reference" of libonnxport_reference.so; all of another name.
std::string back_end_name(const fs::path& library) {
  constexpr std::string_view prefix = "libonnxport_";
  const std::string name = library.stem();
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

CodeToTrust plugin_at(const fs::path& manifest_path) {
  CodeToTrust code;
  code.signed_file = manifest_path;
  Candidate candidate;
  candidate.manifest_path = manifest_path;
  candidate.manifest = read_manifest(manifest_path);
  const Manifest& manifest = candidate.manifest;
  if (!manifest.is_extension()) {
    if (manifest.format == 0) {
      throw Error(Failure::plugin,
                  fmt::format("{}: found the manifest's source form, expected the built form beside its library",
                              manifest_path.string()),
                  "build the plugin with onnxport_add_plugin() and give the folder that the build writes");
    }
    const fs::path library = manifest_path.parent_path() / manifest.library;
    if (const auto refusal = check_library_file(library)) throw Error(Failure::plugin, refusal->cause, refusal->hint);
    const std::string sum = sha256_of(library);
    if (manifest.sha256.empty() || sum != manifest.sha256) {
      throw Error(Failure::plugin,
                  fmt::format("{}: found sha256 {}, expected {} after {}", library.string(), sum,
                              manifest.sha256.empty() ? "one to be told" : manifest.sha256, manifest_path.string()),
                  "build or install the plugin again, whose manifest then holds the library's sum");
    }
  }
  code.subject = subject_of(candidate);
  code.version = manifest.version;
  code.manifest = manifest;
  return code;
}

}  // namespace

CodeToTrust find_code(const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error) {
    throw Error(Failure::usage, fmt::format("{}: {}", path.string(), error.message()),
                "name a plugin's folder or library");
  }
  const fs::path folder = fs::is_directory(real, error) ? real : real.parent_path();
  if (fs::exists(folder / "plugin.yaml", error)) return plugin_at(folder / "plugin.yaml");
  if (real.extension() == ".so") return {real, std::nullopt, subject_of_back_end(back_end_name(real), real), ""};
  throw Error(Failure::usage, fmt::format("{}: found no plugin.yaml there", path.string()),
              "name a plugin's folder or library, or a back end's library");
}

CodeToTrust find_verified_code(const fs::path& path) {
  CodeToTrust code = find_code(path);
  code.subject.publisher = verify_publisher(code.signed_file).value_or("");
  return code;
}

}  // namespace onnxport
