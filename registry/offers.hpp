// SPDX-License-Identifier: Apache-2.0
// Which plugins offer which model type, and which of them comes first.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "registry/candidate.hpp"

namespace onnxport {

/// normal_type -> candidates by their index, in search order, healthy or not.
using Offers = std::map<std::string, std::vector<size_t>, std::less<>>;

Offers offers_of(const std::vector<Candidate>& candidates);

/// Says of each healthy candidate what shadows it and what it conflicts with.
void settle_precedence(std::vector<Candidate>& candidates, const Offers& offers);

}  // namespace onnxport
