// SPDX-License-Identifier: Apache-2.0
// LLaVA and what came of it: an encoder of images and a decoder of texts, each of any type, and two layers between
// them. Source: LlavaModel, LlavaNextModel and LlavaOnevisionModel, transformers 4.57 and 5.24.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <map>
#include <string>
#include <vector>

#include <onnxport/families/feature_layers.hpp>
#include <onnxport/vision_language.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// What a type's config class says where a config does not.
struct LlavaDefaults {
  int64_t image_token = 32000;
  const char* strategy = "default";  ///< "full" keeps what the encoder has before the patches
  int64_t layer = -2, image_layers = 24, image = 336, patch = 14;
  const char *vision_type = "clip_vision_model", *text_type = "llama";
};

struct LlavaConfig {
  LlavaConfig(const Config& c, const LlavaDefaults& otherwise)
      : image_token(c.count("image_token_index", otherwise.image_token)),
        activation(c.text("projector_hidden_act", "gelu")),
        bias(c.boolean("multimodal_projector_bias", true)),
        keeps_first(c.choice("vision_feature_select_strategy", otherwise.strategy, {"default", "full"}) == "full"),
        layers(feature_layers(
            c, {otherwise.layer, c.section("vision_config").count("num_hidden_layers", otherwise.image_layers)})),
        text_width(c.section("text_config").size("hidden_size", 4096)),
        image(c.section("vision_config").size("image_size", otherwise.image)),
        patch(c.section("vision_config").size("patch_size", otherwise.patch)),
        channels(c.section("vision_config").size("num_channels", 3)) {
    c.no_effect({"image_seq_length", "tie_word_embeddings", "ignore_index", "vocab_size"});
  }
  int64_t side() const { return image / patch; }

  int64_t image_token;
  std::string activation;
  bool bias, keeps_first;
  std::vector<std::string> layers;  ///< steps that are read
  int64_t text_width, image, patch, channels;
};

/// How images are given, and how their vectors stand in a text, is the type's own matter.
class LlavaFamily : public VisionLanguage {
 protected:
  /// `config`: request.config with image_token_names.
  LlavaFamily(const Request& request, const Config& config, const LlavaDefaults& otherwise)
      : VisionLanguage(request, {.config = request.config.section("text_config"),
                                 .model_type = type_of(request.config.section("text_config"), otherwise.text_type),
                                 .image_token = LlavaConfig(config, otherwise).image_token}),
        c(config, otherwise),
        tower(request.config.section("vision_config"),
              {.model_type = type_of(request.config.section("vision_config"), otherwise.vision_type)}) {}

  /// pixels: f[images, channels, height, width] -> f[images, n, text width]
  Value vectors(Graph& g, const Value& pixels) const {
    Inputs given;
    given.emplace("pixel_values", pixels);
    const std::map<std::string, Value> states =
        tower(g, {"", "vision_tower", "vision_", tower_prefixes(), c.layers}, given);
    std::vector<Value> read;
    for (const std::string& name : c.layers)
      read.push_back(c.keeps_first ? states.at(name) : slice(states.at(name), {1, 1}));
    const Value seen = read.size() == 1 ? read[0] : concat(read, -1);
    const Scope projector =
        first_with("linear_1.weight", {g.root() / "multi_modal_projector", g.root() / "model.multi_modal_projector"});
    const LinearOptions out{.out = c.text_width, .bias = c.bias};
    return linear(projector / "linear_2", activation(linear(projector / "linear_1", seen, out), c.activation), out);
  }

  const LlavaConfig c;
  const Component tower;

 private:
  static std::string type_of(const Config& half, const char* otherwise) {
    return half.has("model_type") ? "" : otherwise;
  }
};

}  // namespace onnxport::family
