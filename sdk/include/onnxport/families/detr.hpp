// SPDX-License-Identifier: Apache-2.0
// DETR and what is made like it: an encoder and a decoder over what a backbone sees, with a query for each object that
// may be there. Relatives differ in how queries look at the image, and in what they predict.
// Source: DetrModel, DetrForObjectDetection, TableTransformerModel and ConditionalDetrModel, transformers 4.57
// (modeling_detr.py, modeling_table_transformer.py, modeling_conditional_detr.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/blocks/attention_at_positions.hpp>
#include <onnxport/blocks/image_heads.hpp>
#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/sine_positions.hpp>
#include <onnxport/families/backbones.hpp>

namespace onnxport::family {

/// Which pixels belong to the image: i64[batch, height, width].
inline TensorSpec pixel_mask() {
  return input::mask("pixel_mask", {axis::batch, axis::height, axis::width}, {.of = "pixel_values"});
}
/// What a detector puts out for a feature.
inline std::vector<OutputSpec> detector_outputs(const std::string& task) {
  if (task == "default") return {{"last_hidden_state", {{0, axis::batch}}}};
  std::vector<OutputSpec> specs{{"logits", {{0, axis::batch}}}, {"pred_boxes", {{0, axis::batch}}}};
  if (task == "image-segmentation") specs.push_back({"pred_masks", {{0, axis::batch}}});
  return specs;
}

/// What relatives do differently.
struct DetrKind {
  int64_t queries;                         ///< where config.json states none
  Placement placement = Placement::after;  ///< of the norms in layers; before: the encoder ends in one as well
  int64_t no_object = 1;                   ///< classes beside the labels
  const char* segmenter_prefix = "detr";   ///< where a segmenter keeps its detector
};

struct DetrConfig {
  DetrConfig(const Config& c, const DetrKind& kind)
      : backbone(seen_through(c)),
        width(c.size("d_model", 256)),
        queries(c.size("num_queries", kind.queries)),
        encoder{c.count("encoder_layers", 6), c.size("encoder_attention_heads", 8), c.size("encoder_ffn_dim", 2048)},
        decoder{c.count("decoder_layers", 6), c.size("decoder_attention_heads", 8), c.size("decoder_ffn_dim", 2048)},
        activation(c.text("activation_function", "relu")),
        learnt(c.choice("position_embedding_type", "sine", {"sine", "learned"}) == "learned"),
        normed_between(c.boolean("auxiliary_loss", false)),
        labels(c.num_labels()),
        mask_activation(c.written_since(5, 0) ? activation : "relu") {
    // Of training.
    c.no_effect({"encoder_layerdrop",
                 "decoder_layerdrop",
                 "class_cost",
                 "bbox_cost",
                 "giou_cost",
                 "mask_loss_coefficient",
                 "dice_loss_coefficient",
                 "bbox_loss_coefficient",
                 "giou_loss_coefficient",
                 "eos_coefficient",
                 "init_std",
                 "init_xavier_std",
                 "num_hidden_layers",
                 "scale_embedding",
                 "classifier_dropout",
                 "is_encoder_decoder",
                 "use_pretrained_backbone",
                 "backbone_kwargs",
                 "cls_loss_coefficient",
                 "focal_alpha"});
    require_multiple({"d_model", width}, {"encoder_attention_heads", encoder.heads});
    require_multiple({"d_model", width}, {"decoder_attention_heads", decoder.heads});
    require_multiple({"d_model", width}, {"pairs of rows and of columns", 4});
  }
  struct Side {
    int64_t layers, heads, inner;
  };
  Backbone backbone;
  int64_t width, queries;
  Side encoder, decoder;
  std::string activation;
  bool learnt;          // positions
  bool normed_between;  // the decoder's last norm stands behind each of its layers as well, as auxiliary_loss has it
  int64_t labels;
  std::string mask_activation;

 private:
  static Backbone seen_through(const Config& c) {
    if (const auto name = timm_name(c)) return timm_backbone(c, *name, {1, 2, 3, 4});
    return backbone_of(c, backbones, resnet_backbone);
  }
};

/// What the backbone sees, as tokens of the coarsest stage.
struct DetrImage {
  std::vector<Value> stages;  ///< f32[batch, n, …, …] each
  Value projected, tokens;    ///< f32[batch, width, rows, columns] and f32[batch, rows·columns, width]
  Value positions;            ///< f32[batch or 1, rows·columns, width]
  Value mask;                 ///< i64[batch, rows·columns]
  Value size;                 ///< i64[2]
};

/// A mask of pixels as one of an image's places: f[batch, n, rows, columns], i64[batch, height, width] ->
/// f32[batch, rows, columns].
inline Value mask_over(const Operand& image, const Value& pixel_mask) {
  const Value given = unsqueeze(cast(pixel_mask, DType::f32), {1});
  // Side by side: of a shape's slice, ONNX's checker does not know that it is two numbers where a backbone's maps have
  // lost their rank to it.
  const Value size = concat({unsqueeze(size_of(image, 2), {0}), unsqueeze(size_of(image, 3), {0})}, 0);
  return squeeze(interpolate(given, size, Interpolation::nearest), {1});
}

struct ImagePositions {
  int64_t width;
  bool learnt = false;
  double centre = 0;  ///< as of MaskSineOptions
  double temperature = 10000;
};
/// Positions of the places of an image, which stand below the model or below its backbone: f32[batch, rows, columns] ->
/// f32[batch or 1, rows·columns, width]. Source: DetrSinePositionEmbedding, and DetrLearnedPositionEmbedding, of 50
/// rows and columns at the most.
inline Value image_positions(const Scope& model, const Operand& mask, const ImagePositions& form) {
  // Version 5 has them beside the backbone.
  const Scope s =
      first_with("row_embeddings.weight", {model / "backbone.position_embedding", model / "position_embedding"});
  const int64_t half = form.width / 2;
  if (!form.learnt) {
    const SineOptions sines{.width = half, .temperature = form.temperature};
    return sine_positions(s, mask, {.sines = sines, .centre = form.centre});
  }
  Graph& g = s.graph();
  const Value size = shape_of(mask.in(s), 1, 3), whole = concat({size, g.integers({half})}, 0);
  const auto along = [&](const char* table, int64_t side) {
    const Value rows = first_rows((s / table).weight("weight", {50, half}), pick(size, 0, side));
    return g.op("Expand", {unsqueeze(rows, {side == 0 ? 1 : 0}), whole});
  };
  const Value all = concat({along("column_embeddings", 1), along("row_embeddings", 0)}, 2);
  return unsqueeze(reshape(all, {-1, form.width}), {0});
}

/// What a decoder looks at.
struct DetrDecoding {
  Value query_positions;    ///< f32[1, queries, width]
  Value memory, positions;  ///< f32[batch, n, width] and f32[batch or 1, n, width]
  Value mask{};             ///< i64[batch, n]
};

/// The layers of a decoder, and the parts that those of an encoder have as well.
struct DetrLayers {
  DetrConfig::Side side;
  int64_t width, queries;
  std::string activation;
  Placement placement = Placement::after;
  bool normed_between = false;  ///< as of DetrConfig

  /// x joined to what `run` makes of it, with the norm of that name.
  template <class Run>
  Value joined(const Scope& layer, const Value& x, const char* name, const Run& run) const {
    return residual(layer, x.in(layer), {placement, {}, name}, run);
  }
  /// The last part of a layer.
  Value fed(const Scope& layer, const Value& x, int64_t inner) const {
    return joined(layer, x, "final_layer_norm", [&](const Value& h) {
      return feed_forward(layer, h,
                          {.inner = inner, .activation = activation, .up = "fc1", .down = "fc2", .bias = true});
    });
  }
  /// Layers over zeros, and the norm behind them: f32[batch, queries, width]. Layer: module, f32[batch, queries, width]
  /// -> the same.
  template <class Layer>
  Value over_zeros(const Scope& s, const Value& memory, const Layer& layer) const {
    Graph& g = s.graph();
    Value x = g.op("Expand", {g.scalar(0), concat({shape_of(memory, 0, 1), g.integers({queries, width})}, 0)});
    for (int64_t i = 0; i < side.layers; ++i) {
      x = layer(s / "layers" / i, x);
      if (normed_between) x = norm(s / "layernorm", x, {});
    }
    return norm(s / "layernorm", x, {});
  }
  /// Source: DetrDecoder.
  Value decode(const Scope& s, const DetrDecoding& over) const {
    const Value& places = over.query_positions;
    return over_zeros(s, over.memory, [&](const Scope& layer, Value x) {
      x = joined(layer, x, "self_attn_layer_norm", [&](const Value& h) {
        return attend_at_positions(layer / "self_attn", h, {side.heads, places, h, places});
      });
      x = joined(layer, x, "encoder_attn_layer_norm", [&](const Value& h) {
        return attend_at_positions(layer / "encoder_attn", h,
                                   {side.heads, places, over.memory, over.positions, over.mask});
      });
      return fed(layer, x, side.inner);
    });
  }
};

class DetrOnnxConfig : public OnnxConfig {
 public:
  DetrOnnxConfig(const Request& request, const DetrKind& row)
      : OnnxConfig(request),
        kind(row),
        c(request.config.with_names({{"d_model", "hidden_size"},
                                     {"encoder_attention_heads", "num_attention_heads"},
                                     {"encoder_layers", "num_hidden_layers"}}),
          row),
        layers{c.decoder, c.width, c.queries, c.activation, kind.placement, c.normed_between} {}

  std::string base_model_prefix() const override { return "model"; }
  double atol_for_validation() const override { return 1e-4; }

  /// Source: DetrOnnxConfig, transformers 4.30.
  std::vector<TensorSpec> inputs() const override { return {pixel_values(), pixel_mask()}; }
  std::vector<OutputSpec> outputs() const override { return detector_outputs(task()); }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const bool masks = task() == "image-segmentation";
    const Scope detector = masks ? g.root() / kind.segmenter_prefix : g.root();
    const Scope model = task() == "default" ? detector : detector / "model";
    const DetrImage image = see(model, in);
    const Value memory = g.mark("encoder_last_hidden_state", encode(model / "encoder", image));
    const Value objects = decode(model, memory, image);
    if (task() == "default") return {{"last_hidden_state", objects}};
    g.mark("last_hidden_state", objects);
    const int64_t classes = c.labels + kind.no_object;
    Outputs made{{"logits", linear(detector / "class_labels_classifier", objects, {.out = classes})},
                 {"pred_boxes", sigmoid(boxes(detector, objects))}};
    if (masks) made.emplace_back("pred_masks", masks_of(g.root(), {objects, memory, image}));
    return made;
  }

 protected:
  /// Queries that begin as nothing but their positions: f32[batch, queries, width].
  virtual Value decode(const Scope& model, const Value& memory, const DetrImage& image) const {
    return layers.decode(model / "decoder", {query_positions(model), memory, image.positions, image.mask});
  }
  /// Before their sigmoid: f32[batch, queries, 4].
  virtual Value boxes(const Scope& detector, const Value& objects) const {
    return perceptron(detector / "bbox_predictor", objects, {c.width, 4});
  }
  /// What a mask is made of.
  struct Found {
    Value objects, memory;
    const DetrImage& image;
  };
  /// f32[batch, queries, …, …], of the plugins that list image-segmentation.
  virtual Value masks_of(const Scope& root, const Found&) const {
    throw Error(ONNXPORT_INTERNAL, "the model type '" + model_type() + "' has no head for masks", root.path());
  }

  /// f32[1, queries, width]
  Value query_positions(const Scope& model) const {
    return unsqueeze((model / "query_position_embeddings").weight("weight", {c.queries, c.width}), {0});
  }
  const DetrKind kind;
  const DetrConfig c;
  const DetrLayers layers;

 private:
  DetrImage see(const Scope& model, const Inputs& in) const {
    DetrImage made;
    // The wrapper of timm's models in version 5 has one module more.
    const Scope encoder = model / "backbone.conv_encoder.model";
    made.stages =
        c.backbone(first_with("conv1.weight", {encoder, encoder / "_backbone"}), in.at("pixel_values")).stages;
    made.projected = conv2d(model / "input_projection", made.stages.back(), {.out = c.width});
    made.tokens = tokens_of(made.projected);
    made.size = shape_of(made.projected, 2, 4);
    const Value mask = mask_over(made.projected, in.at("pixel_mask"));
    made.mask = cast(reshape(mask, {0, -1}), DType::i64);
    made.positions = image_positions(model, mask, {.width = c.width, .learnt = c.learnt});
    return made;
  }

  // -> f32[batch, rows·columns, width]
  Value encode(const Scope& s, const DetrImage& image) const {
    Value x = image.tokens;
    for (int64_t i = 0; i < c.encoder.layers; ++i) {
      const Scope layer = s / "layers" / i;
      x = layers.joined(layer, x, "self_attn_layer_norm", [&](const Value& h) {
        return attend_at_positions(layer / "self_attn", h,
                                   {c.encoder.heads, image.positions, h, image.positions, image.mask});
      });
      x = layers.fed(layer, x, c.encoder.inner);
    }
    return kind.placement == Placement::before ? norm(s / "layernorm", x, {}) : x;
  }
};

}  // namespace onnxport::family
