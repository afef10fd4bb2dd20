// SPDX-License-Identifier: Apache-2.0
// What a user means in an image, as vectors: points, boxes and masks, and the places of the image itself.
// Source: SamPositionalEmbedding and SamPromptEncoder, transformers 4.57 (modeling_sam.py); Sam2PromptEncoder,
// transformers 5.24 (modeling_sam2.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cmath>
#include <string>
#include <vector>

#include <onnxport/families/convnext.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

/// Where relatives differ.
struct SamPromptForm {
  int64_t frequencies;     ///< of the embedding of places, half as many as its width
  int64_t kinds = 2;       ///< labels with a vector of their own: 0 outside of what is meant, 1 within, 2 and 3 corners
  bool one_table = false;  ///< vectors of the kinds are one weight f[n, hidden], and not a module each
  bool own_places = false;  ///< prompts have an embedding of places beside the image's, where the checkpoint has one
  bool box_ends = false;    ///< a box is followed by no point, as points are
};

struct SamPromptConfig {
  SamPromptConfig(const Config& c, SamPromptForm relative)
      : hidden(c.size("hidden_size", 256)),
        image(c.size("image_size", 1024)),
        patch(c.size("patch_size", 16)),
        mask_channels(c.size("mask_input_channels", 16)),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-6)),
        form(relative) {
    require_equal({"prompt_encoder_config.hidden_size", hidden},
                  {"twice the frequencies of places", 2 * form.frequencies});
    require_multiple({"mask_input_channels", mask_channels}, {"4, the parts of a step", 4});
    if (image < patch) throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than image_size");
  }
  int64_t grid() const { return image / patch; }  ///< patches on a side
  int64_t hidden, image, patch, mask_channels;
  std::string activation;
  double epsilon;
  SamPromptForm form;
};

class SamPrompts {
 public:
  explicit SamPrompts(SamPromptConfig config) : c(std::move(config)) {}

  static constexpr const char* rows_axis = "point_batch_size";  ///< prompts for an image, each for masks of its own
  static constexpr const char* points_axis = "nb_points_per_image";  ///< points of a prompt
  static constexpr const char* boxes_axis = "nb_boxes_per_image";    ///< as many as prompts, one or none

  /// f[batch, rows, points, 2] in pixels.
  TensorSpec points_input() const {
    return input::features("input_points", {axis::batch, rows_axis, points_axis, 2}, pixels());
  }
  /// i64[batch, rows, points]: a kind, -1 no point, -10 padding.
  TensorSpec labels_input() const {
    return {"input_labels", DType::i64, {axis::batch, rows_axis, points_axis}, c.form.kinds};
  }
  /// f[batch, boxes, 4]: left, top, right and bottom in pixels.
  TensorSpec boxes_input() const { return input::features("input_boxes", {axis::batch, boxes_axis, 4}, pixels()); }
  /// f[batch, 1, 4·grid, 4·grid]: what an earlier run made of the image, before its sigmoid.
  TensorSpec masks_input() const {
    return input::features("input_masks", {axis::batch, 1, 4 * c.grid(), 4 * c.grid()}, {-8, 8});
  }
  /// Of what is tried, in which one box goes with any number of prompts.
  static std::vector<AxisSize> sizes() {
    return {{.axis = rows_axis, .usual = 2, .minimum = 1},
            {.axis = points_axis, .usual = 3, .minimum = 1},
            {.axis = boxes_axis, .usual = 1, .minimum = 1, .maximum = 1}};
  }

  /// The centres of all patches: f[1, hidden, grid, grid].
  Value image_places(Graph& g) const {
    const int64_t side = c.grid();
    std::vector<float> centres;
    for (int64_t row = 0; row < side; ++row) {
      for (int64_t column = 0; column < side; ++column) {
        for (const int64_t place : {column, row})
          centres.push_back((static_cast<float>(place) + 0.5f) / static_cast<float>(side));
      }
    }
    const Scope at = first_with(weight_name, {of_image(g), of_prompts(g)});
    const Value places = embed(at, g.constant<float>(DType::f32, {1, side * side, 2}, centres));
    return reshape(transpose(places, {0, 2, 1}), {1, c.hidden, side, side});
  }

  /// As the inputs above have them. Boxes are as many as rows, or one for all rows, or none; or there is one row, of
  /// which the points, if any, go with every box.
  struct Given {
    Value points, labels;
    Value boxes{};  ///< absent: of no prompt
  };
  /// -> f[batch, rows, n, hidden]: points, the corners of a box, and no point behind them.
  Value operator()(const Scope& s, const Given& given) const {
    Graph& g = s.graph();
    const Value points = embed_points(s, given.points, given.labels);
    const Value no_point = learnt(s / "not_a_point_embed");
    if (!given.boxes) {
      for (const char* kind : {"point_embed.2", "point_embed.3"}) g.unused((s / kind).path() + ".*");
      const Value each = concat({shape_of(points, 0, 2), g.integers({1, c.hidden})}, 0);
      return concat({points, g.op("Expand", {no_point, each})}, 2);
    }
    const Value one = g.integer(1), boxes = size_of(given.boxes.in(s), 1), has_box = g.op("Min", {boxes, one});
    const Value rows = named_length(s / "rows", g.op("Max", {size_of(points, 1), boxes}));
    const auto for_rows = [&](const Value& x) { return gather(x, g.op("Min", {range(rows), size_of(x, 1) - one}), 1); };
    // Without a box a row of none stands for it.
    const Value length = named_length(s / "corners", has_box * g.integer(2));
    const Value missing = named_length(s / "missing", one - has_box);
    Value corners = pad(embed_corners(s, given.boxes), std::vector<OpenPad>{{1, g.integer(0), missing}});
    corners = g.op("Slice", {corners, g.integers({0}), unsqueeze(length, {0})}, {{"axes", {2}}});
    const auto vector = [](const Value& scalar) { return unsqueeze(scalar, {0}); };
    const Value ends = concat(
        {shape_of(points, 0, 1), vector(rows), vector(c.form.box_ends ? one : missing), g.integers({c.hidden})}, 0);
    return concat({for_rows(points), for_rows(corners), g.op("Expand", {no_point, ends})}, 2);
  }

  /// masks: f[batch, 1, 4·grid, 4·grid] -> f[batch, hidden, grid, grid]; absent: what stands for none,
  /// f[1, hidden, 1, 1].
  Value of_mask(const Scope& s, const Value& masks) const {
    const Scope at = s / "mask_embed", none = s / "no_mask_embed";
    if (!masks) {
      s.graph().unused(at.path() + ".*");
      return reshape(learnt(none), {1, c.hidden, 1, 1});
    }
    s.graph().unused(none.path() + ".*");
    Value x = step(at, masks, {"1", c.mask_channels / 4});
    x = step(at, x, {"2", c.mask_channels});
    return conv2d(at / "conv3", x, {.out = c.hidden}).in(s);
  }

  const SamPromptConfig c;

 private:
  static constexpr const char* weight_name = "positional_embedding";
  static Scope of_image(Graph& g) { return g.root() / "shared_image_embedding"; }
  static Scope of_prompts(Graph& g) { return g.root() / "prompt_encoder.shared_embedding"; }
  Scope of_points(Graph& g) const {
    if (c.form.own_places) return first_with(weight_name, {of_prompts(g), of_image(g)});
    return first_with(weight_name, {of_image(g), of_prompts(g)});
  }

  input::Range pixels() const { return {0, static_cast<double>(c.image)}; }
  Value learnt(const Scope& at) const { return at.weight("weight", {1, c.hidden}); }
  // f[1, hidden]
  Value kind(const Scope& s, int64_t label) const {
    const Scope at = s / "point_embed";
    return c.form.one_table ? slice(at.weight("weight", {c.form.kinds, c.hidden}), {0, label, label + 1})
                            : learnt(at / label);
  }

  Value embed_points(const Scope& s, const Value& points, const Value& labels) const {
    Graph& g = s.graph();
    const Value nothing = g.scalar(0), label = unsqueeze(labels, {3});
    const auto is = [&](int64_t value) { return equal(label, value); };
    Value added = nothing;
    for (int64_t i = 0; i < c.form.kinds; ++i) added = where(is(i), kind(s, i), added);
    const Value x = embed_pixels(s, points);
    return where(is(-1), learnt(s / "not_a_point_embed"), where(is(-10), nothing, x)) + added;
  }
  // f[batch, boxes, 4] -> f[batch, boxes, 2, hidden]
  Value embed_corners(const Scope& s, const Value& boxes) const {
    return embed_pixels(s, reshape(boxes, {0, 0, 2, 2})) + concat({kind(s, 2), kind(s, 3)}, 0);
  }

  // The centres of pixels f[..., 2] -> f[..., hidden].
  Value embed_pixels(const Scope& s, const Value& places) const {
    const Scope at = of_points(s.graph());
    return embed(at, (places.in(at) + 0.5) / static_cast<double>(c.image)).in(s);
  }
  // Places from 0 to 1, f[..., 2] -> f[..., hidden].
  Value embed(const Scope& at, const Value& places) const {
    Graph& g = at.graph();
    for (const Scope& other : {of_image(g), of_prompts(g)}) g.unused(other.path() + ".*");
    const Value directions = at.weight(weight_name, {2, c.form.frequencies});
    const Value angles = matmul((places * 2.0 - 1.0).in(at), directions) * (2 * M_PI);
    return concat({g.op("Sin", {angles}), g.op("Cos", {angles})}, -1);
  }

  struct Step {
    std::string number;
    int64_t out;
  };
  // Half as many pixels on a side. Source: SamMaskEmbedding.
  Value step(const Scope& s, const Value& x, const Step& form) const {
    const Value halved = conv2d(s / ("conv" + form.number), x, {.out = form.out, .kernel = 2, .stride = 2});
    return activation(norm_of_channels(s / ("layer_norm" + form.number), halved, {.epsilon = c.epsilon}).in(s),
                      c.activation);
  }
};

}  // namespace onnxport::family
