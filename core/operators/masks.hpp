// SPDX-License-Identifier: Apache-2.0
// What hides keys from queries, as nodes. They depend on the mask, the lengths and the options alone, so that layers
// with the same ones share one set once equal nodes are merged.
#pragma once

#include "core/ir/builder.hpp"
#include "core/ir/operators.hpp"

namespace onnxport::ir {

/// Which keys a query counts. Query i stands at i + total - query.
struct Sight {
  ValueId mask = absent;               // i64[batch, total]: 1 where a key counts; absent: every key
  ValueId query_length, total_length;  // i64[1]; the same value where they are equal; unused without a place
  bool causal = false;                 // no key behind the query
  int64_t window = 0;                  // keys less than so many places away; 0: at any distance

  /// Whether it depends on where keys and queries stand.
  bool by_place() const { return causal || window > 0; }
  bool limited() const { return mask != absent || by_place(); }
};

/// Whether a key counts: bool[query, total], [batch, 1, 1, total] or [batch, 1, query, total]. Only where limited().
ValueId counted_keys(Builder& b, const Sight& sight);

/// The same as what is added to scores of the type: 0 where a key counts, else masked_score. Only where limited().
ValueId mask_scores(Builder& b, const Sight& sight, DType dtype);

/// The `window` of a node in keys; refuses one below 0.
int64_t window_of(const Inference& x);

}  // namespace onnxport::ir
