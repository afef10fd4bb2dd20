// SPDX-License-Identifier: Apache-2.0
#include "job.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace job {

namespace fs = std::filesystem;

std::unique_ptr<onnxport_options, Free> options_of(const Options& list) {
  std::unique_ptr<onnxport_options, Free> options(onnxport_options_new());
  for (const auto& [name, value] : list) onnxport_options_set(options.get(), name, value);
  return options;
}

Outcome::Outcome(onnxport_outcome* outcome) {
  const std::unique_ptr<onnxport_outcome, Free> owner(outcome);
  if (outcome == nullptr) throw std::runtime_error("no outcome");
  result = onnxport_outcome_result(outcome);
  json = nlohmann::json::parse(onnxport_outcome_json(outcome));
  message = onnxport_outcome_message(outcome);
  hint = onnxport_outcome_hint(outcome);
}

std::string bert() {
  return ONNXPORT_PLUGIN_SOURCES "/bert/cases/bert/BertForMaskedLM";
}

std::vector<std::string> Folder::entries() const {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace job
