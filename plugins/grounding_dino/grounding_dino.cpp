// SPDX-License-Identifier: Apache-2.0
// Grounding DINO: a Deformable DETR that looks for what a prompt names. Image and text look at each other in every
// layer of the encoder, queries look at both, and an object's scores are its likeness to each token of the prompt.
// Source: GroundingDinoModel and GroundingDinoForObjectDetection, transformers 4.57 and 5.24
// (modeling_grounding_dino.py); MMGroundingDinoForObjectDetection (modeling_mm_grounding_dino.py).
#include <cmath>

#include <onnxport/blocks/reference_points.hpp>
#include <onnxport/selection.hpp>

#include "config.hpp"
#include "fusion.hpp"
#include "prompt.hpp"

using namespace onnxport::family;
using namespace onnxport::grounding_dino;

namespace {

class GroundingDino final : public OnnxConfig {
 public:
  explicit GroundingDino(const Request& request)
      : OnnxConfig(request),
        relative(row_of(relatives, request.model_type)),
        c(request.config.with_names({{"d_model", "hidden_size"}, {"encoder_attention_heads", "num_attention_heads"}}),
          relative) {}

  std::string base_model_prefix() const override { return "model"; }
  double atol_for_validation() const override { return 1e-4; }
  /// Of a longer prompt the base model would read the beginning alone; the detector fails.
  int64_t max_positions() const override { return c.tokens; }
  /// Images that have a place for each query, at sixteen pixels a place.
  std::vector<AxisSize> axis_sizes() const override {
    const int64_t side = 16 * static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(c.queries))));
    return {{.axis = axis::height, .usual = side}, {.axis = axis::width, .usual = side}};
  }
  /// Source: GroundingDinoProcessor.
  std::vector<TensorSpec> inputs() const override {
    const std::vector<Dim> text{axis::batch, axis::sequence};
    return {pixel_values(), input::ids("input_ids", text, c.text.vocab),
            input::token_types("token_type_ids", text, {.of = "input_ids", .limit = c.text.segments}),
            input::mask("attention_mask", text, {.of = "input_ids"}), pixel_mask()};
  }
  std::vector<OutputSpec> outputs() const override { return detector_outputs(task()); }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope model = detects() ? g.root() / "model" : g.root();
    // Copies of the heads, and heads of other layers.
    for (const char* name : {"*class_embed.*", "*bbox_embed.*", "*embeddings.position_ids"}) g.unused(name);
    const Prompt prompt = prompt_of(in.at("input_ids"), in.at("token_type_ids"), in.at("attention_mask"));
    const SeenScales seen = see_scales(model, in, {c.backbone, c.levels, c.positions, "input_proj_vision"});
    const ImageAndText memory = encode(model / "encoder", {seen.image.tokens, read(model, prompt)}, {seen, prompt});
    g.mark("encoder_last_hidden_state_vision", memory.image);
    g.mark("encoder_last_hidden_state_text", memory.text);
    const Value references = g.mark("init_reference_points", promising(model, memory, {seen, prompt}));
    const Found found = decode(model / "decoder", memory, {seen, prompt}, references);
    if (!detects()) return {{"last_hidden_state", found.objects}};
    g.mark("last_hidden_state", found.objects);
    const Scope scorer = head(g.root(), "class_embed", c.decoder.layers - 1, c.one_scorer);
    const Value scores = likeness(scorer, found.objects, memory.text, prompt);
    const Value missing = g.integer(c.tokens) - size_of(scores, 2);
    return {{"logits", pad(scores, {OpenPad{2, g.integer(0), missing}}, {.value = never})},
            {"pred_boxes", found.boxes}};
  }

 private:
  static constexpr double never = -std::numeric_limits<double>::infinity();
  /// What is known of image and text beside their vectors.
  struct Given {
    const SeenScales& seen;
    const Prompt& prompt;
  };
  bool detects() const { return task() != "default"; }

  Value joined(const Scope& layer, const Value& x, const char* name,
               const std::function<Value(const Value&)>& run) const {
    return residual(layer, x.in(layer), {Placement::after, c.norm, name}, run);
  }
  Value fed(const Scope& layer, const Value& x, const char* name, int64_t inner) const {
    return joined(layer, x, name, [&](const Value& h) {
      return feed_forward(layer, h,
                          {.inner = inner, .activation = c.activation, .up = "fc1", .down = "fc2", .bias = true});
    });
  }
  static constexpr ProjectionNames names{"query", "key", "value", "out_proj"};

  // The prompt through BERT, phrase by phrase: f32[batch, n, width].
  Value read(const Scope& model, const Prompt& prompt) const {
    const Scope s = model / "text_backbone";
    const Value x = c.text.embed(s / "embeddings", {prompt.ids, prompt.segments, prompt.positions});
    Attended within_phrase = c.text.attended({});
    within_phrase.bias = prompt.bias;
    const Value words = c.text.encode(s / "encoder", x, BertEncoder::Layers{c.text.layer(), within_phrase});
    return linear(model / "text_projection", words, {.out = c.width});
  }

  ImageAndText encode(const Scope& s, ImageAndText x, const Given& given) const {
    const Value references = references_of_places(s, given.seen);
    const Value positions = sines_of(cast(given.prompt.positions.in(s), DType::f32), {.width = c.width});
    for (int64_t i = 0; i < c.encoder.layers; ++i) {
      const Scope layer = s / "layers" / i, text = layer / "text_enhancer_layer", image = layer / "deformable_layer";
      x = fuse(layer / "fusion_layer", x,
               {c.encoder.heads / 2, c.encoder.inner / 2, c.norm, given.seen.mask, given.prompt.mask});
      x.text = joined(text, x.text, "layer_norm_before", [&](const Value& h) {
        return attend_at_positions(text / "self_attn", h,
                                   {.heads = c.encoder.heads / 2,
                                    .query_positions = positions,
                                    .seen = h,
                                    .seen_positions = positions,
                                    .bias = given.prompt.bias,
                                    .names = names});
      });
      x.text = fed(text, x.text, "layer_norm_after", c.encoder.inner / 2);
      x.image = joined(image, x.image, "self_attn_layer_norm", [&](const Value& h) {
        return attend_deformed(image / "self_attn", h + given.seen.positions,
                               {h, given.seen.image.levels, references, given.seen.mask}, c.encoder.sampling(c.levels));
      });
      x.image = fed(image, x.image, "final_layer_norm", c.encoder.inner);
    }
    return x;
  }

  // How like each token an object is, and of padding never: f32[batch, m, width] -> f32[batch, m, n].
  Value likeness(const Scope& s, const Value& objects, const Value& text, const Prompt& prompt) const {
    Value scores = matmul(objects.in(s), transpose(text, {0, 2, 1}));
    if (relative.scaled) scores = scores / std::sqrt(static_cast<double>(c.width)) + s.weight("bias", {});
    return where(equal(unsqueeze(prompt.mask, {1}), 1), scores, s.graph().scalar(never)).in(s.parent());
  }

  // Boxes where queries begin, of the places that are most like a token: f32[batch, queries, 4].
  Value promising(const Scope& model, const ImageAndText& memory, const Given& given) const {
    const PlaceBoxes boxes = boxes_around_places(model, given.seen);
    const Value places = queries_of_places(model, memory.image, boxes, c.norm);
    const Value scores = likeness(model / "encoder_output_class_embed", places, memory.text, given.prompt);
    const Value moved = perceptron(model / "encoder_output_bbox_embed", places, {c.width, 4}) + boxes.unbounded();
    return sigmoid(rows_at(moved, top_k(largest(scores, {2}), c.queries, {.axis = 1}).indices));
  }
  struct Found {
    Value objects;  // f32[batch, queries, width]
    Value boxes{};  // of a detector: f32[batch, queries, 4]
  };
  Found decode(const Scope& s, const ImageAndText& memory, const Given& given, Value references) const {
    Graph& g = s.graph();
    const Value table = (s.parent() / "query_position_embeddings").weight("weight", {c.queries, c.width});
    const Value one_each = concat({shape_of(memory.image, 0, 1), g.integers({1, 1})}, 0);
    Value x = g.op("Expand", {unsqueeze(table, {0}), one_each});
    for (int64_t i = 0; i < c.decoder.layers; ++i) {
      const Scope layer = s / "layers" / i;
      const Value places = references_at_levels(references.in(s), given.seen);
      const Value positions =
          perceptron(s / "reference_points_head", sines_of_points(pick(places, 2, 0), {.width = c.width / 2}),
                     {.hidden = c.width, .out = c.width, .layers = 2});
      x = joined(layer, x, "self_attn_layer_norm", [&](const Value& h) {
        return attend_at_positions(layer / "self_attn", h,
                                   {.heads = c.decoder.heads,
                                    .query_positions = positions,
                                    .seen = h,
                                    .seen_positions = positions,
                                    .names = names});
      });
      x = joined(layer, x, "encoder_attn_text_layer_norm", [&](const Value& h) {
        return attend_at_positions(layer / "encoder_attn_text", h,
                                   {.heads = c.decoder.heads,
                                    .query_positions = positions,
                                    .seen = memory.text,
                                    .mask = given.prompt.mask,
                                    .names = names});
      });
      x = joined(layer, x, "encoder_attn_layer_norm", [&](const Value& h) {
        return attend_deformed(layer / "encoder_attn", h + positions,
                               {memory.image, given.seen.image.levels, places, given.seen.mask},
                               c.decoder.sampling(c.levels));
      });
      x = fed(layer, x, "final_layer_norm", c.decoder.inner);
      if (detects() && i + 1 < c.decoder.layers) references = moved(between_layers(g.root(), i), x, references);
    }
    const Value objects = norm(s / "layer_norm", x, c.norm);
    if (!detects()) return {objects};
    return {objects, moved(behind_layers(g.root()), objects, references)};
  }
  static Value moved(const Scope& mover, const Value& objects, const Value& references) {
    return sigmoid(perceptron(mover, objects, {objects.fixed(2), 4}) + logit(references));
  }
  Scope between_layers(const Scope& root, int64_t layer) const {
    return head(c.tied ? root : root / "model.decoder", "bbox_embed", layer, c.one_mover);
  }
  Scope behind_layers(const Scope& root) const { return head(root, "bbox_embed", c.decoder.layers - 1, c.one_mover); }
  static Scope head(const Scope& root, const char* name, int64_t layer, bool shared) {
    const Scope own = root / name / layer;
    const bool saved = own.has("layers.0.weight") || own.has("bias");
    return head_of_layer(root, name, shared && !saved ? 0 : layer);
  }

  const Relative& relative;
  const GroundingDinoConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.grounding_dino",
    .name = "Grounding DINO",
    .models = {{.types = {"grounding-dino", "mm-grounding-dino"},
                .features = {"default", "zero-shot-object-detection"},
                .architectures = {{"GroundingDinoForObjectDetection", "zero-shot-object-detection"},
                                  {"MMGroundingDinoForObjectDetection", "zero-shot-object-detection"}},
                .make = make<GroundingDino>}},
})
