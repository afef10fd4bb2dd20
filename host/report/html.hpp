// SPDX-License-Identifier: Apache-2.0
// Pieces of a page.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace onnxport::html {

/// Text as it may stand in an element or in an attribute's value, made printable.
std::string text(std::string_view plain);

/// A table of plain texts; `head` may be empty. Cells of the columns from `numbers_from` on are set to the right.
std::string table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows,
                  size_t numbers_from = 99);

/// A value with its name, for plots.
struct Bar {
  std::string name;
  double value = 0;
  bool is_good = true;
};

/// Horizontal bars over a logarithmic axis, with a line at `limit` where that is above 0; as SVG.
std::string log_bars(const std::vector<Bar>& bars, double limit);

/// A line over places in order, logarithmic upwards, each with its name as a tooltip; as SVG.
std::string log_line(const std::vector<Bar>& points);

/// What every page has in it.
inline constexpr const char* mark = "<meta name=\"generator\" content=\"onnxport\">";

/// A page of its own: no other file, no script.
std::string page(const std::string& title, const std::string& body);

}  // namespace onnxport::html
