// SPDX-License-Identifier: Apache-2.0
// A plugin of the SDK that a trial finds fault with: a weight that serves nothing, a definition that does not end, an
// operator that is replaced by another one, and a shape that no input has.
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

class Careless final : public OnnxConfig {
 public:
  explicit Careless(const Request& request) : OnnxConfig(request) {}

  std::vector<TensorSpec> inputs() const override { return {input::features("signal", {axis::batch, 4})}; }
  std::vector<OutputSpec> outputs() const override {
    return {{"result", {{0, model_type() == "misshapen" ? "rows" : axis::batch}}}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    for (volatile bool ends = model_type() != "endless"; !ends;) {
    }
    const Value x = in.at("signal");
    if (model_type() == "misshapen") return {{"result", reshape(x, {-1, 7})}};
    if (model_type() == "idle") (void)linear(g.root() / "forgotten", x, {.out = 4});
    return {{"result", tanh(linear(g.root() / "used", x, {.out = 4}))}};
  }

  std::vector<PatchingSpec> patching_specs() const override {
    if (model_type() != "replaced") return {};
    return {{"", "Tanh", [](Graph&, const std::vector<Value>& in, const std::vector<Attribute>&) {
               return std::vector<Value>{sigmoid(in[0])};
             }}};
  }
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.test.careless",
    .name = "Careless",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .vendor = "onnxport",
    .models = {{.types = {"idle", "endless", "replaced", "misshapen"},
                .features = {"default"},
                .make = make<Careless>}},
})
