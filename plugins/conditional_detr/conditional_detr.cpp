// SPDX-License-Identifier: Apache-2.0
// Conditional DETR: a query has a place of its own in the image, and looks around it: the content and the place of
// queries and keys stand side by side in each head.
// Source: ConditionalDetrModel, ConditionalDetrForObjectDetection and ConditionalDetrForSegmentation, transformers 4.57
// (modeling_conditional_detr.py).
#include <onnxport/blocks/reference_points.hpp>
#include <onnxport/families/detr_masks.hpp>

using namespace onnxport::family;

namespace {

class ConditionalDetr final : public DetrWithMasks {
 public:
  explicit ConditionalDetr(const Request& request)
      : DetrWithMasks(request, {.queries = 300, .no_object = 0, .segmenter_prefix = "conditional_detr"}) {}

 private:
  // Where each query looks: f32[1, queries, 2].
  Value places_of_queries(const Scope& model) const {
    return sigmoid(perceptron(model / "decoder.ref_point_head", query_positions(model),
                              {.hidden = c.width, .out = 2, .layers = 2}));
  }

  Value decode(const Scope& model, const Value& memory, const DetrImage& image) const override {
    const Scope s = model / "decoder";
    const Value queries = query_positions(model);
    const Value sines = sines_of_points(places_of_queries(model), {.width = c.width / 2});
    const auto scale = [&](const Value& x) {
      return perceptron(s / "query_scale", x, {.hidden = c.width, .out = c.width, .layers = 2});
    };
    // The first layer does not scale; the class has the weights even where there is no other.
    if (c.decoder.layers == 1) scale(queries);
    bool first = true;
    return layers.over_zeros(s, memory, [&](const Scope& layer, Value x) {
      const auto project = [&](const char* name, const Value& of) {
        return linear(layer / name, of, {.out = c.width});
      };
      const Value looks = first ? sines : sines * scale(x);
      x = layers.joined(layer, x, "self_attn_layer_norm", [&](const Value& h) {
        const Value query = project("sa_qcontent_proj", h) + project("sa_qpos_proj", queries);
        const Value key = project("sa_kcontent_proj", h) + project("sa_kpos_proj", queries);
        const Value mixed = attention(query, key, project("sa_v_proj", h), {.heads = c.decoder.heads}).mixed;
        return linear(layer / "self_attn.out_proj", mixed, {.out = c.width}).in(layer);
      });
      x = layers.joined(layer, x, "encoder_attn_layer_norm", [&](const Value& h) {
        Value query = project("ca_qcontent_proj", h), key = project("ca_kcontent_proj", memory);
        const Value key_places = project("ca_kpos_proj", image.positions);
        if (first) {
          query = query + project("ca_qpos_proj", queries);
          key = key + key_places;
        }
        const Value mixed =
            attention(side_by_side(query, project("ca_qpos_sine_proj", looks)), side_by_side(key, key_places),
                      project("ca_v_proj", memory), {.heads = c.decoder.heads, .mask = image.mask})
                .mixed;
        return linear(layer / "encoder_attn.out_proj", mixed, {.out = c.width}).in(layer);
      });
      first = false;
      return layers.fed(layer, x, c.decoder.inner);
    });
  }

  // In each head the content and then the place: f[batch, n, width] and f[batch or 1, n, width] -> f[batch, n,
  // 2·width].
  Value side_by_side(const Value& content, const Value& place) const {
    Graph& g = content.graph();
    const int64_t heads = c.decoder.heads, width = c.width / heads;
    const auto apart = [&](const Value& x) { return reshape(x, {0, 0, heads, width}); };
    const Value whole = g.op("Expand", {place, shape_of(content, 0, 3)});
    return reshape(concat({apart(content), apart(whole)}, 3), {0, 0, 2 * c.width});
  }

  // A detector's boxes lie around the places of their queries; a segmenter's do not.
  Value boxes(const Scope& detector, const Value& objects) const override {
    const Value made = DetrWithMasks::boxes(detector, objects);
    if (task() == "image-segmentation") return made;
    return made + pad(inverse_sigmoid(places_of_queries(detector / "model")), {{2, 0, 2}});
  }
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.conditional_detr",
    .name = "Conditional DETR",
    .models = {{.types = {"conditional_detr"},
                .features = {"default", "object-detection", "image-segmentation"},
                .architectures = {{"ConditionalDetrForSegmentation", "image-segmentation"}},
                .make = make<ConditionalDetr>}},
})
