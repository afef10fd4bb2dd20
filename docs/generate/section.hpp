// SPDX-License-Identifier: Apache-2.0
// The generated part of a page: what stands between two marks.
#pragma once

#include <string>

namespace onnxport {

/// The page with `text` between "<!-- generated: NAME -->" and the next "<!-- end -->". Throws where a mark is missing.
std::string with_section(const std::string& page, const std::string& name, const std::string& text);

}  // namespace onnxport
