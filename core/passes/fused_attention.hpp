// SPDX-License-Identifier: Apache-2.0
// What ONNX Runtime's fused attention operators (domain com.microsoft) are given for a node of the composite Attention:
// all of it is on the node. Which of them is worth it, a target decides.
#pragma once

#include <string>
#include <variant>

#include "core/ir/graph.hpp"

namespace onnxport {

/// Why an operator cannot stand for a node: "it gives no probabilities".
struct NotFused {
  std::string why;
};

/// What both operators take. Queries, keys and values are as the node has them: f[batch, n, heads·d], as the operators
/// want them, or with their heads apart.
struct FusedAttention {
  ir::ValueId query, key, value;
  ir::ValueId past_key, past_value;  // f[batch, kv_heads, past, d]; absent: there is no past
  ir::ValueId bias;                  // added to the scores; the operators want its query and key axes at full length
  ir::ValueId mask;                  // i64[batch, total]: 1 where a key counts
  ir::ValueId cosines, sines;        // f[batch or 1, n, r/2]: rows of the fresh tokens
  bool interleaved = false;
  int64_t heads = 0;
  double scale = 0;
  bool present = false;  // whether present keys and values are results
};

/// GroupQueryAttention: causal self-attention over a cache.
///
/// - Its lengths (`seqlens_k`: keys of each row, less one) are the row sums of the mask where rows are padded on the
///   right, which no graph can tell. For padding anywhere they are the total, and the mask goes into the bias; a row
///   whose keys are all padding then yields the mean of the values up to the query.
/// - The tables are `cos_cache` and `sin_cache`, with `position_ids` that count the fresh tokens and no fewer rows than
///   there are keys.
/// - The CPU kernel takes several fresh tokens behind a past in a batch of one only.
///
/// Source: GroupQueryAttention in ContribOperators.md and its CPU kernel, ONNX Runtime 1.32.
struct GroupQueryAttention : FusedAttention {
  int64_t kv_heads = 0;
  int64_t local_window_size = -1;  // keys that a query sees, itself included; -1: all before it
  double softcap = 0;
  ir::ValueId head_sink = ir::absent;  // f[heads]
};

/// MultiHeadAttention: each head has keys of its own. It turns nothing, so that tables are applied in front of it, and
/// knows no window, which goes into the bias; the mask is its `key_padding_mask`.
/// Source: MultiHeadAttention in ContribOperators.md and its CPU kernel, ONNX Runtime 1.32.
struct MultiHeadAttention : FusedAttention {
  bool unidirectional = false;
  int64_t window = 0;  // as the composite has it; 0: none
};

/// For a node of the composite Attention in the graph.
std::variant<GroupQueryAttention, NotFused> as_group_query_attention(const ir::Graph& graph, const ir::Node& node);
std::variant<MultiHeadAttention, NotFused> as_multi_head_attention(const ir::Graph& graph, const ir::Node& node);

}  // namespace onnxport
