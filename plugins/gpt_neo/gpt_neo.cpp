// SPDX-License-Identifier: Apache-2.0
// GPT-Neo. Source: GPTNeoModel and its heads, transformers 4.30, 4.57 and 5.24 (modeling_gpt_neo.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/text_decoder.hpp>

using namespace onnxport::sdk;

namespace {

constexpr std::initializer_list<std::pair<const char*, const char*>> names{{"num_heads", "num_attention_heads"},
                                                                           {"num_layers", "num_hidden_layers"}};
const std::string global = "global", local = "local";

struct GptNeoConfig {
  explicit GptNeoConfig(const Config& c)
      : vocab(c.size("vocab_size", 50257)),
        positions(c.size("max_position_embeddings", 2048)),
        hidden(c.size("hidden_size", 2048)),
        layers(c.count("num_layers", 24)),
        heads(c.size("num_heads", 16)),
        inner(c.size("intermediate_size", 4 * hidden)),
        window(c.size("window_size", 256)),
        activation(c.text("activation_function", "gelu_new")),
        epsilon(c.real("layer_norm_epsilon", 1e-5)),
        types(types_of(c, layers)),
        tied(c.tie(true)),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_multiple({"hidden_size", hidden}, {"num_heads", heads});
    c.no_effect({"resid_dropout", "embed_dropout"});  // of training
  }
  int64_t vocab, positions, hidden, layers, heads, inner, window;
  std::string activation;
  double epsilon;
  std::vector<std::string> types;  // of each layer
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;

 private:
  // attention_layers is attention_types layer by layer; where both are stated it rules.
  static std::vector<std::string> types_of(const Config& c, int64_t layers) {
    std::vector<std::string> stated = c.repeated_texts("attention_types");
    if (!c.has("attention_types")) {
      for (int64_t i = 0; i < 24; ++i) stated.push_back(i % 2 == 0 ? global : local);
    }
    if (!c.has("attention_layers"))
      require_equal({"attention_types", static_cast<int64_t>(stated.size())}, {"num_layers", layers});
    return layer_types(c, {.layers = layers,
                           .known = {global, local},
                           .otherwise = [&](int64_t i) { return stated[static_cast<size_t>(i)]; },
                           .field = "attention_layers"});
  }
};

class GptNeoOnnxConfig final : public TextDecoder {
 public:
  explicit GptNeoOnnxConfig(const Request& request) : TextDecoder(request), c(request.config.with_names(names)) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.hidden / c.heads; }
  Positions positions_in_generation() const override { return Positions::mask; }  // they are learnt

 private:
  TextDecoderTraits traits() const override {
    return {.base = "transformer",
            .vocab = c.vocab,
            .max_positions = c.positions,
            .embedding = "wte",
            .tied = c.tied,
            .labels = c.labels,
            .pad = c.pad,
            .token_classes = "classifier",
            .span = "qa_outputs"};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    g.unused("*.attn.attention.bias");  // the causal mask, which older releases saved
    g.unused("*.attn.attention.masked_bias");
    Value x = embedding(s / "wte", in.at("input_ids"), {c.vocab, c.hidden}) +
              embedding(s / "wpe", position_ids(in), {c.positions, c.hidden});
    x = transformer_layers(s / "h", x, {c.layers, [this](int64_t i) { return layer(i); }},
                           {.mask = in.at("attention_mask"), .cache = &cache});
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "ln_f", x, {.epsilon = c.epsilon}));
  }

  TransformerLayer layer(int64_t index) const {
    return {
        .attention_at = "attn.attention",
        .attention = {.heads = c.heads,
                      .head_size = head_size(),
                      .projections = {.output = "out_proj", .bias = {.output = true}},
                      .scale = 1,  // scores are as large as they are
                      .causal = true,
                      .window = c.types[static_cast<size_t>(index)] == local ? c.window : 0},
        .feed_forward = {.inner = c.inner, .activation = c.activation, .up = "c_fc", .down = "c_proj", .bias = true},
        .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "ln_1"},
        .feed_forward_branch = {.norm = {.epsilon = c.epsilon}, .name = "ln_2"}};
  }

  const GptNeoConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.gpt_neo",
    .name = "GPT-Neo",
    .models = {{.types = {"gpt_neo"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification", "question-answering"},
                .make = make<GptNeoOnnxConfig>}},
})
