// SPDX-License-Identifier: Apache-2.0
// Gemma 3 with images: SigLIP's encoder, whose patches are averaged to fewer tokens, and the decoder of gemma3_text.
// Source: Gemma3ForConditionalGeneration, transformers 4.57 and 5.24, as its forward() runs without token_type_ids.
#include <cmath>

#include <onnxport/plugin.hpp>
#include <onnxport/vision_language.hpp>

using namespace onnxport::sdk;

namespace {

struct Gemma3Config {
  explicit Gemma3Config(const Config& c)
      : image_token(c.count("image_token_index", 262144)),
        tokens(c.size("mm_tokens_per_image", 256)),
        text_width(c.section("text_config").size("hidden_size", 2304)),
        image(c.section("vision_config").size("image_size", 224)),
        patch(c.section("vision_config").size("patch_size", 16)),
        channels(c.section("vision_config").size("num_channels", 3)),
        epsilon(c.section("vision_config").real("layer_norm_eps", 1e-6)),
        patches(image / patch),
        side(static_cast<int64_t>(std::sqrt(static_cast<double>(tokens)))) {
    c.no_effect({"boi_token_index", "eoi_token_index", "boi_token_id", "eoi_token_id", "tie_word_embeddings"});
    if (side > patches) {
      throw Error(ONNXPORT_CONFIG, "config field 'mm_tokens_per_image' is " + std::to_string(tokens) +
                                       "; an image has " + std::to_string(patches * patches) + " patches");
    }
  }
  int64_t image_token, tokens, text_width, image, patch, channels;
  double epsilon;
  int64_t patches, side;  // of patches and of tokens, on a side
};

class Gemma3 final : public VisionLanguage {
 public:
  explicit Gemma3(const Request& request)
      : Gemma3(request, Gemma3Config(request.config.with_names(image_token_names))) {}

  std::vector<AxisSize> axis_sizes() const override { return axes_of_square_images(c.channels, c.image); }

 private:
  Gemma3(const Request& request, const Gemma3Config& config)
      : VisionLanguage(request, {.config = request.config.section("text_config"),
                                 .model_type = "gemma3_text",
                                 .image_token = config.image_token}),
        c(config),
        tower(request.config.section("vision_config"), {.model_type = "siglip_vision_model"}) {}

  int64_t vectors_of(const std::map<std::string, int64_t>& sizes) const override {
    return length(sizes, images) * c.side * c.side;
  }

  std::vector<Value> see(Graph& g, const Inputs& in) const override {
    const Value seen = look(g, tower, in);
    const Scope projector = first_with("mm_input_projection_weight",
                                       {g.root() / "multi_modal_projector", g.root() / "model.multi_modal_projector"});
    const int64_t width = seen.fixed(-1), window = c.patches / c.side;
    const Value image = reshape(transpose(seen, {0, 2, 1}), {0, width, c.patches, c.patches});
    const Value pooled =
        g.op("AveragePool", {image.in(projector)}, {{"kernel_shape", {window, window}}, {"strides", {window, window}}});
    const int64_t across = c.patches / window;
    const Value rows = transpose(reshape(pooled, {0, width, across * across}), {0, 2, 1});
    const Value normed =
        norm(projector / "mm_soft_emb_norm", rows, {.kind = Norm::Kind::rms, .epsilon = c.epsilon, .offset = 1});
    return {matmul(normed, projector.weight("mm_input_projection_weight", {width, c.text_width}))};
  }

  const Gemma3Config c;
  const Component tower;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.gemma3",
    .name = "Gemma 3 with images",
    .models = {{.types = {"gemma3"}, .features = {"vision2seq-lm", "vision2seq-lm-with-past"}, .make = make<Gemma3>}},
    .abi_minor_needed = 4,
})
