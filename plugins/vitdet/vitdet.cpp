// SPDX-License-Identifier: Apache-2.0
// ViTDet: ViT whose layers attend within windows or over the whole image, of any size. Source: VitDetModel
// and VitDetBackbone, transformers 4.57 (modeling_vitdet.py).
#include <algorithm>

#include <onnxport/blocks/feed_forward.hpp>
#include <onnxport/blocks/norm.hpp>
#include <onnxport/families/backbones.hpp>
#include <onnxport/windows.hpp>

using namespace onnxport::family;

namespace {

struct VitDetConfig {
  explicit VitDetConfig(const Config& c)
      : hidden(c.size("hidden_size", 768)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 12)),
        inner(static_cast<int64_t>(c.real("mlp_ratio", 4) * static_cast<double>(hidden))),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-6)),
        channels(c.size("num_channels", 3)),
        patch(extent(c, "patch_size", 16)),
        bias(c.boolean("qkv_bias", true)),
        absolute(c.boolean("use_absolute_position_embeddings", true)),
        relative(c.boolean("use_relative_position_embeddings", false)),
        window(c.count("window_size", 0)),
        windowed(c.integers("window_block_indices")),
        residual(c.integers("residual_block_indices")) {
    // Of training and of the backbone.
    c.no_effect({"drop_path_rate", "dropout_prob", "out_features", "out_indices", "stage_names"});
    const auto grid_of = [&](const char* field) {
      const Extent image = extent(c, field, 224), made{image.height / patch.height, image.width / patch.width};
      if (made.area() == 0)
        throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than " + std::string(field));
      return made;
    };
    grid = grid_of("image_size");
    trained = grid_of("pretrain_image_size");
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
  }
  static bool lists(const std::vector<int64_t>& indices, int64_t layer) {
    return std::count(indices.begin(), indices.end(), layer) > 0;
  }

  int64_t hidden, layers, heads, inner;
  std::string activation;
  double epsilon;
  int64_t channels;
  Extent patch;
  bool bias, absolute, relative;
  int64_t window;
  std::vector<int64_t> windowed, residual;  // layers that attend within windows; that convolutions follow
  Extent grid = 1, trained = 1;             // of patches, for which distances and positions were trained
};

class VitDetEncoder {
 public:
  explicit VitDetEncoder(const Config& config) : c(config) {}

  /// pixels: f[batch, channels, height, width] -> the patches and what each layer yields: f[batch, hidden, rows,
  /// columns].
  std::vector<Value> operator()(const Scope& model, const Value& pixels) const {
    const Value image = embed(model / "embeddings", pixels);
    const Value size = shape_of(image, 2, 4);
    const TokenGrid grid{size_of(image, 2), size_of(image, 3)};
    const int64_t side = c.window;
    const bool any = side > 0 && !c.windowed.empty();
    const Windows windows = any ? windows_over(grid, {.size = side}) : Windows{};
    Value x = tokens_of(image);
    std::vector<Value> states{image};
    for (int64_t i = 0; i < c.layers; ++i) {
      model.graph().mark("hidden_states." + std::to_string(i), x);
      const Scope layer = model / "encoder.layer" / i;
      const bool within = any && VitDetConfig::lists(c.windowed, i);
      x = run(layer, x, [&](const Value& read) {
        if (!within) return attend(layer / "attention", read, {grid, c.grid, true});
        Graph& g = model.graph();
        const Value inside = into_windows(read, windows);
        const Value mixed = attend(layer / "attention", inside, {{g.integer(side), g.integer(side)}, side, false});
        return out_of_windows(mixed, windows, read);
      });
      if (VitDetConfig::lists(c.residual, i)) x = tokens_of(bottleneck(layer / "residual", image_of(x, size)));
      states.push_back(image_of(x, size));
    }
    return states;
  }

  const VitDetConfig c;

 private:
  // Patches, and positions that are resampled for images of another size. The table's first row is of no patch.
  Value embed(const Scope& s, const Value& pixels) const {
    const Value image =
        conv2d(s / "projection", pixels, {.out = c.hidden, .kernel = c.patch, .stride = c.patch, .in = c.channels});
    if (!c.absolute) return image;
    const Value table = s.weight("position_embeddings", {1, 1 + c.trained.area(), c.hidden});
    const Value places = image_of(slice(table, {1, 1}), c.trained);
    return image + interpolate(places, shape_of(image, 2, 4), Interpolation::bicubic);
  }

  Value run(const Scope& s, const Value& x, const std::function<Value(const Value&)>& attends) const {
    const Value y = x.in(s) + attends(norm(s / "norm1", x, {.epsilon = c.epsilon}));
    const FeedForward form{.inner = c.inner, .activation = c.activation, .up = "fc1", .down = "fc2", .bias = true};
    return y + feed_forward(s / "mlp", norm(s / "norm2", y, {.epsilon = c.epsilon}), form).in(s);
  }

  struct Places {
    TokenGrid grid;
    Extent trained;  // for which distances were
    bool resampled;  // where the grid may be another one
  };
  // x: f[batch, rows·columns, width] -> the same. Source: VitDetAttention.
  Value attend(const Scope& s, const Value& x, const Places& places) const {
    const Value all = linear(s / "qkv", x, {.out = 3 * c.hidden, .bias = c.bias});
    const std::vector<Value> made = split(all, -1, {c.hidden, c.hidden, c.hidden});
    const Value bias = c.relative ? distances(s, made[0], places) : Value();
    const Value mixed = attention(made[0], made[1], made[2], {.heads = c.heads, .bias = bias}).mixed;
    return linear(s / "proj", mixed, {.out = c.hidden});
  }

  // What a query makes of the rows and of the columns that lie between it and a key: f[batch, heads, n, n].
  Value distances(const Scope& s, const Value& query, const Places& places) const {
    Graph& g = s.graph();
    const int64_t width = c.hidden / c.heads;
    const auto between = [&](const char* name, const Value& length, int64_t trained) {
      Value table = s.weight(name, {2 * trained - 1, width});
      if (places.resampled) {
        const Value signal = unsqueeze(transpose(table, {1, 0}), {0});
        const Value size = unsqueeze(length * 2 - 1, {0});
        table = transpose(squeeze(interpolate(signal, size, Interpolation::linear), {0}), {1, 0});
      }
      const Value place = range(length);
      return gather(table, unsqueeze(place, {1}) - unsqueeze(place, {0}) + (length - 1));
    };
    const TokenGrid& grid = places.grid;
    const Value apart = split_heads(query, c.heads);
    const Value sides = concat({unsqueeze(grid.rows, {0}), unsqueeze(grid.columns, {0})}, 0);
    const Value by_place = reshape(apart, concat({shape_of(apart, 0, 2), sides, g.integers({width})}, 0));
    const Value rows = between("rel_pos_h", grid.rows, places.trained.height);
    const Value columns = between("rel_pos_w", grid.columns, places.trained.width);
    const Value both = unsqueeze(einsum("bnhwc,hkc->bnhwk", {by_place, rows}), {5}) +
                       unsqueeze(einsum("bnhwc,wkc->bnhwk", {by_place, columns}), {4});
    return reshape(both, concat({shape_of(apart, 0, 3), shape_of(apart, 2, 3)}, 0));
  }

  // Source: VitDetResBottleneckBlock.
  Value bottleneck(const Scope& s, const Value& x) const {
    const auto normed = [&](const char* name, const Value& y) {
      return channels_first(norm(s / name, channels_last(y), {.epsilon = 1e-6}));
    };
    const int64_t narrow = c.hidden / 2;
    Value h = normed("norm1", conv2d(s / "conv1", x, {.out = narrow, .bias = false}));
    h = conv2d(s / "conv2", activation(h, c.activation), {.out = narrow, .kernel = 3, .padding = 1, .bias = false});
    h = conv2d(s / "conv3", activation(normed("norm2", h), c.activation), {.out = c.hidden, .bias = false});
    return x.in(s) + normed("norm3", h);
  }
};

/// Source: VitDetBackbone.
onnxport::sdk::Backbone vitdet_backbone(const Config& own) {
  const VitDetEncoder encoder(own);
  const std::vector<size_t> read = stages_read(own, static_cast<size_t>(encoder.c.layers));
  return [=](const Scope& at, const Value& pixels) { return FeatureMaps{picked(encoder(at, pixels), read)}; };
}

class VitDet final : public ImageEncoder {
 public:
  explicit VitDet(const Request& request)
      : ImageEncoder(request),
        encoder(request.config),
        backbone(vitdet_backbone(request.config)),
        maps(count_of_stages_read(request.config)) {}
  std::string base_model_prefix() const override { return "vitdet"; }
  std::vector<OutputSpec> outputs() const override {
    return task() == "backbone" ? map_outputs(maps) : ImageEncoder::outputs();
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    if (task() != "backbone") return ImageEncoder::forward(g, in);
    return map_values(backbone(g.root(), in.at("pixel_values")).stages);
  }

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    return {.last = encoder(model, pixels).back()};
  }

  const VitDetEncoder encoder;
  const onnxport::sdk::Backbone backbone;
  const size_t maps;
};

// How much of each pixel is of what is in front: what the last stage sees, made larger step by step beside what a
// stream of convolutions keeps of the image. Source: VitMatteForImageMatting, transformers 4.57 (modeling_vitmatte.py).
class VitMatte final : public OnnxConfig {
 public:
  explicit VitMatte(const Request& request)
      : OnnxConfig(request),
        backbone(backbone_of(request.config, known, vitdet_backbone)),
        channels(request.config.section("backbone_config").size("num_channels", 3)),
        epsilon(request.config.real("batch_norm_eps", 1e-5)),
        stream(widths(request.config, "convstream_hidden_sizes", {48, 96, 192})),
        fusions(widths(request.config, "fusion_hidden_sizes", {256, 128, 64, 32})) {
    request.config.no_effect({"hidden_size"});  // the backbone's
    if (fusions.size() == stream.size() + 1) return;
    throw Error(ONNXPORT_CONFIG, "config field 'fusion_hidden_sizes' has " + std::to_string(fusions.size()) +
                                     " entries; expected one more than 'convstream_hidden_sizes', " +
                                     std::to_string(stream.size() + 1));
  }

  double atol_for_validation() const override { return 1e-4; }
  // Each step is twice as large as the one before, up to the image.
  std::vector<AxisSize> axis_sizes() const override {
    const int64_t step = int64_t{1} << fusions.size();
    return {{.axis = axis::height, .step = step}, {.axis = axis::width, .step = step}};
  }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override { return {{"alphas", {{0, axis::batch}}}}; }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope decoder = g.root() / "decoder";
    std::vector<Value> details{in.at("pixel_values")};
    for (size_t i = 0; i < stream.size(); ++i) {
      const Scope at = decoder / "convstream.convs" / static_cast<int64_t>(i);
      details.push_back(block(at, details.back(), {.out = stream[i], .kernel = 3, .stride = 2, .in = seen(i)}));
    }
    Value x = backbone(g.root() / "backbone", details[0]).stages.back();
    for (size_t i = 0; i < fusions.size(); ++i) {
      const Scope at = decoder / "fusion_blocks" / static_cast<int64_t>(i) / "conv";
      const Value& detail = details[stream.size() - i];
      const Value larger = interpolate(x, shape_of(detail, 2, 4), Interpolation::bilinear);
      const int64_t both = seen(stream.size() - i) + x.fixed(1);
      x = block(at, concat({detail, larger}, 1), {.out = fusions[i], .kernel = 3, .in = both});
    }
    const Scope head = decoder / "matting_head.matting_convs";
    x = relu(batch_norm(head / 1, conv2d(head / 0, x, {.out = 16, .kernel = 3, .padding = 1})));
    return {{"alphas", sigmoid(conv2d(head / 3, x, {.out = 1}))}};
  }

 private:
  static constexpr KnownBackbone known[] = {{"vitdet", vitdet_backbone}};
  static std::vector<int64_t> widths(const Config& c, const char* field, std::vector<int64_t> usual) {
    return c.has(field) ? c.integers(field) : std::move(usual);
  }
  // Channels of what the stream keeps behind so many convolutions.
  int64_t seen(size_t convolutions) const { return convolutions == 0 ? channels : stream[convolutions - 1]; }
  // Source: VitMatteBasicConv3x3.
  Value block(const Scope& s, const Value& x, ConvOptions options) const {
    options.padding = 1;
    options.bias = false;
    return relu(batch_norm(s / "batch_norm", conv2d(s / "conv", x, options), epsilon));
  }

  const onnxport::sdk::Backbone backbone;
  int64_t channels;
  double epsilon;
  std::vector<int64_t> stream, fusions;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.vitdet",
    .name = "ViTDet and ViTMatte",
    .models = {{.types = {"vitdet"}, .features = {"default", "backbone"}, .make = make<VitDet>},
               {.types = {"vitmatte"}, .features = {"image-matting"}, .make = make<VitMatte>}},
})
