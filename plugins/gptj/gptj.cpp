// SPDX-License-Identifier: Apache-2.0
// GPT-J and CodeGen. Source: GPTJModel, CodeGenModel and their heads, transformers 4.30, 4.57 and 5.24.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary.hpp>

using namespace onnxport::sdk;

namespace {

/// What one of the two does otherwise than the other.
struct Family {
  const char* type;
  Projections::Packing packing;
  int64_t groups;       // of heads, in the fused layer: the cores that CodeGen was trained on
  const char* classes;  // the heads' layers; "": the reference has not got the head
  const char* span;
};
constexpr Family families[] = {
    {"gptj", Projections::Packing::apart, 1, "score", "qa_outputs"},
    {"codegen", Projections::Packing::groups, 4, "", ""},
};

struct GptjConfig {
  GptjConfig(const Config& c, const Family& family)
      : vocab(c.size("vocab_size", 50400)),
        positions(c.size("max_position_embeddings", c.size("n_positions", 2048))),
        hidden(c.size("hidden_size", c.size("n_embd", 4096))),
        layers(c.count("num_hidden_layers", c.count("n_layer", 28))),
        heads(c.size("num_attention_heads", c.size("n_head", 16))),
        turned(c.is_null("rotary_dim") ? hidden : c.size("rotary_dim", 64)),
        inner(c.size("n_inner", 4 * hidden)),
        activation(c.text("activation_function", "gelu_new")),
        epsilon(c.real("layer_norm_epsilon", 1e-5)),
        tied(c.tie(false)),
        rotary(c.none(), turned),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_multiple({"n_embd", hidden}, {"n_head", heads});
    require_multiple({"n_head", heads}, {"the groups of heads in qkv_proj", family.groups});
    require_at_most({"rotary_dim", turned}, {"the width of a head, n_embd / n_head", hidden / heads});
    c.no_effect({"resid_pdrop", "embd_pdrop", "attn_pdrop"});  // of training
    c.no_effect({"n_ctx"});                                    // of older releases
    // Of the code that GPT-J and CodeGen were first published with.
    c.no_effect({"rotary", "scale_attn_weights", "summary_type", "summary_use_proj", "summary_activation",
                 "summary_first_dropout", "summary_proj_to_labels"});
  }
  int64_t vocab, positions, hidden, layers, heads, turned, inner;
  std::string activation;
  double epsilon;
  Tie tied;
  Rotary rotary;
  int64_t labels;
  std::optional<int64_t> pad;
};

class GptjOnnxConfig final : public TextDecoder {
 public:
  explicit GptjOnnxConfig(const Request& request)
      : TextDecoder(request), family(row_of(families, request.model_type)), c(request.config, family) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.hidden / c.heads; }

 private:
  TextDecoderTraits traits() const override {
    return {.base = "transformer",
            .vocab = c.vocab,
            .max_positions = c.positions,
            .embedding = "wte",
            .tied = c.tied,
            .words_bias = true,
            .labels = c.labels,
            .pad = c.pad,
            .classes = family.classes,
            .token_classes = "",
            .span = family.span};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    g.unused("*.attn.bias");  // the causal mask under its names, which older releases saved
    g.unused("*.attn.masked_bias");
    g.unused("*.attn.causal_mask");
    Value x = embedding(s / "wte", in.at("input_ids"), {c.vocab, c.hidden});
    const Angles angles = c.rotary.angles(position_ids(in).in(s / "rotary"));
    x = transformer_layers(s / "h", x, {c.layers, [this](int64_t) { return layer(); }},
                           {.mask = in.at("attention_mask"), .angles = angles, .cache = &cache});
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "ln_f", x, {.epsilon = c.epsilon}));
  }

  TransformerLayer layer() const {
    return {
        .attention_at = "attn",
        .attention = {.heads = c.heads,
                      .head_size = head_size(),
                      .projections = {.packing = family.packing,
                                      .groups = family.groups,
                                      .value_first = true,
                                      .fused = "qkv_proj",
                                      .output = "out_proj"},
                      .causal = true,
                      .interleaved = true},
        .feed_forward = {.inner = c.inner, .activation = c.activation, .up = "fc_in", .down = "fc_out", .bias = true},
        .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "ln_1"},
        .feed_forward_branch = {.norm = {.epsilon = c.epsilon}, .name = "ln_1"},
        .parallel = true};
  }

  const Family& family;
  const GptjConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.gptj",
    .name = "GPT-J and CodeGen",
    .models = {{.types = {"gptj"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "question-answering"},
                .make = make<GptjOnnxConfig>},
               {.types = {"codegen"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<GptjOnnxConfig>}},
})
