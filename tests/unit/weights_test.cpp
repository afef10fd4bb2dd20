// SPDX-License-Identifier: Apache-2.0
// Weight names are adapted in one place, and what does not fit is reported together.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "core/definition/weights.hpp"
#include "core/error.hpp"
#include "tests/support/temporary_folder.hpp"

namespace weights_test {

using namespace onnxport;
namespace fs = std::filesystem;

namespace {

/// A checkpoint of f32 tensors with the given names and shapes; those of another type by name.
struct Folder {
  explicit Folder(const std::map<std::string, std::vector<int64_t>>& shapes,
                  const std::map<std::string, ir::DType>& dtypes = {}) {
    std::ofstream(path / "config.json") << "{}";
    std::map<std::string, ir::Tensor> tensors;
    for (const auto& [name, shape] : shapes) {
      ir::Tensor tensor{dtypes.contains(name) ? dtypes.at(name) : ir::DType::f32, shape, {}};
      tensor.data.resize(static_cast<size_t>(tensor.element_count()) * ir::size_of(tensor.dtype));
      tensors.emplace(name, std::move(tensor));
    }
    write_safetensors(path / "model.safetensors", tensors);
    checkpoint.emplace(Checkpoint::open(path));
  }
  test::TemporaryFolder path;
  std::optional<Checkpoint> checkpoint;
};

std::string failure_of(const WeightSource& source, const WeightSource::Others& others = {}) {
  try {
    source.finish(false, others);
  } catch (const Error& error) {
    BOOST_TEST((error.failure() == Failure::checkpoint));
    return error.what();
  }
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(weights)

BOOST_AUTO_TEST_CASE(a_prefix_may_be_there_or_not) {
  Folder with({{"bert.a.weight", {2}}}), without({{"a.weight", {2}}});
  for (const Folder* folder : {&with, &without}) {
    for (const char* name : {"a.weight", "bert.a.weight"}) {
      WeightSource source(*folder->checkpoint);
      source.set_base_model_prefix("bert");
      source.get(name, {2});
      BOOST_TEST(failure_of(source) == "");
    }
  }
}

BOOST_AUTO_TEST_CASE(gamma_and_beta_are_weight_and_bias) {
  Folder folder({{"bert.n.LayerNorm.gamma", {2}}, {"bert.n.LayerNorm.beta", {2}}});
  WeightSource source(*folder.checkpoint);
  source.set_base_model_prefix("bert");
  BOOST_TEST(source.get("n.LayerNorm.weight", {2}).first == "bert.n.LayerNorm.gamma");
  BOOST_TEST(source.get("n.LayerNorm.bias", {2}).first == "bert.n.LayerNorm.beta");
  BOOST_TEST(failure_of(source) == "");
}

BOOST_AUTO_TEST_CASE(missing_misshapen_and_unexpected_are_listed_together) {
  Folder folder({{"layer.0.w", {2, 3}}, {"layer.0.extra", {1}}, {"layer.1.w", {2, 3}}, {"head.w", {4}}});
  WeightSource source(*folder.checkpoint);
  source.get("layer.0.w", {3, 2});
  source.get("absent.w", {7});
  const std::string text = failure_of(source);
  BOOST_TEST(contains(text, "absent.w [7]"));
  BOOST_TEST(contains(text, "layer.0.w: expected [3, 2] by config.json, found [2, 3]"));
  BOOST_TEST(contains(text, "layer.0.extra [1]"));
  BOOST_TEST(contains(text, "layer.1.w [2, 3]"));
}

BOOST_AUTO_TEST_CASE(no_tensors_at_all_are_told_so) {
  Folder folder({});
  WeightSource source(*folder.checkpoint);
  BOOST_TEST(failure_of(source) == "");  // a model without weights wants none
  source.get("a.weight", {2});
  BOOST_TEST(failure_of(source) == "the checkpoint holds no tensors, and 1 are asked for");
}

BOOST_AUTO_TEST_CASE(a_hint_tells_a_missing_head_from_missing_layers) {
  const auto hint_with = [](const char* wanted) {
    Folder folder({{"layer.0.query.weight", {2}}, {"head.weight", {2}}});
    WeightSource source(*folder.checkpoint);
    for (const char* name : {"layer.0.query.weight", wanted}) source.get(name, {2});
    try {
      source.finish(false);
    } catch (const Error& error) {
      return error.hint();
    }
    return std::string();
  };
  for (const char* part : {"layer.0.query.bias", "layer.0.key.weight", "layer.1.query.weight"})
    BOOST_TEST(contains(hint_with(part), "the weights are not all there"), part);
  for (const char* head : {"classifier.weight", "pooler.dense.weight"})
    BOOST_TEST(contains(hint_with(head), "choose a feature that it has"), head);
}

BOOST_AUTO_TEST_CASE(a_hint_names_what_is_there_in_place_of_a_tensor) {
  const auto hint_with = [](const char* held, ir::DType dtype = ir::DType::f32) {
    Folder folder({{"a.bias", {2}}, {held, {2}}}, {{held, dtype}});
    WeightSource source(*folder.checkpoint);
    for (const char* name : {"a.weight", "a.bias"}) source.get(name, {2});
    try {
      source.finish(false);
    } catch (const Error& error) {
      return error.hint();
    }
    return std::string();
  };
  BOOST_TEST(contains(hint_with("a.weight_orig"), "a.weight_orig is there in its place, of which pruning"));
  BOOST_TEST(contains(hint_with("a.weight_v"), "weight normalisation computes it"));
  BOOST_TEST(contains(hint_with("a.parametrizations.weight.original0"), "remove_parametrizations"));
  BOOST_TEST(contains(hint_with("a.packed", ir::DType::i32), "a.packed is there, of i32: quantized weights are not"));
  BOOST_TEST(contains(hint_with("a.weight", ir::DType::i8), "quantized weights are not read"));
  BOOST_TEST(contains(hint_with("a.counts", ir::DType::i64), "the weights are not all there"));
}

BOOST_AUTO_TEST_CASE(a_further_layer_is_unexpected_and_another_head_is_not) {
  Folder folder({{"layer.0.w", {2}}, {"layer.1.w", {2}}, {"head.w", {4}}});
  WeightSource source(*folder.checkpoint);
  source.get("layer.0.w", {2});
  BOOST_TEST(contains(failure_of(source), "layer.1.w"));
  BOOST_TEST(source.finish(true).size() == 2u);  // allowed
  source.get("layer.1.w", {2});
  BOOST_TEST(source.finish(false) == std::vector<std::string>{"head.w"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_was_added_to_a_used_module_is_unexpected) {
  const std::vector<std::string> added{"bert.layer.0.attention.q_norm.weight",
                                       "bert.layer.0.attention.self.gate.weight",
                                       "bert.layer.0.adapters.x.down.weight",
                                       "bert.layer.0.pre_norm.bias",
                                       "bert.layer.0.extra.weight",
                                       "bert.embeddings.projections.0.weight",
                                       "bert.extra_norm.weight",
                                       "bert.mixing.weight",
                                       "bert.layer.0.pooler.dense.weight",
                                       "cls.predictions.gate.weight",
                                       "cls.LayerNorm.weight"};
  std::map<std::string, std::vector<int64_t>> tensors{{"bert.layer.0.attention.query.weight", {2}},
                                                      {"bert.embeddings.words.weight", {2}},
                                                      {"cls.predictions.bias", {2}},
                                                      {"bert.layer.0.attention.rotary.inv_freq", {2}},
                                                      {"bert.layer.decoder.version", {1}},
                                                      {"cls.seq_relationship.weight", {2}},
                                                      {"bert.pooler.dense.weight", {2}},
                                                      {"layer_norm.weight", {2}},
                                                      {"classifier.weight", {2}}};
  for (const std::string& name : added) tensors[name] = {2};
  Folder folder(tensors);
  WeightSource source(*folder.checkpoint);
  source.set_base_model_prefix("bert");
  for (const char* used : {"layer.0.attention.query.weight", "embeddings.words.weight", "cls.predictions.bias"})
    source.get(used, {2});
  const std::string text = failure_of(source);
  for (const std::string& name : added) BOOST_TEST(contains(text, name), name << " in: " << text);
  // Heads, beside the model or of a model for several tasks, and buffers.
  for (const char* other : {"seq_relationship", "bert.pooler", "\n    layer_norm", "classifier", "inv_freq", "version"})
    BOOST_TEST(!contains(text, other), other);
}

BOOST_AUTO_TEST_CASE(what_another_feature_asks_for_or_knows_is_not_unexpected) {
  Folder folder({{"bert.layer.0.query.weight", {2}},
                 {"bert.layer.0.cross.query.weight", {2}},
                 {"bert.layer.0.cross.norm.gamma", {2}},
                 {"bert.layer.0.cross.mask", {2}},
                 {"bert.projector.dense.weight", {2}}});
  WeightSource source(*folder.checkpoint);
  source.set_base_model_prefix("bert");
  source.get("layer.0.query.weight", {2});
  int times = 0;
  const auto others = [&times] {
    ++times;
    WeightSource asked;
    for (const char* name : {"layer.0.cross.query.weight", "bert.layer.0.cross.norm.weight", "projector.dense.weight"})
      asked.get(name, {2});
    asked.mark_unused("*.mask");
    return asked;
  };
  BOOST_TEST(source.finish(false, others).size() == 4u);
  BOOST_TEST(times == 1);
  for (const char* name : {"cross.query", "cross.norm", "cross.mask", "projector"})
    BOOST_TEST(contains(failure_of(source), name), name);
}

BOOST_AUTO_TEST_CASE(other_features_are_asked_only_where_something_is_left) {
  Folder folder({{"bert.layer.0.query.weight", {2}}, {"classifier.weight", {2}}});
  WeightSource source(*folder.checkpoint);
  source.set_base_model_prefix("bert");
  source.get("layer.0.query.weight", {2});
  const auto others = []() -> WeightSource { throw std::logic_error("asked"); };
  BOOST_TEST(source.finish(false, others) == std::vector<std::string>{"classifier.weight"},
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_base_model_that_was_saved_alone_has_no_norm_beside_it) {
  Folder folder({{"layer.0.weight", {2}}, {"extra_norm.weight", {2}}, {"pooler.weight", {2}}});
  WeightSource base(*folder.checkpoint), other(*folder.checkpoint);
  base.set_base_model_prefix("bert");
  for (WeightSource* source : {&base, &other}) source->get("layer.0.weight", {2});
  BOOST_TEST(contains(failure_of(base), "extra_norm.weight"));
  BOOST_TEST(!contains(failure_of(base), "pooler"));
  // Of a model without such a prefix nothing tells heads from what is within.
  BOOST_TEST(failure_of(other) == "");
}

BOOST_AUTO_TEST_CASE(a_wrapper_around_the_model_is_told_by_its_prefix) {
  Folder folder({{"net.bert.a.weight", {2}}, {"net.bert.b.weight", {2}}, {"net.loss.weight", {2}}, {"other", {1}}});
  WeightSource source(*folder.checkpoint);
  source.set_base_model_prefix("bert");
  source.get("a.weight", {2});
  source.get("b.weight", {2});
  BOOST_TEST(contains(failure_of(source), "are there with 'net.' before their names"));
  WeightSource other(*folder.checkpoint);
  other.get("c.weight", {2});
  BOOST_TEST(!contains(failure_of(other), "before their names"));
}

BOOST_AUTO_TEST_CASE(code_of_the_models_own_is_mentioned_where_it_does_not_match) {
  Folder folder({{"a.weight", {2}}});
  std::ofstream(folder.path / "config.json")
      << R"({"auto_map": {"AutoConfig": "c.Config", "AutoModel": "m.OwnModel"}})";
  const Checkpoint checkpoint = Checkpoint::open(folder.path);
  WeightSource source(checkpoint);
  source.get("b.weight", {2});
  try {
    source.finish(false);
    BOOST_ERROR("accepted");
  } catch (const Error& error) {
    BOOST_TEST(contains(error.hint(), "auto_map names code of the model's own, m.OwnModel"));
  }
}

BOOST_AUTO_TEST_CASE(eight_bits_count_by_themselves_and_not_with_a_scale) {
  Folder folder({{"a.weight", {2}}, {"b.weight", {2}}, {"b.scale_inv", {1}}, {"c.weight", {2}}},
                {{"a.weight", ir::DType::f8e4m3fn}, {"b.weight", ir::DType::f8e5m2}, {"c.weight", ir::DType::i8}});
  WeightSource plain(*folder.checkpoint);
  BOOST_TEST((plain.get("a.weight", {2}).second.dtype() == ir::DType::f32));
  BOOST_TEST(failure_of(plain) == "");
  WeightSource quantized(*folder.checkpoint);
  quantized.get("b.weight", {2});
  quantized.get("c.weight", {2});
  const std::string text = failure_of(quantized);
  BOOST_TEST(contains(text, "b.weight: quantized, f8e5m2 with b.scale_inv beside it"));
  BOOST_TEST(contains(text, "c.weight: expected f32, f16, bf16, f64 or f8, found i8"));
  BOOST_CHECK_THROW(quantized.finish(true), Error);
}

BOOST_AUTO_TEST_CASE(a_definition_without_an_end_is_not_gone_on_with) {
  Folder folder({{"layers.0.weight", {2}}});
  WeightSource source(*folder.checkpoint);
  BOOST_CHECK_EXCEPTION(
      [&] {
        for (int64_t i = 0; i < 1'000'000; ++i) source.get("layers." + std::to_string(i) + ".weight", {2});
      }(),
      Error, [](const Error& error) { return contains(error.what(), "layers.1.weight [2]"); });
  BOOST_TEST(source.requested().size() < 1'000'000u);
}

BOOST_AUTO_TEST_CASE(patterns_silence_what_is_known) {
  Folder folder({{"layer.w", {2}}, {"layer.position_ids", {1, 4}}});
  WeightSource source(*folder.checkpoint);
  source.get("layer.w", {2});
  source.mark_unused("*.position_ids");
  BOOST_TEST(source.finish(false).empty());
  // Patterns hold with the base model's prefix and without.
  Folder prefixed({{"bert.layer.w", {2}}, {"bert.layer.old.weight", {2}}});
  WeightSource other(*prefixed.checkpoint);
  other.set_base_model_prefix("bert");
  other.get("layer.w", {2});
  other.mark_unused("layer.old.*");
  BOOST_TEST(other.finish(false).empty());
}

BOOST_AUTO_TEST_CASE(rules_rename_before_the_look_up) {
  Folder folder({{"transformer.a.weight", {2}}});
  WeightSource source(*folder.checkpoint, {{{NamePattern("transformer.")}, {NamePattern("bert.")}}});
  // The file keeps the checkpoint's name.
  BOOST_TEST(source.get("bert.a.weight", {2}).first == "transformer.a.weight");
  BOOST_TEST(failure_of(source) == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace weights_test
