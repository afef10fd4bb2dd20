// SPDX-License-Identifier: Apache-2.0
// Pixtral's encoder of images of any size, which come in one batch, padded on their right and below. Source:
// PixtralVisionModel, transformers 4.57 and 5.24 (modeling_pixtral.py).
#include <algorithm>
#include <cmath>
#include <vector>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/mixtures.hpp>
#include <onnxport/families/sized_images.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/vision.hpp>

using namespace onnxport::family;

namespace {

struct PixtralConfig {
  explicit PixtralConfig(const Config& c)
      : hidden(c.size("hidden_size", 1024)),
        inner(c.size("intermediate_size", 4096)),
        layers(c.count("num_hidden_layers", 24)),
        heads(c.size("num_attention_heads", 16)),
        head_size(hidden / heads),
        channels(c.size("num_channels", 3)),
        patch(c.size("patch_size", 16)),
        activation(c.text("hidden_act", "gelu")),
        theta(c.section("rope_parameters").real("rope_theta", c.real("rope_theta", 10000))) {
    c.no_effect({"image_size"});  // the largest that is meant
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    require_multiple({"hidden_size / num_attention_heads", head_size}, {"rows' and columns' pairs", 4});
    require_equal({"head_dim", c.size("head_dim", head_size)}, {"hidden_size / num_attention_heads", head_size});
    (void)c.section("rope_parameters").choice("rope_type", "axial", {"axial", "default"});
  }
  int64_t hidden, inner, layers, heads, head_size, channels, patch;
  std::string activation;
  double theta;
};

class Pixtral final : public OnnxConfig {
 public:
  explicit Pixtral(const Request& request) : OnnxConfig(request), c(request.config) {}

  std::string base_model_prefix() const override { return "vision_encoder"; }
  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return images().inputs(); }
  std::vector<AxisSize> axis_sizes() const override { return images().sizes(); }
  std::vector<DummyTensor> generate_dummy_inputs(const DummyRequest& request) const override {
    return {images().dummies(request.sizes)};
  }
  /// The patches of all images in one row.
  std::vector<OutputSpec> outputs() const override { return {{"last_hidden_state", {{1, axis::sequence}}}}; }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope model = g.root();
    const Value sizes = in.at("image_sizes") / c.patch;
    const Value image =
        conv2d(model / "patch_conv", in.at("pixel_values"),
               {.out = c.hidden, .kernel = c.patch, .stride = c.patch, .bias = false, .in = c.channels});
    const Value row = unsqueeze(range(size_of(image, 2)), {1}), column = unsqueeze(range(size_of(image, 3)), {0});
    const Value inside = g.op("And", {g.op("Less", {unsqueeze(row, {0}), unsqueeze(pick(sizes, 1, 0), {1, 2})}),
                                      g.op("Less", {unsqueeze(column, {0}), unsqueeze(pick(sizes, 1, 1), {1, 2})})});
    const Value counts = reshape(inside, {0, -1});  // b[batch, rows·columns]
    const Value places = reshape(g.op("NonZero", {reshape(counts, {-1})}), {-1});
    const auto in_one_row = [&](const Value& x) { return unsqueeze(gather(reshape(x, {-1, c.hidden}), places), {0}); };

    const Norm rms{.kind = Norm::Kind::rms, .epsilon = 1e-5};
    Value x = norm(model / "ln_pre", tokens_of(image), rms);
    Attended given{.mask = cast(counts, DType::i64),
                   .angles = angles(model / "patch_positional_embedding", row, column)};
    for (given.layer = 0; given.layer < c.layers; ++given.layer) {
      g.mark("hidden_states." + std::to_string(given.layer), in_one_row(x));
      x = transformer_layer(model / "transformer.layers" / given.layer, x, layer(rms), given);
    }
    const Value last = g.mark("hidden_states." + std::to_string(c.layers), in_one_row(x));
    return {{"last_hidden_state", last}};
  }

 private:
  SizedImages images() const { return {.batch = axis::batch, .channels = c.channels, .step = c.patch}; }

  TransformerLayer layer(const Norm& rms) const {
    return {.attention_at = "attention",
            .feed_forward_at = "feed_forward",
            .attention = {.heads = c.heads, .head_size = c.head_size},
            .feed_forward = gated_feed_forward(c.inner, c.activation),
            .attention_branch = {.norm = rms, .name = "attention_norm"},
            .feed_forward_branch = {.norm = rms, .name = "ffn_norm"}};
  }

  /// Pairs of a head turn by the row and by the column in turns, but all of the rows' stand first: row i64[rows, 1],
  /// column i64[1, columns] -> f[1, rows·columns, head size/2].
  Angles angles(const Scope& s, const Value& row, const Value& column) const {
    Graph& g = s.graph();
    std::vector<float> of_rows, of_columns;
    for (int64_t i = 0; i < c.head_size / 2; ++i) {
      const double share = static_cast<double>(2 * i) / static_cast<double>(c.head_size);
      (i % 2 == 0 ? of_rows : of_columns).push_back(static_cast<float>(std::pow(c.theta, -share)));
    }
    const Value none = (row + column).in(s)*g.integer(0);
    const auto turned = [&](const Value& place, const std::vector<float>& frequencies) {
      const auto count = static_cast<int64_t>(frequencies.size());
      const Value each = cast(reshape(place + none, {-1, 1}), DType::f32);
      return each * g.constant<float>(DType::f32, {1, count}, frequencies);
    };
    const Value both = unsqueeze(concat({turned(row, of_rows), turned(column, of_columns)}, 1), {0});
    return {g.op("Cos", {both}), g.op("Sin", {both})};
  }

  const PixtralConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.pixtral",
    .name = "Pixtral",
    .models = {{.types = {"pixtral"}, .features = {"default"}, .make = make<Pixtral>}},
})
