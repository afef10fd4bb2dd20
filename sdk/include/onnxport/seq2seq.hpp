// SPDX-License-Identifier: Apache-2.0
// Encoder and decoder: OnnxSeq2SeqConfigWithPast. A plugin says how each of the two computes and what the heads are;
// the graphs of every layout are put together here.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <optional>
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
  Value positions{};     ///< i64[batch, decoder_sequence]; absent: as the ids follow each other
  Value embeddings{};    ///< f32[batch, decoder_sequence, width], in place of ids

  /// What tells how long the step is.
  const Value& text() const { return embeddings ? embeddings : ids; }
};

/// An encoder and a decoder, in one graph or in several, with both caches.
class OnnxSeq2SeqConfigWithPast : public OnnxConfigWithPast {
 public:
  explicit OnnxSeq2SeqConfigWithPast(const Request& request)
      : OnnxConfigWithPast(request, Positions::sequence), encoder_keys_(chosen_in(request.options)) {}
  /// Of a model whose decoder's positions the user may choose (--position-ids): other than in sequence, its text may be
  /// padded on the left, and decoder_attention_mask is an input of each of its graphs.
  struct PositionsAreAChoice {};
  OnnxSeq2SeqConfigWithPast(const Request& request, PositionsAreAChoice)
      : OnnxConfigWithPast(request), encoder_keys_(chosen_in(request.options)) {}

  /// Of a model with a cache, which graph of several makes the keys over the encoder.
  std::optional<EncoderKeys> encoder_keys() const override {
    return use_past() ? std::optional(encoder_keys_) : std::nullopt;
  }

  /// Sizes of the two vocabularies, and the width of what the encoder yields.
  virtual int64_t vocab_size() const = 0;
  virtual int64_t decoder_vocab_size() const { return vocab_size(); }
  virtual int64_t encoder_width() const = 0;
  /// Whether the decoder apart from its encoder is given a mask of its own tokens, past ones included. optimum's are
  /// not, and of the others some are.
  virtual bool masks_decoder() const { return false; }
  /// How wide the vectors are that either side may be given in place of ids by a larger model; 0: it may not.
  virtual int64_t embedding_width() const { return 0; }
  /// What the layers read of tokens, for models that state that: i64[batch, n] -> f32[batch, n, width].
  virtual Value embed(Graph& graph, const Value& /*ids*/) const {
    throw Error(ONNXPORT_UNSUPPORTED,
                "the model type '" + model_type() + "' takes no embeddings in place of ids: its definition has no " +
                    "embed(), which tells what its layers read of tokens",
                graph.root().path());
  }
  /// The decoder's axis in the one graph: another one's name where both sides must be equally long.
  virtual const char* decoder_axis() const { return axis::decoder_sequence; }

  /// How long the encoder's result is: a number where that is always the same.
  virtual Dim encoder_length() const { return axis::encoder_sequence; }
  /// Whether the one graph is told which of the decoder's tokens count.
  virtual bool takes_decoder_mask() const { return true; }

  /// What the encoder takes: here a text, input_ids and attention_mask i64[batch, encoder_sequence]. Images, sound,
  /// boxes or several of them are other lists.
  virtual std::vector<TensorSpec> encoder_inputs() const {
    const std::vector<Dim> shape{axis::batch, axis::encoder_sequence};
    return {input::ids("input_ids", shape, vocab_size()), input::mask("attention_mask", shape, {.of = "input_ids"})};
  }
  /// The encoder's inputs by their names -> f32[batch, encoder_sequence, width].
  virtual Value encode(Graph& graph, const Inputs& inputs) const = 0;
  /// The encoder's mask as one over its result, for an encoder that shortens what it is given: i64[batch, n] ->
  /// i64[batch, length]; length: an i64 scalar.
  virtual Value mask_of_result(const Value& mask, const Value& /*length*/) const { return mask; }
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
    if (takes_decoder_mask() || counts_padding_out())
      specs.push_back(input::mask("decoder_attention_mask", {axis::batch, seen}, {.of = "decoder_input_ids"}));
    add_positions(specs, "decoder_input_ids");
    if (use_past()) fill_with_past_key_values_(specs);
    return specs;
  }
  std::vector<OutputSpec> outputs() const override {
    std::vector<OutputSpec> specs = decoder_outputs();
    if (use_past()) fill_with_past_key_values_(specs);
    return specs;
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    DecoderStep step{in.at("decoder_input_ids"), in.maybe("decoder_attention_mask"), {}, {}};
    if (!use_past() || g.wants("encoder_last_hidden_state"))
      step.encoder_hidden = g.mark("encoder_last_hidden_state", encode(g, in));
    Cache cache = cache_of(in);
    if (const auto seen = encoder_mask()) step.encoder_mask = over_result(in.at(seen->name), step, cache);
    step.positions = positions_of(in, step, cache);
    return with_present(head_for_feature().outputs({g.root(), decode(g, step, cache), in}), cache);
  }

  /// encoder, decoder and, with a past, decoder_with_past: names of files, inputs and outputs as of optimum 2. Where
  /// the encoder makes the keys, one decoder takes every step, the first behind a past of no tokens.
  std::vector<Part> parts() const override {
    if (keys_by_encoder()) return {encoder_part(), decoder_of_every_step()};
    std::vector<Part> all{encoder_part(), decoder_part(false)};
    if (use_past()) all.push_back(decoder_part(true));
    return all;
  }

  /// embed_tokens, and encoder and decoders that take inputs_embeds or input_ids.
  std::vector<Part> offers() const override {
    const int64_t width = embedding_width();
    if (width == 0) return {};
    const auto embeds = [this](Graph& g, const Inputs& in) -> Outputs {
      return {{inputs_embeds, embed(g, in.at("input_ids"))}};
    };
    std::vector<Part> all{{"embed_tokens",
                           {input::ids("input_ids", {axis::batch, axis::sequence}, vocab_size())},
                           {{inputs_embeds, {{0, axis::batch}, {1, axis::sequence}}}},
                           embeds}};
    for (Part& part : parts()) {
      part.name += "_of_embeddings";
      const auto ids = std::find_if(part.inputs.begin(), part.inputs.end(),
                                    [](const TensorSpec& spec) { return spec.role == Role::ids; });
      const std::vector<Dim> text = ids->shape;
      part.inputs.push_back(input::embeddings(inputs_embeds, {text[0], text[1], width}));
      const bool own_mask = std::any_of(part.inputs.begin(), part.inputs.end(),
                                        [](const TensorSpec& spec) { return spec.name == "attention_mask"; });
      if (!own_mask) {
        const char* seen = part.states.empty() ? axis::decoder_sequence : axis::past_and_decoder;
        part.inputs.push_back(input::mask("attention_mask", {axis::batch, seen}, {.of = "input_ids"}));
      }
      all.push_back(std::move(part));
    }
    return all;
  }

  /// past_key_values.{i}.decoder.key|value, which grow, then .encoder.key|value, which stay; layer by layer.
  std::vector<State> states() const override {
    return states_over_encoder({axis::past_decoder, axis::past_and_decoder});
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
  static constexpr const char* decoder_position_ids = "decoder_position_ids";

  /// The encoder's input that tells which places of its own count; none where all do.
  std::optional<TensorSpec> encoder_mask() const {
    for (const TensorSpec& spec : encoder_inputs()) {
      if (spec.role == Role::mask && spec.shape.size() == 2) return spec;
    }
    return std::nullopt;
  }

  /// The encoder's mask over what the decoder attends to.
  Value over_result(const Value& mask, const DecoderStep& step, const Cache& cache) const {
    const Value kept = cache.past("0.encoder.key");
    if (kept) return mask_of_result(mask, size_of(kept, 2));
    return step.encoder_hidden ? mask_of_result(mask, size_of(step.encoder_hidden, 1)) : mask;
  }

  /// Whether the decoder's positions are counted along a mask, or given beside one.
  bool counts_padding_out() const { return positions() != Positions::sequence; }
  void add_positions(std::vector<TensorSpec>& specs, const char* ids) const {
    if (positions() != Positions::input) return;
    specs.push_back(
        input::positions(decoder_position_ids, {axis::batch, decoder_axis()}, {.of = ids, .limit = max_positions()}));
  }
  Value positions_of(const Inputs& in, const DecoderStep& step, const Cache& cache) const {
    if (positions() == Positions::input) return in.at(decoder_position_ids);
    return counts_padding_out() ? positions_along(step.mask, cache.past_length()) : Value();
  }

  OutputSpec encoded() const {
    OutputSpec spec{"last_hidden_state", {{0, axis::batch}}};
    if (const Dim length = encoder_length(); !length.is_static()) spec.axes.emplace(1, length.symbol);
    return spec;
  }

  static EncoderKeys chosen_in(const Config& options) {
    const bool is_encoder = options.choice("encoder_keys", "decoder", {"decoder", "encoder"}) == "encoder";
    return is_encoder ? EncoderKeys::encoder : EncoderKeys::decoder;
  }
  bool keys_by_encoder() const { return encoder_keys() == EncoderKeys::encoder; }

  Part encoder_part() const {
    Part part{"encoder", encoder_inputs(), {encoded()}, [this](Graph& g, const Inputs& in) -> Outputs {
                Outputs outputs{{"last_hidden_state", encode(g, in)}};
                if (keys_by_encoder()) add_keys(g, in, outputs);
                return outputs;
              }};
    if (keys_by_encoder()) fill_in(kept_states(), part.outputs);
    return part;
  }

  /// The states that are made of the encoder's result alone, and as long.
  std::vector<State> kept_states() const {
    std::vector<State> kept = states();
    std::erase_if(kept, [](const State& state) { return !state.kept; });
    for (State& state : kept) state.shape[2] = encoder_length();  // [batch, heads, length, width]
    return kept;
  }
  /// Adds them to what an encoder yields. The decoder says how they are made, in a step of one token; all else that the
  /// step computes nobody uses.
  void add_keys(Graph& g, const Inputs& in, Outputs& outputs) const {
    const Value hidden = outputs.front().second;
    DecoderStep step{cast(zeros_of_batch(hidden, {1}), DType::i64), {}, hidden, {}};
    Cache cache({}, states());
    if (const auto seen = encoder_mask()) step.encoder_mask = over_result(in.at(seen->name), step, cache);
    decode(g, step, cache);
    const std::vector<State> kept = kept_states();
    for (auto& present : cache.present()) {
      const bool is_kept =
          std::any_of(kept.begin(), kept.end(), [&](const State& state) { return state.present == present.first; });
      if (is_kept) outputs.push_back(std::move(present));
    }
  }

  Part decoder_of_every_step() const {
    Part part = decoder_part(true);
    part.name = "decoder";
    part.first_step.clear();
    return part;
  }

  Part decoder_part(bool is_cached) const {
    Part part;
    part.name = is_cached ? "decoder_with_past" : "decoder";
    if (const auto seen = encoder_mask())
      part.inputs.push_back(input::mask("encoder_attention_mask", seen->shape, {.of = "last_hidden_state"}));
    part.inputs.push_back(input::ids("input_ids", {axis::batch, axis::decoder_sequence}, decoder_vocab_size()));
    // As long as the cached step's, so that one file may hold both; of a first step only the ids' own places are read.
    if (masks_decoder() || counts_padding_out())
      part.inputs.push_back(input::mask("attention_mask", {axis::batch, axis::past_and_decoder}, {.of = "input_ids"}));
    add_positions(part.inputs, "input_ids");
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
    DecoderStep step{in.maybe("input_ids"), in.maybe("attention_mask"), in.maybe("encoder_hidden_states"), {}};
    step.embeddings = in.maybe(inputs_embeds);
    Cache cache = cache_of(in);
    if (step.mask && !is_cached) {
      const Value count = size_of(step.text(), 1);
      step.mask = gather(step.mask, range(count) + (size_of(step.mask, 1) - count), 1);
    }
    if (const Value seen = in.maybe("encoder_attention_mask")) step.encoder_mask = over_result(seen, step, cache);
    step.positions = positions_of(in, step, cache);
    Outputs outputs = head_for_feature().outputs({g.root(), decode(g, step, cache), in});
    return with_present(std::move(outputs), cache, is_cached);
  }

  EncoderKeys encoder_keys_;
};

/// The places of a step's ids in the decoder's text, behind those of the cache: i64[decoder_sequence], or where they
/// are given i64[batch, decoder_sequence].
inline Value decoder_places(const DecoderStep& step, const Cache& cache) {
  if (step.positions) return step.positions;
  const Value before = cache.past_length();
  if (!before) return range(size_of(step.text(), 1));
  Graph& g = before.graph();
  return g.op("Range", {before, before + size_of(step.text(), 1), g.integer(1)});
}

}  // namespace onnxport::sdk
