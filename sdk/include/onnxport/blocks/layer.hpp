// SPDX-License-Identifier: Apache-2.0
// A layer of a transformer, as data: its halves and how each is joined to what came before.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <onnxport/blocks/attention.hpp>
#include <onnxport/blocks/feed_forward.hpp>
#include <onnxport/blocks/mixture_of_experts.hpp>
#include <onnxport/blocks/norm.hpp>

namespace onnxport::sdk {

/// Where the norms of a branch stand.
enum class Placement {
  before,   ///< x + run(norm(x))
  after,    ///< norm(x + run(x))
  inside,   ///< x + norm(run(x)), as in OLMo 2
  around,   ///< x + second(run(norm(x))), as in Gemma 2
  none,     ///< x + run(x)
  on_norm,  ///< norm(x) + run(norm(x)), as BLOOM may
};

/// How a branch of a layer is joined to the trunk.
struct Residual {
  Placement placement = Placement::before;
  Norm norm{};
  std::string name = "norm";  ///< the norm's, below the layer
  std::string second{};       ///< the one behind, where the norms stand around
  double scale = 1;           ///< of what is added, as in Granite
  double kept = 1;            ///< of what it is added to, as in MiniMax
  std::string factor{};       ///< a learnt factor for each channel of what is added: the weight's name, f[width]
};

/// x with the branch `run` joined to it: f[batch, n, width] -> the same.
template <class Run>
Value residual(const Scope& layer, const Value& x, const Residual& form, Run run) {
  const bool normed_first = form.placement == Placement::before || form.placement == Placement::around ||
                            form.placement == Placement::on_norm;
  const Value read = normed_first ? norm(layer / form.name, x, form.norm) : x;
  Value h = run(read);
  if (form.placement == Placement::inside) h = norm(layer / form.name, h, form.norm);
  if (form.placement == Placement::around) h = norm(layer / form.second, h, form.norm);
  h = h.in(layer);
  if (form.scale != 1) h = h * form.scale;
  if (!form.factor.empty()) h = h * layer.weight(form.factor, {x.fixed(-1)});
  const Value& trunk = form.placement == Placement::on_norm ? read : x;
  h = h + (form.kept == 1 ? trunk : trunk * form.kept);
  return form.placement == Placement::after ? norm(layer / form.name, h, form.norm) : h;
}

/// The half of a decoder's layer that attends to an encoder, between the other two.
struct CrossAttention {
  std::string at = "encoder_attn";
  AttentionBlock attention;
  Residual branch{.name = "encoder_attn_layer_norm"};
};

/// A layer: attention to itself, to an encoder where it has that, and a feed-forward.
struct TransformerLayer {
  std::string attention_at = "self_attn",
              feed_forward_at = "mlp";  ///< modules below the layer; "" for the layer itself
  AttentionBlock attention;
  /// In place of it, one of the model's own: x: f[batch, n, width] -> the same.
  std::function<Value(const Scope& module, const Value& x, const Attended& given)> own_attention{};
  FeedForward feed_forward;
  std::optional<MixtureFeedForward> mixture{};  ///< in place of feed_forward
  /// In place of both, one of the model's own: x: f[batch, n, width] -> the same.
  std::function<Value(const Scope& module, const Value& x)> own_feed_forward{};
  Residual attention_branch{.name = "input_layernorm"};
  Residual feed_forward_branch{.name = "post_attention_layernorm"};
  /// Both branches read what the layer was given, and their sum is joined to it: GPT-J, Falcon, Phi, Cohere. The norms
  /// may be one and the same; the feed-forward's stands before it, and nothing scales what it adds.
  bool parallel = false;
  std::optional<CrossAttention> cross{};
};

namespace detail {
inline Scope module_at(const Scope& layer, const std::string& name) {
  return name.empty() ? layer : layer / name;
}
}  // namespace detail

/// x: f[batch, n, width] -> the same. Throws UNSUPPORTED where branches side by side are to be joined in a way of their
/// own.
inline Value transformer_layer(const Scope& layer, const Operand& x, const TransformerLayer& form,
                               const Attended& given) {
  const auto attends = [&](const Value& h) {
    const Scope module = detail::module_at(layer, form.attention_at);
    return form.own_attention ? form.own_attention(module, h, given) : attend(module, h, form.attention, given);
  };
  const auto feeds = [&](const Value& h) {
    const Scope module = detail::module_at(layer, form.feed_forward_at);
    if (form.own_feed_forward) return form.own_feed_forward(module, h);
    return form.mixture ? mixture_feed_forward(module, h, *form.mixture) : feed_forward(module, h, form.feed_forward);
  };
  Value attended = residual(layer, x, form.attention_branch, attends);
  if (form.cross) {
    attended = residual(layer, attended, form.cross->branch, [&](const Value& h) {
      return attend_over(layer / form.cross->at, h, form.cross->attention, given);
    });
  }
  const Residual& fed = form.feed_forward_branch;
  if (!form.parallel) return residual(layer, attended, fed, feeds);
  if (fed.placement != Placement::before || fed.scale != 1 || fed.kept != 1 || !fed.factor.empty()) {
    throw Error(ONNXPORT_UNSUPPORTED,
                "a feed-forward beside the attention reads a norm and is added as it is; write another one with "
                "residual()",
                layer.path());
  }
  const Value h = feeds(norm(layer / fed.name, x, fed.norm));
  return (h + attended).in(layer);
}

/// Layers in a row.
struct LayerStack {
  int64_t count;
  std::function<TransformerLayer(int64_t)> layer;  ///< by its number
  std::string steps{};                             ///< before the names of its steps: "encoder_", "decoder_"
  std::function<Angles(int64_t)> angles{};         ///< by its number, where layers differ in them
  /// What a model makes of what a layer yields, by its number, before the next one reads it.
  std::function<Value(int64_t, const Value&)> behind{};
  std::vector<Value>* states = nullptr;  ///< where given, takes what each layer reads and what the last one yields
};

/// x: f[batch, n, width] -> what the last of the layers `scope`.0, `scope`.1, … yields. What each of them reads is the
/// step {steps}hidden_states.{i}; its probabilities are {steps}attentions.{i}, and those over an encoder
/// cross_attentions.{i}.
inline Value transformer_layers(const Scope& scope, Value x, const LayerStack& stack, Attended given) {
  for (given.layer = 0; given.layer < stack.count; ++given.layer) {
    const std::string index = std::to_string(given.layer);
    scope.graph().mark(stack.steps + "hidden_states." + index, x);
    if (stack.states != nullptr) stack.states->push_back(x);
    given.probabilities = stack.steps + "attentions." + index;
    given.encoder.probabilities = "cross_attentions." + index;
    if (stack.angles) given.angles = stack.angles(given.layer);
    x = transformer_layer(scope / index, x, stack.layer(given.layer), given);
    if (stack.behind) x = stack.behind(given.layer, x);
  }
  if (stack.states != nullptr) stack.states->push_back(x);
  return x;
}

}  // namespace onnxport::sdk
