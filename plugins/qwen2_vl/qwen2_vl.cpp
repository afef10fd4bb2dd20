// SPDX-License-Identifier: Apache-2.0
// Qwen2-VL, Qwen2.5-VL, Qwen3-VL, with experts or without, and Qwen 3.5: encoders of images and videos of any size, and
// decoders whose positions have three axes, which are given. Source: Qwen2VLForConditionalGeneration,
// Qwen2_5_VLForConditionalGeneration, Qwen3VLForConditionalGeneration and Qwen3_5ForConditionalGeneration,
// transformers 4.57 and 5.24.
#include <onnxport/deep_images.hpp>
#include <onnxport/packed_vision_language.hpp>

#include "vision.hpp"

using namespace qwen_vl;

namespace {

class QwenVl final : public PackedVisionLanguage {
 public:
  explicit QwenVl(const Request& request) : QwenVl(request, row_of(generations, request.model_type)) {}

 private:
  QwenVl(const Request& request, const Generation& of)
      : PackedVisionLanguage(request, half_of(request, of)),
        vision(request.config.section("vision_config"), of),
        c(vision.config()),
        grid_name_(request.options.text("image_features", "apart") == "packed" ? of.client_grid : whole_grid) {
    request.config.no_effect(
        {"video_token_id", "vision_start_token_id", "vision_end_token_id", "vision_token_id", "tie_word_embeddings"});
  }

  /// Published configs have the text's fields at their top.
  static LanguageHalf half_of(const Request& request, const Generation& of) {
    const bool apart = request.config.has("text_config");
    return {.config = apart ? request.config.section("text_config") : request.config,
            .model_type = of.text_type,
            .options = of.plain_text ? std::map<std::string, std::string>{{"position_axes", "3"}}
                                     : std::map<std::string, std::string>{},
            .image_token = request.config.count("image_token_id", of.image_token),
            .prefixes = {{"model.", of.text_at},
                         {"model.", of.text_also},
                         {"", ""},
                         // A head that is not saved has the embedding's table.
                         {"lm_head.weight", std::string(of.text_at) + "embed_tokens.weight"},
                         {"lm_head.weight", std::string(of.text_also) + "embed_tokens.weight"}}};
  }

  std::map<std::string, std::string> names_of_vision_encoder() const override { return {{whole_grid, grid_name_}}; }
  int64_t merge() const override { return c.merge; }
  PackedPatch patch() const override { return c.patches(); }
  std::vector<OutputSpec> further_features() const override {
    std::vector<OutputSpec> specs;
    for (size_t i = 0; i < c.deep.size(); ++i)
      specs.push_back({deepstack_features(static_cast<int64_t>(i)), {{0, "image_sequence"}}});
    return specs;
  }

  std::vector<Value> see(Graph& g, const Inputs& in) const override {
    const Scope model = first_with("patch_embed.proj.weight", {g.root() / "visual", g.root() / "model.visual"});
    Seen seen = vision(model, in.at("pixel_values"), in.at("image_grid_thw"));
    seen.deep.insert(seen.deep.begin(), seen.tokens);
    return seen.deep;
  }

  const VisionEncoder vision;
  const VisionConfig& c;
  const std::string grid_name_;  // of the graph of images alone
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.qwen2-vl",
    .name = "Qwen2-VL, Qwen2.5-VL, Qwen3-VL and Qwen 3.5",
    .models = {{.types = {"qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe"},
                .features = {"default", "vision2seq-lm", "vision2seq-lm-with-past"},
                .make = make<QwenVl>},
               {.types = {"qwen3_5", "qwen3_5_moe"},
                .features = {"vision2seq-lm", "vision2seq-lm-with-past"},
                .make = make<QwenVl>}},
    .abi_minor_needed = 4,
})
