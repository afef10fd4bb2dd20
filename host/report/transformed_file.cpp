// SPDX-License-Identifier: Apache-2.0
#include "host/report/transformed_file.hpp"

#include <fmt/format.h>

#include "core/format_bytes.hpp"
#include "host/report/text.hpp"

namespace onnxport {

void print_text(const TransformedFile& file, Console& console) {
  const Transformed& done = file.done;
  console.line(done.nodes == done.nodes_before
                   ? fmt::format("written: {} nodes", done.nodes)
                   : fmt::format("written: {} nodes, {} before", done.nodes, done.nodes_before));
  if (done.open && done.open->axes + done.open->shapes > 0) {
    console.note(
        fmt::format("{} axes of inputs and outputs are still open, and {} lengths are asked for when the model "
                    "runs (Shape)",
                    done.open->axes, done.open->shapes));
  }
  if (done.narrow_ids && *done.narrow_ids == 0) console.note("no input is of 64-bit integers; nothing was narrowed");
  for (const ExportedFile& one : file.files)
    console.line(fmt::format("  {:<34} {:>10}", one.path.string(), format_bytes(one.bytes)));
  if (!file.validation) return;
  console.line("validation: both files in ONNX Runtime");
  for (const ValidationRun& run : file.validation->runs) print_text(run, console);
}

void fill_json(const TransformedFile& file, Json& json) {
  json["from"] = file.from.string();
  json["model_file"] = file.model_file.string();
  json["nodes"] = file.done.nodes;
  json["nodes_before"] = file.done.nodes_before;
  if (file.done.open) json["open"] = {{"axes", file.done.open->axes}, {"shapes", file.done.open->shapes}};
  if (file.done.narrow_ids) json["narrowed_inputs"] = *file.done.narrow_ids;
  json["files"] = Json::array();
  for (const ExportedFile& one : file.files)
    json["files"].push_back({{"path", one.path.string()}, {"bytes", one.bytes}});
  if (!file.validation) return;
  json["validation"] = {{"status", file.validation->passes() ? "passed" : "failed"},
                        {"largest_difference", file.validation->largest_difference()}};
}

}  // namespace onnxport
