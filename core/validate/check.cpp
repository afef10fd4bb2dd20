// SPDX-License-Identifier: Apache-2.0
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>

#include "core/error.hpp"
#include "core/inspect/onnx_file.hpp"
#include "core/validate/light_model.hpp"
#include "core/validate/validate.hpp"

namespace onnxport {

void check_model_file(const std::filesystem::path& file) {
  check_model_file(inspect::read_onnx_file(file));
}

void check_model_file(const inspect::OnnxFile& file) {
  const std::map<std::string, std::string> locations = check_tensor_places(file);
  try {
    // The checker knows no folder for a model in memory, and thus gets to see no location.
    for (const auto& [location, tensor] : locations)
      ONNX_NAMESPACE::checker::resolve_external_data_location(file.folder().string(), location, tensor);
    ONNX_NAMESPACE::checker::check_model(for_checker(file), /*full_check=*/true,
                                         /*skip_opset_compatibility_check=*/false, /*check_custom_domain=*/false);
  } catch (const std::exception& problem) {
    throw Error(
        Failure::differs, "the ONNX checker refuses " + file.path.string() + ": " + problem.what(),
        file.model.producer_name() == "onnxport"
            ? "where it was changed since its export, export it again; else this is a defect of onnxport or of the "
              "plugin: please report it with the model's config.json"
            : "the file is no valid ONNX: write it anew, with a newer version of its exporter or with onnxport");
  }
}

}  // namespace onnxport
