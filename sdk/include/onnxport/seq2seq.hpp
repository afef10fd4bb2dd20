// SPDX-License-Identifier: Apache-2.0
// Encoder and decoder: OnnxSeq2SeqConfigWithPast. A plugin says how each of the two computes and what the heads are;
// the graphs of every layout are put together here.
#pragma once

#include <string>
#include <vector>

#include <onnxport/heads.hpp>
#include <onnxport/with_past.hpp>

namespace onnxport::sdk {

/// What a decoder is called with.
struct DecoderStep {
  Value ids;             ///< i64[batch, decoder_sequence]
  Value mask;            ///< i64[batch, past + decoder_sequence], 1 where a token counts; absent: all do
  Value encoder_hidden;  ///< f32[batch, encoder_sequence, hidden]; absent where the cache holds what is made of it
  Value encoder_mask;    ///< i64[batch, encoder_sequence]; absent where the encoder has no padding
};

/// An encoder and a decoder, in one graph or in several, with both caches.
class OnnxSeq2SeqConfigWithPast : public OnnxConfigWithPast {
 public:
  explicit OnnxSeq2SeqConfigWithPast(const Request& request) : OnnxConfigWithPast(request, Positions::sequence) {}

  /// Sizes of the two vocabularies, and the width of what the encoder yields.
  virtual int64_t vocab_size() const = 0;
  virtual int64_t decoder_vocab_size() const { return vocab_size(); }
  virtual int64_t encoder_width() const = 0;
  /// Whether the decoder apart from its encoder is given a mask of its own tokens, past ones included. optimum's are
  /// not, and of the others some are.
  virtual bool masks_decoder() const { return false; }
  /// The decoder's axis in the one graph: another one's name where both sides must be equally long.
  virtual const char* decoder_axis() const { return axis::decoder_sequence; }

  /// What the encoder takes: here a text, input_ids and attention_mask i64[batch, encoder_sequence]. Images, sound,
  /// boxes or several of them are other lists.
  virtual std::vector<TensorSpec> encoder_inputs() const {
    const std::vector<Dim> shape{axis::batch, axis::encoder_sequence};
    return {input::ids("input_ids", shape, vocab_size()), input::mask("attention_mask", shape, {.of = "input_ids"})};
  }
  /// The encoder's inputs by their names -> f32[batch, encoder_sequence, width].
  virtual Value encode(Graph& graph, const Inputs& inputs) const = 0;
  /// -> f32[batch, decoder_sequence, width]. Attends through `cache`, to the encoder with over_encoder().
  virtual Value decode(Graph& graph, const DecoderStep& step, Cache& cache) const = 0;
  /// What each feature puts out of the decoder's result, which heads read at the root; the caches are not their
  /// business.
  Heads heads() const override = 0;

  /// One graph with the inputs of transformers.onnx. A cached step takes what was made of the encoder's result from
  /// past_key_values, and the encoder does not run.
  std::vector<TensorSpec> inputs() const override {
    const char* seen = use_past() ? axis::past_and_decoder : decoder_axis();
    std::vector<TensorSpec> specs = encoder_inputs();
    specs.push_back(input::ids("decoder_input_ids", {axis::batch, decoder_axis()}, decoder_vocab_size()));
    specs.push_back(input::mask("decoder_attention_mask", {axis::batch, seen}, {.of = "decoder_input_ids"}));
    if (use_past()) fill_with_past_key_values_(specs);
    return specs;
  }
  std::vector<OutputSpec> outputs() const override {
    std::vector<OutputSpec> specs = decoder_outputs();
    if (use_past()) fill_with_past_key_values_(specs);
    return specs;
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    const std::string seen = encoder_mask();
    DecoderStep step{in.at("decoder_input_ids"), in.at("decoder_attention_mask"), {}, {}};
    if (!seen.empty()) step.encoder_mask = in.at(seen);
    if (!use_past() || g.wants("encoder_last_hidden_state"))
      step.encoder_hidden = g.mark("encoder_last_hidden_state", encode(g, in));
    Cache cache = cache_of(in);
    return with_present(head_for_feature().outputs({g.root(), decode(g, step, cache), in}), cache);
  }

  /// encoder, decoder and, with a past, decoder_with_past: names of files, inputs and outputs as of optimum 2.
  std::vector<Part> parts() const override {
    std::vector<Part> all{encoder_part(), decoder_part(false)};
    if (use_past()) all.push_back(decoder_part(true));
    return all;
  }

  /// past_key_values.{i}.decoder.key|value, which grow, then .encoder.key|value, which stay; layer by layer.
  std::vector<State> states() const override {
    std::vector<State> all;
    const auto add = [&](int64_t layer, const char* kind, int64_t width) {
      const std::string index = std::to_string(layer) + ".";
      State& own = all.emplace_back(
          cached(index + "decoder." + kind, past_shape(axis::past_decoder, width), 2, axis::past_and_decoder));
      own.name = index + kind;
    };
    const auto add_cross = [&](int64_t layer, const char* kind, int64_t width) {
      all.push_back(cached(std::to_string(layer) + ".encoder." + kind, past_shape(axis::encoder_sequence, width)));
      all.back().kept = true;
    };
    for (int64_t i = 0; i < cached_layers(); ++i) {
      add(i, "key", head_size());
      add(i, "value", value_head_size());
      add_cross(i, "key", head_size());
      add_cross(i, "value", value_head_size());
    }
    return all;
  }

 protected:
  /// What a step puts out beside its states: the feature's common outputs over the decoder's axis.
  virtual std::vector<OutputSpec> decoder_outputs() const {
    std::vector<OutputSpec> specs = common_outputs(task());
    for (OutputSpec& spec : specs) {
      for (auto& [index, name] : spec.axes) {
        if (name == axis::sequence) name = axis::decoder_sequence;
      }
    }
    return specs;
  }

 private:
  /// The encoder's input that masks its result, place by place; empty where there is none.
  std::string encoder_mask() const {
    for (const TensorSpec& spec : encoder_inputs()) {
      if (spec.role == Role::mask && spec.shape.size() == 2 && spec.shape[1].symbol == axis::encoder_sequence)
        return spec.name;
    }
    return {};
  }

  Part encoder_part() const {
    return {"encoder",
            encoder_inputs(),
            {{"last_hidden_state", {{0, axis::batch}, {1, axis::encoder_sequence}}}},
            [this](Graph& g, const Inputs& in) -> Outputs {
              return {{"last_hidden_state", encode(g, in)}};
            }};
  }

  Part decoder_part(bool is_cached) const {
    Part part;
    part.name = is_cached ? "decoder_with_past" : "decoder";
    if (!encoder_mask().empty())
      part.inputs.push_back(
          input::mask("encoder_attention_mask", {axis::batch, axis::encoder_sequence}, {.of = "last_hidden_state"}));
    part.inputs.push_back(input::ids("input_ids", {axis::batch, axis::decoder_sequence}, decoder_vocab_size()));
    if (masks_decoder()) {
      const char* seen = is_cached ? axis::past_and_decoder : axis::decoder_sequence;
      part.inputs.push_back(input::mask("attention_mask", {axis::batch, seen}, {.of = "input_ids"}));
    }
    part.outputs = decoder_outputs();
    std::vector<State> put_out = states();
    if (is_cached) {
      part.first_step = "decoder";
      part.states = put_out;
      fill_in(part.states, part.inputs);
      std::erase_if(put_out, [](const State& state) { return state.kept; });
    } else {
      part.inputs.push_back(input::hidden("encoder_hidden_states",
                                          {axis::batch, axis::encoder_sequence, encoder_width()},
                                          {.of = "last_hidden_state"}));
      // Without a past its own keys are as long as its ids.
      for (State& state : put_out) state.grown = axis::decoder_sequence;
    }
    if (use_past()) fill_in(put_out, part.outputs);
    part.forward = [this, is_cached](Graph& g, const Inputs& in) { return step_of(g, in, is_cached); };
    return part;
  }

  Outputs step_of(Graph& g, const Inputs& in, bool is_cached) const {
    const DecoderStep step{in.at("input_ids"), in.maybe("attention_mask"), in.maybe("encoder_hidden_states"),
                           in.maybe("encoder_attention_mask")};
    Cache cache = cache_of(in);
    Outputs outputs = head_for_feature().outputs({g.root(), decode(g, step, cache), in});
    return with_present(std::move(outputs), cache, is_cached);
  }
};

/// The places of a step's ids in the decoder's text, behind those of the cache: i64[decoder_sequence].
inline Value decoder_places(const DecoderStep& step, const Cache& cache) {
  const Value before = cache.past_length();
  if (!before) return range(size_of(step.ids, 1));
  Graph& g = before.graph();
  return g.op("Range", {before, before + size_of(step.ids, 1), g.integer(1)});
}

}  // namespace onnxport::sdk
