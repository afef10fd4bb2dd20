// SPDX-License-Identifier: Apache-2.0
// What makes onnx-configs is a class that derives from OnnxConfig and is made from a Request.
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

#ifdef MISTAKE
class BagOnnxConfig {
#else
class BagOnnxConfig : public OnnxConfig {
#endif
 public:
#ifdef MISTAKE
  explicit BagOnnxConfig(const Request&) {}
  std::vector<TensorSpec> inputs() const {
    return {};
  }
  Outputs forward(Graph&, const Inputs&) const {
    return {};
  }
#else
  explicit BagOnnxConfig(const Request& request) : OnnxConfig(request) {}
  std::vector<TensorSpec> inputs() const override {
    return {};
  }
  Outputs forward(Graph&, const Inputs&) const override {
    return {};
  }
#endif
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.test.bag",
    .name = "Bag",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .vendor = "Test",
    .models = {{.types = {"bag"}, .features = {"default"}, .make = make<BagOnnxConfig>}},
})

// gcc: make<T>: T derives from OnnxConfig or one of its children
// clang: make<T>: T derives from OnnxConfig or one of its children
