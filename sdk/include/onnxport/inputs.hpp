// SPDX-License-Identifier: Apache-2.0
// What goes into a model, described so that the host can make up inputs, check a cache and lay out graphs without
// knowing a name: roles, what belongs to what, sizes of axes, and the states of a cache.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/graph.hpp>

namespace onnxport::sdk {

/// What an input is; abi.h says what follows from each.
enum class Role : int32_t {
  other = ONNXPORT_ROLE_OTHER,
  ids = ONNXPORT_ROLE_IDS,
  mask = ONNXPORT_ROLE_MASK,
  positions = ONNXPORT_ROLE_POSITIONS,
  token_types = ONNXPORT_ROLE_TOKEN_TYPES,
  boxes = ONNXPORT_ROLE_BOXES,
  pixels = ONNXPORT_ROLE_PIXELS,
  waveform = ONNXPORT_ROLE_WAVEFORM,
  features = ONNXPORT_ROLE_FEATURES,
  state = ONNXPORT_ROLE_STATE,
  hidden = ONNXPORT_ROLE_HIDDEN,
  embeddings = ONNXPORT_ROLE_EMBEDDINGS,
  global_mask = ONNXPORT_ROLE_GLOBAL_MASK,
  flag = ONNXPORT_ROLE_FLAG,
};

/// An input of the graph: i64[batch, sequence], say. The functions in `input` make those that have a role.
struct TensorSpec {
  std::string name;
  DType dtype = DType::i64;
  std::vector<Dim> shape;
  /// The largest index + 1 that dummy inputs may hold (a vocabulary's size); 0 where that does not apply.
  int64_t limit = 0;
  Role role = Role::other;
  /// The input to which it belongs (a mask to its ids); of another part's result, the name of that output.
  std::string of{};
  /// Dummy reals lie in [low, high); where both are equal the host chooses.
  double low = 0, high = 0;
  /// Every dummy value, where there is one.
  std::optional<double> fill{};
};

/// Inputs with their roles: input::ids("input_ids", {axis::batch, axis::sequence}, vocab).
namespace input {

/// To what an input belongs, and below what its indices are.
struct Belonging {
  std::string of{};
  int64_t limit = 0;
};
/// In what range dummy reals lie.
struct Range {
  double low = 0, high = 0;
};

/// Tokens of a text, below `vocab`.
inline TensorSpec ids(std::string name, std::vector<Dim> shape, int64_t vocab) {
  return {std::move(name), DType::i64, std::move(shape), vocab, Role::ids};
}
/// 1 where a place of `of` counts, 0 where it is padding: {.of = "input_ids"}.
inline TensorSpec mask(std::string name, std::vector<Dim> shape, Belonging to) {
  return {std::move(name), DType::i64, std::move(shape), to.limit, Role::mask, std::move(to.of)};
}
/// The tokens' positions, counted along their mask.
inline TensorSpec positions(std::string name, std::vector<Dim> shape, Belonging to) {
  return {std::move(name), DType::i64, std::move(shape), to.limit, Role::positions, std::move(to.of)};
}
/// Which text of a pair a token belongs to.
inline TensorSpec token_types(std::string name, std::vector<Dim> shape, Belonging to) {
  return {std::move(name), DType::i64, std::move(shape), to.limit, Role::token_types, std::move(to.of)};
}
/// x0, y0, x1, y1 of every token; the last axis is 4.
inline TensorSpec boxes(std::string name, std::vector<Dim> shape, Belonging to) {
  return {std::move(name), DType::i64, std::move(shape), to.limit, Role::boxes, std::move(to.of)};
}
/// 1 where a token attends to all others and they to it.
inline TensorSpec global_mask(std::string name, std::vector<Dim> shape, Belonging to) {
  return {std::move(name), DType::i64, std::move(shape), to.limit, Role::global_mask, std::move(to.of)};
}
/// f32[…, channels, height, width]. Without a range, what the checkpoint's image processor makes of black and white.
inline TensorSpec pixels(std::string name, std::vector<Dim> shape, Range range = {}) {
  return {std::move(name), DType::f32, std::move(shape), 0, Role::pixels, {}, range.low, range.high};
}
/// Samples of sound: f32[batch, samples].
inline TensorSpec waveform(std::string name, std::vector<Dim> shape, Range range = {}) {
  return {std::move(name), DType::f32, std::move(shape), 0, Role::waveform, {}, range.low, range.high};
}
/// A spectrogram, or what else was computed of a signal.
inline TensorSpec features(std::string name, std::vector<Dim> shape, Range range = {}) {
  return {std::move(name), DType::f32, std::move(shape), 0, Role::features, {}, range.low, range.high};
}
/// Another part's result: {.of = "last_hidden_state"}, that part's output.
inline TensorSpec hidden(std::string name, std::vector<Dim> shape, Belonging to) {
  return {std::move(name), DType::f32, std::move(shape), 0, Role::hidden, std::move(to.of)};
}
/// Vectors of tokens, in place of their ids.
inline TensorSpec embeddings(std::string name, std::vector<Dim> shape) {
  return {std::move(name), DType::f32, std::move(shape), 0, Role::embeddings};
}
/// A choice, b[1] or of another shape.
inline TensorSpec flag(std::string name, std::vector<Dim> shape, bool value) {
  return {std::move(name), DType::boolean, std::move(shape), 0, Role::flag, {}, 0, 0, value ? 1.0 : 0.0};
}

}  // namespace input

/// How long an axis may be, by its name. 0: the host chooses, there is no bound, no step.
struct AxisSize {
  std::string axis;
  int64_t usual = 0, minimum = 0, maximum = 0;
  int64_t step = 0;  ///< lengths are multiples of it
};

/// What a step of a decoder takes from the one before it, and leaves for the next one.
struct State {
  std::string name;           ///< for the definition: "0.key", "0.encoder.value", "3.conv"
  std::string past, present;  ///< input and output
  std::vector<Dim> shape;     ///< of the input
  /// The axis along which a step appends, and what it is called in the output; none: replaced as a whole.
  std::optional<size_t> grows{};
  std::string grown{};
  /// Made by the first step and left as it is: what is computed of an encoder's result.
  bool kept = false;
  DType dtype = DType::f32;

  TensorSpec input() const { return {past, dtype, shape, 0, Role::state}; }
};

/// The state that clients know as past_key_values.NAME -> present.NAME.
inline State cached(const std::string& name, std::vector<Dim> shape) {
  return {name, "past_key_values." + name, "present." + name, std::move(shape)};
}
/// The same, to which every step appends along an axis: the present one's is called `grown`.
inline State cached(const std::string& name, std::vector<Dim> shape, size_t axis, std::string grown) {
  State state = cached(name, std::move(shape));
  state.grows = axis;
  state.grown = std::move(grown);
  return state;
}

/// What a layer that is no attention remembers, replaced as a whole: past_conv.3 -> present_conv.3 for the kind "conv"
/// of layer 3, which a definition knows as "3.conv".
inline State remembered(const std::string& kind, int64_t layer, std::vector<Dim> shape) {
  const std::string index = std::to_string(layer);
  return {index + "." + kind, "past_" + kind + "." + index, "present_" + kind + "." + index, std::move(shape)};
}

/// What OnnxConfig::generate_dummy_inputs is asked for.
struct DummyRequest {
  std::string part;                      ///< "" is the model as one graph
  std::map<std::string, int64_t> sizes;  ///< of the inputs' axes, by their names
  uint64_t seed = 0;
  bool varied = false;  ///< rows of different lengths and contents, which tests more
};

/// One input's dummy values.
struct DummyTensor {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  std::vector<unsigned char> data;  ///< row-major, little-endian

  /// `values` in order of rows; T is as wide as an element.
  template <class T>
  static DummyTensor of(std::string name, DType dtype, std::vector<int64_t> shape, const std::vector<T>& values) {
    DummyTensor tensor{std::move(name), dtype, std::move(shape), std::vector<unsigned char>(values.size() * sizeof(T))};
    if (!values.empty()) std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
    return tensor;
  }
};

}  // namespace onnxport::sdk
