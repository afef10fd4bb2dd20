// SPDX-License-Identifier: Apache-2.0
// BEiT and data2vec for images. Source: BeitModel and BeitForImageClassification, transformers 4.30, and 4.57 for other
// sizes of images, BeitForMaskedImageModeling, 4.57 (modeling_beit.py); Data2VecVisionModel and
// Data2VecVisionForImageClassification, 4.30 and 4.57 (modeling_data2vec_vision.py).
#include <onnxport/families/backbones.hpp>

#include "segmentation.hpp"

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
      : OnnxConfig(request),
        encoder(BeitConfig(request.config)),
        c(encoder.c),
        segmentation(request.config),
        words(request.config.size("vocab_size", 8192)) {
    if (task() == "semantic-segmentation") read = beit::Segmentation::layers_read(request.config, c.layers);
  }

  std::string base_model_prefix() const override { return row_of(relatives, model_type()).base; }
  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override {
    if (task() == "semantic-segmentation" || task() == "masked-im") return {{"logits", {{0, axis::batch}}}};
    return OnnxConfig::outputs();
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope beit = task() == "default" ? g.root() : g.root() / base_model_prefix();
    if (task() == "semantic-segmentation") return head_for_feature().outputs({.base = beit, .hidden = {}, .in = in});
    const Value last = encoder(beit, in.at("pixel_values")).all.back();
    const Value hidden = c.mean_pooling ? last : norm(beit / "layernorm", last, {.epsilon = c.epsilon});
    if (task() == "default" && g.wants("pooler_output")) g.mark("pooler_output", pool(beit / "pooler", hidden));
    return head_for_feature().outputs({beit, hidden, in});
  }

  Heads heads() const override {
    return {head::hidden_states(),
            head::logits("image-classification",
                         [this](const Encoded& at) {
                           const Scope classifier = at.base.graph().root() / "classifier";
                           return linear(classifier, pool(at.base / "pooler", at.hidden), {.out = c.labels});
                         }),
            head::logits("semantic-segmentation", [this](const Encoded& at) { return segment(at); }),
            head::logits("masked-im", [this](const Encoded& at) { return visual_words(at); })};
  }

 private:
  // f32[batch, hidden]: the norm of the patches' mean, or the class token.
  Value pool(const Scope& s, const Value& hidden) const {
    if (!c.mean_pooling) return pick(hidden.in(s), 1, 0);
    return norm(s / "layernorm", mean(slice(hidden.in(s), {1, 1}), {1}), {.epsilon = c.epsilon});
  }

  // f32[batch, patches, vocab_size]: which entry of a codebook stands where each patch is.
  Value visual_words(const Encoded& at) const {
    const Scope root = at.base.graph().root();
    const Value patches = slice(at.hidden.in(root), {1, 1});
    return linear(root / "lm_head", norm(root / "layernorm", patches, {.epsilon = c.epsilon}), {.out = words});
  }

  Value segment(const Encoded& at) const {
    Graph& g = at.base.graph();
    g.unused((at.base / "layernorm").path() + ".*");  // of the last layer, which is read without it
    const BeitEncoder::States states = encoder(at.base, at.in.at("pixel_values"));
    std::vector<Value> maps = picked(states.all, read);
    for (Value& map : maps) map = image_of(slice(map, {1, 1}), states.size);
    return segmentation(g, maps);
  }

  const BeitEncoder encoder;
  const BeitConfig& c;
  const beit::Segmentation segmentation;
  int64_t words;             // of the codebook
  std::vector<size_t> read;  // layers of which a segmentation is made
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.beit",
    .name = "BEiT",
    .models = {{.types = {"beit"},
                .features = {"default", "image-classification", "semantic-segmentation", "masked-im", "backbone"},
                .make = make_with_backbone<BeitOnnxConfig>},
               {.types = {"data2vec-vision"},
                .features = {"default", "image-classification", "semantic-segmentation"},
                .make = make<BeitOnnxConfig>}},
})
