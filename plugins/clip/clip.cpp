// SPDX-License-Identifier: Apache-2.0
// CLIP and MetaCLIP 2, both towers in one graph or each in its own. Source: CLIPModel, CLIPForImageClassification,
// CLIPTextModel, CLIPVisionModel and those with a projection, transformers 4.57 (modeling_clip.py); the same classes of
// MetaCLIP 2, transformers 5.24 (modeling_metaclip_2.py).
#include <onnxport/families/clip.hpp>

using namespace onnxport::family;

namespace {

/// Where a relative departs from CLIP.
struct Relative {
  std::string_view type;
  ClipTextDefaults text{};
};
constexpr ClipTextDefaults by_end_token{.highest = ClipTextDefaults::Highest::never};
const Relative relatives[] = {{"clip"},
                              {"clip_text_model"},
                              {"clip_vision_model"},
                              {"metaclip_2", by_end_token},
                              {"metaclip_2_text_model", by_end_token},
                              {"metaclip_2_vision_model", by_end_token}};

class Clip final : public ClipTowers {
 public:
  explicit Clip(const Request& request)
      : ClipTowers(request, {}, row_of(relatives, request.model_type).text), labels(request.config.num_labels()) {}

 private:
  // By the mean of the patches, without the class token.
  Value classify(Graph& g, const Inputs& in) const override {
    const Scope model = g.root() / "vision_model";
    g.unused("*post_layernorm.*");
    return linear(g.root() / "classifier", mean(slice(image(model, in.at("pixel_values")), {1, 1}), {1}),
                  {.out = labels});
  }

  const int64_t labels;
};

class TextOfRelative final : public ClipText {
 public:
  explicit TextOfRelative(const Request& request) : ClipText(request, row_of(relatives, request.model_type).text) {}
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.clip",
    .name = "CLIP and MetaCLIP 2",
    .models = {{.types = {"clip", "metaclip_2"}, .features = {"default", "image-classification"}, .make = make<Clip>},
               {.types = {"clip_text_model", "metaclip_2_text_model"},
                .features = {"default"},
                .architectures = {{"CLIPTextModelWithProjection", "default"},
                                  {"MetaClip2TextModelWithProjection", "default"}},
                .make = make<TextOfRelative>},
               {.types = {"clip_vision_model", "metaclip_2_vision_model"},
                .features = {"default"},
                .architectures = {{"CLIPVisionModelWithProjection", "default"},
                                  {"MetaClip2VisionModelWithProjection", "default"}},
                .make = make<ClipVision>}},
})
