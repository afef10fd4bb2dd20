// SPDX-License-Identifier: Apache-2.0
// SEW-D: SEW with the layers of DeBERTa-v2. Source: SEWDModel and its heads, transformers 4.57 (modeling_sew_d.py), and
// 5.24 for padding.
#include <onnxport/families/deberta_layer.hpp>
#include <onnxport/families/squeezed_speech.hpp>

using namespace onnxport::family;

namespace {

class SEWD final : public SqueezedSpeechEncoder {
 public:
  explicit SEWD(const Request& request)
      : SqueezedSpeechEncoder(request, {.wav2vec2 = {.activation = "gelu_python", .epsilon = 1e-7},
                                        .frames_epsilon = "feature_layer_norm_eps"}),
        relative(request.config.boolean("relative_attention", true)),
        padding_sees(request.config.written_since(5, 0)),
        distances(distances_of(request.config)) {
    const int64_t width = c.hidden / c.heads;
    require_equal({"attention_head_size", request.config.size("attention_head_size", width)},
                  {"hidden_size / num_attention_heads", width});
    require_equal({"conv_kernel_size", request.config.count("conv_kernel_size", 0)}, {"what the reference can run", 0});
  }
  std::string base_model_prefix() const override { return "sew_d"; }

 private:
  DebertaV2Distances distances_of(const Config& config) const {
    std::vector<std::string> types{"p2c", "c2p"}, norms{"layer_norm"};
    if (config.has("pos_att_type")) types = words_of(config, "pos_att_type");
    if (config.has("norm_rel_ebd")) norms = words_of(config, "norm_rel_ebd");
    const auto has = [](const std::vector<std::string>& words, const char* word) {
      return std::find(words.begin(), words.end(), word) != words.end();
    };
    const int64_t positions = config.size("max_position_embeddings", 512),
                  farthest = config.integer("max_relative_positions", -1);
    return {.hidden = c.hidden,
            .heads = c.heads,
            .epsilon = c.epsilon,
            .max_distance = farthest < 1 ? positions : farthest,
            .position_buckets = config.integer("position_buckets", 256),
            .shares_projections = config.boolean("share_att_key", true),
            .normed = has(norms, "layer_norm"),
            .by_key = has(types, "c2p"),
            .by_query = has(types, "p2c")};
  }

  Value layers(const Scope& encoder, const Frames& squeezed, std::vector<Value>& kept) const override {
    const Scope s = encoder / "encoder";
    DebertaGiven given{.mask = squeezed.mask};
    // To version 4 what is padding sees nothing; the squeeze lets it stand beside the last frames that count.
    if (squeezed.mask && !padding_sees) given.counts = unsqueeze(cast(squeezed.mask, DType::f32), {2}).in(s);
    if (relative) {
      given.positions = distances.vectors(s);
      given.rows = distance_rows(size_of(squeezed.hidden, 1), distances.buckets());
    } else {
      s.graph().unused((s / "LayerNorm.*").path());
    }
    const DebertaLayer form{.hidden = c.hidden,
                            .heads = c.heads,
                            .inner = c.inner,
                            .activation = c.activation,
                            .epsilon = c.epsilon,
                            .terms = distances.terms(),
                            .attending = [this](const Scope& self, const Value& x, const Value& positions) {
                              return distances.attending(self, x, positions);
                            }};
    return run_layers(c.layers, squeezed.hidden, kept, [&](int64_t i, const Value& h) {
      given.probabilities = "attentions." + std::to_string(i);
      return deberta_layer(s / "layer" / i, h, form, given);
    });
  }

  const bool relative, padding_sees;
  const DebertaV2Distances distances;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.sew_d",
    .name = "SEW-D",
    .models = {{.types = {"sew-d"},
                .features = {"default", "ctc", "audio-classification"},
                .architectures = {{"SEWDForSequenceClassification", "audio-classification"}},
                .make = make<SEWD>}},
})
