// SPDX-License-Identifier: Apache-2.0
// SpeechT5's config and the transformer that its models have in common, between what makes vectors of speech or text
// and what makes speech or text of vectors. Source: SpeechT5Config, SpeechT5Encoder and SpeechT5Decoder,
// transformers 4.30, 4.57 and 5.24.
#pragma once

#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/wav2vec2.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/sinusoids.hpp>

namespace speecht5 {

using namespace onnxport::sdk;
using onnxport::family::FrontEnd;
using onnxport::family::PositionalConvolution;

/// Numbers of linear layers or convolutions in a row, and how wide they are.
struct Net {
  int64_t layers, units;
};

struct SpeechT5Config {
  explicit SpeechT5Config(const Config& c)
      : vocab(c.size("vocab_size", 81)),
        hidden(c.size("hidden_size", 768)),
        encoder{c.count("encoder_layers", 12), c.size("encoder_attention_heads", 12), c.size("encoder_ffn_dim", 3072)},
        decoder{c.count("decoder_layers", 6), c.size("decoder_attention_heads", 12), c.size("decoder_ffn_dim", 3072)},
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-5)),
        farthest(c.size("encoder_max_relative_position", 160)),
        padding(c.integer("pad_token_id", 1)),
        scale(c.boolean("scale_embedding", false) ? std::sqrt(static_cast<double>(hidden)) : 1.0),
        tied(c.tie(true)),
        front(c),
        around{.kernel = c.size("num_conv_pos_embeddings", 128),
               .groups = c.size("num_conv_pos_embedding_groups", 16),
               .activation = front.activation},
        mels(c.size("num_mel_bins", 80)),
        prenet{c.count("speech_decoder_prenet_layers", 2), c.size("speech_decoder_prenet_units", 256)},
        dropped(c.real("speech_decoder_prenet_dropout", 0.5)),
        voice(c.size("speaker_embedding_dim", 512)),
        postnet{c.size("speech_decoder_postnet_layers", 5), c.size("speech_decoder_postnet_units", 256)},
        kernel(c.size("speech_decoder_postnet_kernel", 5)),
        reduction(c.size("reduction_factor", 2)),
        speech_positions(c.size("max_speech_positions", 4000)),
        text_positions(c.size("max_text_positions", 450)) {
    require_multiple({"hidden_size", hidden}, {"encoder_attention_heads", encoder.heads});
    require_multiple({"hidden_size", hidden}, {"decoder_attention_heads", decoder.heads});
    require_multiple({"hidden_size", hidden}, {"the sines and cosines of a place", 2});
    // Of training.
    c.no_effect({"encoder_layerdrop",
                 "decoder_layerdrop",
                 "positional_dropout",
                 "hidden_dropout",
                 "attention_dropout",
                 "activation_dropout",
                 "feat_proj_dropout",
                 "apply_spec_augment",
                 "mask_time_prob",
                 "mask_time_length",
                 "mask_time_min_masks",
                 "mask_feature_prob",
                 "mask_feature_length",
                 "mask_feature_min_masks",
                 "speech_decoder_postnet_dropout",
                 "use_guided_attention_loss",
                 "guided_attention_loss_num_heads",
                 "guided_attention_loss_sigma",
                 "guided_attention_loss_scale",
                 "initializer_range"});
  }
  struct Side {
    int64_t layers, heads, inner;
  };

  int64_t vocab, hidden;
  Side encoder, decoder;
  std::string activation;
  double epsilon;
  int64_t farthest;  // how far apart two places are told apart
  int64_t padding;
  double scale;
  Tie tied;
  FrontEnd front;  // samples to frames
  PositionalConvolution around;
  int64_t mels;
  Net prenet;      // of a spectrogram that was made so far
  double dropped;  // whose results are dropped by chance, when generating as well
  int64_t voice;
  Net postnet;  // mends a spectrogram
  int64_t kernel, reduction;
  int64_t speech_positions, text_positions;
};

struct Transformer {
  explicit Transformer(const Config& config)
      : c(config.with_names(
            {{"encoder_attention_heads", "num_attention_heads"}, {"encoder_layers", "num_hidden_layers"}})) {}
  const SpeechT5Config c;

  Norm norm_form() const { return {.epsilon = c.epsilon}; }

  // x: f[batch, n, hidden], mask: i64[batch, n] -> f[batch, n, hidden]
  Value encode(const Scope& s, const Value& x, const Value& mask) const {
    Attended given{.mask = mask};
    // Scores by how far apart two places are, against a vector for each distance, which all layers share.
    const Value table = distance_vectors(s / "embed_positions", x);
    given.scores = [this, table](const Scope& attention, const QueryKeyValue& made) {
      const double by = 1 / std::sqrt(static_cast<double>(c.hidden / c.encoder.heads));
      return einsum("bhld,lrd->bhlr", {split_heads(made.query.in(attention), c.encoder.heads), table}) * by;
    };
    TransformerLayer form = layer(c.encoder, "attention", "layer_norm");
    const Value y = transformer_layers(s / "layers", norm(s / "layer_norm", x, norm_form()),
                                       {c.encoder.layers, [&](int64_t) { return form; }, "encoder_"}, given);
    return s.graph().mark("encoder_hidden_states." + std::to_string(c.encoder.layers), y);
  }

  // x: f[batch, decoder_sequence, hidden] -> the same
  Value decode(const Scope& s, const Value& x, const Attended& given) const {
    TransformerLayer form = layer(c.decoder, "self_attn", "self_attn_layer_norm");
    form.cross = {"encoder_attn", form.attention, {Placement::after, norm_form(), "encoder_attn_layer_norm"}};
    form.attention.causal = true;
    const Value y =
        transformer_layers(s / "layers", x, {c.decoder.layers, [&](int64_t) { return form; }, "decoder_"}, given);
    return s.graph().mark("decoder_hidden_states." + std::to_string(c.decoder.layers), y);
  }

 private:
  // f[n, n, head size]. Source: SpeechT5RelativePositionalEncoding.
  Value distance_vectors(const Scope& s, const Value& x) const {
    Graph& g = s.graph();
    const Value places = range(size_of(x, 1)).in(s);
    const Value apart = unsqueeze(places, {1}) - unsqueeze(places, {0});
    const Value told = g.op("Max", {g.op("Min", {apart, g.integer(c.farthest - 1)}), g.integer(-c.farthest)});
    return embedding(s / "pe_k", told + g.integer(c.farthest), {2 * c.farthest, c.hidden / c.encoder.heads});
  }

  TransformerLayer layer(const SpeechT5Config::Side& side, const char* attention, const char* normed) const {
    return {.attention_at = attention,
            .feed_forward_at = "feed_forward",
            .attention = {.heads = side.heads,
                          .head_size = c.hidden / side.heads,
                          .projections = {.output = "out_proj", .bias = all_biased}},
            .feed_forward = {.inner = side.inner,
                             .activation = c.activation,
                             .up = "intermediate_dense",
                             .down = "output_dense",
                             .bias = true},
            .attention_branch = {Placement::after, norm_form(), normed},
            .feed_forward_branch = {Placement::after, norm_form(), "final_layer_norm"}};
  }
};

}  // namespace speecht5
