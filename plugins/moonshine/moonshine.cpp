// SPDX-License-Identifier: Apache-2.0
// Moonshine: samples of speech to text, in time that grows with their number. Source: MoonshineModel and
// MoonshineForConditionalGeneration, transformers 4.57 and 5.24.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary.hpp>

using namespace onnxport::sdk;

namespace {

constexpr const char* samples = "samples";

/// The convolutions of the stem, which shorten a signal one after the other.
struct Convolution {
  int64_t kernel, stride;
};
constexpr Convolution stem[]{{127, 64}, {7, 3}, {3, 2}};

/// So many samples are one place of the encoder's result.
constexpr int64_t shortening() {
  int64_t all = 1;
  for (const Convolution& convolution : stem) all *= convolution.stride;
  return all;
}
/// How many samples make `places` of them.
constexpr int64_t samples_of(int64_t places) {
  int64_t length = places;
  for (size_t i = std::size(stem); i > 0; --i) length = (length - 1) * stem[i - 1].stride + stem[i - 1].kernel;
  return length;
}

/// Fields by the other names that the class gives them. Until version 5 these were the encoder's as well.
Config named(const Config& c) {
  const Config of_decoder = c.with_names({{"decoder_num_hidden_layers", "num_hidden_layers"},
                                          {"decoder_num_attention_heads", "num_attention_heads"},
                                          {"decoder_num_key_value_heads", "num_key_value_heads"},
                                          {"decoder_hidden_act", "hidden_act"}});
  if (!c.written_before(5, 0)) return of_decoder;
  return of_decoder.with_names({{"encoder_num_hidden_layers", "num_hidden_layers"},
                                {"encoder_num_attention_heads", "num_attention_heads"},
                                {"encoder_num_key_value_heads", "num_key_value_heads"}});
}

struct MoonshineConfig {
  explicit MoonshineConfig(const Config& c)
      : vocab(c.size("vocab_size", 32768)),
        width(c.size("hidden_size", 288)),
        inner(c.size("intermediate_size", 1152)),
        encoder_layers(c.count("encoder_num_hidden_layers", 6)),
        decoder_layers(c.count("decoder_num_hidden_layers", 6)),
        heads(c.size("encoder_num_attention_heads", 8)),
        head_size(c.size("head_dim", width / heads)),
        encoder_activation(c.text("encoder_hidden_act", "gelu")),
        decoder_activation(c.text("decoder_hidden_act", "silu")),
        attention_bias(c.boolean("attention_bias", false)),
        tied(c.tie(true)),
        rotary(c, head_size,
               RotaryFields{.theta = c.real("rope_theta", 10000), .partial = c.real("partial_rotary_factor", 0.9)}) {
    if (!c.has("head_dim")) require_multiple({"hidden_size", width}, {"encoder_num_attention_heads", heads});
    // While the classes build one side they write its heads over those of the other, so that another number on either
    // side, or of keys, fails or is not what is computed.
    const Field all{"encoder_num_attention_heads", heads};
    require_equal({"encoder_num_key_value_heads", c.size("encoder_num_key_value_heads", heads)}, all);
    require_equal({"decoder_num_attention_heads", c.size("decoder_num_attention_heads", 8)}, all);
    require_equal({"decoder_num_key_value_heads", c.size("decoder_num_key_value_heads", heads)}, all);
    // Heads that are padded with zeros give what they gave before.
    c.no_effect({"pad_head_dim_to_multiple_of"});
  }

  int64_t vocab, width, inner;
  int64_t encoder_layers, decoder_layers;
  int64_t heads, head_size;
  std::string encoder_activation, decoder_activation;
  bool attention_bias;
  Tie tied;
  Rotary rotary;
};

class MoonshineOnnxConfig final : public OnnxSeq2SeqConfigWithPast {
 public:
  explicit MoonshineOnnxConfig(const Request& request)
      : OnnxSeq2SeqConfigWithPast(request),
        c(named(request.config)),
        masked(request.options.choice("sample_mask", "input", {"input", "none"}) == "input") {}

  std::string base_model_prefix() const override { return "model"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return c.decoder_layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override { return c.head_size * c.heads == c.width; }
  int64_t vocab_size() const override { return c.vocab; }
  int64_t encoder_width() const override { return c.width; }
  std::vector<AxisSize> axis_sizes() const override {
    return {{.axis = samples, .usual = samples_of(5), .minimum = samples_of(1)}};
  }

  std::vector<TensorSpec> encoder_inputs() const override {
    std::vector<TensorSpec> specs{input::waveform("input_values", {axis::batch, samples})};
    if (masked) specs.push_back(input::mask("attention_mask", {axis::batch, samples}, {.of = "input_values"}));
    return specs;
  }
  bool takes_decoder_mask() const override { return false; }
  /// A place counts where the first of its samples does.
  Value mask_of_result(const Value& mask, const Value& length) const override {
    Graph& g = mask.graph();
    const Value firsts = range(length) * g.integer(shortening());
    return gather(mask, g.op("Min", {firsts, size_of(mask, 1) - g.integer(1)}), 1);
  }

  Value encode(Graph& g, const Inputs& in) const override {
    const Scope s = base(g) / "encoder";
    Value x = shorten(s, in.at("input_values"));
    const Value length = size_of(x, 1);
    const Value mask = masked ? mask_of_result(in.at("attention_mask"), length) : Value();
    x = transformer_layers(s / "layers", x, {c.encoder_layers, [this](int64_t) { return encoder_layer(); }, "encoder_"},
                           {.mask = mask, .angles = angles(s, range(length))});
    return g.mark("encoder_hidden_states." + std::to_string(c.encoder_layers), norm(s / "layer_norm", x, unbiased));
  }

  Value decode(Graph& g, const DecoderStep& step, Cache& cache) const override {
    const Scope s = base(g) / "decoder";
    if (c.tied) g.stand_in(s / "embed_tokens", g.root() / "proj_out");
    Value x = embedding(s / "embed_tokens", step.ids, {c.vocab, c.width});
    x = transformer_layers(s / "layers", x, {c.decoder_layers, [this](int64_t) { return decoder_layer(); }, "decoder_"},
                           {.mask = step.mask,
                            .angles = angles(s, decoder_places(step, cache)),
                            .cache = &cache,
                            .encoder = {step.encoder_hidden, step.encoder_mask}});
    return g.mark("decoder_hidden_states." + std::to_string(c.decoder_layers), norm(s / "norm", x, unbiased));
  }

  Heads heads() const override {
    return {head::hidden_states(), head::logits("speech2seq-lm", [this](const Encoded& at) {
              Graph& g = at.hidden.graph();
              const TiedLinear head{g.root() / "proj_out", base(g) / "decoder.embed_tokens", c.tied};
              return linear(head, at.hidden, {.out = c.vocab, .bias = false});
            })};
  }

 private:
  static constexpr Norm unbiased{.bias = false};

  Scope base(Graph& g) const { return task() == "default" ? g.root() : g.root() / "model"; }

  Angles angles(const Scope& side, const Value& places) const {
    return c.rotary.angles(unsqueeze(places.in(side / "rotary_emb"), {0}));
  }

  // f32[batch, samples] -> f32[batch, encoder_sequence, width]
  Value shorten(const Scope& s, const Value& signal) const {
    const auto convolve = [&](int i, const Value& x, int64_t out) {
      return conv1d(s / ("conv" + std::to_string(i + 1)), x,
                    {.out = out, .kernel = stem[i].kernel, .stride = stem[i].stride, .bias = i > 0});
    };
    Value x = tanh(convolve(0, unsqueeze(signal.in(s), {1}), c.width));
    x = group_norm(s / "groupnorm", x, {.groups = 1});
    x = activation(convolve(1, x, 2 * c.width), "gelu");
    x = activation(convolve(2, x, c.width), "gelu");
    return transpose(x, {0, 2, 1});
  }

  AttentionBlock attention(bool causal) const {
    const bool bias = c.attention_bias;
    return {.heads = c.heads,
            .head_size = c.head_size,
            .projections = {.bias = {.query = bias, .key = bias, .value = bias}},
            .causal = causal,
            .interleaved = true};
  }
  TransformerLayer encoder_layer() const {
    return {.attention = attention(false),
            .feed_forward =
                {.inner = c.inner, .activation = c.encoder_activation, .up = "fc1", .down = "fc2", .bias = true},
            .attention_branch = {.norm = unbiased, .name = "input_layernorm"},
            .feed_forward_branch = {.norm = unbiased, .name = "post_attention_layernorm"}};
  }
  TransformerLayer decoder_layer() const {
    return {.attention = attention(true),
            .feed_forward = {.inner = c.inner,
                             .activation = c.decoder_activation,
                             .down = "fc2",
                             .gate_up = "fc1",
                             .up_first = true,
                             .bias = true},
            .attention_branch = {.norm = unbiased, .name = "input_layernorm"},
            .feed_forward_branch = {.norm = unbiased, .name = "final_layernorm"},
            .cross = CrossAttention{
                "encoder_attn", attention(false), {.norm = unbiased, .name = "post_attention_layernorm"}}};
  }

  const MoonshineConfig c;
  const bool masked;  // else all of every recording counts, for clients that give no mask
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.moonshine",
    .name = "Moonshine",
    .models = {{.types = {"moonshine"},
                .features = {"default", "default-with-past", "speech2seq-lm", "speech2seq-lm-with-past"},
                .make = make<MoonshineOnnxConfig>}},
})
