// SPDX-License-Identifier: Apache-2.0
// Every option of the composite Attention, alone and with others, in each opset's form and in f16 against the
// reference.
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <ostream>

#include "core/error.hpp"
#include "tests/support/graph_fixture.hpp"

namespace attention_options_test {

using namespace onnxport;
using namespace onnxport::ir;
using namespace onnxport::test;

namespace {

enum class Padding { none, left, right };
enum class Bias { none, scores, keys };

struct Options {
  std::string name;
  int64_t past = -1;  // -1: there is none; else its length
  Padding padding = Padding::none;
  bool causal = false;
  int64_t window = 0;
  Bias bias = Bias::none;
  bool sinks = false;
  double softcap = 0;
  int64_t kv_heads = 4;
  int64_t value_width = 6;
  int64_t turned = 0;  // dimensions of a head; 0: no rotary tables
  bool interleaved = false;
  bool heads_apart = false, present = false, probabilities = false;

  friend std::ostream& operator<<(std::ostream& out, const Options& options) { return out << options.name; }
};

constexpr int64_t batch_size = 3, heads = 4, width = 6, query = 3;

/// The first row counts whole, the second is padded, and the third counts nothing.
Tensor mask_of(Padding padding, int64_t total) {
  std::vector<int64_t> mask(static_cast<size_t>(batch_size * total), 0);
  for (int64_t i = 0; i < total; ++i) {
    mask[static_cast<size_t>(i)] = 1;
    mask[static_cast<size_t>(total + i)] = padding == Padding::left ? i >= total - 2 : i < 2;
  }
  return Tensor::of<int64_t>(DType::i64, {batch_size, total}, mask);
}

struct Fixture : GraphFixture {
  ValueId heads_input(const std::string& name, const Options& options, int64_t count, int64_t size) {
    const float step = static_cast<float>(name[0]) * 0.013F;
    if (options.heads_apart)
      return input(name, {batch, count, n, size}, filled({batch_size, count, query, size}, step));
    return input(name, {batch, n, count * size}, filled({batch_size, query, count * size}, step));
  }

  void define(const Options& o) {
    const bool cached = o.past >= 0;
    const int64_t length = query + (cached ? o.past : 0);
    const Dim total = cached ? past + n : n;
    std::vector<ValueId> inputs(AttentionInput::sinks + 1, absent);
    inputs[AttentionInput::q] = heads_input("q", o, heads, width);
    inputs[AttentionInput::k] = heads_input("k", o, o.kv_heads, width);
    inputs[AttentionInput::v] = heads_input("v", o, o.kv_heads, o.value_width);
    if (o.bias == Bias::scores)
      inputs[AttentionInput::bias] = input("bias", {Dim(1), heads, n, total}, filled({1, heads, query, length}, 1.7F));
    if (o.bias == Bias::keys)
      inputs[AttentionInput::bias] =
          input("bias", {batch, Dim(1), Dim(1), total}, filled({batch_size, 1, 1, length}, 1.7F));
    if (o.padding != Padding::none)
      inputs[AttentionInput::mask] = input("mask", {batch, total}, mask_of(o.padding, length));
    if (cached) {
      inputs[AttentionInput::past_key] =
          input("past_key", {batch, o.kv_heads, past, width}, filled({batch_size, o.kv_heads, o.past, width}, 0.41F));
      inputs[AttentionInput::past_value] = input("past_value", {batch, o.kv_heads, past, o.value_width},
                                                 filled({batch_size, o.kv_heads, o.past, o.value_width}, 0.57F));
    }
    if (o.turned > 0) {
      const int64_t half = o.turned / 2, rows = o.interleaved ? 1 : batch_size;
      const Dim axis = o.interleaved ? Dim(1) : batch;
      inputs[AttentionInput::cosines] = input("cos", {axis, n, half}, filled({rows, query, half}, 0.21F));
      inputs[AttentionInput::sines] = input("sin", {axis, n, half}, filled({rows, query, half}, 0.83F));
    }
    if (o.sinks) inputs[AttentionInput::sinks] = input("sinks", {heads}, filled({heads}, 0.9F));
    const Attributes attributes{{"heads", heads},
                                {"kv_heads", o.kv_heads},
                                {"causal", int64_t{o.causal}},
                                {"window", o.window},
                                {"softcap", o.softcap},
                                {"interleaved", int64_t{o.interleaved}},
                                {"present", int64_t{o.present}}};
    std::vector<std::string> names{"y"};
    if (o.present) names.insert(names.end(), {"present_key", "present_value"});
    if (o.probabilities) names.emplace_back("probabilities");
    const std::vector<ValueId> results = add_all("Attention", inputs, attributes, names.size());
    for (size_t i = 0; i < names.size(); ++i) g.add_output(names[i], results[i]);
  }
};

const std::vector<Options> alone{
    {.name = "plain"},
    {.name = "an empty past", .past = 0, .present = true},
    {.name = "a past of one", .past = 1, .present = true},
    {.name = "a longer past", .past = 5, .present = true},
    {.name = "a past that is not kept", .past = 2},
    {.name = "the first step of a cache", .present = true},
    {.name = "left padding", .padding = Padding::left},
    {.name = "right padding", .padding = Padding::right},
    {.name = "causal", .causal = true},
    {.name = "causal behind a past", .past = 3, .causal = true},
    {.name = "a causal window", .past = 3, .causal = true, .window = 2},
    {.name = "a window of one", .causal = true, .window = 1},
    {.name = "a window to both sides", .window = 2},
    {.name = "a window to both sides behind a past", .past = 3, .window = 3},
    {.name = "a bias", .bias = Bias::scores},
    {.name = "a bias of keys", .bias = Bias::keys},
    {.name = "a bias and padding", .padding = Padding::left, .bias = Bias::scores},
    {.name = "sinks", .sinks = true},
    {.name = "sinks and padding", .padding = Padding::right, .sinks = true},
    {.name = "sinks with probabilities",
     .padding = Padding::left,
     .sinks = true,
     .present = true,
     .probabilities = true},
    {.name = "a soft cap", .softcap = 0.7},
    {.name = "shared keys", .kv_heads = 2},
    {.name = "one key for all", .past = 2, .kv_heads = 1, .present = true},
    {.name = "wider values", .value_width = 10},
    {.name = "narrower values", .past = 2, .kv_heads = 2, .value_width = 4, .present = true},
    {.name = "rotary", .past = 2, .turned = 6, .present = true},
    {.name = "rotary of a part", .past = 2, .turned = 4},
    {.name = "interleaved rotary", .past = 2, .turned = 6, .interleaved = true},
    {.name = "interleaved rotary of a part", .turned = 2, .interleaved = true, .heads_apart = true, .present = true},
    {.name = "heads apart", .kv_heads = 2, .value_width = 4, .heads_apart = true},
    {.name = "probabilities", .probabilities = true},
};

/// Combinations that are spread over all there are, the same in every run.
std::vector<Options> together() {
  uint32_t state = 12345;
  const auto pick = [&](uint32_t count) {
    state = state * 1664525U + 1013904223U;
    return static_cast<int64_t>((state >> 16U) % count);
  };
  const auto one_of = [&](std::initializer_list<int64_t> values) {
    return values.begin()[pick(static_cast<uint32_t>(values.size()))];
  };
  std::vector<Options> rows(40);
  for (size_t i = 0; i < rows.size(); ++i) {
    Options& o = rows[i];
    o.past = one_of({-1, 0, 1, 4});
    o.padding = static_cast<Padding>(pick(3));
    o.causal = pick(2) != 0;
    o.window = one_of({0, 0, 2, 4});
    o.bias = static_cast<Bias>(pick(3));
    o.sinks = pick(3) == 0;
    o.softcap = pick(3) == 0 ? 1.5 : 0.0;
    o.kv_heads = one_of({1, 2, 4});
    o.value_width = one_of({4, 6, 10});
    o.turned = one_of({0, 4, 6});
    o.interleaved = pick(2) != 0;
    o.heads_apart = pick(2) != 0;
    o.present = pick(2) != 0;
    o.probabilities = pick(4) == 0;
    o.name = "combination " + std::to_string(i);
  }
  return rows;
}

void check(const Options& options) {
  Fixture f;
  f.define(options);
  f.check_all_opsets();
  f.check_f16();
  if (!backend_installed("reference")) return test::not_run("the reference back end is not built");
  for (const auto& [name, tensor] : f.references()) {
    for (const float value : numbers(tensor)) BOOST_TEST(std::isfinite(value), name);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(attention_options)

BOOST_DATA_TEST_CASE(by_itself, boost::unit_test::data::make(alone), options) {
  check(options);
}

BOOST_DATA_TEST_CASE(with_others, boost::unit_test::data::make(together()), options) {
  check(options);
}

BOOST_FIXTURE_TEST_CASE(what_does_not_fit_is_refused, Fixture) {
  using In = AttentionInput;
  const ValueId q = input("q", {batch, n, Dim(24)}, filled({1, 1, 24}, 1));
  const ValueId cache = input("cache", {batch, Dim(4), past, Dim(6)}, filled({1, 4, 1, 6}, 1));
  const ValueId narrow = input("narrow", {batch, Dim(4), past, Dim(3)}, filled({1, 4, 1, 3}, 1));
  const ValueId mask = input("mask", {batch, n}, Tensor::of<int64_t>(DType::i64, {1, 1}, {1}));
  const ValueId real = input("real", {batch, n}, filled({1, 1}, 1));
  const ValueId table = input("table", {batch, n, Dim(4)}, filled({1, 1, 4}, 1));
  const ValueId sinks = input("sinks", {Dim(2)}, filled({2}, 1));
  struct Refused {
    const char* why;
    std::map<size_t, ValueId> given;
    Attributes attributes;
    size_t outputs;
  };
  const Refused rows[] = {
      {"past keys and values are two inputs", {{In::past_key, cache}}, {}, 1},
      {"the width of the past's heads", {{In::past_key, cache}, {In::past_value, narrow}}, {}, 1},
      {"the length of its mask", {{In::past_key, cache}, {In::past_value, cache}, {In::mask, mask}}, {}, 1},
      {"its mask must be i64", {{In::mask, real}}, {}, 1},
      {"cosines and sines are two inputs", {{In::sines, table}}, {}, 1},
      {"angles are for wider heads", {{In::cosines, table}, {In::sines, table}}, {}, 1},
      {"the number of its sinks", {{In::sinks, sinks}}, {}, 1},
      {"a window of -1 keys", {}, {{"window", int64_t{-1}}}, 1},
      {"yields 3 results, or 4", {}, {{"present", int64_t{1}}}, 2},
      {"yields 1 results, or 2", {}, {}, 3},
  };
  for (const Refused& row : rows) {
    std::vector<ValueId> inputs(In::sinks + 1, absent);
    for (size_t i : {In::q, In::k, In::v}) inputs[i] = q;
    for (const auto& [place, value] : row.given) inputs[place] = value;
    Attributes attributes = row.attributes;
    attributes.emplace("heads", heads);
    try {
      add_all("Attention", inputs, attributes, row.outputs);
      BOOST_ERROR("was taken, but: " << row.why);
    } catch (const Error& error) {
      BOOST_TEST(std::string(error.what()).find(row.why) != std::string::npos, error.what() << " is not: " << row.why);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace attention_options_test
