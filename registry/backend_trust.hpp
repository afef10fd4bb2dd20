// SPDX-License-Identifier: Apache-2.0
// Back ends obey the policies that plugins do.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "registry/places.hpp"
#include "registry/trust.hpp"

namespace onnxport {

/// From now on no back end is opened that the policies refuse, or that others than root and the user can write.
/// `--safe`, and elevated privileges, leave out what the environment names. The policies are read when the first back
/// end is opened; what they say then is an error of that.
void guard_back_ends(const SearchOptions& options);

/// What the policies said of the back ends that were opened so far.
std::vector<TrustDecision> back_end_decisions();

/// A back end's library, or a runtime's that it opens, as a policy sees it, without its publisher. `name` as in
/// libonnxport_NAME.so.
Subject subject_of_back_end(const std::string& name, const std::filesystem::path& library);

}  // namespace onnxport
