// SPDX-License-Identifier: Apache-2.0
// A plugin of the SDK whose definitions ask for what is not there, or does not fit.
#include <map>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

class Mistaken : public OnnxConfig {
 public:
  explicit Mistaken(const Request& request) : OnnxConfig(request), type_(request.model_type) {}

  std::vector<TensorSpec> inputs() const override {
    return {input::ids("input_ids", {axis::batch, axis::sequence}, 50)};
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    const std::map<std::string, int64_t> widths{{"base", 8}};
    if (type_ == "adds-a-wider-one") {
      const Value table = g.root().weight("words.weight", {4, 4});
      return {{"last_hidden_state", table + g.constant<float>(DType::f32, {3}, {0, 0, 0})}};
    }
    if (type_ == "asks-for-two-shapes") {
      (void)g.root().weight("words.weight", {50, 8});
      return {{"last_hidden_state", embedding(g.root() / "words", in.at("input_ids"), {50, 4})}};
    }
    if (type_ == "asks-for-no-name") return {{"last_hidden_state", g.root().weight("words.", {4})}};
    if (type_ == "adds-nothing") return {{"last_hidden_state", in.maybe("past") + in.at("input_ids")}};
    if (type_ == "returns-another") return {{"hidden_state", in.at("input_ids")}};
    const bool asks_for_input = type_ == "asks-for-input";
    const Value ids = in.at(asks_for_input ? "inputs_ids" : "input_ids");
    return {{"last_hidden_state", embedding(g.root() / "words", ids, {50, widths.at("large")})}};
  }

 private:
  std::string type_;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.test.mistaken",
    .name = "Mistaken",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .vendor = "onnxport",
    .models = {{.types = {"asks-for-input", "asks-for-entry", "adds-a-wider-one", "asks-for-two-shapes",
                          "asks-for-no-name", "adds-nothing", "returns-another"},
                .features = {"default"},
                .make = make<Mistaken>}},
})
