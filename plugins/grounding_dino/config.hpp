// SPDX-License-Identifier: Apache-2.0
// The fields of Grounding DINO's config.json, and what tells its relatives apart.
// Source: GroundingDinoConfig and MMGroundingDinoConfig, transformers 4.57 and 5.24.
#pragma once

#include <string>

#include <onnxport/families/backbones.hpp>
#include <onnxport/families/bert.hpp>
#include <onnxport/families/deformable_detr.hpp>

namespace onnxport::grounding_dino {

using namespace onnxport::family;

/// What tells one from the other.
struct Relative {
  std::string_view type;
  bool scaled = false;  ///< likeness is divided by the root of the width, and a learnt number is added
};
inline constexpr Relative relatives[] = {{"grounding-dino"}, {"mm-grounding-dino", true}};

struct GroundingDinoConfig {
  GroundingDinoConfig(const Config& c, const Relative& relative)
      : levels(c.size("num_feature_levels", 4)),
        backbone(backbone_of(c, backbones, swin_of_detector)),
        text(text_config(c)),
        width(c.size("d_model", 256)),
        encoder(c, "encoder_", 2048),
        decoder(c, "decoder_", 2048),
        activation(c.text("activation_function", "relu")),
        norm{.epsilon = c.real("layer_norm_eps", 1e-5)},
        positions{.width = width,
                  .learnt = c.choice("position_embedding_type", "sine", {"sine", "learned"}) == "learned",
                  .temperature = c.real("positional_embedding_temperature", 20)},
        queries(c.size("num_queries", 900)),
        tokens(c.size("max_text_len", 256)),
        tied(c.boolean("tie_word_embeddings", true) || !c.written_since(5, 0)),
        one_mover(shared(c, "decoder_bbox_embed_share", relative)),
        one_scorer(shared(c, "decoder_cls_embed_share", relative)) {
    // Of training; and what is shared between the heads of both stages, which the original leaves apart.
    c.no_effect({"auxiliary_loss", "class_cost", "bbox_cost", "giou_cost", "bbox_loss_coefficient",
                 "giou_loss_coefficient", "focal_alpha", "disable_custom_kernels", "fusion_droppath", "init_std",
                 "is_encoder_decoder", "two_stage_bbox_embed_share"});
    require_multiple({"d_model", width}, {"encoder_attention_heads", encoder.heads});
    require_multiple({"d_model", width}, {"decoder_attention_heads", decoder.heads});
    require_multiple({"d_model", width}, {"groups of a norm", 32});
    if (encoder.heads < 2) {
      throw Error(ONNXPORT_CONFIG,
                  "config field 'encoder_attention_heads' is 1; expected 2 at the least, of which a "
                  "text has half");
    }
    require_multiple({"d_model", width}, {"half of encoder_attention_heads", encoder.heads / 2});
    require_multiple({"half of encoder_ffn_dim", encoder.inner / 2},
                     {"half of encoder_attention_heads", encoder.heads / 2});
    if (c.size("query_dim", 4) != 4) {
      throw Error(ONNXPORT_CONFIG, "config field 'query_dim' is " + std::to_string(c.size("query_dim", 4)) +
                                       "; expected 4, the numbers of a box, as the original takes no other");
    }
    if (!c.boolean("embedding_init_target", true)) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'embedding_init_target' is false, with which the original fails; "
                  "expected true: queries begin as learnt vectors");
    }
    if (!c.boolean("two_stage", true)) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'two_stage' is false, with which the original class cannot be made; expected true: "
                  "queries begin at places of the image");
    }
  }
  int64_t levels;
  Backbone backbone;
  BertEncoder text;
  int64_t width;
  DeformableSide encoder, decoder;
  std::string activation;
  Norm norm;
  ImagePositions positions;
  int64_t queries;
  int64_t tokens;   // the most that a prompt has
  bool tied;        // what moves boxes between layers also moves them behind the last one
  bool one_mover;   // of boxes, for all layers, unless a checkpoint has several
  bool one_scorer;  // the same of scores

 private:
  // Version 4 keeps the heads of MM Grounding DINO apart.
  bool shared(const Config& c, const char* field, const Relative& relative) const {
    return c.boolean(field, true) && tied && !(relative.scaled && c.written_before(5, 0));
  }
  static BertEncoder text_config(const Config& c) {
    const Config own = c.section("text_config");
    own.choice("model_type", "bert", {"bert"});
    if (own.boolean("is_decoder", false)) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'text_config.is_decoder' is true; expected a BERT that sees the "
                  "tokens of a phrase in both directions");
    }
    return BertEncoder(own);
  }
};

}  // namespace onnxport::grounding_dino
