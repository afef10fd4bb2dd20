// SPDX-License-Identifier: Apache-2.0
// Deformable DETR: the encoder and the decoder look at a few samples of the image at several scales. Boxes may be moved
// layer by layer, and queries may be the most promising places of the image.
// Source: DeformableDetrModel and DeformableDetrForObjectDetection, transformers 4.57 (modeling_deformable_detr.py).
#include <limits>

#include <onnxport/blocks/deformable_attention.hpp>
#include <onnxport/blocks/reference_points.hpp>
#include <onnxport/families/detr.hpp>
#include <onnxport/selection.hpp>

using namespace onnxport::family;

namespace {

struct DeformableDetrConfig {
  explicit DeformableDetrConfig(const Config& c)
      : levels(c.size("num_feature_levels", 4)),
        backbone(seen_through(c, levels)),
        width(c.size("d_model", 256)),
        encoder(c, "encoder_"),
        decoder(c, "decoder_"),
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
  struct Side {
    Side(const Config& c, const std::string& of)
        : layers(c.count(of + "layers", 6)),
          heads(c.size(of + "attention_heads", 8)),
          inner(c.size(of + "ffn_dim", 1024)),
          points(c.size(of + "n_points", 4)) {}
    int64_t layers, heads, inner, points;
  };
  int64_t levels;
  Backbone backbone;
  int64_t width;
  Side encoder, decoder;
  std::string activation;
  bool learnt;     // positions
  bool refines;    // boxes, layer by layer
  bool two_stage;  // queries are places of the image
  int64_t queries, labels;

 private:
  static Backbone seen_through(const Config& c, int64_t levels) {
    if (const auto name = timm_name(c))
      return timm_backbone(c, *name, levels > 1 ? std::vector<size_t>{2, 3, 4} : std::vector<size_t>{4});
    return backbone_of(c, convolutional_backbones, resnet_backbone);
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
  std::vector<TensorSpec> inputs() const override {
    return {pixel_values(),
            input::mask("pixel_mask", {axis::batch, axis::height, axis::width}, {.of = "pixel_values"})};
  }
  std::vector<OutputSpec> outputs() const override {
    if (task() == "default") return {{"last_hidden_state", {{0, axis::batch}}}};
    return {{"logits", {{0, axis::batch}}}, {"pred_boxes", {{0, axis::batch}}}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const bool detects = task() != "default";
    const Scope model = detects ? g.root() / "model" : g.root();
    // Copies of the heads, and heads of other layers.
    for (const char* name : {"*class_embed.*", "*bbox_embed.*"}) g.unused(name);
    const Scales seen = see(model, in);
    const Value memory = g.mark("encoder_last_hidden_state", encode(model / "encoder", seen));
    const Queries queries = c.two_stage ? promising(model, memory, seen) : learnt_queries(model, memory);
    const Found found = decode(model / "decoder", memory, seen, queries);
    if (!detects) return {{"last_hidden_state", found.objects}};
    g.mark("last_hidden_state", found.objects);
    const Value logits = linear(head(g.root(), "class_embed", c.decoder.layers - 1), found.objects, {.out = c.labels});
    return {{"logits", logits}, {"pred_boxes", found.boxes}};
  }

 private:
  // What the backbone sees, as tokens of all scales.
  struct Scales {
    TokenLevels image;
    Value positions;           // f32[batch, Σ rows·columns, width]
    Value mask;                // i64[batch, Σ rows·columns]
    std::vector<Value> masks;  // f32[batch, rows, columns] of each
    Value valid;               // which share of the columns and rows counts: f32[batch, levels, 2]
  };

  Scales see(const Scope& model, const Inputs& in) const {
    Graph& g = model.graph();
    const Scope encoder = model / "backbone.conv_encoder.model";
    const std::vector<Value> stages =
        c.backbone(first_with("conv1.weight", {encoder, encoder / "_backbone"}), in.at("pixel_values")).stages;
    if (static_cast<int64_t>(stages.size()) > c.levels) {
      throw Error(ONNXPORT_CONFIG, "the backbone yields " + std::to_string(stages.size()) +
                                       " stages, more than config field 'num_feature_levels' (" +
                                       std::to_string(c.levels) + "). See 'backbone_config.out_features'");
    }
    const Value table = model.weight("level_embed", {c.levels, c.width});
    std::vector<Value> levels, positions, masks, valid;
    Scales made;
    for (int64_t i = 0; i < c.levels; ++i) {
      const Scope at = model / "input_proj" / i;
      const auto own = static_cast<int64_t>(stages.size());
      // Behind the stages, coarser ones are made of the last one, and of one another.
      const Value& from = i < own ? stages[static_cast<size_t>(i)] : i == own ? stages.back() : levels.back();
      const ConvOptions small{.out = c.width, .kernel = 3, .stride = 2, .padding = 1};
      const Value x = conv2d(at / 0, from, i < own ? ConvOptions{.out = c.width} : small);
      levels.push_back(group_norm(at / 1, x, {.groups = 32}));
      const Value mask = mask_over(levels.back(), in.at("pixel_mask"));
      const Value places = image_positions(model, mask, {.width = c.width, .learnt = c.learnt, .centre = 0.5});
      positions.push_back(places + pick(table, 0, i));
      masks.push_back(cast(reshape(mask, {0, -1}), DType::i64));
      made.masks.push_back(mask);
      const Value size = cast(gather(shape_of(levels.back(), 2, 4), g.integers({1, 0})), DType::f32);
      valid.push_back(unsqueeze(counted(mask) / size, {1}));
    }
    made.image = token_levels(levels);
    made.positions = concat(positions, 1);
    made.mask = concat(masks, 1);
    made.valid = concat(valid, 1);
    return made;
  }
  // How many columns and rows count: f32[batch, rows, columns] -> f32[batch, 2].
  static Value counted(const Value& mask) {
    return concat({unsqueeze(sum(pick(mask, 1, 0), {1}), {1}), unsqueeze(sum(pick(mask, 2, 0), {1}), {1})}, 1);
  }
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
  DeformableAttention sampling(const DeformableDetrConfig::Side& side) const {
    return {.heads = side.heads, .points = std::vector<int64_t>(static_cast<size_t>(c.levels), side.points)};
  }

  Value encode(const Scope& s, const Scales& seen) const {
    std::vector<Value> places;
    for (size_t i = 0; i < seen.image.levels.size(); ++i) {
      const ImageLevel& level = seen.image.levels[i];
      // Of the rows and columns that count.
      const Value whole = unsqueeze(counted(seen.masks[i].in(s)), {1});
      places.push_back(unsqueeze(middles_of(s, level), {0}) / whole);
    }
    const Value references = unsqueeze(concat(places, 1), {2}) * unsqueeze(seen.valid, {1});
    Value x = seen.image.tokens;
    for (int64_t i = 0; i < c.encoder.layers; ++i) {
      const Scope layer = s / "layers" / i;
      x = joined(layer, x, "self_attn_layer_norm", [&](const Value& h) {
        return attend_deformed(layer / "self_attn", h + seen.positions, {h, seen.image.levels, references, seen.mask},
                               sampling(c.encoder));
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

  // The places with the highest scores, and boxes around them. Source: gen_encoder_output_proposals.
  Queries promising(const Scope& model, const Value& memory, const Scales& seen) const {
    Graph& g = model.graph();
    std::vector<Value> all;
    for (size_t i = 0; i < seen.image.levels.size(); ++i) {
      const Value whole = unsqueeze(counted(seen.masks[i].in(model)), {1});
      const Value middle = unsqueeze(middles_of(model, seen.image.levels[i]), {0}) / whole;
      const Value side = g.scalar(0.05 * static_cast<double>(1 << i));
      all.push_back(concat({middle, g.op("Expand", {side, shape_of(middle, 0, 3)})}, 2));
    }
    const Value boxes = concat(all, 1);  // f32[batch, Σ rows·columns, 4]
    const auto compared = [&](const char* op, double bound) { return g.op(op, {boxes, g.scalar(bound)}); };
    const Value inside = g.op("And", {compared("Greater", 0.01), compared("Less", 0.99)});
    const Value beyond = largest(cast(logical_not(inside), DType::f32), {2}, true);
    const Value counts = g.op("And", {equal(beyond, g.scalar(0)), equal(unsqueeze(seen.mask, {2}), 1)});
    const Value unbounded = where(counts, log(boxes / (1.0 - boxes)), g.scalar(std::numeric_limits<float>::infinity()));

    const Value places = norm(model / "enc_output_norm",
                              linear(model / "enc_output", where(counts, memory, g.scalar(0)), {.out = c.width}), {});
    const Scope root = g.root();
    const Value scores = linear(head(root, "class_embed", c.decoder.layers), places, {.out = c.labels});
    const Value moved = perceptron(head(root, "bbox_embed", c.decoder.layers), places, {c.width, 4}) + unbounded;
    const Value chosen = rows_at(moved, top_k(pick(scores, 2, 0), c.queries, {.axis = 1}).indices);
    const Value references = g.mark("init_reference_points", sigmoid(chosen));
    const Value sines = reshape(sines_of(references, {.width = c.width / 2}), {0, 0, 2 * c.width});
    const Value both = norm(model / "pos_trans_norm", linear(model / "pos_trans", sines, {.out = 2 * c.width}), {});
    const std::vector<Value> halves = split(both, 2, {c.width, c.width});
    return {halves[1], halves[0], references};
  }

  struct Found {
    Value objects;  // f32[batch, queries, width]
    Value boxes{};  // of a detector: f32[batch, queries, 4]
  };
  Found decode(const Scope& s, const Value& memory, const Scales& seen, const Queries& queries) const {
    const bool detects = task() != "default";
    const Value& positions = queries.positions;
    Value x = queries.objects, references = queries.references, boxes;
    for (int64_t i = 0; i < c.decoder.layers; ++i) {
      const Scope layer = s / "layers" / i;
      const Value shares = references.fixed(2) == 4 ? concat({seen.valid, seen.valid}, 2) : seen.valid;
      const Value places = unsqueeze(references, {2}) * unsqueeze(shares, {1});
      x = joined(layer, x, "self_attn_layer_norm", [&](const Value& h) {
        return attend_at_positions(layer / "self_attn", h, {c.decoder.heads, positions, h, positions});
      });
      x = joined(layer, x, "encoder_attn_layer_norm", [&](const Value& h) {
        return attend_deformed(layer / "encoder_attn", h + positions, {memory, seen.image.levels, places, seen.mask},
                               sampling(c.decoder));
      });
      x = fed(layer, x, c.decoder.inner);
      if (!detects || (!c.refines && i + 1 < c.decoder.layers)) continue;
      const Value moved = perceptron(head(s.graph().root(), "bbox_embed", i), x, {c.width, 4});
      const Value from = inverse_sigmoid(references);
      boxes = sigmoid(moved + (references.fixed(2) == 4 ? from : pad(from, {{2, 0, 2}})));
      if (c.refines) references = boxes;
    }
    return {x, boxes};
  }

  // A layer's head. Checkpoints have a copy of those below the decoder, and one for all layers where they are the same.
  static Scope head(const Scope& root, const char* name, int64_t layer) {
    const std::vector<Scope> places{root / name / layer, root / "model.decoder" / name / layer, root / name / 0};
    for (const Scope& place : places) {
      if (place.has("weight") || place.has("layers.0.weight")) return place;
    }
    return places[0];
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
