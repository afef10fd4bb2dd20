// SPDX-License-Identifier: Apache-2.0
// DPT's config. Source: DPTConfig, transformers 4.57 (configuration_dpt.py).
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <onnxport/families/backbones.hpp>
#include <onnxport/families/bit.hpp>
#include <onnxport/families/dpt.hpp>
#include <onnxport/families/vit.hpp>

namespace dpt {

using namespace onnxport::family;

inline DptNeckConfig neck_config(const Config& c, bool hybrid) {
  DptNeckConfig made(c, {});
  made.readout = c.choice("readout_type", "project", {"ignore", "add", "project"});
  made.activation = c.text("hidden_act", "gelu");
  made.batch_norm = c.boolean("use_batch_norm_in_fusion_residual", false);
  made.bias = c.boolean("use_bias_in_fusion_residual", !made.batch_norm);
  if (!hybrid) return made;
  if (made.readout != "project") {
    throw Error(ONNXPORT_UNSUPPORTED,
                "config field 'readout_type' is \"" + made.readout + "\" with is_hybrid; supported: project");
  }
  const std::vector<int64_t> ignored =
      c.has("neck_ignore_stages") ? c.integers("neck_ignore_stages") : std::vector<int64_t>{0, 1};
  if (ignored != std::vector<int64_t>{0, 1}) {
    throw Error(ONNXPORT_UNSUPPORTED,
                "config field 'neck_ignore_stages' does not name the two stages that a hybrid takes from its backbone; "
                "expected [0, 1]");
  }
  return made;
}

struct DptConfig {
  explicit DptConfig(const Config& c)
      : hybrid(c.boolean("is_hybrid", false)),
        hidden(c.size("hidden_size", 768)),
        pooled(c.size("pooler_output_size", hidden)),
        pooler_activation(c.text("pooler_act", "tanh")),
        projects(c.boolean("add_projection", false)) {
    // Of training, and of the model that the backbone's weights once came from.
    c.no_effect({"use_auxiliary_head", "auxiliary_loss_weight", "semantic_loss_ignore_index",
                 "semantic_classifier_dropout", "use_pretrained_backbone", "backbone_kwargs", "use_autobackbone"});
    const bool stated = c.has("backbone_config") || c.has("backbone") || c.boolean("use_timm_backbone", false);
    if (!hybrid && stated) {
      // Its own encoder's fields mean nothing then.
      c.no_effect({"num_hidden_layers", "num_attention_heads", "intermediate_size", "num_channels", "image_size",
                   "patch_size", "layer_norm_eps", "qkv_bias", "backbone_out_indices", "backbone_featmap_shape",
                   "neck_ignore_stages"});
      backbone = backbone_of(c, backbones, dinov2_backbone);
      return;
    }
    layers = c.count("num_hidden_layers", 12);
    heads = c.size("num_attention_heads", 12);
    inner = c.size("intermediate_size", 3072);
    channels = c.size("num_channels", 3);
    epsilon = c.real("layer_norm_eps", 1e-12);
    activation = c.text("hidden_act", "gelu");
    qkv_bias = c.boolean("qkv_bias", true);
    const Extent image = extent(c, "image_size", 384);
    patch = extent(c, "patch_size", 16);
    grid = Extent(image.height / patch.height, image.width / patch.width);
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    if (grid.area() == 0) throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than image_size");
    read = c.has("backbone_out_indices") ? c.integers("backbone_out_indices") : std::vector<int64_t>{2, 5, 8, 11};
    if (hybrid) {
      read_hybrid(c);
    } else {
      c.no_effect({"backbone_featmap_shape", "neck_ignore_stages"});
    }
    // In the order of the layers, and none that there is not.
    std::sort(read.begin(), read.end());
    std::erase_if(read, [&](int64_t i) { return i < 0 || i >= layers; });
  }

  TransformerLayer layer() const { return ViTLayer{hidden, heads, inner, activation, epsilon, qkv_bias}.form(); }

  bool hybrid;
  int64_t hidden, pooled;
  std::string pooler_activation;
  bool projects;                       // a convolution of 256 channels before the head
  onnxport::sdk::Backbone backbone{};  // in place of an encoder of its own
  int64_t layers = 0, heads = 0, inner = 0, channels = 0;
  double epsilon = 0;
  std::string activation{};
  bool qkv_bias = true;
  Extent patch = 1, grid = 1;
  std::vector<int64_t> read{};    // layers whose results the neck joins
  onnxport::sdk::Backbone bit{};  // of a hybrid, before its layers
  int64_t bit_width = 0;

 private:
  void read_hybrid(const Config& c) {
    const Config own = c.section("backbone_config");
    own.choice("model_type", "bit", {"bit"});
    const bool stated = c.has("backbone_config");
    const BitConfig config(own, stated ? BitDefaults{} : BitDefaults{{3, 4, 9}, "bottleneck", "same", true});
    bit = bit_backbone_of(
        config, stated ? onnxport::sdk::stages_read(own, config.depths.size()) : std::vector<size_t>{1, 2, 3});
    const std::vector<int64_t> shape = c.integers("backbone_featmap_shape");
    bit_width = shape.size() == 4 ? shape[1] : 1024;
    // The first two of the neck's stages are the backbone's.
    if (read.size() > 2) read.erase(read.begin(), read.begin() + 2);
  }
};

}  // namespace dpt
