// SPDX-License-Identifier: Apache-2.0
// ViTPose: where the joints of a body are, as a map for each. Source: VitPoseForPoseEstimation and VitPoseBackbone,
// transformers 4.57 (modeling_vitpose.py, modeling_vitpose_backbone.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/backbones.hpp>

using namespace onnxport::family;

namespace {

struct BackboneConfig {
  static constexpr int64_t padding = 2;  // of the image, on each side

  explicit BackboneConfig(const Config& c)
      : hidden(c.size("hidden_size", 768)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 12)),
        inner(static_cast<int64_t>(static_cast<double>(hidden) * c.real("mlp_ratio", 4))),
        channels(c.size("num_channels", 3)),
        image(c.has("image_size") ? extent(c, "image_size", 256) : Extent(256, 192)),
        patch(extent(c, "patch_size", 16)),
        experts(c.size("num_experts", 1)),
        of_expert(c.size("part_features", 256)),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-12)),
        qkv_bias(c.boolean("qkv_bias", true)),
        grid(image.height / patch.height, image.width / patch.width),
        read(stages_read(c, static_cast<size_t>(layers))) {
    c.no_effect({"stage_names"});
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    if (grid.area() == 0) throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than image_size");
    const Extent padded((image.height + 2 * padding) / patch.height, (image.width + 2 * padding) / patch.width);
    if (padded.area() != grid.area()) {
      throw Error(ONNXPORT_CONFIG, "config field 'patch_size' gives " + std::to_string(padded.area()) +
                                       " patches of an image with " + std::to_string(padding) +
                                       " pixels around it, and positions are of " + std::to_string(grid.area()) +
                                       "; expected larger patches, as many of both");
    }
    if (experts > 1) require_at_most({"part_features", of_expert}, {"hidden_size", hidden});
  }
  int64_t hidden, layers, heads, inner, channels;
  Extent image, patch;
  int64_t experts;    // which an image's data set chooses among
  int64_t of_expert;  // channels that its expert makes
  std::string activation;
  double epsilon;
  bool qkv_bias;
  Extent grid;
  std::vector<size_t> read;  // the states that are a backbone's maps; a head reads the last one
};

class Encoder {
 public:
  explicit Encoder(const Config& own) : c(own) {}

  std::vector<TensorSpec> inputs() const {
    std::vector<TensorSpec> specs{
        input::pixels("pixel_values", {axis::batch, c.channels, c.image.height, c.image.width})};
    if (c.experts > 1) specs.push_back({"dataset_index", DType::i64, {axis::batch}, c.experts});
    return specs;
  }
  /// The states that are read, normed: f[batch, patches, hidden] each.
  std::vector<Value> operator()(const Scope& s, const Inputs& in) const {
    std::vector<Value> maps = picked(encode(s, in.at("pixel_values"), in.maybe("dataset_index")), c.read);
    for (Value& map : maps) map = norm(s / "layernorm", map, {.epsilon = c.epsilon});
    return maps;
  }

  const BackboneConfig c;

 private:
  // What each layer reads, and what the last one yields: f[batch, patches, hidden].
  std::vector<Value> encode(const Scope& s, const Value& pixels, const Value& data_set) const {
    const Scope embeddings = s / "embeddings";
    const Value image =
        conv2d(embeddings / "patch_embeddings.projection", pixels,
               {.out = c.hidden, .kernel = c.patch, .stride = c.patch, .padding = c.padding, .in = c.channels})
            .in(embeddings);
    const Value table = embeddings.weight("position_embeddings", {1, 1 + c.grid.area(), c.hidden});
    const Value x = tokens_of(image) + slice(table, {1, 1}) + slice(table, {1, 0, 1});
    std::vector<Value> states;
    const LayerStack stack{.count = c.layers, .layer = [&](int64_t) { return layer(data_set); }, .states = &states};
    transformer_layers(s / "encoder.layer", x, stack, {});
    return states;
  }

  TransformerLayer layer(const Value& data_set) const {
    TransformerLayer form{
        .attention_at = "attention",
        .attention = {.heads = c.heads,
                      .head_size = c.hidden / c.heads,
                      .projections = {.query = "attention.query",
                                      .key = "attention.key",
                                      .value = "attention.value",
                                      .output = "output.dense",
                                      .bias = {c.qkv_bias, c.qkv_bias, c.qkv_bias, true}}},
        .feed_forward = {.inner = c.inner, .activation = c.activation, .up = "fc1", .down = "fc2", .bias = true},
        .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "layernorm_before"},
        .feed_forward_branch = {.norm = {.epsilon = c.epsilon}, .name = "layernorm_after"}};
    if (c.experts > 1) {
      form.own_feed_forward = [this, data_set](const Scope& s, const Value& x) { return by_expert(s, x, data_set); };
    }
    return form;
  }

  // A feed-forward of which the last channels are made by the expert for an image's data set, i64[batch].
  // Source: VitPoseBackboneMoeMLP.
  Value by_expert(const Scope& s, const Value& x, const Value& data_set) const {
    const Value h = activation(linear(s / "fc1", x, {.out = c.inner}), c.activation);
    std::vector<Value> weights, biases;
    for (int64_t i = 0; i < c.experts; ++i) {
      const Scope expert = s / "experts" / i;
      weights.push_back(unsqueeze(expert.weight("weight", {c.of_expert, c.inner}), {0}));
      biases.push_back(unsqueeze(expert.weight("bias", {c.of_expert}), {0, 1}));
    }
    const auto chosen = [&](const std::vector<Value>& all) { return gather(concat(all, 0).in(s), data_set); };
    const Value own = matmul(h, transpose(chosen(weights), {0, 2, 1})) + chosen(biases);
    if (c.of_expert == c.hidden) return own;
    return concat({linear(s / "fc2", h, {.out = c.hidden - c.of_expert}), own}, 2);
  }
};

/// What other models see through, by itself. Its maps are tokens.
class VitPoseBackbone final : public OnnxConfig {
 public:
  explicit VitPoseBackbone(const Request& request) : OnnxConfig(request), encoder(request.config) {}

  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return encoder.inputs(); }
  std::vector<OutputSpec> outputs() const override { return map_outputs(encoder.c.read.size()); }
  Outputs forward(Graph& g, const Inputs& in) const override { return map_values(encoder(g.root(), in)); }

 private:
  const Encoder encoder;
};

class VitPose final : public OnnxConfig {
 public:
  explicit VitPose(const Request& request)
      : OnnxConfig(request),
        encoder(backbone_config(request.config)),
        simple(request.config.boolean("use_simple_decoder", true)),
        times(request.config.size("scale_factor", 4)),
        labels(request.config.num_labels()) {}

  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return encoder.inputs(); }
  std::vector<OutputSpec> outputs() const override { return {{"heatmaps", {{0, axis::batch}}}}; }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const BackboneConfig& c = encoder.c;
    const Value tokens = encoder(g.root() / "backbone", in).back();
    const Value image = reshape(transpose(tokens, {0, 2, 1}), {0, c.hidden, c.grid.height, c.grid.width});
    return {{"heatmaps", decode(g.root() / "head", image)}};
  }

 private:
  static Config backbone_config(const Config& c) {
    c.no_effect({"backbone", "use_timm_backbone", "use_pretrained_backbone", "backbone_kwargs"});
    const Config own = c.section("backbone_config");
    own.choice("model_type", "vitpose_backbone", {"vitpose_backbone"});
    return own;
  }

  // f[batch, hidden, rows, columns] -> f[batch, labels, …, …]
  Value decode(const Scope& s, Value x) const {
    if (simple) {
      const double factor = static_cast<double>(times);
      x = interpolate(relu(x.in(s)), {factor, factor}, {.how = Interpolation::bilinear});
      return conv2d(s / "conv", x, {.out = labels, .kernel = 3, .padding = 1});
    }
    for (const char* number : {"1", "2"}) {
      x = conv_transpose2d(s / (std::string("deconv") + number), x.in(s),
                           {.out = 256, .kernel = 4, .stride = 2, .padding = 1, .bias = false});
      x = relu(batch_norm(s / (std::string("batchnorm") + number), x));
    }
    return conv2d(s / "conv", x, {.out = labels});
  }

  const Encoder encoder;
  bool simple;    // the head: an interpolation in place of transposed convolutions
  int64_t times;  // how far that goes
  int64_t labels;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.vitpose",
    .name = "ViTPose",
    .models = {{.types = {"vitpose"},
                .features = {"keypoint-detection"},
                .architectures = {{"VitPoseForPoseEstimation", "keypoint-detection"}},
                .make = make<VitPose>},
               {.types = {"vitpose_backbone"}, .features = {"backbone"}, .make = make<VitPoseBackbone>}},
})
