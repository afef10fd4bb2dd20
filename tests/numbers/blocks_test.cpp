// SPDX-License-Identifier: Apache-2.0
// Every field of the SDK's blocks against the arithmetic that it stands for, written out with plain operations over the
// same weights. Both run by the reference, so that what is compared is the definition.
#include <unistd.h>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/stem.hpp>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "core/checkpoint/checkpoint.hpp"
#include "core/definition/host_tables.hpp"
#include "core/definition/onnx_config.hpp"
#include "tests/support/both_back_ends.hpp"
#include "tests/support/graph_fixture.hpp"
#include "tests/support/temporary_folder.hpp"

namespace blocks_test {

namespace fs = std::filesystem;
using namespace onnxport::sdk;
namespace ir = onnxport::ir;

namespace {

constexpr int64_t batch = 2, n = 5, width = 12;

/// Defines both sides of an equation over x: f32[batch, n, width] and mask: i64[batch, n], and compares them.
class Equation {
 public:
  using Side = std::function<Value(const Scope&, const Value& x, const Value& mask)>;

  Equation() { std::ofstream(folder_ / "config.json") << R"({"model_type": "blocks"})"; }

  void check(const Side& block, const Side& formula) const {
    // Once to learn which weights are asked for, and then with numbers for them.
    onnxport::WeightSource asked;
    define(asked, block, formula);
    std::map<std::string, ir::Tensor> tensors;
    float step = 0.37F;
    for (const auto& [name, shape] : asked.requested()) tensors.emplace(name, numbers_for(name, shape, step += 0.11F));
    onnxport::write_safetensors(folder_ / "model.safetensors", tensors);
    const onnxport::Checkpoint checkpoint = onnxport::Checkpoint::open(folder_);
    onnxport::WeightSource weights(checkpoint);
    const ir::Graph graph = define(weights, block, formula);
    // The second text is padded on its left.
    std::vector<int64_t> counts(batch * n, 1);
    counts[n] = counts[n + 1] = 0;
    const onnxport::Tensors results =
        onnxport::test::by_reference(graph, {{"x", onnxport::test::filled({batch, n, width}, 0.7F)},
                                             {"mask", ir::Tensor::of<int64_t>(ir::DType::i64, {batch, n}, counts)}});
    onnxport::test::check_equal({{"y", results.at("block")}}, {{"y", results.at("formula")}}, 1e-4, "block");
  }

 private:
  /// A variance is above 0; the rest is of both signs.
  static ir::Tensor numbers_for(const std::string& name, const std::vector<int64_t>& shape, float step) {
    ir::Tensor tensor = onnxport::test::filled(shape, step);
    if (!name.ends_with("running_var")) return tensor;
    std::vector<float> values = onnxport::test::numbers(tensor);
    for (float& value : values) value = std::fabs(value) + 0.1F;
    return ir::Tensor::of<float>(ir::DType::f32, shape, values);
  }

  static ir::Graph define(onnxport::WeightSource& weights, const Side& block, const Side& formula) {
    ir::Graph graph;
    const ir::Dim texts = ir::Dim::symbol("batch"), tokens = ir::Dim::symbol("sequence");
    graph.add_input("x", {ir::DType::f32, {texts, tokens, ir::Dim(width)}});
    graph.add_input("mask", {ir::DType::i64, {texts, tokens}});
    onnxport_graph handle;
    handle.graph = &graph;
    handle.weights = &weights;
    Graph g(&onnxport::plugin_host(), &handle);
    const Value x = g.input("x"), mask = g.input("mask");
    graph.add_output("block", block(g.root() / "layer", x, mask).id());
    graph.add_output("formula", formula(g.root() / "layer", x, mask).id());
    return graph;
  }

  onnxport::test::TemporaryFolder folder_;
};

// ------------------------------------------------------------------------------------ the arithmetic, written out

Value times(const Value& x, const Value& weight) {  // weight: f[out, in]
  return matmul(x, transpose(weight, {1, 0}));
}
Value norm_by_hand(const Scope& s, const Value& x, const Norm& form) {
  const int64_t size = x.fixed(-1);
  const auto mean_of = [](const Value& v) { return unsqueeze(mean(v, {-1}), {-1}); };
  Value y = form.kind == Norm::Kind::layer ? x - mean_of(x) : x;
  y = y / sqrt(mean_of(y * y) + form.epsilon);
  if (form.weight) y = y * (s.weight("weight", {size}) + form.offset);
  return form.kind == Norm::Kind::layer && form.bias ? y + s.weight("bias", {size}) : y;
}
Value heads(const Value& x, int64_t count) {
  return transpose(reshape(x, {0, 0, count, x.fixed(-1) / count}), {0, 2, 1, 3});
}

struct Scores {
  double scale;
  double softcap = 0;
  bool causal = false;
  int64_t window = 0;
  Value sinks{};  // f[heads]
};
/// q, k, v: f[batch, heads, n, d] -> f[batch, n, heads·d].
Value attend_by_hand(const QueryKeyValue& made, const Value& mask, const Scores& how) {
  Graph& g = mask.graph();
  Value scores = matmul(made.query, transpose(made.key, {0, 1, 3, 2})) * how.scale;
  if (how.softcap != 0) scores = tanh(scores / how.softcap) * how.softcap;
  const Value place = range(size_of(mask, 1)), from = unsqueeze(place, {1}), to = unsqueeze(place, {0});
  Value seen = cast(unsqueeze(mask, {1, 2}), DType::boolean);
  const auto also = [&](const Value& condition) { seen = g.op("And", {seen, condition}); };
  if (how.causal) also(g.op("LessOrEqual", {to, from}));
  if (how.window != 0) also(g.op("Less", {g.op("Abs", {to - from}), g.integer(how.window)}));
  scores = where(seen, scores, g.scalar(-1e30));
  if (!how.sinks) return reshape(transpose(matmul(softmax(scores), made.value), {0, 2, 1, 3}), {0, 0, -1});
  const Value sink = exp(reshape(how.sinks, {1, -1, 1, 1})), shares = exp(scores);
  const Value probabilities = shares / (unsqueeze(sum(shares, {-1}), {-1}) + sink);
  return reshape(transpose(matmul(probabilities, made.value), {0, 2, 1, 3}), {0, 0, -1});
}

constexpr int64_t head_count = 4, size = 6;
const double usual_scale = 1 / std::sqrt(static_cast<double>(size));

/// Projections of a block whose layers are apart, by their names and without biases, heads apart.
QueryKeyValue made_by_hand(const Scope& s, const Value& x, const AttentionBlock& block) {
  const auto made = [&](const char* name, int64_t count, int64_t d) {
    return heads(times(x, (s / name).weight("weight", {count * d, width})), count);
  };
  return {made("q_proj", block.heads, block.head_size), made("k_proj", block.key_heads(), block.head_size),
          made("v_proj", block.key_heads(), block.value_width())};
}
Value output_by_hand(const Scope& s, const Value& mixed) {
  return times(mixed, (s / "o_proj").weight("weight", {width, mixed.fixed(-1)}));
}

AttentionBlock plain() {
  return {.heads = head_count, .head_size = size};
}

void check_attention(const AttentionBlock& block,
                     const std::function<Value(const Scope&, const Value&, const Value&)>& mixed) {
  Equation().check(
      [&](const Scope& s, const Value& x, const Value& mask) { return attend(s, x, block, {.mask = mask}); },
      [&](const Scope& s, const Value& x, const Value& mask) { return output_by_hand(s, mixed(s, x, mask)); });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(blocks, *boost::unit_test::precondition(onnxport::test::both_built))

BOOST_AUTO_TEST_CASE(norms) {
  for (const Norm& form : {Norm{}, Norm{.bias = false}, Norm{.weight = false, .bias = false},
                           Norm{.kind = Norm::Kind::rms, .epsilon = 1e-2}, Norm{.kind = Norm::Kind::rms, .offset = 1},
                           Norm{.offset = 0.5}}) {
    Equation().check([&](const Scope& s, const Value& x, const Value&) { return norm(s / "n", x, form); },
                     [&](const Scope& s, const Value& x, const Value&) { return norm_by_hand(s / "n", x, form); });
  }
}

BOOST_AUTO_TEST_CASE(branches) {
  const Norm form{.epsilon = 1e-3};
  const auto run = [](const Value& h) { return tanh(h * 1.5); };
  const auto normed = [&](const Scope& s, const char* name, const Value& x) { return norm_by_hand(s / name, x, form); };
  const auto check = [&](const Residual& branch, const std::function<Value(const Scope&, const Value&)>& formula) {
    Equation().check([&](const Scope& s, const Value& x, const Value&) { return residual(s, x, branch, run); },
                     [&](const Scope& s, const Value& x, const Value&) { return formula(s, x); });
  };
  using S = const Scope&;
  using V = const Value&;
  check({Placement::before, form, "a"}, [&](S s, V x) { return x + run(normed(s, "a", x)); });
  check({Placement::after, form, "a"}, [&](S s, V x) { return normed(s, "a", x + run(x)); });
  check({Placement::inside, form, "a"}, [&](S s, V x) { return x + normed(s, "a", run(x)); });
  check({Placement::around, form, "a", "b"}, [&](S s, V x) { return x + normed(s, "b", run(normed(s, "a", x))); });
  check({Placement::none, form}, [&](S, V x) { return x + run(x); });
  check({Placement::on_norm, form, "a"}, [&](S s, V x) { return normed(s, "a", x) + run(normed(s, "a", x)); });
  check({.norm = form, .name = "a", .scale = 0.25}, [&](S s, V x) { return x + run(normed(s, "a", x)) * 0.25; });
  check({.norm = form, .name = "a", .factor = "f"},
        [&](S s, V x) { return x + run(normed(s, "a", x)) * s.weight("f", {width}); });
}

BOOST_AUTO_TEST_CASE(branches_side_by_side) {
  const TransformerLayer form{.attention = plain(),
                              .feed_forward = {.inner = 7},
                              .attention_branch = {.name = "a"},
                              .feed_forward_branch = {.name = "b"},
                              .parallel = true};
  Equation().check(
      [&](const Scope& s, const Value& x, const Value& mask) { return transformer_layer(s, x, form, {.mask = mask}); },
      [&](const Scope& s, const Value& x, const Value& mask) {
        const Value attended = attend(s / "self_attn", norm_by_hand(s / "a", x, {}), form.attention, {.mask = mask});
        return x + attended + feed_forward(s / "mlp", norm_by_hand(s / "b", x, {}), form.feed_forward);
      });
}

/// What a block does not do is refused, not left out.
BOOST_AUTO_TEST_CASE(rows_that_ask_for_more_than_is_done) {
  const auto refused = [](const TransformerLayer& form, const std::string& what) {
    const auto side = [&](const Scope& s, const Value& x, const Value& mask) {
      Cache cache(Inputs(), {cached("0.encoder.key", {}), cached("0.encoder.value", {})}, false);
      return transformer_layer(s, x, form, {.mask = mask, .cache = &cache, .encoder = {.hidden = x, .mask = mask}});
    };
    BOOST_CHECK_EXCEPTION(Equation().check(side, side), Error, [&](const Error& error) {
      return error.code() == ONNXPORT_UNSUPPORTED && std::string(error.what()).find(what) != std::string::npos;
    });
  };
  TransformerLayer crossed{.attention = plain(), .feed_forward = {.inner = 7}};
  const auto over_encoder = [&](const AttentionBlock& block) {
    crossed.cross = CrossAttention{.attention = block};
    return crossed;
  };
  const std::pair<AttentionBlock, std::string> rows[] = {
      {{.heads = 4, .head_size = 6, .projections = {.packing = Projections::Packing::groups}}, "projections"},
      {{.heads = 4, .head_size = 6, .query_key_norm = QueryKeyNorm{}}, "norms of queries"},
      {{.heads = 4, .head_size = 6, .repeats_kv = true}, "repeated"},
      {{.heads = 4, .head_size = 6, .clip = 0.3}, "clipped"},
      {{.heads = 4, .head_size = 6, .sinks = "sinks"}, "sinks"}};
  for (const auto& [block, what] : rows) refused(over_encoder(block), what);
  for (const Residual& branch :
       {Residual{.placement = Placement::after}, Residual{.scale = 0.5}, Residual{.factor = "gamma"}})
    refused({.attention = plain(), .feed_forward = {.inner = 7}, .feed_forward_branch = branch, .parallel = true},
            "beside the attention");
}

BOOST_AUTO_TEST_CASE(feed_forwards) {
  const auto weight = [](const Scope& s, const char* name, int64_t out, int64_t in) {
    return (s / name).weight("weight", {out, in});
  };
  Equation().check([](const Scope& s, const Value& x,
                      const Value&) { return feed_forward(s, x, {.inner = 7, .activation = "relu", .bias = true}); },
                   [&](const Scope& s, const Value& x, const Value&) {
                     const Value h =
                         relu(times(x, weight(s, "up_proj", 7, width)) + (s / "up_proj").weight("bias", {7}));
                     return times(h, weight(s, "down_proj", width, 7)) + (s / "down_proj").weight("bias", {width});
                   });
  Equation().check(
      [](const Scope& s, const Value& x, const Value&) {
        return feed_forward(s, x, {.inner = 7, .activation = "relu", .gate = "gate", .bias = true, .down_bias = false});
      },
      [&](const Scope& s, const Value& x, const Value&) {
        const Value gate = relu(times(x, weight(s, "gate", 7, width)) + (s / "gate").weight("bias", {7}));
        const Value up = times(x, weight(s, "up_proj", 7, width)) + (s / "up_proj").weight("bias", {7});
        return times(gate * up, weight(s, "down_proj", width, 7));
      });
  Equation().check(
      [](const Scope& s, const Value& x, const Value&) {
        return feed_forward(s, x, {.inner = 7, .activation = "relu", .gate_up = "both"});
      },
      [&](const Scope& s, const Value& x, const Value&) {
        const Value both = times(x, weight(s, "both", 14, width));
        return times(relu(slice(both, {2, 0, 7})) * slice(both, {2, 7}), weight(s, "down_proj", width, 7));
      });
  Equation().check(
      [](const Scope& s, const Value& x, const Value&) {
        return feed_forward(s, x, {.inner = 7, .activation = "relu", .matrix = Matrix::in_out});
      },
      [&](const Scope& s, const Value& x, const Value&) {
        return matmul(relu(matmul(x, weight(s, "up_proj", width, 7))), weight(s, "down_proj", 7, width));
      });
  // An activation's own weights lie where the reference's class keeps it.
  struct Place {
    const char *up, *at;
  };
  for (const Place& place : {Place{"intermediate.dense", "intermediate.intermediate_act_fn"}, {"up_proj", "act_fn"}}) {
    const char *up = place.up, *at = place.at;
    Equation().check([&](const Scope& s, const Value& x,
                         const Value&) { return feed_forward(s, x, {.inner = 7, .activation = "xielu", .up = up}); },
                     [&](const Scope& s, const Value& x, const Value&) {
                       return times(xielu(s / at, times(x, weight(s, up, 7, width))), weight(s, "down_proj", width, 7));
                     });
  }
}

BOOST_AUTO_TEST_CASE(names_of_the_same_activation) {
  for (const char* name : {"gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh"}) {
    Equation().check([&](const Scope&, const Value& x, const Value&) { return activation(x, name); },
                     [](const Scope&, const Value& x, const Value&) {
                       return x * 0.5 * (tanh((x + x * x * x * 0.044715) * std::sqrt(2 / M_PI)) + 1.0);
                     });
  }
}

BOOST_AUTO_TEST_CASE(mixtures_of_experts) {
  constexpr int64_t experts = 3, inner = 7;
  MixtureFeedForward form{.experts = {.count = experts, .hidden = width, .inner = inner},
                          .options = {.top_k = 2, .normalize = true, .scale = 1.5},
                          .shared = FeedForward{.inner = 5, .activation = "silu", .gate = "gate_proj"},
                          .shared_gate = "shared_gate"};
  const auto gated = [](const Scope& s, const Value& x, int64_t size) {
    const Value gate = times(x, (s / "gate_proj").weight("weight", {size, width}));
    const Value up = times(x, (s / "up_proj").weight("weight", {size, width}));
    return times(gate * sigmoid(gate) * up, (s / "down_proj").weight("weight", {width, size}));
  };
  for (const bool by_balance : {false, true}) {
    form.scores = by_balance ? MixtureFeedForward::Scores::sigmoid : MixtureFeedForward::Scores::softmax;
    form.balance = by_balance ? "balance" : "";
    Equation().check(
        [&](const Scope& s, const Value& x, const Value&) { return mixture_feed_forward(s, x, form); },
        [&](const Scope& s, const Value& x, const Value&) {
          Graph& g = s.graph();
          const Value products = times(x, (s / "gate").weight("weight", {experts, width}));
          const Value scores = by_balance ? sigmoid(products) : softmax(products);
          const Value choice = by_balance ? scores + (s / "gate").weight("balance", {experts}) : scores;
          // All but the one that is worth least.
          const Value least = unsqueeze(g.op("ReduceMin", {choice}, {{"axes", {-1}}, {"keepdims", 0}}), {-1});
          const Value chosen = scores * cast(g.op("Greater", {choice, least}), DType::f32);
          const Value shares = chosen / unsqueeze(sum(chosen, {-1}), {-1}) * 1.5;
          Value y =
              gated(s / "shared_experts", x, 5) * sigmoid(times(x, (s / "shared_gate").weight("weight", {1, width})));
          for (int64_t i = 0; i < experts; ++i)
            y = y + gated(s / "experts" / i, x, inner) * slice(shares, {2, i, i + 1});
          return y;
        });
  }
  const TransformerLayer layer{.attention = plain(), .mixture = form};
  Equation().check(
      [&](const Scope& s, const Value& x, const Value& mask) { return transformer_layer(s, x, layer, {.mask = mask}); },
      [&](const Scope& s, const Value& x, const Value& mask) {
        const Value h =
            x + attend(s / "self_attn", norm_by_hand(s / "input_layernorm", x, {}), layer.attention, {.mask = mask});
        return h + mixture_feed_forward(s / "mlp", norm_by_hand(s / "post_attention_layernorm", h, {}), form);
      });
}

BOOST_AUTO_TEST_CASE(convolutions_over_signals) {
  constexpr int64_t out = 7;
  const Conv1dOptions options{.out = out, .kernel = 3, .padding = 0};
  const auto signal = [](const Value& x) { return transpose(x, {0, 2, 1}); };  // f[batch, width, n]
  const auto convolved = [&](const Scope& s, const Value& x) {
    const Value weight = s.weight("weight", {out, width, 3});
    Value sum;
    for (int64_t k = 0; k < 3; ++k) {
      const Value seen = slice(signal(x), {2, k, k == 2 ? to_end : k - 2});
      const Value part = matmul(squeeze(slice(weight, {2, k, k + 1}), {2}), seen);
      sum = sum ? sum + part : part;
    }
    return sum + reshape(s.weight("bias", {out}), {1, out, 1});
  };
  Equation().check([&](const Scope& s, const Value& x, const Value&) { return conv1d(s / "c", signal(x), options); },
                   [&](const Scope& s, const Value& x, const Value&) { return convolved(s / "c", x); });
  Equation().check(
      [&](const Scope& s, const Value& x, const Value&) {
        return conv_stem(s, signal(x), options, {.convolution = "c", .batch_norm = "n", .activation = "relu"});
      },
      [&](const Scope& s, const Value& x, const Value&) {
        const auto channel = [&](const char* name) { return reshape((s / "n").weight(name, {out}), {1, out, 1}); };
        const Value spread = sqrt(channel("running_var") + 1e-5);
        const Value normed = (convolved(s / "c", x) - channel("running_mean")) / spread;
        return relu(normed * channel("weight") + channel("bias"));
      });
}

BOOST_AUTO_TEST_CASE(scores) {
  AttentionBlock block = plain();
  Scores how{.scale = usual_scale};
  const auto by_hand = [&](const Scope& s, const Value& x, const Value& mask) {
    if (!block.sinks.empty()) how.sinks = s.weight(block.sinks, {head_count});
    return attend_by_hand(made_by_hand(s, x, block), mask, how);
  };
  check_attention(block, by_hand);
  block.scale = how.scale = 0.9;
  block.softcap = how.softcap = 0.4;
  check_attention(block, by_hand);
  block.causal = how.causal = true;
  block.window = how.window = 2;
  check_attention(block, by_hand);
  block.causal = how.causal = false;
  check_attention(block, by_hand);
  block.value_size = 3;
  check_attention(block, by_hand);
  block.window = how.window = 0;
  block.softcap = how.softcap = 0;
  block.sinks = "sinks";
  check_attention(block, by_hand);
}

BOOST_AUTO_TEST_CASE(queries_keys_and_values) {
  const Scores how{.scale = usual_scale};
  AttentionBlock clipped = plain();
  clipped.clip = 0.3;
  check_attention(clipped, [&](const Scope& s, const Value& x, const Value& mask) {
    QueryKeyValue made = made_by_hand(s, x, clipped);
    for (Value* part : {&made.query, &made.key, &made.value})
      *part = x.graph().op("Clip", {*part}, {{"min", -0.3}, {"max", 0.3}});
    return attend_by_hand(made, mask, how);
  });
  for (const bool per_head : {true, false}) {
    AttentionBlock normed = plain();
    normed.query_key_norm = {.norm = {.kind = Norm::Kind::rms}, .per_head = per_head, .query = "qn", .key = "kn"};
    check_attention(normed, [&](const Scope& s, const Value& x, const Value& mask) {
      QueryKeyValue made = made_by_hand(s, x, normed);
      for (auto [part, name] : {std::pair{&made.query, "qn"}, std::pair{&made.key, "kn"}}) {
        if (per_head) {
          *part = norm_by_hand(s / name, *part, normed.query_key_norm->norm);
        } else {
          const Value side_by_side = reshape(transpose(*part, {0, 2, 1, 3}), {0, 0, head_count * size});
          *part = heads(norm_by_hand(s / name, side_by_side, normed.query_key_norm->norm), head_count);
        }
      }
      return attend_by_hand(made, mask, how);
    });
  }
}

BOOST_AUTO_TEST_CASE(norms_that_every_head_has_for_itself) {
  AttentionBlock block = plain();
  block.query_key_norm = {.norm = {.epsilon = 1e-3}, .query = "qn", .key = "kn", .each = "norms"};
  check_attention(block, [&](const Scope& s, const Value& x, const Value& mask) {
    QueryKeyValue made = made_by_hand(s, x, block);
    for (auto [part, name] : {std::pair{&made.query, "qn"}, std::pair{&made.key, "kn"}}) {
      std::vector<Value> normed;
      for (int64_t i = 0; i < head_count; ++i) {
        normed.push_back(
            norm_by_hand(s / name / "norms" / i, slice(*part, {1, i, i + 1}), {.epsilon = 1e-3, .bias = false}));
      }
      *part = concat(normed, 1);
    }
    return attend_by_hand(made, mask, {.scale = usual_scale});
  });
}

BOOST_AUTO_TEST_CASE(projections_in_one_layer) {
  constexpr int64_t kv_heads = 2, per = head_count / kv_heads;
  const Scores how{.scale = usual_scale};
  const auto repeated = [](const Value& x) {  // f[batch, kv heads, n, d] -> each for its queries
    return reshape(expand(unsqueeze(x, {2}), {1, 1, per, 1, 1}), {0, head_count, -1, size});
  };
  AttentionBlock block = plain();
  block.kv_heads = kv_heads;
  block.projections = {.packing = Projections::Packing::blocks, .fused = "qkv"};
  const auto all = [](const Scope& s, const Value& x) {
    return times(x, (s / "qkv").weight("weight", {(head_count + 2 * kv_heads) * size, width}));
  };
  check_attention(block, [&](const Scope& s, const Value& x, const Value& mask) {
    const std::vector<Value> parts = split(all(s, x), -1, {head_count * size, kv_heads * size, kv_heads * size});
    return attend_by_hand(
        {heads(parts[0], head_count), repeated(heads(parts[1], kv_heads)), repeated(heads(parts[2], kv_heads))}, mask,
        how);
  });
  for (const bool repeats : {false, true}) {
    block.projections.packing = Projections::Packing::groups;
    block.repeats_kv = repeats;
    check_attention(block, [&](const Scope& s, const Value& x, const Value& mask) {
      // Rows of the layer: for each kv head its queries, its key, its value.
      const Value rows = heads(all(s, x), kv_heads * (per + 2));
      std::vector<Value> queries, keys, values;
      for (int64_t group = 0; group < kv_heads; ++group) {
        const int64_t first = group * (per + 2);
        queries.push_back(slice(rows, {1, first, first + per}));
        keys.push_back(slice(rows, {1, first + per, first + per + 1}));
        values.push_back(slice(rows, {1, first + per + 1, first + per + 2}));
      }
      return attend_by_hand({concat(queries, 1), repeated(concat(keys, 1)), repeated(concat(values, 1))}, mask, how);
    });
  }
}

BOOST_AUTO_TEST_CASE(groups_of_several_heads_in_one_layer) {
  constexpr int64_t groups = 2, per = head_count / groups;
  for (const bool value_first : {false, true}) {
    AttentionBlock block = plain();
    block.projections = {
        .packing = Projections::Packing::groups, .groups = groups, .value_first = value_first, .fused = "qkv"};
    check_attention(block, [&](const Scope& s, const Value& x, const Value& mask) {
      // Rows of the layer: for each group its queries, then its keys and values in either order.
      const Value rows = heads(times(x, (s / "qkv").weight("weight", {3 * head_count * size, width})), 3 * head_count);
      std::vector<Value> parts[3];
      for (int64_t group = 0; group < groups; ++group) {
        for (int64_t part = 0; part < 3; ++part) {
          const int64_t first = (3 * group + part) * per;
          parts[part].push_back(slice(rows, {1, first, first + per}));
        }
      }
      const size_t key = value_first ? 2 : 1;
      return attend_by_hand({concat(parts[0], 1), concat(parts[key], 1), concat(parts[3 - key], 1)}, mask,
                            {.scale = usual_scale});
    });
  }
}

BOOST_AUTO_TEST_CASE(angles) {
  for (const bool interleaved : {false, true}) {
    AttentionBlock block = plain();
    block.interleaved = interleaved;
    const auto tables = [](const Value& mask) {  // of the first four of six dimensions
      const Value at = unsqueeze(cast(range(size_of(mask, 1)), DType::f32), {0, 2});
      const Value turns = at * at.graph().constant<float>(DType::f32, {2}, {0.9F, 0.2F});
      return Angles{at.graph().op("Cos", {turns}), at.graph().op("Sin", {turns})};
    };
    const auto turned = [&](const Value& x, const Angles& angles) {
      std::vector<Value> d = split(x, -1, {1, 1, 1, 1, 1, 1});
      for (int64_t pair = 0; pair < 2; ++pair) {
        const auto first = static_cast<size_t>(interleaved ? 2 * pair : pair),
                   second = static_cast<size_t>(interleaved ? 2 * pair + 1 : pair + 2);
        const Value cos = unsqueeze(slice(angles.cos, {2, pair, pair + 1}), {1}),
                    sin = unsqueeze(slice(angles.sin, {2, pair, pair + 1}), {1});
        const Value a = d[first], b = d[second];
        d[first] = a * cos - b * sin;
        d[second] = b * cos + a * sin;
      }
      return concat(d, -1);
    };
    Equation().check([&](const Scope& s, const Value& x,
                         const Value& mask) { return attend(s, x, block, {.mask = mask, .angles = tables(mask)}); },
                     [&](const Scope& s, const Value& x, const Value& mask) {
                       const QueryKeyValue made = made_by_hand(s, x, block);
                       const Angles at = tables(mask);
                       return output_by_hand(
                           s, attend_by_hand({turned(made.query, at), turned(made.key, at), made.value}, mask,
                                             {.scale = usual_scale}));
                     });
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace blocks_test
