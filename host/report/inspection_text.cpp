// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "core/format_bytes.hpp"
#include "core/inspect/module_path.hpp"
#include "host/report/inspection.hpp"

namespace onnxport {
namespace {

using inspect::Inspection;

/// Names and counts, the largest first: "96 MatMul, 12 Softmax".
template <class Count>
std::vector<std::pair<std::string, Count>> largest_first(const std::map<std::string, Count>& counts) {
  std::vector<std::pair<std::string, Count>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return sorted;
}

void print_ports(const char* title, const std::vector<inspect::Port>& ports, Console& console) {
  for (size_t i = 0; i < ports.size(); ++i)
    console.line(fmt::format("{:<13} {:<20} {}", i == 0 ? title : "", ports[i].name, ports[i].type));
}

void print_nodes(const Inspection& found, Console& console) {
  std::string text = fmt::format("{} in all", found.nodes);
  for (const auto& [name, count] : largest_first(found.operators)) text += fmt::format(", {} {}", count, name);
  console.line("nodes         " + text);
  if (found.domains.size() > 1) {
    std::string domains;
    for (const auto& [domain, count] : found.domains)
      domains += fmt::format("{}{} of {}", domains.empty() ? "" : ", ", count, domain_name(domain));
    console.line("              " + domains);
  }
  if (found.functions > 0) console.line(fmt::format("functions     {}", found.functions));
}

/// Modules whose paths differ in numbers only, told together.
struct Row {
  size_t modules = 0;
  inspect::ModuleShare share{};
};

size_t depth_of(const std::string& pattern) {
  // A number belongs to the list that it counts.
  size_t depth = 1;
  for (size_t dot = pattern.find('.'); dot != std::string::npos; dot = pattern.find('.', dot + 1)) {
    if (pattern[dot + 1] != '*') ++depth;
  }
  return depth;
}

void print_modules(const Inspection& found, int depth, Console& console) {
  std::map<std::string, Row> rows;
  for (const auto& [module, share] : found.by_module) {
    if (module.empty()) continue;
    const std::string pattern = inspect::pattern_of(module);
    if (depth_of(pattern) > static_cast<size_t>(depth)) continue;
    Row& row = rows[pattern];
    ++row.modules;
    row.share.stored += share.stored;
    row.share.operations += share.operations;
    row.share.nodes += share.nodes;
  }
  if (rows.empty()) return;
  console.line(
      fmt::format("modules       {:<44} {:>12} {:>10} {:>8} {:>12}", "", "parameters", "bytes", "nodes", "operations"));
  for (const auto& [pattern, row] : rows) {
    const std::string name = row.modules > 1 ? fmt::format("{} ({} of them)", pattern, row.modules) : pattern;
    console.line(fmt::format("  {:<56} {:>12} {:>10} {:>8} {:>12}", name,
                             format_count(static_cast<double>(row.share.stored.parameters)),
                             format_bytes(row.share.stored.bytes), row.share.nodes,
                             format_count(static_cast<double>(row.share.operations))));
  }
}

std::string in_words(const std::map<std::string, size_t>& nodes) {
  std::string text;
  for (const auto& [op, count] : nodes) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, op);
  return text;
}

void print_cost(const Inspection& found, Console& console) {
  std::string at;
  for (const auto& [axis, size] : found.sizes) at += fmt::format("{}{} {}", at.empty() ? "" : ", ", axis, size);
  const inspect::ModelCost& cost = found.cost;
  console.line(fmt::format("one run       at {}", at.empty() ? "the sizes of the file" : at));
  std::string operators;
  for (const auto& [op, operations] : largest_first(cost.by_operator)) {
    const double share = 100.0 * static_cast<double>(operations) / static_cast<double>(cost.operations);
    if (share < 0.5) continue;
    operators += fmt::format("{}{} {:.0f} %", operators.empty() ? "" : ", ", op, share);
  }
  console.line(fmt::format("  operations  {}, a multiplication with its addition as two ({})",
                           format_count(static_cast<double>(cost.operations)), operators));
  if (found.law) console.line("              = " + inspect::to_string(*found.law));
  console.line(fmt::format("  activations {} at most, beside the weights{}", format_bytes(cost.activations),
                           cost.activations_at.empty() ? "" : ", at " + cost.activations_at));
  if (!cost.unsized.empty()) console.line("  not counted for want of sizes: " + in_words(cost.unsized));
  if (!cost.unlisted.empty()) console.line("  not counted, unknown operators: " + in_words(cost.unlisted));
  if (cost.endless_loops > 0)
    console.line(fmt::format("  {} loops whose trips only a run tells are counted once", cost.endless_loops));
}

void print_findings(const Inspection& found, Console& console) {
  constexpr size_t most = 4;
  if (found.findings.empty()) return;
  console.line("findings");
  for (const inspect::Finding& finding : found.findings) {
    const bool is_error = finding.weight == inspect::Finding::Weight::error;
    console.line(fmt::format("  {:<18} {}{}{}", finding.kind, is_error ? "ERROR: " : "", finding.text,
                             finding.bytes > 0 ? fmt::format(" ({})", format_bytes(finding.bytes)) : ""));
    for (size_t i = 0; i < std::min(most, finding.places.size()); ++i) console.line("      " + finding.places[i]);
    if (finding.places.size() > most)
      console.line(fmt::format("      and {} more (--json lists them)", finding.places.size() - most));
  }
}

}  // namespace

std::string domain_name(const std::string& domain) {
  return domain.empty() ? "ai.onnx" : domain;
}

std::string format_count(double count) {
  const char* const units[] = {"", " K", " M", " G", " T", " P"};
  size_t unit = 0;
  for (; std::abs(count) >= 999.5 && unit < 5; ++unit) count /= 1000;
  if (unit == 0) return fmt::format("{:.0f}", count);
  return count < 99.95 ? fmt::format("{:.1f}{}", count, units[unit]) : fmt::format("{:.0f}{}", count, units[unit]);
}

void print_text(const Inspection& found, int depth, Console& console) {
  console.line(fmt::format("producer      {} {}", found.producer, found.producer_version));
  std::string opsets;
  for (const auto& [domain, version] : found.opsets)
    opsets += fmt::format("{}{} {}", opsets.empty() ? "" : ", ", domain_name(domain), version);
  console.line(fmt::format("opsets        {} (IR version {})", opsets, found.ir_version));
  print_ports("inputs", found.inputs, console);
  print_ports("outputs", found.outputs, console);
  print_nodes(found, console);
  for (const auto& [type, stored] : found.by_type) {
    console.line(fmt::format("initializers  {} of {}, {} ({} values)", stored.tensors, type, format_bytes(stored.bytes),
                             format_count(static_cast<double>(stored.parameters))));
  }
  for (const auto& [file, bytes] : found.external_files)
    console.line(fmt::format("external data {}, {}", file, format_bytes(bytes)));
  print_modules(found, depth, console);
  print_cost(found, console);
  print_findings(found, console);
  for (const auto& [key, value] : found.metadata) console.line(fmt::format("metadata      {} = {}", key, value));
}

}  // namespace onnxport
