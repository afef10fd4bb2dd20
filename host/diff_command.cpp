// SPDX-License-Identifier: Apache-2.0
// onnxport diff A B
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/inspect/model_diff.hpp"
#include "host/commands.hpp"
#include "host/model/model_path.hpp"
#include "host/report/diff.hpp"

namespace onnxport {

int run_diff(const DiffArguments& arguments, Console& console) {
  const std::filesystem::path a = model_path(arguments.a), b = model_path(arguments.b);
  const inspect::ModelDiff diff = inspect::diff_models(inspect::read_onnx_file(a), inspect::read_onnx_file(b));
  console.result()["status"] = diff.same_function() ? "ok" : "differs";
  console.result()["a"] = a.string();
  console.result()["b"] = b.string();
  fill_json(diff, console.result());
  print_text(diff, console);
  console.line(diff.same()            ? "the same"
               : diff.same_function() ? "both compute the same"
                                      : "they are not the same model");
  return diff.same_function() ? 0 : static_cast<int>(Failure::differs);
}

}  // namespace onnxport
