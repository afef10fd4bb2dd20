// SPDX-License-Identifier: Apache-2.0
// What an export is of, as it is reported.
#pragma once

#include <string>

#include "host/model/selection.hpp"

namespace onnxport {

/// The model as the user named it, and what was chosen for it.
struct ChosenModel {
  std::string name;
  const Selection& selection;
};

}  // namespace onnxport
