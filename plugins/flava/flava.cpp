// SPDX-License-Identifier: Apache-2.0
// FLAVA: an image, a text, and both together, each in an encoder of its own. Source: FlavaModel, FlavaImageModel and
// FlavaTextModel, transformers 4.57 (modeling_flava.py).
#include "encoders.hpp"

using namespace onnxport::family;

namespace {

constexpr const char* places = "places";

/// One of the encoders alone: its states, and what it pools of them.
class OneEncoder : public OnnxConfig {
 public:
  using OnnxConfig::OnnxConfig;

  double atol_for_validation() const override { return 1e-4; }
  std::vector<OutputSpec> outputs() const override {
    return {{"last_hidden_state", {{0, axis::batch}, {1, length()}}}, {"pooler_output", {{0, axis::batch}}}};
  }

 protected:
  /// What the axis of its states is called.
  virtual const char* length() const { return places; }
};

class FlavaImageOnly final : public OneEncoder {
 public:
  explicit FlavaImageOnly(const Request& request) : OneEncoder(request), image(request.config) {}

  std::vector<AxisSize> axis_sizes() const override { return image.sizes(); }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  Outputs forward(Graph& g, const Inputs& in) const override {
    const Value hidden = image(g.root(), in.at("pixel_values")).normed;
    return {{"last_hidden_state", hidden}, {"pooler_output", image.pool(g.root(), hidden)}};
  }

 private:
  const FlavaImage image;
};

class FlavaTextOnly final : public OneEncoder {
 public:
  explicit FlavaTextOnly(const Request& request) : OneEncoder(request), text(request.config) {}

  int64_t max_positions() const override { return text.bert.max_positions; }
  std::vector<TensorSpec> inputs() const override { return text.inputs(); }
  Outputs forward(Graph& g, const Inputs& in) const override {
    const Value hidden = text(g.root(), {in.at("input_ids"), in.at("attention_mask"), in.at("token_type_ids")}).normed;
    return {{"last_hidden_state", hidden}, {"pooler_output", text.pool(g.root(), hidden)}};
  }

 private:
  const char* length() const override { return axis::sequence; }
  const FlavaText text;
};

/// All three: what each yields.
class Flava final : public OnnxConfig {
 public:
  explicit Flava(const Request& request)
      : OnnxConfig(request),
        image(request.config.section("image_config")),
        text(request.config.section("text_config")),
        both(request.config.section("multimodal_config")) {
    // Of pretraining.
    request.config.no_effect({"hidden_size", "layer_norm_eps", "projection_dim", "init_codebook",
                              "logit_scale_init_value", "initializer_factor", "ce_ignore_index", "mim_weight",
                              "mlm_weight", "global_contrastive_weight", "itm_weight", "mmm_image_weight",
                              "mmm_text_weight", "global_backprop_contrastive", "skip_unmasked_multimodal_encoder",
                              "return_loss", "tie_word_embeddings", "image_codebook_config"});
  }

  std::string base_model_prefix() const override { return "flava"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return text.bert.max_positions; }
  std::vector<AxisSize> axis_sizes() const override { return image.sizes(); }
  std::vector<TensorSpec> inputs() const override {
    std::vector<TensorSpec> specs = text.inputs();
    specs.insert(specs.begin() + 1, pixel_values());
    return specs;
  }
  std::vector<OutputSpec> outputs() const override {
    return {{"image_embeddings", {{0, axis::batch}, {1, "patches"}}},
            {"text_embeddings", {{0, axis::batch}, {1, axis::sequence}}},
            {"multimodal_embeddings", {{0, axis::batch}, {1, places}}}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope root = g.root();
    for (const char* of_contrast : {"image_projection.*", "text_projection.*", "logit_scale", "*.pooler.*"})
      g.unused(of_contrast);
    const Value mask = in.at("attention_mask");
    const auto seen = image(root / "image_model", in.at("pixel_values"), "image_");
    const auto read = text(root / "text_model", {in.at("input_ids"), mask, in.at("token_type_ids")}, "text_");
    // The third reads what the other two come to before their norms.
    const auto widen = [&](const char* layer, const Value& x) {
      return linear(root / layer, x, {.out = both.hidden()});
    };
    const Value x = concat({widen("image_to_mm_projection", seen.raw), widen("text_to_mm_projection", read.raw)}, 1);
    const Value always = g.op("Expand", {g.integers({1}), shape_of(seen.raw, 0, 2)});
    const auto joined = both(root / "multimodal_model", x, concat({always, mask}, 1));
    return {
        {"image_embeddings", seen.normed}, {"text_embeddings", read.normed}, {"multimodal_embeddings", joined.normed}};
  }

 private:
  const FlavaImage image;
  const FlavaText text;
  const FlavaBoth both;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.flava",
    .name = "FLAVA",
    .models =
        {{.types = {"flava"},
          .features = {"default"},
          .known_gaps = {{.architecture = "FlavaForPreTraining",
                          .reason = "the heads and the codebook of pretraining are not defined; the base model of "
                                    "such a checkpoint is"}},
          .make = make<Flava>},
         {.types = {"flava_image_model"}, .features = {"default"}, .make = make<FlavaImageOnly>},
         {.types = {"flava_text_model"}, .features = {"default"}, .make = make<FlavaTextOnly>}},
})
