// SPDX-License-Identifier: Apache-2.0
#include "registry/candidate.hpp"

#include <fmt/format.h>

namespace onnxport {

std::string_view to_string(CandidateState state) {
  switch (state) {
    case CandidateState::usable:
      return "usable";
    case CandidateState::shadowed:
      return "shadowed";
    case CandidateState::conflicting:
      return "conflicting";
    case CandidateState::refused:
      return "refused";
    case CandidateState::broken:
      return "broken";
  }
  return "";
}

std::string describe(const Candidate& candidate) {
  return fmt::format("{} {} ({}, {})", candidate.manifest.id, candidate.manifest.version, candidate.place,
                     candidate.manifest_path.string());
}

std::vector<std::string> types_of(const Candidate& candidate) {
  std::vector<std::string> types;
  for (const Manifest::Model& model : candidate.manifest.models) {
    types.insert(types.end(), model.types.begin(), model.types.end());
  }
  // Of an extension that could not be resolved, the types are known all the same.
  if (types.empty()) {
    for (const Manifest::Alias& alias : candidate.manifest.aliases) types.push_back(alias.type);
  }
  return types;
}

}  // namespace onnxport
