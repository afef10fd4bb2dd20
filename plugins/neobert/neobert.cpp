// SPDX-License-Identifier: Apache-2.0
// NeoBERT: Llama's layers read in both directions, with the heads of BERT. Source: NeoBERT, NeoBERTLMHead and
// NeoBERTForSequenceClassification, model.py that its checkpoints bring along, as of chandar-lab/NeoBERT.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary.hpp>

using namespace onnxport::sdk;

namespace {

struct NeoBertConfig {
  explicit NeoBertConfig(const Config& c)
      : vocab(c.size("vocab_size", 30522)),
        hidden(c.size("hidden_size", 768)),
        inner(gated_width(c.size("intermediate_size", 3072))),
        layers(c.count("num_hidden_layers", 28)),
        heads(c.size("num_attention_heads", 12)),
        longest(c.size("max_length", 1024)),
        norm{.kind = c.boolean("rms_norm", true) ? Norm::Kind::rms : Norm::Kind::layer,
             .epsilon = c.real("norm_eps", 1e-6)},
        tied(c.boolean("tie_word_embeddings", false), true),
        rotary(c.none(), hidden / heads) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    // Options of its other trainings, none of which was published.
    c.choice("hidden_act", "swiglu", {"swiglu", "SwiGLU"});
    if (!c.boolean("rope", true))
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'rope' is false; places that are learnt are not supported");
    if (c.boolean("ngpt", false))
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'ngpt' is true; layers on the unit sphere are not supported");
    c.no_effect({"dim_head", "kwargs", "flash_attention", "max_position_embeddings", "dropout", "base_scale",
                 "embedding_init_range", "encoder_init_range", "decoder_init_range", "classifier_init_range",
                 "pretrained_model_name_or_path", "trust_remote_code"});
  }

  /// Two thirds of what the config states, in eights: a gate beside the width costs as much as a plain layer.
  static int64_t gated_width(int64_t stated) { return (2 * stated / 3 + 7) / 8 * 8; }

  int64_t vocab, hidden, inner, layers, heads, longest;
  Norm norm;
  Tie tied;
  Rotary rotary;
};

class NeoBertOnnxConfig final : public TextEncoder {
 public:
  explicit NeoBertOnnxConfig(const Request& request) : TextEncoder(request), c(request.config) {}

 private:
  TextEncoderTraits traits() const override {
    return {.base = "model", .vocab = c.vocab, .pooler = false, .max_positions = c.longest};
  }

  Value encode(const Scope& s, const Text& text) const override {
    if (c.tied) s.graph().stand_in(s / "encoder", s.graph().root() / "decoder");
    const Value x = embedding(s / "encoder", text.ids, {c.vocab, c.hidden});
    const Value positions = unsqueeze(range(size_of(text.ids, 1)), {0}).in(s / "rotary_emb");
    const Scope layers = s / "transformer_encoder";
    const bool fused = (layers / 0 / "ffn" / "w12").has("weight");
    const Value y = transformer_layers(layers, x, {c.layers, [&](int64_t) { return layer(fused); }},
                                       {.mask = text.mask, .angles = c.rotary.angles(positions)});
    return s.graph().mark("hidden_states." + std::to_string(c.layers), norm(s / "layer_norm", y, c.norm));
  }

  /// `fused`: whether one matrix makes both halves of the gated layer, as published; some trainings have two.
  TransformerLayer layer(bool fused) const {
    return {.attention_at = "",
            .feed_forward_at = "ffn",
            .attention = {.heads = c.heads,
                          .head_size = c.hidden / c.heads,
                          .projections = {.packing = Projections::Packing::groups, .fused = "qkv", .output = "wo"},
                          .interleaved = true},
            .feed_forward = {.inner = c.inner,
                             .activation = "silu",
                             .up = "w2",
                             .down = "w3",
                             .gate = fused ? "" : "w1",
                             .gate_up = fused ? "w12" : ""},
            .attention_branch = {.norm = c.norm, .name = "attention_norm"},
            .feed_forward_branch = {.norm = c.norm, .name = "ffn_norm"}};
  }

  TextHeads text_heads() const override {
    return {.words = [this](const Encoded& at) { return words(at); },
            .summary = [this](const Encoded& at) { return summary(at); }};
  }

  Value words(const Encoded& at) const {
    const TiedLinear decoder{at.base.graph().root() / "decoder", at.base / "encoder", c.tied};
    return linear(decoder, at.hidden, {.out = c.vocab});
  }

  /// What the first token says of the text: f[batch, hidden].
  Value summary(const Encoded& at) const {
    return tanh(linear(at.base.graph().root() / "dense", pick(at.hidden, 1, 0), {.out = c.hidden}));
  }

  const NeoBertConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.neobert",
    .name = "NeoBERT",
    .models = {{.types = {"neobert"},
                .features = {"default", "masked-lm", "sequence-classification"},
                .architectures = {{"NeoBERT", "default"}, {"NeoBERTLMHead", "masked-lm"}},
                .make = make<NeoBertOnnxConfig>}},
})
