// SPDX-License-Identifier: Apache-2.0
// PaliGemma: SigLIP's encoder of images, a layer, and a Gemma. Source: PaliGemmaForConditionalGeneration and
// PaliGemmaModel, transformers 4.57 and 5.24. Vectors of images are as 5.24 has them, which scales the words' before
// the decoder and not within it.
#include <onnxport/plugin.hpp>
#include <onnxport/vision_language.hpp>

using namespace onnxport::sdk;

namespace {

struct PaliGemmaConfig {
  explicit PaliGemmaConfig(const Config& c)
      : image_token(c.count("image_token_index", 256000)),
        projected(c.size("projection_dim", 2048)),
        image(c.section("vision_config").size("image_size", 224)),
        patch(c.section("vision_config").size("patch_size", 14)),
        channels(c.section("vision_config").size("num_channels", 3)) {
    c.no_effect({"vocab_size", "hidden_size", "ignore_index", "tie_word_embeddings", "_vocab_size"});
    c.section("text_config").no_effect({"num_image_tokens"});
  }
  int64_t image_token, projected, image, patch, channels;
};

class PaliGemma final : public VisionLanguage {
 public:
  explicit PaliGemma(const Request& request)
      : PaliGemma(request, PaliGemmaConfig(request.config.with_names(image_token_names))) {}

  std::vector<AxisSize> axis_sizes() const override { return axes_of_square_images(c.channels, c.image); }

 private:
  PaliGemma(const Request& request, const PaliGemmaConfig& config)
      : VisionLanguage(request, {.config = request.config.section("text_config"),
                                 .model_type = request.config.section("text_config").has("model_type") ? "" : "gemma",
                                 .options = {{"attention", request.options.text("attention", "causal")}},
                                 .image_token = config.image_token}),
        c(config),
        tower(request.config.section("vision_config"), {.model_type = "siglip_vision_model"}) {}

  OutputSpec image_features() const override { return {"image_features", {{0, images}, {1, "image_sequence"}}}; }
  int64_t vectors_of(const std::map<std::string, int64_t>& sizes) const override {
    return length(sizes, images) * (c.image / c.patch) * (c.image / c.patch);
  }

  std::vector<Value> see(Graph& g, const Inputs& in) const override {
    const Value seen = look(g, tower, in);
    const Scope projector =
        first_with("linear.weight", {g.root() / "multi_modal_projector", g.root() / "model.multi_modal_projector"});
    return {linear(projector / "linear", seen, {.out = c.projected})};
  }

  const PaliGemmaConfig c;
  const Component tower;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.paligemma",
    .name = "PaliGemma",
    .models = {{.types = {"paligemma"},
                .features = {"default", "vision2seq-lm", "vision2seq-lm-with-past"},
                .make = make<PaliGemma>}},
    .abi_minor_needed = 4,
})
