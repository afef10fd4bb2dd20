// SPDX-License-Identifier: Apache-2.0
// What BLIP reads with: a BERT whose layers may look at the image. Source: BlipTextModel, transformers 4.57
// (modeling_blip_text.py).
#pragma once

#include <string>
#include <vector>

#include <onnxport/families/bert.hpp>
#include <onnxport/families/blip.hpp>

namespace onnxport::family {

/// BERT without segments. A config that says is_decoder gives every layer an attention to an image; whether tokens see
/// those behind them is the model's own matter.
struct BlipText : BertEncoder {
  explicit BlipText(const Config& c)
      : BertEncoder(c, {.vocab = 30524, .heads = 8, .relative = false}), looks(c.boolean("is_decoder", true)) {
    c.no_effect({"encoder_hidden_size", "projection_dim", "bos_token_id", "eos_token_id", "pad_token_id",
                 "sep_token_id", "label_smoothing", "use_cache", "type_vocab_size"});
  }

  struct Reading {
    bool causal = false;
    OverEncoder over{};  ///< what the text is read beside; absent: the text alone
    Value places{};      ///< i64[sequence] of the ids; absent: 0, 1, …
    Cache* cache = nullptr;
  };
  /// -> f[batch, sequence, hidden]
  Value operator()(const Scope& model, const Text& text, const Reading& how, const std::string& steps = {}) const {
    const bool alone = how.cache == nullptr && !how.over.hidden;
    if (!alone && !looks) {
      throw Error(ONNXPORT_CONFIG,
                  "config field 'text_config.is_decoder' is false; expected true, since without it no layer attends to "
                  "the image",
                  model.path());
    }
    if (alone) model.graph().unused("*" + (model / "encoder.layer").path() + ".*.crossattention.*");
    TransformerLayer form = layer();
    form.attention.causal = how.causal;
    if (!alone)
      form.cross = CrossAttention{"crossattention",
                                  form.attention,
                                  {Placement::after, {.epsilon = epsilon}, "crossattention.output.LayerNorm"}};
    Cache once({}, kept_over_image(), false);
    const Attended given{.mask = text.mask, .cache = how.cache == nullptr ? &once : how.cache, .encoder = how.over};
    return transformer_layers(model / "encoder.layer", embed(model / "embeddings", text.ids, how.places),
                              {.count = layers, .layer = [&](int64_t) { return form; }, .steps = steps}, given);
  }

  bool looks;

 private:
  /// What an attention to the image makes, where no step follows.
  std::vector<State> kept_over_image() const {
    std::vector<State> all;
    for (int64_t i = 0; i < layers; ++i) {
      for (const char* kind : {".encoder.key", ".encoder.value"}) all.push_back(cached(std::to_string(i) + kind, {}));
    }
    return all;
  }

  Value embed(const Scope& s, const Value& ids, const Value& places) const {
    s.graph().unused("*" + (s / "position_ids").path());
    const Scope positions = s / "position_embeddings";
    const Value placed = places ? embedding(positions, places, {max_positions, hidden})
                                : first_rows(positions.weight("weight", {max_positions, hidden}), size_of(ids, 1));
    const Value x = embedding(s / "word_embeddings", ids, {vocab, hidden}) + placed;
    return norm(s / "LayerNorm", x, {.epsilon = epsilon});
  }
};

}  // namespace onnxport::family
