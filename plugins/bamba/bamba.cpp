// SPDX-License-Identifier: Apache-2.0
// Bamba: Mamba 2 with a few layers of attention. Source: BambaModel and its head, transformers 4.57 and 5.24.
#include <algorithm>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/mixtures.hpp>
#include <onnxport/families/state_space_hybrids.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>

using namespace onnxport::sdk;

namespace {

struct BambaConfig {
  explicit BambaConfig(const Config& c)
      : vocab(c.size("vocab_size", 128000)),
        hidden(c.size("hidden_size", 4096)),
        layers(c.count("num_hidden_layers", 32)),
        heads(c.size("num_attention_heads", 32)),
        kv_heads(c.size("num_key_value_heads", c.is_null("num_key_value_heads") ? heads : 8)),
        head_size(c.size("head_dim", std::max<int64_t>(1, hidden / heads))),
        positions(c.size("max_position_embeddings", 262144)),
        bias(c.boolean("attention_bias", false)),
        norm{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-5)},
        mixer(bamba_mixer(c, c.size("mamba_expand", 2) * hidden)),
        feed_forward(gated_feed_forward(c.size("intermediate_size", 14336), c.text("hidden_act", "silu"),
                                        c.boolean("mlp_bias", false))),
        attending(c.integers("attn_layer_indices")),
        rotary(c, head_size, RotaryFields{.theta = c.real("rope_theta", 10000), .partial = 0.5}),
        tied(c.tie(false)) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    c.no_effect({"layers_block_type", "num_logits_to_keep", "z_loss_coefficient", "partial_rotary_factor"});
  }
  int64_t vocab, hidden, layers, heads, kv_heads, head_size, positions;
  bool bias;
  Norm norm;
  StateSpaceMixer mixer;
  FeedForward feed_forward;
  std::vector<int64_t> attending;  // layers
  Rotary rotary;
  Tie tied;

  bool attends(int64_t layer) const { return std::find(attending.begin(), attending.end(), layer) != attending.end(); }
};

class BambaOnnxConfig final : public RotaryDecoder {
 public:
  explicit BambaOnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override { return c.heads * c.head_size == c.hidden; }
  std::vector<std::string> keep_in_fp32() const override { return {StateSpaceMixer::recurrence}; }
  std::vector<State> states_of(int64_t layer) const override {
    return c.attends(layer) ? keys_and_values(layer) : c.mixer.states(layer);
  }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab, .max_positions = c.positions, .tied = c.tied, .classes = {}, .token_classes = {}};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    const Chunks chunks = chunks_of(s, fresh_mask(in));
    const LayerStack stack{.count = c.layers, .layer = [&](int64_t i) { return layer(i, chunks); }};
    const Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    const Value y = transformer_layers(s / "layers", x, stack,
                                       {.mask = in.at("attention_mask"), .angles = angles(s, in), .cache = &cache});
    return s.graph().mark("hidden_states." + std::to_string(c.layers), norm(s / "final_layernorm", y, c.norm));
  }

  TransformerLayer layer(int64_t index, const Chunks& chunks) const {
    TransformerLayer form{.feed_forward_at = "feed_forward",
                          .attention = {.heads = c.heads,
                                        .kv_heads = c.kv_heads,
                                        .head_size = c.head_size,
                                        .projections = {.bias = {c.bias, c.bias, c.bias, c.bias}},
                                        .causal = true},
                          .feed_forward = c.feed_forward,
                          .attention_branch = {.norm = c.norm, .name = "input_layernorm"},
                          .feed_forward_branch = {.norm = c.norm, .name = "pre_ff_layernorm"}};
    if (c.attends(index)) return form;
    form.attention_at = "mamba";
    form.own_attention = [this, chunks](const Scope& module, const Value& x, const Attended& given) {
      return state_space_mixer(module, x, c.mixer, chunks, *given.cache, given.layer);
    };
    return form;
  }

  const BambaConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.bamba",
    .name = "Bamba",
    .models = {{.types = {"bamba"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<BambaOnnxConfig>}},
})
