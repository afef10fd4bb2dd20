// SPDX-License-Identifier: Apache-2.0
// A company's model that is a BERT in other words, by a file of YAML: examples/acme-encoder, judged by what the
// original BERT answered.
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <map>

#include "command.hpp"
#include "core/checkpoint/checkpoint.hpp"

namespace extension_test {

using namespace cli;
using onnxport::Json;

namespace {

const fs::path example = fs::path(ONNXPORT_PLUGIN_SOURCES).parent_path() / "examples/acme-encoder";

using Tensors = std::map<std::string, onnxport::ir::Tensor>;

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const size_t at = text.find(what);
  return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

/// What the company calls a tensor of BERT's.
std::string acme_name(std::string name) {
  const std::pair<const char*, const char*> words[] = {{"bert.embeddings.word_embeddings.", "acme.tokens."},
                                                       {"bert.embeddings.position_embeddings.", "acme.positions."},
                                                       {"bert.embeddings.token_type_embeddings.", "acme.segments."},
                                                       {"bert.embeddings.LayerNorm.", "acme.norm."},
                                                       {"bert.pooler.dense.", "acme.summary."},
                                                       {"classifier.", "topics."},
                                                       {"bert.encoder.layer.", "acme.blocks."},
                                                       {".attention.output.dense.", ".attn.proj."},
                                                       {".attention.output.LayerNorm.", ".attn.norm."},
                                                       {".intermediate.dense.", ".ffn.up."},
                                                       {".output.dense.", ".ffn.down."},
                                                       {".output.LayerNorm.", ".norm."}};
  for (const auto& [theirs, ours] : words) name = replaced(std::move(name), theirs, ours);
  return name;
}

/// A checkpoint of BERT's as the company would have saved it: queries, keys and values in one.
void write_acme(const fs::path& bert, const fs::path& acme, const std::string& architecture) {
  const auto checkpoint = onnxport::Checkpoint::open(bert);
  Tensors tensors;
  for (const auto& [name, stored] : checkpoint.tensors()) {
    if (name.ends_with("position_ids")) continue;
    onnxport::ir::Tensor tensor = onnxport::materialize({stored, {}});
    const std::string own =
        acme_name(name.starts_with("bert.") || name.starts_with("classifier.") ? name : "bert." + name);
    const size_t self = own.find(".attention.self.");
    if (self == std::string::npos) {
      tensors.emplace(own, std::move(tensor));
      continue;
    }
    // In the order query, key, value; the checkpoint's is that of the alphabet.
    const std::string part = own.substr(self + 16, own.rfind('.') - self - 16);
    const size_t place = part == "query" ? 0 : part == "key" ? 1 : 2;
    auto& joined = tensors[own.substr(0, self) + ".attn.qkv" + own.substr(own.rfind('.'))];
    const size_t bytes = tensor.data.size();
    joined.dtype = tensor.dtype;
    joined.shape = tensor.shape;
    joined.shape[0] *= 3;
    joined.data.resize(3 * bytes);
    std::copy(tensor.data.begin(), tensor.data.end(), joined.data.begin() + static_cast<std::ptrdiff_t>(place * bytes));
  }
  fs::create_directories(acme);
  onnxport::write_safetensors(acme / "model.safetensors", tensors);
  Json config = onnxport::read_json(example / "config.json");
  config["architectures"] = {architecture};
  std::ofstream(acme / "config.json") << config;
}

fs::path golden(const std::string& name) {
  return fs::path(ONNXPORT_PLUGIN_SOURCES) / "bert/cases/bert" / name;
}

/// The company's model in a sandbox, with further lines or others in its manifest.
struct Acme : Sandbox {
  explicit Acme(const std::string& bert = "BertForSequenceClassification",
                const std::string& architecture = "AcmeForTopics") {
    write_acme(golden(bert), *this / "model", architecture);
    fs::create_directories(*this / "acme");
    fs::copy_file(example / "plugin.yaml", *this / "acme/plugin.yaml");
  }
  void change_manifest(const std::string& what, const std::string& by) const {
    const std::string text = read("acme/plugin.yaml");
    BOOST_REQUIRE_MESSAGE(contains(text, what), what);
    write("acme/plugin.yaml", replaced(text, what, by));
  }
  void change_config(const std::string& what, const std::string& by) const {
    const std::string text = read("model/config.json");
    BOOST_REQUIRE_MESSAGE(contains(text, what), what << " in " << text);
    write("model/config.json", replaced(text, what, by));
  }
  Words exporting(const Words& more = {}) const {
    Words words{"export", "-m", "model", "--plugin-dir", "acme", "--no-validate", "out"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(extensions)

BOOST_AUTO_TEST_CASE(acme_answers_as_bert_did) {
  const Acme acme;
  const Outcome exported = acme.run(acme.exporting());
  BOOST_TEST(exported.status == 0, exported.err);
  for (const char* part : {"acme-encoder", "by org.onnxport.bert", "extended by com.acme.encoder 1.0.0",
                           "feature: sequence-classification (from architectures: AcmeForTopics)"})
    BOOST_TEST(contains(exported.out, part), part << " in " << exported.out);
  BOOST_TEST(!contains(exported.out, "nothing asked for"), exported.out);
  for (const char* name :
       {"case-sequence-classification-0.safetensors", "case-sequence-classification-1.safetensors"}) {
    const std::string recorded = (golden("BertForSequenceClassification") / name).string();
    const Outcome compared = acme.run({"validate", "out", "--case", recorded});
    BOOST_TEST(compared.status == 0, compared.out << compared.err);
  }
  const Outcome inspected = acme.run({"inspect", "out/model.onnx"});
  for (const char* part : {"acme-encoder", "com.acme.encoder 1.0.0"})
    BOOST_TEST(contains(inspected.out, part), part << " in " << inspected.out);
}

BOOST_AUTO_TEST_CASE(a_config_without_a_type_is_told_by_its_fields) {
  const Acme acme;
  Json config = Json::parse(acme.read("model/config.json"));
  config.erase("model_type");
  config.erase("architectures");
  acme.write("model/config.json", config.dump());
  check_failure(acme, acme.exporting(), 3, {"has no field 'model_type'"});
  acme.change_manifest("extends:",
                       "recognised_by: {acme-encoder: {fields: [d_model, n_blocks], feature: topics}}\nextends:");
  const Outcome exported = acme.run(acme.exporting());
  BOOST_TEST(exported.status == 0, exported.err);
  BOOST_TEST(contains(exported.out + exported.err, "taken for 'acme-encoder' by its fields d_model, n_blocks"),
             exported.out << exported.err);
}

BOOST_AUTO_TEST_CASE(acme_is_validated_and_linked, *boost::unit_test::precondition(reference_built)) {
  const Acme acme("BertModel", "AcmeEncoder");
  const Outcome exported = acme.run({"export", "-m", "model", "--plugin-dir", "acme", "out"});
  BOOST_TEST(exported.status == 0, exported.out << exported.err);
  // The extension puts it out in every export.
  BOOST_TEST(contains(exported.out, "pooler_output"), exported.out);
  // A part of a tensor is a place in the file.
  const Outcome linked = acme.run(acme.exporting({"--weights", "link", "--json"}));
  BOOST_TEST(linked.status == 0, linked.err);
  BOOST_TEST(!contains(linked.out, "not_linked"), linked.out);
  BOOST_TEST(contains(linked.out, R"("extension": {)"), linked.out);
}

BOOST_AUTO_TEST_CASE(a_random_checkpoint_has_the_companys_names) {
  const Acme acme;
  const Outcome made = acme.run({"synth", (example / "config.json").string(), "drawn", "--plugin-dir", "acme"});
  BOOST_TEST(made.status == 0, made.err);
  const std::string text = acme.read("drawn/model.safetensors");
  BOOST_TEST(contains(text, R"("acme.blocks.1.attn.qkv.weight":{"dtype":"F32","shape":[72,24])"));
  BOOST_TEST(!contains(text, "bert."));
  const Outcome exported = acme.run({"export", "-m", "drawn", "--plugin-dir", "acme", "--no-validate", "out"});
  BOOST_TEST(exported.status == 0, exported.err);
  // What the extension puts out in every export takes weights as well.
  const Words of_default{"--plugin-dir", "acme", "--feature", "default"};
  Words words{"synth", (example / "config.json").string(), "whole"};
  words.insert(words.end(), of_default.begin(), of_default.end());
  BOOST_TEST(acme.run(words).status == 0);
  words = {"export", "-m", "whole", "--no-validate", "out"};
  words.insert(words.end(), of_default.begin(), of_default.end());
  const Outcome whole = acme.run(words);
  BOOST_TEST(whole.status == 0, whole.err);
}

BOOST_AUTO_TEST_CASE(tensors_are_told_by_the_companys_names) {
  Acme acme;
  acme.change_config("\"n_heads\":4", "\"n_heads\":4,\"n_extra\":1");
  BOOST_TEST(contains(acme.run(acme.exporting({"--no-strict-config"})).out, "nothing asked for: n_extra"));
  acme.change_config("\"n_blocks\":2", "\"n_blocks\":3");
  check_failure(
      acme, acme.exporting(), 3,
      {"acme.blocks.2.ffn.up.weight (to the plugin bert.encoder.layer.2.intermediate.dense.weight) [37, 24]",
       "acme.blocks.2.attn.qkv.weight (to the plugin bert.encoder.layer.2.attention.self.key.weight) [24, 24]"});
  acme.change_config("\"n_blocks\":3", "\"n_blocks\":1");
  check_failure(acme, acme.exporting(), 3, {"unexpected", "acme.blocks.1.ffn.up.weight"});
  acme.change_manifest("self.value.\"]", "self.value.\"]\n    sizes: [d_model, d_model, 3*d_model/2]");
  check_failure(acme, acme.exporting(), 3, {"sizes name the plugin's fields, where 'd_model' is 'hidden_size'"});
  acme.change_manifest("3*d_model/2]", "3*hidden_size/]");
  acme.change_manifest("sizes: [d_model, d_model", "sizes: [hidden_size, hidden_size");
  check_failure(acme, acme.exporting(), 3, {"expected a number or a field on both sides of '*' and '/'"});
  acme.change_manifest("sizes: [hidden_size, hidden_size, 3*hidden_size/]",
                       "sizes: [hidden_size, hidden_size, 3*hidden_size/2]");
  check_failure(acme, acme.exporting(), 3,
                {"acme.blocks.0.attn.qkv.bias [72] cannot be split into parts of 24, 24, 36"});
}

BOOST_AUTO_TEST_CASE(a_rule_that_makes_a_name_nobody_asks_for_is_to_be_corrected) {
  const Acme acme;
  acme.change_manifest("attention.output.dense.", "attention.outptu.dense.");
  check_failure(acme, acme.exporting(), 3,
                {"missing (4)", "to the plugin bert.encoder.layer.0.attention.outptu.dense.weight",
                 "correct the rules of weight_names"});
}

BOOST_AUTO_TEST_CASE(fields_are_told_by_the_companys_names) {
  const Acme acme;
  acme.change_config("\"d_model\":24", "\"d_model\":\"wide\"");
  check_failure(acme, acme.exporting(), 3,
                {"config field 'd_model' has another type", "acme-encoder", "extended by com.acme.encoder"});
  acme.change_config("\"d_model\":\"wide\"", "\"d_model\":26");
  check_failure(acme, acme.exporting(), 3, {"'d_model' is 26, not a multiple of n_heads (4)"});
  acme.change_config("\"d_model\":26", "\"d_model\":24,\"hidden_size\":24");
  check_failure(acme, acme.exporting(), 3, {"has both 'd_model' and 'hidden_size'", "com.acme.encoder"});
  acme.change_config(",\"hidden_size\":24", "");
  acme.change_config("\"activation\":\"gelu\"", "\"activation\":7");
  check_failure(acme, acme.exporting(), 3, {"config field 'ffn.activation' has another type"});
}

BOOST_AUTO_TEST_CASE(a_value_is_told_by_the_manifest_that_gives_it) {
  const Acme defaulted, fixed;
  defaulted.change_manifest("{layer_norm_eps: 1e-12}", "{layer_norm_eps: \"1e-12\"}");
  check_failure(defaulted, defaulted.exporting(), 3,
                {"'layer_norm_eps' is \"1e-12\"; expected a number",
                 "correct config_defaults in the manifest of com.acme.encoder, which gives the field its value\n"});
  fixed.change_manifest("position_embedding_type: absolute", "position_embedding_type: absolut");
  check_failure(fixed, fixed.exporting(), 3,
                {"'position_embedding_type'", "correct config_values in the manifest of com.acme.encoder"});
}

BOOST_AUTO_TEST_CASE(a_manifest_that_cannot_be_read_is_told_where_its_type_is_asked_for) {
  const Acme acme;
  acme.change_manifest("model_types:", "model_typez:");
  check_failure(acme, acme.exporting(), 2,
                {"unknown model type 'acme-encoder'", "'model_types' is missing in the manifest"});
}

BOOST_AUTO_TEST_CASE(an_extension_has_an_id_of_its_own) {
  const Acme acme;
  acme.change_manifest("id: com.acme.encoder", "id: org.onnxport.bert");
  check_failure(acme, acme.exporting(), 4, {"its id is 'org.onnxport.bert', that of the plugin which it extends"});
}

BOOST_AUTO_TEST_CASE(a_field_that_nobody_has_is_told) {
  struct Mistake {
    const char *right, *wrong;
    int status;
    Words told;
  };
  const Mistake mistakes[] = {
      {"d_model: hidden_size",
       "d_model: hidden_szie",
       4,
       {"config_names of com.acme.encoder has 'd_model' for 'hidden_szie', which org.onnxport.bert does not read for "
        "'bert'; the nearest that it reads: 'hidden_size'"}},
      {"d_model: hidden_size",
       "d_modle: hidden_size",
       3,
       {"config_names of com.acme.encoder has 'd_modle' for 'hidden_size', and config.json has no 'd_modle'; the "
        "nearest that it has: 'd_model'"}},
      {"ffn.width", "ffn.widht", 3, {"config.json has no 'ffn.widht'; the nearest that it has: 'ffn.width'"}},
      {"{layer_norm_eps",
       "{layer_norm_esp",
       4,
       {"config_defaults of com.acme.encoder has 'layer_norm_esp'", "the nearest that it reads: 'layer_norm_eps'"}},
      {"{position_embedding_type",
       "{position_embeding_type",
       4,
       {"config_values of com.acme.encoder has 'position_embeding_type'", "'position_embedding_type'"}},
      {"n_segments: type_vocab_size",
       "n_segments: kinds_of_texts",
       4,
       {"has 'n_segments' for 'kinds_of_texts', which org.onnxport.bert does not read"}},
  };
  for (const Mistake& mistake : mistakes) {
    const Acme acme;
    acme.change_manifest(mistake.right, mistake.wrong);
    check_failure(acme, acme.exporting(), mistake.status, mistake.told);
  }
  // A field that a checkpoint may leave out.
  const Acme acme;
  acme.change_manifest("d_model: hidden_size", "d_model: hidden_size, pooling_layers: pooler_num_layers");
  const Outcome exported = acme.run(acme.exporting());
  BOOST_TEST(exported.status == 0, exported.err);
  BOOST_TEST(contains(exported.out, "config_names of com.acme.encoder has 'pooling_layers' for 'pooler_num_layers'"),
             exported.out);
}

BOOST_AUTO_TEST_CASE(features_are_the_companys) {
  const Acme acme;
  const Outcome listed = acme.run({"features", "acme-encoder", "--plugin-dir", "acme"});
  BOOST_TEST(contains(listed.out, "topics"), listed.out);
  BOOST_TEST(!contains(listed.out, "question-answering"), listed.out);
  const Outcome exported = acme.run(acme.exporting({"--feature", "topics"}));
  BOOST_TEST(exported.status == 0, exported.err);
  BOOST_TEST(contains(exported.out, "sequence-classification (from --feature topics)"), exported.out);
  check_failure(acme, acme.exporting({"--feature", "question-answering"}), 2,
                {"'question-answering' is not supported"});
  acme.change_manifest("AcmeForTopics: topics", "AcmeForTopics: topic");
  check_failure(acme, acme.exporting(), 4, {"its architectures name the feature 'topic'", "masked-lm"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace extension_test
