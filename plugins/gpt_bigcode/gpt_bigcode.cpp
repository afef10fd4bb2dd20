// SPDX-License-Identifier: Apache-2.0
// GPTBigCode: SantaCoder and StarCoder. Source: GPTBigCodeModel and its heads, transformers 4.57 and 5.24
// (modeling_gpt_bigcode.py).
#include <onnxport/families/gpt2.hpp>
#include <onnxport/text_decoder.hpp>

using namespace onnxport::family;

namespace {

struct GptBigCodeConfig {
  explicit GptBigCodeConfig(const Config& c)
      : vocab(c.size("vocab_size", 50257)),
        positions(c.size("n_positions", 1024)),
        hidden(c.size("n_embd", 768)),
        layers(c.count("n_layer", 12)),
        heads(c.size("n_head", 12)),
        inner(c.size("n_inner", 4 * hidden)),
        activation(c.text("activation_function", "gelu_pytorch_tanh")),
        epsilon(c.real("layer_norm_epsilon", 1e-5)),
        scale_weights(c.boolean("scale_attn_weights", true)),
        multi_query(c.boolean("multi_query", true)),
        tied(c.tie(true)),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_multiple({"n_embd", hidden}, {"n_head", heads});
    // In which precision scores are made: in a graph of 32 bits all are the same.
    c.no_effect({"attention_softmax_in_fp32", "scale_attention_softmax_in_fp32"});
    c.no_effect({"num_key_value_heads"});  // what multi_query comes to
    // Of the code that the models were first published with.
    c.no_effect({"inference_runner", "validate_runner_input", "pre_allocate_kv_cache", "max_sequence_length",
                 "max_batch_size", "pad_key_length", "summary_type", "summary_use_proj", "summary_activation",
                 "summary_first_dropout", "summary_proj_to_labels"});
  }
  int64_t vocab, positions, hidden, layers, heads, inner;
  std::string activation;
  double epsilon;
  bool scale_weights, multi_query;
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;
};

class GptBigCodeOnnxConfig final : public TextDecoder {
 public:
  explicit GptBigCodeOnnxConfig(const Request& request)
      : TextDecoder(request), c(request.config.with_names(gpt2_names)) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.multi_query ? 1 : c.heads; }
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
            .token_classes = "classifier"};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    const Value x = embedding(s / "wte", in.at("input_ids"), {c.vocab, c.hidden}) +
                    embedding(s / "wpe", position_ids(in), {c.positions, c.hidden});
    return gpt2_layers(s, x, {c.layers, [this](int64_t) { return layer(); }},
                       {.mask = in.at("attention_mask"), .cache = &cache}, {.epsilon = c.epsilon});
  }

  TransformerLayer layer() const {
    // One key and one value for all queries stand behind them; otherwise every head has its three side by side.
    const auto packing = c.multi_query ? Projections::Packing::blocks : Projections::Packing::groups;
    return {
        .attention_at = "attn",
        .attention = {.heads = c.heads,
                      .kv_heads = num_key_value_heads(),
                      .head_size = head_size(),
                      .projections = {.packing = packing, .fused = "c_attn", .output = "c_proj", .bias = all_biased},
                      .scale = c.scale_weights ? 0.0 : 1.0,
                      .causal = true},
        .feed_forward = {.inner = c.inner, .activation = c.activation, .up = "c_fc", .down = "c_proj", .bias = true},
        .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "ln_1"},
        .feed_forward_branch = {.norm = {.epsilon = c.epsilon}, .name = "ln_2"}};
  }

  const GptBigCodeConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.gpt_bigcode",
    .name = "GPTBigCode",
    .models = {{.types = {"gpt_bigcode"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification"},
                .make = make<GptBigCodeOnnxConfig>}},
})
