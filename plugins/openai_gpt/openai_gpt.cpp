// SPDX-License-Identifier: Apache-2.0
// The first GPT. Source: OpenAIGPTModel and its heads, transformers 4.57 and 5.24 (modeling_openai.py).
#include <onnxport/double_heads.hpp>
#include <onnxport/families/gpt2.hpp>

using namespace onnxport::family;

namespace {

struct OpenAiGptConfig {
  explicit OpenAiGptConfig(const Config& c)
      : vocab(c.size("vocab_size", 40478)),
        positions(c.size("n_positions", 512)),
        hidden(c.size("n_embd", 768)),
        layers(c.count("n_layer", 12)),
        heads(c.size("n_head", 12)),
        activation(c.choice("afn", "gelu", {"gelu", "relu", "silu", "swish"})),
        norm{.epsilon = c.real("layer_norm_epsilon", 1e-5)},
        tied(c.tie(true)),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")),
        summary(c, {.type = "cls_index", .to_labels = true}) {
    require_multiple({"n_embd", hidden}, {"n_head", heads});
    if (activation == "gelu") activation = "gelu_new";  // which is what the class means by it
    c.no_effect({"summary_first_dropout", "n_ctx", "n_special", "predict_special_tokens"});
  }
  int64_t vocab, positions, hidden, layers, heads;
  std::string activation;
  Norm norm;
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;
  SequenceSummary summary;  // of OpenAIGPTDoubleHeadsModel's second head
};

class OpenAiGptOnnxConfig final : public DoubleHeadsDecoder {
 public:
  explicit OpenAiGptOnnxConfig(const Request& request)
      : DoubleHeadsDecoder(request), c(request.config.with_names(gpt2_names)) {
    check_double_heads();
  }

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.hidden / c.heads; }
  Positions positions_in_generation() const override { return Positions::mask; }  // they are learnt

 private:
  const SequenceSummary& summary() const override { return c.summary; }
  TextDecoderTraits traits() const override {
    return {.base = "transformer",
            .vocab = c.vocab,
            .max_positions = c.positions,
            .embedding = "tokens_embed",
            .tied = c.tied,
            .labels = c.labels,
            .pad = c.pad,
            .token_classes = ""};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    g.unused("*.attn.bias");  // the causal mask, which older releases saved
    g.unused("*position_ids");
    Value x = embedding(s / "tokens_embed", in.at("input_ids"), {c.vocab, c.hidden}) +
              embedding(s / "positions_embed", position_ids(in), {c.positions, c.hidden});
    x = transformer_layers(s / "h", x, {c.layers, [this](int64_t) { return layer(); }},
                           {.mask = in.at("attention_mask"), .cache = &cache});
    return g.mark("hidden_states." + std::to_string(c.layers), x);
  }

  TransformerLayer layer() const {
    const Gpt2Layer form{.heads = c.heads,
                         .hidden = c.hidden,
                         .inner = 4 * c.hidden,
                         .activation = c.activation,
                         .norm = c.norm,
                         .placement = Placement::after};
    return form.form();
  }

  const OpenAiGptConfig c;
};

}  // namespace

// The original keeps nothing of earlier tokens, and so no feature has a past.
ONNXPORT_PLUGIN({
    .id = "org.onnxport.openai_gpt",
    .name = "GPT",
    .models = {{.types = {"openai-gpt"},
                .features = {"default", "causal-lm", "sequence-classification", "double-heads"},
                .architectures = {{"OpenAIGPTLMHeadModel", "causal-lm"}},
                .make = make<OpenAiGptOnnxConfig>}},
})
