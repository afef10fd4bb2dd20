// SPDX-License-Identifier: Apache-2.0
#include "core/export/runtimes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <set>

#include "core/error.hpp"

namespace onnxport {
namespace {

constexpr std::string_view program = "onnxruntime";

// From 1.14 on measured, with files of one operator of each opset and each IR version; before that the table of
// onnxruntime.ai's page on compatibility.
constexpr RuntimeVersion rows[] = {
    {1, 7, 13, 7},
};

[[noreturn]] void refuse(std::string_view words, const std::string& problem) {
  throw Error(Failure::usage, fmt::format("--runtime {}: {}", words, problem),
              fmt::format("name a version of ONNX Runtime from {}.{} on, such as --runtime {}=1.17", rows[0].major,
                          rows[0].minor, program));
}

}  // namespace

std::span<const RuntimeVersion> runtime_versions() {
  return rows;
}

const RuntimeVersion& runtime_from(std::string_view words) {
  const size_t equals = words.find('=');
  if (words.substr(0, equals) != program) refuse(words, "files are written for ONNX Runtime");
  if (equals == std::string_view::npos) refuse(words, "it says no version");
  const char *at = words.data() + equals + 1, *end = words.data() + words.size();
  int major = 0, minor = 0;
  const auto first = std::from_chars(at, end, major);
  const bool has_minor = first.ec == std::errc{} && first.ptr != end && *first.ptr == '.';
  const auto second = has_minor ? std::from_chars(first.ptr + 1, end, minor) : first;
  // What follows the second number is a patch, which changes nothing that is read.
  if (!has_minor || second.ec != std::errc{} || (second.ptr != end && *second.ptr != '.'))
    refuse(words, "that is no version");
  const RuntimeVersion* found = nullptr;
  for (const RuntimeVersion& row : rows) {
    if (row.major < major || (row.major == major && row.minor <= minor)) found = &row;
  }
  if (found == nullptr) refuse(words, "that is too old");
  return *found;
}

std::string name_of(const RuntimeVersion& version) {
  return fmt::format("{}={}.{}", program, version.major, version.minor);
}

std::vector<std::string> avoided_operators(const OnnxConfig& config, const Definition& definition,
                                           const GraphForm& form, int64_t wanted) {
  const auto operators_at = [&](int64_t opset) {
    GraphForm other = form;
    other.opset = opset;
    other.weights_as_stored = true;  // nothing is read for it
    std::set<std::string> names;
    for (const ir::Node& node : lowered_graph(config, definition, definition.graph, other).nodes) names.insert(node.op);
    return names;
  };
  const std::set<std::string> better = operators_at(wanted), written = operators_at(form.opset);
  std::vector<std::string> avoided;
  std::set_difference(better.begin(), better.end(), written.begin(), written.end(), std::back_inserter(avoided));
  return avoided;
}

}  // namespace onnxport
