// SPDX-License-Identifier: Apache-2.0
// MaskFormer: a decoder like DETR's finds objects in what a backbone sees, and each of them is compared with every
// pixel. Source: MaskFormerModel and MaskFormerForInstanceSegmentation, transformers 4.57 (modeling_maskformer.py).
#include <onnxport/families/backbones.hpp>
#include <onnxport/families/detr.hpp>

using namespace onnxport::family;

namespace {

// A Swin of this library's is taken as MaskFormer's own, with all of its stages.
Backbone seen_through(const Config& c) {
  const Config own = c.section("backbone_config");
  if (own.text("model_type", "swin") != "swin") return backbone_of(c, backbones, resnet_backbone);
  own.no_effect({"out_features", "out_indices"});
  return maskformer_swin_of_all_stages(own);
}

struct MaskFormerConfig {
  explicit MaskFormerConfig(const Config& c)
      : backbone(seen_through(c)),
        // A DETR, of which the decoder alone is there.
        decoder(decoder_config(c), {.queries = 100}),
        pyramid(c.size("fpn_feature_size", 256)),
        mask(c.size("mask_feature_size", 256)),
        labels(c.num_labels()) {
    // Of training.
    c.no_effect({"no_object_weight", "use_auxiliary_loss", "dice_weight", "cross_entropy_weight", "mask_weight",
                 "output_auxiliary_logits", "init_std", "init_xavier_std", "num_attention_heads", "num_hidden_layers",
                 "use_timm_backbone", "backbone", "use_pretrained_backbone", "backbone_kwargs"});
    require_multiple({"fpn_feature_size", pyramid}, {"groups of a norm", 32});
  }
  Backbone backbone;
  DetrConfig decoder;
  int64_t pyramid, mask, labels;

 private:
  static Config decoder_config(const Config& c) {
    const Config own = c.section("decoder_config").with_names({{"d_model", "hidden_size"}});
    own.choice("model_type", "detr", {"detr"});
    return own;
  }
};

class MaskFormer final : public OnnxConfig {
 public:
  explicit MaskFormer(const Request& request)
      : OnnxConfig(request),
        c(request.config.with_names({{"mask_feature_size", "hidden_size"}})),
        layers{c.decoder.decoder,    c.decoder.width,  c.decoder.queries,
               c.decoder.activation, Placement::after, c.decoder.normed_between} {}

  std::string base_model_prefix() const override { return "model"; }
  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override {
    if (task() == "default") return {{"last_hidden_state", {{0, axis::batch}}}};
    return {{"class_queries_logits", {{0, axis::batch}}}, {"masks_queries_logits", {{0, axis::batch}}}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const bool base = task() == "default";
    const Scope model = base ? g.root() : g.root() / "model", pixels = model / "pixel_level_module";
    g.unused("criterion.empty_weight");
    const std::vector<Value> stages = c.backbone(pixels / "encoder", in.at("pixel_values")).stages;
    g.mark("encoder_last_hidden_state", stages.back());
    const Value objects = find(model / "transformer_module", stages.back());
    if (base) {
      g.unused("*pixel_level_module.decoder.*");
      return {{"last_hidden_state", objects}};
    }
    g.mark("transformer_decoder_last_hidden_state", objects);
    const Value image = pyramid(pixels / "decoder", stages);
    Value masks = objects;
    for (int64_t i = 0; i < 3; ++i) {
      masks = linear(g.root() / "mask_embedder" / i / 0, masks, {.out = i == 2 ? c.mask : c.decoder.width});
      if (i < 2) masks = relu(masks);
    }
    return {{"class_queries_logits", linear(g.root() / "class_predictor", objects, {.out = c.labels + 1})},
            {"masks_queries_logits", einsum("bqc,bchw->bqhw", {masks, image})}};
  }

 private:
  // f32[batch, n, rows, columns] -> f32[batch, queries, width]. Source: MaskFormerTransformerModule.
  Value find(const Scope& s, const Value& stage) const {
    Graph& g = s.graph();
    const int64_t width = c.decoder.width;
    const Value image = stage.fixed(1) == width ? stage : conv2d(s / "input_projection", stage, {.out = width}).in(s);
    const Value size = concat({g.integers({1}), shape_of(image, 2, 4)}, 0);
    const Value all = g.op("Expand", {g.scalar(1), size});  // every place counts
    const Value positions = sine_positions(s, all, {.sines = {.width = width / 2}});
    const Value queries = (s / "queries_embedder").weight("weight", {c.decoder.queries, width});
    return layers.decode(s / "decoder", {unsqueeze(queries, {0}), tokens_of(image), positions});
  }

  // The stages from the coarsest to the finest: f32[batch, mask, rows, columns] of that one. Source:
  // MaskFormerFPNModel.
  Value pyramid(const Scope& s, const std::vector<Value>& stages) const {
    const auto normed = [&](const Scope& at, const Value& x, Extent kernel) {
      const Value h =
          conv2d(at / 0, x, {.out = c.pyramid, .kernel = kernel, .padding = kernel.height / 2, .bias = false});
      return group_norm(at / 1, h, {.groups = 32}).in(at.parent());
    };
    Value x = relu(normed(s / "fpn.stem", stages.back(), 3));
    for (size_t i = 1; i < stages.size(); ++i) {
      const Scope layer = s / "fpn.layers" / static_cast<int64_t>(i - 1);
      const Value finer = normed(layer / "proj", stages[stages.size() - 1 - i], 1);
      const Value grown = interpolate(x, shape_of(finer, 2, 4), Interpolation::nearest);
      x = relu(normed(layer / "block", grown + finer, 3));
    }
    return conv2d(s / "mask_projection", x, {.out = c.mask, .kernel = 3, .padding = 1});
  }

  const MaskFormerConfig c;
  const DetrLayers layers;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.maskformer",
    .name = "MaskFormer",
    .models = {{.types = {"maskformer"},
                .features = {"default", "image-segmentation"},
                .architectures = {{"MaskFormerForInstanceSegmentation", "image-segmentation"}},
                .make = make<MaskFormer>}},
})
