// SPDX-License-Identifier: Apache-2.0
// Llama, Mistral, Qwen2 and Qwen3. Source: LlamaModel, MistralModel, Qwen2Model, Qwen3Model and their heads,
// transformers 4.57.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary.hpp>

using namespace onnxport::sdk;

namespace {

const std::string full = "full_attention", sliding = "sliding_attention";

enum class Bias { never, always, by_config };
enum class Window { none, every_layer, later_layers };

/// What a relative does otherwise than Llama, and its config class's defaults.
struct Family {
  const char* type;
  Bias qkv_bias, output_bias, mlp_bias;
  bool query_key_norm;
  Window window;
  const char* question_answering;  // the base model's name under that head
  int64_t kv_heads, head_size;     // 0: as many as heads; hidden size / heads
};
constexpr Family families[] = {
    {"llama", Bias::by_config, Bias::by_config, Bias::by_config, false, Window::none, "transformer", 0, 0},
    {"mistral", Bias::never, Bias::never, Bias::never, false, Window::every_layer, "model", 8, 0},
    {"qwen2", Bias::always, Bias::never, Bias::never, false, Window::later_layers, "transformer", 32, 0},
    {"qwen3", Bias::by_config, Bias::by_config, Bias::never, true, Window::later_layers, "transformer", 32, 128},
};

struct LlamaConfig {
  LlamaConfig(const Config& c, const Family& family)
      : vocab(c.size("vocab_size", 32000)),
        hidden(c.size("hidden_size", 4096)),
        inner(c.size("intermediate_size", 11008)),
        layers(c.count("num_hidden_layers", 32)),
        heads(c.size("num_attention_heads", 32)),
        kv_heads(c.size("num_key_value_heads", kv_default(c, family, heads))),
        head_size(c.size("head_dim", family.head_size == 0 ? std::max<int64_t>(1, hidden / heads) : family.head_size)),
        positions(c.size("max_position_embeddings", 2048)),
        activation(c.text("hidden_act", "silu")),
        epsilon(c.real("rms_norm_eps", 1e-6)),
        tied(c.tie(false)),
        qkv_bias(has(family.qkv_bias, c, "attention_bias")),
        output_bias(has(family.output_bias, c, "attention_bias")),
        mlp_bias(has(family.mlp_bias, c, "mlp_bias")),
        causal(c.boolean("is_causal", true)),
        window(window_of(c, family)),
        types(types_of(c, family, *this)),
        rotary(c, head_size),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    c.no_effect({"pretraining_tp"});  // splits products for training; the result is the same
  }
  int64_t vocab, hidden, inner, layers, heads, kv_heads, head_size, positions;
  std::string activation;
  double epsilon;
  Tie tied;
  bool qkv_bias, output_bias, mlp_bias;
  bool causal;                     // false: an encoder that was made of the decoder
  int64_t window;                  // in keys; 0: none
  std::vector<std::string> types;  // of each layer; empty: all have the window
  Rotary rotary;
  int64_t labels;
  std::optional<int64_t> pad;

  bool slides(int64_t layer) const { return types.empty() || types[static_cast<size_t>(layer)] == sliding; }

 private:
  static bool has(Bias bias, const Config& c, const char* field) {
    return bias == Bias::by_config ? c.boolean(field, false) : bias == Bias::always;
  }

  // Null says as many as heads, where absence says the class's default.
  static int64_t kv_default(const Config& c, const Family& family, int64_t heads) {
    return family.kv_heads == 0 || c.is_null("num_key_value_heads") ? heads : family.kv_heads;
  }

  static int64_t window_of(const Config& c, const Family& family) {
    if (family.window == Window::none) return 0;
    const int64_t window = c.count("sliding_window", c.is_null("sliding_window") ? 0 : 4096);
    return family.window == Window::every_layer || c.boolean("use_sliding_window", false) ? window : 0;
  }

  static std::vector<std::string> types_of(const Config& c, const Family& family, const LlamaConfig& self) {
    if (family.window != Window::later_layers) return {};
    LayerTypes kinds{self.layers, {full}};
    if (self.window > 0) kinds.known.push_back(sliding);
    kinds.otherwise = [&self, first = c.count("max_window_layers", 28)](int64_t i) {
      return self.window > 0 && i >= first ? sliding : full;
    };
    return layer_types(c, kinds);
  }
};

class LlamaOnnxConfig final : public TextDecoder {
 public:
  explicit LlamaOnnxConfig(const Request& request)
      : TextDecoder(request), family(row_of(families, request.model_type)), c(request.config, family) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override { return c.heads * c.head_size == c.hidden; }
  Positions positions_in_generation() const override {
    return c.rotary.depends_on_length() ? Positions::mask : Positions::sequence;
  }

 private:
  TextDecoderTraits traits() const override {
    return {.base = task() == "question-answering" ? family.question_answering : "model",
            .vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .labels = c.labels,
            .pad = c.pad,
            .span = "qa_outputs"};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    g.unused("*rotary_emb.inv_freq");  // saved by older releases; config.json tells it
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    const Angles angles = c.rotary.angles(position_ids(in).in(s / "rotary_emb"));
    x = transformer_layers(s / "layers", x, {c.layers, [this](int64_t i) { return layer(i); }},
                           {.mask = in.at("attention_mask"), .angles = angles, .cache = &cache});
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, rms()));
  }

  Norm rms() const { return {.kind = Norm::Kind::rms, .epsilon = c.epsilon}; }

  TransformerLayer layer(int64_t index) const {
    TransformerLayer form{
        .attention = {.heads = c.heads,
                      .kv_heads = c.kv_heads,
                      .head_size = c.head_size,
                      .projections = {.bias = {c.qkv_bias, c.qkv_bias, c.qkv_bias, c.output_bias}},
                      .causal = c.causal,
                      .window = c.slides(index) ? c.window : 0},
        .feed_forward = {.inner = c.inner, .activation = c.activation, .gate = "gate_proj", .bias = c.mlp_bias},
        .attention_branch = {.norm = rms(), .name = "input_layernorm"},
        .feed_forward_branch = {.norm = rms(), .name = "post_attention_layernorm"}};
    if (family.query_key_norm) form.attention.query_key_norm = {.norm = rms()};
    return form;
  }

  const Family& family;
  const LlamaConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.llama",
    .name = "Llama and its relatives",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .vendor = "onnxport",
    .models = {{.types = {"llama", "mistral", "qwen2", "qwen3"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification", "question-answering"},
                .make = make<LlamaOnnxConfig>}},
})
