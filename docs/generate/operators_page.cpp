// SPDX-License-Identifier: Apache-2.0
#include "docs/generate/operators_page.hpp"

#include <fmt/format.h>

#include <vector>

#include "core/ir/operators.hpp"
#include "docs/generate/section.hpp"

namespace onnxport {
namespace {

/// The tables of the page: operators that definitions use, and those that only lowering yields.
enum class Table { onnx, composites, made };

Table table_of(const ir::Operator& op) {
  if (!op.documentation.made_from.empty()) return Table::made;
  return op.domain == ir::composite_domain ? Table::composites : Table::onnx;
}

std::string attributes_of(const ir::Operator& op) {
  std::string text;
  for (const ir::AttributeSpec& spec : op.attributes) {
    text += fmt::format("{}`{}`: {}", text.empty() ? "" : ", ", spec.name, ir::name_of(spec.kind));
    if (!spec.note.empty()) text += fmt::format(" ({})", spec.note);
  }
  return text;
}

/// A cell with text in it has a space on both sides.
std::string cell(std::string_view text) {
  return text.empty() ? " |" : fmt::format(" {} |", text);
}

/// What a line says behind the operators' names.
std::string description(const ir::Operator& op) {
  const ir::Documentation& said = op.documentation;
  return cell(said.inputs) + cell(attributes_of(op)) + cell(said.made_from.empty() ? said.notes : said.made_from);
}

std::string table(Table which, std::string_view last_column) {
  std::string text = fmt::format("| operator | inputs | attributes | {} |\n|---|---|---|---|\n", last_column);
  std::string names, said;
  const auto end_line = [&] {
    if (!names.empty()) text += fmt::format("| {} |{}\n", names, said);
  };
  for (const ir::Operator& op : ir::operators()) {
    if (table_of(op) != which) continue;
    const std::string own = description(op);
    if (own == said) {
      names += fmt::format(" {}", op.name);
      continue;
    }
    end_line();
    names = op.name;
    said = own;
  }
  end_line();
  return text;
}

}  // namespace

std::string operators_page(const std::string& present_page) {
  std::string page = with_section(present_page, "operators", table(Table::onnx, "notes"));
  page = with_section(page, "composites", table(Table::composites, "means"));
  return with_section(page, "fused operators", table(Table::made, "from"));
}

}  // namespace onnxport
