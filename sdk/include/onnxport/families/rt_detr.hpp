// SPDX-License-Identifier: Apache-2.0
// RT-DETR and what is made like it: stages of a backbone are mixed with each other, the most promising of all their
// places become queries, and each layer of the decoder moves their boxes.
// Source: RTDetrModel, RTDetrForObjectDetection, RTDetrV2Model and DFineModel, transformers 4.57, and 5.24 for the
// order of positions (modeling_rt_detr.py, modeling_rt_detr_v2.py, modeling_d_fine.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <onnxport/blocks/attention_at_positions.hpp>
#include <onnxport/blocks/deformable_attention.hpp>
#include <onnxport/blocks/image_heads.hpp>
#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/reference_points.hpp>
#include <onnxport/families/backbones.hpp>
#include <onnxport/selection.hpp>
#include <onnxport/sinusoids.hpp>

namespace onnxport::family {

struct RtDetrConfig {
  RtDetrConfig(const Config& c, const Backbone& seen_through)
      : backbone(seen_through),
        levels(c.size("num_feature_levels", 3)),
        stages(c.has("decoder_in_channels") ? static_cast<int64_t>(c.integers("decoder_in_channels").size()) : 3),
        stride(c.has("feat_strides") ? c.integers("feat_strides").back() : 32),
        encoder{c.size("encoder_hidden_dim", 256), c.count("encoder_layers", 1), c.size("encoder_attention_heads", 8),
                c.size("encoder_ffn_dim", 1024), c.text("encoder_activation_function", "gelu")},
        decoder{c.size("d_model", 256), c.size("decoder_layers", 6), c.size("decoder_attention_heads", 8),
                c.size("decoder_ffn_dim", 1024), c.text("decoder_activation_function", "relu")},
        attended(c.has("encode_proj_layers") ? c.integers("encode_proj_layers") : std::vector<int64_t>{2}),
        temperature(c.real("positional_encoding_temperature", 10000)),
        placed(!c.has("eval_size")),
        places_by_columns(c.written_before(5, 0)),
        normed_before(c.boolean("normalize_before", false)),
        expansion(c.real("hidden_expansion", 1)),
        activation(c.text("activation_function", "silu")),
        norm_epsilon(c.real("layer_norm_eps", 1e-5)),
        batch_norm_epsilon(c.real("batch_norm_eps", 1e-5)),
        queries(c.size("num_queries", 300)),
        labels(c.num_labels()) {
    // Of training; and what an image's own size tells.
    c.no_effect({"initializer_range",
                 "initializer_bias_prior_prob",
                 "freeze_backbone_batch_norms",
                 "dropout",
                 "num_denoising",
                 "label_noise_ratio",
                 "box_noise_scale",
                 "anchor_image_size",
                 "disable_custom_kernels",
                 "with_box_refine",
                 "is_encoder_decoder",
                 "matcher_alpha",
                 "matcher_gamma",
                 "matcher_class_cost",
                 "matcher_bbox_cost",
                 "matcher_giou_cost",
                 "use_focal_loss",
                 "auxiliary_loss",
                 "focal_loss_alpha",
                 "focal_loss_gamma",
                 "weight_loss_vfl",
                 "weight_loss_bbox",
                 "weight_loss_giou",
                 "eos_coefficient",
                 "use_pretrained_backbone",
                 "backbone_kwargs",
                 "encoder_in_channels",
                 "tie_word_embeddings"});
    if (c.boolean("learn_initial_query", false)) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'learn_initial_query' is true, with which the original fails; expected false");
    }
    require_multiple({"encoder_hidden_dim", encoder.width}, {"encoder_attention_heads", encoder.heads});
    require_multiple({"encoder_hidden_dim", encoder.width}, {"sines and cosines of rows and columns", 4});
    require_multiple({"d_model", decoder.width}, {"decoder_attention_heads", decoder.heads});
    require_at_most({"decoder_in_channels (its length)", stages}, {"num_feature_levels", levels});
    for (const int64_t stage : attended)
      require_at_most({"encode_proj_layers", stage}, {"the last entry of decoder_in_channels", stages - 1});
  }
  struct Side {
    int64_t width, layers, heads, inner;
    std::string activation;
  };
  Backbone backbone;
  int64_t levels;  // that the decoder looks at: the stages, and coarser ones behind
  int64_t stages;
  int64_t stride;  // pixels between places of the coarsest stage
  Side encoder, decoder;
  std::vector<int64_t> attended;  // stages whose places look at each other
  double temperature;
  bool placed;             // they know where they are
  bool places_by_columns;  // as versions 4 do, which matters where images are no squares
  bool normed_before;
  double expansion;
  std::string activation;  // of convolutions
  double norm_epsilon, batch_norm_epsilon;
  int64_t queries, labels;
};

class RtDetrOnnxConfig : public OnnxConfig {
 public:
  RtDetrOnnxConfig(const Request& request, const Backbone& backbone)
      : OnnxConfig(request),
        c(request.config.with_names({{"d_model", "hidden_size"}, {"encoder_attention_heads", "num_attention_heads"}}),
          backbone) {}

  std::string base_model_prefix() const override { return "model"; }
  double atol_for_validation() const override { return 1e-3; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override {
    if (task() == "default") return {{"last_hidden_state", {{0, axis::batch}}}};
    return {{"logits", {{0, axis::batch}}}, {"pred_boxes", {{0, axis::batch}}}};
  }
  /// There must be as many places as queries.
  std::vector<AxisSize> axis_sizes() const override {
    int64_t side = 0, places = 0;
    while (places < c.queries) {
      side += c.stride;
      places = 0;
      for (int64_t i = 0; i < c.stages; ++i) places += (side / c.stride << i) * (side / c.stride << i);
    }
    return {{.axis = axis::height, .usual = 2 * side, .minimum = side},
            {.axis = axis::width, .usual = side, .minimum = side}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const bool detects = task() != "default";
    const Scope model = detects ? g.root() / "model" : g.root();
    // Of training, of layers whose answers are not the last ones, and what another feature asks for.
    for (const char* name : {"*class_embed.*", "*bbox_embed.*", "*lqe_layers.*", "*pre_bbox_head.*"}) g.unused(name);
    std::vector<Value> stages = c.backbone(model / "backbone.model", in.at("pixel_values")).stages;
    if (static_cast<int64_t>(stages.size()) != c.stages) {
      throw Error(ONNXPORT_CONFIG, "the backbone yields " + std::to_string(stages.size()) +
                                       " stages; config field 'decoder_in_channels' has " + std::to_string(c.stages) +
                                       " entries. See 'backbone_config.out_indices'");
    }
    for (size_t i = 0; i < stages.size(); ++i) {
      const Scope at = model / "encoder_input_proj" / static_cast<int64_t>(i);
      stages[i] = batch_norm(at / 1, conv2d(at / 0, stages[i], {.out = c.encoder.width, .bias = false}));
    }
    const std::vector<Value> mixed = mix_stages(model / "encoder", stages);
    std::vector<Value> levels;
    for (int64_t i = 0; i < c.levels; ++i) {
      const bool own = i < c.stages;
      levels.push_back(
          decoder_level(model / "decoder_input_proj" / i, own ? mixed[static_cast<size_t>(i)] : mixed.back(), own));
    }
    const Chosen chosen = choose(model, token_levels(levels));
    const Found found = decode(model / "decoder", chosen);
    if (!detects) return {{"last_hidden_state", found.objects}};
    g.mark("last_hidden_state", found.objects);
    return {{"logits", found.logits}, {"pred_boxes", found.boxes}};
  }

 protected:
  /// The places that become queries.
  struct Chosen {
    TokenLevels memory;
    Value objects;     ///< f32[batch, queries, width]
    Value references;  ///< boxes f32[batch, queries, 4]
  };
  struct Found {
    Value objects;            ///< f32[batch, queries, width]
    Value logits{}, boxes{};  ///< of a detector: f32[batch, queries, labels] and f32[batch, queries, 4]
  };
  virtual Found decode(const Scope& s, const Chosen& chosen) const = 0;
  /// Where a coarser stage is taken to a finer one: f[batch, width, …, …] -> the same.
  virtual Value lateral(const Scope& s, const Value& x) const {
    return conv_norm(s, x, {.out = c.encoder.width}, c.activation);
  }
  /// Where a finer stage is taken to a coarser one: half as many rows and columns.
  virtual Value shrink(const Scope& s, const Value& x) const {
    return conv_norm(s, x, {.out = c.encoder.width, .kernel = 3, .stride = 2}, c.activation);
  }
  /// Two stages together: f[batch, 2·width, …, …] -> f[batch, width, …, …].
  virtual Value fuse(const Scope& s, const Value& both) const {
    const auto inner = static_cast<int64_t>(static_cast<double>(c.encoder.width) * c.expansion);
    return cross_stage(s, both, {.inner = inner, .out = c.encoder.width, .blocks = 3});
  }
  /// What the decoder sees of a stage (own), or of the coarsest one once more.
  virtual Value decoder_level(const Scope& s, const Value& x, bool own) const {
    const ConvOptions small{.out = c.decoder.width, .kernel = 3, .stride = 2, .padding = 1, .bias = false};
    const Value h = conv2d(s / 0, x, own ? ConvOptions{.out = c.decoder.width, .bias = false} : small);
    return batch_norm(s / 1, h, c.batch_norm_epsilon);
  }

  /// A convolution that keeps the size, but for its stride, its normalisation, and an activation unless its name is
  /// empty. Source: RTDetrConvNormLayer.
  Value conv_norm(const Scope& s, const Value& x, ConvOptions options, const std::string& act = {}) const {
    options.padding = (options.kernel.height - 1) / 2;
    options.bias = false;
    const Value h = batch_norm(s / "norm", conv2d(s / "conv", x, options), c.batch_norm_epsilon);
    return (act.empty() ? h : onnxport::sdk::activation(h, act)).in(s.parent());
  }

  struct CrossStage {
    int64_t inner, out, blocks;
  };
  /// Blocks beside a convolution. Source: RTDetrCSPRepLayer.
  Value cross_stage(const Scope& s, const Value& x, const CrossStage& form) const {
    Value h = conv_norm(s / "conv1", x, {.out = form.inner}, c.activation);
    for (int64_t i = 0; i < form.blocks; ++i) {
      const Scope block = s / "bottlenecks" / i;
      const Value sum = conv_norm(block / "conv1", h, {.out = form.inner, .kernel = 3}) +
                        conv_norm(block / "conv2", h, {.out = form.inner});
      h = onnxport::sdk::activation(sum, c.activation).in(s);
    }
    const Value both = h + conv_norm(s / "conv2", x, {.out = form.inner}, c.activation);
    return (form.inner == form.out ? both : conv_norm(s / "conv3", both, {.out = form.out}, c.activation))
        .in(s.parent());
  }

  const RtDetrConfig c;

 private:
  // Source: RTDetrHybridEncoder.
  std::vector<Value> mix_stages(const Scope& s, std::vector<Value> stages) const {
    if (c.encoder.layers > 0) {
      for (size_t i = 0; i < c.attended.size(); ++i) {
        Value& stage = stages.at(static_cast<size_t>(c.attended[i]));
        stage = look_around(s / "encoder" / static_cast<int64_t>(i), stage);
      }
    }
    const auto steps = static_cast<int64_t>(stages.size()) - 1;
    std::vector<Value> down{stages.back()};  // the coarsest first
    for (int64_t i = 0; i < steps; ++i) {
      down.back() = lateral(s / "lateral_convs" / i, down.back());
      // Twice the size in the original, which takes no images where that is not the finer stage's.
      const Value& finer = stages[static_cast<size_t>(steps - 1 - i)];
      const Value grown = interpolate(down.back(), shape_of(finer, 2, 4), Interpolation::nearest);
      down.push_back(fuse(s / "fpn_blocks" / i, concat({grown, finer}, 1)));
    }
    std::vector<Value> up{down.back()};  // the finest first
    for (int64_t i = 0; i < steps; ++i) {
      const Value shrunk = shrink(s / "downsample_convs" / i, up.back());
      up.push_back(fuse(s / "pan_blocks" / i, concat({shrunk, down[static_cast<size_t>(steps - 1 - i)]}, 1)));
    }
    return up;
  }

  // Places of a stage look at each other: f[batch, n, rows, columns] -> the same. Source: RTDetrAIFILayer.
  Value look_around(const Scope& s, const Value& image) const {
    Value x = tokens_of(image);
    const Value positions = c.placed ? places(s, image, x) : Value();
    const Norm form{.epsilon = c.norm_epsilon};
    // Where norms stand before, the second one is passed on as well.
    const Placement first = c.normed_before ? Placement::before : Placement::after;
    const Placement second = c.normed_before ? Placement::on_norm : Placement::after;
    for (int64_t i = 0; i < c.encoder.layers; ++i) {
      const Scope layer = s / "layers" / i;
      x = residual(layer, x.in(layer), {first, form, "self_attn_layer_norm"}, [&](const Value& h) {
        return attend_at_positions(layer / "self_attn", h, {c.encoder.heads, positions, h, positions});
      });
      x = residual(layer, x, {second, form, "final_layer_norm"},
                   [&](const Value& h) { return feed(layer, h, c.encoder); });
    }
    return image_of(x, shape_of(image, 2, 4));
  }

  // Sines and cosines of rows and then of columns: f32[1, rows·columns, width].
  Value places(const Scope& s, const Value& image, const Value& tokens) const {
    Graph& g = s.graph();
    const Value number = range(size_of(tokens.in(s), 1)), side = size_of(image.in(s), c.places_by_columns ? 2 : 3);
    std::vector<double> frequencies;
    for (int64_t i = 0; i < c.encoder.width / 4; ++i)
      frequencies.push_back(
          std::pow(c.temperature, -4.0 * static_cast<double>(i) / static_cast<double>(c.encoder.width)));
    const auto along = [&](const char* op) { return sinusoids(g.op(op, {number, side}), frequencies); };
    return unsqueeze(concat({along("Div"), along("Mod")}, 1), {0});
  }

  // Source: RTDetrModel.generate_anchors and forward.
  Chosen choose(const Scope& s, const TokenLevels& memory) const {
    Graph& g = s.graph();
    const Value boxes = anchors(s, memory.levels);
    const auto compared = [&](const char* op, double bound) { return g.op(op, {boxes, g.scalar(bound)}); };
    const Value inside = g.op("And", {compared("Greater", 0.01), compared("Less", 1 - 0.01)});
    const Value beyond = largest(cast(logical_not(inside), DType::f32), {2}, true);  // f32[1, n, 1]
    const Value counts = equal(beyond, g.scalar(0));
    const Value unbounded = where(counts, log(boxes / (1.0 - boxes)), g.scalar(std::numeric_limits<float>::max()));

    const Value seen = linear(s / "enc_output" / 0, memory.tokens * cast(counts, DType::f32), {.out = c.decoder.width});
    const Value places = norm(s / "enc_output" / 1, seen, {.epsilon = c.norm_epsilon}).in(s);
    const Value scores = linear(s / "enc_score_head", places, {.out = c.labels});
    const Value found = top_k(largest(scores, {2}), c.queries, {.axis = 1}).indices;
    const Value moved = perceptron(s / "enc_bbox_head", places, {.hidden = c.decoder.width, .out = 4}) + unbounded;
    const Value references = g.mark("init_reference_points", rows_at(moved, found));
    if (g.wants("enc_topk_logits")) g.mark("enc_topk_logits", rows_at(scores, found));
    return {memory, rows_at(places, found), g.mark("enc_topk_bboxes", sigmoid(references))};
  }

  // A box around each place: f32[1, Σ rows·columns, 4], x, y, width and height.
  Value anchors(const Scope& s, const std::vector<ImageLevel>& levels) const {
    Graph& g = s.graph();
    std::vector<Value> all;
    double side = 0.05;
    for (const ImageLevel& level : levels) {
      const auto along = [&](int64_t axis) {
        const Value length = pick(level.size.in(s), 0, axis);
        return (cast(range(length), DType::f32) + 0.5) / cast(length, DType::f32);
      };
      const Value whole = concat({level.size, g.integers({1})}, 0);
      const auto over_image = [&](const Value& x) { return g.op("Expand", {x, whole}); };
      const Value x = over_image(unsqueeze(along(1), {0, 2})), y = over_image(unsqueeze(along(0), {1, 2}));
      const Value sides = over_image(g.scalar(side));
      all.push_back(reshape(concat({x, y, sides, sides}, 2), {1, -1, 4}));
      side *= 2;
    }
    return concat(all, 1);
  }

 protected:
  /// The last part of a layer.
  static Value feed(const Scope& layer, const Value& x, const RtDetrConfig::Side& side) {
    return feed_forward(layer, x,
                        {.inner = side.inner, .activation = side.activation, .up = "fc1", .down = "fc2", .bias = true});
  }
};

}  // namespace onnxport::family
