// SPDX-License-Identifier: Apache-2.0
// RF-DETR: what a windowed DINOv2 sees is mixed into one image, whose most promising places tell learnt queries where
// to look; boxes are moved in shares of their own size. A head makes a mask of each object. Source: RfDetrModel,
// RfDetrForObjectDetection and RfDetrForInstanceSegmentation, transformers 5.24 (modeling_rf_detr.py). Names are those
// of its checkpoints, which the library translates when it loads them.
#include <cmath>

#include <onnxport/blocks/packed_attention.hpp>
#include <onnxport/families/backbones.hpp>
#include <onnxport/families/deformable_detr.hpp>
#include <onnxport/selection.hpp>

#include "windowed_dinov2.hpp"

using namespace onnxport::family;
using onnxport::rf_detr::WindowedDinov2;

namespace {

struct RfDetrConfig {
  explicit RfDetrConfig(const Config& c)
      : backbone(WindowedDinov2::of_detector(c)),
        width(c.size("d_model", 256)),
        inner(static_cast<int64_t>(static_cast<double>(width) * c.real("hidden_expansion", 0.5))),
        blocks(c.count("c2f_num_blocks", 3)),
        activation(c.text("activation_function", "silu")),
        norm{.epsilon = c.real("layer_norm_eps", 1e-5)},
        decoder{c.count("decoder_layers", 3),
                c.size("decoder_self_attention_heads", 8),
                c.size("decoder_cross_attention_heads", 16),
                c.size("decoder_n_points", 4),
                c.size("decoder_ffn_dim", 2048),
                c.text("decoder_activation_function", "relu"),
                c.boolean("attention_bias", true)},
        queries(c.size("num_queries", 300)),
        groups(c.size("group_detr", 13)),
        labels(c.num_labels()),
        masks{c.size("mask_downsample_ratio", 4), c.size("intermediate_size", 1024),
              c.text("segmentation_head_activation_function", "gelu")} {
    // Of training.
    c.no_effect({"auxiliary_loss", "class_cost", "bbox_cost", "giou_cost", "class_loss_coefficient",
                 "dice_loss_coefficient", "bbox_loss_coefficient", "giou_loss_coefficient", "eos_coefficient",
                 "focal_alpha", "mask_loss_coefficient", "mask_point_sample_ratio", "mask_class_loss_coefficient",
                 "mask_dice_loss_coefficient", "disable_custom_kernels", "init_std"});
    require_multiple({"d_model", width}, {"decoder_self_attention_heads", decoder.heads});
    require_multiple({"d_model", width}, {"decoder_cross_attention_heads", decoder.cross_heads});
    require_multiple({"d_model", width}, {"pairs of two coordinates", 4});
    if (c.size("num_feature_levels", 1) != 1) {
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'num_feature_levels' is " +
                                            std::to_string(c.size("num_feature_levels", 1)) +
                                            ", with which the original fails; expected 1, as it makes one image");
    }
  }
  struct Decoder {
    int64_t layers, heads, cross_heads, points, inner;
    std::string activation;
    bool biased;
  };
  struct Masks {
    int64_t stride, inner;
    std::string activation;
  };
  WindowedDinov2 backbone;
  int64_t width, inner, blocks;
  std::string activation;
  Norm norm;  // of what mixes the stages
  Decoder decoder;
  int64_t queries, groups, labels;
  Masks masks;
};

class RfDetr final : public OnnxConfig {
 public:
  explicit RfDetr(const Request& request) : OnnxConfig(request), c(request.config) {}

  double atol_for_validation() const override { return 1e-4; }
  /// Sides are whole windows, and there must be as many places as queries.
  std::vector<AxisSize> axis_sizes() const override {
    const Extent step = c.backbone.step();
    const auto side = [&](int64_t patch, int64_t unit) {
      const int64_t places = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(c.queries))));
      return (places * patch + unit - 1) / unit * unit;
    };
    const int64_t height = side(c.backbone.patch().height, step.height);
    const int64_t width = side(c.backbone.patch().width, step.width);
    return {{.axis = axis::height, .usual = height, .minimum = height, .step = step.height},
            {.axis = axis::width, .usual = width, .minimum = width, .step = step.width}};
  }
  std::vector<TensorSpec> inputs() const override { return {pixel_values(), pixel_mask()}; }
  std::vector<OutputSpec> outputs() const override { return detector_outputs(task()); }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope root = g.root(), transformer = root / "transformer";
    // Heads of other groups, which are for training, and of other features.
    for (const char* name : {"transformer.enc_out*", "class_embed.*", "bbox_embed.*", "segmentation_head.*"})
      g.unused(name);
    const Value& pixels = in.at("pixel_values");
    const Value stages = concat(c.backbone(root / "backbone.0.encoder.encoder", pixels), 1);
    const Value image = g.mark("backbone_features", mix(root / "backbone.0.projector", stages));
    const SeenScales seen = as_tokens(image, in.at("pixel_mask"));
    const Value references = g.mark("init_reference_points",
                                    moved(promising(transformer, seen), of_first_group(root / "refpoint_embed", 4)));
    const Value objects = decode(transformer / "decoder",
                                 of_each_image(of_first_group(root / "query_feat", c.width), image), seen, references);
    if (task() == "default") return {{"last_hidden_state", objects}};
    g.mark("last_hidden_state", objects);
    const Value boxes = moved(references, perceptron(root / "bbox_embed", objects, {c.width, 4}));
    Outputs made{{"logits", linear(root / "class_embed", objects, {.out = c.labels})}, {"pred_boxes", boxes}};
    if (task() == "image-segmentation")
      made.emplace_back("pred_masks", masks_of(root / "segmentation_head", objects, image, pixels));
    return made;
  }

 private:
  // A convolution that keeps the size, and a norm over its channels.
  Value conv_norm(const Scope& s, const Value& x, int64_t out, int64_t kernel) const {
    const Value h = conv2d(s / "conv", x, {.out = out, .kernel = kernel, .padding = kernel / 2, .bias = false});
    return activation(norm_of_channels(s / "bn", h, c.norm), c.activation).in(s.parent());
  }
  // The stages as one image: f[batch, n, rows, columns] -> f[batch, width, rows, columns]. Source:
  // RfDetrScaleProjector.
  Value mix(const Scope& s, const Value& stages) const {
    const Scope at = s / "stages.0.0";
    std::vector<Value> parts = split(conv_norm(at / "cv1", stages, 2 * c.inner, 1), 1, {c.inner, c.inner});
    for (int64_t i = 0; i < c.blocks; ++i) {
      const Scope block = at / "m" / i;
      parts.push_back(conv_norm(block / "cv2", conv_norm(block / "cv1", parts.back(), c.inner, 3), c.inner, 3));
    }
    const Value mixed = conv_norm(at / "cv2", concat(parts, 1), c.width, 1);
    return norm_of_channels(s / "stages.0.1", mixed, {.epsilon = 1e-6});
  }

  static SeenScales as_tokens(const Value& image, const Value& pixel_mask) {
    const Value mask = mask_over(image, pixel_mask);
    return {.image = token_levels({image}),
            .mask = cast(reshape(mask, {0, -1}), DType::i64),
            .masks = {mask},
            .valid = unsqueeze(valid_share(image, mask), {1})};
  }

  // A box, by shares of its own size: f32[batch, n, 4] both -> the same. Source: refine_bboxes.
  static Value moved(const Value& box, const Value& by) {
    const std::vector<Value> from = split(box, -1, {2, 2}), how = split(by, -1, {2, 2});
    return concat({how[0] * from[1] + from[0], exp(how[1]) * from[1]}, -1);
  }
  // f32[groups·queries, n] -> f32[queries, n]; the other groups are for training.
  Value of_first_group(const Scope& s, int64_t width) const {
    return slice(s.weight("weight", {c.groups * c.queries, width}), {0, 0, c.queries});
  }
  static Value of_each_image(const Value& table, const Value& image) {
    Graph& g = table.graph();
    return g.op("Expand", {unsqueeze(table, {0}), concat({shape_of(image, 0, 1), g.integers({1, 1})}, 0)});
  }

  // Boxes of the places that look most like an object: f32[batch, queries, 4].
  Value promising(const Scope& s, const SeenScales& seen) const {
    Graph& g = s.graph();
    const PlaceBoxes around = boxes_around_places(s, seen);
    const auto kept = [&](const Value& x, double otherwise) { return where(around.counts, x, g.scalar(otherwise)); };
    const Value places =
        norm(s / "enc_output_norm" / 0, linear(s / "enc_output" / 0, kept(seen.image.tokens, 0), {.out = c.width}), {});
    const Value scores = kept(linear(s / "enc_out_class_embed" / 0, places, {.out = c.labels}),
                              -std::numeric_limits<double>::infinity());
    const Value boxes = moved(kept(around.boxes, 0), perceptron(s / "enc_out_bbox_embed" / 0, places, {c.width, 4}));
    return rows_at(boxes, top_k(largest(scores, {2}), c.queries, {.axis = 1}).indices);
  }

  // f32[batch, queries, width] -> the same
  Value decode(const Scope& s, Value x, const SeenScales& seen, const Value& references) const {
    const Value places = references_at_levels(references, seen);
    const Value positions =
        perceptron(s / "ref_point_head", sines_of_points(pick(places, 2, 0), {.width = c.width / 2}),
                   {.hidden = c.width, .out = c.width, .layers = 2});
    for (int64_t i = 0; i < c.decoder.layers; ++i) {
      const Scope layer = s / "layers" / i;
      const auto joined = [&](const char* name, const auto& run) {
        x = residual(layer, x.in(layer), {Placement::after, {}, name}, run);
      };
      joined("norm1", [&](const Value& h) {
        return attend_packed(layer / "self_attn", {h + positions, h + positions, h},
                             {.heads = c.decoder.heads, .biased = c.decoder.biased});
      });
      joined("norm2", [&](const Value& h) {
        return attend_deformed(layer / "cross_attn", h + positions,
                               {seen.image.tokens, seen.image.levels, places, seen.mask},
                               {.heads = c.decoder.cross_heads, .points = {c.decoder.points}});
      });
      joined("norm3", [&](const Value& h) {
        return feed_forward(layer, h,
                            {.inner = c.decoder.inner,
                             .activation = c.decoder.activation,
                             .up = "linear1",
                             .down = "linear2",
                             .bias = true});
      });
    }
    return norm(s / "norm", x, {});
  }

  // How much each place of the image is an object's: f32[batch, queries, …, …]. Source: segmentation_head.
  Value masks_of(const Scope& s, const Value& objects, const Value& image, const Value& pixels) const {
    const auto side = [&](int64_t axis) {
      return unsqueeze(named_length(s, size_of(pixels, axis) / s.graph().integer(c.masks.stride)), {0});
    };
    Value x = interpolate(image, concat({side(2), side(3)}, 0), Interpolation::bilinear);
    for (int64_t i = 0; i < c.decoder.layers; ++i) {
      const Scope block = s / "blocks" / i;
      const Value h = conv2d(block / "dwconv", x, {.out = c.width, .kernel = 3, .padding = 1, .groups = c.width});
      const Value normed = norm(block / "norm", channels_last(h), {.epsilon = 1e-6});
      x = channels_first(activation(linear(block / "pwconv1", normed, {.out = c.width}), c.masks.activation)) + x;
    }
    const Scope of_objects = s / "query_features_block";
    const Value asked = residual(of_objects, objects.in(of_objects), {.name = "norm_in"}, [&](const Value& h) {
      const Value inner = linear(of_objects / "layers" / 0, h, {.out = c.masks.inner});
      return linear(of_objects / "layers" / 2, activation(inner, c.masks.activation), {.out = c.width});
    });
    const Value queries = linear(s / "query_features_proj", asked, {.out = c.width});
    const Value places = conv2d(s / "spatial_features_proj", x, {.out = c.width});
    return einsum("bqc,bchw->bqhw", {queries, places}) + s.weight("bias", {1});
  }

  const RfDetrConfig c;
};

/// What it sees through, by itself.
class RfDetrDinov2 final : public OnnxConfig {
 public:
  explicit RfDetrDinov2(const Request& request)
      : OnnxConfig(request), backbone(WindowedDinov2::by_itself(request.config)) {}

  double atol_for_validation() const override { return 1e-4; }
  std::vector<AxisSize> axis_sizes() const override {
    const Extent step = backbone.step();
    return {{.axis = axis::height, .usual = step.height, .minimum = step.height, .step = step.height},
            {.axis = axis::width, .usual = step.width, .minimum = step.width, .step = step.width}};
  }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override {
    std::vector<OutputSpec> specs = map_outputs(backbone.stages());
    if (!backbone.yields_windows()) return specs;
    for (OutputSpec& spec : specs) spec.axes.clear();  // as many windows as there are, of all images
    return specs;
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    return map_values(backbone(g.root(), in.at("pixel_values")));
  }

 private:
  const WindowedDinov2 backbone;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.rf_detr",
    .name = "RF-DETR",
    .models = {{.types = {"rf_detr"},
                .features = {"default", "object-detection", "image-segmentation"},
                .make = make<RfDetr>},
               {.types = {"rf_detr_dinov2"}, .features = {"backbone"}, .make = make<RfDetrDinov2>}},
})
