// SPDX-License-Identifier: Apache-2.0
// OWL-ViT and OWLv2: CLIP's two towers, and objects that texts or another image tell of. Source: OwlViTModel and
// OwlViTForObjectDetection, transformers 4.30 and 4.57 (modeling_owlvit.py); Owlv2Model and Owlv2ForObjectDetection,
// 4.57 (modeling_owlv2.py).
#include <onnxport/families/clip.hpp>

#include "detection.hpp"
#include "image_query.hpp"

using namespace onnxport::family;

namespace {

/// What tells one from the other.
struct Relative {
  std::string_view type;
  const char* base;
  bool weighs_objects = false;  ///< whether a head tells how likely a patch shows any object
};
constexpr Relative relatives[] = {{"owlvit", "owlvit"}, {"owlv2", "owlv2", true}};

constexpr ClipImageDefaults images_of(int64_t patch) {
  return {.patch = patch, .image = 768, .first_norm = "pre_layernorm"};
}
constexpr ClipTextDefaults texts{.positions = 16, .highest = ClipTextDefaults::Highest::always};

class OwlViT final : public ClipTowers {
 public:
  explicit OwlViT(const Request& request) : OwlViT(request, row_of(relatives, request.model_type)) {}

  std::string base_model_prefix() const override { return relative.base; }
  int64_t max_positions() const override { return guided_by_image() ? 0 : text.positions; }
  /// Each image has so many texts, one after the other.
  std::vector<AxisSize> axis_sizes() const override {
    std::vector<AxisSize> sizes = ClipTowers::axis_sizes();
    if (is_pair() || guided_by_image()) return sizes;
    for (AxisSize& size : sizes) {
      if (size.axis == image_batch) size.maximum = 2;
      if (size.axis == text_batch) size = {.axis = text_batch, .usual = 4, .minimum = 2, .step = 2};
    }
    return sizes;
  }

  std::vector<TensorSpec> inputs() const override {
    if (is_pair()) return ClipTowers::inputs();
    std::vector<TensorSpec> specs;
    if (guided_by_image()) {
      for (const char* name : {"pixel_values", "query_pixel_values"})
        specs.push_back(input::pixels(name, {axis::batch, axis::num_channels, axis::height, axis::width}));
      return specs;
    }
    specs = {text_ids(text_batch),
             input::pixels("pixel_values", {image_batch, axis::num_channels, axis::height, axis::width})};
    for (TensorSpec& spec : text_marks(text_batch)) specs.push_back(std::move(spec));
    return specs;
  }
  std::vector<OutputSpec> outputs() const override {
    if (is_pair()) return ClipTowers::outputs();
    std::vector<OutputSpec> specs;
    const char* batch = guided_by_image() ? axis::batch : image_batch;
    const std::vector<const char*> names =
        guided_by_image()
            ? std::vector{"logits", "target_pred_boxes", "query_pred_boxes", "image_embeds", "query_image_embeds"}
            : std::vector{"logits", "pred_boxes", "text_embeds", "image_embeds"};
    for (const char* name : names) specs.push_back({name, {{0, batch}}});
    return specs;
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    if (is_pair()) return ClipTowers::forward(g, in);
    g.unused("*logit_scale");
    g.unused("box_bias");
    g.unused((towers(g) / "visual_projection").path() + ".*");
    return guided_by_image() ? as_image_shows(g, in) : as_texts_say(g, in);
  }

 private:
  OwlViT(const Request& request, const Relative& row)
      : ClipTowers(request, images_of(row.weighs_objects ? 16 : 32), texts),
        relative(row),
        by_objectness(row.weighs_objects && request.config.written_since(5, 0)) {}

  bool guided_by_image() const { return task() == "image-guided-object-detection"; }
  Scope towers(Graph& g) const override { return is_pair() ? g.root() : g.root() / base_model_prefix(); }

  struct Seen {
    Value patches;  // f[images, patches, hidden]
    Value size;     // i64[2], rows and columns
    /// f[images, rows, columns, hidden]
    Value map() const {
      const Value width = patches.graph().integers({patches.fixed(2)});
      return reshape(patches, concat({shape_of(patches, 0, 1), size, width}, 0));
    }
  };
  // Every patch is weighed by the class token.
  Seen look(Graph& g, const Value& pixels) const {
    const Scope model = towers(g) / "vision_model";
    const Patches patches = image.embed(model, pixels);
    const Value all =
        norm(model / "post_layernorm", image.encode(model, patches.tokens, "vision_"), {.epsilon = image.epsilon});
    const Value weighed = slice(all, {1, 1}) * slice(all, {1, 0, 1});
    return {norm(g.root() / "layer_norm", weighed, {.epsilon = image.epsilon}), patches.size};
  }
  // How likely each patch shows an object: f[images, patches]
  Value objectness(Graph& g, const Value& patches) const {
    return squeeze(patch_perceptron(g.root() / "objectness_head", patches, 1), {-1});
  }

  Outputs as_texts_say(Graph& g, const Inputs& in) const {
    const Seen seen = look(g, in.at("pixel_values"));
    const Value ids = in.at("input_ids");
    const Value vectors = unit(text_vectors(g, text_of(in)));
    const Value of_each = g.op("Div", {size_of(ids, 0), size_of(seen.patches, 0)});
    const Value per_image = concat({shape_of(seen.patches, 0, 1), unsqueeze(named_length(g.root(), of_each), {0})}, 0);
    const Value queries = reshape(vectors, concat({per_image, g.integers({projected})}, 0));
    // A text that begins with 0 fills up an image's texts.
    const Value counts = g.op("Greater", {reshape(pick(ids, 1, 0), per_image), g.integer(0)});
    const ClassScores classes = patch_classes(g.root(), seen.patches, queries, counts);
    g.mark("class_embeds", classes.vectors);
    if (relative.weighs_objects) {
      if (g.wants("objectness_logits"))
        g.mark("objectness_logits", objectness(g, seen.patches));
      else
        g.unused("objectness_head.*");
    }
    return {{"logits", classes.logits},
            {"pred_boxes", patch_boxes(g.root(), seen.patches, seen.size)},
            {"text_embeds", queries},
            {"image_embeds", seen.map()}};
  }

  Outputs as_image_shows(Graph& g, const Inputs& in) const {
    for (const char* texts_alone : {"text_model", "text_projection"}) g.unused((towers(g) / texts_alone).path() + ".*");
    const Seen seen = look(g, in.at("pixel_values")), query = look(g, in.at("query_pixel_values"));
    const Value vectors = linear(g.root() / "class_head.dense0", query.patches, {.out = text.hidden});
    const Value boxes = patch_boxes(g.root(), query.patches, query.size);
    const Value best =
        by_objectness ? likeliest_object(objectness(g, query.patches)) : most_distinct_box(boxes, vectors);
    if (relative.weighs_objects && !by_objectness) g.unused("objectness_head.*");
    const Value wanted = unsqueeze(row_at(vectors, best), {1});
    const ClassScores classes = patch_classes(g.root(), seen.patches, wanted);
    g.mark("class_embeds", classes.vectors);
    return {{"logits", classes.logits},
            {"target_pred_boxes", patch_boxes(g.root(), seen.patches, seen.size)},
            {"query_pred_boxes", boxes},
            {"image_embeds", seen.map()},
            {"query_image_embeds", query.map()}};
  }

  const Relative& relative;
  bool by_objectness;  // how an image that is a query is read; before version 5 as OWL-ViT does
};

class OwlText final : public ClipText {
 public:
  explicit OwlText(const Request& request) : ClipText(request, texts, nested(text_names)) {}
};
class OwlVitVision final : public ClipVision {
 public:
  explicit OwlVitVision(const Request& request) : ClipVision(request, images_of(32), nested(vision_names)) {}
};
class Owlv2Vision final : public ClipVision {
 public:
  explicit Owlv2Vision(const Request& request) : ClipVision(request, images_of(16), nested(vision_names)) {}
};

Model pair(const char* type, const char* detector) {
  return {.types = {type},
          .features = {"default", "zero-shot-object-detection", "image-guided-object-detection"},
          .architectures = {{detector, "zero-shot-object-detection"}},
          .make = make<OwlViT>};
}

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.owlvit",
    .name = "OWL-ViT and OWLv2",
    .models = {pair("owlvit", "OwlViTForObjectDetection"),
               pair("owlv2", "Owlv2ForObjectDetection"),
               {.types = {"owlvit_text_model", "owlv2_text_model"}, .features = {"default"}, .make = make<OwlText>},
               {.types = {"owlvit_vision_model"}, .features = {"default"}, .make = make<OwlVitVision>},
               {.types = {"owlv2_vision_model"}, .features = {"default"}, .make = make<Owlv2Vision>}},
})
