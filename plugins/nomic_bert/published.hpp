// SPDX-License-Identifier: Apache-2.0
// Nomic BERT as its checkpoints were published, with a config of their own code: v1, v1.5, and v2 with experts.
// Source: NomicBertConfig and modeling_hf_nomic_bert.py, with the experts of nomic-embed-text-v2-moe.
#pragma once

#include <onnxport/families/rotary_bert.hpp>

#include <sstream>

namespace nomic {

using namespace onnxport::family;

inline const RotaryBertNames published_names{.embedding_norm = "emb_ln",
                                             .layers = "encoder.layers",
                                             .attention = "attn",
                                             .fused = "Wqkv",
                                             .output = "out_proj",
                                             .attention_norm = "norm1",
                                             .feed_forward_norm = "norm2"};

/// The names of a gated feed-forward, by the class or as published: fc12 is activated.
inline void name_gated(FeedForward& form, bool own) {
  form.gate = own ? "gate_proj" : "fc12";
  form.up = own ? "up_proj" : "fc11";
  form.down = own ? "down_proj" : "fc2";
}

struct PublishedConfig {
  explicit PublishedConfig(const Config& c)
      : activation(c.choice("activation_function", "gelu",
                            {"gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "swiglu", "geglu", "glu"})),
        attention_bias(c.boolean("qkv_proj_bias", true)),
        up_bias(c.boolean("mlp_fc1_bias", true)),
        down_bias(c.boolean("mlp_fc2_bias", true)),
        interleaved(c.boolean("rotary_emb_interleaved", false)),
        turned(c.real("rotary_emb_fraction", 0)),
        every(c.count("moe_every_n_layers", 0)),
        experts(c.count("num_experts", 0)),
        chosen(c.count("moe_top_k", 1)) {
    refuse_other_forms(c);
    c.no_effect({"fused_dropout_add_ln",
                 "fused_bias_fc",
                 "use_flash_attn",
                 "use_xentropy",
                 "dense_seq_output",
                 "rotary_emb_scale_base",
                 "max_trained_positions",
                 "n_positions",
                 "moe_impl",
                 "moe_resid_pdrop",
                 "scale_attn_weights",
                 "scale_attn_by_inverse_layer_idx",
                 "reorder_and_upcast_attn",
                 "summary_type",
                 "summary_activation",
                 "summary_first_dropout",
                 "summary_proj_to_labels",
                 "summary_use_proj",
                 "add_pooling_layer",
                 "tie_word_embeddings",
                 "router_aux_loss_coef"});
  }

  bool is_gated() const { return activation.ends_with("glu"); }
  /// What a gate, or a plain layer, goes through: every kind of gelu is the exact one.
  std::string function() const {
    if (activation == "swiglu") return "silu";
    return activation == "glu" ? "sigmoid" : "gelu";
  }
  /// What the head of words goes through, which tells the kinds of gelu apart.
  std::string head_function() const {
    if (activation == "swiglu") return "silu";
    return is_gated() || activation == "gelu" ? "gelu" : "gelu_pytorch_tanh";
  }
  bool has_experts(int64_t layer) const { return every > 0 && layer % every == 1; }

  std::string activation;
  bool attention_bias, up_bias, down_bias, interleaved;
  double turned;  // the part of a head that is turned
  int64_t every, experts, chosen;

 private:
  // Options that no published checkpoint has, or that its code does not carry out.
  void refuse_other_forms(const Config& c) const {
    for (const char* field : {"prenorm", "parallel_block", "parallel_block_tied_norm", "use_rms_norm", "causal",
                              "rotary_head_dim", "expert_choice_router", "moe_normalize_expert_weights"}) {
      if (c.boolean(field, false)) {
        throw Error(ONNXPORT_UNSUPPORTED, std::string("config field '") + field +
                                              "' is true; supported: false, as in the published checkpoints");
      }
    }
    const auto expect = [&](const char* field, double expected) {
      if (c.real(field, expected) == expected) return;
      std::ostringstream told;
      told << "config field '" << field << "' is " << c.real(field, expected) << "; supported: " << expected;
      throw Error(ONNXPORT_UNSUPPORTED, told.str());
    };
    expect("rotary_scaling_factor", 0);
    expect("num_shared_experts", 0);
    expect("ffn_div", 1);
    expect("num_heads_kv", static_cast<double>(c.size("n_head", 12)));
    if (turned <= 0) {
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'rotary_emb_fraction' is " + std::to_string(turned) +
                                            "; places that are learnt are not supported, expected more than 0");
    }
    if (every > 0 && (experts < 1 || chosen < 1 || chosen > experts)) {
      throw Error(ONNXPORT_CONFIG, "config fields 'moe_top_k' (" + std::to_string(chosen) + ") and 'num_experts' (" +
                                       std::to_string(experts) + ") do not tell how many experts of how many to run");
    }
  }
};

/// NomicBertModel, NomicBertForPreTraining and NomicBertForSequenceClassification of that code.
class PublishedNomicBert final : public TextEncoder {
 public:
  explicit PublishedNomicBert(const Request& request)
      : TextEncoder(request), c(request.config), bert(bert_of(request.config)) {}

 private:
  RotaryBert bert_of(const Config& config) const {
    const Config named = config.with_names({{"hidden_size", "n_embd"},
                                            {"num_hidden_layers", "n_layer"},
                                            {"num_attention_heads", "n_head"},
                                            {"layer_norm_eps", "layer_norm_epsilon"}});
    const int64_t head_size = named.size("hidden_size", 768) / named.size("num_attention_heads", 12);
    RotaryBert made(named, {.vocab = 50257, .segments = 2, .epsilon = 1e-5},
                    Rotary(config.none(), head_size,
                           RotaryFields{.theta = config.real("rotary_emb_base", 10000), .partial = c.turned}));
    made.activation = c.function();
    // The code's own defaults, and its rounding.
    made.inner = config.size("n_inner", c.is_gated() ? 8 * made.hidden / 3 : 4 * made.hidden);
    if (c.is_gated()) made.inner = rounded_up(made.inner, 256);
    made.vocab = rounded_up(made.vocab, config.size("pad_vocab_size_multiple", 1));
    return made;
  }
  static int64_t rounded_up(int64_t size, int64_t to) { return (size + to - 1) / to * to; }

  TextEncoderTraits traits() const override {
    return {.base = "bert", .vocab = bert.vocab, .segments = bert.segments, .pooler = false};
  }

  Value encode(const Scope& s, const Text& text) const override {
    s.graph().stand_in(s / "embeddings.word_embeddings", s.graph().root() / "cls.predictions.decoder");
    return bert.encode(s / published_names.layers, bert.embed(s, text, published_names), text,
                       [this](int64_t i) { return layer(i); });
  }

  TransformerLayer layer(int64_t i) const {
    TransformerLayer form = bert.layer(published_names, c.attention_bias);
    form.attention.interleaved = c.interleaved;
    FeedForward& inner = form.feed_forward;
    inner.bias = true;
    inner.up_bias = c.up_bias;
    inner.down_bias = c.down_bias;
    if (c.is_gated()) {
      name_gated(inner, false);
    } else {
      inner.up = "fc1";
      inner.down = "fc2";
    }
    if (c.has_experts(i))
      form.own_feed_forward = [this](const Scope& module, const Value& x) { return mixture(module, x); };
    return form;
  }

  // Experts without gates, whose matrices lie one below the other, and one bias behind all of them.
  Value mixture(const Scope& mlp, const Value& x) const {
    const Value scores = softmax(linear(mlp / "router.layer", x, {.out = c.experts, .bias = false}));
    const Scope experts = mlp / "experts";
    const auto matrices = [&](const char* name) {
      const Value all = (experts / "mlp").weight(name, {c.experts * bert.inner, bert.hidden});
      return reshape(all, {c.experts, bert.inner, bert.hidden});
    };
    Experts each;
    each.up = matrices("w1");
    each.down = transpose(matrices("w2"), {0, 2, 1});
    const Value mixed = mixture_of_experts(x.in(mlp), scores, each, {.top_k = c.chosen, .activation = bert.activation});
    return mixed.in(experts) + experts.weight("bias", {bert.hidden});
  }

  TextHeads text_heads() const override {
    return {.words = [this](const Encoded& at) { return words(at); },
            .summary = [this](const Encoded& at) { return bert.pool(at.base / "pooler", at.hidden); }};
  }

  // Tied whatever the config says, with biases where the feed-forwards have them.
  Value words(const Encoded& at) const {
    const Scope head = at.base.graph().root() / "cls.predictions", transform = head / "transform";
    Value x = linear(transform / "dense", at.hidden, {.out = bert.hidden, .bias = c.up_bias});
    x = norm(transform / "layer_norm", activation(x, c.head_function()), {.epsilon = bert.epsilon});
    const TiedLinear decoder{head / "decoder", at.base / "embeddings.word_embeddings", true};
    return linear(decoder, x, {.out = bert.vocab, .bias = c.up_bias});
  }

  const PublishedConfig c;
  const RotaryBert bert;
};

}  // namespace nomic
