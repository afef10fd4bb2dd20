// SPDX-License-Identifier: Apache-2.0
// The text model of Gemma 3n: several streams of hidden states of which one is active in a layer (AltUp), a low-rank
// branch beside the attention (LAuReL), inputs of every layer, sparse feed-forwards and keys that layers share. Source:
// Gemma3nTextModel and its head, transformers 4.57 and 5.24 (modeling_gemma3n.py).
#include <onnxport/blocks/attention.hpp>
#include <onnxport/families/gemma3n.hpp>
#include <onnxport/layer_rotary.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/text_decoder.hpp>
#include <onnxport/usual_cache.hpp>

using namespace onnxport::family;

namespace {

const std::string full = "full_attention", sliding = "sliding_attention";

struct Gemma3nConfig {
  explicit Gemma3nConfig(const Config& c)
      : vocab(c.size("vocab_size", 262400)),
        hidden(c.size("hidden_size", 2048)),
        layers(c.count("num_hidden_layers", 35)),
        heads(c.size("num_attention_heads", 8)),
        kv_heads(c.size("num_key_value_heads", 2)),
        head_size(c.size("head_dim", 256)),
        positions(c.size("max_position_embeddings", 32768)),
        window(c.size("sliding_window", 512)),
        activation(c.text("hidden_activation", "gelu_pytorch_tanh")),
        rms{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-6)},
        bias(c.boolean("attention_bias", false)),
        tied(c.tie(true)),
        word_cap(c.is_null("final_logit_softcapping") ? 0 : c.real("final_logit_softcapping", 30)),
        streams(c.size("altup_num_inputs", 4)),
        active(c.count("altup_active_idx", 0)),
        scales_corrected(c.boolean("altup_correct_scale", true)),
        laurel_rank(c.size("laurel_rank", 64)),
        inputs{.layers = layers,
               .width = c.size("hidden_size_per_layer_input", 256),
               .rows = c.size("vocab_size_per_layer_input", 262144),
               .vocab = vocab,
               .norm = rms} {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    require_at_most({"altup_active_idx", active}, {"the last of altup_num_inputs", streams - 1});
    rotary.types =
        layer_types(c, {layers, {full, sliding}, [](int64_t i) { return (i + 1) % 5 == 0 ? full : sliding; }});
    const double theta = c.real("rope_theta", 1e6), local = c.real("rope_local_base_freq", 10000);
    rotary.kinds.emplace(full, Rotary(c, head_size, {.name = full, .theta = theta}));
    rotary.kinds.emplace(sliding, Rotary(c, head_size, {.name = sliding, .theta = local, .scaled = false}));
    keys = {key_layers(rotary.types, c.count("num_kv_shared_layers", 15))};
    inner = c.ids("intermediate_size");
    if (inner.empty()) inner = {16384};
    if (inner.size() == 1) inner.resize(static_cast<size_t>(layers), inner[0]);
    require_equal({"intermediate_size", static_cast<int64_t>(inner.size())}, {"num_hidden_layers", layers});
    sparsity = c.reals("activation_sparsity_pattern");
    if (!c.has("activation_sparsity_pattern")) {
      for (int64_t i = 0; i < layers; ++i) sparsity.push_back(layers > 10 && i < 10 ? 0.95 : 0);
    }
    require_equal({"activation_sparsity_pattern", static_cast<int64_t>(sparsity.size())},
                  {"num_hidden_layers", layers});
    // Version 5 clips while it trains only.
    if (!c.is_null("altup_coef_clip")) coefficient_clip = c.real("altup_coef_clip", 120);
    if (!c.written_before(5, 0)) coefficient_clip = 0;
  }
  int64_t vocab, hidden, layers, heads, kv_heads, head_size, positions, window;
  std::string activation;
  Norm rms;
  bool bias;
  Tie tied;
  double word_cap;  // 0: none
  int64_t streams, active;
  bool scales_corrected;
  double coefficient_clip = 0;  // 0: none
  int64_t laurel_rank;
  PerLayerInputs inputs;
  LayerRotary rotary;
  SharedKeys keys;
  std::vector<int64_t> inner;    // of each layer
  std::vector<double> sparsity;  // the part of each layer's activations that is cut off

  const std::string& type(int64_t layer) const { return rotary.types[static_cast<size_t>(layer)]; }
};

/// Where the standard normal distribution has so much of its weight below.
double normal_quantile(double part) {
  double low = -40, high = 40;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < part ? low : high) = middle;
  }
  return (low + high) / 2;
}

/// The mean over the last axis, which stays.
Value last_mean(const Value& x) {
  return unsqueeze(mean(x, {-1}), {-1});
}

class Gemma3nOnnxConfig final : public TextDecoder {
 public:
  explicit Gemma3nOnnxConfig(const Request& request) : TextDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override {
    return is_usual_cache("gemma3n_text", {c.hidden, c.heads, c.kv_heads, c.head_size});
  }
  Positions positions_in_generation() const override {
    return c.rotary.depends_on_length() ? Positions::mask : Positions::sequence;
  }
  std::vector<Part> offers() const override {
    std::vector<Part> parts = TextDecoder::offers();
    offer_stored_inputs(parts, c.inputs,
                        [this](Graph& g, const Value& ids) { return stored_layer_inputs(base_of(g), ids, c.inputs); });
    return parts;
  }
  std::vector<State> states() const override {
    return c.keys.states([this](int64_t) { return past_shape(axis::past, c.head_size); });
  }

 protected:
  // Transformers 4 saves the model of texts by its names within the model of texts and images.
  Scope base_of(Graph& g) const override {
    const Scope base = TextDecoder::base_of(g), within = base / "language_model";
    return !base.has("embed_tokens.weight") && within.has("embed_tokens.weight") ? within : base;
  }

 private:
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .words_softcap = c.word_cap,
            .classes = "",
            .token_classes = "",
            .hidden = c.hidden};
  }

  Value embed(const Scope& s, const Value& ids) const override {
    return embedding(s / "embed_tokens", ids, {c.vocab, c.hidden}) * std::sqrt(static_cast<double>(c.hidden));
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    if (!c.scales_corrected) g.unused("*.altup.correct_output_scale");
    const Value words = start(s, in);
    Value stored = in.maybe(stored_inputs);
    if (!stored) stored = stored_layer_inputs(s, in.at("input_ids"), c.inputs);
    const Value inputs = per_layer_inputs(s, stored, words, c.inputs);
    const auto angles = c.rotary.angles(position_ids(in).in(s / "rotary_emb"));
    leave_out_borrowed(s, c.keys);
    Attended given{.mask = in.at("attention_mask"), .cache = &cache};
    Value x = spread(s, words);
    for (given.layer = 0; given.layer < c.layers; ++given.layer) {
      given.angles = angles(given.layer);
      given.probabilities = "attentions." + std::to_string(given.layer);
      x = layer(s / "layers" / given.layer, x, pick(inputs, 2, given.layer), given);
    }
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", gathered(s, x), c.rms));
  }

  // The words and what projections make of them, as large as they are: f[batch, n, streams, hidden]
  Value spread(const Scope& s, const Value& words) const {
    const Value size = sqrt(last_mean(words * words));
    std::vector<Value> streams{unsqueeze(words, {2})};
    for (int64_t i = 1; i < c.streams; ++i) {
      const Value projected = linear(s / "altup_projections" / (i - 1), words, {.out = c.hidden, .bias = false});
      streams.push_back(unsqueeze(resized(projected, size), {2}));
    }
    return concat(streams, 2);
  }
  // The mean of the first stream and of what projections make of the others, as large as that one is.
  Value gathered(const Scope& s, const Value& x) const {
    const Value first = pick(x, 2, 0).in(s), size = sqrt(last_mean(first * first));
    Value all = first;
    for (int64_t i = 1; i < c.streams; ++i) {
      const Scope projection = s / "altup_unembed_projections" / (i - 1);
      all = all + resized(linear(projection, pick(x, 2, i), {.out = c.hidden, .bias = false}), size);
    }
    return all / static_cast<double>(c.streams);
  }
  static Value resized(const Value& x, const Value& size) {
    Graph& g = x.graph();
    return x * size / sqrt(g.op("Max", {last_mean(x * x), g.scalar(1e-5)}));
  }

  // x: f[batch, n, streams, hidden], input: f[batch, n, width] -> the first's shape
  Value layer(const Scope& s, const Value& x, const Value& input, const Attended& given) const {
    const Value predicted = predict(s / "altup", x);
    const Value trunk = pick(predicted, 2, c.active).in(s);
    const Value h = norm(s / "input_layernorm", trunk, c.rms);
    const Value low_rank = laurel(s / "laurel", h);
    const Value attended =
        norm(s / "post_attention_layernorm", attend(s / "self_attn", h, attention_block(given.layer), given), c.rms);
    const Value joined = (trunk + attended + low_rank) / std::sqrt(2.0);
    const Value fed = feed(s / "mlp", norm(s / "pre_feedforward_layernorm", joined, c.rms), given.layer);
    const Value activated = joined + norm(s / "post_feedforward_layernorm", fed, c.rms);
    const Value corrected = correct(s / "altup", predicted, activated).in(s);
    Value own = pick(corrected, 2, c.active).in(s);
    if (c.scales_corrected) own = own * (s / "altup").weight("correct_output_scale", {c.hidden});
    const Value added = gated_input(s, own, input, c.activation, c.rms);
    if (c.streams == 1) return corrected;
    return concat({slice(corrected, {2, 0, 1}), slice(corrected, {2, 1}) + unsqueeze(added, {2})}, 2);
  }

  // How much each stream counts, by the active one: f[batch, n, hidden] -> f[batch, n, streams]
  Value modalities(const Scope& altup, const Value& x) const {
    const Value normed = norm(altup / "router_norm", x, c.rms) / static_cast<double>(c.hidden);
    return tanh(linear(altup / "modality_router", normed, {.out = c.streams, .bias = false}));
  }
  // Every stream with a mixture of all of them added.
  Value predict(const Scope& altup, const Value& x) const {
    const Value active = pick(x, 2, c.active).in(altup);
    const Value mixing =
        linear(altup / "prediction_coefs", modalities(altup, active), {.out = c.streams * c.streams, .bias = false});
    return matmul(reshape(mixing, {0, 0, c.streams, c.streams}), x) + x;
  }
  // Every stream with a share of what the layer has changed in the active one.
  Value correct(const Scope& altup, const Value& predicted, const Value& activated) const {
    const Value changed = activated.in(altup)-pick(predicted, 2, c.active);
    const Scope coefficients = altup / "correction_coefs";
    Value weight = coefficients.weight("weight", {c.streams, c.streams});
    if (c.coefficient_clip != 0)
      weight = coefficients.op("Clip", {weight}, {{"min", -c.coefficient_clip}, {"max", c.coefficient_clip}});
    const Value shares = coefficients.composite("Linear", {modalities(altup, activated), weight}).in(altup) + 1.0;
    return unsqueeze(changed, {2}) * unsqueeze(shares, {-1}) + predicted;
  }

  Value laurel(const Scope& s, const Value& x) const {
    const Value low = linear(s / "linear_left", x, {.out = c.laurel_rank, .bias = false});
    return x.in(s) +
           norm(s / "post_laurel_norm", linear(s / "linear_right", low, {.out = c.hidden, .bias = false}), c.rms);
  }

  AttentionBlock attention_block(int64_t index) const {
    Norm plain = c.rms;
    plain.weight = false;
    AttentionBlock block{.heads = c.heads,
                         .kv_heads = c.kv_heads,
                         .head_size = c.head_size,
                         .projections = {.bias = {c.bias, c.bias, c.bias, c.bias}},
                         .query_key_norm = QueryKeyNorm{.norm = c.rms, .values = plain},
                         .scale = 1,
                         .causal = true,
                         .window = c.type(index) == sliding ? c.window : 0,
                         .lends = c.keys.lends(index)};
    if (c.keys.borrows(index)) block.borrows = c.keys.layers[static_cast<size_t>(index)];
    return block;
  }

  // Where the layer is sparse, a gate counts by how far it is above a cut through the normal distribution of all gates.
  Value feed(const Scope& s, const Value& x, int64_t index) const {
    const int64_t inner = c.inner[static_cast<size_t>(index)];
    const double sparsity = c.sparsity[static_cast<size_t>(index)];
    Value gate = linear(s / "gate_proj", x, {.out = inner, .bias = false});
    if (sparsity > 0) {
      const Value centre = last_mean(gate), apart = gate - centre;
      gate = relu(apart - sqrt(last_mean(apart * apart)) * normal_quantile(sparsity));
    }
    const Value h = activation(gate, c.activation) * linear(s / "up_proj", x, {.out = inner, .bias = false});
    return linear(s / "down_proj", h, {.out = c.hidden, .bias = false});
  }

  const Gemma3nConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.gemma3n",
    .name = "Gemma 3n (text)",
    .models = {{.types = {"gemma3n_text"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<Gemma3nOnnxConfig>}},
})
