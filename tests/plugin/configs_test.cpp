// SPDX-License-Identifier: Apache-2.0
// The config.json of public models, each as it lies on the hub: it defines a graph of as many parameters as
// transformers' class has, or is refused with the reason. No weights are read or made.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <functional>
#include <numeric>
#include <set>

#include "core/checkpoint/kind.hpp"
#include "core/checkpoint/quantized.hpp"
#include "core/definition/wanted_tensors.hpp"
#include "core/error.hpp"
#include "registry/features_manager.hpp"
#include "registry/recognised.hpp"
#include "tests/plugin/fixture.hpp"

namespace configs_test {

namespace {

namespace fs = std::filesystem;
using namespace onnxport;
using namespace onnxport::test;

const fs::path folder = fs::path(ONNXPORT_TEST_SOURCE_DIR) / "fixtures/configs";

/// TYPE/NAME of every config, in order.
std::vector<std::string> collected() {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().parent_path() == folder || entry.path().extension() != ".json") continue;
    names.push_back(fs::relative(entry.path(), folder).replace_extension().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

struct Defined {
  int64_t parameters = 0;
  std::vector<std::string> unread;
};

/// The feature of a config's architectures, or the one that is given. Throws Error(usage) where it has none.
std::string feature_of(const Json& config, const std::string& given, const Manifest::Model& model) {
  if (!given.empty()) return given;
  const std::string architecture = config.at("architectures").at(0);
  const auto feature = FeaturesManager::feature_from_architecture(model, architecture);
  return feature ? *feature : throw Error(Failure::usage, "no feature for the class " + architecture, "");
}

/// Defines a config's graph as `export` does.
Defined define(const Json& config, const std::string& feature) {
  std::string type = config.value("model_type", ""), asked = feature;
  if (type.empty()) {
    if (const auto recognised = recognise(built_plugins(), config)) {
      type = recognised->type;
      if (asked.empty()) asked = recognised->feature;
    } else {
      explain_other_config(config, "config.json");
    }
  }
  const Resolved plugin = built_plugins().resolve(type, {});
  const OnnxConfig made = config_of({config, folder}, type, feature_of(config, asked, *plugin.model));
  refuse_quantized_config(config, folder);
  Defined defined;
  for (const TensorPlan& tensor : tensors_of(made, ir::DType::f32)) {
    defined.parameters += std::accumulate(tensor.shape.begin(), tensor.shape.end(), int64_t{1}, std::multiplies<>());
  }
  defined.unread = made.unread();
  return defined;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(configs)

/// As `attribute_map` of their classes has it since transformers 5.
BOOST_AUTO_TEST_CASE(layers_of_an_encoder_by_their_other_name) {
  const std::pair<const char*, const char*> checkpoints[] = {{"bart", "marian/MarianMTModel"},
                                                             {"whisper", "whisper/WhisperForConditionalGeneration"},
                                                             {"speech_to_text", "speech_to_text/Speech2TextModel"},
                                                             {"detr", "detr/DetrModel"}};
  for (const auto& [plugin, checkpoint] : checkpoints) {
    BOOST_TEST_CONTEXT(checkpoint) {
      Json config = read_json(recorded(plugin, checkpoint) / "config.json");
      const Defined as_written = define(config, "default");
      config["num_hidden_layers"] = config.at("encoder_layers");
      config.erase("encoder_layers");
      const Defined otherwise = define(config, "default");
      BOOST_TEST(otherwise.parameters == as_written.parameters);
      BOOST_TEST(otherwise.unread == as_written.unread, boost::test_tools::per_element());
    }
  }
}

/// The classes of transformers 5.24 go by head_dim where a config has it.
BOOST_AUTO_TEST_CASE(heads_that_are_no_equal_share) {
  struct Row {
    const char *plugin, *checkpoint;
    int64_t biases;  // of queries, keys and values
  };
  for (const Row& row : {Row{"gte", "gte/GteModel", 3}, Row{"roberta", "jina_embeddings_v3/JinaEmbeddingsV3Model", 3},
                         Row{"nomic_bert", "nomic_bert/NomicBertModel", 0}}) {
    BOOST_TEST_CONTEXT(row.checkpoint) {
      Json config = read_json(recorded(row.plugin, row.checkpoint) / "config.json");
      const int64_t hidden = config.at("hidden_size"), heads = config.at("num_attention_heads"),
                    layers = config.at("num_hidden_layers");
      config.erase("head_dim");
      const int64_t parameters = define(config, "default").parameters;
      config["head_dim"] = 2 * hidden / heads;
      const Defined wide = define(config, "default");
      BOOST_TEST(wide.parameters == parameters + layers * hidden * (4 * hidden + row.biases));
      BOOST_TEST(std::count(wide.unread.begin(), wide.unread.end(), "head_dim") == 0);
    }
  }
}

/// Of code that checkpoints bring along and of old releases, where the ending of a class does not tell its feature.
BOOST_AUTO_TEST_CASE(classes_by_their_own_names) {
  struct Row {
    const char *type, *architecture, *feature;
  };
  for (const Row& row : {Row{"xlm-roberta", "XLMRobertaLoRA", "default"}, Row{"neobert", "NeoBERT", "default"},
                         Row{"neobert", "NeoBERTLMHead", "masked-lm"}, Row{"nomic_bert", "NomicBertModel", "default"},
                         Row{"new", "NewForMaskedLM", "masked-lm"}, Row{"t5", "T5WithLMHeadModel", "seq2seq-lm"}}) {
    const Resolved plugin = built_plugins().resolve(row.type, {});
    const Json config{{"architectures", Json::array({row.architecture})}};
    BOOST_TEST(feature_of(config, "", *plugin.model) == row.feature, row.architecture);
  }
}

/// Weights that the class has, and does not use with a single layer.
BOOST_AUTO_TEST_CASE(a_single_layer_of_conditional_detr_scales_nothing) {
  const fs::path checkpoint = recorded("conditional_detr", "conditional_detr/ConditionalDetrModel");
  Json config = read_json(checkpoint / "config.json");
  config["decoder_layers"] = 1;
  std::set<std::string> names;
  for (const TensorPlan& tensor :
       tensors_of(config_of({config, checkpoint}, "conditional_detr", "default"), ir::DType::f32))
    names.insert(tensor.name);
  BOOST_TEST(names.contains("decoder.query_scale.layers.0.weight"));
}

/// Of a decoder by itself, so that what is drawn for it can be loaded by the class.
BOOST_AUTO_TEST_CASE(a_decoder_by_itself_has_its_own_table) {
  for (const char* type : {"bart", "marian"}) {
    const Json config{{"model_type", type},    {"d_model", 16},       {"vocab_size", 40},
                      {"pad_token_id", 1},     {"decoder_layers", 1}, {"decoder_attention_heads", 2},
                      {"decoder_ffn_dim", 32}, {"encoder_layers", 1}};
    std::set<std::string> names;
    for (const TensorPlan& tensor : tensors_of(config_of({config, folder}, type, "causal-lm"), ir::DType::f32))
      names.insert(tensor.name);
    BOOST_TEST(names.contains("model.decoder.embed_tokens.weight"), type);
    BOOST_TEST(!names.contains("model.shared.weight"), type);
  }
}

BOOST_AUTO_TEST_CASE(of_public_models) {
  const Json outcomes = read_json(folder / "outcomes.json");
  std::set<std::string> listed;
  for (const auto& [name, outcome] : outcomes.items()) listed.insert(name);
  for (const std::string& name : collected()) {
    BOOST_TEST_CONTEXT(name) {
      listed.erase(name);
      const auto outcome = outcomes.find(name);
      BOOST_TEST_REQUIRE((outcome != outcomes.end()), "outcomes.json lacks it");
      const std::string refused = outcome->value("refused", "");
      try {
        const Defined defined = define(read_json(folder / (name + ".json")), outcome->value("feature", ""));
        BOOST_TEST(refused == "", "accepted; expected: " << refused);
        // What differs is told in outcomes.json: a pooler that is no output, a head that a file may hold apart, …
        BOOST_TEST(defined.parameters == outcome->value("parameters", int64_t{0}) + outcome->value("more", int64_t{0}));
        BOOST_TEST(defined.unread == outcome->value("noted", std::vector<std::string>{}),
                   boost::test_tools::per_element());
      } catch (const Error& error) {
        const std::string said = std::string(error.what()) + "\n" + error.hint();
        BOOST_TEST((!refused.empty() && said.find(refused) != std::string::npos), said);
        BOOST_TEST(static_cast<int>(error.failure()) != static_cast<int>(Failure::internal));
      }
    }
  }
  BOOST_TEST(listed.empty(), "outcomes.json has " << *listed.begin() << ", and there is no such file");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace configs_test
