// SPDX-License-Identifier: Apache-2.0
// GTE: BERT with rotary positions and gated feed-forwards. Source: GteModel and its heads, transformers 5.24
// (modeling_gte.py), and NewModel and its heads (model_type "new"), the code that the first checkpoints bring along.
#include <onnxport/families/rotary_bert.hpp>

using namespace onnxport::family;

namespace {

const RotaryBertNames own_names{};
const RotaryBertNames published_names{.layers = "encoder.layer",
                                      .attention = "attention",
                                      .fused = "qkv_proj",
                                      .attention_norm = "attn_ln",
                                      .feed_forward_norm = "mlp_ln"};

/// What the two classes do otherwise, whose checkpoints have the same names.
struct Family {
  const char* type;
  const char* base;
  int64_t vocab, segments;  // defaults of the config class
  double theta;
  bool is_first;  // only published names; the head of words has the config's activation, not gelu
};
constexpr Family families[] = {
    {"gte", "gte", 250048, 1, 160000, false},
    {"new", "new", 30528, 1, 10000, true},
};

/// The config field rope_scaling of the first checkpoints: {"type": "ntk", "factor": 8}. The base is multiplied by the
/// factor, and all frequencies divided by its root. Source: NTKScalingRotaryEmbedding.
struct Stretched {
  Stretched(const Config& c, const Family& family, int64_t head_size)
      : theta(c.real("rope_theta", family.theta)), is_ntk(c.section("rope_scaling").text("type", "") == "ntk") {
    if (!is_ntk) return;
    const Config scaling = c.section("rope_scaling");
    if (scaling.has("mixed_b")) {
      throw Error(
          ONNXPORT_UNSUPPORTED,
          "config field 'rope_scaling.mixed_b' is given, which stretches frequencies unequally; only one factor "
          "for all is supported");
    }
    const double factor = scaling.real("factor", 1);
    if (factor <= 1) return;
    theta *= factor;
    by = std::pow(factor, 2 / static_cast<double>(head_size));
  }
  Rotary rotary(const Config& c, int64_t head_size) const {
    return {is_ntk ? c.none() : c, head_size, RotaryFields{.theta = theta, .slowed = by}};
  }
  double theta;
  bool is_ntk;
  double by = 1;
};

class GteOnnxConfig final : public TextEncoder {
 public:
  explicit GteOnnxConfig(const Request& request)
      : TextEncoder(request), family(row_of(families, request.model_type)), bert(bert_of(request.config)) {
    const Config& c = request.config;
    for (const char* field : {"logn_attention_scale", "logn_attention_clip1"}) {
      if (c.boolean(field, false)) {
        throw Error(ONNXPORT_UNSUPPORTED, std::string("config field '") + field +
                                              "' is true: scores that grow with a text's length are not supported");
      }
    }
    c.choice("position_embedding_type", "rope", {"rope"});
    c.choice("layer_norm_type", "layer_norm", {"layer_norm"});
    c.no_effect({"pack_qkv", "unpad_inputs", "use_memory_efficient_attention"});
  }

 private:
  RotaryBert bert_of(const Config& c) const {
    const RotaryBertDefaults defaults{.vocab = family.vocab, .segments = family.segments, .head_dim = !family.is_first};
    const int64_t head_size = RotaryBert::head_size_of(c, defaults);
    return {c, defaults, Stretched(c, family, head_size).rotary(c, head_size)};
  }

  TextEncoderTraits traits() const override {
    return {.base = family.base, .vocab = bert.vocab, .segments = bert.segments, .pooler = false};
  }

  Value encode(const Scope& s, const Text& text) const override {
    const bool is_own = !family.is_first && (s / "layers.0.mlp.gate_proj").has("weight");
    const RotaryBertNames& names = is_own ? own_names : published_names;
    TransformerLayer layer = bert.layer(names, true);
    layer.feed_forward.bias = true;
    layer.feed_forward.up_bias = false;
    if (is_own) {
      layer.feed_forward.gate = "gate_proj";
    } else {
      layer.feed_forward.gate_up = "up_gate_proj";
      layer.feed_forward.up_first = true;
      // Files that were saved with pack_qkv=false have the projections apart.
      if (!(s / names.layers / 0 / names.attention / names.fused).has("weight"))
        layer.attention.projections.packing = Projections::Packing::apart;
    }
    if (bert.tied) s.graph().stand_in(s / "embeddings.word_embeddings", s.graph().root() / "lm_head.decoder");
    return bert.encode(s / names.layers, bert.embed(s, text, names), text, [layer](int64_t) { return layer; });
  }

  TextHeads text_heads() const override {
    return {.words = [this](const Encoded& at) { return words(at); },
            .summary = [this](const Encoded& at) { return bert.pool(at.base / "pooler", at.hidden); }};
  }

  Value words(const Encoded& at) const {
    const Scope head = at.base.graph().root() / "lm_head";
    MaskedLmHeadOptions options{
        .names = {.norm = !family.is_first && (head / "layer_norm").has("weight") ? "layer_norm" : "norm",
                  .bias = {"decoder.bias"}},
        .width = bert.hidden,
        .vocab = bert.vocab,
        .activation = family.is_first ? bert.activation : "gelu",
        .epsilon = bert.epsilon};
    if (bert.tied.holds_for(head / "decoder")) options.tied = at.base / "embeddings.word_embeddings";
    return masked_lm_head(head, at.hidden, options);
  }

  const Family& family;
  const RotaryBert bert;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.gte",
    .name = "GTE",
    .models = {{.types = {"gte"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification"},
                .make = make<GteOnnxConfig>},
               {.types = {"new"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification",
                             "multiple-choice", "question-answering"},
                .make = make<GteOnnxConfig>}},
})
