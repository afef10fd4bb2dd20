// SPDX-License-Identifier: Apache-2.0
// What it means where the hub refuses, and what the user can do about it.
#pragma once

#include <string>

#include "core/error.hpp"
#include "hub/client.hpp"

namespace onnxport::hub {

/// What was asked for.
struct Asked {
  const std::string& id;
  const std::string& revision;
  const std::string& file;  // empty: the list of files
  const Settings& settings;
};

/// An Error(checkpoint) of an answer whose status is 400 or above, by X-Error-Code and X-Error-Message as
/// huggingface_hub's hf_raise_for_status reads them (0.36): gated, private, missing, and a token that is not valid.
Error refusal_of(const Answer& answer, const Asked& asked);

/// An Error(checkpoint) of a failure that did not pass. `tried`: "5 times".
Error exhausted(const Answer& answer, const std::string& tried);

}  // namespace onnxport::hub
