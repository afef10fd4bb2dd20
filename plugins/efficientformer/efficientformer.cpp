// SPDX-License-Identifier: Apache-2.0
// EfficientFormer: layers that mix pixels by means of their neighbours, and in the last stage layers that attend, with
// a learnt bias for every distance. Source: EfficientFormerModel, EfficientFormerForImageClassification and
// EfficientFormerForImageClassificationWithTeacher, transformers 4.57 (modeling_efficientformer.py).
#include <algorithm>

#include <onnxport/blocks/distance_attention.hpp>
#include <onnxport/blocks/feed_forward.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

struct EfficientFormerConfig {
  explicit EfficientFormerConfig(const Config& c)
      : image(extent(c, "image_size", 224)),
        channels(c.size("num_channels", 3)),
        depths(by_stage(c, "depths", {3, 2, 6, 4}, 1)),
        widths(by_stage(c, "hidden_sizes", {48, 96, 224, 448}, depths.size())),
        key(c.size("key_dim", 32)),
        value(static_cast<int64_t>(c.real("attention_ratio", 4) * static_cast<double>(key))),
        side(c.size("resolution", 7)),
        heads(c.size("num_attention_heads", 8)),
        ratio(c.real("mlp_expansion_ratio", 4)),
        pool(c.size("pool_size", 3)),
        kernel(c.size("downsample_patch_size", 3)),
        stride(c.size("downsample_stride", 2)),
        padding(c.count("downsample_pad", 1)),
        attending(c.size("num_meta3d_blocks", 1)),
        scales(c.boolean("use_layer_scale", true)),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-12)),
        batch_epsilon(c.real("batch_norm_eps", 1e-5)) {
    // Of training, or read by no layer.
    c.no_effect(
        {"drop_path_rate", "layer_scale_init_value", "distillation", "num_hidden_layers", "patch_size", "hidden_size"});
    const size_t stages = depths.size();
    widths.resize(stages);
    const std::vector<bool> halves =
        c.has("downsamples") ? c.booleans("downsamples") : std::vector<bool>{true, true, true, true};
    if (halves.size() + 1 < stages) throw Error(ONNXPORT_CONFIG, "config field 'downsamples' is shorter than 'depths'");
    for (size_t i = 0; i + 1 < stages; ++i) narrows.push_back(halves[i] || widths[i] != widths[i + 1]);
    require_equal({"dim", c.size("dim", 448)}, {"the last of hidden_sizes", widths.back()});
    require_at_most({"num_meta3d_blocks", attending}, {"the last of depths", depths.back()});
  }

  Extent image;
  int64_t channels;
  std::vector<int64_t> depths, widths;
  int64_t key, value;
  int64_t side;  // of the last stage's image
  int64_t heads;
  double ratio;
  int64_t pool;
  int64_t kernel, stride, padding;  // of the convolutions between stages
  int64_t attending;                // so many of the last stage's layers
  bool scales;                      // what a layer adds, by a learnt factor of each channel
  std::string activation;
  double epsilon, batch_epsilon;
  std::vector<bool> narrows;  // whether a convolution follows the stage
};

class EfficientFormer final : public ImageEncoder {
 public:
  explicit EfficientFormer(const Request& request) : ImageEncoder(request), c(request.config) {
    const std::vector<std::string> classes = request.config.texts("architectures");
    with_teacher = std::count(classes.begin(), classes.end(), "EfficientFormerForImageClassificationWithTeacher") > 0;
  }
  std::string base_model_prefix() const override { return "efficientformer"; }
  // Biases are learnt for the distances in an image of one size.
  std::vector<TensorSpec> inputs() const override { return {pixel_values(c.image)}; }

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    Graph& g = model.graph();
    g.unused("*attention_bias_idxs");
    Value x = embed(model / "patch_embed", pixels);
    const Scope encoder = model / "encoder";
    int64_t module = 0;
    for (size_t i = 0; i < c.depths.size(); ++i) {
      const bool last = i + 1 == c.depths.size();
      g.mark("hidden_states." + std::to_string(i), x);
      const Scope stage = last ? encoder / "last_stage" : encoder / "intermediate_stages" / module++;
      const int64_t pooling = c.depths[i] - (last ? c.attending : 0);
      for (int64_t j = 0; j < pooling; ++j) x = pooling_layer(stage / "meta4D_layers.blocks" / j, x);
      if (!last && c.narrows[i]) {
        const Scope between = encoder / "intermediate_stages" / module++;
        x = conv2d(between / "projection", x,
                   {.out = c.widths[i + 1], .kernel = c.kernel, .stride = c.stride, .padding = c.padding});
        x = batch_norm(between / "norm", x, c.batch_epsilon);
      }
    }
    x = tokens_of(x);
    for (int64_t j = 0; j < c.attending; ++j) x = attending_layer(encoder / "last_stage.meta3D_layers.blocks" / j, x);
    return {norm(model / "layernorm", x, {.epsilon = c.epsilon})};
  }
  // With the teacher's head: the mean of two classifiers.
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    const Scope root = model.graph().root();
    const Value vector = mean(made.last, {1});
    const Value own = linear(root / "classifier", vector, {.out = labels()});
    if (!with_teacher) return own;
    const Value distilled = linear(root / "distillation_classifier", vector, {.out = labels()});
    model.graph().mark("cls_logits", own);
    model.graph().mark("distillation_logits", distilled);
    return (own + distilled) / 2.0;
  }

  // Two convolutions, the first half as wide.
  Value embed(const Scope& s, const Value& pixels) const {
    const int64_t width = c.widths[0];
    Value x = conv2d(s / "convolution1", pixels,
                     {.out = width / 2, .kernel = 3, .stride = 2, .padding = 1, .in = c.channels});
    x = relu(batch_norm(s / "batchnorm_before", x, c.batch_epsilon));
    x = conv2d(s / "convolution2", x, {.out = width, .kernel = 3, .stride = 2, .padding = 1});
    return relu(batch_norm(s / "batchnorm_after", x, c.batch_epsilon));
  }

  int64_t inner(int64_t width) const { return static_cast<int64_t>(static_cast<double>(width) * c.ratio); }

  // x: f[batch, width, rows, columns] -> the same. What a mean of neighbours differs by is added, then a perceptron.
  Value pooling_layer(const Scope& s, const Value& x) const {
    const int64_t width = x.fixed(1);
    const auto scaled = [&](const char* name, const Value& y) {
      return c.scales ? unsqueeze(s.weight(name, {width}), {1, 2}) * y : y;
    };
    const Value near =
        average_pool(x.in(s), {.kernel = c.pool, .stride = 1, .padding = c.pool / 2, .padding_counts = false});
    const Value y = x.in(s) + scaled("layer_scale_1", near - x);
    const Scope mlp = s / "mlp";
    Value h =
        batch_norm(mlp / "batchnorm_before", conv2d(mlp / "convolution1", y, {.out = inner(width)}), c.batch_epsilon);
    h = conv2d(mlp / "convolution2", activation(h, c.activation), {.out = width});
    h = batch_norm(mlp / "batchnorm_after", h, c.batch_epsilon).in(s);
    return y + scaled("layer_scale_2", h);
  }

  // x: f[batch, n, width] -> the same
  Value attending_layer(const Scope& s, const Value& x) const {
    const int64_t width = x.fixed(2);
    const auto scaled = [&](const char* name, const Value& y) { return c.scales ? s.weight(name, {width}) * y : y; };
    const Scope mixer = s / "token_mixer";
    const Value read = norm(s / "layernorm1", x, {.epsilon = c.epsilon});
    const Value all = linear(mixer / "qkv", read, {.out = c.heads * (2 * c.key + c.value)});
    const std::vector<Value> made = split_parts_of_heads(all, c.heads, {c.key, c.key, c.value});
    const Value bias = distance_bias(mixer, {c.heads, c.side, c.side});
    const Value mixed = attention(made[0], made[1], made[2], {.heads = c.heads, .bias = bias}).mixed;
    const Value y = x.in(s) + scaled("layer_scale_1", linear(mixer / "projection", mixed, {.out = width}).in(s));
    const FeedForward form{
        .inner = inner(width), .activation = c.activation, .up = "linear_in", .down = "linear_out", .bias = true};
    const Value fed = feed_forward(s / "mlp", norm(s / "layernorm2", y, {.epsilon = c.epsilon}), form);
    return y + scaled("layer_scale_2", fed.in(s));
  }

  const EfficientFormerConfig c;
  bool with_teacher;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.efficientformer",
    .name = "EfficientFormer",
    .models = {{.types = {"efficientformer"},
                .features = {"default", "image-classification"},
                .architectures = {{"EfficientFormerForImageClassificationWithTeacher", "image-classification"}},
                .make = make<EfficientFormer>}},
})
