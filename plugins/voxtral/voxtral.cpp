// SPDX-License-Identifier: Apache-2.0
// Voxtral: Whisper's encoder of speech, of which some places in a row become a vector, before a Llama. Source:
// VoxtralForConditionalGeneration, transformers 4.57 and 5.24.
#include <onnxport/plugin.hpp>
#include <onnxport/vision_language.hpp>

using namespace onnxport::sdk;

namespace {

struct VoxtralConfig {
  explicit VoxtralConfig(const Config& c)
      : audio_token(c.count("audio_token_id", 24)),
        text_width(c.section("text_config").size("hidden_size", 3072)),
        row(c.section("audio_config").size("intermediate_size", 5120)),
        width(c.section("audio_config").size("hidden_size", 1280)),
        positions(c.section("audio_config").size("max_source_positions", 1500)),
        activation(c.text("projector_hidden_act", "gelu")) {
    c.no_effect({"hidden_size", "tie_word_embeddings", "vocab_size"});
    require_multiple({"audio_config.max_source_positions · hidden_size", positions * width},
                     {"intermediate_size", row});
  }
  int64_t audio_token, text_width, row, width, positions;
  std::string activation;

  /// How many vectors become of a recording.
  int64_t vectors() const { return positions * width / row; }
};

class Voxtral final : public SpeechLanguage {
 public:
  explicit Voxtral(const Request& request) : Voxtral(request, VoxtralConfig(request.config)) {}

  std::vector<AxisSize> axis_sizes() const override { return {{.axis = sounds, .usual = 1}}; }

 private:
  Voxtral(const Request& request, const VoxtralConfig& config)
      : SpeechLanguage(request, {.config = request.config.section("text_config"),
                                 .model_type = request.config.section("text_config").has("model_type") ? "" : "llama"}),
        c(config),
        tower(request.config.section("audio_config"), {.model_type = "voxtral_encoder"}),
        features(*tower.part().input("input_features")) {
    features.shape.at(0) = Dim(sounds);
  }

  std::vector<Sense> further_senses(const std::map<std::string, int64_t>& sizes) const override {
    return {{.part = "audio_encoder",
             .inputs = {features},
             .features = {"audio_features", {{0, "audio_sequence"}}},
             .token = c.audio_token,
             .perceive = [this](Graph& g, const Inputs& in) { return hear(g, in); },
             .vectors = length(sizes, sounds) * c.vectors()}};
  }

  /// -> f[n, text width]
  Value hear(Graph& g, const Inputs& in) const {
    Inputs given;
    given.emplace("input_features", in.at("input_features"));
    const ComponentCall call{
        "", "audio_tower", "audio_", {{"", "audio_tower."}, {"", "model.audio_tower."}}, {"last_hidden_state"}};
    const Value heard = reshape(tower(g, call, given).at("last_hidden_state"), {-1, c.row});
    const Scope projector =
        first_with("linear_1.weight", {g.root() / "multi_modal_projector", g.root() / "model.multi_modal_projector"});
    const LinearOptions layer{.out = c.text_width, .bias = false};
    return linear(projector / "linear_2", activation(linear(projector / "linear_1", heard, layer), c.activation),
                  layer);
  }

  static constexpr const char* sounds = "sounds";
  const VoxtralConfig c;
  const Component tower;
  TensorSpec features;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.voxtral",
    .name = "Voxtral",
    .models = {{.types = {"voxtral"}, .features = {"speech2seq-lm", "speech2seq-lm-with-past"}, .make = make<Voxtral>}},
    .abi_minor_needed = 4,
})
