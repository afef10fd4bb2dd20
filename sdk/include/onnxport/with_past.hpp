// SPDX-License-Identifier: Apache-2.0
// Decoders with a cache: OnnxConfigWithPast, and what their definitions are written with.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <onnxport/onnx_config.hpp>

namespace onnxport::sdk {

/// What a decoder's layers keep of earlier tokens: the graph's states, by their names. Made from the graph's inputs:
/// where a state is not among them there is no past, and a layer sees only what it is given.
class Cache {
 public:
  /// `keeps`: whether anybody asks for what the states are after this step.
  Cache(const Inputs& inputs, std::vector<State> states, bool keeps = true)
      : states_(std::move(states)), keeps_(keeps) {
    for (const State& state : states_) {
      by_name_.emplace(state.name, &state);
      const auto given = inputs.find(state.past);
      if (given != inputs.end()) past_.emplace(state.name, given->second);
    }
  }
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  /// What the state was before this step; absent in a first one.
  Value past(const std::string& name) const {
    const auto found = past_.find(name);
    return found == past_.end() ? Value() : found->second;
  }
  /// Puts what is fresh behind the past, along the state's axis, and yields all of it.
  Value append(const std::string& name, const Value& fresh) {
    const State& state = state_of(name);
    if (!state.grows) throw Error(ONNXPORT_INVALID_ARGUMENT, "the state '" + name + "' does not grow");
    const Value before = past(name);
    return replace(name, before ? concat({before, fresh}, static_cast<int64_t>(*state.grows)) : fresh);
  }
  /// What the state is from now on.
  Value replace(const std::string& name, const Value& value) {
    state_of(name);
    return present_[name] = value;
  }

  bool keeps() const { return keeps_; }
  /// Keys and values of a layer's self-attention, f[batch, kv heads, n, head size]: before this step, and from now on.
  KeyValue past(int64_t layer) const { return {past(key_of(layer)), past(value_of(layer))}; }
  /// The same after this step, once the layer has kept them. Throws INVALID_ARGUMENT where it has not.
  KeyValue now(int64_t layer) const {
    const auto key = present_.find(key_of(layer)), value = present_.find(value_of(layer));
    if (key != present_.end() && value != present_.end()) return {key->second, value->second};
    throw Error(ONNXPORT_INVALID_ARGUMENT, "layer " + std::to_string(layer) +
                                               " has kept no keys and values that another could borrow; it must come "
                                               "before and lend them");
  }
  void keep(int64_t layer, const KeyValue& all) {
    replace(key_of(layer), all.key);
    replace(value_of(layer), all.value);
  }
  /// Attention to an encoder: the keys and values of an earlier step, or those that `make` computes from its result.
  template <class Make>
  KeyValue over_encoder(int64_t layer, Make make) {
    const std::string stem = std::to_string(layer) + ".encoder.";
    KeyValue all{past(stem + "key"), past(stem + "value")};
    if (!all.key) all = make();
    return {replace(stem + "key", all.key), replace(stem + "value", all.value)};
  }

  /// The first state that grows, as it was; absent without a past. Its axis 2 is the past's length where it holds keys.
  Value past_keys() const {
    const State* first = first_that_grows();
    return first == nullptr ? Value() : past(first->name);
  }
  /// How many tokens lie behind: i64, a scalar; absent without a past.
  Value past_length() const {
    const State* first = first_that_grows();
    const Value before = first == nullptr ? Value() : past(first->name);
    return before ? size_of(before, static_cast<int64_t>(*first->grows)) : Value();
  }
  /// The outputs of every state that was set, in the order of the list; `only_new` leaves out those that are kept.
  Outputs present(bool only_new = false) const {
    Outputs outputs;
    for (const State& state : states_) {
      const auto found = present_.find(state.name);
      if (only_new && state.kept) continue;
      if (found != present_.end()) outputs.emplace_back(state.present, found->second);
    }
    return outputs;
  }

 private:
  static std::string key_of(int64_t layer) { return std::to_string(layer) + ".key"; }
  static std::string value_of(int64_t layer) { return std::to_string(layer) + ".value"; }
  const State& state_of(const std::string& name) const {
    const auto found = by_name_.find(name);
    if (found != by_name_.end()) return *found->second;
    throw Error(ONNXPORT_INVALID_ARGUMENT,
                "the cache has no state '" + name + "'; states() lists those that there are");
  }
  const State* first_that_grows() const {
    for (const State& state : states_) {
      if (state.grows) return &state;
    }
    return nullptr;
  }

  std::vector<State> states_;
  std::map<std::string, const State*> by_name_;
  std::map<std::string, Value> past_, present_;
  bool keeps_;
};

/// What a decoder starts from, by name, where it is not input_ids: the tokens' vectors.
inline constexpr const char* inputs_embeds = "inputs_embeds";

/// Where a decoder's positions come from.
enum class Positions {
  sequence,  ///< 0, 1, 2, … after the past: what the model's own forward() counts when it is given none
  mask,      ///< counted along the attention mask, as generate() does: for batches that are padded on the left
  input,     ///< the graph input position_ids
};
/// "sequence", "mask" or "input"
inline std::string name_of(Positions positions) {
  if (positions == Positions::input) return "input";
  return positions == Positions::mask ? "mask" : "sequence";
}

/// The positions of tokens behind `past` earlier ones (an i64 scalar, or absent), counted along the mask of all of
/// them: i64[batch, total] -> i64[batch, new]. A padded place, which nobody reads, has the position that forward()
/// counts: a text that is padded on its right is then the same either way.
inline Value positions_along(const Operand& mask, const Value& past) {
  const Value counted = cumulative_sum(mask, 1) - mask.graph().integer(1);
  const Value all = where(cast(mask, DType::boolean), counted, unsqueeze(range(size_of(mask, 1)), {0}));
  return past ? from_row(all, 1, past) : all;
}

/// Which graph makes the keys and values by which a decoder attends to its encoder.
enum class EncoderKeys {
  decoder,  ///< the decoder's first step, which takes the encoder's result
  encoder,  ///< the encoder's own, so that one decoder serves every step
};
/// "decoder" or "encoder"
inline std::string name_of(EncoderKeys keys) {
  return keys == EncoderKeys::encoder ? "encoder" : "decoder";
}

/// A decoder that can take past_key_values: the features that end in -with-past.
class OnnxConfigWithPast : public OnnxConfig {
 public:
  /// Of a model whose positions the user may choose (--position-ids).
  explicit OnnxConfigWithPast(const Request& request) : OnnxConfigWithPast(request, chosen_in(request.options)) {
    are_a_choice_ = true;
  }

  bool use_past() const { return use_past_; }
  /// What the user chose; else what generates as the original does, and in a feature that does not generate what the
  /// original's forward() counts.
  Positions positions() const {
    if (positions_) return *positions_;
    const bool generates = task() == "causal-lm" || task() == "vision2seq-lm";
    return generates ? positions_in_generation() : Positions::sequence;
  }
  /// Whether --position-ids has a say.
  bool positions_are_a_choice() const { return are_a_choice_; }
  /// What must be counted so that a batch that is padded on the left generates what the original does, in a client that
  /// passes no positions. `mask` for a model that tells positions apart: learnt or sinusoidal ones, or rotary ones
  /// whose angles depend on the longest (Rotary::depends_on_length). `sequence`, which is the smaller graph, where
  /// scores depend on differences of positions only, as with other rotary ones.
  virtual Positions positions_in_generation() const { return Positions::sequence; }
  /// Who makes the keys over an encoder, if it is the user who may choose.
  virtual std::optional<EncoderKeys> encoder_keys() const { return std::nullopt; }
  virtual int64_t num_layers() const = 0;
  virtual int64_t num_attention_heads() const = 0;
  /// Heads and width of one cached key or value.
  virtual int64_t num_key_value_heads() const { return num_attention_heads(); }
  virtual int64_t head_size() const = 0;
  virtual int64_t value_head_size() const { return head_size(); }
  /// Whether the cache has the shape that clients guess from a config: as many heads as the model, as wide as hidden
  /// size / heads. Where not, files leave these axes of past_key_values open, so that a client's empty first past fits.
  virtual bool has_usual_cache() const { return true; }

  std::vector<OutputSpec> outputs() const override {
    std::vector<OutputSpec> specs = common_outputs(task());
    if (use_past_) fill_with_past_key_values_(specs);
    return specs;
  }
  std::vector<ValueOverride> values_override() const override { return {{"use_cache", use_past_ ? "true" : "false"}}; }

  /// What a step leaves for the next one: of every layer what states_of() lists. A cache of another form is another
  /// list.
  virtual std::vector<State> states() const {
    std::vector<State> all;
    for (int64_t i = 0; i < cached_layers(); ++i) {
      for (State& state : states_of(i)) all.push_back(std::move(state));
    }
    return all;
  }
  /// What a layer leaves: here its keys and values. A layer of another kind (one vector for all heads, a convolution's
  /// last inputs, a recurrent state) leaves something else, or nothing.
  virtual std::vector<State> states_of(int64_t layer) const { return keys_and_values(layer); }

  /// input_ids, past_key_values where there are any, attention_mask over both, and position_ids where they are asked
  /// for. `vocab` and `max_positions` bound what dummy inputs hold.
  std::vector<TensorSpec> text_inputs(int64_t vocab, int64_t max_positions) const {
    std::vector<TensorSpec> specs{input::ids("input_ids", {axis::batch, axis::sequence}, vocab)};
    if (use_past_) fill_with_past_key_values_(specs);
    specs.push_back(input::mask("attention_mask", {axis::batch, use_past_ ? axis::past_and_sequence : axis::sequence},
                                {.of = "input_ids"}));
    if (positions() == Positions::input)
      specs.push_back(
          input::positions("position_ids", {axis::batch, axis::sequence}, {.of = "input_ids", .limit = max_positions}));
    return specs;
  }

  /// Which of input_ids count: the attention mask without what is of the past, i64[batch, sequence].
  Value fresh_mask(const Inputs& in) const {
    const Value mask = in.at("attention_mask");
    return use_past_ ? from_row(mask, 1, size_of(mask, 1) - size_of(tokens_of_step(in), 1)) : mask;
  }

  /// The positions of input_ids: i64[1 or batch, sequence].
  Value position_ids(const Inputs& in) const {
    if (positions() == Positions::input) return in.at("position_ids");
    const Value ids = tokens_of_step(in), mask = in.at("attention_mask");
    Graph& g = ids.graph();
    const Value past = cache_of(in).past_length();
    if (positions() == Positions::sequence) {
      if (!past) return unsqueeze(range(size_of(ids, 1)), {0});
      return unsqueeze(g.op("Range", {past, size_of(mask, 1), g.integer(1)}), {0});
    }
    return positions_along(mask, past);
  }

  /// The states as this graph's inputs give them.
  Cache cache_of(const Inputs& in) const { return {in, states(), use_past_}; }
  /// The outputs with those of the cache behind them, where the feature has a past; `only_new` as in Cache::present.
  Outputs with_present(Outputs outputs, const Cache& cache, bool only_new = false) const {
    if (!use_past_) return outputs;
    for (auto& present : cache.present(only_new)) outputs.push_back(std::move(present));
    return outputs;
  }

  /// The states as inputs: past_key_values.{i}.key|value: f32[batch, kv heads, past_sequence, head size].
  void fill_with_past_key_values_(std::vector<TensorSpec>& specs) const { fill_in(states(), specs); }
  /// The states as outputs: present.{i}.key|value: f32[batch, kv heads, past_sequence + sequence, head size].
  void fill_with_past_key_values_(std::vector<OutputSpec>& specs) const { fill_in(states(), specs); }

 protected:
  /// What the axis of a state is called along which it grows: as an input, and as an output.
  struct Growth {
    const char *past, *grown;
  };
  /// past_key_values.{i}.decoder.key|value, which grow, then .encoder.key|value, which stay; layer by layer.
  std::vector<State> states_over_encoder(const Growth& own) const {
    std::vector<State> all;
    const auto add = [&](int64_t layer, const char* kind, int64_t width) {
      const std::string index = std::to_string(layer) + ".";
      State& state = all.emplace_back(cached(index + "decoder." + kind, past_shape(own.past, width), 2, own.grown));
      state.name = index + kind;
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

  /// num_layers(), after a look at whether it is a number of layers at all.
  int64_t cached_layers() const {
    constexpr int64_t most = 100'000;
    if (num_layers() <= most) return num_layers();
    throw Error(ONNXPORT_CONFIG, "config.json states " + std::to_string(num_layers()) +
                                     " layers, each with a cache of its own; expected " + std::to_string(most) +
                                     " at the most");
  }

  /// The states of one layer's self-attention.
  std::vector<State> keys_and_values(int64_t layer) const {
    const std::string index = std::to_string(layer);
    return {cached(index + ".key", past_shape(axis::past, head_size()), 2, axis::past_and_sequence),
            cached(index + ".value", past_shape(axis::past, value_head_size()), 2, axis::past_and_sequence)};
  }

  /// The step's ids, or the vectors that are given in their place: any[batch, sequence, ...].
  static Value tokens_of_step(const Inputs& in) {
    const Value embedded = in.maybe(inputs_embeds);
    return embedded ? embedded : in.at("input_ids");
  }

  /// The type of one cached key or value as an input: [batch, kv heads, length, width].
  std::vector<Dim> past_shape(const char* length, int64_t width) const {
    if (has_usual_cache()) return {axis::batch, num_key_value_heads(), length, width};
    const char* name = width == head_size() ? "head_size" : "value_head_size";
    return {axis::batch, Dim::open(num_key_value_heads(), "kv_heads"), length, Dim::open(width, name)};
  }

  static void fill_in(const std::vector<State>& states, std::vector<TensorSpec>& specs) {
    for (const State& state : states) specs.push_back(state.input());
  }
  static void fill_in(const std::vector<State>& states, std::vector<OutputSpec>& specs) {
    for (const State& state : states) {
      OutputSpec& spec = specs.emplace_back();
      spec.name = state.present;
      for (size_t i = 0; i < state.shape.size(); ++i) {
        const Dim& dim = state.shape[i];
        if (state.grows == i)
          spec.axes[static_cast<int>(i)] = state.grown;
        else if (!dim.is_static())
          spec.axes[static_cast<int>(i)] = dim.symbol;
      }
    }
  }

  /// Of a model whose positions are not the user's choice. Throws UNSUPPORTED where others are asked for.
  OnnxConfigWithPast(const Request& request, Positions positions)
      : OnnxConfigWithPast(request, std::optional<Positions>(positions)) {
    const auto chosen = chosen_in(request.options);
    if (!chosen || *chosen == positions) return;
    throw Error(ONNXPORT_UNSUPPORTED, "the positions of the model type '" + request.model_type + "' are '" +
                                          name_of(positions) + "', and no others can be chosen");
  }

  /// The part "decoder" for models that are put together of this one: the graph itself, which also takes what an
  /// encoder of that width yields (0: none).
  Part offered_decoder(int64_t encoder_width) const {
    Part decoder{"decoder", inputs(), outputs(), [this](Graph& g, const Inputs& in) { return forward(g, in); }};
    if (encoder_width > 0) {
      decoder.inputs.push_back(
          input::hidden("encoder_hidden_states", {axis::batch, axis::encoder_sequence, encoder_width}, {}));
      decoder.inputs.push_back(input::mask("encoder_attention_mask", {axis::batch, axis::encoder_sequence}, {}));
    }
    if (use_past()) decoder.states = states();
    return decoder;
  }

 private:
  OnnxConfigWithPast(const Request& request, std::optional<Positions> positions)
      : OnnxConfig(request), use_past_(request.feature.ends_with("-with-past")), positions_(positions) {}

  static std::optional<Positions> chosen_in(const Config& options) {
    if (!options.has("position_ids")) return std::nullopt;
    const std::string name = options.choice("position_ids", "", {"sequence", "mask", "input"});
    if (name == "input") return Positions::input;
    return name == "mask" ? Positions::mask : Positions::sequence;
  }

  bool use_past_;
  bool are_a_choice_ = false;
  std::optional<Positions> positions_;  // none: what the feature wants
};

/// How wide the encoder is that a decoder attends to as part of a larger model, which chooses that by the option
/// encoder_hidden_states; 0: to none. Only a type whose layers can attend to one asks.
inline int64_t width_over_encoder(const Request& request) {
  const std::string width = request.options.text("encoder_hidden_states", "0");
  return std::atoll(width.c_str());
}

/// The row of each text's last token that is no padding: f[batch, sequence, n] -> f[batch, n]. Without a padding id it
/// is the last place. Source: GPT2ForSequenceClassification and its relatives, transformers 4.57.
inline Value last_token(const Operand& x, const Value& ids, std::optional<int64_t> pad) {
  if (!pad) return pick(x, 1, -1);
  const Value is_text = cast(logical_not(equal(ids, *pad)), DType::i64);
  const Value places = is_text * range(size_of(ids, 1));  // i64[batch, sequence]
  return row_at(x, largest(places, {1}, true));
}

}  // namespace onnxport::sdk
