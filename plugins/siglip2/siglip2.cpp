// SPDX-License-Identifier: Apache-2.0
// SigLIP 2 for images of any shape, which come cut into patches, both towers in one graph or each in its own.
// Source: Siglip2Model, Siglip2ForImageClassification, Siglip2TextModel and Siglip2VisionModel, transformers 4.57 and
// 5.24 (modeling_siglip2.py).
#include <algorithm>
#include <cmath>

#include <onnxport/families/patched_images.hpp>
#include <onnxport/families/siglip.hpp>

using namespace onnxport::family;

namespace {

/// Patches of a batch of images, row by row, behind which there may be padding.
struct PatchInputs {
  Value pixels;  // f[batch, n, patch² · channels]
  Value mask;    // i64[batch, n]: 1 where there is a patch
  Value shapes;  // i64[batch, 2]: rows and columns of each image
};

struct Siglip2ImageTower : Tower {
  explicit Siglip2ImageTower(const Config& c)
      : Tower(c, siglip_defaults),
        channels(c.size("num_channels", 3)),
        patch(c.size("patch_size", 16)),
        grid(static_cast<int64_t>(std::sqrt(static_cast<double>(c.size("num_patches", 256))))),
        has_head(c.boolean("vision_use_head", true)) {
    require_equal({"num_patches", c.size("num_patches", 256)}, {"a square", grid * grid});
  }

  PatchedImages images(const char* batch) const {
    return {.batch = batch, .length = channels * patch * patch, .grid = grid};
  }
  static PatchInputs given(const Inputs& in) {
    return {in.at("pixel_values"), in.at("pixel_attention_mask"), in.at("spatial_shapes")};
  }

  /// -> f[batch, n, hidden]
  Value operator()(const Scope& model, const PatchInputs& in, const std::string& steps = {}) const {
    const Scope s = model / "embeddings";
    model.graph().unused("*" + (s / "position_ids").path());
    const Value x = linear(s / "patch_embedding", in.pixels, {.out = hidden}) + positions(s, in);
    const auto form = [this](int64_t) { return layer(false); };
    const Value y = transformer_layers(model / "encoder.layers", x, {.count = layers, .layer = form, .steps = steps},
                                       {.mask = in.mask});
    model.graph().mark(steps + "hidden_states." + std::to_string(layers), y);
    return norm(model / "post_layernorm", y, {.epsilon = epsilon});
  }
  Value pool(const Scope& model, const Value& x, const PatchInputs& in) const {
    return pool_by_probe(model / "head", x, *this, in.mask);
  }

  // A grid of learnt positions, resampled for each image: a place of its rows is a mean of those of the grid, near ones
  // weighing more, and so are its columns. Padding has the first place of all. f[batch, n, hidden]
  Value positions(const Scope& s, const PatchInputs& in) const {
    Graph& g = s.graph();
    const Value rows = slice(in.shapes, {1, 0, 1}), columns = slice(in.shapes, {1, 1, 2});
    const Value place = unsqueeze(range(size_of(in.pixels, 1)), {0});
    const Value counted = where(g.op("Less", {place, rows * columns}), place, g.integer(0));
    const Value row = g.op("Div", {counted, columns}), column = counted - row * columns;
    const Value both = unsqueeze(resampled(row, rows), {3}) * unsqueeze(resampled(column, columns), {2});
    const Value weights = reshape(both, {0, 0, grid * grid});
    return matmul(weights, (s / "position_embedding").weight("weight", {grid * grid, hidden}));
  }

  // What each entry of an axis of the grid weighs at these places of an axis of so many: place: i64[batch, n], length:
  // i64[batch, 1] -> f[batch, n, grid]. Source: torch.nn.functional.interpolate, bilinear against aliases.
  Value resampled(const Value& place, const Value& length) const {
    Graph& g = place.graph();
    const auto side = static_cast<double>(grid);
    const Value scale = side / cast(length, DType::f32);
    const Value center = (cast(place, DType::f32) + 0.5) * scale - 0.5;
    const Value reach = g.op("Max", {scale, g.scalar(1)});
    const Value distance = cast(range(g.integer(grid)), DType::f32) - unsqueeze(center, {2});
    const Value weight = relu(1.0 - g.op("Abs", {distance}) / unsqueeze(reach, {2}));
    return weight / unsqueeze(sum(weight, {2}), {2});
  }

  std::vector<AxisSize> sizes() const { return images(axis::batch).sizes(); }

  int64_t channels, patch, grid;  // of positions on a side
  bool has_head;
};

class Siglip2 final : public SiglipTowers<Siglip2ImageTower> {
 public:
  using SiglipTowers::SiglipTowers;

  std::vector<DummyTensor> generate_dummy_inputs(const DummyRequest& request) const override {
    if (request.part == "text") return {};
    return image.images(is_pair() && request.part.empty() ? image_batch : axis::batch).dummies(request);
  }

 private:
  std::vector<TensorSpec> image_inputs(const char* batch) const override { return image.images(batch).inputs(); }

  TowerReading read_image(Graph& g, const Inputs& in) const override {
    const Scope model = g.root() / "vision_model";
    const PatchInputs given = Siglip2ImageTower::given(in);
    const Value hidden = image(model, given, "vision_");
    return {hidden, image.pool(model, hidden, given)};
  }

  // By the mean of the patches; what pools them otherwise is not asked.
  Value classify(Graph& g, const Inputs& in) const override {
    const Scope model = g.root() / "vision_model";
    g.unused((model / "head").path() + ".*");
    const PatchInputs given = Siglip2ImageTower::given(in);
    return linear(g.root() / "classifier", mean_of_tokens(image(model, given), given.mask), {.out = labels});
  }
};

class Siglip2Vision final : public OneTower {
 public:
  explicit Siglip2Vision(const Request& request) : OneTower(request, vision_names), image(request.config) {}

  std::vector<TensorSpec> inputs() const override { return image.images(axis::batch).inputs(); }
  std::vector<AxisSize> axis_sizes() const override { return image.sizes(); }
  std::vector<DummyTensor> generate_dummy_inputs(const DummyRequest& request) const override {
    return image.images(axis::batch).dummies(request);
  }

 private:
  Value encode(const Scope& model, const Inputs& in) const override {
    return image(model, Siglip2ImageTower::given(in));
  }
  Value pool(const Scope& model, const Value& hidden, const Inputs& in) const override {
    return image.pool(model, hidden, Siglip2ImageTower::given(in));
  }
  bool has_pooler() const override { return image.has_head; }
  const Siglip2ImageTower image;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.siglip2",
    .name = "SigLIP 2",
    .models = {{.types = {"siglip2"}, .features = {"default", "image-classification"}, .make = make<Siglip2>},
               {.types = {"siglip2_text_model"}, .features = {"default"}, .make = make<SiglipText>},
               {.types = {"siglip2_vision_model"}, .features = {"default"}, .make = make<Siglip2Vision>}},
})
