// SPDX-License-Identifier: Apache-2.0
// Mixtures of experts: a router's scores choose some of many feed-forward layers for each token, which alone are run
// and read. Experts that all tokens share are ordinary layers beside it.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/blocks/feed_forward.hpp>
#include <onnxport/selection.hpp>

namespace onnxport::sdk {

/// The weights of all experts, stacked along a first axis, each in torch's layout; absent: without.
struct Experts {
  Value gate{};                               ///< f[experts, inner, hidden]
  Value up{};                                 ///< the same
  Value down{};                               ///< f[experts, hidden, inner]
  Value gate_bias{}, up_bias{}, down_bias{};  ///< f[experts, inner], the same, f[experts, hidden]
};

/// How a checkpoint holds experts, of which it names either the layers one by one or two stacked tensors for all.
struct ExpertsLayout {
  int64_t count, hidden, inner;
  bool gated = true;
  bool bias = false;
  /// Apart: "0.gate_proj.weight", "0.gate_proj.bias", …, f[inner, hidden] and f[hidden, inner]. `up` empty: always
  /// stacked.
  std::string gate = "gate_proj", up = "up_proj", down = "down_proj";
  /// Stacked: f[experts, 2·inner, hidden] ("gate_up_proj", and with "_bias" behind it) and f[experts, hidden, inner]
  /// (`stacked_down`); without gates the first is f[experts, inner, hidden].
  std::string stacked_up = "gate_up_proj", stacked_down = "down_proj";
  /// Stacked matrices are f[in, out]: f[experts, hidden, 2·inner] and f[experts, inner, hidden].
  bool turned = false;
  /// Rows of gate and up take turns in the stacked tensor, gate first; else all of gate's come before all of up's.
  bool interleaved = false;
};

namespace detail {

/// One layer of all experts that the checkpoint keeps apart.
inline Value stack_of(const Scope& experts, const std::string& layer, int64_t count,
                      const std::vector<int64_t>& shape) {
  std::vector<Value> pieces;
  for (int64_t i = 0; i < count; ++i) pieces.push_back((experts / i).weight(layer, shape));
  return experts.graph().composite("Stack", pieces);
}

/// The part of gate (0) or up (1) in what a checkpoint holds as one, along an axis of twice the length.
inline Value half_of(const Operand& both, int64_t axis, int64_t part, bool interleaved) {
  const int64_t length = both.fixed(axis) / 2;
  const int64_t begin = interleaved ? part : part * length;
  return both.graph().op("Slice", {both},
                         {{"starts", std::vector<int64_t>{begin}},
                          {"ends", std::vector<int64_t>{interleaved ? 2 * length : begin + length}},
                          {"axes", std::vector<int64_t>{axis}},
                          {"steps", std::vector<int64_t>{interleaved ? 2 : 1}}});
}

inline Experts experts_apart(const Scope& scope, const ExpertsLayout& layout) {
  const int64_t n = layout.count, hidden = layout.hidden, inner = layout.inner;
  Experts experts;
  if (layout.gated) experts.gate = stack_of(scope, layout.gate + ".weight", n, {inner, hidden});
  experts.up = stack_of(scope, layout.up + ".weight", n, {inner, hidden});
  experts.down = stack_of(scope, layout.down + ".weight", n, {hidden, inner});
  if (!layout.bias) return experts;
  if (layout.gated) experts.gate_bias = stack_of(scope, layout.gate + ".bias", n, {inner});
  experts.up_bias = stack_of(scope, layout.up + ".bias", n, {inner});
  experts.down_bias = stack_of(scope, layout.down + ".bias", n, {hidden});
  return experts;
}

inline Experts experts_stacked(const Scope& scope, const ExpertsLayout& layout) {
  const int64_t n = layout.count, hidden = layout.hidden, inner = layout.inner, wide = layout.gated ? 2 * inner : inner;
  const auto matrices = [&](const std::string& name, int64_t out, int64_t in) {
    if (!layout.turned) return scope.weight(name, {n, out, in});
    return scope.weight(name, {n, in, out});
  };
  const auto in_torch_layout = [&](const Value& x) { return layout.turned ? transpose(x, {0, 2, 1}) : x; };
  const auto part = [&](const Value& both, int64_t axis, int64_t which) {
    return layout.gated ? half_of(both, axis, which, layout.interleaved) : both;
  };
  const int64_t out_axis = layout.turned ? 2 : 1;
  const Value up = matrices(layout.stacked_up, wide, hidden);
  Experts experts;
  if (layout.gated) experts.gate = in_torch_layout(part(up, out_axis, 0));
  experts.up = in_torch_layout(part(up, out_axis, 1));
  experts.down = in_torch_layout(matrices(layout.stacked_down, hidden, inner));
  if (!layout.bias) return experts;
  const Value bias = scope.weight(layout.stacked_up + "_bias", {n, wide});
  if (layout.gated) experts.gate_bias = part(bias, 1, 0);
  experts.up_bias = part(bias, 1, 1);
  experts.down_bias = scope.weight(layout.stacked_down + "_bias", {n, hidden});
  return experts;
}

}  // namespace detail

/// The experts of a module, in whichever of the two ways the checkpoint holds them. Nothing is copied in the graph:
/// what is stacked, cut or turned is so while it is written.
/// Source: Qwen3MoeSparseMoeBlock (apart) and GptOssExperts (stacked, turned, interleaved), transformers 4.57.
inline Experts experts_of(const Scope& scope, const ExpertsLayout& layout) {
  const bool apart = !layout.up.empty() && (scope / 0).has(layout.up + ".weight");
  return apart ? detail::experts_apart(scope, layout) : detail::experts_stacked(scope, layout);
}

/// Experts in groups of neighbours, of which a token first chooses the best.
struct ExpertGroups {
  int64_t count;          ///< all of one size
  int64_t kept;           ///< so many of which a token may choose from
  int64_t judged_by = 2;  ///< a group is worth the sum of so many of its best experts
  double outside = -std::numeric_limits<double>::infinity();  ///< what experts of other groups are worth
};

/// choice: f[..., experts], what each expert is worth -> the same, where those outside of a token's best groups are
/// out. Throws INVALID_ARGUMENT where experts do not divide into such groups. Source: DeepseekV3TopkRouter,
/// transformers 4.57.
inline Value within_groups(const Operand& choice, const ExpertGroups& groups) {
  Graph& g = choice.graph();
  const int64_t experts = choice.fixed(-1), size = groups.count > 0 ? experts / groups.count : 0;
  if (size * groups.count != experts || size < groups.judged_by || groups.kept < 1 || groups.kept > groups.count) {
    throw Error(ONNXPORT_CONFIG,
                std::to_string(groups.kept) + " of " + std::to_string(groups.count) + " groups of " +
                    std::to_string(experts) + " experts, each judged by its " + std::to_string(groups.judged_by) +
                    " best, cannot be chosen: expected groups of one size that have so many",
                g.path(choice.place()));
  }
  if (groups.kept == groups.count) return choice;
  const auto best = [](const Value& x, int64_t count) { return top_k(x, count).values; };
  std::vector<int64_t> together(choice.rank() - 1, 0), apart = together;
  together.push_back(experts);
  apart.insert(apart.end(), {groups.count, size});
  const Value grouped = reshape(choice, apart);
  const Value worth = sum(best(grouped, groups.judged_by), {-1});  // f[..., groups]
  const Value least = g.op("ReduceMin", {best(worth, groups.kept)}, {{"axes", {-1}}, {"keepdims", 1}});
  const Value kept = unsqueeze(g.op("GreaterOrEqual", {worth, least}), {-1});
  return reshape(where(kept, grouped, g.scalar(groups.outside, choice.dtype())), together);
}

struct MixtureOptions {
  int64_t top_k;
  Value choice{};                   ///< what to choose by, f[..., experts]; absent: the scores
  bool normalize = false;           ///< the chosen's scores are divided by their sum
  double normalize_epsilon = 0;     ///< plus this
  double scale = 1;                 ///< and multiplied by this
  std::string activation = "silu";  ///< by its name in config.json
  std::optional<double> limit{};    ///< gates are at most this, and up's results within ± this
  std::optional<double> alpha{};    ///< gate · sigmoid(alpha · gate) · (up + 1) in place of activation(gate) · up
};

namespace detail {

/// An activation's name in config.json as the composite has it. Throws UNSUPPORTED.
inline std::string expert_activation(const std::string& name, const std::string& place) {
  if (name == "silu" || name == "swish") return "silu";
  if (name == "gelu" || name == "gelu_python") return "gelu";
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_python_tanh" || name == "gelu_fast" ||
      name == "gelu_accurate")
    return "gelu_tanh";
  if (name == "relu") return "relu";
  if (name == "relu2" || name == "relu_squared") return "relu2";
  throw Error(ONNXPORT_UNSUPPORTED,
              "experts with the activation \"" + name +
                  "\" are not supported; known: gelu, gelu_accurate, gelu_fast, gelu_new, gelu_python, "
                  "gelu_python_tanh, gelu_pytorch_tanh, relu, relu2, relu_squared, silu, swish",
              place);
}

}  // namespace detail

/// x: f[..., hidden], scores: f[..., experts], what each expert counts if it is chosen -> f[..., hidden]
inline Value mixture_of_experts(const Operand& x, const Value& scores, const Experts& experts,
                                const MixtureOptions& options) {
  Graph& g = x.graph();
  std::vector<Attribute> attributes{{"top_k", options.top_k},
                                    {"normalize", options.normalize},
                                    {"normalize_epsilon", options.normalize_epsilon},
                                    {"scale", options.scale},
                                    {"activation", detail::expert_activation(options.activation, g.path(x.place()))}};
  if (options.limit) attributes.emplace_back("limit", *options.limit);
  if (options.alpha) attributes.emplace_back("alpha", *options.alpha);
  return g.composite("MixtureOfExperts",
                     {x, scores, options.choice, experts.gate, experts.up, experts.down, experts.gate_bias,
                      experts.up_bias, experts.down_bias},
                     attributes);
}

/// A feed-forward of experts as a whole: the router, the experts, and those that all tokens share.
struct MixtureFeedForward {
  enum class Scores {
    softmax,       ///< the router's products over all experts
    sigmoid,       ///< each of them by itself
    sparse_mixer,  ///< of two experts, each against its near rivals; what is chosen by are the products
  };
  ExpertsLayout experts;
  MixtureOptions options;  ///< what to choose by is made of the scores
  Scores scores = Scores::softmax;
  double jitter = 0;                                    ///< of the sparse mixer
  std::string router = "gate", experts_at = "experts";  ///< modules; "" for the mixture's own
  bool router_bias = false;
  /// A weight, f[experts], that is added to what experts are chosen by, and not to what they count.
  std::string balance{};
  std::optional<std::string> balance_at{};  ///< of this module, "" the mixture's own; absent: of the router
  bool balance_in_row = false;              ///< it is f[1, experts]
  double least_sum = 0;  ///< where the chosen's scores are divided by their sum: by no less than this
  std::optional<ExpertGroups> groups{};
  /// What experts read is narrowed before all of them and widened behind, by a layer each; the router and the shared
  /// ones see the whole. In `experts` hidden is what they read.
  struct Latent {
    std::string narrow = "fc1_latent_proj", widen = "fc2_latent_proj";
    bool bias = false;
  };
  std::optional<Latent> latent{};
  std::optional<FeedForward> shared{};
  std::string shared_at = "shared_experts";
  std::string shared_gate{};  ///< a layer whose sigmoid, one for a token, scales what the shared ones yield
};

namespace detail {

/// A module below a mixture; the mixture's own for "".
inline Scope part_of(const Scope& mixture, const std::string& name) {
  return name.empty() ? mixture : mixture / name;
}
/// The module of which the router's bias of choice is a weight.
inline Scope balance_of(const Scope& mixture, const MixtureFeedForward& form) {
  return part_of(mixture, form.balance_at.value_or(form.router));
}

}  // namespace detail

/// What two experts count, the best and the next: each by a softmax over those experts alone whose products are not far
/// below its own, next to which the best is none. products: f[..., experts] -> the same; of no meaning for others.
/// Source: sparsemixer, PhimoeTopKRouter, transformers 4.57 and 5.24.
inline Value sparse_mixer(const Operand& products, double jitter) {
  Graph& g = products.graph();
  const TopK best = top_k(products, 2);
  const std::vector<Value> two = split(best.values, -1, {1, 1});
  const Value first = equal(split(best.indices, -1, {1, 1})[0], range(g.integer(products.fixed(-1))));
  const auto share = [&](const Value& own, const Value& others) {
    const Value distance = (own - products) / g.op("Max", {g.op("Abs", {products}), own});
    const Value far = g.op("Greater", {distance, g.scalar(2 * jitter, products.dtype())});
    const Value left_out = others ? g.op("Or", {far, others}) : far;
    const Value counted = where(left_out, g.scalar(0, products.dtype()), exp(products - own));
    return 1.0 / g.op("ReduceSum", {counted}, {{"axes", {-1}}, {"keepdims", 1}});
  };
  return where(first, share(two[0], {}), share(two[1], first));
}

/// Scores divided by the sum of those that are chosen, or by `least` where that is more: f[..., experts] -> the same.
/// `choice` as of MixtureOptions. Source: Ernie4_5_MoeTopKRouter, transformers 5.24.
inline Value over_sum_of_chosen(const Operand& scores, const MixtureOptions& options, double least) {
  Graph& g = scores.graph();
  const TopK best = top_k(options.choice ? options.choice : scores, options.top_k);
  const Value chosen = g.op("GatherElements", {scores, best.indices}, {{"axis", -1}});
  const Value sum = g.op("ReduceSum", {chosen}, {{"axes", {-1}}, {"keepdims", 1}});
  return scores / g.op("Max", {sum, g.scalar(least, scores.dtype())});
}

/// x: f[..., hidden] -> the same. Names are those below `scope`.
/// Source: MixtralSparseMoeBlock, Qwen2MoeSparseMoeBlock and DeepseekV3MoE, transformers 4.57.
inline Value mixture_feed_forward(const Scope& scope, const Operand& x, const MixtureFeedForward& form) {
  using Scores = MixtureFeedForward::Scores;
  const Scope router = scope / form.router, experts = detail::part_of(scope, form.experts_at);
  const Value products = linear(router, x, {.out = form.experts.count, .bias = form.router_bias});
  MixtureOptions options = form.options;
  Value scores;
  if (form.scores == Scores::sparse_mixer) {
    scores = sparse_mixer(products, form.jitter);
    options.choice = products;
  } else {
    scores = form.scores == Scores::softmax ? softmax(products) : sigmoid(products);
  }
  if (!form.balance.empty()) {
    std::vector<int64_t> shape{form.experts.count};
    if (form.balance_in_row) shape.insert(shape.begin(), 1);
    options.choice = scores + detail::balance_of(scope, form).weight(form.balance, shape);
  }
  if (form.groups) options.choice = within_groups(options.choice ? options.choice : scores, *form.groups);
  if (options.normalize && form.least_sum > 0) {
    scores = over_sum_of_chosen(scores, options, form.least_sum);
    options.normalize = false;
  }
  const auto& latent = form.latent;
  const Value read =
      latent ? linear(scope / latent->narrow, x, {.out = form.experts.hidden, .bias = latent->bias}) : Value(x);
  // What reads a norm beside the mixture would stand in the layer, and a wrong expert be told as that.
  Value mixed = mixture_of_experts(read.in(scope), scores, experts_of(experts, form.experts), options);
  if (latent) mixed = linear(scope / latent->widen, mixed, {.out = x.fixed(-1), .bias = latent->bias});
  if (!form.shared) return mixed;
  Value shared = feed_forward(scope / form.shared_at, x, *form.shared);
  if (!form.shared_gate.empty())
    shared = shared * sigmoid(linear(scope / form.shared_gate, x, {.out = 1, .bias = false}));
  return mixed.in(scope) + shared;
}

/// A mixture in the module of a layer where a release saves it, under that release's names.
struct MixtureAt {
  std::string module;  ///< "" for the layer's own
  MixtureFeedForward form;
};

/// The first of the forms whose router the checkpoint has below `layer`, else the first of all: of mixtures that differ
/// in names alone.
inline const MixtureAt& saved_form(const Scope& layer, const std::vector<MixtureAt>& forms) {
  for (const MixtureAt& at : forms) {
    const Scope mixture = detail::part_of(layer, at.module);
    const bool there = at.form.balance.empty() ? (mixture / at.form.router).has("weight")
                                               : detail::balance_of(mixture, at.form).has(at.form.balance);
    if (there) return at;
  }
  return forms.at(0);
}

}  // namespace onnxport::sdk
