// SPDX-License-Identifier: Apache-2.0
// What SpeechT5 makes vectors of speech and of text with, before and within its encoder.
// Source: SpeechT5EncoderWithSpeechPrenet and SpeechT5EncoderWithTextPrenet, transformers 4.57.
#pragma once

#include "transformer.hpp"

namespace speecht5 {

inline constexpr const char* samples = "samples";

/// What a decoder attends to.
struct Reading {
  Value hidden;  ///< f[batch, encoder_sequence, hidden]
  Value mask;    ///< i64[batch, encoder_sequence], 1 where a place counts
};

/// x with the sines and cosines of its places by a learnt factor: f[batch, n, hidden] -> the same. Weight: alpha f[].
/// Source: SpeechT5ScaledPositionalEncoding.
inline Value with_places(const Scope& s, const Value& x) {
  const Value places = paired_sinusoids(range(size_of(x, 1)).in(s), x.fixed(2));
  return x + (places * s.weight("alpha", {})).in(s.parent());
}

struct TextReader {
  const Transformer& model;

  std::vector<TensorSpec> inputs() const {
    const std::vector<Dim> shape{axis::batch, axis::encoder_sequence};
    return {input::ids("input_ids", shape, model.c.vocab), input::mask("attention_mask", shape, {.of = "input_ids"})};
  }
  Reading encode(const Scope& s, const Inputs& in) const {
    const Scope prenet = s / "prenet";
    const Value x = embedding(prenet / "embed_tokens", in.at("input_ids"), {model.c.vocab, model.c.hidden});
    const Value mask = in.at("attention_mask");
    return {model.encode(s / "wrapped_encoder", with_places(prenet / "encode_positions", x), mask), mask};
  }
};

struct SpeechReader {
  const Transformer& model;

  std::vector<TensorSpec> inputs() const {
    return {input::waveform("input_values", {axis::batch, samples}),
            input::mask("attention_mask", {axis::batch, samples}, {.of = "input_values"})};
  }
  AxisSize size() const {
    const auto windows = model.c.front.windows();
    return {.axis = samples, .usual = length_before(12, windows), .minimum = length_before(1, windows)};
  }
  /// A recording's samples are followed by padding. Of too few samples, places are counted from the last one back:
  /// i64[batch, samples] -> i64[batch, length].
  Value mask_of_result(const Value& mask, const Value& length) const {
    Graph& g = mask.graph();
    const Value counted = length_behind(sum(mask, {1}), model.c.front.windows());
    const Value is_none = g.op("Less", {counted, g.integer(1)});
    return mask_of_lengths(where(is_none, counted + length, counted), length);
  }
  Reading encode(const Scope& s, const Inputs& in) const {
    const SpeechT5Config& c = model.c;
    const Scope prenet = s / "prenet";
    Graph& g = s.graph();
    g.unused((prenet / "masked_spec_embed").path());
    const Value made = front_end(prenet / "feature_encoder", in.at("input_values").in(prenet), c.front).in(prenet);
    const Scope projection = prenet / "feature_projection";
    const Value normed = norm(projection / "layer_norm", made, model.norm_form());
    Value x = linear(projection / "projection", normed, {.out = c.hidden}).in(prenet);
    const Value mask = mask_of_result(in.at("attention_mask"), size_of(x, 1));
    const Value around = positional_convolution(prenet / "pos_conv_embed", transpose(x, {0, 2, 1}), c.around);
    x = x + transpose(around.in(prenet), {0, 2, 1});
    // The original numbers what it finds no padding token in, where the text is 0 for a place that counts and 1 for
    // one of padding.
    x = x + counted_sinusoids(prenet / "pos_sinusoidal_embed", g.integer(1) - mask, {c.hidden, c.padding});
    return {model.encode(s / "wrapped_encoder", x, mask), mask};
  }
};

}  // namespace speecht5
