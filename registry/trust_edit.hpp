// SPDX-License-Identifier: Apache-2.0
// Adding to a policy what a user trusts. What else stands in the file, comments included, stays as it is.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "registry/trust.hpp"

namespace onnxport {

/// An entry for one of the policy's lists.
struct TrustEntry {
  TrustRule rule = TrustRule::sha256;
  std::string text;
  std::string comment;  ///< "com.example.acme 1.0.0"; may be empty
};

/// Adds the entry; false where it is there already. Throws Error(usage) where the file is written in a way that this
/// does not know how to change, saying what to write where; Error(output) where it cannot be written.
bool add_to_policy(const std::filesystem::path& file, const TrustEntry& entry);

/// Writes a policy that requires something of all code to be known, and knows the folders given. The file must not be
/// there. Throws Error(output).
void make_policy(const std::filesystem::path& file, const std::vector<std::filesystem::path>& folders);

}  // namespace onnxport
