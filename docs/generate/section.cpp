// SPDX-License-Identifier: Apache-2.0
#include "docs/generate/section.hpp"

#include <stdexcept>

namespace onnxport {

std::string with_section(const std::string& page, const std::string& name, const std::string& text) {
  const std::string begin = "<!-- generated: " + name + " -->\n", end = "<!-- end -->\n";
  const size_t first = page.find(begin);
  const size_t last = first == std::string::npos ? first : page.find(end, first);
  if (last == std::string::npos)
    throw std::runtime_error("the page has no place for '" + name + "', expected the lines\n" + begin + end);
  return page.substr(0, first + begin.size()) + "\n" + text + "\n" + page.substr(last);
}

}  // namespace onnxport
