// SPDX-License-Identifier: Apache-2.0
#include "host/author/samples.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/definition/config_fields.hpp"
#include "core/error.hpp"
#include "core/program_file.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

fs::path shared(const char* name) {
  const fs::path folder = program_file().parent_path() / "../share/onnxport" / name;
  std::error_code ignored;
  if (fs::is_directory(folder, ignored)) return fs::canonical(folder, ignored);
  throw Error(Failure::usage, fmt::format("this installation has no {}", folder.lexically_normal().string()),
              "install onnxport with its SDK, whose share/onnxport holds samples and a template");
}

/// What may say something of the graph.
std::set<std::string> fields_of(const Json& config) {
  const std::vector<std::string> names = unread_fields(config, {});
  return {names.begin(), names.end()};
}

/// How much two sets have in common: 1 where they are the same.
double likeness(const std::set<std::string>& a, const std::set<std::string>& b) {
  const auto common = std::count_if(a.begin(), a.end(), [&](const std::string& field) { return b.contains(field); });
  const double all = static_cast<double>(a.size() + b.size()) - static_cast<double>(common);
  return all == 0 ? 0 : static_cast<double>(common) / all;
}

/// "libonnxport_bert.so" -> "bert"
std::string folder_of_library(const std::string& library) {
  const std::string prefix = "libonnxport_";
  const size_t begin = library.starts_with(prefix) ? prefix.size() : 0;
  return library.substr(begin, library.rfind('.') - begin);
}

}  // namespace

fs::path template_folder() {
  return shared("template");
}

SourceSample sample_of_type(const Registry& registry, const std::string& model_type) {
  const Resolved resolved = registry.resolve(model_type);
  const std::string name = folder_of_library(resolved.candidate->with_library().manifest.library);
  const fs::path folder = shared("samples") / name;
  std::error_code ignored;
  if (fs::is_directory(folder, ignored)) return {folder, model_type, resolved};
  throw Error(Failure::usage,
              fmt::format("the source of {}, which has the type '{}', is not installed",
                          resolved.candidate->manifest.id, model_type),
              "name a type of a plugin that comes with onnxport; `onnxport features` lists the types");
}

std::string nearest_type(const Registry& registry, const Json& config) {
  std::set<std::string> offered;
  for (const std::string& type : registry.model_types()) offered.insert(normal_type(type));
  const std::set<std::string> wanted = fields_of(config);
  std::map<std::string, double> best;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(shared("samples"))) {
    if (entry.path().filename() != "config.json") continue;
    const Json other = read_json(entry.path());
    const auto type = other.find("model_type");
    if (type == other.end() || !type->is_string() || !offered.contains(normal_type(type->get<std::string>()))) continue;
    double& known = best[type->get<std::string>()];
    known = std::max(known, likeness(wanted, fields_of(other)));
  }
  const auto nearest =
      std::max_element(best.begin(), best.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (nearest == best.end())
    throw Error(Failure::usage, "no samples are installed", "name a type to begin with: --like TYPE");
  return nearest->first;
}

}  // namespace onnxport
