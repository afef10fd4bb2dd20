// SPDX-License-Identifier: Apache-2.0
// From a place to the plugins in it.
#pragma once

#include <cstddef>
#include <vector>

#include "registry/candidate.hpp"
#include "registry/places.hpp"

namespace onnxport {

/// The plugins of places.list[index], by folder name. A bad one becomes a candidate with a reason and stops no other.
std::vector<Candidate> scan_place(const Places& places, size_t index);

}  // namespace onnxport
