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

Subject subject_of(const Candidate& candidate) {
  const Manifest& manifest = candidate.manifest;
  const std::filesystem::path folder = candidate.manifest_path.parent_path();
  const bool is_library = !manifest.is_extension();
  return {.what = "plugin",
          .id = manifest.id,
          .folder = folder,
          .file = is_library ? folder / manifest.library : candidate.manifest_path,
          .sha256 = is_library ? manifest.sha256 : sha256_of(candidate.manifest_path),
          .is_library = is_library,
          .publisher = candidate.publisher};
}

std::optional<Refusal> check_quarantine(const Candidate& candidate, std::string_view sha256) {
  if (candidate.quarantine == nullptr) return std::nullopt;
  const QuarantineRecord* record = find_quarantined(*candidate.quarantine, sha256);
  if (record == nullptr) return std::nullopt;
  return Refusal{
      fmt::format("{}: in quarantine, since it {}",
                  (candidate.manifest_path.parent_path() / candidate.manifest.library).string(), record->told()),
      fmt::format("a corrected build is used at once; `onnxport plugins quarantine --clear {}` lets this one "
                  "out",
                  candidate.manifest.id)};
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
