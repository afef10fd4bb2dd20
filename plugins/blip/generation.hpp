// SPDX-License-Identifier: Apache-2.0
// BLIP's decoder, which tells of an image or answers a question about it. Source: BlipForConditionalGeneration and
// BlipForQuestionAnswering, transformers 4.57 (modeling_blip.py), BlipTextLMHeadModel (modeling_blip_text.py).
#pragma once

#include <onnxport/seq2seq.hpp>

#include "text_tower.hpp"

namespace onnxport::family {

/// Fields of BlipConfig that only training reads, and those of other classes.
inline void skip_fields_of_others(const Config& c) {
  c.no_effect({"image_text_hidden_size", "projection_dim", "logit_scale_init_value", "initializer_factor",
               "label_smoothing", "tie_word_embeddings"});
}

/// Without a question the encoder is the tower of images. With one it is the question, read beside the image. The
/// decoder attends to all of it, padding included, as the original does.
class BlipGenerator final : public OnnxSeq2SeqConfigWithPast {
 public:
  explicit BlipGenerator(const Request& request)
      : OnnxSeq2SeqConfigWithPast(request),
        image(tower_config(request.config, "vision_config")),
        text(tower_config(request.config, "text_config")),
        tied(tie_of(request.config, text)) {
    skip_fields_of_others(request.config);
  }

  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return text.max_positions; }
  std::vector<AxisSize> axis_sizes() const override { return image.sizes(); }
  int64_t vocab_size() const override { return text.vocab; }
  int64_t encoder_width() const override { return asks() ? text.hidden : image.hidden; }
  int64_t num_layers() const override { return text.layers; }
  int64_t num_attention_heads() const override { return text.heads; }
  int64_t head_size() const override { return text.hidden / text.heads; }

  bool masks_decoder() const override { return true; }

  std::vector<TensorSpec> encoder_inputs() const override {
    if (!asks()) return {pixel_values()};
    const std::vector<Dim> shape{axis::batch, axis::sequence};
    return {input::ids("input_ids", shape, text.vocab), input::mask("attention_mask", shape, {.of = "input_ids"}),
            pixel_values()};
  }
  Value encode(Graph& g, const Inputs& in) const override {
    const Scope tower = g.root() / "vision_model";
    const Value seen = image(tower, in.at("pixel_values"), "encoder_");
    if (g.wants("pooler_output")) g.mark("pooler_output", image.pool(tower, seen));
    if (!asks()) return seen;
    return text(g.root() / "text_encoder", {in.at("input_ids"), in.at("attention_mask")}, {.over = {.hidden = seen}},
                "question_");
  }
  Value decode(Graph& g, const DecoderStep& step, Cache& cache) const override {
    const Scope decoder = g.root() / "text_decoder";
    if (tied) g.stand_in(decoder / "bert.embeddings.word_embeddings", decoder / "cls.predictions.decoder");
    return text(g.root() / "text_decoder.bert", {step.ids, step.mask},
                {.causal = true,
                 .over = {.hidden = step.encoder_hidden},
                 .places = decoder_places(step, cache),
                 .cache = &cache},
                "decoder_");
  }
  Heads heads() const override {
    const auto words = [this](const Encoded& at) { return scores_of_words(at); };
    return {head::logits("vision2seq-lm", words), head::logits("visual-question-answering", words)};
  }

 protected:
  std::vector<OutputSpec> decoder_outputs() const override {
    return {{"logits", {{0, axis::batch}, {1, axis::decoder_sequence}}}};
  }

 private:
  /// Whether the decoder's table scores the words, too, is said in its own config; since version 5 that of the whole
  /// may say it as well.
  static Tie tie_of(const Config& c, const BlipText& text) {
    const Tie stated = c.tie(true);
    return {text.tied.by_config || (stated.unless_saved && stated.by_config), stated.unless_saved};
  }
  bool asks() const { return task() == "visual-question-answering"; }

  Value scores_of_words(const Encoded& at) const {
    const Scope decoder = at.base.graph().root() / "text_decoder";
    MaskedLmHeadOptions head = text.words().head;
    head.own_bias = tied.unless_saved;
    if (tied.holds_for(decoder / "cls.predictions.decoder")) head.tied = decoder / "bert.embeddings.word_embeddings";
    return masked_lm_head(decoder / "cls.predictions", at.hidden, head);
  }

  const BlipImageTower image;
  const BlipText text;
  const Tie tied;
};

}  // namespace onnxport::family
