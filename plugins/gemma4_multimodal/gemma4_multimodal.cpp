// SPDX-License-Identifier: Apache-2.0
// Gemma 4 with images and sound, before the decoder of gemma4_text. Source: Gemma4ForConditionalGeneration and
// Gemma4Model, transformers 5.24, as their forward() runs without mm_token_type_ids.
#include <onnxport/families/gemma4_senses.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/vision_language.hpp>

using namespace onnxport::family;

namespace {

class Gemma4 final : public VisionLanguage {
 public:
  explicit Gemma4(const Request& request) : Gemma4(request, Gemma4Senses(request.config, true)) {}

  std::vector<AxisSize> axis_sizes() const override { return senses.axis_sizes(); }

  std::vector<DummyTensor> generate_dummy_inputs(const DummyRequest& request) const override {
    std::vector<DummyTensor> made = VisionLanguage::generate_dummy_inputs(request);
    for (DummyTensor& tensor : senses.dummies(request)) made.push_back(std::move(tensor));
    return made;
  }

 private:
  Gemma4(const Request& request, const Gemma4Senses& read)
      : VisionLanguage(request,
                       {.config = request.config.section("text_config"),
                        .model_type = request.config.section("text_config").has("model_type") ? "" : "gemma4_text",
                        .image_token = read.image_token,
                        .prefixes = {{"model.", "model.language_model."},
                                     {"", ""},
                                     {"lm_head.weight", "model.language_model.embed_tokens.weight"}}}),
        senses(read) {
    request.config.no_effect({"tie_word_embeddings"});
    sees = !request.config.is_null("vision_config");
  }

  std::vector<TensorSpec> image_inputs() const override { return senses.image_inputs(Gemma4Senses::places); }
  std::map<std::string, std::string> names_of_vision_encoder() const override {
    return {{Gemma4Senses::places, Gemma4Senses::own_places}};
  }
  OutputSpec image_features() const override { return Gemma4Senses::image_features(); }
  int64_t vectors_of(const std::map<std::string, int64_t>& sizes) const override { return senses.image_vectors(sizes); }

  std::vector<Sense> further_senses(const std::map<std::string, int64_t>& sizes) const override {
    if (!senses.audio) return {};
    return {{.part = "audio_encoder",
             .inputs = senses.sound_inputs(),
             .features = Gemma4Senses::audio_features(),
             .token = senses.audio_token,
             .perceive = [this](Graph& g, const Inputs& in) { return senses.hear(base_of(g), in); },
             .vectors = senses.audio_vectors(sizes)}};
  }

  Value words_of(const Value& ids) const override { return senses.words_of(ids); }

  std::vector<Value> see(Graph& g, const Inputs& in) const override {
    if (!sees) {
      throw Error(ONNXPORT_CONFIG,
                  "config field 'vision_config' is null: such a model reads texts alone; write a config.json of its "
                  "text_config, which is of a type of its own");
    }
    return {senses.see(base_of(g), in.at(Gemma4Senses::pixels), in.at(Gemma4Senses::places))};
  }

  /// The encoders stand at the root of the base model's own files.
  static Scope base_of(Graph& g) {
    return (g.root() / "embed_vision.embedding_projection").has("weight") ? g.root() : g.root() / "model";
  }

  const Gemma4Senses senses;
  bool sees;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.gemma4-multimodal",
    .name = "Gemma 4 with images and sound",
    .models =
        {{.types = {"gemma4"},
          .features = {"default", "vision2seq-lm", "vision2seq-lm-with-past"},
          .known_gaps = {{.option = "text_config.use_bidirectional_attention=\"vision\"",
                          .reason = "tokens of an image look back only, as where mm_token_type_ids are not given"}},
          .make = make<Gemma4>}},
    .abi_minor_needed = 4,
})
