// SPDX-License-Identifier: Apache-2.0
#include "host/author/sample.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

std::string type_of(const fs::path& config) {
  const Json read = read_json(config);
  const auto type = read.find("model_type");
  if (type != read.end() && type->is_string()) return type->get<std::string>();
  throw Error(Failure::checkpoint, config.string() + " states no model_type", "write the model's type into it");
}

Sample sample_of(const Json& row, const fs::path& folder) {
  Sample sample;
  const fs::path recorded = folder / row.at("path").get<std::string>();
  sample.config = recorded / "config.json";
  sample.model_type = row.at("model_type");
  sample.feature = row.at("feature");
  for (const Json& name : row.at("cases")) sample.cases.push_back(recorded / name.get<std::string>());
  if (const auto outputs = row.find("outputs"); outputs != row.end()) outputs->get_to(sample.outputs);
  sample.atol = row.value("atol", sample.atol);
  const Json weights = row.value("weights", Json::object());
  if (const auto synth = weights.find("synth"); synth != weights.end()) {
    sample.draw = {synth->value("seed", uint64_t{0}), synth->value("form", first_form)};
    sample.dtype = synth->value("dtype", sample.dtype);
    sample.drawn_for = synth->value("feature", "");
  } else if (!sample.cases.empty()) {
    sample.checkpoint = recorded;
  }
  return sample;
}

}  // namespace

std::vector<Sample> samples_of_cases(const fs::path& folder) {
  const fs::path index = folder / "index.json";
  std::error_code ignored;
  if (!fs::exists(index, ignored))
    throw Error(Failure::checkpoint, fmt::format("there is no {}", index.string()),
                "name a folder of cases, as `onnxport record` has them written");
  const Json rows = read_json(index);
  std::vector<Sample> samples;
  try {
    for (const Json& row : rows) samples.push_back(sample_of(row, folder));
  } catch (const Json::exception& mistake) {
    throw Error(Failure::checkpoint, fmt::format("{}: row {}: {}", index.string(), samples.size() + 1, mistake.what()),
                "a row has model_type, feature, path and cases; docs/plugins.md shows one");
  }
  return samples;
}

std::vector<Sample> samples_of_configs(const fs::path& path) {
  std::error_code ignored;
  std::vector<fs::path> files;
  if (fs::is_directory(path, ignored)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
      if (entry.path().extension() == ".json") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
  } else if (fs::exists(path, ignored)) {
    files.push_back(path);
  }
  if (files.empty())
    throw Error(Failure::checkpoint, fmt::format("there is no config in {}", path.string()), "name a config.json");
  std::vector<Sample> samples;
  for (const fs::path& file : files) {
    Sample& sample = samples.emplace_back();
    sample.config = file;
    sample.model_type = type_of(file);
  }
  return samples;
}

}  // namespace onnxport
