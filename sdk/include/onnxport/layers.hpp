// SPDX-License-Identifier: Apache-2.0
// The vocabulary in which models are written. Every helper takes its scope, from which it asks for its weights by
// torch's names, then its input, and what is optional in a named struct. A layer's result stands in the module that
// holds it.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/operations.hpp>
#include <onnxport/tie.hpp>

namespace onnxport::sdk {

struct LinearOptions {
  int64_t out;
  bool bias = true;
};
/// x: f[..., in] -> f[..., out]. Weights: weight f[out, in], bias f[out]. Source: torch.nn.Linear.
inline Value linear(const Scope& scope, const Operand& x, const LinearOptions& options) {
  const int64_t in = x.fixed(-1);
  std::vector<Value> inputs{x, scope.weight("weight", {options.out, in})};
  if (options.bias) inputs.push_back(scope.weight("bias", {options.out}));
  return scope.composite("Linear", inputs).in(scope.parent());
}

/// The same with the weight as f[in, out]. Source: Conv1D of transformers.pytorch_utils, 4.30.
inline Value linear_in_out(const Scope& scope, const Operand& x, const LinearOptions& options) {
  const int64_t in = x.fixed(-1);
  Value y = scope.op("MatMul", {x, scope.weight("weight", {in, options.out})});
  if (options.bias) y = y + scope.weight("bias", {options.out});
  return y.in(scope.parent());
}

/// A head whose weight may be that of the token embedding: f[..., in] -> f[..., out].
struct TiedLinear {
  Scope own;        ///< "lm_head"
  Scope embedding;  ///< where the weight is taken from if they are tied
  Tie tied;
};
inline Value linear(const TiedLinear& head, const Operand& x, const LinearOptions& options) {
  if (!head.tied.holds_for(head.own)) return linear(head.own, x, options);
  Graph& g = x.graph();
  g.unused(head.own.path() + ".weight");
  std::vector<Value> inputs{x, head.embedding.weight("weight", {options.out, x.fixed(-1)})};
  if (options.bias) inputs.push_back(head.own.weight("bias", {options.out}));
  return head.own.composite("Linear", inputs).in(head.own.parent());
}

struct EmbeddingOptions {
  int64_t count, width;
};
/// ids: i64[...] -> f[..., width]. Weight: f[count, width]. Source: torch.nn.Embedding.
inline Value embedding(const Scope& scope, const Operand& ids, const EmbeddingOptions& options) {
  return scope.composite("Embedding", {scope.weight("weight", {options.count, options.width}), ids}).in(scope.parent());
}

/// Positions of tokens that are not padding, counted from padding + 1; padding keeps its own: ids: i64[batch, sequence]
/// -> the same. Source: create_position_ids_from_input_ids, transformers 4.30.
inline Value positions_past_padding(const Operand& ids, int64_t padding) {
  const Value counts = cast(logical_not(equal(ids, padding)), DType::i64);
  return cumulative_sum(counts, 1) * counts + ids.graph().integer(padding);
}

/// f[batch, n, heads·d] -> f[batch, heads, n, d]
inline Value split_heads(const Operand& x, int64_t heads) {
  return x.graph().composite("SplitHeads", {x}, {{"heads", heads}});
}
/// f[batch, heads, n, d] -> f[batch, n, heads·d]
inline Value merge_heads(const Operand& x) {
  return x.graph().composite("MergeHeads", {x});
}

struct AttentionMaskOptions {
  /// Where given, keys after a query do not count; tells the number of queries (its axis 1).
  Value causal_for{};
  /// A causal query sees only so many keys, itself included; 0: all before it.
  int64_t window = 0;
};
/// mask: i64[batch, total], 1 where a key counts -> additive f32[batch, 1, 1 or query, total].
/// Source: ModuleUtilsMixin.get_extended_attention_mask, transformers 4.30.
inline Value attention_mask(const Value& mask, const AttentionMaskOptions& options = {}) {
  std::vector<Value> inputs{mask};
  if (options.causal_for) inputs.push_back(options.causal_for);
  return mask.graph().composite("AttentionMask", inputs,
                                {{"causal", static_cast<bool>(options.causal_for)}, {"window", options.window}});
}
/// The same where every token counts: ids: any[batch, query], past: f[batch, heads, past, d] or absent
/// -> additive f32[1, 1, query, past + query].
inline Value causal_mask(const Operand& ids, const Value& past) {
  return ids.graph().composite("CausalMask", past ? std::vector<Value>{ids, past} : std::vector<Value>{ids});
}

/// The cosines and sines of positions: f32[batch or 1, n, half of what is turned].
struct Angles {
  Value cos, sin;
};

/// Keys and values of one attention: f[batch, kv heads, n, head size], where the two may differ in width.
struct KeyValue {
  Value key, value;
};

struct AttentionOptions {
  int64_t heads;
  int64_t kv_heads = 0;  ///< 0: as many as heads
  double scale = 0;      ///< 0: 1/√head size
  Value bias{};          ///< added to the scaled scores; broadcastable to f[batch, heads, query, total]
  bool causal = false;   ///< a query sees no key after it; the last query stands at the last key
  double softcap = 0;    ///< 0: none
  Value mask{};          ///< i64[batch, total]: 1 where a key counts
  /// Keys less than so many places away count, which for a causal query are that many, itself included; 0: all.
  int64_t window = 0;
  /// Queries and keys are turned by these before they meet: the leading dimensions of every head.
  Angles angles{};
  bool interleaved = false;  ///< pairs that are turned are neighbours, not halves
  /// Keys and values of earlier steps, which stand before those that are given.
  KeyValue past{};
  bool present = false;  ///< whether keys and values of this step and of earlier ones are wanted
  Value sinks{};         ///< f[heads]: the score of a key to nothing, which takes its share of the probabilities
  /// Where the step is asked for (--outputs), the probabilities f[batch, heads, query, total] under this name.
  std::string probabilities{};
};
struct AttentionResult {
  Value mixed;       ///< f[batch, query, heads·d]
  KeyValue present;  ///< f[batch, kv heads, past + n, d], where it is wanted
};
/// q: f[batch, query, heads·d], k, v: f[batch, n, kv_heads·d], or any of them with its heads apart: f[batch, heads, n,
/// d]. Values may be of another width. What limits a query stays symbolic: the host decides how an export expresses it.
inline AttentionResult attention(const Operand& q, const Value& k, const Value& v, const AttentionOptions& options) {
  Graph& g = q.graph();
  const bool wanted = !options.probabilities.empty() && g.wants(options.probabilities);
  std::vector<Value> inputs{q,
                            k,
                            v,
                            options.bias,
                            options.mask,
                            options.past.key,
                            options.past.value,
                            options.angles.cos,
                            options.angles.sin,
                            options.sinks};
  while (!inputs.back()) inputs.pop_back();
  std::vector<Attribute> attributes{{"heads", options.heads},
                                    {"kv_heads", options.kv_heads == 0 ? options.heads : options.kv_heads}};
  if (options.causal) attributes.emplace_back("causal", true);
  if (options.softcap != 0) attributes.emplace_back("softcap", options.softcap);
  if (options.scale != 0) attributes.emplace_back("scale", options.scale);
  if (options.window != 0) attributes.emplace_back("window", options.window);
  if (options.interleaved) attributes.emplace_back("interleaved", true);
  if (options.present) attributes.emplace_back("present", true);
  const size_t count = 1 + (options.present ? 2 : 0) + (wanted ? 1 : 0);
  const std::vector<Value> results = g.add({composites, "Attention", inputs, attributes, count});
  if (wanted) g.mark(options.probabilities, results.back());
  if (!options.present) return {results[0], {}};
  return {results[0], {results[1], results[2]}};
}

/// An activation by its name in config.json. Throws UNSUPPORTED naming the known ones.
/// Source: transformers.activations.ACT2FN, 4.57 (and torch's functions that it points to).
inline Value activation(const Operand& x, const std::string& name) {
  Graph& g = x.graph();
  const auto gelu = [&](const char* how) { return g.composite("Gelu", {x}, {{"approximate", how}}); };
  if (name == "gelu" || name == "gelu_python") return gelu("none");
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_python_tanh" || name == "gelu_fast" ||
      name == "gelu_accurate")
    return gelu("tanh");
  if (name == "quick_gelu") return gelu("quick");
  if (name == "gelu_10") return g.op("Clip", {gelu("none")}, {{"min", -10.0}, {"max", 10.0}});
  if (name == "relu") return relu(x);
  if (name == "relu6") return g.op("Clip", {x}, {{"min", 0.0}, {"max", 6.0}});
  if (name == "relu2" || name == "relu_squared") {
    const Value r = relu(x);
    return r * r;
  }
  if (name == "silu" || name == "swish") return g.composite("Silu", {x});
  if (name == "sigmoid") return sigmoid(x);
  if (name == "tanh") return tanh(x);
  if (name == "mish") return g.op("Mish", {x});
  if (name == "leaky_relu") return g.op("LeakyRelu", {x}, {{"alpha", 0.01}});
  if (name == "linear") return x;
  if (name == "laplace") {
    // 0.5 · (1 + erf((x - √½) / (√(1/(4π)) · √2)))
    return (g.op("Erf", {(x - std::sqrt(0.5)) / (std::sqrt(0.25 / M_PI) * std::sqrt(2.0))}) + 1.0) * 0.5;
  }
  throw Error(ONNXPORT_UNSUPPORTED,
              "the activation \"" + name +
                  "\" is not supported; known: gelu, gelu_10, gelu_accurate, gelu_fast, gelu_new, gelu_python, "
                  "gelu_python_tanh, gelu_pytorch_tanh, laplace, leaky_relu, linear, mish, quick_gelu, relu, relu2, "
                  "relu6, sigmoid, "
                  "silu, swish, tanh",
              g.path(x.place()));
}

/// x > 0: αp·x² + β·x, else αn·(eˣ - 1 - x) + β·x, with learnt α: f[...] -> the same. Weights: alpha_p f[1],
/// alpha_n f[1], beta f[], eps f[]. Source: XIELUActivation, transformers 4.57.
inline Value xielu(const Scope& scope, const Operand& x) {
  Graph& g = scope.graph();
  const auto softplus = [&](const Value& a) { return g.op("Softplus", {a}); };
  const Value beta = scope.weight("beta", {}), least = scope.weight("eps", {});
  const Value above = softplus(scope.weight("alpha_p", {1})), below = beta + softplus(scope.weight("alpha_n", {1}));
  const Value is_above = g.op("Greater", {x, g.scalar(0, x.dtype())});
  // eˣ - 1 of what is below 0 is what Elu computes.
  const Value curved = g.op("Elu", {g.op("Min", {x, least})}, {{"alpha", 1.0}}) - x;
  return (where(is_above, x * x * above, curved * below) + x * beta).in(scope.parent());
}

/// The same for an activation that may have weights of its own, below `module`.act_fn.
inline Value activation(const Scope& module, const Operand& x, const std::string& name) {
  return name == "xielu" ? xielu(module / "act_fn", x) : activation(x, name);
}

}  // namespace onnxport::sdk
