// SPDX-License-Identifier: Apache-2.0
#include "host/package/jsonnet.hpp"

extern "C" {
#include <libjsonnet.h>
}

#include <fmt/format.h>

#include <memory>
#include <string>

#include "core/error.hpp"

namespace onnxport {
namespace {

using Machine = std::unique_ptr<JsonnetVm, decltype(&jsonnet_destroy)>;

/// Far more than a template needs; one that calls itself without end is told so instead of taking all memory.
constexpr unsigned deepest = 500;

/// What went wrong and where; jsonnet lists the whole way there, a line each.
std::string in_one_line(const std::string& text) {
  const size_t first = text.find('\n'), second = text.find('\n', first == std::string::npos ? first : first + 1);
  std::string line = text.substr(0, second);
  if (first < line.size()) line.replace(first, line.find_first_not_of(" \t\n", first) - first, ", at ");
  while (!line.empty() && (line.back() == '\n' || line.back() == '\t')) line.pop_back();
  for (char& c : line) c = c == '\n' || c == '\t' ? ' ' : c;
  return line;
}

}  // namespace

Json evaluate_templates(const std::vector<std::filesystem::path>& files, const Json& exported) {
  const Machine machine(jsonnet_make(), jsonnet_destroy);
  jsonnet_max_stack(machine.get(), deepest);
  jsonnet_tla_code(machine.get(), "exported", exported.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
  std::string sum;
  for (const std::filesystem::path& file : files)
    sum += fmt::format("{}(import {})(exported)", sum.empty() ? "" : " + ", Json(file.string()).dump());
  int failed = 0;
  char* const made =
      jsonnet_evaluate_snippet(machine.get(), "template", fmt::format("function(exported) {}", sum).c_str(), &failed);
  const std::string text = made;
  jsonnet_realloc(machine.get(), made, 0);
  if (failed == 0) return Json::parse(text);
  throw Error(Failure::plugin, fmt::format("the template {} failed: {}", files.at(0).string(), in_one_line(text)),
              "correct it, or choose another --layout; docs/packages.md says what a template is given");
}

}  // namespace onnxport
