// SPDX-License-Identifier: Apache-2.0
// ImageGPT: GPT-2 over the colours of an image's pixels, each of which is a token. Source: ImageGPTModel and its heads,
// transformers 4.30, 4.57 and 5.24 (modeling_imagegpt.py).
#include <onnxport/families/gpt2.hpp>
#include <onnxport/heads.hpp>
#include <onnxport/with_past.hpp>

using namespace onnxport::family;

namespace {

struct ImageGptConfig {
  explicit ImageGptConfig(const Config& c)
      : vocab(c.size("vocab_size", 513)),
        positions(c.size("n_positions", 1024)),
        hidden(c.size("n_embd", 512)),
        layers(c.count("n_layer", 24)),
        heads(c.size("n_head", 8)),
        inner(c.size("n_inner", 4 * hidden)),
        activation(c.text("activation_function", "quick_gelu")),
        norm{.kind = Norm::Kind::rms, .epsilon = c.real("layer_norm_epsilon", 1e-5)},
        scale(c),
        tied(c.tie(false)),
        labels(c.num_labels()) {
    require_multiple({"n_embd", hidden}, {"n_head", heads});
    c.no_effect({"n_ctx"});
  }
  int64_t vocab, positions, hidden, layers, heads, inner;
  std::string activation;
  Norm norm;
  Gpt2Scale scale;
  Tie tied;
  int64_t labels;
};

class ImageGptOnnxConfig final : public OnnxConfigWithPast {
 public:
  // Every image has all of its pixels: there is no mask along which positions could be counted.
  explicit ImageGptOnnxConfig(const Request& request)
      : OnnxConfigWithPast(request, Positions::sequence), c(request.config.with_names(gpt2_names)) {
    if (task() == "causal-lm" && c.tied) {
      throw Error(
          ONNXPORT_UNSUPPORTED,
          "config field 'tie_word_embeddings' is true; expected false: the layer of colours has a row less than "
          "the embedding, whose last one is the token with which an image starts");
    }
  }

  std::string base_model_prefix() const override { return base; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return c.positions; }
  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.hidden / c.heads; }

  std::vector<TensorSpec> inputs() const override {
    std::vector<TensorSpec> specs{input::ids("input_ids", {axis::batch, axis::sequence}, c.vocab)};
    if (use_past()) fill_with_past_key_values_(specs);
    return specs;
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope s = task() == "default" ? g.root() : g.root() / base;
    Cache cache = cache_of(in);
    const Value hidden = decode(s, in.at("input_ids"), cache);
    return with_present(head_for_feature().outputs({s, hidden, in}), cache);
  }

  Heads heads() const override {
    return {head::hidden_states(),
            head::logits("causal-lm",
                         [this](const Encoded& at) {
                           return linear(at.base.graph().root() / "lm_head", at.hidden,
                                         {.out = c.vocab - 1, .bias = false});
                         }),
            head::logits("image-classification", [this](const Encoded& at) {
              return linear(at.base.graph().root() / "score", mean(at.hidden, {1}), {.out = c.labels, .bias = false});
            })};
  }

 private:
  static constexpr const char* base = "transformer";

  // ids: i64[batch, sequence] -> f32[batch, sequence, hidden]
  Value decode(const Scope& s, const Value& ids, Cache& cache) const {
    const Value past = cache.past_length(), count = range(size_of(ids, 1));
    const Value x = embedding(s / "wte", ids, {c.vocab, c.hidden}) +
                    embedding(s / "wpe", past ? count + past : count, {c.positions, c.hidden});
    return gpt2_layers(s, x, {c.layers, [this](int64_t i) { return layer(i); }}, {.cache = &cache}, c.norm);
  }

  TransformerLayer layer(int64_t index) const {
    const Gpt2Layer form{.heads = c.heads,
                         .hidden = c.hidden,
                         .inner = c.inner,
                         .activation = c.activation,
                         .norm = c.norm,
                         .scale = c.scale.of(index, c.hidden / c.heads)};
    return form.form();
  }

  const ImageGptConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.imagegpt",
    .name = "ImageGPT",
    .models = {{.types = {"imagegpt"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "image-classification"},
                .architectures = {{"ImageGPTForCausalImageModeling", "causal-lm"}},
                .make = make<ImageGptOnnxConfig>}},
})
