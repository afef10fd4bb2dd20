// SPDX-License-Identifier: Apache-2.0
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

#include "core/error.hpp"
#include "core/validate/validate.hpp"

namespace onnxport {

void check_model_file(const std::filesystem::path& file) {
  try {
    // By path, so that external data is found and models above 2 GB can be checked.
    ONNX_NAMESPACE::checker::check_model(file.string(), /*full_check=*/true, /*skip_opset_compatibility_check=*/false,
                                         /*check_custom_domain=*/false);
  } catch (const std::exception& problem) {
    throw Error(Failure::differs, "the ONNX checker refuses " + file.string() + ": " + problem.what(),
                "this is a defect of onnxport or of the plugin; please report it with the model's config.json");
  }
}

}  // namespace onnxport
