// SPDX-License-Identifier: Apache-2.0
// DPT's neck, which makes one fine map of an image out of a backbone's stages, and is that of Depth Anything and
// ZoeDepth as well. Source: DPTNeck, DepthAnythingNeck and ZoeDepthNeck, transformers 4.57 (modeling_dpt.py,
// modeling_depth_anything.py, modeling_zoedepth.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <utility>
#include <vector>

#include <onnxport/backbone.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// What the neck is before a config says something else.
struct DptNeckDefaults {
  std::vector<int64_t> widths{96, 192, 384, 768};
  int64_t fused = 256;
  std::string readout = "project";
};

struct DptNeckConfig {
  DptNeckConfig(const Config& c, const DptNeckDefaults& defaults)
      : widths(c.has("neck_hidden_sizes") ? c.integers("neck_hidden_sizes") : defaults.widths),
        factors(c.has("reassemble_factors") ? c.reals("reassemble_factors") : std::vector<double>{4, 2, 1, 0.5}),
        fused(c.size("fusion_hidden_size", defaults.fused)),
        read(c.integer("head_in_index", -1)),
        readout(defaults.readout) {
    const auto stages = static_cast<int64_t>(widths.size());
    if (widths.empty() || factors.size() < widths.size()) {
      throw Error(ONNXPORT_CONFIG, "config fields 'neck_hidden_sizes' and 'reassemble_factors' have " +
                                       std::to_string(widths.size()) + " and " + std::to_string(factors.size()) +
                                       " entries; expected one each a stage");
    }
    for (const double factor : factors) {
      if (factor <= 0 || (factor > 1 && factor != static_cast<double>(static_cast<int64_t>(factor)))) {
        throw Error(ONNXPORT_CONFIG,
                    "config field 'reassemble_factors' has " + std::to_string(factor) +
                        "; expected an integer, or a number between 0 and 1 by which an image gets smaller");
      }
    }
    if (read < -stages || read >= stages) {
      throw Error(ONNXPORT_CONFIG, "config field 'head_in_index' is " + std::to_string(read) +
                                       "; expected one of the " + std::to_string(stages) + " stages of the neck");
    }
  }
  std::vector<int64_t> widths;
  std::vector<double> factors;
  int64_t fused;
  int64_t read;  ///< the stage that a head reads
  /// What becomes of the class token: ignore, add it to all patches, or project it beside each of them.
  std::string readout;
  std::string activation = "gelu";  ///< behind that projection
  bool bias = true;                 ///< of the convolutions of a residual unit
  bool batch_norm = false;          ///< behind each of them
  double epsilon = 1e-5;            ///< of that
  std::vector<int64_t> images{};    ///< stages that are images already, of the right width and size
  bool sized = false;               ///< a fused map gets the size of the next stage; else twice its own
};

class DptNeck {
 public:
  explicit DptNeck(DptNeckConfig config) : c(std::move(config)) {}

  struct Made {
    std::vector<Value> fused;  ///< f[batch, fused, …, …], the coarsest first
    std::vector<Value> sizes;  ///< i64[2] of each of them
    Value coarsest;            ///< the last stage before it is fused
  };
  /// The stages of a backbone, tokens or images, as many as the neck has widths.
  Made operator()(const Scope& neck, const FeatureMaps& maps) const {
    Graph& g = neck.graph();
    if (maps.stages.size() != c.widths.size()) {
      throw Error(ONNXPORT_CONFIG, "the backbone yields " + std::to_string(maps.stages.size()) +
                                       " stages; expected as many as 'neck_hidden_sizes' has entries, " +
                                       std::to_string(c.widths.size()));
    }
    // Sizes are counted from that of the patches where all stages are made of these: what ONNX infers at opset 13 has
    // no rank behind a Reshape to a size, and then refuses to read sizes of it.
    std::vector<Value> features, sizes;
    bool counted = true;
    for (size_t i = 0; i < maps.stages.size(); ++i) {
      const Value& map = maps.stages[i];
      const bool is_image = map.rank() == 4;
      counted = counted && !is_image;
      const Value image = is_image ? map : reassemble(neck / "reassemble_stage", i, map, maps.size);
      sizes.push_back(is_image ? shape_of(map, 2, 4) : reassembled(neck, maps.size, c.factors[i]));
      features.push_back(conv2d(neck / "convs" / static_cast<int64_t>(i), image,
                                {.out = c.fused, .kernel = 3, .padding = 1, .bias = false}));
    }
    // The first one is given nothing to join.
    const Scope stage = neck / "fusion_stage.layers";
    g.unused((stage / 0 / "residual_layer1").path() + ".*");
    Made made{{}, {}, features.back()};
    for (size_t i = 0; i < features.size(); ++i) {
      const size_t from = features.size() - 1 - i;
      const Scope layer = stage / static_cast<int64_t>(i);
      Value x = features[from];
      Value size = i == 0 ? sizes[from] : made.sizes.back();
      if (i > 0) {
        const bool fits = counted && c.sized;  // the one before was made as large as this one
        const Value joined = fits ? x : interpolate(x, size, Interpolation::bilinear);
        x = (made.fused.back() + unit(layer / "residual_layer1", joined)).in(layer);
      }
      x = unit(layer / "residual_layer2", x).in(layer);
      const InterpolateOptions corners{.how = Interpolation::bilinear, .align_corners = true};
      if (counted) size = c.sized && from > 0 ? sizes[from - 1] : times(size, 2);
      // Runtimes are faster at a factor; the first one's size has a name that a factor would not yield.
      const bool to_size = counted && (i == 0 || (c.sized && from > 0));
      x = to_size ? interpolate(x, size, corners) : interpolate(x, {2, 2}, corners);
      made.fused.push_back(conv2d(layer / "projection", x, {.out = c.fused}));
      made.sizes.push_back(counted ? size : shape_of(made.fused.back(), 2, 4));
    }
    return made;
  }
  /// So many times a size: i64[2] -> the same.
  static Value times(const Value& size, int64_t factor) {
    return factor == 1 ? size : size * size.graph().integer(factor);
  }
  /// The number of the fused map that a head reads.
  size_t read_by_head() const {
    return static_cast<size_t>(c.read < 0 ? c.read + static_cast<int64_t>(c.widths.size()) : c.read);
  }
  /// And that map.
  const Value& read_by_head(const Made& made) const { return made.fused[read_by_head()]; }

  const DptNeckConfig c;

 private:
  // Tokens behind a class token as an image of the stage's width and size.
  Value reassemble(const Scope& s, size_t i, const Value& tokens, const Value& size) const {
    const auto index = static_cast<int64_t>(i);
    const int64_t width = tokens.fixed(2), out = c.widths[i];
    Value x = slice(tokens.in(s), {1, 1});
    if (c.readout != "ignore") {
      const Value first = slice(tokens.in(s), {1, 0, 1});
      if (c.readout == "add") {
        x = x + first;
      } else {
        const Value each = s.graph().op("Expand", {first, shape_of(x, 0, 3)});
        x = linear(s / "readout_projects" / index / 0, concat({x, each}, 2), {.out = width});
        x = activation(x, c.activation);
      }
    }
    const Scope layer = s / "layers" / index;
    x = conv2d(layer / "projection", image_of(x, size), {.out = out});
    const double factor = c.factors[i];
    if (factor == 1) return x;
    const Scope resize = layer / "resize";
    if (factor > 1) {
      const auto times = static_cast<int64_t>(factor);
      return conv_transpose2d(resize, x, {.out = out, .kernel = times, .stride = times});
    }
    return conv2d(resize, x, {.out = out, .kernel = 3, .stride = static_cast<int64_t>(1 / factor), .padding = 1});
  }

  // The size i64[2] of a stage of which the patches' is given. One that is not a multiple has no name by itself.
  static Value reassembled(const Scope& s, const Value& size, double factor) {
    Graph& g = s.graph();
    if (factor >= 1) return times(size, static_cast<int64_t>(factor));
    const Value fewer = (size - g.integer(1)) / g.integer(static_cast<int64_t>(1 / factor)) + g.integer(1);
    const auto length = [&](const char* name, int64_t axis) {
      return unsqueeze(named_length(s / name, pick(fewer, 0, axis)), {0});
    };
    return concat({length("rows", 0), length("columns", 1)}, 0).in(s);
  }

  // Two convolutions beside a shortcut. Source: DPTPreActResidualLayer.
  Value unit(const Scope& s, const Value& x) const {
    Value h = x.in(s);
    for (const char* number : {"1", "2"}) {
      h = conv2d(s / (std::string("convolution") + number), relu(h),
                 {.out = c.fused, .kernel = 3, .padding = 1, .bias = c.bias});
      if (c.batch_norm) h = batch_norm(s / (std::string("batch_norm") + number), h, c.epsilon);
    }
    return h + x;
  }
};

}  // namespace onnxport::family
