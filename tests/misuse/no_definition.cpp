// SPDX-License-Identifier: Apache-2.0
// An onnx-config without forward() is none.
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

class NothingOnnxConfig final : public OnnxConfig {
 public:
  explicit NothingOnnxConfig(const Request& request) : OnnxConfig(request) {}
  std::vector<TensorSpec> inputs() const override { return {}; }
#ifndef MISTAKE
  Outputs forward(Graph&, const Inputs&) const override {
    return {};
  }
#endif
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.test.nothing",
    .name = "Nothing",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .vendor = "Test",
    .models = {{.types = {"nothing"}, .features = {"default"}, .make = make<NothingOnnxConfig>}},
})

// gcc: make<T>: T defines inputs\(\) and forward\(\)
// clang: make<T>: T defines inputs\(\) and forward\(\)
