// SPDX-License-Identifier: Apache-2.0
// LFM2-VL: a SigLIP 2 that takes images of any shape, squares of whose patches become one token, and a decoder of any
// type. Source: Lfm2VlForConditionalGeneration and Lfm2VlModel, transformers 4.57 and 5.24.
#include <cmath>
#include <string>
#include <vector>

#include <onnxport/blocks/norm.hpp>
#include <onnxport/families/merged_patches.hpp>
#include <onnxport/families/patched_images.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/vision_language.hpp>

using namespace onnxport::family;

namespace {

struct Lfm2VlConfig {
  explicit Lfm2VlConfig(const Config& c)
      : image_token(c.count("image_token_id", 396)),
        merge(c.size("downsample_factor", 2)),
        inner(c.size("projector_hidden_size", 2560)),
        activation(c.text("projector_hidden_act", "gelu")),
        bias(c.boolean("projector_bias", true)),
        norms(c.boolean("projector_use_layernorm", true)),
        text_width(c.section("text_config").size("hidden_size", 2560)),
        width(c.section("vision_config").size("hidden_size", 768)),
        channels(c.section("vision_config").size("num_channels", 3)),
        patch(c.section("vision_config").size("patch_size", 16)),
        places(c.section("vision_config").size("num_patches", 256)) {
    c.no_effect({"tie_word_embeddings", "tie_embedding"});
  }
  /// As SigLIP 2 takes them, of whole squares.
  PatchedImages images(const char* axis) const {
    const auto grid = static_cast<int64_t>(std::sqrt(static_cast<double>(places)));
    return {.batch = axis, .length = patch * patch * channels, .grid = grid / merge * merge, .step = merge};
  }
  int64_t image_token, merge, inner;
  std::string activation;
  bool bias, norms;
  int64_t text_width, width, channels, patch, places;
};

class Lfm2Vl final : public VisionLanguage {
 public:
  explicit Lfm2Vl(const Request& request) : Lfm2Vl(request, Lfm2VlConfig(request.config)) {}

  std::vector<AxisSize> axis_sizes() const override {
    std::vector<AxisSize> sizes = c.images(images).sizes();
    sizes.push_back({.axis = images, .usual = 2});
    sizes.push_back({.axis = image_sequence, .usual = 2});
    return sizes;
  }
  std::vector<DummyTensor> generate_dummy_inputs(const DummyRequest& request) const override {
    if (!request.part.empty() && request.part != "vision_encoder")
      return VisionLanguage::generate_dummy_inputs(request);
    const std::vector<int64_t> shapes = c.images(images).shapes(request);
    int64_t tokens = 0;
    for (size_t i = 0; i < shapes.size(); i += 2) tokens += shapes[i] * shapes[i + 1] / (c.merge * c.merge);
    std::vector<DummyTensor> made = c.images(images).dummies(request);
    for (DummyTensor& texts : texts_of(request, tokens)) made.push_back(std::move(texts));
    return made;
  }

 private:
  Lfm2Vl(const Request& request, const Lfm2VlConfig& config)
      : VisionLanguage(request, {.config = request.config.section("text_config"),
                                 .model_type = request.config.section("text_config").has("model_type") ? "" : "lfm2",
                                 .image_token = config.image_token,
                                 .prefixes = {{"model.", "model.language_model."},
                                              {"", ""},
                                              // A head that is not saved has the embedding's table.
                                              {"lm_head.weight", "model.language_model.embed_tokens.weight"}},
                                 .base_prefixes = {{"", "model.language_model."}, {"", "language_model."}}}),
        c(config),
        tower(request.config.section("vision_config"),
              {.model_type = request.config.section("vision_config").has("model_type") ? "" : "siglip2_vision_model"}) {
  }

  std::vector<TensorSpec> image_inputs() const override { return c.images(images).inputs(); }
  OutputSpec image_features() const override { return {"image_features", {{0, "image_sequence"}}}; }

  std::vector<Value> see(Graph& g, const Inputs& in) const override {
    Inputs given;
    for (const TensorSpec& spec : image_inputs()) given.emplace(spec.name, in.at(spec.name));
    const ComponentCall call{"",
                             "vision_tower",
                             "vision_",
                             {{"", "model.vision_tower."},
                              {"", "model.vision_tower.vision_model."},
                              {"", "vision_tower."},
                              {"", "vision_tower.vision_model."}},
                             {"last_hidden_state"}};
    const Value seen = tower(g, call, given).at("last_hidden_state");  // f[images, patches, width]

    const Scope s =
        first_with("linear_1.weight", {g.root() / "model.multi_modal_projector", g.root() / "multi_modal_projector"});
    const Value shapes = in.at("spatial_shapes").in(s);
    const Value begin = range(size_of(seen, 0)).in(s)*size_of(seen, 1);
    const Value source = patches_of_squares(s, {shapes, begin, c.merge});
    const int64_t together = c.merge * c.merge * c.width;
    Value x = reshape(gather(reshape(seen, {-1, c.width}), source), {-1, together}).in(s);
    if (c.norms) x = norm(s / "layer_norm", x, {.epsilon = 1e-5});
    x = activation(linear(s / "linear_1", x, {.out = c.inner, .bias = c.bias}), c.activation);
    return {linear(s / "linear_2", x, {.out = c.text_width, .bias = c.bias})};
  }

  const Lfm2VlConfig c;
  const Component tower;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.lfm2-vl",
    .name = "LFM2-VL",
    .models = {{.types = {"lfm2_vl"},
                .features = {"default", "vision2seq-lm", "vision2seq-lm-with-past"},
                .make = make<Lfm2Vl>}},
    .abi_minor_needed = 4,
})
