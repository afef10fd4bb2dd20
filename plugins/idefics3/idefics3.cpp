// SPDX-License-Identifier: Apache-2.0
// Idefics 3 and SmolVLM: a SigLIP that takes images of any shape, of which neighbouring patches become one token, and a
// decoder of any type. Source: Idefics3ForConditionalGeneration and SmolVLMForConditionalGeneration, transformers 5.24.
#include <vector>

#include <onnxport/families/two_towers.hpp>
#include <onnxport/vision_language.hpp>
#include <onnxport/windows.hpp>

using namespace onnxport::family;

namespace {

struct Idefics3Config {
  explicit Idefics3Config(const Config& c)
      : image_token(c.count("image_token_id", 128257)),
        scale(c.size("scale_factor", 2)),
        text_width(c.section("text_config").size("hidden_size", 4096)),
        tower(c.section("vision_config"),
              {.hidden = 1152,
               .inner = 3072,
               .layers = 12,
               .heads = 16,
               .activation = "gelu_pytorch_tanh",
               .epsilon = 1e-6},
              32) {
    c.no_effect({"tie_word_embeddings", "pad_token_id", "use_cache"});
  }
  int64_t image_token, scale, text_width;
  ImageTower tower;
};

class Idefics3 final : public VisionLanguage {
 public:
  explicit Idefics3(const Request& request) : Idefics3(request, Idefics3Config(request.config)) {}

  std::vector<AxisSize> axis_sizes() const override {
    std::vector<AxisSize> sizes = c.tower.sizes();
    for (AxisSize& size : sizes) {
      if (size.axis != axis::num_channels) size.minimum = size.step = c.tower.patch * c.scale;
    }
    sizes.push_back({.axis = images, .usual = 2});
    return sizes;
  }

 private:
  Idefics3(const Request& request, const Idefics3Config& config)
      : VisionLanguage(request, {.config = request.config.section("text_config"),
                                 .model_type = request.config.section("text_config").has("model_type") ? "" : "llama",
                                 .image_token = config.image_token,
                                 .scope = "text_model",
                                 .prefixes = {{"model.", "model.text_model."},
                                              {"", ""},
                                              {"lm_head.weight", "model.text_model.embed_tokens.weight"}}}),
        c(config) {}

  std::vector<TensorSpec> image_inputs() const override {
    return {input::pixels("pixel_values", {axis::batch, images, axis::num_channels, axis::height, axis::width}),
            input::mask("pixel_attention_mask", {axis::batch, images, axis::height, axis::width}, {})};
  }
  OutputSpec image_features() const override { return {"image_features", {{0, "real_images"}}}; }
  int64_t vectors_of(const std::map<std::string, int64_t>& sizes) const override {
    const int64_t step = c.tower.patch * c.scale;
    return length(sizes, axis::batch) * length(sizes, images) * (length(sizes, axis::height) / step) *
           (length(sizes, axis::width) / step);
  }

  std::vector<Value> see(Graph& g, const Inputs& in) const override {
    const Scope model = g.root() / "model.vision_model";
    const Value all = in.at("pixel_values");
    const Value size = shape_of(all, 3, 5);
    const Value flat = reshape(all, concat({g.integers({-1, c.tower.channels}), size}, 0));
    const Value masks = reshape(in.at("pixel_attention_mask"), concat({g.integers({-1, 1}), size}, 0));
    // An image that is black throughout is padding.
    const Value is_real = logical_not(equal(largest(g.op("Abs", {flat}), {1, 2, 3}), g.scalar(0)));
    const Value real = reshape(g.op("NonZero", {is_real}), {-1});
    const int64_t patch = c.tower.patch;
    const Value seen = g.op("MaxPool", {cast(gather(masks, real), DType::f32)},
                            {{"kernel_shape", {patch, patch}}, {"strides", {patch, patch}}});
    return {connect(g, encode(model, gather(flat, real), seen))};
  }

  struct Seen {
    Value tokens;  // f[images, rows·columns, width]
    TokenGrid grid;
  };

  /// pixels: f[images, channels, height, width], seen: f[images, 1, rows, columns], above 0 where a patch is no
  /// padding.
  Seen encode(const Scope& model, const Value& pixels, const Value& seen) const {
    const Scope s = model / "embeddings";
    const Value image =
        conv2d(s / "patch_embedding", pixels,
               {.out = c.tower.hidden, .kernel = c.tower.patch, .stride = c.tower.patch, .in = c.tower.channels});
    const TokenGrid grid{size_of(image, 2), size_of(image, 3)};
    const Value patches = named_length(s, grid.rows * grid.columns);
    const Value counts = in_row(pick(seen.graph().op("Greater", {seen, seen.graph().scalar(0)}), 1, 0), patches);
    const Value at = where(counts, in_row(positions(s, seen, grid), patches), s.graph().integer(0));
    Value x = transpose(in_row(image, patches), {0, 2, 1}) +
              embedding(s / "position_embedding", at, {c.tower.grid * c.tower.grid, c.tower.hidden});
    const LayerStack stack{
        .count = c.tower.layers, .layer = [this](int64_t) { return c.tower.layer(false); }, .steps = "vision_"};
    x = transformer_layers(model / "encoder.layers", x, stack, {.mask = cast(counts, DType::i64)});
    return {norm(model / "post_layernorm", x, {.epsilon = c.tower.epsilon}), grid};
  }

  /// Where each patch lies in an image of the trained number of patches: i64[images, rows, columns].
  Value positions(const Scope& s, const Value& seen, const TokenGrid& grid) const {
    Graph& g = s.graph();
    const Value counts = cast(g.op("Greater", {seen, g.scalar(0)}), DType::i64);
    const Value rows = bucket(s, sum(pick(counts, 3, 0), {2}), grid.rows);  // of the first column
    const Value columns = bucket(s, sum(pick(counts, 2, 0), {2}), grid.columns);
    const Value both = unsqueeze(rows, {2}) * g.integer(c.tower.grid) + unsqueeze(columns, {1});
    return both;
  }

  /// Rows one behind the other, of no image as well: [..., rows, columns] -> [..., rows·columns].
  static Value in_row(const Value& x, const Value& length) {
    const auto last = static_cast<int64_t>(x.rank()) - 2;
    return reshape(x, concat({shape_of(x, 0, last), unsqueeze(length, {0})}, 0));
  }

  /// Of `count` steps that `used` of them share out, i64[images, 1], in which of the trained ones each begins:
  /// i64[images, count].
  Value bucket(const Scope& s, const Value& used, const Value& count) const {
    Graph& g = s.graph();
    const Value step = g.scalar(1) / cast(used, DType::f32);
    const Value at = cast(range(count), DType::f32) * step;
    const Value begin = g.op("Clip", {at}, {{"max", 1.0 - 1e-6}});
    // In double precision, as torch.arange counts, and then rounded.
    std::vector<float> bounds;
    const double width = 1.0 / static_cast<double>(c.tower.grid);
    const auto steps = static_cast<int64_t>(std::ceil((1.0 - width) / width));
    for (int64_t i = 0; i < steps; ++i) bounds.push_back(static_cast<float>(width + static_cast<double>(i) * width));
    if (bounds.empty()) return cast(begin * 0.0, DType::i64);
    const Value limits = g.constant<float>(DType::f32, {static_cast<int64_t>(bounds.size())}, bounds);
    const Value passed = g.op("GreaterOrEqual", {unsqueeze(begin, {2}), limits});
    return sum(cast(passed, DType::i64), {2});
  }

  /// scale² neighbours side by side, then a layer: f[images, rows·columns/scale², text width].
  Value connect(Graph& g, const Seen& seen) const {
    const Value within = range(g.integer(c.scale));
    const auto starts = [&](const Value& count) { return range(count / c.scale) * c.scale; };
    const Value row = unsqueeze(starts(seen.grid.rows), {1, 2, 3}) + unsqueeze(within, {1});
    const Value column = unsqueeze(starts(seen.grid.columns), {1, 2}) + within;
    const Value order = reshape(row * seen.grid.columns + column, {-1});
    const int64_t area = c.scale * c.scale;
    const Value count =
        named_length(g.root() / "model.connector", seen.grid.rows * seen.grid.columns / static_cast<double>(area));
    const Value shape =
        concat({shape_of(seen.tokens, 0, 1), unsqueeze(count, {0}), g.integers({area * c.tower.hidden})}, 0);
    const Value side = reshape(gather(seen.tokens, order, 1), shape);
    return linear(g.root() / "model.connector.modality_projection.proj", side, {.out = c.text_width, .bias = false});
  }

  const Idefics3Config c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.idefics3",
    .name = "Idefics 3 and SmolVLM",
    .models = {{.types = {"idefics3", "smolvlm"},
                .features = {"vision2seq-lm", "vision2seq-lm-with-past"},
                .make = make<Idefics3>}},
    .abi_minor_needed = 4,
})
