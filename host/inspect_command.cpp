// SPDX-License-Identifier: Apache-2.0
// onnxport inspect FILE.onnx
#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/inspect/inspection.hpp"
#include "host/commands.hpp"
#include "host/model/model_path.hpp"
#include "host/report/graph_file.hpp"
#include "host/report/inspection.hpp"

namespace onnxport {
namespace {

/// "sequence=384" as name and length.
ir::Lengths sizes_from(const std::vector<std::string>& words) {
  ir::Lengths sizes;
  for (const std::string& word : words) {
    const size_t equals = word.rfind('=');
    int64_t size = 0;
    const char* end = word.data() + word.size();
    const bool is_size = equals != std::string::npos && equals > 0 &&
                         std::from_chars(word.data() + equals + 1, end, size).ptr == end && size > 0;
    if (!is_size)
      throw Error(Failure::usage, fmt::format("--sizes {} is no axis with its length", word),
                  "as in --sizes batch=4,sequence=384");
    sizes[word.substr(0, equals)] = size;
  }
  return sizes;
}

}  // namespace

int run_inspect(const InspectArguments& arguments, Console& console) {
  if (!arguments.graph.empty()) check_graph_name(arguments.graph);
  inspect::InspectOptions options{.sizes = sizes_from(arguments.sizes)};
  if (!arguments.runtime.empty()) options.runtime = inspect::runtime_from(arguments.runtime);
  const std::filesystem::path file = model_path(arguments.file);
  const inspect::OnnxFile model = inspect::read_onnx_file(file);
  const inspect::Inspection found = inspect::inspect(model, options);
  console.result()["status"] = found.is_sound() ? "ok" : "defective";
  console.result()["file"] = file.string();
  fill_json(found, console.result());
  print_text(found, arguments.depth, console);
  if (!arguments.graph.empty()) {
    write_graph(model, arguments.graph, static_cast<size_t>(arguments.depth));
    console.result()["graph"] = arguments.graph.string();
    console.line("graph         " + arguments.graph.string());
  }
  return found.is_sound() ? 0 : static_cast<int>(Failure::differs);
}

}  // namespace onnxport
