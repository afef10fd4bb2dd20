// SPDX-License-Identifier: Apache-2.0
// Hiera: attention within units of neighbouring patches at first and over all of them later, between which queries are
// pooled. Patches stand in such an order that a unit, and what is pooled, is a stride through them. Source: HieraModel,
// HieraForImageClassification, HieraForPreTraining and HieraBackbone, transformers 4.57 (modeling_hiera.py).
#include <algorithm>
#include <cmath>

#include <onnxport/blocks/feed_forward.hpp>
#include <onnxport/blocks/norm.hpp>
#include <onnxport/families/backbones.hpp>

#include "masked_units.hpp"

using namespace onnxport::family;

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
        epsilon(c.real("layer_norm_eps", 1e-6)),
        image(extent(c, "image_size", 224)) {
    // Of training and of the backbone.
    c.no_effect({"drop_path_rate", "layer_norm_init", "normalize_pixel_loss", "hidden_size", "num_layers",
                 "num_hidden_layers", "out_features", "out_indices", "stage_names"});
    grid = {image.height / stride.height, image.width / stride.width};
    if (grid.area() == 0) throw Error(ONNXPORT_CONFIG, "config field 'patch_stride' is larger than image_size");
    read_stages(c);
    read_decoder(c);
  }

  int64_t channels, width;
  Extent patch, stride, padding;
  Extent pooling;  // neighbours that become one, in a column and in a row
  double ratio;
  std::string activation;
  double epsilon;
  Extent image;
  Extent grid = 1;  // of patches, for which positions were trained
  std::vector<Stage> stages;

  /// The decoder that fills in the units that are not shown.
  int64_t decoder_width, decoder_depth, decoder_heads;
  int64_t pools;         // stages that pool
  Extent unit = 1;       // patches of a unit, on a side
  Extent unit_left = 1;  // what pooling leaves of them
  Extent units = 1;      // of the image that the model was trained for
  int64_t shown;         // units that are
  int64_t predicted;     // numbers that an entry of the decoder yields

  /// Throws CONFIG where units are not what the stages pool.
  void require_masked_units() const {
    Extent pooled = 1;
    for (size_t i = 0; i + 1 < stages.size(); ++i)
      pooled = {pooled.height * pooling.height, pooled.width * pooling.width};
    if (unit.height != pooled.height || unit.width != pooled.width || pools >= static_cast<int64_t>(stages.size())) {
      throw Error(ONNXPORT_CONFIG, "config field 'masked_unit_size' is " + std::to_string(unit.height) + " x " +
                                       std::to_string(unit.width) +
                                       "; expected query_stride once for each stage behind the first (" +
                                       std::to_string(pooled.height) + " x " + std::to_string(pooled.width) + ")");
    }
    if (shown < 1) throw Error(ONNXPORT_CONFIG, "config field 'mask_ratio' leaves no unit of the image; expected less");
  }

 private:
  void read_decoder(const Config& c) {
    decoder_width = c.size("decoder_hidden_size", 512);
    decoder_depth = c.count("decoder_depth", 8);
    decoder_heads = c.size("decoder_num_heads", 16);
    const double mask_ratio = c.real("mask_ratio", 0.6);
    unit = extent(c, "masked_unit_size", 8);
    unit_left = unit;
    for (int64_t i = 0; i < pools; ++i)
      unit_left = {unit_left.height / pooling.height, unit_left.width / pooling.width};
    units = {grid.height / unit.height, grid.width / unit.width};
    shown = static_cast<int64_t>(static_cast<double>(units.area()) * (1 - mask_ratio));
    int64_t side = stride.width;
    for (int64_t i = 0; i < pools; ++i) side *= pooling.width;
    predicted = side * side * channels;
  }
  void read_stages(const Config& c) {
    const auto depths = by_stage(c, "depths", {2, 3, 16, 3}, 1);
    const auto heads = by_stage(c, "num_heads", {1, 2, 4, 8}, depths.size());
    const auto within = c.has("masked_unit_attention") ? c.booleans("masked_unit_attention")
                                                       : std::vector<bool>{true, true, false, false};
    if (within.size() < depths.size())
      throw Error(ONNXPORT_CONFIG, "config field 'masked_unit_attention' is shorter than 'depths'");
    const double growth = c.real("embed_dim_multiplier", 2);
    pools = c.count("num_query_pool", 3);
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
  explicit Hiera(const Request& request)
      : ImageEncoder(request), c(request.config), read(stages_read(request.config, c.stages.size())) {
    if (task() == "pretraining") c.require_masked_units();
  }
  std::string base_model_prefix() const override { return "hiera"; }
  // The noise tells which units are shown; the original draws its own where it is given none.
  std::vector<TensorSpec> inputs() const override {
    // As a backbone the original orders patches back by the size that the config says.
    if (task() == "backbone")
      return {input::pixels("pixel_values", {axis::batch, c.channels, c.image.height, c.image.width})};
    std::vector<TensorSpec> specs = ImageEncoder::inputs();
    if (task() == "pretraining")
      specs.push_back({.name = "noise", .dtype = DType::f32, .shape = {axis::batch, c.units.area()}});
    return specs;
  }
  std::vector<OutputSpec> outputs() const override {
    if (task() == "pretraining") return {{"logits", {{0, axis::batch}}}};
    if (task() == "backbone") return map_outputs(read.size());
    return ImageEncoder::outputs();
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    if (task() == "pretraining") return fill_in(g, in);
    if (task() == "backbone") return map_values(maps(g.root() / base_model_prefix(), in.at("pixel_values")));
    return ImageEncoder::forward(g, in);
  }

 private:
  bool yields_tokens() const override { return true; }
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    const Value image = pixels_in_patches(model / "embeddings", pixels);
    return encode_patches(model, gather(tokens_of(image), order(image), 1));
  }
  // x: f[batch, patches, width], in the order of the layers. Yields what each stage does, and of the last one all.
  ImageFeatures encode_patches(const Scope& model, Value x) const {
    ImageFeatures made;
    for (size_t i = 0; i < c.stages.size(); ++i) {
      model.graph().mark("hidden_states." + std::to_string(i), x);
      const Scope layers = model / "encoder.stages" / static_cast<int64_t>(i) / "layers";
      for (size_t j = 0; j < c.stages[i].size(); ++j) x = run(layers / static_cast<int64_t>(j), x, c.stages[i][j]);
      made.stages.push_back(x);
    }
    made.last = model.graph().mark("hidden_states." + std::to_string(c.stages.size()), x);
    return made;
  }
  // The stages that are read as images, each with a norm of its own.
  std::vector<Value> maps(const Scope& model, const Value& pixels) const {
    Graph& g = model.graph();
    for (const char* other : {"*pooler.layernorm.*", "*hidden_states_norms.*"}) g.unused(other);
    const Value image = pixels_in_patches(model / "embeddings", pixels);
    // The original takes patches row by row for those in the order of the layers, and orders what it makes of them
    // back.
    std::vector<Value> states{tokens_of(image)};
    for (const Value& stage : encode_patches(model, states[0]).stages) states.push_back(stage);
    std::vector<Value> made;
    for (const size_t stage : read) {
      const Scope at = model / "hidden_states_norms" / (stage == 0 ? "stem" : "stage" + std::to_string(stage));
      made.push_back(as_image(norm(at, states[stage], {}), left_behind(stage == 0 ? 0 : stage - 1)));
    }
    return made;
  }
  // How many poolings are yet to come behind a stage.
  int64_t left_behind(size_t stage) const {
    return static_cast<int64_t>(c.stages.size()) - 1 - std::min(static_cast<int64_t>(stage), c.pools);
  }
  // x: f[batch, n, width], in the order of the layers with so many poolings to come -> f[batch, width, rows, columns].
  // Source: HieraEncoder.reroll.
  Value as_image(const Value& x, int64_t poolings) const {
    const int64_t width = x.fixed(2), behind = 1 + 2 * poolings;
    // What lies how far apart in a stride, the nearest first; then units. The last pooling keeps what is furthest
    // apart.
    std::vector<int64_t> apart{0}, rows, columns;
    Extent units = c.grid, image = 1;
    for (size_t i = 0; i + 1 < c.stages.size(); ++i)
      units = {units.height / c.pooling.height, units.width / c.pooling.width};
    for (int64_t i = 0; i < poolings; ++i) {
      image = {image.height * c.pooling.height, image.width * c.pooling.width};
      apart.insert(apart.end(), {c.pooling.height, c.pooling.width});
      rows.insert(rows.begin(), 1 + 2 * i);
      columns.insert(columns.begin(), 2 + 2 * i);
    }
    apart.insert(apart.end(), {units.height, units.width, width});
    std::vector<int64_t> order{0, behind + 2, behind};
    order.insert(order.end(), rows.begin(), rows.end());
    order.push_back(behind + 1);
    order.insert(order.end(), columns.begin(), columns.end());
    return reshape(transpose(reshape(x, apart), order),
                   {0, width, units.height * image.height, units.width * image.width});
  }
  Value pool(const Scope& model, const ImageFeatures& made) const override {
    return norm(model / "pooler.layernorm", mean(made.last, {1}), {.epsilon = c.epsilon});
  }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier", pool(model, made), {.out = labels()});
  }

  // Patches and positions, which are resampled for images of another size: f[batch, width, rows, columns].
  Value pixels_in_patches(const Scope& s, const Value& pixels) const {
    const Value image =
        conv2d(s / "patch_embeddings.projection", pixels,
               {.out = c.width, .kernel = c.patch, .stride = c.stride, .padding = c.padding, .in = c.channels})
            .in(s);
    const Value table = s.weight("position_embeddings", {1, c.grid.area(), c.width});
    const Value places = interpolate(image_of(table, c.grid), shape_of(image, 2, 4), Interpolation::bicubic);
    return image + places;
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

  // Pixels of all units, from those that are shown. Source: HieraForPreTraining.
  Outputs fill_in(Graph& g, const Inputs& in) const {
    const Scope model = g.root() / base_model_prefix();
    const Value& pixels = in.at("pixel_values");
    const hiera::Shown shown = hiera::shown_by(in.at("noise"), c.shown);
    // What is not shown is black, since patches reach into their neighbours.
    const Value windows = reshape(cast(shown.marks, DType::f32), {-1, 1, c.units.height, c.units.width});
    const Value seen = pixels * interpolate(windows, shape_of(pixels, 2, 4), Interpolation::nearest);
    const Value image = pixels_in_patches(model / "embeddings", seen);
    const Value all = gather(tokens_of(image), order(image), 1);
    const ImageFeatures made = encode_patches(model, hiera::units_shown(all, shown, c.unit.area()));
    const Value hidden =
        norm(g.root() / "encoder_norm", fuse(g.root() / "multiscale_fusion", made), {.epsilon = c.epsilon});
    g.mark("ids_restore", shown.restore);
    return {{"logits", decode(g.root() / "decoder", hidden, shown)}};
  }

  // The stages that pool, as large as the last one, and the last one: -> f[batch · shown, places left, width].
  Value fuse(const Scope& s, const ImageFeatures& made) const {
    Value sum = hiera::unit_images(made.last, c.pooling, left_behind(c.stages.size() - 1));
    for (int64_t i = 0; i < c.pools; ++i) {
      const auto stage = static_cast<size_t>(i);
      const Value map = hiera::unit_images(made.stages[stage], c.pooling, left_behind(stage));
      const Extent side(map.fixed(2) / c.unit_left.height, map.fixed(3) / c.unit_left.width);
      sum = sum + conv2d(s / "multi_scale_fusion_heads" / i, map,
                         {.out = made.last.fixed(2), .kernel = side, .stride = side});
    }
    return tokens_of(sum);
  }

  // A learnt vector stands for what is not shown. Source: HieraDecoder.
  Value decode(const Scope& s, const Value& hidden, const hiera::Shown& shown) const {
    Graph& g = s.graph();
    const int64_t width = c.decoder_width, places = c.unit_left.area(), units = c.units.area();
    const Value read =
        reshape(linear(s / "decoder_embeddings", hidden, {.out = width}), {-1, shown.count, places * width});
    const Value before = cumulative_sum(cast(shown.marks, DType::i64), 1) - 1;
    const Value spread = rows_at(read, g.op("Max", {before, g.integer(0)}));
    const Value filled = where(unsqueeze(shown.marks, {2, 3}), reshape(spread, {0, units, places, width}),
                               s.weight("mask_token", {1, 1, width}));
    Value x = hiera::rows_of_image(filled, c.units, c.unit_left) +
              s.weight("decoder_position_embeddings", {1, units * places, width});
    const Layer layer{.width = width, .heads = c.decoder_heads};
    for (int64_t i = 0; i < c.decoder_depth; ++i) x = run(s / "decoder_block.layers" / i, x, layer);
    x = norm(s / "decoder_norm", x, {.epsilon = c.epsilon});
    return linear(s / "decoder_pred", x, {.out = c.predicted});
  }

  const HieraConfig c;
  const std::vector<size_t> read;  // of a backbone
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.hiera",
    .name = "Hiera",
    .models = {{.types = {"hiera"},
                .features = {"default", "image-classification", "pretraining", "backbone"},
                .make = make<Hiera>}},
})
