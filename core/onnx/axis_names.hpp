// SPDX-License-Identifier: Apache-2.0
// What the axes of a file's inputs and outputs are called, apart from what writes it.
#pragma once

#include <map>
#include <string>

namespace onnxport {

struct AxisNames {
  std::map<std::string, std::string> by_symbol;  // others keep the names that they have in the graph
  bool keeps_open = true;  // axes of a fixed size that the graph leaves open have their names; else they are numbers
};

}  // namespace onnxport
