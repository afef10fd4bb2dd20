// SPDX-License-Identifier: Apache-2.0
// DeiT: ViT with a second token, which learned from a teacher. Source: DeiTModel, DeiTForImageClassification and
// DeiTForImageClassificationWithTeacher, transformers 4.30, DeiTForMaskedImageModeling, 4.57 (modeling_deit.py).
#include <algorithm>

#include <onnxport/families/vit.hpp>

using namespace onnxport::family;

namespace {

class DeiT final : public ViTOnnxConfig {
 public:
  explicit DeiT(const Request& request) : ViTOnnxConfig(request) {
    const std::vector<std::string> classes = request.config.texts("architectures");
    with_teacher = std::count(classes.begin(), classes.end(), "DeiTForImageClassificationWithTeacher") > 0;
    one_off = !request.config.written_since(5, 0);
  }
  std::string base_model_prefix() const override { return "deit"; }
  Heads heads() const override {
    Heads rows = ViTOnnxConfig::heads();
    for (Head& row : rows) {
      if (one_off && row.feature == "masked-im") row.outputs = [this](const Encoded& at) { return one_place_off(at); };
    }
    return rows;
  }

 private:
  std::vector<std::string> first_tokens() const override { return {"cls_token", "distillation_token"}; }

  // With the teacher's head: the mean of both tokens' answers.
  Value classify(Graph& g, const Value& hidden) const override {
    if (!with_teacher) return ViTOnnxConfig::classify(g, hidden);
    const Value cls = linear(g.root() / "cls_classifier", pick(hidden, 1, 0), {.out = c.labels});
    const Value distilled = linear(g.root() / "distillation_classifier", pick(hidden, 1, 1), {.out = c.labels});
    g.mark("cls_logits", cls);
    g.mark("distillation_logits", distilled);
    return (cls + distilled) / 2.0;
  }

  // The class of version 4 reads the token one place before each patch, which for the first is the second token.
  Outputs one_place_off(const Encoded& at) const {
    const Value image = image_of(slice(at.hidden, {1, 1, -1}), at.size);
    return {{"reconstruction",
             reconstruction(at.base.graph().root() / "decoder", image, {.channels = c.channels, .stride = c.stride})}};
  }

  bool with_teacher, one_off;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.deit",
    .name = "DeiT",
    .models = {{.types = {"deit"},
                .features = {"default", "image-classification", "masked-im"},
                .architectures = {{"DeiTForImageClassificationWithTeacher", "image-classification"}},
                .make = make<DeiT>}},
})
