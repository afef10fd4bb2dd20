// SPDX-License-Identifier: Apache-2.0
// A plugin of the SDK that lists a feature for which it has no head.
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

class Headless final : public TextEncoder {
 public:
  using TextEncoder::TextEncoder;

 private:
  TextEncoderTraits traits() const override { return {.base = "base", .vocab = 50, .pooler = false}; }
  TextHeads text_heads() const override { return {}; }
  Value encode(const Scope& base, const Text& text) const override {
    return embedding(base / "words", text.ids, {50, 8});
  }
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.test.headless",
    .name = "Headless",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .vendor = "onnxport",
    .models = {{.types = {"headless"}, .features = {"default", "masked-lm"}, .make = make<Headless>}},
})
