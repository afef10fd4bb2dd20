// SPDX-License-Identifier: Apache-2.0
// Decoders with a cache: OnnxConfigWithPast, and what their definitions are written with.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <onnxport/onnx_config.hpp>

namespace onnxport::sdk {

/// Keys and values of one attention: f32[batch, kv heads, n, head size].
struct KeyValue {
  Value key, value;
};

/// What a decoder's layers keep of earlier tokens. Made from the graph's inputs: without past_key_values among them it
/// is empty, and a layer sees only what it is given.
class Cache {
 public:
  /// `own` and `cross` stand between a layer's number and "key": "" and none for a decoder, "decoder." and "encoder."
  /// for one that attends to an encoder as well.
  explicit Cache(const Inputs& inputs, std::string own = {}, std::string cross = {})
      : inputs_(inputs), own_(std::move(own)), cross_(std::move(cross)) {}

  /// Self-attention: past keys and values before the fresh ones, f32[batch, kv heads, past + n, head size].
  KeyValue extend(int64_t layer, const KeyValue& fresh) {
    const KeyValue before = past(layer, own_);
    KeyValue all = fresh;
    if (before.key) all = {concat({before.key, fresh.key}, 2), concat({before.value, fresh.value}, 2)};
    note(layer, own_, all);
    return all;
  }

  /// Attention to an encoder: the keys and values of an earlier step, or those that `make` computes from its result.
  template <class Make>
  KeyValue over_encoder(int64_t layer, Make make) {
    KeyValue all = past(layer, cross_);
    if (!all.key) all = make();
    note(layer, cross_, all);
    return all;
  }

  /// The first layer's past keys, whose axis 2 is the past's length; absent without a past.
  Value past_keys() const { return past(0, own_).key; }
  /// present.{i}.key|value of every attention that was asked for, in the order of the layers.
  Outputs present() const { return present_; }
  /// The same of self-attention only.
  Outputs own_present() const {
    Outputs own;
    for (const auto& output : present_) {
      if (cross_.empty() || output.first.find("." + cross_) == std::string::npos) own.push_back(output);
    }
    return own;
  }

 private:
  KeyValue past(int64_t layer, const std::string& kind) const {
    const std::string stem = "past_key_values." + std::to_string(layer) + "." + kind;
    const auto key = inputs_.find(stem + "key"), value = inputs_.find(stem + "value");
    return key == inputs_.end() || value == inputs_.end() ? KeyValue{} : KeyValue{key->second, value->second};
  }
  void note(int64_t layer, const std::string& kind, const KeyValue& all) {
    const std::string stem = "present." + std::to_string(layer) + "." + kind;
    present_.emplace_back(stem + "key", all.key);
    present_.emplace_back(stem + "value", all.value);
  }

  Inputs inputs_;
  std::string own_, cross_;
  Outputs present_;
};

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
    return task() == "causal-lm" ? positions_in_generation() : Positions::sequence;
  }
  /// Whether --position-ids has a say.
  bool positions_are_a_choice() const { return are_a_choice_; }
  /// What must be counted so that a batch that is padded on the left generates what the original does, in a client that
  /// passes no positions. `mask` for a model that tells positions apart: learnt or sinusoidal ones, or rotary ones
  /// whose angles depend on the longest (Rotary::depends_on_length). `sequence`, which is the smaller graph, where
  /// scores depend on differences of positions only, as with other rotary ones.
  virtual Positions positions_in_generation() const { return Positions::sequence; }
  virtual int64_t num_layers() const = 0;
  virtual int64_t num_attention_heads() const = 0;
  /// Heads and width of one cached key or value.
  virtual int64_t num_key_value_heads() const { return num_attention_heads(); }
  virtual int64_t head_size() const = 0;
  /// Whether the cache has the shape that clients guess from a config: as many heads as the model, as wide as hidden
  /// size / heads. Where not, files leave these axes of past_key_values open, so that a client's empty first past fits.
  virtual bool has_usual_cache() const { return true; }

  std::vector<OutputSpec> outputs() const override {
    std::vector<OutputSpec> specs = common_outputs(task());
    if (use_past_) fill_with_past_key_values_(specs);
    return specs;
  }
  std::vector<ValueOverride> values_override() const override { return {{"use_cache", use_past_ ? "true" : "false"}}; }

  /// input_ids, past_key_values where there are any, attention_mask over both, and position_ids where they are asked
  /// for. `vocab` and `max_positions` bound what dummy inputs hold.
  std::vector<TensorSpec> text_inputs(int64_t vocab, int64_t max_positions) const {
    std::vector<TensorSpec> specs{{"input_ids", DType::i64, {axis::batch, axis::sequence}, vocab}};
    if (use_past_) fill_with_past_key_values_(specs);
    specs.push_back(
        {"attention_mask", DType::i64, {axis::batch, use_past_ ? axis::past_and_sequence : axis::sequence}});
    if (positions() == Positions::input)
      specs.push_back({"position_ids", DType::i64, {axis::batch, axis::sequence}, max_positions});
    return specs;
  }

  /// The positions of input_ids: i64[1 or batch, sequence].
  Value position_ids(const Inputs& in) const {
    if (positions() == Positions::input) return in.at("position_ids");
    const Value ids = in.at("input_ids"), mask = in.at("attention_mask");
    Graph& g = ids.graph();
    const Value past = Cache(in).past_keys();
    if (positions() == Positions::sequence) {
      if (!past) return unsqueeze(range(size_of(ids, 1)), {0});
      return unsqueeze(g.op("Range", {size_of(past, 2), size_of(mask, 1), g.integer(1)}), {0});
    }
    // A padded place gets position 1, as in generate().
    const Value counted = g.op("CumSum", {mask}, {{"axis", 1}}) - g.integer(1);
    const Value all = where(cast(mask, DType::boolean), counted, g.integer(1));
    return past ? from_row(all, 1, size_of(past, 2)) : all;
  }

  /// The outputs with those of the cache behind them, where the feature has a past.
  Outputs with_present(Outputs outputs, const Cache& cache) const {
    if (!use_past_) return outputs;
    for (auto& present : cache.present()) outputs.push_back(std::move(present));
    return outputs;
  }

  /// past_key_values.{i}.key|value: f32[batch, kv heads, past_sequence, head size]
  void fill_with_past_key_values_(std::vector<TensorSpec>& specs) const {
    for (int64_t i = 0; i < cached_layers(); ++i) {
      for (const char* part : {"key", "value"}) {
        specs.push_back({"past_key_values." + std::to_string(i) + "." + part, DType::f32, past_shape(axis::past)});
      }
    }
  }
  /// present.{i}.key|value: f32[batch, kv heads, past_sequence + sequence, head size]
  void fill_with_past_key_values_(std::vector<OutputSpec>& specs) const {
    for (int64_t i = 0; i < cached_layers(); ++i) {
      for (const char* part : {"key", "value"}) {
        specs.push_back(
            {"present." + std::to_string(i) + "." + part, {{0, axis::batch}, {2, axis::past_and_sequence}}});
      }
    }
  }

 protected:
  /// num_layers(), after a look at whether it is a number of layers at all.
  int64_t cached_layers() const {
    constexpr int64_t most = 100'000;
    if (num_layers() <= most) return num_layers();
    throw Error(ONNXPORT_CONFIG, "config.json states " + std::to_string(num_layers()) +
                                     " layers, each with a cache of its own; expected " + std::to_string(most) +
                                     " at the most");
  }

  /// The type of one cached key or value as an input: [batch, kv heads, length, head size].
  std::vector<Dim> past_shape(const char* length) const {
    if (has_usual_cache()) return {axis::batch, num_key_value_heads(), length, head_size()};
    return {axis::batch, Dim::open(num_key_value_heads(), "kv_heads"), length, Dim::open(head_size(), "head_size")};
  }

  /// Of a model whose positions are not the user's choice.
  OnnxConfigWithPast(const Request& request, Positions positions)
      : OnnxConfigWithPast(request, std::optional<Positions>(positions)) {}

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

/// The row of each text's last token that is no padding: f[batch, sequence, n] -> f[batch, n]. Without a padding id it
/// is the last place. Source: GPT2ForSequenceClassification and its relatives, transformers 4.57.
inline Value last_token(const Value& x, const Value& ids, std::optional<int64_t> pad) {
  Graph& g = x.graph();
  if (!pad) return pick(x, 1, -1);
  const Value is_text = cast(g.op("Not", {g.op("Equal", {ids, g.integer(*pad)})}), DType::i64);
  const Value places = is_text * range(size_of(ids, 1));  // i64[batch, sequence]
  const Value last = g.op("ReduceMax", {places}, {{"axes", std::vector<int64_t>{1}}, {"keepdims", 1}});
  return g.op("GatherND", {x, last}, {{"batch_dims", 1}});
}

}  // namespace onnxport::sdk
