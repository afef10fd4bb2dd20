// SPDX-License-Identifier: Apache-2.0
// FocalNet: where a transformer attends, every pixel is weighed by its surroundings at growing distances.
// Source: FocalNetModel, FocalNetForImageClassification, FocalNetForMaskedImageModeling and FocalNetBackbone,
// transformers 4.57 (modeling_focalnet.py).
#include <onnxport/blocks/feed_forward.hpp>
#include <onnxport/families/backbones.hpp>

using namespace onnxport::family;

namespace {

struct FocalNetConfig {
  explicit FocalNetConfig(const Config& c)
      : patch(extent(c, "patch_size", 4)),
        channels(c.size("num_channels", 3)),
        embedding(c.size("embed_dim", 96)),
        convolves(c.boolean("use_conv_embed", false)),
        depths(by_stage(c, "depths", {2, 2, 6, 2}, 1)),
        levels(by_stage(c, "focal_levels", {2, 2, 2, 2}, depths.size())),
        windows(by_stage(c, "focal_windows", {3, 3, 3, 3}, depths.size())),
        activation(c.text("hidden_act", "gelu")),
        ratio(c.real("mlp_ratio", 4)),
        scales(c.boolean("use_layerscale", false)),
        norms_after(c.boolean("use_post_layernorm", false)),
        norms_modulation(c.boolean("use_post_layernorm_in_modulation", false)),
        means(c.boolean("normalize_modulator", false)),
        epsilon(c.real("layer_norm_eps", 1e-5)),
        stride(c.size("encoder_stride", 32)) {
    // Of training and of the backbone; widths follow from embed_dim; and any size of image goes through.
    c.no_effect({"image_size", "hidden_sizes", "drop_path_rate", "layerscale_value", "out_features", "out_indices",
                 "stage_names"});
    if (depths.size() > 20) throw Error(ONNXPORT_CONFIG, "config field 'depths' has more than 20 entries");
  }
  int64_t width(size_t stage) const { return embedding << stage; }

  Extent patch;
  int64_t channels, embedding;
  bool convolves;  // patches overlap
  std::vector<int64_t> depths, levels, windows;
  std::string activation;
  double ratio;
  bool scales;       // what a layer adds, by a learnt factor of each channel
  bool norms_after;  // in place of before
  bool norms_modulation;
  bool means;  // surroundings count by their mean, not their sum
  double epsilon;
  int64_t stride;  // of masked image modelling
};

class FocalNet final : public ImageEncoder {
 public:
  explicit FocalNet(const Request& request)
      : ImageEncoder(request), c(request.config), read(stages_read(request.config, c.depths.size())) {}
  std::string base_model_prefix() const override { return "focalnet"; }
  std::vector<OutputSpec> outputs() const override {
    return task() == "backbone" ? map_outputs(read.size()) : ImageEncoder::outputs();
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    if (task() != "backbone") return ImageEncoder::forward(g, in);
    const Scope model = g.root() / base_model_prefix();
    g.unused((model / "layernorm").path() + ".*");
    return map_values(picked(encode(model, in.at("pixel_values")).stages, read));
  }

 private:
  bool yields_tokens() const override { return true; }
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    Graph& g = model.graph();
    const Scope embeddings = model / "embeddings";
    g.unused("*" + (embeddings / "mask_token").path());
    const ConvOptions overlapping{.out = c.width(0), .kernel = 7, .stride = 4, .padding = 2, .in = c.channels};
    const ConvOptions apart{.out = c.width(0), .kernel = c.patch, .stride = c.patch, .in = c.channels};
    // Images f[batch, rows, columns, width] from here on.
    Value x = embed(embeddings / "patch_embeddings", pixels, c.patch, c.convolves ? overlapping : apart);
    x = norm(embeddings / "norm", x, {.epsilon = c.epsilon});
    std::vector<Value> states{channels_first(x)};
    for (size_t i = 0; i < c.depths.size(); ++i) {
      const Scope stage = model / "encoder.stages" / static_cast<int64_t>(i);
      g.mark("hidden_states." + std::to_string(i), tokens_from(x));
      for (int64_t j = 0; j < c.depths[i]; ++j) x = layer(stage / "layers" / j, x, i);
      if (i + 1 < c.depths.size()) {
        const ConvOptions smaller{
            .out = c.width(i + 1), .kernel = c.convolves ? 3 : 2, .stride = 2, .padding = c.convolves ? 1 : 0};
        x = embed(stage / "downsample", channels_first(x), 2, smaller);
        x = norm(stage / "downsample.norm", x, {.epsilon = c.epsilon}).in(stage);
      }
      states.push_back(channels_first(x));
    }
    if (task() == "backbone") return {.last = x, .stages = states};
    x = norm(model / "layernorm", x, {.epsilon = c.epsilon});
    return {.last = tokens_from(x), .stages = {channels_first(x)}};
  }
  Value pool(const Scope&, const ImageFeatures& made) const override { return mean(made.last, {1}); }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier", mean(made.last, {1}), {.out = labels()});
  }
  Value reconstruct(const Scope& model, const ImageFeatures& made) const override {
    return reconstruction(model.graph().root() / "decoder", made.stages[0],
                          {.channels = c.channels, .stride = c.stride});
  }

  static Value tokens_from(const Value& x) { return reshape(x, {0, -1, x.fixed(3)}); }

  // A convolution over whole patches, to which an image is padded.
  static Value embed(const Scope& s, const Value& image, const Extent& patch, const ConvOptions& options) {
    const Value none = image.graph().integer(0);
    const auto missing = [&](int64_t axis, int64_t step) { return missing_to_multiple(size_of(image, axis), step); };
    const Value whole =
        pad(image.in(s), {OpenPad{2, none, missing(2, patch.height)}, OpenPad{3, none, missing(3, patch.width)}});
    return channels_last(conv2d(s / "projection", whole, options)).in(s.parent());
  }

  Value layer(const Scope& s, const Value& x, size_t stage) const {
    const auto normed = [&](const char* name, const Value& y) { return norm(s / name, y, {.epsilon = c.epsilon}); };
    const auto scaled = [&](const char* name, const Value& y) {
      return c.scales ? s.weight(name, {x.fixed(3)}) * y : y;
    };
    const FeedForward form{.inner = static_cast<int64_t>(static_cast<double>(x.fixed(3)) * c.ratio),
                           .activation = c.activation,
                           .up = "fc1",
                           .down = "fc2",
                           .bias = true};
    const auto modulates = [&](const Value& y) { return modulate(s / "modulation", y, stage).in(s); };
    const auto feeds = [&](const Value& y) { return feed_forward(s / "mlp", y, form).in(s); };
    const Value weighed = c.norms_after ? normed("norm1", modulates(x)) : modulates(normed("norm1", x));
    const Value y = x.in(s) + scaled("gamma_1", weighed);
    const Value fed = c.norms_after ? normed("norm2", feeds(y)) : feeds(normed("norm2", y));
    return y + scaled("gamma_2", fed);
  }

  // Surroundings by convolutions of growing kernels, one on the result of the other, and the whole image; a gate of
  // each pixel tells how far each of them counts.
  Value modulate(const Scope& s, const Value& x, size_t stage) const {
    const int64_t width = x.fixed(3), levels = c.levels[stage];
    const Value all = channels_first(linear(s / "projection_in", x, {.out = 2 * width + levels + 1}));
    const std::vector<Value> parts = split(all, 1, {width, width, levels + 1});
    const auto gate = [&](int64_t level) { return slice(parts[2], {1, level, level + 1}); };
    Value near = parts[1], sum;
    for (int64_t level = 0; level < levels; ++level) {
      const int64_t kernel = 2 * level + c.windows[stage];
      const Scope at = s / "focal_layers" / level;
      near = activation(
          conv2d(at / 0, near, {.out = width, .kernel = kernel, .padding = kernel / 2, .groups = width, .bias = false}),
          "gelu");
      const Value counted = near.in(s)*gate(level);
      sum = sum ? sum + counted : counted;
    }
    const Value whole = activation(global_average_pool(near), "gelu").in(s)*gate(levels);
    sum = sum ? sum + whole : whole;
    if (c.means) sum = sum / static_cast<double>(levels + 1);
    Value y = channels_last(parts[0] * conv2d(s / "projection_context", sum, {.out = width}));
    if (c.norms_modulation) y = norm(s / "layernorm", y, {.epsilon = c.epsilon});
    return linear(s / "projection_out", y, {.out = width});
  }

  const FocalNetConfig c;
  const std::vector<size_t> read;  // of a backbone
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.focalnet",
    .name = "FocalNet",
    .models = {{.types = {"focalnet"},
                .features = {"default", "image-classification", "masked-im", "backbone"},
                .make = make<FocalNet>}},
})
