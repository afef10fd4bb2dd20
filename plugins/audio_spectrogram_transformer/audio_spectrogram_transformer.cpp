// SPDX-License-Identifier: Apache-2.0
// The audio spectrogram transformer: a vision transformer over overlapping patches of a spectrogram.
// Source: ASTModel and ASTForAudioClassification, transformers 4.30, 4.57 and 5.24.
#include <onnxport/audio_encoder.hpp>
#include <onnxport/families/vit.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::family;

namespace {

struct ASTConfig {
  explicit ASTConfig(const Config& c)
      : layers(c.count("num_hidden_layers", 12)),
        form{.hidden = c.size("hidden_size", 768),
             .heads = c.size("num_attention_heads", 12),
             .inner = c.size("intermediate_size", 3072),
             .activation = c.text("hidden_act", "gelu"),
             .epsilon = c.real("layer_norm_eps", 1e-12),
             .qkv_bias = c.boolean("qkv_bias", true)},
        patch(c.size("patch_size", 16)),
        stride(c.size("frequency_stride", 10), c.size("time_stride", 10)),
        frames(c.size("max_length", 1024)),
        mels(c.size("num_mel_bins", 128)) {
    require_multiple({"hidden_size", form.hidden}, {"num_attention_heads", form.heads});
    require_at_most({"patch_size", patch}, {"num_mel_bins", mels});
    require_at_most({"patch_size", patch}, {"max_length", frames});
  }

  int64_t patches() const { return ((mels - patch) / stride.height + 1) * ((frames - patch) / stride.width + 1); }

  int64_t layers;
  ViTLayer form;
  int64_t patch;
  Extent stride;
  int64_t frames, mels;
};

class ASTOnnxConfig final : public AudioEncoder {
 public:
  explicit ASTOnnxConfig(const Request& request) : AudioEncoder(request), c(request.config) {}

  std::string base_model_prefix() const override { return "audio_spectrogram_transformer"; }
  // Positions are learnt for one length, and recordings are padded or cut before.
  std::vector<TensorSpec> inputs() const override {
    return {input::features("input_values", {axis::batch, c.frames, c.mels})};
  }
  std::vector<OutputSpec> outputs() const override {
    if (task() == "default") return {{"last_hidden_state", {{0, axis::batch}}}};
    return AudioEncoder::outputs();
  }

 protected:
  AudioFeatures encode(const Scope& model, const Inputs& in) const override {
    const auto layer = [this](int64_t) { return c.form.form(); };
    Value x = embed(model / "embeddings", in.at("input_values")).in(model);
    x = transformer_layers(model / "encoder.layer", x, {c.layers, layer}, {});
    model.graph().mark("hidden_states." + std::to_string(c.layers), x);
    return {.last = norm(model / "layernorm", x, {.epsilon = c.form.epsilon})};
  }
  /// The mean of the two first tokens.
  Value pool(const Scope&, const AudioFeatures& made) const override {
    return (pick(made.last, 1, 0) + pick(made.last, 1, 1)) / 2.0;
  }
  Value classify(const Scope& model, const AudioFeatures& made) const override {
    const Scope head = model.graph().root() / "classifier";
    const Value read = norm(head / "layernorm", pool(model, made), {.epsilon = c.form.epsilon});
    return linear(head / "dense", read, {.out = labels()});
  }

 private:
  // f32[batch, frames, mels] -> f32[batch, 2 + patches, hidden]
  Value embed(const Scope& s, const Value& spectrogram) const {
    const Value image = unsqueeze(transpose(spectrogram.in(s), {0, 2, 1}), {1});
    const Value patches = conv2d(s / "patch_embeddings.projection", image,
                                 {.out = c.form.hidden, .kernel = c.patch, .stride = c.stride, .in = 1})
                              .in(s);
    const std::vector<int64_t> token{1, 1, c.form.hidden};
    const Value x = prepend({s.weight("cls_token", token), s.weight("distillation_token", token)}, tokens_of(patches));
    return x + s.weight("position_embeddings", {1, c.patches() + 2, c.form.hidden});
  }

  const ASTConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.audio-spectrogram-transformer",
    .name = "Audio spectrogram transformer",
    .models = {{.types = {"audio-spectrogram-transformer"},
                .features = {"default", "audio-classification"},
                .make = make<ASTOnnxConfig>}},
})
