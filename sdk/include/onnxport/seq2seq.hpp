// SPDX-License-Identifier: Apache-2.0
// Encoder and decoder: OnnxSeq2SeqConfigWithPast. A plugin says how each of the two computes and what the heads are;
// the graphs of every layout are put together here.
#pragma once

#include <string>
#include <vector>

#include <onnxport/with_past.hpp>

namespace onnxport::sdk {

/// What a decoder is called with.
struct DecoderStep {
  Value ids;             ///< i64[batch, decoder_sequence]
  Value mask;            ///< i64[batch, past + decoder_sequence], 1 where a token counts; absent: all do
  Value encoder_hidden;  ///< f32[batch, encoder_sequence, hidden]; absent where the cache holds what is made of it
  Value encoder_mask;    ///< i64[batch, encoder_sequence]
};

/// An encoder and a decoder, in one graph or in several, with both caches.
class OnnxSeq2SeqConfigWithPast : public OnnxConfigWithPast {
 public:
  explicit OnnxSeq2SeqConfigWithPast(const Request& request) : OnnxConfigWithPast(request, Positions::sequence) {}

  /// Sizes of the two vocabularies, and the width of what the encoder yields.
  virtual int64_t vocab_size() const = 0;
  virtual int64_t decoder_vocab_size() const { return vocab_size(); }
  virtual int64_t encoder_width() const = 0;
  /// The decoder's axis in the one graph: another one's name where both sides must be equally long.
  virtual const char* decoder_axis() const { return axis::decoder_sequence; }

  /// ids, mask: i64[batch, encoder_sequence] -> f32[batch, encoder_sequence, width].
  virtual Value encode(Graph& graph, const Value& ids, const Value& mask) const = 0;
  /// -> f32[batch, decoder_sequence, width]. Attends through `cache`, to the encoder with over_encoder().
  virtual Value decode(Graph& graph, const DecoderStep& step, Cache& cache) const = 0;
  /// What the feature puts out of the decoder's result; the caches are not its business.
  virtual Outputs head(Graph& graph, const Value& decoded, const Inputs& inputs) const = 0;

  /// One graph with the inputs of transformers.onnx. A cached step takes what was made of the encoder's result from
  /// past_key_values, and the encoder does not run.
  std::vector<TensorSpec> inputs() const override {
    const char* seen = use_past() ? axis::past_and_decoder : decoder_axis();
    std::vector<TensorSpec> specs{
        {"input_ids", DType::i64, {axis::batch, axis::encoder_sequence}, vocab_size()},
        {"attention_mask", DType::i64, {axis::batch, axis::encoder_sequence}},
        {"decoder_input_ids", DType::i64, {axis::batch, decoder_axis()}, decoder_vocab_size()},
        {"decoder_attention_mask", DType::i64, {axis::batch, seen}}};
    if (use_past()) fill_with_past_key_values_(specs);
    return specs;
  }
  std::vector<OutputSpec> outputs() const override {
    std::vector<OutputSpec> specs = decoder_outputs();
    if (use_past()) fill_with_past_key_values_(specs);
    return specs;
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    DecoderStep step{in.at("decoder_input_ids"), in.at("decoder_attention_mask"), {}, in.at("attention_mask")};
    if (!use_past() || g.wants("encoder_last_hidden_state"))
      step.encoder_hidden = g.mark("encoder_last_hidden_state", encode(g, in.at("input_ids"), step.encoder_mask));
    Cache cache(in, own, cross);
    return with_present(head(g, decode(g, step, cache), in), cache);
  }

  /// encoder, decoder and, with a past, decoder_with_past: names of files, inputs and outputs as of optimum 2.
  std::vector<Part> parts() const override {
    std::vector<Part> all{encoder_part(), decoder_part(false)};
    if (use_past()) all.push_back(decoder_part(true));
    return all;
  }

  /// past_key_values.{i}.decoder.key|value, then .encoder.key|value, layer by layer.
  void fill_with_past_key_values_(std::vector<TensorSpec>& specs) const {
    for_each_cache("past_key_values", [&](std::string name, bool is_own) {
      specs.push_back({std::move(name), DType::f32, past_shape(is_own ? axis::past_decoder : axis::encoder_sequence)});
    });
  }
  void fill_with_past_key_values_(std::vector<OutputSpec>& specs) const {
    for_each_cache("present", [&](std::string name, bool is_own) {
      specs.push_back(
          {std::move(name), {{0, axis::batch}, {2, is_own ? axis::past_and_decoder : axis::encoder_sequence}}});
    });
  }

 private:
  static constexpr const char *own = "decoder.", *cross = "encoder.";

  /// The feature's common outputs over the decoder's axis.
  std::vector<OutputSpec> decoder_outputs() const {
    std::vector<OutputSpec> specs = common_outputs(task());
    for (OutputSpec& spec : specs) {
      for (auto& [index, name] : spec.axes) {
        if (name == axis::sequence) name = axis::decoder_sequence;
      }
    }
    return specs;
  }

  Part encoder_part() const {
    return {"encoder",
            {{"input_ids", DType::i64, {axis::batch, axis::encoder_sequence}, vocab_size()},
             {"attention_mask", DType::i64, {axis::batch, axis::encoder_sequence}}},
            {{"last_hidden_state", {{0, axis::batch}, {1, axis::encoder_sequence}}}},
            [this](Graph& g, const Inputs& in) -> Outputs {
              return {{"last_hidden_state", encode(g, in.at("input_ids"), in.at("attention_mask"))}};
            }};
  }

  Part decoder_part(bool cached) const {
    Part part;
    part.name = cached ? "decoder_with_past" : "decoder";
    part.inputs = {{"encoder_attention_mask", DType::i64, {axis::batch, axis::encoder_sequence}},
                   {"input_ids", DType::i64, {axis::batch, axis::decoder_sequence}, decoder_vocab_size()}};
    part.outputs = decoder_outputs();
    if (cached) {
      fill_with_past_key_values_(part.inputs);
    } else {
      part.inputs.push_back(
          {"encoder_hidden_states", DType::f32, {axis::batch, axis::encoder_sequence, encoder_width()}});
    }
    // The first step has no past, so that its own keys are as long as its ids; a later one keeps the encoder's.
    if (use_past()) {
      for_each_cache("present", [&](std::string name, bool is_own) {
        const char* length = !is_own  ? axis::encoder_sequence
                             : cached ? axis::past_and_decoder
                                      : axis::decoder_sequence;
        if (is_own || !cached) part.outputs.push_back({std::move(name), {{0, axis::batch}, {2, length}}});
      });
    }
    part.forward = [this, cached](Graph& g, const Inputs& in) {
      DecoderStep step{in.at("input_ids"), {}, {}, in.at("encoder_attention_mask")};
      if (!cached) step.encoder_hidden = in.at("encoder_hidden_states");
      Cache cache(in, own, cross);
      Outputs outputs = head(g, decode(g, step, cache), in);
      if (!cached) return with_present(std::move(outputs), cache);
      for (auto& present : cache.own_present()) outputs.push_back(std::move(present));
      return outputs;
    };
    return part;
  }

  template <class Each>
  void for_each_cache(const std::string& stem, Each each) const {
    for (int64_t i = 0; i < cached_layers(); ++i) {
      for (const char* kind : {"decoder.key", "decoder.value", "encoder.key", "encoder.value"}) {
        each(stem + "." + std::to_string(i) + "." + kind, kind[0] == 'd');
      }
    }
  }
};

/// The places of a step's ids in the decoder's text, behind those of the cache: i64[decoder_sequence].
inline Value decoder_places(const DecoderStep& step, const Cache& cache) {
  const Value past = cache.past_keys();
  if (!past) return range(size_of(step.ids, 1));
  Graph& g = past.graph();
  const Value before = size_of(past, 2);
  return g.op("Range", {before, before + size_of(step.ids, 1), g.integer(1)});
}

/// The additive mask of a decoder's self-attention: f32[batch or 1, 1, decoder_sequence, past + decoder_sequence].
inline Value self_mask(const DecoderStep& step, const Cache& cache) {
  if (step.mask) return attention_mask(step.mask, {.causal_for = step.ids});
  return causal_mask(step.ids, cache.past_keys());
}

}  // namespace onnxport::sdk
