// SPDX-License-Identifier: Apache-2.0
// A definition that takes something else replaces nothing.
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

class OtherOnnxConfig : public OnnxConfig {
 public:
  explicit OtherOnnxConfig(const Request& request) : OnnxConfig(request) {}
  std::vector<TensorSpec> inputs() const override { return {}; }
#ifdef MISTAKE
  Outputs forward(Graph&, Inputs&) override {
    return {};
  }
#else
  Outputs forward(Graph&, const Inputs&) const override {
    return {};
  }
#endif
};

// gcc: marked 'override', but does not override
// clang: marked 'override' hides virtual member function
