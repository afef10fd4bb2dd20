// SPDX-License-Identifier: Apache-2.0
// MGP-STR, which reads a word in an image three ways: by characters, by pieces of GPT-2's and by pieces of BERT's
// vocabulary. Source: MgpstrModel and MgpstrForSceneTextRecognition, transformers 4.57 (modeling_mgp_str.py).
#include <algorithm>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/stem.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

/// One of the three ways to read: the name before its modules, and how many signs it has.
struct Reading {
  const char* name;
  int64_t signs;
};

struct MgpStrConfig {
  explicit MgpStrConfig(const Config& c)
      : hidden(c.size("hidden_size", 768)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 12)),
        inner(static_cast<int64_t>(static_cast<double>(hidden) * c.real("mlp_ratio", 4))),
        channels(c.size("num_channels", 3)),
        image(c.has("image_size") ? extent(c, "image_size", 32) : Extent(32, 128)),
        patch(extent(c, "patch_size", 4)),
        epsilon(c.real("layer_norm_eps", 1e-5)),
        qkv_bias(c.boolean("qkv_bias", true)),
        longest(c.size("max_token_length", 27)),
        readings{{"char", c.size("num_character_labels", 38)},
                 {"bpe", c.size("num_bpe_labels", 50257)},
                 {"wp", c.size("num_wordpiece_labels", 30522)}},
        grid(image.height / patch.height, image.width / patch.width) {
    c.no_effect({"drop_rate", "attn_drop_rate", "drop_path_rate", "output_a3_attentions"});
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    require_multiple({"hidden_size", hidden}, {"the groups of its convolutions", groups});
    if (c.boolean("distilled", false)) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'distilled' is true: the original then has one more position than tokens, and fails");
    }
    if (grid.area() == 0) throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than image_size");
  }
  static constexpr int64_t groups = 8;  // of the convolutions that weigh tokens
  int64_t hidden, layers, heads, inner, channels;
  Extent image, patch;
  double epsilon;
  bool qkv_bias;
  int64_t longest;  // signs that a word has
  std::vector<Reading> readings;
  Extent grid;
};

class MgpStr final : public OnnxConfig {
 public:
  explicit MgpStr(const Request& request) : OnnxConfig(request), c(request.config) {
    const std::vector<std::string> classes = request.config.texts("architectures");
    reads_ = std::find(classes.begin(), classes.end(), "MgpstrForSceneTextRecognition") != classes.end();
  }

  std::string base_model_prefix() const override { return "mgp_str"; }
  double atol_for_validation() const override { return 1e-4; }
  std::vector<AxisSize> axis_sizes() const override {
    return {{.axis = axis::num_channels, .usual = c.channels},
            {.axis = axis::height, .usual = c.image.height, .minimum = c.patch.height},
            {.axis = axis::width, .usual = c.image.width, .minimum = c.patch.width}};
  }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  /// Of the model with its heads what it reads, else what the base model yields.
  std::vector<OutputSpec> outputs() const override {
    if (!reads_) return OnnxConfig::outputs();
    std::vector<OutputSpec> specs;
    for (const Reading& way : c.readings) specs.push_back({logits_of(way), {{0, axis::batch}}});
    return specs;
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope root = g.root(), model = reads_ ? root / base_model_prefix() : root;
    const Value hidden = encode(model, in.at("pixel_values"));
    if (!reads_) return {{"last_hidden_state", hidden}};
    Outputs outputs;
    for (const Reading& way : c.readings) {
      const std::string name = way.name;
      const Value signs = gather_signs(root / (name + "_a3_module"), hidden);
      outputs.emplace_back(logits_of(way), linear(root / (name + "_head"), signs, {.out = way.signs}));
    }
    return outputs;
  }

 private:
  static std::string logits_of(const Reading& way) { return std::string(way.name) + "_logits"; }

  // pixels: f[batch, channels, height, width] -> f[batch, 1 + patches, hidden]
  Value encode(const Scope& model, const Value& pixels) const {
    const Patches patches = patch_stem(model / "embeddings", pixels,
                                       {.width = c.hidden,
                                        .patch = c.patch,
                                        .channels = c.channels,
                                        .projection = "proj",
                                        .first_tokens = {"cls_token"},
                                        .positions = "pos_embed",
                                        .grid = c.grid});
    return transformer_layers(model / "encoder.blocks", patches.tokens, {c.layers, [this](int64_t) { return layer(); }},
                              {});
  }
  TransformerLayer layer() const {
    return {.attention_at = "attn",
            .attention = {.heads = c.heads,
                          .head_size = c.hidden / c.heads,
                          .projections = {.packing = Projections::Packing::blocks,
                                          .fused = "qkv",
                                          .output = "proj",
                                          .bias = {.query = c.qkv_bias, .output = true}}},
            .feed_forward = {.inner = c.inner, .up = "fc1", .down = "fc2", .bias = true},
            .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "norm1"},
            .feed_forward_branch = {.norm = {.epsilon = c.epsilon}, .name = "norm2"}};
  }

  // For each sign of a word a mean of the tokens, by learnt shares: f[batch, n, hidden] -> f[batch, longest, hidden].
  Value gather_signs(const Scope& s, const Value& hidden) const {
    const Value x = unsqueeze(transpose(norm(s / "token_norm", hidden, {.epsilon = c.epsilon}), {0, 2, 1}), {3});
    const auto weigh = [&](const Scope& module, const Value& of, int64_t out, int64_t groups) {
      return conv2d(module, of, {.out = out, .groups = groups, .bias = false});
    };
    const Value scores =
        weigh(s / "tokenLearner" / 1, weigh(s / "tokenLearner" / 0, x, c.hidden, c.groups), c.longest, 1);
    const Value shares = softmax(squeeze(scores, {3})).in(s);
    const Value features = transpose(squeeze(weigh(s / "feat", x, c.hidden, c.groups), {3}), {0, 2, 1});
    return norm(s / "norm", matmul(shares, features), {.epsilon = c.epsilon});
  }

  const MgpStrConfig c;
  bool reads_;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.mgp-str",
    .name = "MGP-STR",
    .models = {{.types = {"mgp-str"},
                .features = {"default"},
                .architectures = {{"MgpstrForSceneTextRecognition", "default"}},
                .make = make<MgpStr>}},
})
