// SPDX-License-Identifier: Apache-2.0
// Lists as one text: names of outputs, parts and modules, separated by commas.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace onnxport {

/// "a,b" -> {"a", "b"}; empty words are left out.
inline std::vector<std::string> split_list(std::string_view list) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    if (end > begin) words.emplace_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

}  // namespace onnxport
