// SPDX-License-Identifier: Apache-2.0
// Mask2Former: queries look at those places only that the layer before found to be theirs, at one scale after the
// other. Source: Mask2FormerModel and Mask2FormerForUniversalSegmentation, transformers 4.57 (modeling_mask2former.py).
#include <cmath>
#include <limits>

#include <onnxport/blocks/attention_at_positions.hpp>
#include <onnxport/blocks/deformable_attention.hpp>
#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/packed_attention.hpp>
#include <onnxport/blocks/sine_positions.hpp>
#include <onnxport/families/backbones.hpp>

using namespace onnxport::family;

namespace {

constexpr int64_t scales = 3;  // that queries look at

struct Mask2FormerConfig {
  explicit Mask2FormerConfig(const Config& c)
      : backbone(backbone_of(c, backbones, swin_backbone)),
        feature(c.size("feature_size", 256)),
        mask(c.size("mask_feature_size", 256)),
        width(c.size("hidden_dim", 256)),
        heads(c.size("num_attention_heads", 8)),
        encoder_layers(c.count("encoder_layers", 6)),
        encoder_inner(c.size("encoder_feedforward_dim", 1024)),
        layers(c.size("decoder_layers", 10) - 1),
        inner(c.size("dim_feedforward", 2048)),
        activation(c.text("activation_function", "relu")),
        placement(c.boolean("pre_norm", false) ? Placement::before : Placement::after),
        projects(c.boolean("enforce_input_projection", false) || feature != width),
        queries(c.size("num_queries", 100)),
        finer(finer_scales(c)),
        labels(c.num_labels()) {
    // Of training.
    c.no_effect({"ignore_value", "no_object_weight", "class_weight", "mask_weight", "dice_weight", "train_num_points",
                 "oversample_ratio", "importance_sample_ratio", "init_std", "init_xavier_std", "use_auxiliary_loss",
                 "output_auxiliary_logits", "dropout", "initializer_factor", "num_hidden_layers"});
    require_multiple({"feature_size", feature}, {"groups of a norm", 32});
    require_multiple({"feature_size", feature}, {"num_attention_heads", heads});
    require_multiple({"hidden_dim", width}, {"num_attention_heads", heads});
    require_multiple({"hidden_dim", width}, {"pairs of rows and of columns", 4});
    if (projects && c.written_before(5, 0)) {
      throw Error(
          ONNXPORT_UNSUPPORTED,
          "transformers before 5 draws input_projections anew whenever it loads the model, and saves none; expected "
          "'enforce_input_projection' false and 'hidden_dim' as large as 'feature_size', or a checkpoint of version 5");
    }
  }
  Backbone backbone;
  int64_t feature, mask, width, heads;
  int64_t encoder_layers, encoder_inner, layers, inner;
  std::string activation;
  Placement placement;
  bool projects;  // what queries look at goes through a layer before
  int64_t queries;
  int64_t finer;  // stages that only masks are made of
  int64_t labels;

 private:
  static int64_t finer_scales(const Config& c) {
    std::vector<int64_t> strides = c.integers("feature_strides");
    if (strides.empty()) strides = {4, 8, 16, 32};
    const size_t first = strides.size() < scales ? 0 : strides.size() - scales;
    const auto least =
        static_cast<double>(*std::min_element(strides.begin() + static_cast<long>(first), strides.end()));
    return static_cast<int64_t>(std::log2(least) - std::log2(static_cast<double>(c.size("common_stride", 4))));
  }
};

class Mask2Former final : public OnnxConfig {
 public:
  explicit Mask2Former(const Request& request)
      : OnnxConfig(request),
        c(request.config.with_names({{"hidden_dim", "hidden_size"}, {"decoder_layers", "num_hidden_layers"}})) {}

  std::string base_model_prefix() const override { return "model"; }
  double atol_for_validation() const override { return 1e-3; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override {
    if (task() == "default") return {{"last_hidden_state", {{0, axis::batch}}}};
    return {{"class_queries_logits", {{0, axis::batch}}}, {"masks_queries_logits", {{0, axis::batch}}}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const bool base = task() == "default";
    const Scope model = base ? g.root() : g.root() / "model";
    g.unused("criterion.empty_weight");
    const Scope pixels = model / "pixel_level_module";
    const std::vector<Value> stages = c.backbone(pixels / "encoder", in.at("pixel_values")).stages;
    if (static_cast<int64_t>(stages.size()) < std::max(scales, c.finer)) {
      throw Error(ONNXPORT_CONFIG, "the backbone yields " + std::to_string(stages.size()) + " stages; expected " +
                                       std::to_string(scales) + " or more. See 'backbone_config.out_features'");
    }
    g.mark("encoder_last_hidden_state", stages.back());
    Seen seen = see(pixels / "decoder", stages);
    seen.batch = shape_of(in.at("pixel_values"), 0, 1);
    const Found found = find(model / "transformer_module", seen);
    if (base) return {{"last_hidden_state", found.objects}};
    g.mark("transformer_decoder_last_hidden_state", found.objects);
    const Value classes = linear(g.root() / "class_predictor", found.normed, {.out = c.labels + 1});
    return {{"class_queries_logits", classes}, {"masks_queries_logits", found.masks}};
  }

 private:
  // What queries look at, the coarsest scale first, and what masks are made of.
  struct Seen {
    std::vector<Value> images;  // f32[batch, feature, rows, columns] each
    Value pixels;               // f32[batch, mask, rows, columns]
    Value batch{};              // i64[1]
  };

  // Positions of the places of an image, all of which count: f32[1, rows·columns, width].
  static Value places(const Scope& s, const Value& image, int64_t width) {
    Graph& g = s.graph();
    const Value all = g.op("Expand", {g.scalar(1), concat({g.integers({1}), shape_of(image, 2, 4)}, 0)});
    return sine_positions(s, all, {.sines = {.width = width / 2}});
  }

  // Source: Mask2FormerPixelDecoder.
  Seen see(const Scope& s, const std::vector<Value>& stages) const {
    std::vector<Value> images, positions, references;
    const Value table = s.weight("level_embed", {scales, c.feature});
    for (int64_t i = 0; i < scales; ++i) {
      const Scope at = s / "input_projections" / i;
      const Value x = conv2d(at / 0, stages[stages.size() - 1 - static_cast<size_t>(i)], {.out = c.feature});
      images.push_back(group_norm(at / 1, x, {.groups = 32}).in(s));
      positions.push_back(places(s, images.back(), c.feature) + pick(table, 0, i));
    }
    const TokenLevels all = token_levels(images);
    for (const ImageLevel& level : all.levels) {
      const Value sides = cast(gather(level.size, s.graph().integers({1, 0})), DType::f32);
      references.push_back(unsqueeze(middles_of(s, level) / sides, {0, 2}));
    }
    const Value at = concat(references, 1), moved = concat(positions, 1);
    const DeformableAttention sampling{.heads = c.heads, .points = std::vector<int64_t>(scales, 4)};
    Value x = all.tokens;
    for (int64_t i = 0; i < c.encoder_layers; ++i) {
      const Scope layer = s / "encoder.layers" / i;
      x = residual(layer, x.in(layer), {Placement::after, {}, "self_attn_layer_norm"}, [&](const Value& h) {
        return attend_deformed(layer / "self_attn", h + moved, {h, all.levels, at}, sampling);
      });
      x = residual(layer, x, {Placement::after, {}, "final_layer_norm"}, [&](const Value& h) {
        return feed(layer, h, {c.encoder_inner, "relu"});
      });
    }
    Seen made;
    for (const ImageLevel& level : all.levels) made.images.push_back(image_of(tokens_at(x, level), level.size).in(s));
    Value finest = made.images.back();
    for (int64_t i = c.finer; i > 0; --i) {
      const std::string number = std::to_string(i);
      const Scope adapter = s / ("adapter_" + number), layer = s / ("layer_" + number);
      const Value own = conv2d(adapter / 0, stages[static_cast<size_t>(i - 1)], {.out = c.feature, .bias = false});
      const Value left = group_norm(adapter / 1, own, {.groups = 32}).in(s);
      const Value both = left + interpolate(finest, shape_of(left, 2, 4), Interpolation::bilinear);
      const Value h = conv2d(layer / 0, both, {.out = c.feature, .kernel = 3, .padding = 1, .bias = false});
      finest = relu(group_norm(layer / 1, h, {.groups = 32})).in(s);
    }
    made.pixels = conv2d(s / "mask_projection", finest, {.out = c.mask});
    return made;
  }

  struct Form {
    int64_t inner;
    std::string activation;
  };
  static Value feed(const Scope& layer, const Value& x, const Form& form) {
    return feed_forward(layer, x,
                        {.inner = form.inner, .activation = form.activation, .up = "fc1", .down = "fc2", .bias = true});
  }

  struct Found {
    Value objects, normed;  // f32[batch, queries, width]
    Value masks;            // f32[batch, queries, rows, columns]
  };
  // Source: Mask2FormerTransformerModule and Mask2FormerMaskedAttentionDecoder.
  Found find(const Scope& s, const Seen& seen) const {
    Graph& g = s.graph();
    std::vector<Value> memories, positions;
    const Value table = (s / "level_embed").weight("weight", {scales, c.width});
    for (int64_t i = 0; i < scales; ++i) {
      const Value& image = seen.images[static_cast<size_t>(i)];
      const Value own = c.projects ? conv2d(s / "input_projections" / i, image, {.out = c.width}).in(s) : image.in(s);
      memories.push_back(tokens_of(own) + pick(table, 0, i));
      positions.push_back(places(s, image, c.width));
    }
    const Scope decoder = s / "decoder";
    const auto queries = [&](const char* name) {
      return unsqueeze((s / name).weight("weight", {c.queries, c.width}), {0});
    };
    const Value at = queries("queries_embedder"), features = queries("queries_features");
    Value x = g.op("Expand", {features, concat({seen.batch, g.integers({1, 1})}, 0)});
    Found found;
    const auto predict = [&]() {
      found.normed = norm(decoder / "layernorm", x, {});
      found.masks = masks_of(decoder / "mask_predictor.mask_embedder", found.normed, seen.pixels);
    };
    predict();
    for (int64_t i = 0; i < c.layers; ++i) {
      const Scope layer = decoder / "layers" / i;
      const auto scale = static_cast<size_t>(i % scales);
      const Value bias = outside(found.masks.in(layer), seen.images[scale]);
      const auto joined = [&](const char* name) { return Residual{c.placement, {}, name}; };
      x = residual(layer, x.in(layer), joined("cross_attn_layer_norm"), [&](const Value& h) {
        return attend_packed(layer / "cross_attn", {h + at, memories[scale] + positions[scale], memories[scale]},
                             {.heads = c.heads, .bias = bias});
      });
      x = residual(layer, x, joined("self_attn_layer_norm"), [&](const Value& h) {
        return attend_at_positions(layer / "self_attn", h, {c.heads, at, h, at});
      });
      x = residual(layer, x, joined("final_layer_norm"), [&](const Value& h) {
        return feed(layer, h, {c.inner, c.activation});
      });
      predict();
    }
    found.objects = x;
    return found;
  }

  // How much each pixel is a query's: f32[batch, queries, rows, columns].
  Value masks_of(const Scope& s, Value x, const Value& pixels) const {
    for (int64_t i = 0; i < 3; ++i) {
      x = linear(s / i / 0, x, {.out = i == 2 ? c.mask : c.width});
      if (i < 2) x = relu(x);
    }
    return einsum("bqc,bchw->bqhw", {x, pixels});
  }

  // What hides the places that are not a query's, unless none is: f32[batch, 1, queries, rows·columns].
  static Value outside(const Value& masks, const Value& image) {
    Graph& g = masks.graph();
    const Value share = sigmoid(interpolate(masks, shape_of(image, 2, 4), Interpolation::bilinear));
    const Value flat = reshape(share, {0, masks.fixed(1), -1});
    const Value its = g.op("GreaterOrEqual", {flat, g.scalar(0.5)});
    const Value none = equal(largest(cast(its, DType::f32), {2}, true), g.scalar(0));
    const Value counts = g.op("Or", {its, none});
    return unsqueeze(where(counts, g.scalar(0), g.scalar(std::numeric_limits<float>::lowest())), {1});
  }

  const Mask2FormerConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.mask2former",
    .name = "Mask2Former",
    .models = {{.types = {"mask2former"},
                .features = {"default", "image-segmentation"},
                .architectures = {{"Mask2FormerForUniversalSegmentation", "image-segmentation"}},
                .make = make<Mask2Former>}},
})
