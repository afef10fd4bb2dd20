// SPDX-License-Identifier: Apache-2.0
// RT-DETR and RT-DETR V2. Source: RTDetrModel, RTDetrForObjectDetection, RTDetrV2Model and RTDetrV2ForObjectDetection,
// transformers 4.57 (modeling_rt_detr.py, modeling_rt_detr_v2.py).
#include <onnxport/families/rt_detr.hpp>

using namespace onnxport::family;

namespace {

class RtDetr : public RtDetrOnnxConfig {
 public:
  explicit RtDetr(const Request& request) : RtDetr(request, {}) { request.config.no_effect({"decoder_n_levels"}); }

 protected:
  RtDetr(const Request& request, const DeformableAttention& sampling)
      : RtDetrOnnxConfig(request, backbone_of(request.config, backbones, rt_detr_resnet_backbone)), look(sampling) {
    look.heads = c.decoder.heads;
    look.points.assign(static_cast<size_t>(c.levels), request.config.size("decoder_n_points", 4));
  }

 private:
  Found decode(const Scope& s, const Chosen& chosen) const override {
    const bool detects = task() != "default";
    Value x = chosen.objects, boxes = chosen.references;
    for (int64_t i = 0; i < c.decoder.layers; ++i) {
      const Value positions =
          perceptron(s / "query_pos_head", boxes, {.hidden = 2 * c.decoder.width, .out = c.decoder.width, .layers = 2});
      x = layer(s / "layers" / i, x, {positions, boxes, chosen.memory});
      if (!detects) continue;
      const Value moved = perceptron(s / "bbox_embed" / i, x, {.hidden = c.decoder.width, .out = 4});
      boxes = sigmoid(moved + inverse_sigmoid(boxes));
    }
    if (!detects) return {x};
    return {x, linear(s / "class_embed" / (c.decoder.layers - 1), x, {.out = c.labels}), boxes};
  }

  struct Around {
    Value positions, boxes;
    const TokenLevels& memory;
  };
  Value layer(const Scope& s, Value x, const Around& around) const {
    const auto joined = [&](const char* name) { return Residual{Placement::after, {.epsilon = c.norm_epsilon}, name}; };
    x = residual(s, x.in(s), joined("self_attn_layer_norm"), [&](const Value& h) {
      return attend_at_positions(s / "self_attn", h, {c.decoder.heads, around.positions, h, around.positions});
    });
    x = residual(s, x, joined("encoder_attn_layer_norm"), [&](const Value& h) {
      const Deformed to{around.memory.tokens, around.memory.levels, unsqueeze(around.boxes, {2})};
      return attend_deformed(s / "encoder_attn", h + around.positions, to, look);
    });
    return residual(s, x, joined("final_layer_norm"), [&](const Value& h) { return feed(s, h, c.decoder); });
  }

  DeformableAttention look;
};

/// Of the second version samples may lie farther apart, or be whole pixels.
class RtDetrV2 final : public RtDetr {
 public:
  explicit RtDetrV2(const Request& request) : RtDetr(request, sampling(request.config)) {
    require_equal({"decoder_n_levels", request.config.size("decoder_n_levels", 3)}, {"num_feature_levels", c.levels});
  }

 private:
  static DeformableAttention sampling(const Config& c) {
    return {.box_share = c.real("decoder_offset_scale", 0.5),
            .nearest = c.choice("decoder_method", "default", {"default", "discrete"}) == "discrete",
            .shares = "n_points_scale"};
  }
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.rt_detr",
    .name = "RT-DETR",
    .models = {{.types = {"rt_detr"}, .features = {"default", "object-detection"}, .make = make<RtDetr>},
               {.types = {"rt_detr_v2"}, .features = {"default", "object-detection"}, .make = make<RtDetrV2>}},
})
