// SPDX-License-Identifier: Apache-2.0
// CLIPSeg: CLIP's towers, and a decoder that marks what a text tells of in an image. Source: CLIPSegModel,
// CLIPSegForImageSegmentation, CLIPSegTextModel and CLIPSegVisionModel, transformers 4.57 (modeling_clipseg.py).
#include <algorithm>

#include <onnxport/families/clip.hpp>

using namespace onnxport::family;

namespace {

struct DecoderConfig {
  explicit DecoderConfig(const Config& c)
      : reads(c.has("extract_layers") ? c.integers("extract_layers") : std::vector<int64_t>{3, 6, 9}),
        width(c.size("reduce_dim", 64)),
        heads(c.size("decoder_num_attention_heads", 4)),
        inner(c.size("decoder_intermediate_size", 2048)),
        told_at(c.integer("conditional_layer", 0)),
        deep_upsampling(c.boolean("use_complex_transposed_convolution", false)) {
    c.no_effect({"decoder_attention_dropout", "decoder_hidden_act"});  // the activation is relu, whatever that says
    require_multiple({"reduce_dim", width}, {"decoder_num_attention_heads", heads});
  }
  std::vector<int64_t> reads;  // layers of the tower of images, by number
  int64_t width, heads, inner;
  int64_t told_at;  // the decoder's layer that is told of the text
  bool deep_upsampling;
};

class ClipSeg final : public ClipTowers {
 public:
  explicit ClipSeg(const Request& request) : ClipTowers(request, {}, {}), c(request.config) {
    for (const int64_t layer : c.reads) {
      if (layer >= 0 && layer < image.layers) continue;
      throw Error(ONNXPORT_CONFIG, "config field 'extract_layers' names layer " + std::to_string(layer) +
                                       "; the tower of images has 0 to " + std::to_string(image.layers - 1));
    }
  }

  std::string base_model_prefix() const override { return "clip"; }
  int64_t max_positions() const override { return text.positions; }
  /// One text is about one image.
  std::vector<TensorSpec> inputs() const override {
    if (is_pair()) return ClipTowers::inputs();
    std::vector<TensorSpec> specs = text_marks(axis::batch);
    specs.insert(specs.begin(), {text_ids(axis::batch), pixel_values()});
    return specs;
  }
  std::vector<OutputSpec> outputs() const override {
    if (is_pair()) return ClipTowers::outputs();
    return {{"logits", {{0, axis::batch}}}};
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    if (is_pair()) return ClipTowers::forward(g, in);
    g.unused("*logit_scale");
    const Scope model = towers(g) / "vision_model";
    const Value told = g.mark("conditional_embeddings", text_vectors(g, text_of(in)));
    const Patches patches = image.embed(model, in.at("pixel_values"));
    const std::vector<Value> seen = layers_of(model, patches.tokens);
    if (g.wants("pooled_output"))
      g.mark("pooled_output", project_image(model, seen.back()));
    else
      skip_image_vector(model);
    return {{"logits", decode(g.root() / "decoder", seen, {told, patches.size})}};
  }

 private:
  Scope towers(Graph& g) const override { return is_pair() ? g.root() : g.root() / base_model_prefix(); }

  /// What the tower of images ends in serves only to compare images with texts.
  static void skip_image_vector(const Scope& model) {
    model.graph().unused((model / "post_layernorm").path() + ".*");
    model.graph().unused((model.parent() / "visual_projection").path() + ".*");
  }

  /// What every layer of the tower yields.
  std::vector<Value> layers_of(const Scope& model, Value x) const {
    std::vector<Value> all;
    for (int64_t i = 0; i < image.layers; ++i) {
      x = transformer_layer(model / "encoder.layers" / i, x, image.layer(false), {});
      all.push_back(model.graph().mark("vision_hidden_states." + std::to_string(i + 1), x));
    }
    return all;
  }

  struct Told {
    Value text;  // f[batch, projected]
    Value size;  // i64[2], rows and columns of the patches
  };
  /// seen: f[batch, 1 + patches, hidden] for each layer of the tower -> f[batch, height, width]
  Value decode(const Scope& s, const std::vector<Value>& seen, const Told& told) const {
    Value x;
    const auto count = static_cast<int64_t>(c.reads.size());
    for (int64_t i = 0; i < count; ++i) {
      const int64_t layer = c.reads[static_cast<size_t>(count - 1 - i)];  // the deepest one first
      const Value read = linear(s / "reduces" / i, seen[static_cast<size_t>(layer)], {.out = c.width});
      x = x ? read + x : read;
      if (i == c.told_at) {
        const Value factor = unsqueeze(linear(s / "film_mul", told.text, {.out = c.width}), {1});
        x = factor * x + unsqueeze(linear(s / "film_add", told.text, {.out = c.width}), {1});
      }
      x = transformer_layer(s / "layers" / i, x, decoder_layer(), {});
    }
    return squeeze(upsample(s / "transposed_convolution", image_of(slice(x, {1, 1}), told.size)), {1});
  }
  TransformerLayer decoder_layer() const {
    TransformerLayer form = image.layer(false);
    form.attention.heads = c.heads;
    form.attention.head_size = c.width / c.heads;
    form.feed_forward.inner = c.inner;
    form.feed_forward.activation = "relu";
    form.attention_branch.placement = form.feed_forward_branch.placement = Placement::after;
    return form;
  }
  /// f[batch, n, rows, columns] -> f[batch, 1, height, width]
  Value upsample(const Scope& s, const Value& x) const {
    if (!c.deep_upsampling) return conv_transpose2d(s, x, {.out = 1, .kernel = image.patch, .stride = image.patch});
    const int64_t step = image.patch / 4;
    const Value h = relu(conv2d(s / 0, x, {.out = c.width, .kernel = 3, .padding = 1}));
    const Value wide = relu(conv_transpose2d(s / 2, h, {.out = c.width / 2, .kernel = step, .stride = step}));
    return conv_transpose2d(s / 4, wide, {.out = 1, .kernel = step, .stride = step});
  }

  const DecoderConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.clipseg",
    .name = "CLIPSeg",
    .models = {{.types = {"clipseg"}, .features = {"default", "image-segmentation"}, .make = make<ClipSeg>},
               {.types = {"clipseg_text_model"}, .features = {"default"}, .make = make<ClipText>},
               {.types = {"clipseg_vision_model"}, .features = {"default"}, .make = make<ClipVision>}},
})
