// SPDX-License-Identifier: Apache-2.0
// GLM-OCR: pages of any size as patches in one row, and a GLM-4 whose positions have three axes, which are given.
// Source: GlmOcrForConditionalGeneration, transformers 5.24.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/packed_vision_language.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

struct GlmOcrVision {
  explicit GlmOcrVision(const Config& c)
      : depth(c.count("depth", 24)),
        width(c.size("hidden_size", 1024)),
        heads(c.size("num_heads", 16)),
        inner(c.size("intermediate_size", 4096)),
        merge(c.size("spatial_merge_size", 2)),
        out(c.size("out_hidden_size", 1536)),
        patch{c.size("in_channels", 3), c.size("temporal_patch_size", 2), c.size("patch_size", 14)},
        activation(c.text("hidden_act", "silu")),
        bias(c.boolean("attention_bias", true)),
        rms{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-5)},
        theta(c.section("rope_parameters").real("rope_theta", 10000)) {
    require_multiple({"vision_config.hidden_size", width}, {"num_heads", heads});
  }

  /// pixels: f[patches, n], grid: i64[images, 3] -> f[tokens, out]
  Value operator()(const Scope& s, const Value& pixels, const Value& grid) const {
    Value x = embed_patches(s / "patch_embed.proj", pixels, patch, {.out = width}).in(s);
    const PackedPlaces at = packed_places(s / "places", grid, size_of(pixels, 0), merge);
    const Attended given{.bias = seen_where_equal(s / "frames", {at.image, at.frame}),
                         .angles = axial_angles(s / "rotary_pos_emb", at, width / heads, theta)};
    x = transformer_layers(s / "blocks", unsqueeze(x, {0}),
                           {.count = depth, .layer = [this](int64_t) { return layer(); }, .steps = "vision_"}, given);
    return merged(s / "merger", shrunk(s / "downsample", norm(s / "post_layernorm", x, rms)));
  }

  int64_t depth, width, heads, inner, merge, out;
  PackedPatch patch;

 private:
  TransformerLayer layer() const {
    return {.attention_at = "attn",
            .attention = {.heads = heads,
                          .head_size = width / heads,
                          .projections = {.packing = Projections::Packing::blocks,
                                          .fused = "qkv",
                                          .output = "proj",
                                          .bias = {bias, bias, bias, bias}},
                          .query_key_norm = QueryKeyNorm{.norm = rms}},
            .feed_forward = {.inner = inner, .activation = activation, .gate = "gate_proj", .bias = bias},
            .attention_branch = {.norm = rms, .name = "norm1"},
            .feed_forward_branch = {.norm = rms, .name = "norm2"}};
  }

  /// merge² patches as a small image, which a convolution covers: f[1, patches, width] -> f[tokens, out].
  Value shrunk(const Scope& s, const Value& x) const {
    const Value squares = transpose(reshape(x, {-1, merge, merge, width}), {0, 3, 1, 2});
    return reshape(conv2d(s, squares, {.out = out, .kernel = merge, .stride = merge, .in = width}), {-1, out});
  }

  Value merged(const Scope& s, const Value& x) const {
    const Value read = linear(s / "proj", x, {.out = out, .bias = false});
    const Value h = onnxport::sdk::activation(norm(s / "post_projection_norm", read, {}), "gelu");
    const FeedForward form{.inner = out * patch.channels, .activation = activation, .gate = "gate_proj"};
    return feed_forward(s, h, form);
  }

  std::string activation;
  bool bias;
  Norm rms;
  double theta;
};

class GlmOcr final : public PackedVisionLanguage {
 public:
  explicit GlmOcr(const Request& request)
      : PackedVisionLanguage(request, half_of(request)),
        vision(request.config.section("vision_config")
                   .require_map()
                   .with_names({{"num_heads", "num_attention_heads"}, {"depth", "num_hidden_layers"}})) {
    request.config.no_effect({"video_token_id", "image_start_token_id", "image_end_token_id", "video_start_token_id",
                              "video_end_token_id", "tie_word_embeddings"});
  }

 private:
  static LanguageHalf half_of(const Request& request) {
    return {.config = request.config.section("text_config"),
            .model_type = "glm_ocr_text",
            .image_token = request.config.count("image_token_id", 59280),
            .prefixes = {{"model.", "model.language_model."},
                         {"", ""},
                         // A head that is not saved has the embedding's table.
                         {"lm_head.weight", "model.language_model.embed_tokens.weight"}}};
  }

  int64_t merge() const override { return vision.merge; }
  PackedPatch patch() const override { return vision.patch; }
  std::vector<Value> see(Graph& g, const Inputs& in) const override {
    return {vision(g.root() / "model.visual", in.at("pixel_values"), in.at("image_grid_thw"))};
  }

  const GlmOcrVision vision;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.glm-ocr",
    .name = "GLM-OCR",
    .models = {{.types = {"glm_ocr"}, .features = {"vision2seq-lm", "vision2seq-lm-with-past"}, .make = make<GlmOcr>}},
    .abi_minor_needed = 4,
})
