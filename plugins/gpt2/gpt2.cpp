// SPDX-License-Identifier: Apache-2.0
// GPT-2. Source: GPT2Model and its heads, transformers 4.30 and 4.57 (modeling_gpt2.py).
#include <onnxport/double_heads.hpp>
#include <onnxport/families/gpt2.hpp>

using namespace onnxport::family;

namespace {

struct Gpt2Config {
  explicit Gpt2Config(const Config& c)
      : vocab(c.size("vocab_size", 50257)),
        positions(c.size("n_positions", 1024)),
        hidden(c.size("n_embd", 768)),
        layers(c.count("n_layer", 12)),
        heads(c.size("n_head", 12)),
        inner(c.size("n_inner", 4 * hidden)),
        activation(c.text("activation_function", "gelu_new")),
        epsilon(c.real("layer_norm_epsilon", 1e-5)),
        scale(c),
        tied(c.tie(true)),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")),
        summary(c, {.type = "cls_index", .to_labels = true}) {
    require_multiple({"n_embd", hidden}, {"n_head", heads});
    c.no_effect({"summary_first_dropout", "n_ctx"});
  }
  int64_t vocab, positions, hidden, layers, heads, inner;
  std::string activation;
  double epsilon;
  Gpt2Scale scale;
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;
  SequenceSummary summary;  // of GPT2DoubleHeadsModel's second head
};

class Gpt2OnnxConfig final : public DoubleHeadsDecoder {
 public:
  explicit Gpt2OnnxConfig(const Request& request)
      : DoubleHeadsDecoder(request),
        c(request.config.with_names(gpt2_names)),
        encoder_width(width_over_encoder(request)) {
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
            .embedding = "wte",
            .tied = c.tied,
            .labels = c.labels,
            .pad = c.pad,
            .token_classes = "classifier",
            .span = "qa_outputs",
            .encoder_width = encoder_width};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    const Value x = embedding(s / "wte", in.at("input_ids"), {c.vocab, c.hidden}) +
                    embedding(s / "wpe", position_ids(in), {c.positions, c.hidden});
    return gpt2_layers(s, x, {c.layers, [this](int64_t i) { return layer(i); }},
                       {.mask = in.at("attention_mask"), .cache = &cache, .encoder = over_encoder(in)},
                       {.epsilon = c.epsilon});
  }

  TransformerLayer layer(int64_t index) const {
    const Gpt2Layer form{.heads = c.heads,
                         .hidden = c.hidden,
                         .inner = c.inner,
                         .activation = c.activation,
                         .norm = {.epsilon = c.epsilon},
                         .scale = c.scale.of(index, c.hidden / c.heads),
                         .over_encoder = encoder_width > 0};
    return form.form();
  }

  const Gpt2Config c;
  const int64_t encoder_width;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.gpt2",
    .name = "GPT-2",
    .models = {{.types = {"gpt2"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification", "question-answering", "double-heads"},
                .architectures = {{"GPT2LMHeadModel", "causal-lm"}},
                .make = make<Gpt2OnnxConfig>}},
})
