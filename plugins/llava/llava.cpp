// SPDX-License-Identifier: Apache-2.0
// LLaVA: an encoder of images and a decoder of texts, each of any type, and two layers between them.
// Source: LlavaForConditionalGeneration, transformers 4.57 and 5.24.
#include <onnxport/families/feature_layers.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/vision_language.hpp>

using namespace onnxport::family;

namespace {

struct LlavaConfig {
  explicit LlavaConfig(const Config& c)
      : image_token(c.count("image_token_index", 32000)),
        activation(c.text("projector_hidden_act", "gelu")),
        bias(c.boolean("multimodal_projector_bias", true)),
        keeps_class(c.choice("vision_feature_select_strategy", "default", {"default", "full"}) == "full"),
        layers(
            feature_layers(c, {.otherwise = -2, .count = c.section("vision_config").count("num_hidden_layers", 24)})),
        text_width(c.section("text_config").size("hidden_size", 4096)),
        image(c.section("vision_config").size("image_size", 336)),
        patch(c.section("vision_config").size("patch_size", 14)),
        channels(c.section("vision_config").size("num_channels", 3)) {
    c.no_effect({"image_seq_length", "tie_word_embeddings", "ignore_index", "vocab_size"});
  }
  int64_t image_token;
  std::string activation;
  bool bias, keeps_class;
  std::vector<std::string> layers;  // steps that are read
  int64_t text_width, image, patch, channels;
};

class Llava final : public VisionLanguage {
 public:
  explicit Llava(const Request& request) : Llava(request, request.config.with_names(image_token_names)) {}

  std::vector<AxisSize> axis_sizes() const override { return axes_of_square_images(c.channels, c.image); }

 private:
  Llava(const Request& request, const Config& config)
      : VisionLanguage(request, {.config = request.config.section("text_config"),
                                 .model_type = request.config.section("text_config").has("model_type") ? "" : "llama",
                                 .image_token = LlavaConfig(config).image_token}),
        c(config),
        tower(request.config.section("vision_config"),
              {.model_type = request.config.section("vision_config").has("model_type") ? "" : "clip_vision_model"}) {}

  OutputSpec image_features() const override { return {"image_features", {{0, images}, {1, "image_sequence"}}}; }
  int64_t vectors_of(const std::map<std::string, int64_t>& sizes) const override {
    const int64_t side = c.image / c.patch;
    return length(sizes, images) * (side * side + (c.keeps_class ? 1 : 0));
  }

  std::vector<Value> see(Graph& g, const Inputs& in) const override {
    const ComponentCall call{"", "vision_tower", "vision_", tower_prefixes(), c.layers};
    Inputs pixels;
    pixels.emplace("pixel_values", in.at("pixel_values"));
    const std::map<std::string, Value> states = tower(g, call, pixels);
    std::vector<Value> read;
    for (const std::string& name : c.layers)
      read.push_back(c.keeps_class ? states.at(name) : slice(states.at(name), {1, 1}));
    const Value seen = read.size() == 1 ? read[0] : concat(read, -1);
    const Scope projector =
        first_with("linear_1.weight", {g.root() / "multi_modal_projector", g.root() / "model.multi_modal_projector"});
    const LinearOptions out{.out = c.text_width, .bias = c.bias};
    return {linear(projector / "linear_2", activation(linear(projector / "linear_1", seen, out), c.activation), out)};
  }

  const LlavaConfig c;
  const Component tower;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.llava",
    .name = "LLaVA",
    .models = {{.types = {"llava"}, .features = {"vision2seq-lm", "vision2seq-lm-with-past"}, .make = make<Llava>}},
    .abi_minor_needed = 4,
})
