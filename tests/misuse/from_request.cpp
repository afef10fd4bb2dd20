// SPDX-License-Identifier: Apache-2.0
// An onnx-config is made from a Request, by a constructor that others can call.
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

class ShyOnnxConfig : public OnnxConfig {
 public:
#ifdef MISTAKE
  explicit ShyOnnxConfig(const Request& request, int64_t layers) : OnnxConfig(request) {
    (void)layers;
  }
#else
  explicit ShyOnnxConfig(const Request& request) : OnnxConfig(request) {}
#endif
  std::vector<TensorSpec> inputs() const override {
    return {};
  }
  Outputs forward(Graph&, const Inputs&) const override {
    return {};
  }
};

Make shy() {
  return make<ShyOnnxConfig>;
}

// gcc: make<T>: T has a constructor from a const Request&
// clang: make<T>: T has a constructor from a const Request&
