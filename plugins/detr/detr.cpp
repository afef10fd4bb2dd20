// SPDX-License-Identifier: Apache-2.0
// DETR: an encoder and a decoder over what a ResNet sees, with a query for each object that may be there.
// Source: DetrModel, DetrForObjectDetection and DetrForSegmentation, transformers 4.30 (modeling_detr.py).
#include <cmath>
#include <limits>

#include "backbone.hpp"

#include <onnxport/blocks/layer.hpp>

using namespace onnxport::family;

namespace {

struct DetrConfig {
  explicit DetrConfig(const Config& c)
      : backbone(detr::backbone_config(c)),
        read(detr::stages_read(c, backbone.widths.size() + 1)),
        width(c.size("d_model", 256)),
        queries(c.size("num_queries", 100)),
        encoder{c.count("encoder_layers", 6), c.size("encoder_attention_heads", 8), c.size("encoder_ffn_dim", 2048)},
        decoder{c.count("decoder_layers", 6), c.size("decoder_attention_heads", 8), c.size("decoder_ffn_dim", 2048)},
        activation(c.text("activation_function", "relu")),
        learnt(c.choice("position_embedding_type", "sine", {"sine", "learned"}) == "learned"),
        labels(c.num_labels()) {
    // Of training.
    c.no_effect({"encoder_layerdrop", "decoder_layerdrop", "auxiliary_loss", "class_cost", "bbox_cost", "giou_cost",
                 "mask_loss_coefficient", "dice_loss_coefficient", "bbox_loss_coefficient", "giou_loss_coefficient",
                 "eos_coefficient", "init_std", "init_xavier_std", "num_hidden_layers", "scale_embedding",
                 "classifier_dropout", "is_encoder_decoder"});
    require_multiple({"d_model", width}, {"encoder_attention_heads", encoder.heads});
    require_multiple({"d_model", width}, {"decoder_attention_heads", decoder.heads});
    require_multiple({"d_model", width}, {"pairs of rows and of columns", 4});
  }
  struct Side {
    int64_t layers, heads, inner;
  };
  ResNetConfig backbone;
  std::vector<size_t> read;  // stages of the backbone, the coarsest one last
  int64_t width, queries;
  Side encoder, decoder;
  std::string activation;
  bool learnt;  // positions
  int64_t labels;
};

class Detr final : public OnnxConfig {
 public:
  explicit Detr(const Request& request)
      : OnnxConfig(request),
        c(request.config.with_names({{"d_model", "hidden_size"}, {"encoder_attention_heads", "num_attention_heads"}})),
        backbone(c.backbone) {
    if (task() == "image-segmentation" && c.read.size() < 4) {
      throw Error(ONNXPORT_CONFIG,
                  "the backbone yields " + std::to_string(c.read.size()) +
                      " stages; segmentation reads 4. See config field 'backbone_config.out_features'");
    }
  }

  std::string base_model_prefix() const override { return "model"; }
  double atol_for_validation() const override { return 1e-4; }

  /// Source: DetrOnnxConfig, transformers 4.30.
  std::vector<TensorSpec> inputs() const override {
    return {pixel_values(),
            input::mask("pixel_mask", {axis::batch, axis::height, axis::width}, {.of = "pixel_values"})};
  }
  std::vector<OutputSpec> outputs() const override {
    if (task() == "default") return {{"last_hidden_state", {{0, axis::batch}}}};
    std::vector<OutputSpec> specs{{"logits", {{0, axis::batch}}}, {"pred_boxes", {{0, axis::batch}}}};
    if (task() == "image-segmentation") specs.push_back({"pred_masks", {{0, axis::batch}}});
    return specs;
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const bool masks = task() == "image-segmentation";
    const Scope detector = masks ? g.root() / "detr" : g.root();
    const Scope model = task() == "default" ? detector : detector / "model";
    const Seen seen = see(model, in);
    const Value memory = g.mark("encoder_last_hidden_state", encode(model / "encoder", seen));
    const Value objects = decode(model, memory, seen);
    if (task() == "default") return {{"last_hidden_state", objects}};
    g.mark("last_hidden_state", objects);
    Outputs made{{"logits", linear(detector / "class_labels_classifier", objects, {.out = c.labels + 1})},
                 {"pred_boxes", sigmoid(perceptron(detector / "bbox_predictor", objects, {c.width, 4}))}};
    if (masks) made.emplace_back("pred_masks", masks_of(g.root(), objects, memory, seen));
    return made;
  }

 private:
  // What the backbone sees, as tokens of the coarsest stage.
  struct Seen {
    std::vector<Value> stages;  // f32[batch, n, …, …] each
    Value image, tokens;        // f32[batch, width, rows, columns] and f32[batch, rows·columns, width]
    Value positions;            // f32[batch or 1, rows·columns, width]
    Value mask;                 // i64[batch, rows·columns]
    Value size;                 // i64[2]
  };

  Seen see(const Scope& model, const Inputs& in) const {
    Seen made;
    const std::vector<Value> all = backbone(detr::backbone_at(model), in.at("pixel_values"));
    for (const size_t stage : c.read) made.stages.push_back(all[stage]);
    made.image = conv2d(model / "input_projection", made.stages.back(), {.out = c.width});
    made.tokens = tokens_of(made.image);
    made.size = shape_of(made.image, 2, 4);
    const Value given = unsqueeze(cast(in.at("pixel_mask"), DType::f32), {1});
    const Value mask = interpolate(given, made.size, Interpolation::nearest);  // f32[batch, 1, rows, columns]
    made.mask = cast(reshape(mask, {0, -1}), DType::i64);
    const Scope positions = model / "backbone.position_embedding";
    made.positions = c.learnt ? learnt_positions(positions, made.size) : sine_positions(positions, squeeze(mask, {1}));
    return made;
  }

  // Sines and cosines of a place's share of the rows and of the columns that count. Source: DetrSinePositionEmbedding.
  Value sine_positions(const Scope& s, const Value& mask) const {
    Graph& g = s.graph();
    const int64_t pairs = c.width / 4;
    std::vector<float> turns;
    for (int64_t i = 0; i < pairs; ++i) {
      const double share = static_cast<double>(i) / static_cast<double>(pairs);
      turns.push_back(static_cast<float>(2 * M_PI / std::pow(10000.0, share)));
    }
    const auto along = [&](int64_t side) {
      const Value counted = cumulative_sum(mask.in(s), side);
      const Value share = counted / (slice(counted, {side, -1}) + 1e-6);
      const Value angles = unsqueeze(share, {3}) * g.constant<float>(DType::f32, {pairs}, turns);
      const Value both = concat({unsqueeze(g.op("Sin", {angles}), {4}), unsqueeze(g.op("Cos", {angles}), {4})}, 4);
      return reshape(both, {0, 0, 0, 2 * pairs});
    };
    return reshape(concat({along(1), along(2)}, 3), {0, -1, c.width});
  }
  // Source: DetrLearnedPositionEmbedding, of 50 rows and columns at the most.
  Value learnt_positions(const Scope& s, const Value& size) const {
    Graph& g = s.graph();
    const Value whole = concat({size, g.integers({c.width / 2})}, 0);
    const auto along = [&](const char* table, int64_t side) {
      const Value weight = (s / table).weight("weight", {50, c.width / 2});
      const Value rows = first_rows(weight, pick(size.in(s), 0, side));
      return g.op("Expand", {unsqueeze(rows, {side == 0 ? 1 : 0}), whole});
    };
    const Value all = concat({along("column_embeddings", 1), along("row_embeddings", 0)}, 2);
    return unsqueeze(reshape(all, {-1, c.width}), {0});
  }

  struct Attending {
    int64_t heads;
    Value query_positions;
    Value seen, seen_positions, mask{};
  };
  // Positions tell queries and keys apart, and not values. Source: DetrAttention.
  Value attend(const Scope& s, const Value& x, const Attending& to) const {
    const auto projected = [&](const char* name, const Value& of) { return linear(s / name, of, {.out = c.width}); };
    const Value mixed =
        attention(projected("q_proj", x + to.query_positions), projected("k_proj", to.seen + to.seen_positions),
                  projected("v_proj", to.seen), {.heads = to.heads, .mask = to.mask})
            .mixed;
    return projected("out_proj", mixed);
  }
  Value feed(const Scope& layer, const Value& x, int64_t inner) const {
    return feed_forward(layer, x,
                        {.inner = inner, .activation = c.activation, .up = "fc1", .down = "fc2", .bias = true});
  }

  // -> f32[batch, rows·columns, width]
  Value encode(const Scope& s, const Seen& seen) const {
    Value x = seen.tokens;
    for (int64_t i = 0; i < c.encoder.layers; ++i) {
      const Scope layer = s / "layers" / i;
      x = residual(layer, x.in(layer), {Placement::after, {}, "self_attn_layer_norm"}, [&](const Value& h) {
        return attend(layer / "self_attn", h, {c.encoder.heads, seen.positions, h, seen.positions, seen.mask});
      });
      x = residual(layer, x, {Placement::after, {}, "final_layer_norm"},
                   [&](const Value& h) { return feed(layer, h, c.encoder.inner); });
    }
    return x;
  }

  // Queries that begin as nothing but their positions: f32[batch, queries, width].
  Value decode(const Scope& model, const Value& memory, const Seen& seen) const {
    Graph& g = model.graph();
    const Scope s = model / "decoder";
    const Value places = unsqueeze((model / "query_position_embeddings").weight("weight", {c.queries, c.width}), {0});
    const Value shape = concat({shape_of(memory, 0, 1), g.integers({c.queries, c.width})}, 0);
    Value x = g.op("Expand", {g.scalar(0), shape});
    for (int64_t i = 0; i < c.decoder.layers; ++i) {
      const Scope layer = s / "layers" / i;
      x = residual(layer, x.in(layer), {Placement::after, {}, "self_attn_layer_norm"}, [&](const Value& h) {
        return attend(layer / "self_attn", h, {c.decoder.heads, places, h, places});
      });
      x = residual(layer, x, {Placement::after, {}, "encoder_attn_layer_norm"}, [&](const Value& h) {
        return attend(layer / "encoder_attn", h, {c.decoder.heads, places, memory, seen.positions, seen.mask});
      });
      x = residual(layer, x, {Placement::after, {}, "final_layer_norm"},
                   [&](const Value& h) { return feed(layer, h, c.decoder.inner); });
    }
    return norm(s / "layernorm", x, {});
  }

  // A mask of each object, of the size of the finest stage but one: f32[batch, queries, …, …]
  Value masks_of(const Scope& root, const Value& objects, const Value& memory, const Seen& seen) const {
    Graph& g = root.graph();
    // The image and where an object looks, for each object of each image.
    const auto each = [&](const Value& image) {
      const Value repeated = expand(unsqueeze(image, {1}), {1, c.queries, 1, 1, 1});
      return reshape(repeated, concat({g.integers({-1}), shape_of(image, 1, 4)}, 0));
    };
    const Value image = each(seen.image);
    const Value looks = where_objects_look(root / "bbox_attention", objects, memory, seen);
    const Value of_each = concat({shape_of(image, 0, 1), g.integers({c.encoder.heads}), seen.size}, 0);
    const Value given = concat({image, reshape(looks, of_each)}, 1);
    const Value masks = mask_head(root / "mask_head", given, seen, each);
    const Value per_image = concat({shape_of(objects, 0, 1), g.integers({c.queries}), shape_of(masks, 2, 4)}, 0);
    return reshape(masks, per_image);
  }

  // Probabilities over all heads and places together: f32[batch, queries, heads·rows·columns].
  // Source: DetrMHAttentionMap.
  Value where_objects_look(const Scope& s, const Value& objects, const Value& memory, const Seen& seen) const {
    Graph& g = s.graph();
    const int64_t heads = c.encoder.heads;
    const double scale = 1 / std::sqrt(static_cast<double>(c.width / heads));
    const Value query = split_heads(linear(s / "q_linear", objects, {.out = c.width}) * scale, heads);
    const Value key = split_heads(linear(s / "k_linear", memory, {.out = c.width}), heads);
    const Value scores = transpose(matmul(query, transpose(key, {0, 1, 3, 2})), {0, 2, 1, 3});
    const Value counts = equal(unsqueeze(seen.mask, {1, 2}), 1);
    const Value masked = where(counts, scores, g.scalar(std::numeric_limits<float>::lowest()));
    return softmax(reshape(masked, {0, 0, -1}));
  }

  // Convolutions that grow the image stage by stage, looking at what the backbone saw there.
  // Source: DetrMaskHeadSmallConv.
  template <class Each>
  Value mask_head(const Scope& s, const Value& given, const Seen& seen, const Each& each) const {
    const auto block = [&](int64_t number, const Value& x, int64_t out) {
      const std::string index = std::to_string(number);
      const Value h = conv2d(s / ("lay" + index), x, {.out = out, .kernel = 3, .padding = 1});
      return relu(group_norm(s / ("gn" + index), h, {.groups = 8}));
    };
    Value x = block(2, block(1, given, given.fixed(1)), c.width / 2);
    int64_t width = c.width / 2;
    for (int64_t i = 1; i <= 3; ++i) {
      const Value finer =
          conv2d(s / ("adapter" + std::to_string(i)), seen.stages[static_cast<size_t>(3 - i)], {.out = width});
      x = each(finer) + interpolate(x, shape_of(finer, 2, 4), Interpolation::nearest);
      width /= 2;
      x = block(i + 2, x, width);
    }
    return conv2d(s / "out_lay", x, {.out = 1, .kernel = 3, .padding = 1});
  }

  const DetrConfig c;
  const ResNetEncoder backbone;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.detr",
    .name = "DETR",
    .models = {{.types = {"detr"},
                .features = {"default", "object-detection", "image-segmentation"},
                .architectures = {{"DetrForSegmentation", "image-segmentation"}},
                .make = make<Detr>}},
})
