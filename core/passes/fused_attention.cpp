// SPDX-License-Identifier: Apache-2.0
#include "core/passes/fused_attention.hpp"

#include <fmt/format.h>

#include <cmath>

#include "core/ir/operators.hpp"

namespace onnxport {
namespace {

using In = ir::AttentionInput;

/// An Attention node with its defaults and sizes.
struct Read {
  const ir::Graph& graph;
  const ir::Node& node;

  bool has(size_t input) const { return node.input(input) != ir::absent; }
  int64_t heads() const { return node.integer("heads", 0); }
  int64_t kv_heads() const { return node.integer("kv_heads", heads()); }
  bool causal() const { return node.integer("causal", 0) != 0; }
  int64_t window() const { return node.integer("window", 0); }
  bool present() const { return node.integer("present", 0) != 0; }
  bool probabilities() const { return node.outputs.size() > (present() ? 3u : 1u); }

  ir::Dim length(size_t input) const {
    const ir::Shape& shape = graph[node.input(input)].type.shape;
    return shape[shape.size() == 4 ? 2 : 1];
  }
  int64_t width(size_t input, int64_t count) const {
    const ir::Shape& shape = graph[node.input(input)].type.shape;
    return shape.size() == 4 ? shape[3].size() : shape[2].size() / count;
  }

  /// Whether fresh keys are those of the queries.
  bool is_self() const { return length(In::q) == length(In::k); }
  NotFused other_lengths() const {
    return {fmt::format("where it is causal it has as many fresh keys as queries, and not {} for {}",
                        length(In::k).to_string(), length(In::q).to_string())};
  }

  FusedAttention common() const {
    FusedAttention form;
    form.query = node.input(In::q);
    form.key = node.input(In::k);
    form.value = node.input(In::v);
    form.past_key = node.input(In::past_key);
    form.past_value = node.input(In::past_value);
    form.bias = node.input(In::bias);
    form.mask = node.input(In::mask);
    form.cosines = node.input(In::cosines);
    form.sines = node.input(In::sines);
    form.interleaved = node.integer("interleaved", 0) != 0;
    form.heads = heads();
    form.scale = node.real("scale", 1.0 / std::sqrt(static_cast<double>(width(In::q, heads()))));
    form.present = present();
    return form;
  }
};

}  // namespace

std::variant<GroupQueryAttention, NotFused> as_group_query_attention(const ir::Graph& graph, const ir::Node& node) {
  const Read read{graph, node};
  if (read.probabilities()) return NotFused{"it gives no probabilities"};
  if (!read.causal()) return NotFused{"its queries see no keys behind them"};
  if (!read.is_self()) return read.other_lengths();
  const int64_t width = read.width(In::k, read.kv_heads()), value_width = read.width(In::v, read.kv_heads());
  if (width != value_width)
    return NotFused{fmt::format("its keys and values are of one width, and not {} and {}", width, value_width)};
  if (read.has(In::cosines)) {
    const int64_t turned = 2 * graph[node.input(In::cosines)].type.shape[2].size();
    if (turned % 16 != 0)
      return NotFused{fmt::format("it turns a multiple of 16 dimensions of a head, and not {}", turned)};
  }
  GroupQueryAttention form{read.common()};
  form.kv_heads = read.kv_heads();
  if (read.window() > 0) form.local_window_size = read.window();
  form.softcap = node.real("softcap", 0.0);
  form.head_sink = node.input(In::sinks);
  return form;
}

std::variant<MultiHeadAttention, NotFused> as_multi_head_attention(const ir::Graph& graph, const ir::Node& node) {
  const Read read{graph, node};
  if (read.probabilities()) return NotFused{"it gives no probabilities"};
  if (read.kv_heads() != read.heads())
    return NotFused{fmt::format("each head has keys of its own, and not {} for {}", read.kv_heads(), read.heads())};
  if (read.has(In::sinks)) return NotFused{"it knows no sinks"};
  if (node.real("softcap", 0.0) != 0.0) return NotFused{"it knows no soft cap"};
  if (read.causal() && !read.is_self()) return read.other_lengths();
  MultiHeadAttention form{read.common()};
  form.unidirectional = read.causal();
  form.window = read.window();
  return form;
}

}  // namespace onnxport
