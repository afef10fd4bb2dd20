// SPDX-License-Identifier: Apache-2.0
// Deformable DETR: the encoder and the decoder look at a few samples of the image at several scales. Boxes may be moved
// layer by layer, and queries may be the most promising places of the image.
// Source: DeformableDetrModel and DeformableDetrForObjectDetection, transformers 4.57 (modeling_deformable_detr.py).
#include <onnxport/blocks/reference_points.hpp>
#include <onnxport/families/deformable_detr.hpp>
#include <onnxport/selection.hpp>

using namespace onnxport::family;

namespace {

struct DeformableDetrConfig {
  explicit DeformableDetrConfig(const Config& c)
      : levels(c.size("num_feature_levels", 4)),
        backbone(seen_through(c, levels)),
        width(c.size("d_model", 256)),
        encoder(c, "encoder_", 1024),
        decoder(c, "decoder_", 1024),
        activation(c.text("activation_function", "relu")),
        learnt(c.choice("position_embedding_type", "sine", {"sine", "learned"}) == "learned"),
        refines(c.boolean("with_box_refine", false)),
        two_stage(c.boolean("two_stage", false)),
        queries(two_stage ? c.size("two_stage_num_proposals", 300) : c.size("num_queries", 300)),
        labels(c.num_labels()) {
    // Of training; and which of both numbers of queries is not read.
    c.no_effect({"max_position_embeddings",
                 "encoder_layerdrop",
                 "decoder_layerdrop",
                 "return_intermediate",
                 "auxiliary_loss",
                 "class_cost",
                 "bbox_cost",
                 "giou_cost",
                 "mask_loss_coefficient",
                 "dice_loss_coefficient",
                 "bbox_loss_coefficient",
                 "giou_loss_coefficient",
                 "eos_coefficient",
                 "focal_alpha",
                 "disable_custom_kernels",
                 "init_std",
                 "init_xavier_std",
                 "is_encoder_decoder",
                 "num_queries",
                 "two_stage_num_proposals",
                 "tie_word_embeddings"});
    require_multiple({"d_model", width}, {"encoder_attention_heads", encoder.heads});
    require_multiple({"d_model", width}, {"decoder_attention_heads", decoder.heads});
    require_multiple({"d_model", width}, {"groups of a norm", 32});
    if (two_stage && !refines) {
      throw Error(ONNXPORT_CONFIG, "config field 'two_stage' is true and 'with_box_refine' false; expected both");
    }
  }
  int64_t levels;
  Backbone backbone;
  int64_t width;
  DeformableSide encoder, decoder;
  std::string activation;
  bool learnt;     // positions
  bool refines;    // boxes, layer by layer
  bool two_stage;  // queries are places of the image
  int64_t queries, labels;

 private:
  static Backbone seen_through(const Config& c, int64_t levels) {
    if (const auto name = timm_name(c))
      return timm_backbone(c, *name, levels > 1 ? std::vector<size_t>{2, 3, 4} : std::vector<size_t>{4});
    return backbone_of(c, backbones, resnet_backbone);
  }
};

class DeformableDetr final : public OnnxConfig {
 public:
  explicit DeformableDetr(const Request& request)
      : OnnxConfig(request),
        c(request.config.with_names({{"d_model", "hidden_size"}, {"encoder_attention_heads", "num_attention_heads"}})) {
    if (c.two_stage && task() == "default") {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'two_stage' is true: the base model alone has no heads that choose its queries, and "
                  "the original fails; expected the feature object-detection");
    }
  }

  std::string base_model_prefix() const override { return "model"; }
  double atol_for_validation() const override { return 1e-4; }
  /// Source: DetrOnnxConfig, transformers 4.30, of which this is a relative.
  std::vector<TensorSpec> inputs() const override { return {pixel_values(), pixel_mask()}; }
  std::vector<OutputSpec> outputs() const override { return detector_outputs(task()); }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const bool detects = task() != "default";
    const Scope model = detects ? g.root() / "model" : g.root();
    // Copies of the heads, and heads of other layers.
    for (const char* name : {"*class_embed.*", "*bbox_embed.*"}) g.unused(name);
    const ImagePositions places{.width = c.width, .learnt = c.learnt, .centre = 0.5};
    const SeenScales seen = see_scales(model, in, {c.backbone, c.levels, places});
    const Value memory = g.mark("encoder_last_hidden_state", encode(model / "encoder", seen));
    const Queries queries = c.two_stage ? promising(model, memory, seen) : learnt_queries(model, memory);
    const Found found = decode(model / "decoder", memory, seen, queries);
    if (!detects) return {{"last_hidden_state", found.objects}};
    g.mark("last_hidden_state", found.objects);
    const Scope classes = head_of_layer(g.root(), "class_embed", c.decoder.layers - 1);
    const Value logits = linear(classes, found.objects, {.out = c.labels});
    return {{"logits", logits}, {"pred_boxes", found.boxes}};
  }

 private:
  Value joined(const Scope& layer, const Value& x, const char* name,
               const std::function<Value(const Value&)>& run) const {
    return residual(layer, x.in(layer), {Placement::after, {}, name}, run);
  }
  Value fed(const Scope& layer, const Value& x, int64_t inner) const {
    return joined(layer, x, "final_layer_norm", [&](const Value& h) {
      return feed_forward(layer, h,
                          {.inner = inner, .activation = c.activation, .up = "fc1", .down = "fc2", .bias = true});
    });
  }

  Value encode(const Scope& s, const SeenScales& seen) const {
    const Value references = references_of_places(s, seen);
    Value x = seen.image.tokens;
    for (int64_t i = 0; i < c.encoder.layers; ++i) {
      const Scope layer = s / "layers" / i;
      x = joined(layer, x, "self_attn_layer_norm", [&](const Value& h) {
        return attend_deformed(layer / "self_attn", h + seen.positions, {h, seen.image.levels, references, seen.mask},
                               c.encoder.sampling(c.levels));
      });
      x = fed(layer, x, c.encoder.inner);
    }
    return x;
  }

  struct Queries {
    Value objects, positions;  // f32[batch, queries, width]
    Value references;          // f32[batch, queries, 2 or 4]
  };
  Queries learnt_queries(const Scope& model, const Value& memory) const {
    Graph& g = model.graph();
    const Value table = (model / "query_position_embeddings").weight("weight", {c.queries, 2 * c.width});
    const Value shape = concat({shape_of(memory, 0, 1), g.integers({c.queries, 2 * c.width})}, 0);
    const std::vector<Value> both = split(g.op("Expand", {table, shape}), 2, {c.width, c.width});
    const Value references = sigmoid(linear(model / "reference_points", both[0], {.out = 2}));
    return {both[1], both[0], g.mark("init_reference_points", references)};
  }

  // The places with the highest scores, and boxes around them.
  Queries promising(const Scope& model, const Value& memory, const SeenScales& seen) const {
    const PlaceBoxes boxes = boxes_around_places(model, seen);
    const Value places = queries_of_places(model, memory, boxes, {});
    const Scope root = model.graph().root();
    const Value scores = linear(head_of_layer(root, "class_embed", c.decoder.layers), places, {.out = c.labels});
    const Scope mover = head_of_layer(root, "bbox_embed", c.decoder.layers);
    const Value moved = perceptron(mover, places, {c.width, 4}) + boxes.unbounded();
    const Value chosen = rows_at(moved, top_k(pick(scores, 2, 0), c.queries, {.axis = 1}).indices);
    const Value references = model.graph().mark("init_reference_points", sigmoid(chosen));
    const Value sines = reshape(sines_of(references, {.width = c.width / 2}), {0, 0, 2 * c.width});
    const Value both = norm(model / "pos_trans_norm", linear(model / "pos_trans", sines, {.out = 2 * c.width}), {});
    const std::vector<Value> halves = split(both, 2, {c.width, c.width});
    return {halves[1], halves[0], references};
  }

  struct Found {
    Value objects;  // f32[batch, queries, width]
    Value boxes{};  // of a detector: f32[batch, queries, 4]
  };
  Found decode(const Scope& s, const Value& memory, const SeenScales& seen, const Queries& queries) const {
    const bool detects = task() != "default";
    const Value& positions = queries.positions;
    Value x = queries.objects, references = queries.references, boxes;
    for (int64_t i = 0; i < c.decoder.layers; ++i) {
      const Scope layer = s / "layers" / i;
      const Value places = references_at_levels(references, seen);
      x = joined(layer, x, "self_attn_layer_norm", [&](const Value& h) {
        return attend_at_positions(layer / "self_attn", h, {c.decoder.heads, positions, h, positions});
      });
      x = joined(layer, x, "encoder_attn_layer_norm", [&](const Value& h) {
        return attend_deformed(layer / "encoder_attn", h + positions, {memory, seen.image.levels, places, seen.mask},
                               c.decoder.sampling(c.levels));
      });
      x = fed(layer, x, c.decoder.inner);
      if (!detects || (!c.refines && i + 1 < c.decoder.layers)) continue;
      const Value moved = perceptron(head_of_layer(s.graph().root(), "bbox_embed", i), x, {c.width, 4});
      const Value from = inverse_sigmoid(references);
      boxes = sigmoid(moved + (references.fixed(2) == 4 ? from : pad(from, {{2, 0, 2}})));
      if (c.refines) references = boxes;
    }
    return {x, boxes};
  }

  const DeformableDetrConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.deformable_detr",
    .name = "Deformable DETR",
    .models = {{.types = {"deformable_detr"},
                .features = {"default", "object-detection"},
                .make = make<DeformableDetr>}},
})
