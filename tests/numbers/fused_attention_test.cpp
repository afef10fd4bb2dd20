// SPDX-License-Identifier: Apache-2.0
// That an Attention node holds all that ONNX Runtime's fused operators are given: graphs with those operators, made of
// the node alone, compute what the reference does.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <variant>

#include "core/ir/scalar.hpp"
#include "core/passes/fused_attention.hpp"
#include "tests/support/graph_fixture.hpp"

namespace fused_attention_test {

using namespace onnxport;
using namespace onnxport::ir;
using namespace onnxport::test;

namespace {

using In = AttentionInput;
using Results = std::vector<ValueId>;

/// Builds one of the operators in a graph that is being lowered.
class Fuse {
 public:
  Fuse(Graph& graph, const PatchedNode& patched) : g_(graph), patched_(patched) {}

  /// Lengths as the sums of the mask's rows, or the mask as a bias.
  Results group_query(bool right_padded) {
    const auto read = as_group_query_attention(g_, patched_.node);
    BOOST_REQUIRE(std::holds_alternative<GroupQueryAttention>(read));
    const auto& form = std::get<GroupQueryAttention>(read);
    const ValueId last =
        op("Sub", {right_padded ? op("ReduceSum", {form.mask}, {{"axes", ints({1})}, {"keepdims", int64_t{0}}})
                                : op("Expand", {total(form), length(form.query, 0)}),
                   integer(1)});
    const ValueId bias =
        right_padded && form.bias == absent ? absent : full_bias(form, right_padded ? absent : form.mask);
    Results inputs{merged(form.query),
                   merged(form.key),
                   merged(form.value),
                   form.past_key,
                   form.past_value,
                   as(last, DType::i32),
                   as(op("Squeeze", {total(form)}, {{"axes", ints({0})}}), DType::i32)};
    const bool turns = form.cosines != absent;
    inputs.insert(inputs.end(), {turns ? table(form, form.cosines) : absent, turns ? table(form, form.sines) : absent,
                                 turns ? places(form) : absent, bias, form.head_sink});
    return emit("GroupQueryAttention", inputs,
                {{"num_heads", form.heads},
                 {"kv_num_heads", form.kv_heads},
                 {"scale", form.scale},
                 {"softcap", form.softcap},
                 {"local_window_size", form.local_window_size},
                 {"do_rotary", int64_t{turns}},
                 {"rotary_interleaved", int64_t{form.interleaved}}});
  }

  Results multi_head() {
    const auto read = as_multi_head_attention(g_, patched_.node);
    BOOST_REQUIRE(std::holds_alternative<MultiHeadAttention>(read));
    const auto& form = std::get<MultiHeadAttention>(read);
    const auto turned = [&](ValueId x) {
      if (form.cosines == absent) return merged(x);
      const ValueId heads = is_apart(x) ? x : composite("SplitHeads", {x}, {{"heads", form.heads}});
      return merged(composite("RotaryEmbedding", {heads, form.cosines, form.sines},
                              {{"interleaved", int64_t{form.interleaved}}}));
    };
    ValueId bias = form.bias;
    if (form.window > 0) {
      const ValueId near = window_bias(form);
      bias = bias == absent ? near : op("Add", {bias, near});
    }
    FusedAttention biased = form;
    biased.bias = bias;
    return emit("MultiHeadAttention",
                {turned(form.query), turned(form.key), merged(form.value), absent,
                 form.mask == absent ? absent : as(form.mask, DType::i32),
                 bias == absent ? absent : full_bias(biased, absent), form.past_key, form.past_value},
                {{"num_heads", form.heads},
                 {"scale", form.scale},
                 {"unidirectional", int64_t{form.unidirectional}},
                 {"mask_filter_value", masked_score}});
  }

 private:
  static std::vector<int64_t> ints(std::vector<int64_t> values) { return values; }
  ValueId integer(int64_t value) { return g_.add_constant(Tensor::i64({value})); }
  ValueId op(const std::string& name, Results inputs, Attributes attributes = {}) {
    return g_.add_node({"", name, "fused", std::move(inputs), {}, std::move(attributes), ""})[0];
  }
  ValueId composite(const std::string& name, Results inputs, Attributes attributes = {}) {
    return g_.add_node({composite_domain, name, "fused", std::move(inputs), {}, std::move(attributes), ""})[0];
  }
  ValueId as(ValueId x, DType dtype) { return op("Cast", {x}, {{"to", static_cast<int64_t>(dtype)}}); }
  ValueId joined(Results parts) { return op("Concat", std::move(parts), {{"axis", int64_t{0}}}); }
  ValueId length(ValueId x, int64_t axis) { return op("Shape", {x}, {{"start", axis}, {"end", axis + 1}}); }

  bool is_apart(ValueId x) const { return g_[x].type.shape.size() == 4; }
  ValueId merged(ValueId x) { return is_apart(x) ? composite("MergeHeads", {x}) : x; }
  ValueId fresh(ValueId x) { return length(x, is_apart(x) ? 2 : 1); }
  ValueId total(const FusedAttention& form) {
    if (form.past_key == absent) return fresh(form.key);
    return op("Add", {length(form.past_key, 2), fresh(form.key)});
  }
  ValueId range(ValueId from, ValueId to) {
    const auto scalar = [&](ValueId x) { return op("Squeeze", {x}, {{"axes", ints({0})}}); };
    return op("Range", {scalar(from), scalar(to), g_.add_constant(Tensor::i64_scalar(1))});
  }

  /// The bias, and a mask where there is one, as f32[.., .., query, total].
  ValueId full_bias(const FusedAttention& form, ValueId mask) {
    const ValueId zero = g_.add_constant(float_scalar(0, DType::f32));
    ValueId bias = form.bias == absent ? zero : form.bias;
    if (mask != absent) {
      const ValueId counts = as(op("Unsqueeze", {mask}, {{"axes", ints({1, 2})}}), DType::boolean);
      bias = op("Where", {counts, bias, g_.add_constant(float_scalar(masked_score, DType::f32))});
    }
    return op("Expand", {bias, joined({g_.add_constant(Tensor::i64({1, 1})), fresh(form.query), total(form)})});
  }

  /// f32[query, total]: masked where a key is not within the window.
  ValueId window_bias(const MultiHeadAttention& form) {
    const ValueId keys = range(integer(0), total(form));
    const ValueId queries = range(op("Sub", {total(form), fresh(form.query)}), total(form));
    const ValueId distance = op("Sub", {op("Unsqueeze", {queries}, {{"axes", ints({1})}}), keys});
    return op("Where",
              {op("Less", {op("Abs", {distance}), integer(form.window)}), g_.add_constant(float_scalar(0, DType::f32)),
               g_.add_constant(float_scalar(masked_score, DType::f32))});
  }

  /// The rows of the fresh tokens, and below them as many as the operator asks for and nobody reads.
  ValueId table(const FusedAttention& form, ValueId rows) {
    const int64_t half = g_[rows].type.shape[2].size();
    const ValueId unread =
        op("Expand", {g_.add_constant(float_scalar(0, DType::f32)), joined({total(form), integer(half)})});
    return joined({op("Reshape", {rows}, {{"shape", ints({-1, half})}}), unread});
  }
  /// i64[batch, n]: which row of the table each fresh token has.
  ValueId places(const FusedAttention& form) {
    const ValueId shape = joined({length(form.query, 0), fresh(form.query)});
    if (g_[form.cosines].type.shape[0] == Dim(1)) return op("Expand", {range(integer(0), fresh(form.query)), shape});
    const ValueId count = op("Mul", {length(form.query, 0), fresh(form.query)});
    return op("Reshape", {range(integer(0), count), shape});
  }

  Results emit(const std::string& name, Results inputs, Attributes attributes) {
    Results results;
    for (const TensorType& type : patched_.types) {
      Value value;
      value.origin = Origin::node;
      value.type = type;
      results.push_back(g_.add_value(value));
    }
    while (inputs.back() == absent) inputs.pop_back();
    g_.nodes.push_back({"com.microsoft", name, "fused", std::move(inputs), results, std::move(attributes), ""});
    return results;
  }

  Graph& g_;
  const PatchedNode& patched_;
};

constexpr int64_t heads = 4, width = 32;

struct Fixture : GraphFixture {
  std::vector<ValueId> inputs = std::vector<ValueId>(In::sinks + 1, absent);
  Attributes attributes{{"heads", heads}};
  int64_t rows = 2, fresh = 1, before = 0, kv_heads = heads;

  /// Queries, keys and values of `fresh` tokens behind `before` others, where there are such.
  void define_cache() {
    inputs[In::q] = input("q", {batch, n, heads * width}, filled({rows, fresh, heads * width}, 0.7F));
    inputs[In::k] = input("k", {batch, n, kv_heads * width}, filled({rows, fresh, kv_heads * width}, 0.4F));
    inputs[In::v] = input("v", {batch, kv_heads, n, width}, filled({rows, kv_heads, fresh, width}, 0.9F));
    attributes["kv_heads"] = kv_heads;
    if (before == 0) return;
    attributes["present"] = int64_t{1};
    inputs[In::past_key] =
        input("past_key", {batch, kv_heads, past, width}, filled({rows, kv_heads, before, width}, 0.3F));
    inputs[In::past_value] =
        input("past_value", {batch, kv_heads, past, width}, filled({rows, kv_heads, before, width}, 0.8F));
  }
  Dim total() const { return before == 0 ? n : past + n; }
  void define_mask(const std::vector<int64_t>& mask) {
    inputs[In::mask] = input("mask", {batch, total()}, Tensor::of<int64_t>(DType::i64, {rows, before + fresh}, mask));
  }
  /// A table of its own for every row of the batch, or one for all.
  void define_tables(int64_t half, bool for_all) {
    const Dim axis = for_all ? Dim(1) : batch;
    const int64_t count = for_all ? 1 : rows;
    inputs[In::cosines] = input("cos", {axis, n, half}, filled({count, fresh, half}, 0.21F));
    inputs[In::sines] = input("sin", {axis, n, half}, filled({count, fresh, half}, 0.83F));
  }
  void define_sinks() { inputs[In::sinks] = input("sinks", {heads}, filled({heads}, 0.9F)); }
  void define_bias() {
    inputs[In::bias] = input("bias", {Dim(1), heads, n, total()}, filled({1, heads, fresh, before + fresh}, 1.7F));
  }

  /// Where not all queries count, only what they yield that do.
  void define_attention(bool of_counted = false) {
    const Results results = add_all("Attention", inputs, attributes, before == 0 ? 1 : 3);
    ValueId mixed = results[0];
    if (of_counted) {
      const ValueId counts = add("Cast", {inputs[In::mask]}, {{"to", static_cast<int64_t>(DType::f32)}});
      mixed = add("Mul", {mixed, add("Unsqueeze", {counts}, {{"axes", std::vector<int64_t>{2}}})});
    }
    g.add_output("y", mixed);
    for (size_t i = 1; i < results.size(); ++i) g.add_output(i == 1 ? "present_key" : "present_value", results[i]);
  }

  void check(const std::string& fused, const std::function<Results(Fuse&)>& build) {
    if (!backend_installed("reference")) return test::not_run("the reference back end is not built");
    const Patch patch{composite_domain, "Attention", [&](Graph& graph, const PatchedNode& patched) {
                        Fuse fuse(graph, patched);
                        return build(fuse);
                      }};
    const Graph lowered = lower(g, {.opset = 18, .patches = {patch}});
    const auto is_fused = [&](const Node& node) { return node.op == fused; };
    BOOST_TEST(std::count_if(lowered.nodes.begin(), lowered.nodes.end(), is_fused) == 1);
    const Tensors actual = run_model(to_model(lowered, {.opset = 18, .metadata = {}}).model, values);
    for (const Difference& difference : compare(references(), actual, 1e-5))
      BOOST_TEST(difference.passes, difference.output << ": " << difference.max_abs << " " << difference.problem);
  }
  void check_group_query(bool right_padded = false) {
    check("GroupQueryAttention", [&](Fuse& fuse) { return fuse.group_query(right_padded); });
  }
  void check_multi_head() {
    check("MultiHeadAttention", [](Fuse& fuse) { return fuse.multi_head(); });
  }

  std::string why_not_group_query() {
    g.nodes.clear();
    add_all("Attention", inputs, attributes, 1);
    const auto read = as_group_query_attention(g, g.nodes.back());
    return std::holds_alternative<NotFused>(read) ? std::get<NotFused>(read).why : "";
  }
  std::string why_not_multi_head() {
    g.nodes.clear();
    add_all("Attention", inputs, attributes, 1);
    const auto read = as_multi_head_attention(g, g.nodes.back());
    return std::holds_alternative<NotFused>(read) ? std::get<NotFused>(read).why : "";
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(fused_attention, Fixture)

BOOST_AUTO_TEST_CASE(group_query_of_a_step_behind_a_padded_past) {
  kv_heads = 2;
  before = 5;
  attributes["causal"] = int64_t{1};
  attributes["scale"] = 0.2;
  define_cache();
  define_mask({1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1});
  define_tables(width / 2, false);
  define_attention();
  check_group_query();
}

BOOST_AUTO_TEST_CASE(group_query_with_window_cap_sinks_and_bias) {
  kv_heads = 1;
  before = 6;
  attributes["causal"] = int64_t{1};
  attributes["window"] = int64_t{3};
  attributes["softcap"] = 0.8;
  define_cache();
  define_sinks();
  define_bias();
  define_attention();
  check_group_query();
}

BOOST_AUTO_TEST_CASE(group_query_of_a_prompt_by_its_lengths) {
  kv_heads = 2;
  fresh = 5;
  attributes["causal"] = int64_t{1};
  attributes["interleaved"] = int64_t{1};
  define_cache();
  define_mask({1, 1, 1, 1, 1, 1, 1, 1, 0, 0});
  define_tables(width / 4, true);
  define_attention(true);
  check_group_query(true);
}

BOOST_AUTO_TEST_CASE(group_query_of_several_tokens_behind_a_past) {
  rows = 1;
  fresh = 3;
  before = 4;
  kv_heads = 2;
  attributes["causal"] = int64_t{1};
  attributes["window"] = int64_t{4};
  define_cache();
  define_mask({0, 1, 1, 1, 1, 1, 1});
  define_tables(width / 2, true);
  define_attention();
  check_group_query();
}

BOOST_AUTO_TEST_CASE(multi_head_with_padding_and_bias) {
  fresh = 4;
  define_cache();
  define_mask({1, 1, 1, 1, 0, 1, 1, 0});
  define_bias();
  define_attention();
  check_multi_head();
}

BOOST_AUTO_TEST_CASE(multi_head_behind_a_past_with_tables) {
  fresh = 3;
  before = 4;
  attributes["causal"] = int64_t{1};
  attributes["window"] = int64_t{3};
  define_cache();
  define_mask({1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1});
  define_tables(width / 4, false);
  define_attention();
  check_multi_head();
}

BOOST_AUTO_TEST_CASE(multi_head_with_a_window_to_both_sides) {
  fresh = 6;
  attributes["window"] = int64_t{2};
  define_cache();
  define_attention();
  check_multi_head();
}

BOOST_AUTO_TEST_CASE(why_an_operator_cannot) {
  define_cache();
  BOOST_TEST(why_not_multi_head() == "");
  BOOST_TEST(why_not_group_query() == "its queries see no keys behind them");
  attributes["causal"] = int64_t{1};
  BOOST_TEST(why_not_group_query() == "");
  attributes["softcap"] = 1.0;
  BOOST_TEST(why_not_group_query() == "");
  BOOST_TEST(why_not_multi_head() == "it knows no soft cap");
  define_tables(6, true);
  BOOST_TEST(why_not_group_query() == "it turns a multiple of 16 dimensions of a head, and not 12");
  inputs[In::cosines] = inputs[In::sines] = absent;
  define_sinks();
  BOOST_TEST(why_not_group_query() == "");
  BOOST_TEST(why_not_multi_head() == "it knows no sinks");
  inputs[In::v] = input("wide", {batch, heads, n, Dim(width + 2)}, filled({rows, heads, fresh, width + 2}, 0.9F));
  BOOST_TEST(why_not_group_query() == "its keys and values are of one width, and not 32 and 34");
  inputs[In::q] = input("others", {batch, Dim::symbol("m"), heads * width}, filled({rows, 2, heads * width}, 0.7F));
  BOOST_TEST(why_not_group_query() == "where it is causal it has as many fresh keys as queries, and not n for m");
}

BOOST_AUTO_TEST_CASE(why_multi_head_cannot_share_keys_or_show_probabilities) {
  kv_heads = 2;
  define_cache();
  BOOST_TEST(why_not_multi_head() == "each head has keys of its own, and not 2 for 4");
  add_all("Attention", inputs, attributes, 2);
  const auto read = as_group_query_attention(g, g.nodes.back());
  BOOST_TEST(std::get<NotFused>(read).why == "it gives no probabilities");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace fused_attention_test
