// SPDX-License-Identifier: Apache-2.0
// SuperPoint: where an image has corners, and a vector that describes each. Source: SuperPointForKeypointDetection,
// transformers 4.57 (modeling_superpoint.py).
#include <onnxport/plugin.hpp>
#include <onnxport/selection.hpp>

using namespace onnxport::sdk;

namespace {

constexpr const char* keypoints_axis = "keypoints";
constexpr int64_t cell = 8;  // pixels on a side that one place of the encoder's result stands for

struct SuperPointConfig {
  explicit SuperPointConfig(const Config& c)
      : widths(by_stage(c, "encoder_hidden_sizes", {64, 64, 128, 128}, 2)),
        decoder(c.size("decoder_hidden_size", 256)),
        places(c.size("keypoint_decoder_dim", 65)),
        descriptor(c.size("descriptor_decoder_dim", 256)),
        threshold(c.real("keypoint_threshold", 0.005)),
        most(c.integer("max_keypoints", -1)),
        radius(c.count("nms_radius", 4)),
        border(c.integer("border_removal_distance", 4)) {
    require_equal({"keypoint_decoder_dim", places},
                  {"a score for each pixel of a cell, and one for none", cell * cell + 1});
  }
  std::vector<int64_t> widths;
  int64_t decoder, places, descriptor;
  double threshold;
  int64_t most;  // keypoints of an image; below 0: all
  int64_t radius, border;
};

class SuperPoint final : public OnnxConfig {
 public:
  explicit SuperPoint(const Request& request) : OnnxConfig(request), c(request.config) {}

  std::string base_model_prefix() const override { return "superpoint"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t min_opset() const override { return 16; }  // for GridSample
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override {
    std::vector<OutputSpec> specs;
    for (const char* name : {"keypoints", "scores", "descriptors", "mask"})
      specs.push_back({name, {{0, axis::batch}, {1, keypoints_axis}}});
    return specs;
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Value pixels = in.at("pixel_values");
    const Value encoded = encode(g.root() / "encoder.conv_blocks", slice(pixels, {1, 0, 1}));
    const Value scores = corners(score(g.root() / "keypoint_decoder", encoded));
    const Found found = choose(scores);
    const Value descriptors = describe(g.root() / "descriptor_decoder", encoded, found);
    const Value sides = cast(concat({shape_of(pixels, 3, 4), shape_of(pixels, 2, 3)}, 0), DType::f32);
    const Value counts = cast(found.mask, DType::f32);
    return {{"keypoints", found.places / sides * unsqueeze(counts, {2})},
            {"scores", found.scores * counts},
            {"descriptors", descriptors * unsqueeze(counts, {2})},
            {"mask", cast(found.mask, DType::i32)}};
  }

 private:
  // Pairs of convolutions, behind all but the last of which the size is halved.
  Value encode(const Scope& s, Value x) const {
    for (size_t i = 0; i < c.widths.size(); ++i) {
      const Scope block = s / static_cast<int64_t>(i);
      for (const char* name : {"conv_a", "conv_b"})
        x = relu(conv2d(block / name, x, {.out = c.widths[i], .kernel = 3, .padding = 1}));
      s.graph().mark("hidden_states." + std::to_string(i), x);
      if (i + 1 < c.widths.size()) x = max_pool(x, {.kernel = 2, .stride = 2});
    }
    return x;
  }

  // f[batch, n, rows, columns] -> f[batch, 1, rows·8, columns·8]
  Value score(const Scope& s, const Value& encoded) const {
    const Value h = relu(conv2d(s / "conv_score_a", encoded, {.out = c.decoder, .kernel = 3, .padding = 1}));
    const Value shares = softmax(conv2d(s / "conv_score_b", h, {.out = c.places}), 1);
    return pixel_shuffle(slice(shares, {1, 0, -1}), cell);
  }

  // Scores that are the largest around, and those that are among the rest; 0 elsewhere. Source: simple_nms.
  Value corners(const Value& scores) const {
    Graph& g = scores.graph();
    const Value zero = g.scalar(0);
    const auto around = [&](const Value& x) {
      return max_pool(x, {.kernel = 2 * c.radius + 1, .stride = 1, .padding = c.radius});
    };
    Value kept = equal(scores, around(scores));
    for (int round = 0; round < 2; ++round) {
      const Value near = g.op("Greater", {around(cast(kept, DType::f32)), zero});
      const Value rest = where(near, zero, scores);
      const Value among_rest = g.op("And", {equal(rest, around(rest)), logical_not(near)});
      kept = g.op("Or", {kept, among_rest});
    }
    return where(kept, scores, zero);
  }

  struct Found {
    Value places;  ///< f[batch, keypoints, 2], column and row in pixels
    Value scores;  ///< f[batch, keypoints]
    Value mask;    ///< boolean[batch, keypoints]: whether the image has so many
  };
  // Row by row; where an image has more than it may, those of the largest scores in their order.
  Found choose(const Value& image) const {
    Graph& g = image.graph();
    const Value height = size_of(image, 2), width = size_of(image, 3);
    const Value row = unsqueeze(range(height), {1}), column = unsqueeze(range(width), {0});
    // The original bounds the far side by eight times the image.
    const auto inside = [&](const Value& place, const Value& length) {
      return g.op("And", {g.op("GreaterOrEqual", {place, g.integer(c.border)}),
                          g.op("Less", {place, length * cell - c.border})});
    };
    const Value within = reshape(g.op("And", {inside(row, height), inside(column, width)}), {1, -1});
    const Value scores = reshape(image, {0, -1});
    const Value counts = g.op("And", {g.op("Greater", {scores, g.scalar(c.threshold)}), within});
    Value number = sum(cast(counts, DType::i64), {1});
    const Value place = range(size_of(scores, 1));
    Value rank = cast(size_of(scores, 1) - place, DType::f64);
    if (c.most >= 0) {
      const Value more = g.op("Greater", {number, g.integer(c.most)});
      rank = where(unsqueeze(more, {1}), cast(scores, DType::f64), rank);
      number = g.op("Min", {number, g.integer(c.most)});
    }
    const Value order = where(counts, rank, g.scalar(-1, DType::f64));
    const Value chosen = top_k(order, largest(number, {0})).indices;
    const Value mask = g.op("Less", {unsqueeze(range(size_of(chosen, 1)), {0}), unsqueeze(number, {1})});
    const Value rows = g.op("Div", {chosen, width}), columns = g.op("Mod", {chosen, width});
    const Value places = cast(concat({unsqueeze(columns, {2}), unsqueeze(rows, {2})}, 2), DType::f32);
    return {places, g.op("GatherElements", {scores, chosen}, {{"axis", 1}}), mask};
  }

  // Vectors of unit length between those of the cells: f[batch, keypoints, n].
  Value describe(const Scope& s, const Value& encoded, const Found& found) const {
    Graph& g = s.graph();
    const auto unit = [&](const Value& x) {
      const Value length = g.op("ReduceL2", {x}, {{"axes", {1}}, {"keepdims", true}});
      return x / g.op("Max", {length, g.scalar(1e-12)});
    };
    const Value h = relu(conv2d(s / "conv_descriptor_a", encoded, {.out = c.decoder, .kernel = 3, .padding = 1}));
    const Value map = unit(conv2d(s / "conv_descriptor_b", h, {.out = c.descriptor}));
    constexpr double center = cell / 2.0 - 0.5;  // of the first cell, in pixels
    const Value sides = cast(concat({shape_of(encoded, 3, 4), shape_of(encoded, 2, 3)}, 0), DType::f32);
    const Value grid = (found.places - center) / (sides * static_cast<double>(cell) - (center + 1)) * 2.0 - 1.0;
    const Value sampled = grid_sample(map, unsqueeze(grid, {1}), {.align_corners = true});
    return transpose(unit(squeeze(sampled, {2})), {0, 2, 1});
  }

  const SuperPointConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.superpoint",
    .name = "SuperPoint",
    .models = {{.types = {"superpoint"},
                .features = {"keypoint-detection"},
                .architectures = {{"SuperPointForKeypointDetection", "keypoint-detection"}},
                .make = make<SuperPoint>}},
})
