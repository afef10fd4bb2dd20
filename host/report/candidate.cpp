// SPDX-License-Identifier: Apache-2.0
#include "host/report/candidate.hpp"

#include <nlohmann/json.hpp>

namespace onnxport {

nlohmann::ordered_json json_of(const Candidate& candidate) {
  return {{"id", candidate.manifest.id},
          {"version", candidate.manifest.version},
          {"state", std::string(to_string(candidate.state))},
          {"reason", candidate.reason},
          {"hint", candidate.hint},
          {"place", candidate.place},
          {"manifest", candidate.manifest_path.string()},
          {"model_types", types_of(candidate)}};
}

}  // namespace onnxport
