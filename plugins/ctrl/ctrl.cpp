// SPDX-License-Identifier: Apache-2.0
// CTRL. Source: CTRLModel and its heads, transformers 4.57 and 5.24 (modeling_ctrl.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/sinusoids.hpp>
#include <onnxport/text_decoder.hpp>

using namespace onnxport::sdk;

namespace {

constexpr std::initializer_list<std::pair<const char*, const char*>> names{{"n_embd", "hidden_size"},
                                                                           {"n_positions", "max_position_embeddings"},
                                                                           {"n_head", "num_attention_heads"},
                                                                           {"n_layer", "num_hidden_layers"}};

struct CtrlConfig {
  explicit CtrlConfig(const Config& c)
      : vocab(c.size("vocab_size", 246534)),
        positions(c.size("n_positions", 256)),
        hidden(c.size("n_embd", 1280)),
        inner(c.size("dff", 8192)),
        layers(c.count("n_layer", 48)),
        heads(c.size("n_head", 16)),
        final_epsilon(c.real("layer_norm_epsilon", 1e-6)),
        tied(c.tie(true)),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_multiple({"n_embd", hidden}, {"n_head", heads});
    // Of older releases.
    c.no_effect({"n_ctx", "attn_pdrop", "from_tf", "summary_type", "summary_use_proj", "summary_activation",
                 "summary_proj_to_labels", "summary_first_dropout"});
  }
  int64_t vocab, positions, hidden, inner, layers, heads;
  double final_epsilon;  // of the norm behind the layers; theirs is fixed
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;
};

class CtrlOnnxConfig final : public TextDecoder {
 public:
  explicit CtrlOnnxConfig(const Request& request) : TextDecoder(request), c(request.config.with_names(names)) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.hidden / c.heads; }
  Positions positions_in_generation() const override { return Positions::mask; }  // they are sinusoids

 private:
  TextDecoderTraits traits() const override {
    return {.base = "transformer",
            .vocab = c.vocab,
            .max_positions = c.positions,
            .embedding = "w",
            .tied = c.tied,
            .words_bias = true,
            .labels = c.labels,
            .pad = c.pad,
            .classes = "classifier",
            .token_classes = ""};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    Value x = embedding(s / "w", in.at("input_ids"), {c.vocab, c.hidden});
    x = x * std::sqrt(static_cast<double>(c.hidden)) + encoded_positions(position_ids(in).in(s));
    x = transformer_layers(s / "h", x, {c.layers, [this](int64_t) { return layer(); }},
                           {.mask = in.at("attention_mask"), .cache = &cache});
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "layernorm", x, {.epsilon = c.final_epsilon}));
  }

  // Sines of even dimensions, then cosines of odd ones: f32[1 or batch, sequence, hidden]
  Value encoded_positions(const Value& places) const {
    std::vector<double> frequencies;
    for (int64_t i = 0; i < c.hidden; i += 2)
      frequencies.push_back(std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(c.hidden)));
    const Value both = sinusoids(places, frequencies);
    return c.hidden % 2 == 0 ? both : slice(both, {-1, 0, c.hidden});
  }

  TransformerLayer layer() const {
    return {
        .attention_at = "multi_head_attention",
        .feed_forward_at = "ffn",
        .attention = {.heads = c.heads,
                      .head_size = head_size(),
                      .projections = {.query = "Wq", .key = "Wk", .value = "Wv", .output = "dense", .bias = all_biased},
                      .causal = true},
        .feed_forward = {.inner = c.inner, .activation = "relu", .up = "0", .down = "2", .bias = true},
        .attention_branch = {.norm = {.epsilon = 1e-6}, .name = "layernorm1"},
        .feed_forward_branch = {.norm = {.epsilon = 1e-6}, .name = "layernorm2"}};
  }

  const CtrlConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.ctrl",
    .name = "CTRL",
    .models = {{.types = {"ctrl"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification"},
                .architectures = {{"CTRLLMHeadModel", "causal-lm"}},
                .make = make<CtrlOnnxConfig>}},
})
