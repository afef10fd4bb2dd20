// SPDX-License-Identifier: Apache-2.0
// Mimi: sound as codes, of which the first few tell what is said and the others how it sounds. Between convolutions and
// quantisers stands a transformer. Source: MimiModel, transformers 4.57 and 5.24 (modeling_mimi.py); the window of the
// attention as of 5.24, which 4.57 leaves out.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/codec_config.hpp>
#include <onnxport/families/seanet.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::family;

namespace {

struct MimiConfig {
  explicit MimiConfig(const Config& c)
      : net(Seanet{.filters = 64,
                   .width = 512,
                   .ratios = {8, 6, 5, 4},
                   .last_kernel = 3,
                   .shortcut = false,
                   .border = Border::constant}
                .with(c)),
        codebook_size(c.size("codebook_size", 2048)),
        codebook_width(c.size("codebook_dim", 256)),
        quantizers(c.size("num_quantizers", 32)),
        semantic(c.size("num_semantic_quantizers", 1)),
        upsample_groups(c.size("upsample_groups", 512)),
        layers(c.count("num_hidden_layers", 8)),
        inner(c.size("intermediate_size", 2048)),
        heads(c.size("num_attention_heads", 8)),
        kv_heads(c.size("num_key_value_heads", 8)),
        head_size(c.size("head_dim", net.width / heads)),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("norm_eps", 1e-5)),
        window(c.count("sliding_window", 250)),
        bias(c.boolean("attention_bias", false)),
        rotary(c, head_size) {
    require_multiple({"hidden_size", net.width}, {"num_attention_heads", heads});
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    require_multiple({"hidden_size", net.width}, {"upsample_groups", upsample_groups});
    require_equal({"vector_quantization_hidden_dimension", c.size("vector_quantization_hidden_dimension", 256)},
                  {"codebook_dim", codebook_width});
    if (semantic >= quantizers) {
      throw Error(ONNXPORT_CONFIG, "config field 'num_semantic_quantizers' is " + std::to_string(semantic) +
                                       "; expected less than num_quantizers (" + std::to_string(quantizers) + ")");
    }
    read_rate(c);
    // Caches of sound that comes in pieces, and training. Angles are computed, so that no text is too long.
    c.no_effect({"use_streaming", "use_cache", "layer_scale_initial_scale", "attention_dropout",
                 "max_position_embeddings", "initializer_range"});
  }
  Seanet net;
  int64_t codebook_size, codebook_width, quantizers, semantic;
  int64_t upsample_groups;
  int64_t layers, inner, heads, kv_heads, head_size;
  std::string activation;
  double epsilon;
  int64_t window;
  bool bias;
  Rotary rotary;
  bool is_slower = true;   // codes have fewer frames than the net
  int64_t kernel, stride;  // of the convolutions between both rates

 private:
  // The rate of frames is half of the net's, where config.json states none. Before version 5 every second frame was
  // taken, whatever the rate. Source: MimiConfig.frame_rate and MimiModel, transformers 4.57 and 5.24.
  void read_rate(const Config& c) {
    const int64_t rate = c.size("sampling_rate", 24000), frames = (rate + net.hop() - 1) / net.hop();
    const double usual = static_cast<double>(rate) / static_cast<double>(2 * net.hop());
    const double wanted = c.real("frame_rate", c.real("_frame_rate", usual));
    const auto times = wanted > 0 ? static_cast<int64_t>(static_cast<double>(frames) / wanted) : 0;
    if (times == 0) {
      throw Error(ONNXPORT_CONFIG, "config field 'frame_rate' is " + std::to_string(wanted) +
                                       "; expected more than 0 and at most " + std::to_string(frames) +
                                       ", the frames a second that upsampling_ratios and sampling_rate yield");
    }
    is_slower = wanted != static_cast<double>(frames);
    kernel = 2 * times;
    stride = !is_slower ? 1 : c.written_before(5, 0) ? 2 : times;
  }
};

class MimiOnnxConfig final : public OnnxCodecConfig {
 public:
  explicit MimiOnnxConfig(const Request& request) : OnnxCodecConfig(request), c(request.config) {}

  double atol_for_validation() const override { return 1e-4; }
  int64_t audio_channels() const override { return c.net.audio_channels; }
  int64_t num_quantizers() const override { return c.quantizers; }
  int64_t hop_length() const override { return c.net.hop() * c.stride; }

  std::vector<TensorSpec> codes() const override {
    return {{.name = "audio_codes", .shape = {axis::batch, axis::quantizers, axis::frames}, .limit = c.codebook_size}};
  }

  Outputs encode(const Scope& root, const Value& signal) const override {
    Value x = transformer(root / "encoder_transformer", seanet_encoder(root / "encoder", signal, c.net));
    if (c.is_slower) {
      x = bordered_conv1d(root / "downsample.conv", x,
                          {.out = c.net.width,
                           .kernel = c.kernel,
                           .stride = c.stride,
                           .bias = false,
                           .causal = c.net.causal,
                           .border = Border::edge});
    }
    std::vector<Value> codes;
    for (const Group& group : groups(root)) {
      const Value read =
          is_projected() ? conv1d(group.scope / "input_proj", x, {.out = c.codebook_width, .bias = false}) : x;
      codes.push_back(residual_codes(transpose(read, {0, 2, 1}), codebooks(group)));
    }
    return {{"audio_codes", concat(codes, 1)}};
  }

  Value decode(const Scope& root, const Inputs& in) const override {
    const Value codes = in.at("audio_codes");
    Value x;
    for (const Group& group : groups(root)) {
      const Value own = slice(codes, {1, group.first, group.first + group.count});
      Value found = transpose(sum(entries_of(own, codebooks(group)), {1}), {0, 2, 1});
      if (is_projected()) found = conv1d(group.scope / "output_proj", found, {.out = c.net.width, .bias = false});
      x = x ? x + found : found;
    }
    if (c.is_slower) {
      x = conv_transpose1d(
          root / "upsample.conv", x,
          {.out = c.net.width, .kernel = c.kernel, .stride = c.stride, .groups = c.upsample_groups, .bias = false});
      x = without(x, cut_of(c.kernel - c.stride, c.net.causal, c.net.cut_at_end));
    }
    return seanet_decoder(root / "decoder", transformer(root / "decoder_transformer", x), c.net);
  }

 private:
  /// Quantisers of which each codes what those before it left over.
  struct Group {
    Scope scope;
    int64_t first, count;
  };
  std::vector<Group> groups(const Scope& root) const {
    const Scope s = root / "quantizer";
    return {{s / "semantic_residual_vector_quantizer", 0, c.semantic},
            {s / "acoustic_residual_vector_quantizer", c.semantic, c.quantizers - c.semantic}};
  }
  bool is_projected() const { return c.codebook_width != c.net.width; }

  // Entries are kept as sums over a training and how many each is of.
  std::vector<Value> codebooks(const Group& group) const {
    group.scope.graph().unused((group.scope / "layers.*.codebook.initialized").path());
    std::vector<Value> all;
    for (int64_t i = 0; i < group.count; ++i) {
      const Scope s = group.scope / "layers" / i / "codebook";
      const Value uses = s.weight("cluster_usage", {c.codebook_size});
      all.push_back(s.weight("embed_sum", {c.codebook_size, c.codebook_width}) /
                    unsqueeze(s.op("Max", {uses, s.graph().scalar(1e-5)}), {1}));
    }
    return all;
  }

  // f[batch, width, n] -> the same
  Value transformer(const Scope& s, const Value& x) const {
    const ProjectionBias bias{c.bias, c.bias, c.bias, c.bias};
    const TransformerLayer layer{
        .attention = {.heads = c.heads,
                      .kv_heads = c.kv_heads,
                      .head_size = c.head_size,
                      .projections = {.bias = bias},
                      .causal = true,
                      .window = c.window},
        .feed_forward = {.inner = c.inner, .activation = c.activation, .up = "fc1", .down = "fc2"},
        .attention_branch = {.norm = {.epsilon = c.epsilon},
                             .name = "input_layernorm",
                             .factor = "self_attn_layer_scale.scale"},
        .feed_forward_branch = {
            .norm = {.epsilon = c.epsilon}, .name = "post_attention_layernorm", .factor = "mlp_layer_scale.scale"}};
    const Value tokens = transpose(x, {0, 2, 1});
    const Value places = unsqueeze(range(size_of(tokens, 1)), {0});
    const Value read =
        transformer_layers(s / "layers", tokens, {c.layers, [&](int64_t) { return layer; }, s.path() + "."},
                           {.angles = c.rotary.angles(places.in(s / "rotary_emb"))});
    return transpose(read, {0, 2, 1});
  }

  const MimiConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.mimi",
    .name = "Mimi",
    .models = {{.types = {"mimi"}, .features = {"default"}, .make = make<MimiOnnxConfig>}},
})
