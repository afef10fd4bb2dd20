// SPDX-License-Identifier: Apache-2.0
// A plugin of the SDK whose definition uses operators of a domain of its own.
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

class Gated final : public OnnxConfig {
 public:
  explicit Gated(const Request& request) : OnnxConfig(request), size(request.config.size("size")) {}

  std::vector<TensorSpec> inputs() const override {
    return {input::features("signal", {axis::batch, axis::sequence, size}, {-2, 2})};
  }
  std::vector<OutputSpec> outputs() const override { return {{"gated", {{0, axis::batch}, {1, axis::sequence}}}}; }

  Outputs forward(Graph& g, const Inputs& in) const override {
    Value x = in.at("signal");
    for (int64_t i = 0; i < 3; ++i) {
      const Value gate = linear(g.root() / "gates" / i, x, {.out = size});
      // The last gate is another function: it is sharper.
      x = g.add({"com.example", "Gate", {x, gate}, {{"sharpness", i < 2 ? 1.0 : 3.0}}})[0];
    }
    return {{"gated", x}};
  }

  /// What Gate is made of: x · sigmoid(sharpness · gate).
  std::vector<PatchingSpec> patching_specs() const override {
    return {{"com.example", "Gate", [](Graph& g, const std::vector<Value>& in, const std::vector<Attribute>& given) {
               double sharpness = 1;
               for (const Attribute& attribute : given) {
                 if (attribute.name == "sharpness") sharpness = attribute.f;
               }
               return std::vector<Value>{in[0] * sigmoid(in[1] * g.scalar(sharpness))};
             }}};
  }
  std::vector<DomainVersion> domains() const override { return {{"com.example", 2}}; }

 private:
  const int64_t size;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.test.own-operator",
    .name = "Own operator",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .vendor = "onnxport",
    .models = {{.types = {"gated"}, .features = {"default"}, .make = make<Gated>}},
})
