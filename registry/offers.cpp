// SPDX-License-Identifier: Apache-2.0
#include "registry/offers.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace onnxport {

Offers offers_of(const std::vector<Candidate>& candidates) {
  Offers offers;
  for (size_t i = 0; i < candidates.size(); ++i) {
    std::vector<std::string> types = types_of(candidates[i]);
    // A manifest that could not be read is likely to be meant for the type that its folder is called after.
    if (types.empty()) types.push_back(candidates[i].manifest_path.parent_path().filename().string());
    for (const std::string& type : types) {
      std::vector<size_t>& known = offers[normal_type(type)];
      if (known.empty() || known.back() != i) known.push_back(i);
    }
  }
  return offers;
}

void settle_precedence(std::vector<Candidate>& candidates, const Offers& offers) {
  for (size_t i = 0; i < candidates.size(); ++i) {
    Candidate& candidate = candidates[i];
    if (!candidate.is_healthy()) continue;
    const std::vector<std::string> types = types_of(candidate);
    std::vector<std::string> reasons;
    size_t shadowed = 0;
    bool conflicting = false;
    for (const std::string& type : types) {
      bool is_shadowed = false;
      for (const size_t other : offers.at(normal_type(type))) {
        if (other == i || !candidates[other].is_healthy()) continue;
        if (candidates[other].place_index < candidate.place_index) {
          if (!is_shadowed) reasons.push_back(fmt::format("{}: shadowed by {}", type, describe(candidates[other])));
          is_shadowed = true;
        } else if (candidates[other].place_index == candidate.place_index && !is_shadowed) {
          reasons.push_back(fmt::format("{}: conflicts with {}", type, describe(candidates[other])));
          conflicting = true;
        }
      }
      shadowed += is_shadowed;
    }
    candidate.reason = fmt::format("{}", fmt::join(reasons, "; "));
    if (conflicting) {
      candidate.state = CandidateState::conflicting;
      candidate.hint = "remove one of the two, or pick one with --plugin ID";
    } else if (shadowed == types.size()) {
      candidate.state = CandidateState::shadowed;
      candidate.hint = fmt::format("--plugin {} picks it where its id differs", candidate.manifest.id);
    }
  }
}

}  // namespace onnxport
