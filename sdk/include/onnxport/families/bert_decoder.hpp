// SPDX-License-Identifier: Apache-2.0
// BERT and its relatives as decoders: with a past, and with attention to an encoder where they are part of a larger
// model. Source: BertLMHeadModel and RobertaForCausalLM, transformers 4.57 and 5.24.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <utility>

#include <onnxport/families/bert.hpp>
#include <onnxport/families/roberta.hpp>

namespace onnxport::family {

/// BERT's layers looking back.
class BertDecoder : public TextDecoder {
 public:
  /// `base` is the base model's name within the models with a head.
  BertDecoder(const Request& request, std::string base, const BertDefaults& defaults = {})
      : TextDecoder(request),
        bert(request.config, defaults),
        base_(std::move(base)),
        encoder_width_(width_over_encoder(request)) {
    require_looking_back(bert.is_decoder || encoder_width_ > 0, "'is_decoder' is false");
    if (bert.relative && use_past()) {
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'position_embedding_type' is \"" + bert.relative.type +
                                            "\", whose distances do not reach into a past; export the feature " +
                                            task());
    }
  }

  int64_t num_layers() const override { return bert.layers; }
  int64_t num_attention_heads() const override { return bert.heads; }
  int64_t head_size() const override { return bert.hidden / bert.heads; }
  Positions positions_in_generation() const override { return Positions::mask; }  // they are learnt
  Heads heads() const override {
    return {head::logits("causal-lm", [this](const Encoded& at) { return word_scores(words(), at); })};
  }

 protected:
  virtual WordsHead words() const { return bert.words(); }
  /// i64[batch or 1, sequence]
  virtual Value places(const Inputs& in, const Cache&) const { return position_ids(in); }

  /// What a relative does otherwise below the base model: what its layers read, how they are arranged, where what an
  /// encoder yields is attended to, and the layers with what stands before or behind them.
  virtual Value embedded(const Scope& s, const BertEncoder::Embedded& in) const {
    return bert.embed(s / "embeddings", in);
  }
  virtual TransformerLayer layer() const { return bert.layer(); }
  virtual Residual cross_branch() const {
    return {Placement::after, {.epsilon = bert.epsilon}, "crossattention.output.LayerNorm"};
  }
  virtual Value encode(const Scope& s, const Value& x, const BertEncoder::Layers& how) const {
    return bert.encode(s / "encoder", x, how);
  }

  TextDecoderTraits traits() const override {
    return {.base = base_,
            .vocab = bert.vocab,
            .max_positions = bert.max_positions,
            .words = "",
            .classes = "",
            .token_classes = "",
            .encoder_width = encoder_width_};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    s.graph().unused("*embeddings.position_ids");
    s.graph().unused((s / "pooler").path() + ".*");
    TransformerLayer layer = this->layer();
    layer.attention.causal = true;
    if (encoder_width_ > 0) {
      layer.cross = {"crossattention", layer.attention, cross_branch()};
    } else {
      s.graph().unused("*.crossattention.*");  // without an encoder it has nothing to attend to
    }
    either_table_kept(words(), s);
    Attended given = bert.attended({.ids = in.at("input_ids"), .mask = in.at("attention_mask")});
    given.cache = &cache;
    given.encoder = over_encoder(in);
    const Value x = embedded(s, {.ids = in.at("input_ids"), .positions = places(in, cache)});
    return encode(s, x, {layer, given});
  }

  const BertEncoder bert;

 private:
  std::string base_;
  int64_t encoder_width_;
};

/// RoBERTa's, which by itself counts the tokens that are no padding, behind the place of padding. Where it generates
/// text and is no part of a larger model it is told positions, as BERT is, and these begin at 0.
class RobertaDecoder : public BertDecoder {
 public:
  RobertaDecoder(const Request& request, const RobertaTextEncoder::Traits& traits, const BertDefaults& defaults = {})
      : BertDecoder(request, traits.base, defaults),
        padding(request.config.integer("pad_token_id", traits.padding)),
        by_itself(width_over_encoder(request) == 0) {}

  Positions positions_in_generation() const override { return by_itself ? Positions::mask : Positions::sequence; }

 protected:
  TextDecoderTraits traits() const override {
    TextDecoderTraits t = BertDecoder::traits();
    if (positions() == Positions::sequence) t.max_positions = bert.max_positions - 1 - padding;
    return t;
  }
  WordsHead words() const override {
    return *RobertaHeads{bert.hidden, bert.vocab, bert.epsilon, bert.tied, 2}.rows().masked_lm;
  }
  Value places(const Inputs& in, const Cache& cache) const override {
    if (positions() != Positions::sequence) return position_ids(in);
    const Value ids = in.at("input_ids"), past = cache.past_length();
    if (!past) return positions_past_padding(ids, padding);
    Graph& g = ids.graph();
    const Value counts = cast(logical_not(equal(ids, padding)), DType::i64);
    return (cumulative_sum(counts, 1) + past) * counts + g.integer(padding);
  }

  const int64_t padding;
  const bool by_itself;
};

/// Whether a request is for such a decoder and not for the encoder with a head.
inline bool asks_for_decoder(const Request& request) {
  return request.feature.ends_with("-with-past") || request.options.has("encoder_hidden_states");
}

/// The one of the two that a request is for.
template <class Encoder, class Decoder>
std::unique_ptr<OnnxConfig> make_encoder_or_decoder(const Request& request) {
  return asks_for_decoder(request) ? make<Decoder>(request) : make<Encoder>(request);
}

}  // namespace onnxport::family
