// SPDX-License-Identifier: Apache-2.0
// What a rim answers where a model does not define a head that its plugin lists.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/onnx_config.hpp>

namespace onnxport::sdk {

/// Throws INTERNAL, since that is the plugin's mistake; takes the place of the head's result.
[[noreturn]] inline Value missing_head(const OnnxConfig& config, const Scope& model) {
  throw Error(ONNXPORT_INTERNAL,
              "the model type '" + config.model_type() + "' has no head for the feature '" + config.feature() +
                  "'; define one, or take the feature off the list",
              model.path());
}

}  // namespace onnxport::sdk
