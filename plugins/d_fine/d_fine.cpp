// SPDX-License-Identifier: Apache-2.0
// D-FINE: how far each side of a box lies from a query's first guess is a distribution, which the layers refine.
// Source: DFineModel and DFineForObjectDetection, transformers 4.57 (modeling_d_fine.py).
#include <onnxport/families/rt_detr.hpp>

using namespace onnxport::family;

namespace {

class DFine final : public RtDetrOnnxConfig {
 public:
  explicit DFine(const Request& request) : DFine(request, request.config) {}

 private:
  DFine(const Request& request, const Config& own)
      : RtDetrOnnxConfig(request, backbone_of(request.config, backbones, hgnet_v2_backbone)),
        look{.heads = c.decoder.heads,
             .points = own.ids("decoder_n_points"),
             .box_share = own.real("decoder_offset_scale", 0.5),
             .nearest = own.choice("decoder_method", "default", {"default", "discrete"}) == "discrete",
             .projects = false,
             .shares = "num_points_scale"},
        bins(own.size("max_num_bins", 32)),
        blocks(static_cast<int64_t>(std::nearbyint(3 * own.real("depth_mult", 1)))),
        likeliest(own.size("top_prob_values", 4)),
        quality{own.size("lqe_hidden_dim", 64), 1, own.size("lqe_layers", 2)},
        // Of the stage that the original makes its layers of, which are one fewer where they have their width already.
        keeps_width(c.decoder.width == last_channels(own)) {
    // Sizes of the weights, and of layers that no one needs.
    own.no_effect({"up", "reg_scale", "layer_scale", "head_dim", "weight_loss_fgl", "weight_loss_ddf"});
    if (look.points.empty()) look.points = {4};
    if (look.points.size() == 1) look.points.assign(static_cast<size_t>(c.levels), look.points[0]);
    require_equal({"decoder_n_points (its length)", static_cast<int64_t>(look.points.size())},
                  {"num_feature_levels", c.levels});
    require_multiple({"max_num_bins", bins}, {"sides of a distribution", 2});
    require_at_most({"top_prob_values", likeliest}, {"max_num_bins + 1", bins + 1});
    if (const int64_t read = own.integer("eval_idx", -1); read != -1 && read != c.decoder.layers - 1) {
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'eval_idx' is " + std::to_string(read) +
                                            ", with which the original fails; expected -1, the last layer");
    }
  }
  static int64_t last_channels(const Config& own) {
    return own.has("decoder_in_channels") ? own.integers("decoder_in_channels").back() : 256;
  }

  // ------------------------------------------------------------------------------------------- the encoder

  Value lateral(const Scope& s, const Value& x) const override { return conv_norm(s, x, {.out = c.encoder.width}); }
  Value shrink(const Scope& s, const Value& x) const override {
    const int64_t n = c.encoder.width;
    const Value h = conv_norm(s / "conv1", x, {.out = n});
    return conv_norm(s / "conv2", h, {.out = n, .kernel = 3, .stride = 2, .groups = n}).in(s.parent());
  }
  // Source: DFineRepNCSPELAN4.
  Value fuse(const Scope& s, const Value& both) const override {
    const int64_t width = c.encoder.width;
    const auto inner = static_cast<int64_t>(std::nearbyint(std::floor(c.expansion * static_cast<double>(width) / 2)));
    const Value wide = conv_norm(s / "conv1", both, {.out = 2 * width}, "silu");
    std::vector<Value> seen = split(wide, 1, {width, width});
    for (const auto& [stage, convolution] : {std::pair{"csp_rep1", "conv2"}, std::pair{"csp_rep2", "conv3"}}) {
      const Value h = cross_stage(s / stage, seen.back(), {.inner = inner, .out = inner, .blocks = blocks});
      seen.push_back(conv_norm(s / convolution, h, {.out = inner, .kernel = 3}, "silu"));
    }
    return conv_norm(s / "conv4", concat(seen, 1), {.out = width}, "silu").in(s.parent());
  }
  Value decoder_level(const Scope& s, const Value& x, bool own) const override {
    return keeps_width ? x : RtDetrOnnxConfig::decoder_level(s, x, own);
  }

  // ------------------------------------------------------------------------------------------- the decoder

  Found decode(const Scope& s, const Chosen& chosen) const override {
    Graph& g = s.graph();
    const bool detects = task() != "default";
    const int64_t width = c.decoder.width;
    Value x = chosen.objects, boxes = chosen.references;
    Value guess, before, sides;  // the first layer's boxes; its objects; the distributions so far
    for (int64_t i = 0; i < c.decoder.layers; ++i) {
      const Value places = perceptron(s / "query_pos_head", boxes, {.hidden = 2 * width, .out = width, .layers = 2});
      const Value positions = g.op("Clip", {places}, {{"min", -10.0}, {"max", 10.0}});
      x = layer(s / "layers" / i, x, {positions, boxes, chosen.memory});
      if (!detects) continue;
      if (i == 0)
        guess = sigmoid(perceptron(s / "pre_bbox_head", x, {.hidden = width, .out = 4}) + inverse_sigmoid(boxes));
      const Value moved =
          perceptron(s / "bbox_embed" / i, before ? x + before : x, {.hidden = width, .out = 4 * (bins + 1)});
      sides = sides ? moved + sides : moved;
      boxes = box_around(s, guess, sides);
      before = x;
    }
    if (!detects) return {x};
    const int64_t last = c.decoder.layers - 1;
    const Value scores = linear(s / "class_embed" / last, x, {.out = c.labels});
    return {x, scores + quality_of(s / "lqe_layers" / last, sides), boxes};
  }

  struct Around {
    Value positions, boxes;
    const TokenLevels& memory;
  };
  Value layer(const Scope& s, const Value& given, const Around& around) const {
    const Norm form{.epsilon = c.norm_epsilon};
    const Value x = residual(s, given.in(s), {Placement::after, form, "self_attn_layer_norm"}, [&](const Value& h) {
      return attend_at_positions(s / "self_attn", h, {c.decoder.heads, around.positions, h, around.positions});
    });
    const Deformed to{around.memory.tokens, around.memory.levels, unsqueeze(around.boxes, {2})};
    const Value seen = attend_deformed(s / "encoder_attn", x + around.positions, to, look);
    const Value h = gated(s / "gateway", x, seen);
    const Value fed = h + feed(s, h, c.decoder);
    return norm(s / "final_layer_norm", s.graph().op("Clip", {fed}, {{"min", -65504.0}, {"max", 65504.0}}), form);
  }
  // Source: DFineGate.
  Value gated(const Scope& s, const Value& a, const Value& b) const {
    const int64_t width = c.decoder.width;
    const Value gates = sigmoid(linear(s / "gate", concat({a.in(s), b}, 2), {.out = 2 * width}));
    const std::vector<Value> halves = split(gates, 2, {width, width});
    return norm(s / "norm", halves[0] * a + halves[1] * b, {}).in(s.parent());
  }

  // Probabilities of each side's distance: f32[batch, queries, 4, bins + 1].
  Value distributions(const Value& sides) const { return softmax(reshape(sides, {0, 0, 4, bins + 1})); }

  // How sure the distributions are: f32[batch, queries, 1]. Source: DFineLQE.
  Value quality_of(const Scope& s, const Value& sides) const {
    const Value top = top_k(distributions(sides), likeliest).values;
    const Value mean = s.op("ReduceMean", {top}, {{"axes", {-1}}, {"keepdims", true}});
    return perceptron(s / "reg_conf", reshape(concat({top, mean}, 3), {0, 0, 4 * (likeliest + 1)}), quality);
  }

  // Boxes whose sides lie so far from the middle of a guess, in shares of its size: f32[batch, queries, 4].
  // Source: weighting_function, DFineIntegral and distance2bbox.
  Value box_around(const Scope& s, const Value& guess, const Value& sides) const {
    Graph& g = s.graph();
    const auto size = [&](const char* name) { return g.op("Abs", {s.weight(name, {1})}); };
    const Value scale = size("reg_scale"), bound = size("up") * scale;
    // Distances are ±2·bound at the ends, and between them ±((bound + 1)^(2·i / (bins - 2)) - 1).
    std::vector<float> exponents, signs;
    for (int64_t i = 1 - bins / 2; i < bins / 2; ++i) {
      exponents.push_back(static_cast<float>(2 * std::abs(i)) / static_cast<float>(bins - 2));
      signs.push_back(i < 0 ? -1 : 1);
    }
    const auto constant = [&](const std::vector<float>& of) { return g.constant<float>(DType::f32, {bins - 1}, of); };
    const Value inner = (exp(constant(exponents) * log(bound + 1.0)) - 1.0) * constant(signs);
    const Value distances = concat({bound * -2.0, inner, bound * 2.0}, 0);  // f32[bins + 1]
    const Value expected = squeeze(matmul(distributions(sides), unsqueeze(distances, {1})), {3});

    const std::vector<Value> box = split(guess, 2, {2, 2}), far = split(expected, 2, {2, 2});
    const Value unit = box[1] / scale, half = scale * 0.5;
    const Value upper = box[0] - (half + far[0]) * unit, lower = box[0] + (half + far[1]) * unit;
    return concat({(upper + lower) * 0.5, lower - upper}, 2);
  }

  DeformableAttention look;
  int64_t bins;       // of a distribution, less one
  int64_t blocks;     // of each branch of the encoder
  int64_t likeliest;  // probabilities that tell how sure a box is
  PerceptronOptions quality;
  bool keeps_width;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.d_fine",
    .name = "D-FINE",
    .models = {{.types = {"d_fine"}, .features = {"default", "object-detection"}, .make = make<DFine>}},
})
