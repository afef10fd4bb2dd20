// SPDX-License-Identifier: Apache-2.0
// Mistral 3: an encoder of images of any size, squares of whose patches become one token, and a decoder of any type.
// Source: Mistral3ForConditionalGeneration and Mistral3Model, transformers 4.57 and 5.24.
#include <string>
#include <vector>

#include <onnxport/blocks/norm.hpp>
#include <onnxport/families/feature_layers.hpp>
#include <onnxport/families/merged_patches.hpp>
#include <onnxport/families/sized_images.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/vision_language.hpp>

using namespace onnxport::family;

namespace {

struct Mistral3Config {
  explicit Mistral3Config(const Config& c)
      : image_token(c.count("image_token_index", 10)),
        activation(c.text("projector_hidden_act", "gelu")),
        bias(c.boolean("multimodal_projector_bias", false)),
        merge(c.size("spatial_merge_size", 2)),
        text_width(c.section("text_config").size("hidden_size", 5120)),
        width(c.section("vision_config").size("hidden_size", 1024)),
        patch(c.section("vision_config").size("patch_size", 14)),
        channels(c.section("vision_config").size("num_channels", 3)),
        layers(
            feature_layers(c, {.otherwise = -1, .count = c.section("vision_config").count("num_hidden_layers", 24)})),
        norm{.kind = Norm::Kind::rms, .epsilon = c.section("text_config").real("rms_norm_eps", 1e-5)} {
    c.no_effect({"tie_word_embeddings", "vocab_size"});
    require_equal({"vision_feature_layer", static_cast<int64_t>(layers.size())},
                  {"one layer, for which the norm and the merger have weights", 1});
  }
  int64_t image_token;
  std::string activation;
  bool bias;
  int64_t merge, text_width, width, patch, channels;
  std::vector<std::string> layers;  // the step that is read
  Norm norm;
};

class Mistral3 final : public VisionLanguage {
 public:
  explicit Mistral3(const Request& request) : Mistral3(request, request.config.with_names(image_token_names)) {}

  std::vector<AxisSize> axis_sizes() const override {
    std::vector<AxisSize> sizes = sized().sizes();
    sizes.push_back({.axis = image_sequence, .usual = 2});
    return sizes;
  }
  std::vector<DummyTensor> generate_dummy_inputs(const DummyRequest& request) const override {
    std::vector<DummyTensor> made = VisionLanguage::generate_dummy_inputs(request);
    if (request.part.empty() || request.part == "vision_encoder") made.push_back(sized().dummies(request.sizes));
    return made;
  }

 private:
  Mistral3(const Request& request, const Config& config)
      : VisionLanguage(request, {.config = request.config.section("text_config"),
                                 .model_type = request.config.section("text_config").has("model_type") ? "" : "mistral",
                                 .image_token = Mistral3Config(config).image_token}),
        c(config),
        tower(request.config.section("vision_config"),
              {.model_type = request.config.section("vision_config").has("model_type") ? "" : "pixtral"}) {}

  SizedImages sized() const { return {.batch = images, .channels = c.channels, .step = c.patch * c.merge}; }
  std::vector<TensorSpec> image_inputs() const override { return sized().inputs(); }
  OutputSpec image_features() const override { return {"image_features", {{0, "image_sequence"}}}; }
  int64_t vectors_of(const std::map<std::string, int64_t>& sizes) const override { return sized().squares(sizes); }

  std::vector<Value> see(Graph& g, const Inputs& in) const override {
    Inputs given;
    for (const TensorSpec& spec : image_inputs()) given.emplace(spec.name, in.at(spec.name));
    const ComponentCall call{"", "vision_tower", "vision_", tower_prefixes(), c.layers};
    const Value seen = tower(g, call, given).at(c.layers[0]);  // f[1, patches, width], of all images in one row

    const Scope s =
        first_with("linear_1.weight", {g.root() / "multi_modal_projector", g.root() / "model.multi_modal_projector"});
    const Value patches = norm(s / "norm", squeeze(seen, {0}), c.norm);
    const Value merged = merge(s / "patch_merger", patches, in.at("image_sizes") / c.patch);
    const LinearOptions out{.out = c.text_width, .bias = c.bias};
    return {linear(s / "linear_2", activation(linear(s / "linear_1", merged, out), c.activation), out)};
  }

  /// merge² patches of an image become one: f[patches, width], sizes: i64[images, 2] in patches -> f[tokens, width].
  /// What is left over at the edges is dropped.
  Value merge(const Scope& s, const Value& patches, const Value& sizes) const {
    const Value area = pick(sizes, 1, 0) * pick(sizes, 1, 1);
    const Value source = patches_of_squares(s, {sizes.in(s), cumulative_sum(area, 0) - area, c.merge});
    // The patches of a square lie beside each other channel by channel.
    const Value beside = reshape(transpose(gather(patches, source), {0, 2, 1}), {0, c.merge * c.merge * c.width});
    return linear(s / "merging_layer", beside.in(s), {.out = c.width, .bias = false});
  }

  const Mistral3Config c;
  const Component tower;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.mistral3",
    .name = "Mistral 3",
    .models = {{.types = {"mistral3"},
                .features = {"default", "vision2seq-lm", "vision2seq-lm-with-past"},
                .make = make<Mistral3>}},
    .abi_minor_needed = 4,
})
