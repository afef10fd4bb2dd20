// SPDX-License-Identifier: Apache-2.0
// A plugin of the SDK, and whole, with one fault that config.json names in "planted": GPT-Neo and Mixtral as their
// authors did not write them. Without the field they are right. Source: GPTNeoForCausalLM and MixtralForCausalLM,
// transformers 4.57.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/mixtures.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>

using namespace onnxport::sdk;

namespace {

/// The layer in which something is wrong; the one before it is right.
constexpr int64_t wrong_layer = 1;

class WrongGptNeo final : public TextDecoder {
 public:
  explicit WrongGptNeo(const Request& request)
      : TextDecoder(request),
        vocab_(request.config.size("vocab_size")),
        positions_(request.config.size("max_position_embeddings")),
        hidden_(request.config.size("hidden_size")),
        layers_(request.config.count("num_layers", 0)),
        heads_(request.config.size("num_heads")),
        inner_(request.config.size("intermediate_size")),
        window_(request.config.size("window_size")),
        epsilon_(request.config.real("layer_norm_epsilon", 1e-5)),
        tied_(request.config.tie(true)),
        fault_(request.config.text("planted", "")) {}

  int64_t num_layers() const override { return layers_; }
  int64_t num_attention_heads() const override { return heads_; }
  int64_t head_size() const override { return hidden_ / heads_; }

 private:
  bool has(const char* fault) const { return fault_ == fault; }

  TextDecoderTraits traits() const override {
    const bool ties = has("tied weights that should not be");
    return {.base = "transformer",
            .vocab = vocab_,
            .max_positions = positions_,
            .embedding = "wte",
            .tied = ties ? Tie(true) : tied_};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    if (has("tied weights that should not be")) g.unused("lm_head.weight");
    Value positions = position_ids(in);
    if (has("an off-by-one position")) positions = positions + g.scalar(1, DType::i64);
    Value x = embedding(s / "wte", in.at("input_ids"), {vocab_, hidden_}) +
              embedding(s / "wpe", positions, {positions_, hidden_});
    // As long as the text that somebody looked at.
    if (has("a frozen axis")) x = reshape(reshape(x, {-1, 5, hidden_}), {0, -1, hidden_});
    x = transformer_layers(s / "h", x, {layers_, [this](int64_t i) { return layer(i); }},
                           {.mask = in.at("attention_mask"), .cache = &cache});
    return g.mark("hidden_states." + std::to_string(layers_), norm(s / "ln_f", x, {.epsilon = epsilon_}));
  }

  TransformerLayer layer(int64_t index) const {
    const bool is_local = index % 2 == 1, is_wrong = index == wrong_layer;
    TransformerLayer form{
        .attention_at = "attn.attention",
        .attention = {.heads = heads_,
                      .head_size = head_size(),
                      .projections = {.output = "out_proj", .bias = {.output = true}},
                      .scale = 1,
                      .causal = true,
                      .window = is_local ? window_ : 0},
        .feed_forward = {.inner = inner_, .activation = "gelu_new", .up = "c_fc", .down = "c_proj", .bias = true},
        .attention_branch = {.norm = {.epsilon = epsilon_}, .name = "ln_1"},
        .feed_forward_branch = {.norm = {.epsilon = epsilon_}, .name = "ln_2"}};
    if (!is_wrong) return form;
    if (has("a missing bias")) form.attention.projections.bias.output = false;
    if (has("swapped query and key weights"))
      std::swap(form.attention.projections.query, form.attention.projections.key);
    if (has("a wrong epsilon")) form.feed_forward_branch.norm.epsilon = 0.1;
    if (has("a mask that leaks")) form.attention.causal = false;
    if (has("a dropped window")) form.attention.window = 0;
    return form;
  }

  int64_t vocab_, positions_, hidden_, layers_, heads_, inner_, window_;
  double epsilon_;
  Tie tied_;
  std::string fault_;
};

class WrongMixtral final : public RotaryDecoder {
 public:
  explicit WrongMixtral(const Request& request)
      : RotaryDecoder(request),
        vocab_(request.config.size("vocab_size")),
        hidden_(request.config.size("hidden_size")),
        layers_(request.config.count("num_hidden_layers", 0)),
        heads_(request.config.size("num_attention_heads")),
        norm_{.kind = Norm::Kind::rms, .epsilon = request.config.real("rms_norm_eps", 1e-5)},
        rotary_(request.config, hidden_ / heads_, RotaryFields{.theta = request.config.real("rope_theta", 1e6)}),
        mixture_(mixtral_mixture(request.config, hidden_, {})),
        forgets_(request.config.text("planted", "") == "an expert never chosen") {}

  int64_t num_layers() const override { return layers_; }
  int64_t num_attention_heads() const override { return heads_; }
  int64_t head_size() const override { return hidden_ / heads_; }

 private:
  const Rotary& rotary() const override { return rotary_; }
  TextDecoderTraits traits() const override { return {.base = "model", .vocab = vocab_}; }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {vocab_, hidden_});
    x = transformer_layers(s / "layers", x, {layers_, [this](int64_t i) { return layer(i); }},
                           {.mask = in.at("attention_mask"), .angles = angles(s, in), .cache = &cache});
    return s.graph().mark("hidden_states." + std::to_string(layers_), norm(s / "norm", x, norm_));
  }

  TransformerLayer layer(int64_t index) const {
    TransformerLayer form{.feed_forward_at = "block_sparse_moe",
                          .attention = {.heads = heads_, .head_size = head_size(), .causal = true},
                          .mixture = mixture_,
                          .attention_branch = {.norm = norm_, .name = "input_layernorm"},
                          .feed_forward_branch = {.norm = norm_, .name = "post_attention_layernorm"}};
    if (forgets_ && index == wrong_layer) {
      form.own_feed_forward = [this](const Scope& scope, const Value& x) { return without_last_expert(scope, x); };
    }
    return form;
  }

  /// The last expert counts nothing, so that none of the others has to stand back for it.
  Value without_last_expert(const Scope& scope, const Value& x) const {
    const int64_t count = mixture_.experts.count;
    std::vector<float> counts(static_cast<size_t>(count), 1);
    counts.back() = 0;
    const Value scores = softmax(linear(scope / mixture_.router, x, {.out = count, .bias = false})) *
                         scope.graph().constant<float>(DType::f32, {count}, counts);
    return mixture_of_experts(x.in(scope), scores, experts_of(scope / mixture_.experts_at, mixture_.experts),
                              mixture_.options);
  }

  int64_t vocab_, hidden_, layers_, heads_;
  Norm norm_;
  Rotary rotary_;
  MixtureFeedForward mixture_;
  bool forgets_;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.test.planted",
    .name = "Plugins with a fault",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .vendor = "onnxport",
    .models = {{.types = {"gpt_neo"}, .features = {"causal-lm"}, .make = make<WrongGptNeo>},
               {.types = {"mixtral"}, .features = {"causal-lm"}, .make = make<WrongMixtral>}},
})
