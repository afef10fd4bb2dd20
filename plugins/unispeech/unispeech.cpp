// SPDX-License-Identifier: Apache-2.0
// UniSpeech and UniSpeech-SAT: wav2vec 2.0 that was trained otherwise. Source: UniSpeechModel, UniSpeechSatModel and
// their heads, transformers 4.57 (modeling_unispeech.py, modeling_unispeech_sat.py).
#include <onnxport/families/speech_codebook.hpp>
#include <onnxport/families/wav2vec2.hpp>

using namespace onnxport::family;

namespace {

class UniSpeech final : public Wav2Vec2Transformer {
 public:
  explicit UniSpeech(const Request& request) : Wav2Vec2Transformer(request), books(request.config) {
    request.config.no_effect({"num_ctc_classes", "replace_prob"});
  }
  std::string base_model_prefix() const override { return "unispeech"; }
  std::vector<OutputSpec> outputs() const override {
    return task() == "pretraining" ? codebook_outputs() : Wav2Vec2Transformer::outputs();
  }

 private:
  // Some frames are replaced by what the codebooks hold, at random, for a loss alone.
  Outputs pretrain(const Scope& model, const AudioFeatures& made) const override {
    const Scope root = model.graph().root();
    root.graph().unused("ctc_proj.*");
    const Quantized quantized = quantize(root / "quantizer", made.front, books);
    const Value compared = linear(root / "project_q", quantized.vectors, {.out = books.projected});
    return {{"projected_states", made.last},
            {"projected_quantized_states", linear(root / "project_hid", compared, {.out = c.hidden})},
            {"codevector_perplexity", quantized.perplexity}};
  }

  const Codebooks books;
};

class UniSpeechSat final : public Wav2Vec2Transformer {
 public:
  explicit UniSpeechSat(const Request& request) : Wav2Vec2Transformer(request), books(request.config) {
    request.config.no_effect({"num_clusters"});
  }
  std::string base_model_prefix() const override { return "unispeech_sat"; }
  std::vector<OutputSpec> outputs() const override {
    if (task() != "pretraining") return Wav2Vec2Transformer::outputs();
    const std::map<int, std::string> frames{{0, axis::batch}, {1, axis::sequence}};
    return {{"logits", frames}, {"projected_states", frames}};
  }

 private:
  // The class has weights for a loss that it does not compute.
  Outputs pretrain(const Scope& model, const AudioFeatures& made) const override {
    for (const char* left : {"quantizer.*", "project_q.*", "project_hid.*", "speaker_proj.*", "label_embeddings_concat",
                             "layer_norm_for_extract.*"})
      model.graph().unused(left);
    return {{"logits", made.front}, {"projected_states", made.last}};
  }

  const Codebooks books;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.unispeech",
    .name = "UniSpeech",
    .models = {{.types = {"unispeech"},
                .features = {"default", "ctc", "audio-classification", "pretraining"},
                .architectures = {{"UniSpeechForSequenceClassification", "audio-classification"}},
                .make = make<UniSpeech>},
               {.types = {"unispeech-sat"},
                .features = {"default", "ctc", "audio-classification", "audio-frame-classification", "audio-xvector",
                             "pretraining"},
                .architectures = {{"UniSpeechSatForSequenceClassification", "audio-classification"}},
                .make = make<UniSpeechSat>}},
})
