// SPDX-License-Identifier: Apache-2.0
// Whether two layers share one table, as a head and the embedding do.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/graph.hpp>

namespace onnxport::sdk {

/// What config.json says of it, and what a checkpoint may say otherwise.
struct Tie {
  bool by_config = false;
  /// A table that is saved for the second layer as well is one of its own, whatever the config says: so since
  /// transformers 5, while before the first one was taken for both.
  bool unless_saved = false;

  Tie(bool tied = false) : by_config(tied) {}  // NOLINT: where nothing else is known
  Tie(bool tied, bool own_counts) : by_config(tied), unless_saved(own_counts) {}
  explicit operator bool() const { return by_config; }
  /// Whether the layer `own` takes the other's table.
  bool holds_for(const Scope& own) const { return by_config && !(unless_saved && own.has("weight")); }
};

}  // namespace onnxport::sdk
