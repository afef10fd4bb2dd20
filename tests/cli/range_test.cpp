// SPDX-License-Identifier: Apache-2.0
// --dtype fp16 of models whose numbers leave that type's range: what is refused, what --keep-fp32 auto keeps, and
// --calibration.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "command.hpp"

namespace range_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

constexpr const char* t5 =
    R"({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 16, "d_kv": 4, "d_ff": 24,
        "num_layers": 2, "num_heads": 4, "vocab_size": 50, "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": false, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1})";
constexpr const char* llama =
    R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50,
        "rms_norm_eps": 1e-06, "max_position_embeddings": 64, "hidden_act": "silu"})";

struct LargeModel : Sandbox {
  void model(const std::string& config) const {
    write("config.json", config);
    const Outcome made = run({"synth", "config.json", "model", "--quiet"});
    BOOST_REQUIRE_MESSAGE(made.status == 0, made.err);
  }
  /// Multiplies the elements of all tensors of f32 whose names contain the part.
  void scale(const std::string& part, float factor) const {
    std::string bytes = read("model/model.safetensors");
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    const Json header = Json::parse(bytes.substr(sizeof length, length));
    size_t scaled = 0;
    for (const auto& [name, tensor] : header.items()) {
      if (!contains(name, part)) continue;
      const size_t base = sizeof length + length, begin = base + tensor.at("data_offsets")[0].get<size_t>(),
                   end = base + tensor.at("data_offsets")[1].get<size_t>();
      for (size_t at = begin; at < end; at += sizeof(float)) {
        float value = 0;
        std::memcpy(&value, bytes.data() + at, sizeof value);
        value *= factor;
        std::memcpy(bytes.data() + at, &value, sizeof value);
      }
      ++scaled;
    }
    BOOST_REQUIRE(scaled > 0u);
    write("model/model.safetensors", bytes);
  }
  Json reported(Words words, int status) const {
    words.insert(words.end(), {"-m", "model", "--json"});
    const Outcome outcome = run(words);
    BOOST_REQUIRE_MESSAGE(outcome.status == status, outcome.out << outcome.err);
    return Json::parse(outcome.out);
  }
};

std::set<std::string> modules(const Json& ranges) {
  std::set<std::string> names;
  for (const Json& range : ranges) names.insert(range.at("module").get<std::string>());
  return names;
}

std::set<std::string> labels(const Json& report) {
  std::set<std::string> all;
  for (const Json& run : report.at("validation").at("runs")) all.insert(run.at("label").get<std::string>());
  return all;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(range, LargeModel, *boost::unit_test::precondition(reference_built))

BOOST_AUTO_TEST_CASE(a_model_that_leaves_the_range_is_refused_and_its_modules_are_named) {
  model(t5);
  scale("encoder.block.1.layer.1.DenseReluDense.wo", 1e9F);
  const Json refused = reported({"export", "--dtype", "fp16", "out"}, 1);
  const std::set<std::string> beyond = modules(refused.at("validation").at("overflows"));
  // What the plugin keeps in f32 by itself, wo, is added to what is not.
  BOOST_TEST(beyond.contains("encoder.block.1"));
  BOOST_TEST(!beyond.contains("encoder.block.1.layer.1.DenseReluDense.wo"));
  BOOST_TEST(!beyond.contains("encoder.block.0"));
  BOOST_TEST(contains(refused.at("error").at("message").get<std::string>(), "encoder.block.1 (Add)"));
  BOOST_TEST(contains(refused.at("error").at("hint").get<std::string>(), "--keep-fp32 auto"));
  // The file says of itself what is wrong with it, too.
  const Json again = reported({"validate", "out"}, 1);
  BOOST_TEST((modules(again.at("validation").at("overflows")) == beyond));
}

BOOST_AUTO_TEST_CASE(what_leaves_the_range_is_kept_in_every_layout) {
  model(t5);
  scale("encoder.block.1.layer.1.DenseReluDense.wo", 1e9F);
  scale("decoder.block.0.layer.2.DenseReluDense.wo", 1e9F);
  for (const Words& layout : {Words{}, Words{"--feature", "seq2seq-lm-with-past"},
                              Words{"--layout", "split", "--feature", "seq2seq-lm-with-past"},
                              Words{"--layout", "merged", "--feature", "seq2seq-lm-with-past"}}) {
    Words words{"export", "--dtype", "fp16", "--keep-fp32", "auto", "out"};
    words.insert(words.end(), layout.begin(), layout.end());
    const Json kept = reported(words, 0);
    const std::set<std::string> names = modules(kept.at("kept_in_fp32").at("modules"));
    for (const char* name : {"decoder.block.0", "decoder.block.1"}) BOOST_TEST(names.contains(name), name);
    for (const char* name :
         {"encoder.block.0", "decoder.block.0.layer.0.SelfAttention.q", "decoder.block.1.layer.0.SelfAttention.q"})
      BOOST_TEST(!names.contains(name), name);
    // The cached step as one graph has no encoder.
    const bool has_encoder = layout.size() != 2;
    BOOST_TEST(names.contains("encoder.block.1") == has_encoder);
    BOOST_TEST(!kept.at("validation").contains("overflows"));
    BOOST_TEST(reported({"validate", "out"}, 0).at("status") == "ok");
    fs::remove_all(path() / "out");
  }
}

BOOST_AUTO_TEST_CASE(a_cached_decoder_is_measured_on_the_cache_that_it_makes) {
  model(llama);
  scale("layers.1.mlp.down_proj", 1e9F);
  Words words{"export", "--dtype", "fp16", "--keep-fp32", "auto", "--feature", "causal-lm-with-past", "out"};
  const Json kept = reported(words, 0);
  const std::set<std::string> names = modules(kept.at("kept_in_fp32").at("modules"));
  for (const char* name : {"model.layers.1", "model.layers.1.mlp.down_proj", "model.layers.2"})
    BOOST_TEST(names.contains(name), name);
  BOOST_TEST(!names.contains("model.layers.0"));
  BOOST_TEST(!names.contains("lm_head"));
  BOOST_TEST(labels(kept).contains("calibration"));
  BOOST_TEST(labels(kept).contains("calibration, cached step"));
  // What was done before is not done again, and the same words keep the same by hand.
  words.push_back("--skip-existing");
  BOOST_TEST(reported(words, 0).at("skipped") == true);
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "=" : ",=") + name;
  const Json by_hand =
      reported({"export", "--dtype", "fp16", "--keep-fp32", list, "--feature", "causal-lm-with-past", "other"}, 0);
  BOOST_TEST(by_hand.at("nodes") == kept.at("nodes"));
}

BOOST_AUTO_TEST_CASE(inputs_of_a_file_are_validated_and_measured_on) {
  model(llama);
  write("ids.txt", "[5, 6, 7, 8]\n9 10 11 12 13 14\n");
  const Json texts = reported({"export", "--calibration", "ids.txt", "--feature", "causal-lm-with-past", "out"}, 0);
  for (const char* label : {"ids.txt, text 1", "ids.txt, text 1, cached step", "ids.txt, text 2"})
    BOOST_TEST(labels(texts).contains(label), label);
  write("words.txt", "5 6\nThe quick brown fox\n");
  check_failure(*this, {"export", "-m", "model", "--calibration", "words.txt", "other"}, 2,
                {"words.txt, line 2", "'The' is no token id", "not tokenized here"});
  write("large.txt", "5 500\n");
  check_failure(*this, {"export", "-m", "model", "--calibration", "large.txt", "other"}, 2,
                {"the token 500 is not in the vocabulary of 50"});
  check_failure(*this, {"export", "-m", "model", "--calibration", "none.txt", "other"}, 2, {"there is no such file"});
}

BOOST_AUTO_TEST_CASE(a_file_of_tensors_gives_inputs_by_name) {
  model(llama);
  std::string ids(2 * 3 * sizeof(int64_t), '\0');
  const auto file = [&](const std::string& name) {
    const std::string header = R"({")" + name + R"(":{"dtype":"I64","shape":[2,3],"data_offsets":[0,48]}})";
    const uint64_t length = header.size();
    write("in.safetensors", std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + ids);
  };
  file("in/input_ids");
  const Json report = reported({"export", "--calibration", "in.safetensors", "--feature", "causal-lm", "out"}, 0);
  BOOST_TEST(labels(report).contains("in.safetensors"));
  file("pixels");
  check_failure(*this, {"export", "-m", "model", "--calibration", "in.safetensors", "other"}, 2,
                {"the model has no input 'pixels'", "input_ids"});
}

BOOST_AUTO_TEST_CASE(options_that_contradict_each_other_are_refused) {
  model(llama);
  const auto refused = [&](Words words, const Words& parts) {
    words.insert(words.begin(), {"export", "-m", "model", "out"});
    check_failure(*this, words, 2, parts);
  };
  refused({"--keep-fp32", "auto"}, {"--keep-fp32 has no meaning with --dtype fp32"});
  refused({"--keep-fp32", "auto", "--dtype", "bf16"}, {"--keep-fp32 auto has no meaning with --dtype bf16"});
  refused({"--keep-fp32", "mlp.donw_proj", "--dtype", "fp16"}, {"the model has no such module", "down_proj"});
  refused({"--calibration", "config.json", "--no-validate"}, {"--calibration has no meaning with --no-validate"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace range_test
