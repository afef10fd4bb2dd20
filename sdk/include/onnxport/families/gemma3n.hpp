// SPDX-License-Identifier: Apache-2.0
// What Gemma 3n brought and Gemma 4 kept: inputs of every layer beside the hidden states, and last layers that attend
// to the keys and values of earlier ones.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/blocks/norm.hpp>
#include <onnxport/with_past.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// For each layer the one whose keys and values it attends to: itself or, of the last `shared` ones, the last before
/// those that is of its kind. Throws CONFIG where there is none. Source: Gemma3nTextConfig.kv_sharing_modes,
/// transformers 5.24.
inline std::vector<int64_t> key_layers(const std::vector<std::string>& types, int64_t shared) {
  const auto count = static_cast<int64_t>(types.size()), own = count - shared;
  std::vector<int64_t> layers;
  for (int64_t i = 0; i < count; ++i) {
    int64_t source = i;
    if (i >= own) {
      source = own - 1;
      while (source >= 0 && types[static_cast<size_t>(source)] != types[static_cast<size_t>(i)]) --source;
    }
    if (source < 0) {
      throw Error(ONNXPORT_CONFIG, "config field 'num_kv_shared_layers' is " + std::to_string(shared) +
                                       ", and no layer before these is of the type \"" + types[static_cast<size_t>(i)] +
                                       "\", whose keys and values they share; expected one for each of their types");
    }
    layers.push_back(source);
  }
  return layers;
}

/// What the layers attend to, and what of it is cached.
struct SharedKeys {
  std::vector<int64_t> layers;  ///< of key_layers()

  bool borrows(int64_t layer) const { return layers[static_cast<size_t>(layer)] != layer; }
  bool lends(int64_t layer) const { return std::count(layers.begin(), layers.end(), layer) > 1; }
  /// Keys and values of the layers that make their own; `shape` is that of one of them, by the layer's number.
  std::vector<State> states(const std::function<std::vector<Dim>(int64_t)>& shape) const {
    std::vector<State> all;
    for (int64_t i = 0; i < static_cast<int64_t>(layers.size()); ++i) {
      if (borrows(i)) continue;
      for (const char* part : {".key", ".value"})
        all.push_back(cached(std::to_string(i) + part, shape(i), 2, axis::past_and_sequence));
    }
    return all;
  }
};

/// Older files hold projections and norms of keys and values for layers that borrow them as well.
inline void leave_out_borrowed(const Scope& base, const SharedKeys& keys) {
  for (int64_t i = 0; i < static_cast<int64_t>(keys.layers.size()); ++i) {
    for (const char* name : {"k_proj.*", "v_proj.*", "k_norm.*", "v_norm.*"}) {
      if (keys.borrows(i)) base.graph().unused((base / "layers" / i / "self_attn" / name).path());
    }
  }
}

/// The inputs of the layers: their number and width, the rows of their table, and of the words' one.
struct PerLayerInputs {
  int64_t layers, width, rows, vocab;
  Norm norm;
};

/// What a table of their own holds for the words: ids: i64[batch, n] -> f[batch, n, layers, width]. Words that the
/// table has not got take its first row. Source: Gemma3nTextModel.get_per_layer_inputs, transformers 5.24.
inline Value stored_layer_inputs(const Scope& base, const Operand& ids, const PerLayerInputs& form) {
  Graph& g = base.graph();
  Value known = ids;
  if (form.rows < form.vocab) known = where(g.op("Less", {ids, g.integer(form.rows)}), ids, g.integer(0)).in(base);
  const Value rows = embedding(base / "embed_tokens_per_layer", known, {form.rows, form.layers * form.width});
  return reshape(rows, {0, 0, form.layers, form.width}) * std::sqrt(static_cast<double>(form.width));
}

/// That and what is made of the words' embeddings: stored: f[batch, n, layers, width], words: f[batch, n, hidden]
/// -> f[batch, n, layers, width]. Source: Gemma3nTextModel.project_per_layer_inputs, transformers 5.24.
inline Value per_layer_inputs(const Scope& base, const Value& stored, const Value& words, const PerLayerInputs& form) {
  // Where transformers 4 puts the names within those of the whole, it does so in the middle of this one as well.
  const Scope projection = base / "per_layer_model_projection",
              renamed = base / "per_layer_model.language_model_projection";
  const bool is_renamed = !projection.has("weight") && renamed.has("weight");
  Value projected = linear(is_renamed ? renamed : projection, words, {.out = form.layers * form.width, .bias = false}) /
                    std::sqrt(static_cast<double>(words.fixed(-1)));
  projected = norm(base / "per_layer_projection_norm", reshape(projected, {0, 0, form.layers, form.width}), form.norm);
  return (projected + stored) * std::sqrt(0.5);
}

/// What a decoder of ids that is part of a larger model yields and takes of tokens beside their vectors: what is stored
/// for its layers. Those of TextDecoder::offers(), where there is such a table.
inline constexpr const char* stored_inputs = "per_layer_inputs";
inline void offer_stored_inputs(std::vector<Part>& parts, const PerLayerInputs& form,
                                const std::function<Value(Graph&, const Value&)>& stored) {
  for (Part& part : parts) {
    if (part.name == "decoder")
      part.inputs.push_back(input::embeddings(stored_inputs, {axis::batch, axis::sequence, form.layers, form.width}));
    if (part.name != "embed_tokens") continue;
    part.outputs.push_back({stored_inputs, {{0, axis::batch}, {1, axis::sequence}}});
    part.forward = [embeds = part.forward, stored](Graph& g, const Inputs& in) {
      Outputs made = embeds(g, in);
      made.emplace_back(stored_inputs, stored(g, in.at("input_ids")));
      return made;
    };
  }
}

/// What a layer adds of its input, gated by what it has come to: x: f[batch, n, hidden], input: f[batch, n, width]
/// -> f[batch, n, hidden]. Source: Gemma3nTextDecoderLayer, transformers 5.24.
inline Value gated_input(const Scope& layer, const Operand& x, const Value& input, const std::string& act,
                         const Norm& form) {
  const Value gate = linear(layer / "per_layer_input_gate", x, {.out = input.fixed(-1), .bias = false});
  const Value h = activation(gate, act) * input;
  return norm(layer / "post_per_layer_input_norm",
              linear(layer / "per_layer_projection", h, {.out = x.fixed(-1), .bias = false}), form);
}

}  // namespace onnxport::family
