// SPDX-License-Identifier: Apache-2.0
// Hiera: attention within units of neighbouring patches at first and over all of them later, between which queries are
// pooled. Patches stand in such an order that a unit, and what is pooled, is a stride through them. Source: HieraModel
// and HieraForImageClassification, transformers 4.57 (modeling_hiera.py).
#include <cmath>

#include <onnxport/blocks/feed_forward.hpp>
#include <onnxport/blocks/norm.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

/// A layer's place in the model.
struct Layer {
  int64_t width, heads;  // of its result
  int64_t pooled = 1;    // so many neighbours become one
  int64_t unit = 0;      // it attends within so many pooled places; 0: to all
};
using Stage = std::vector<Layer>;

struct HieraConfig {
  explicit HieraConfig(const Config& c)
      : channels(c.size("num_channels", 3)),
        width(c.size("embed_dim", 96)),
        patch(extent(c, "patch_size", 7)),
        stride(extent(c, "patch_stride", 4)),
        padding(extent(c, "patch_padding", 3)),
        pooling(extent(c, "query_stride", 2)),
        ratio(c.real("mlp_ratio", 4)),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-6)) {
    // Of training, of the masked autoencoder and of the backbone.
    c.no_effect({"drop_path_rate", "layer_norm_init", "decoder_hidden_size", "decoder_depth", "decoder_num_heads",
                 "normalize_pixel_loss", "mask_ratio", "hidden_size", "num_layers", "num_hidden_layers", "out_features",
                 "out_indices", "stage_names"});
    const Extent image = extent(c, "image_size", 224);
    grid = {image.height / stride.height, image.width / stride.width};
    if (grid.area() == 0) throw Error(ONNXPORT_CONFIG, "config field 'patch_stride' is larger than image_size");
    read_stages(c);
  }

  int64_t channels, width;
  Extent patch, stride, padding;
  Extent pooling;  // neighbours that become one, in a column and in a row
  double ratio;
  std::string activation;
  double epsilon;
  Extent grid = 1;  // of patches, for which positions were trained
  std::vector<Stage> stages;

 private:
  void read_stages(const Config& c) {
    const auto depths = by_stage(c, "depths", {2, 3, 16, 3}, 1);
    const auto heads = by_stage(c, "num_heads", {1, 2, 4, 8}, depths.size());
    const auto within = c.has("masked_unit_attention") ? c.booleans("masked_unit_attention")
                                                       : std::vector<bool>{true, true, false, false};
    if (within.size() < depths.size())
      throw Error(ONNXPORT_CONFIG, "config field 'masked_unit_attention' is shorter than 'depths'");
    const double growth = c.real("embed_dim_multiplier", 2);
    const int64_t pools = c.count("num_query_pool", 3);
    int64_t unit = extent(c, "masked_unit_size", 8).area();
    for (size_t i = 0; i < depths.size(); ++i) {
      const auto out = static_cast<int64_t>(static_cast<double>(width) * std::pow(growth, static_cast<double>(i)));
      require_multiple({"width of a stage", out}, {"num_heads", heads[i]});
      // The first layer of a stage attends as the stage before it does, or as its own does within units.
      const bool before = within[i == 0 ? 0 : i - 1];
      Stage& stage = stages.emplace_back();
      for (int64_t j = 0; j < depths[i]; ++j) {
        const bool first = j == 0, in_units = within[i] || (before && first);
        const bool pools_here = first && i > 0 && static_cast<int64_t>(i) <= pools;
        stage.push_back({out, heads[i], pools_here ? pooling.area() : 1, in_units ? unit : 0});
        if (in_units && unit == 0) {
          throw Error(ONNXPORT_CONFIG,
                      "config field 'masked_unit_size' leaves no place of a unit in the stage " + std::to_string(i));
        }
      }
      unit /= pooling.area();
    }
  }
};

class Hiera final : public ImageEncoder {
 public:
  explicit Hiera(const Request& request) : ImageEncoder(request), c(request.config) {}
  std::string base_model_prefix() const override { return "hiera"; }

 private:
  bool yields_tokens() const override { return true; }
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    Value x = embed(model / "embeddings", pixels);
    for (size_t i = 0; i < c.stages.size(); ++i) {
      model.graph().mark("hidden_states." + std::to_string(i), x);
      const Scope layers = model / "encoder.stages" / static_cast<int64_t>(i) / "layers";
      for (size_t j = 0; j < c.stages[i].size(); ++j) x = run(layers / static_cast<int64_t>(j), x, c.stages[i][j]);
    }
    model.graph().mark("hidden_states." + std::to_string(c.stages.size()), x);
    return {x};
  }
  Value pool(const Scope& model, const ImageFeatures& made) const override {
    return norm(model / "pooler.layernorm", mean(made.last, {1}), {.epsilon = c.epsilon});
  }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier", pool(model, made), {.out = labels()});
  }

  // Patches and positions, which are resampled for images of another size, in the order of the layers.
  Value embed(const Scope& s, const Value& pixels) const {
    const Value image =
        conv2d(s / "patch_embeddings.projection", pixels,
               {.out = c.width, .kernel = c.patch, .stride = c.stride, .padding = c.padding, .in = c.channels})
            .in(s);
    const Value table = s.weight("position_embeddings", {1, c.grid.area(), c.width});
    const Value places = interpolate(image_of(table, c.grid), shape_of(image, 2, 4), Interpolation::bicubic);
    return gather(tokens_of(image + places), order(image), 1);
  }

  // Neighbours that a stage pools stand a stride apart, so that those that are pooled first are the outermost axes:
  // i64[patches], the number of the patch at each place. Source: unroll.
  Value order(const Value& image) const {
    Graph& g = image.graph();
    std::vector<int64_t> row{0}, column{0};
    Extent step = 1;
    for (size_t i = 0; i + 1 < c.stages.size(); ++i) {
      std::vector<int64_t> rows, columns;
      for (size_t k = 0; k < row.size(); ++k) {
        for (int64_t y = 0; y < c.pooling.height; ++y) {
          for (int64_t x = 0; x < c.pooling.width; ++x) {
            rows.push_back(row[k] + y * step.height);
            columns.push_back(column[k] + x * step.width);
          }
        }
      }
      row = rows;
      column = columns;
      step = {step.height * c.pooling.height, step.width * c.pooling.width};
    }
    const auto apart = [&](const std::vector<int64_t>& values) { return unsqueeze(g.integers(values), {1, 2}); };
    const auto units = [&](int64_t axis, int64_t size) {
      return range(g.op("Div", {size_of(image, axis), g.integer(size)})) * size;
    };
    const Value rows = apart(row) + unsqueeze(units(2, step.height), {0, 2});
    const Value columns = apart(column) + unsqueeze(units(3, step.width), {0, 1});
    return reshape(rows * size_of(image, 3) + columns, {-1});
  }

  // x: f[batch, n, width] -> f[batch, n / pooled, layer's width]
  Value run(const Scope& s, const Value& x, const Layer& layer) const {
    const Value read = norm(s / "layernorm_before", x, {.epsilon = c.epsilon});
    Value kept = x.in(s);
    if (x.fixed(2) != layer.width) {
      const Value wider = linear(s / "proj", read, {.out = layer.width});
      kept = largest(reshape(wider, {0, layer.pooled, -1, layer.width}), {1});
    }
    const Value y = kept + attend(s / "attn", read, layer).in(s);
    const FeedForward form{.inner = static_cast<int64_t>(static_cast<double>(layer.width) * c.ratio),
                           .activation = c.activation,
                           .up = "fc1",
                           .down = "fc2",
                           .bias = true};
    return y + feed_forward(s / "mlp", norm(s / "layernorm_after", y, {.epsilon = c.epsilon}), form).in(s);
  }

  // To all, or within units, whose places lie a stride apart. Source: HieraMaskUnitAttention.
  Value attend(const Scope& s, const Value& x, const Layer& layer) const {
    Graph& g = s.graph();
    const Value all = linear(s / "qkv", x, {.out = 3 * layer.width});
    Value mixed;
    if (layer.unit == 0) {
      mixed = mix(all, layer);
    } else {
      const int64_t places = layer.pooled * layer.unit;
      const Value units = transpose(reshape(all, {0, places, -1, 3 * layer.width}), {0, 2, 1, 3});
      const Value each = mix(reshape(units, {-1, places, 3 * layer.width}), layer);
      const Value shape = concat({shape_of(units, 0, 2), g.integers({layer.unit, layer.width})}, 0);
      mixed = reshape(transpose(reshape(each, shape), {0, 2, 1, 3}), {0, -1, layer.width});
    }
    return linear(s / "proj", mixed, {.out = layer.width});
  }

  // all: f[batch, n, 3·width], queries, keys and values; a query is the largest of those that are pooled
  // -> f[batch, n / pooled, width].
  static Value mix(const Value& all, const Layer& layer) {
    const int64_t width = layer.width, size = width / layer.heads;
    const std::vector<Value> parts = split(all, 2, {width, width, width});
    Value query = split_heads(parts[0], layer.heads);
    if (layer.pooled > 1) query = largest(reshape(query, {0, layer.heads, layer.pooled, -1, size}), {2});
    return attention(query, parts[1], parts[2], {.heads = layer.heads}).mixed;
  }

  const HieraConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.hiera",
    .name = "Hiera",
    .models = {{.types = {"hiera"},
                .features = {"default", "image-classification"},
                .known_gaps = {{.architecture = "HieraForPreTraining",
                                .reason = "the decoder that fills in masked units is not defined"}},
                .make = make<Hiera>}},
})
