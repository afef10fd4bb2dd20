// SPDX-License-Identifier: Apache-2.0
// Pix2Struct: texts about an image that is given as patches, each with its row and column. Source:
// Pix2StructForConditionalGeneration, transformers 4.57 (modeling_pix2struct.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/relative_bias.hpp>

using namespace onnxport::sdk;

namespace {

struct VisionConfig {
  explicit VisionConfig(const Config& c)
      : hidden(c.size("hidden_size", 768)),
        patch(c.size("patch_embed_hidden_size", 768)),
        inner(c.size("d_ff", 2048)),
        head_size(c.size("d_kv", 64)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 12)),
        places(c.size("seq_len", 4096)),
        activation(c.text("dense_act_fn", "gelu_new")),
        epsilon(c.real("layer_norm_eps", 1e-6)) {
    c.no_effect({"relative_attention_num_buckets", "relative_attention_max_distance"});  // read by nothing
  }
  int64_t hidden, patch, inner, head_size, layers, heads;
  int64_t places;  // rows, and columns
  std::string activation;
  double epsilon;
};

struct TextConfig {
  explicit TextConfig(const Config& c)
      : vocab(c.size("vocab_size", 50244)),
        hidden(c.size("hidden_size", 768)),
        head_size(c.size("d_kv", 64)),
        inner(c.size("d_ff", 2048)),
        layers(c.count("num_layers", 12)),
        heads(c.size("num_heads", 12)),
        buckets(c.size("relative_attention_num_buckets", 32)),
        max_distance(c.size("relative_attention_max_distance", 128)),
        activation(c.text("dense_act_fn", "gelu_new")),
        epsilon(c.real("layer_norm_epsilon", 1e-6)) {
    require_equal({"text_config.num_heads · d_kv", heads * head_size}, {"hidden_size", hidden});
  }
  int64_t vocab, hidden, head_size, inner, layers, heads, buckets, max_distance;
  std::string activation;
  double epsilon;
};

Norm rms(double epsilon) {
  return {.kind = Norm::Kind::rms, .epsilon = epsilon};
}

/// Attention of both sides. Scores are not scaled: the initialisation of the weights accounts for it.
AttentionBlock attention_block(int64_t heads, int64_t head_size, bool causal) {
  return {.heads = heads,
          .head_size = head_size,
          .projections = {.query = "query", .key = "key", .value = "value", .output = "output"},
          .scale = 1.0,
          .causal = causal};
}

FeedForward gated(int64_t inner, const std::string& activation) {
  return {.inner = inner, .activation = activation, .up = "wi_1", .down = "wo", .gate = "wi_0"};
}

class Pix2Struct final : public OnnxSeq2SeqConfigWithPast {
 public:
  explicit Pix2Struct(const Request& request)
      : OnnxSeq2SeqConfigWithPast(request),
        image(request.config.section("vision_config")),
        text(request.config.section("text_config")
                 .with_names({{"num_heads", "num_attention_heads"},
                              {"num_heads", "encoder_attention_heads"},
                              {"num_heads", "decoder_attention_heads"},
                              {"num_layers", "num_hidden_layers"},
                              {"num_layers", "encoder_layers"},
                              {"num_layers", "decoder_layers"}})),
        tied(request.config.tie(false)) {
    request.config.no_effect({"is_vqa"});  // of the processor, which writes the question into the image
  }

  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return text.layers; }
  int64_t num_attention_heads() const override { return text.heads; }
  int64_t head_size() const override { return text.head_size; }
  int64_t vocab_size() const override { return text.vocab; }
  int64_t encoder_width() const override { return image.hidden; }
  std::vector<std::string> keep_in_fp32() const override { return {"wo"}; }  // its products leave the range of f16

  // The first two numbers of a patch are its row and its column, counted from 1; 0 is padding.
  std::vector<TensorSpec> encoder_inputs() const override {
    return {input::features("flattened_patches", {axis::batch, axis::encoder_sequence, 2 + image.patch},
                            {0, static_cast<double>(std::min<int64_t>(image.places, 3))}),
            input::mask("attention_mask", {axis::batch, axis::encoder_sequence}, {.of = "flattened_patches"})};
  }

  Value encode(Graph& g, const Inputs& in) const override {
    const Scope encoder = g.root() / "encoder", embeddings = encoder / "embeddings";
    const std::vector<Value> parts = split(in.at("flattened_patches"), 2, {1, 1, image.patch});
    const auto place = [&](const char* name, const Value& numbers) {
      return embedding(embeddings / name, cast(squeeze(numbers, {2}), DType::i64), {image.places, image.hidden});
    };
    Value x = linear(embeddings / "patch_projection", parts[2], {.out = image.hidden});
    x = x + place("row_embedder", parts[0]) + place("column_embedder", parts[1]);
    const TransformerLayer layer{.attention_at = "attention",
                                 .attention = attention_block(image.heads, image.head_size, false),
                                 .feed_forward = gated(image.inner, image.activation),
                                 .attention_branch = {.norm = rms(image.epsilon), .name = "pre_attention_layer_norm"},
                                 .feed_forward_branch = {.norm = rms(image.epsilon), .name = "pre_mlp_layer_norm"}};
    x = transformer_layers(encoder / "encoder.layer", x, {image.layers, [&](int64_t) { return layer; }, "encoder_"},
                           {.mask = in.at("attention_mask")});
    g.mark("encoder_hidden_states." + std::to_string(image.layers), x);
    return norm(encoder / "layernorm", x, rms(image.epsilon));
  }

  // T5's decoder: the distances of the first layer serve all.
  Value decode(Graph& g, const DecoderStep& step, Cache& cache) const override {
    const Scope decoder = g.root() / "decoder";
    const AttentionBlock attention = attention_block(text.heads, text.head_size, true);
    const TransformerLayer layer{
        .attention_at = "self_attention.attention",
        .feed_forward_at = "mlp.DenseReluDense",
        .attention = attention,
        .feed_forward = gated(text.inner, text.activation),
        .attention_branch = {.norm = rms(text.epsilon), .name = "self_attention.layer_norm"},
        .feed_forward_branch = {.norm = rms(text.epsilon), .name = "mlp.layer_norm"},
        .cross = CrossAttention{"encoder_decoder_attention.attention",
                                attention,
                                {.norm = rms(text.epsilon), .name = "encoder_decoder_attention.layer_norm"}}};
    const Value queries = decoder_places(step, cache), past = cache.past_keys();
    const Value keys = past ? range(size_of(past, 2) + size_of(step.ids, 1)) : queries;
    Attended given{.mask = step.mask, .cache = &cache, .encoder = {step.encoder_hidden, step.encoder_mask}};
    given.bias = relative_bias(decoder / "layer.0.self_attention.attention.relative_attention_bias", queries, keys,
                               {text.buckets, text.max_distance, text.heads, false});
    if (tied) g.stand_in(decoder / "embed_tokens", decoder / "lm_head");
    Value x = embedding(decoder / "embed_tokens", step.ids, {text.vocab, text.hidden});
    x = transformer_layers(decoder / "layer", x, {text.layers, [&](int64_t) { return layer; }, "decoder_"}, given);
    return g.mark("decoder_hidden_states." + std::to_string(text.layers),
                  norm(decoder / "final_layer_norm", x, rms(text.epsilon)));
  }

  Heads heads() const override {
    return {head::logits("vision2seq-lm", [this](const Encoded& at) {
      const Scope decoder = at.hidden.graph().root() / "decoder";
      return linear(TiedLinear{decoder / "lm_head", decoder / "embed_tokens", tied}, at.hidden,
                    {.out = text.vocab, .bias = false});
    })};
  }

 private:
  const VisionConfig image;
  const TextConfig text;
  Tie tied;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.pix2struct",
    .name = "Pix2Struct",
    .models = {{.types = {"pix2struct"},
                .features = {"vision2seq-lm", "vision2seq-lm-with-past"},
                .architectures = {{"Pix2StructForConditionalGeneration", "vision2seq-lm"}},
                .make = make<Pix2Struct>}},
})
