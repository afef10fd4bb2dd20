// SPDX-License-Identifier: Apache-2.0
// BEiT and data2vec for images. Source: BeitModel and BeitForImageClassification, transformers 4.30, and 4.57 for other
// sizes of images (modeling_beit.py); Data2VecVisionModel and Data2VecVisionForImageClassification, the same versions
// (modeling_data2vec_vision.py).
#include <onnxport/families/beit.hpp>

using namespace onnxport::family;

namespace {

/// What the models with a head call the model without one.
struct Relative {
  std::string_view type;
  const char* base;
};
constexpr Relative relatives[] = {{"beit", "beit"}, {"data2vec-vision", "data2vec_vision"}};

class BeitOnnxConfig final : public OnnxConfig {
 public:
  explicit BeitOnnxConfig(const Request& request)
      : OnnxConfig(request), encoder(BeitConfig(request.config)), c(encoder.c) {}

  std::string base_model_prefix() const override { return row_of(relatives, model_type()).base; }
  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope beit = task() == "default" ? g.root() : g.root() / base_model_prefix();
    const Value last = encoder(beit, in.at("pixel_values")).all.back();
    const Value hidden = c.mean_pooling ? last : norm(beit / "layernorm", last, {.epsilon = c.epsilon});
    if (task() == "default" && g.wants("pooler_output")) g.mark("pooler_output", pool(beit / "pooler", hidden));
    return head_for_feature().outputs({beit, hidden, in});
  }

  Heads heads() const override {
    return {head::hidden_states(), head::logits("image-classification", [this](const Encoded& at) {
              const Scope classifier = at.base.graph().root() / "classifier";
              return linear(classifier, pool(at.base / "pooler", at.hidden), {.out = c.labels});
            })};
  }

 private:
  // f32[batch, hidden]: the norm of the patches' mean, or the class token.
  Value pool(const Scope& s, const Value& hidden) const {
    if (!c.mean_pooling) return pick(hidden.in(s), 1, 0);
    return norm(s / "layernorm", mean(slice(hidden.in(s), {1, 1}), {1}), {.epsilon = c.epsilon});
  }

  const BeitEncoder encoder;
  const BeitConfig& c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.beit",
    .name = "BEiT",
    .models = {{.types = {"beit", "data2vec-vision"},
                .features = {"default", "image-classification"},
                .make = make<BeitOnnxConfig>}},
})
