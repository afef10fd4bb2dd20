// SPDX-License-Identifier: Apache-2.0
// docs/operators.md: its tables are the rows of the table of operators.
#pragma once

#include <string>

namespace onnxport {

/// The page with its tables as the operators' rows have them; what stands between them is the present page's. Throws
/// where a table has no place in it.
std::string operators_page(const std::string& present_page);

}  // namespace onnxport
