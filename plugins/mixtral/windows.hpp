// SPDX-License-Identifier: Apache-2.0
// Which layers of Mixtral's relatives see a window of keys only.
#pragma once

#include <string>
#include <vector>

#include <onnxport/layer_types.hpp>

namespace mixtral {

using namespace onnxport::sdk;

/// The window of each layer, in keys; 0: none. Shorter than the layers: the last one is that of the rest.
using Windows = std::vector<int64_t>;

inline Windows no_windows(const Config& /*c*/, int64_t /*layers*/) {
  return {0};
}

/// sliding_window, in every layer.
inline Windows one_window(const Config& c, int64_t /*layers*/) {
  return {c.count("sliding_window", 0)};
}

namespace detail {

inline const std::string full = "full_attention", sliding = "sliding_attention";

/// sliding_window where the config has it, else the class's own; null is none.
inline int64_t window_of(const Config& c, int64_t otherwise) {
  return c.count("sliding_window", c.is_null("sliding_window") ? 0 : otherwise);
}

/// The window in the layers that layer_types, or else `slides`, tells.
template <class Slides>
Windows by_layer(const Config& c, int64_t layers, int64_t window, Slides slides) {
  const LayerTypes of{layers, {full, sliding}, [slides](int64_t i) { return slides(i) ? sliding : full; }};
  Windows windows;
  for (const std::string& type : layer_types(c, of)) windows.push_back(type == sliding ? window : 0);
  return windows;
}

}  // namespace detail

/// sliding_window in every layer, where use_sliding_window says so.
inline Windows one_window_if_used(const Config& c, int64_t /*layers*/) {
  c.no_effect({"max_window_layers"});
  const int64_t window = detail::window_of(c, 4096);
  return {c.boolean("use_sliding_window", false) ? window : 0};
}

/// The same in version 4; since 5 in the layers that layer_types tells, or every other one of the first
/// max_window_layers. Source: Qwen2MoeConfig, transformers 5.24.
inline Windows qwen2_windows(const Config& c, int64_t layers) {
  const Windows all = one_window_if_used(c, layers);
  if (!c.has("layer_types") && !c.written_since(5, 0)) return all;
  const int64_t first = c.count("max_window_layers", 28);
  return detail::by_layer(c, layers, all[0],
                          [first, used = all[0] > 0](int64_t i) { return used && i % 2 == 0 && i < first; });
}

/// sliding_window in the layers that layer_types tells, or every other one from the first. Source: GptOssConfig,
/// transformers 4.57.
inline Windows alternating_windows(const Config& c, int64_t layers) {
  return detail::by_layer(c, layers, detail::window_of(c, 128), [](int64_t i) { return i % 2 == 0; });
}

/// sliding_window in the layers that layer_types tells, or those from max_window_layers on. Source: Dots1Config,
/// transformers 4.57.
inline Windows later_windows(const Config& c, int64_t layers) {
  const int64_t first = c.count("max_window_layers", 62);
  return detail::by_layer(c, layers, detail::window_of(c, 4096), [first](int64_t i) { return i >= first; });
}

}  // namespace mixtral
