// SPDX-License-Identifier: Apache-2.0
#include "host/plan/script_reference.hpp"

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "host/plan/arguments.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

void require_file(const char* option, const fs::path& file) {
  std::error_code ignored;
  if (fs::is_regular_file(file, ignored)) return;
  throw Error(Failure::usage, std::string(option) + " " + file.string() + ": there is no such file",
              "look at the path");
}

/// Throws nlohmann::json::exception where the file is not of the form.
void read_names(const fs::path& file, ScriptReference& reference) {
  std::ifstream stream(file);
  const nlohmann::json names = nlohmann::json::parse(stream);
  for (const auto& [key, pairs] : names.get<std::map<std::string, nlohmann::json>>()) {
    if (key == "inputs")
      pairs.get_to(reference.inputs);
    else if (key == "outputs")
      pairs.get_to(reference.outputs);
    else
      throw Error(Failure::usage, file.string() + ": unknown key '" + key + "'", "the keys are inputs and outputs");
  }
}

}  // namespace

std::optional<ScriptReference> script_reference(const DepthArguments& depth) {
  if (depth.reference.empty()) return std::nullopt;
  require_file("--reference", depth.reference);
  ScriptReference reference{depth.reference};
  if (depth.reference_names.empty()) return reference;
  require_file("--reference-names", depth.reference_names);
  try {
    read_names(depth.reference_names, reference);
  } catch (const nlohmann::json::exception& problem) {
    throw Error(Failure::usage, depth.reference_names.string() + " does not pair names: " + problem.what(),
                R"(write {"inputs": {"INPUT": "ARGUMENT"}, "outputs": {"OUTPUT": "KEY"}})");
  }
  return reference;
}

}  // namespace onnxport
