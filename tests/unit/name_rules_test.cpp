// SPDX-License-Identifier: Apache-2.0
// Checkpoints whose tensors and fields are called, cut or joined otherwise than a definition has them.
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/definition/config_names.hpp"
#include "core/definition/name_rules.hpp"
#include "core/definition/weights.hpp"
#include "core/error.hpp"
#include "tests/support/temporary_folder.hpp"

namespace name_rules_test {

using namespace onnxport;
namespace fs = std::filesystem;

namespace {

using Floats = std::vector<float>;
using Shape = std::vector<int64_t>;

/// A checkpoint of f32 tensors that count from 0, a hundred apart in the order of their names.
struct Folder {
  explicit Folder(const std::map<std::string, Shape>& shapes) {
    std::ofstream(path / "config.json") << "{}";
    std::map<std::string, ir::Tensor> tensors;
    float first = 0;
    for (const auto& [name, shape] : shapes) {
      ir::Tensor tensor{ir::DType::f32, shape, {}};
      Floats values(static_cast<size_t>(tensor.element_count()));
      for (size_t i = 0; i < values.size(); ++i) values[i] = first + static_cast<float>(i);
      tensor.data.resize(values.size() * sizeof(float));
      std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
      tensors.emplace(name, std::move(tensor));
      first += 100;
    }
    write_safetensors(path / "model.safetensors", tensors);
    checkpoint.emplace(Checkpoint::open(path));
  }
  test::TemporaryFolder path;
  std::optional<Checkpoint> checkpoint;
};

std::vector<NamePattern> patterns(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

Floats values_of(const Weight& weight) {
  const ir::Tensor tensor = materialize(weight);
  Floats values(tensor.data.size() / sizeof(float));
  std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

Floats values_of(const Folder& folder, const NameRule& rule, const std::string& name, const Shape& shape) {
  WeightSource source(*folder.checkpoint, {rule});
  const Weight weight = source.get(name, shape).second;
  BOOST_TEST(weight.shape() == shape, boost::test_tools::per_element());
  return values_of(weight);
}

template <class Function>
std::string message_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    BOOST_TEST((error.failure() == Failure::checkpoint));
    return error.what();
  }
  return "no error";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(name_rules)

BOOST_AUTO_TEST_CASE(a_word_in_braces_is_a_number) {
  const NamePattern pattern("blocks.{layer}.attn.");
  const auto match = pattern.match("blocks.12.attn.q.weight");
  BOOST_REQUIRE(match.has_value());
  BOOST_TEST(match->numbers.at("layer") == "12");
  BOOST_TEST(match->rest == "q.weight");
  BOOST_TEST(NamePattern("h.{layer}.").fill(*match) == "h.12.q.weight");
  for (const char* other : {"blocks.attn.q", "blocks.x.attn.q", "blocks.1.attention.q", "block.1.attn.q", ""})
    BOOST_TEST(!pattern.match(other), other);
  BOOST_TEST(NamePattern("blocks.").covers(pattern));
  BOOST_TEST(NamePattern("blocks.{n}.").covers(pattern));
  BOOST_TEST(!NamePattern("blocks.0.").covers(pattern));
  BOOST_TEST(!pattern.covers(NamePattern("blocks.")));
  BOOST_TEST(NamePattern("").match("a")->rest == "a");
}

BOOST_AUTO_TEST_CASE(the_first_rule_that_fits_counts) {
  const Folder folder({{"a.0.b.w", {1}}, {"a.0.w", {1}}, {"c.w", {1}}});
  WeightSource source(*folder.checkpoint, {{patterns({"a.{n}.b."}), patterns({"x.{n}."})},
                                           {patterns({"a.{n}."}), patterns({"y.{n}."})},
                                           {patterns({""}), patterns({"all."})}});
  for (const char* name : {"x.0.w", "y.0.w", "all.c.w"}) source.get(name, {1});
  BOOST_TEST(source.finish(false).empty());
  BOOST_TEST(source.get("x.0.w", {1}).first == "a.0.b.w");
}

BOOST_AUTO_TEST_CASE(one_tensor_is_split) {
  const Folder folder({{"a.0.qkv.bias", {6}}, {"a.0.qkv.weight", {6, 2}}});
  NameRule rule{patterns({"a.{n}.qkv."}), patterns({"q.{n}.", "k.{n}.", "v.{n}."})};
  BOOST_TEST((values_of(folder, rule, "k.0.weight", {2, 2}) == Floats{104, 105, 106, 107}));
  BOOST_TEST((values_of(folder, rule, "v.0.bias", {2}) == Floats{4, 5}));
  rule.sizes = {4, 1, 1};
  BOOST_TEST((values_of(folder, rule, "k.0.weight", {1, 2}) == Floats{108, 109}));
  // Two groups with a row of each part.
  rule.sizes.clear();
  rule.groups = 2;
  BOOST_TEST((values_of(folder, rule, "q.0.weight", {2, 2}) == Floats{100, 101, 106, 107}));
  BOOST_TEST((values_of(folder, rule, "v.0.bias", {2}) == Floats{2, 5}));
  rule.groups = 4;
  BOOST_TEST(message_of([&] { values_of(folder, rule, "q.0.bias", {2}); }) ==
             "a.0.qkv.bias [6] cannot be split into 3 equal parts in 4 groups");
}

BOOST_AUTO_TEST_CASE(one_tensor_is_split_along_another_axis) {
  const Folder folder({{"qk.bias", {4}}, {"qk.weight", {2, 4}}});
  NameRule rule{patterns({"qk."}), patterns({"q.", "k."}), -1};
  BOOST_TEST((values_of(folder, rule, "k.weight", {2, 2}) == Floats{102, 103, 106, 107}));
  BOOST_TEST((values_of(folder, rule, "k.bias", {2}) == Floats{2, 3}));
  rule.axis = 1;
  BOOST_TEST(message_of([&] { values_of(folder, rule, "q.bias", {2}); }) ==
             "qk.bias [4] is to be split along axis 1, which it does not have");
}

BOOST_AUTO_TEST_CASE(several_tensors_are_joined) {
  const Folder folder({{"l.0.k.w", {2, 2}}, {"l.0.q.w", {4, 2}}});
  NameRule rule{patterns({"l.{n}.q.", "l.{n}.k."}), patterns({"qk.{n}."})};
  BOOST_TEST((values_of(folder, rule, "qk.0.w", {6, 2}) == Floats{100, 101, 102, 103, 104, 105, 106, 107, 0, 1, 2, 3}));
  const Folder wide({{"k.w", {2, 1}}, {"q.w", {2, 2}}});
  rule = {patterns({"q.", "k."}), patterns({"qk."}), 1};
  BOOST_TEST((values_of(wide, rule, "qk.w", {2, 3}) == Floats{100, 101, 0, 102, 103, 1}));
  rule.axis = 0;
  BOOST_TEST(message_of([&] {
               values_of(wide, rule, "qk.w", {4, 1});
             }) == "q.w [2, 2] and k.w [2, 1] are to be joined along axis 0 and do not fit together");
  const Folder half({{"q.w", {2, 2}}});
  BOOST_TEST(message_of([&] {
               values_of(half, rule, "qk.w", {4, 2});
             }) == "the checkpoint does not have k.w, which it takes to make 'qk.w' of");
}

BOOST_AUTO_TEST_CASE(several_tensors_are_joined_in_groups) {
  const Folder folder({{"k.w", {2, 2}}, {"q.w", {4, 2}}});
  NameRule rule{patterns({"q.", "k."}), patterns({"qk."})};
  rule.groups = 2;
  BOOST_TEST((values_of(folder, rule, "qk.w", {6, 2}) == Floats{100, 101, 102, 103, 0, 1, 104, 105, 106, 107, 2, 3}));
  const Folder wide({{"k.w", {1, 2}}, {"q.w", {1, 2}}});
  NameRule last{patterns({"q.", "k."}), patterns({"qk."}), -1};
  last.groups = 2;
  BOOST_TEST((values_of(wide, last, "qk.w", {1, 4}) == Floats{100, 0, 101, 1}));
  rule.groups = 4;
  BOOST_TEST(message_of([&] {
               values_of(folder, rule, "qk.w", {6, 2});
             }) == "k.w [2, 2] cannot be joined along axis 0 in 4 groups");
}

BOOST_AUTO_TEST_CASE(two_tensors_of_one_name) {
  const Folder folder({{"a.w", {1}}, {"b.w", {1}}});
  BOOST_TEST(message_of([&] {
               WeightSource(*folder.checkpoint, {{patterns({"a."}), patterns({"b."})}});
             }) == "two tensors of the checkpoint become 'b.w' by the rules of weight_names: a.w and b.w");
}

BOOST_AUTO_TEST_CASE(what_a_checkpoint_would_hold) {
  const std::vector<NameRule> rules{{patterns({"acme.{n}.qkv."}), patterns({"b.{n}.q.", "b.{n}.k."})},
                                    {patterns({"acme."}), patterns({"b."})}};
  const std::vector<TensorPlan> stored = as_in_checkpoint(
      {{"0.k.w", ir::DType::f32, {2, 3}}, {"0.q.w", ir::DType::f32, {4, 3}}, {"norm.w", ir::DType::f32, {3}}}, rules,
      "b");
  BOOST_REQUIRE(stored.size() == 2u);
  BOOST_TEST(stored[0].name == "acme.0.qkv.w");
  BOOST_TEST(stored[0].shape == (Shape{6, 3}), boost::test_tools::per_element());
  BOOST_TEST(stored[1].name == "acme.norm.w");
}

BOOST_AUTO_TEST_CASE(fields_by_other_names) {
  ConfigNames names;
  names.extension = "com.example.x";
  names.base_type = "base";
  names.fields = {{"d_model", "hidden_size"}, {"ffn.width", "inner_size"}, {"layers", "depth"}, {"a", "b"}, {"b", "a"}};
  names.defaults = {{"eps", 1}, {"depth", 4}};
  names.values = {{"rope.theta", 5}};
  const Json read = names.applied_to(Json{{"model_type", "x"},
                                          {"d_model", 8},
                                          {"ffn", {{"width", 3}, {"act", "gelu"}}},
                                          {"layers", 2},
                                          {"a", 1},
                                          {"b", 2}});
  BOOST_TEST(read["hidden_size"] == 8);
  BOOST_TEST(read["inner_size"] == 3);
  BOOST_TEST(read["ffn"] == Json({{"act", "gelu"}}));
  BOOST_TEST(read["depth"] == 2);
  BOOST_TEST(read["eps"] == 1);
  BOOST_TEST(read["a"] == 2);
  BOOST_TEST(read["b"] == 1);
  BOOST_TEST(read["rope"]["theta"] == 5);
  BOOST_TEST(read["model_type"] == "base");
  BOOST_TEST(!read.contains("d_model"));
  BOOST_TEST(names.in_own_words("'hidden_size' is 7, not hidden_sizes, nor in depth; 'depth' is inner_size.") ==
             "'d_model' is 7, not hidden_sizes, nor in depth; 'layers' is ffn.width.");
  BOOST_TEST(size_by_config("3*hidden_size/4", read, names) == 6);
  BOOST_TEST(message_of([&] { size_by_config("hidden_size/3", read, names); }) ==
             "the size 'hidden_size/3' in weight_names of com.example.x: 8 does not divide by 3");
  BOOST_TEST(message_of([&] { size_by_config("heads", read, names); }) ==
             "the size 'heads' in weight_names of com.example.x: config.json has no field 'heads'");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace name_rules_test
