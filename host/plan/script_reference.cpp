// SPDX-License-Identifier: Apache-2.0
#include "host/plan/script_reference.hpp"

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "host/plan/arguments.hpp"
#include "host/plan/export_plan.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

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

std::vector<ScriptReference> script_references(const DepthArguments& depth) {
  std::vector<ScriptReference> references;
  for (const fs::path& file : depth.references) {
    require_file("--reference", file, "name the file that torch.jit.save() wrote");
    references.push_back({file});
  }
  if (depth.reference_names.empty()) return references;
  require_file("--reference-names", depth.reference_names, "name the JSON file that pairs the names");
  try {
    for (ScriptReference& reference : references) read_names(depth.reference_names, reference);
  } catch (const nlohmann::json::exception& problem) {
    throw Error(Failure::usage, depth.reference_names.string() + " does not pair names: " + problem.what(),
                R"(write {"inputs": {"INPUT": "ARGUMENT"}, "outputs": {"OUTPUT": "KEY"}})");
  }
  return references;
}

}  // namespace onnxport
