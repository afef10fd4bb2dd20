// SPDX-License-Identifier: Apache-2.0
// Tensors that two modules share by the config, and of which a checkpoint may hold one, both, or two that differ.
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "command.hpp"

namespace tied_test {

using namespace cli;
using Json = nlohmann::ordered_json;

namespace {

using Names = std::map<std::string, std::string>;

struct Tied : Sandbox {
  /// The tensors of `from` under their names, where `kept` says no other one; `added` are copies of a tensor, with the
  /// sign of their numbers turned.
  void tensors(const fs::path& from, const fs::path& to, const Names& kept, const Names& added = {}) const {
    const std::string bytes = read(from / "model.safetensors");
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    const Json header = Json::parse(bytes.substr(sizeof length, length));
    std::string data = bytes.substr(sizeof length + length);
    Json stored;
    for (const auto& [name, tensor] : header.items()) {
      const auto other = kept.find(name);
      stored[other == kept.end() ? name : other->second] = tensor;
    }
    for (const auto& [name, like] : added) {
      const Json& tensor = header.at(like);
      const size_t begin = tensor.at("data_offsets")[0].get<size_t>(), end = tensor.at("data_offsets")[1].get<size_t>();
      std::string copy = data.substr(begin, end - begin);
      for (size_t sign = sizeof(float) - 1; sign < copy.size(); sign += sizeof(float))
        copy[sign] = static_cast<char>(copy[sign] ^ '\x80');
      stored[name] = {{"dtype", tensor.at("dtype")},
                      {"shape", tensor.at("shape")},
                      {"data_offsets", {data.size(), data.size() + copy.size()}}};
      data += copy;
    }
    write_safetensors(to / "model.safetensors", stored.dump(), 0);
    write(to / "model.safetensors", read(to / "model.safetensors") + data);
    write(to / "config.json", read(from / "config.json"));
  }
  int exported(const std::string& model, const std::string& to) const {
    return run({"export", "-m", model, "--no-validate", "--quiet", to}).status;
  }
  /// Whether both files compute the same of the same.
  bool same(const std::string& one, const std::string& other) const { return run({"diff", one, other}).status == 0; }
  void synth(const std::string& config, const std::string& name) const {
    write(name + ".json", config);
    const Outcome made = run({"synth", name + ".json", name, "--quiet"});
    BOOST_REQUIRE_MESSAGE(made.status == 0, made.err);
  }
};

constexpr const char *table = "bert.embeddings.word_embeddings.weight", *head = "cls.predictions.decoder.weight",
                     *beside = "cls.predictions.bias", *within = "cls.predictions.decoder.bias";

/// BLIP's config with what these say of a tie: of the whole, and of the decoder.
std::string blip(const std::string& version, const Json& whole, const Json& decoder) {
  Json config = Json::parse(
      R"({"model_type": "blip", "architectures": ["BlipForConditionalGeneration"],
          "text_config": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24,
                          "encoder_hidden_size": 16, "vocab_size": 60, "max_position_embeddings": 32},
          "vision_config": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                            "intermediate_size": 24, "image_size": 32, "patch_size": 8}})");
  config["transformers_version"] = version;
  config.update(whole);
  config["text_config"].update(decoder);
  return config.dump();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tied)

BOOST_AUTO_TEST_CASE(either_of_two_tables_may_have_been_kept) {
  const Tied files;
  files.checkpoint();
  BOOST_REQUIRE(!contains(files.read("bert/model.safetensors"), head));
  files.tensors("bert", "head", {{table, head}});
  BOOST_REQUIRE(files.exported("bert", "of-table") == 0);
  BOOST_REQUIRE(files.exported("head", "of-head") == 0);
  BOOST_TEST(files.same("of-table", "of-head"));
  files.write("head/config.json", tiny_config(R"({"tie_word_embeddings": false})"));
  BOOST_TEST(files.exported("head", "untied") == 3);
}

/// Of two biases that differ that in the layer counts since version 5, and the other one before, tied or not.
BOOST_AUTO_TEST_CASE(of_two_biases_the_version_tells_which_counts) {
  const Tied files;
  files.checkpoint();
  for (const bool is_tied : {true, false}) {
    files.tensors("bert", "both", {}, is_tied ? Names{{within, beside}} : Names{{within, beside}, {head, table}});
    files.tensors("both", "beside", {{within, "left.over"}});
    files.tensors("both", "within", {{beside, "left.over"}});
    for (const bool is_recent : {true, false}) {
      const std::string config = tiny_config(
          Json{{"tie_word_embeddings", is_tied}, {"transformers_version", is_recent ? "5.24.0" : "4.57.1"}}.dump());
      const std::string number = std::to_string(is_tied) + std::to_string(is_recent);
      for (const char* model : {"both", "beside", "within"}) {
        files.write(fs::path(model) / "config.json", config);
        BOOST_REQUIRE(files.exported(model, model + number) == 0);
      }
      BOOST_TEST(files.same("both" + number, "within" + number) == is_recent, "tied " << is_tied);
      BOOST_TEST(files.same("both" + number, "beside" + number) == !is_recent, "tied " << is_tied);
    }
  }
}

/// The decoder's own config says whether it scores words by its table; since version 5 the whole's may say so, too.
BOOST_AUTO_TEST_CASE(a_part_is_tied_by_its_own_config) {
  const Tied files;
  const Json no{{"tie_word_embeddings", false}}, nothing = Json::object();
  const std::string own = "text_decoder.cls.predictions.decoder.weight";
  files.synth(blip("4.57.1", no, nothing), "tied");
  BOOST_TEST(!contains(files.read("tied/model.safetensors"), own));
  files.synth(blip("4.57.1", nothing, no), "untied");
  BOOST_TEST(contains(files.read("untied/model.safetensors"), own));
  const auto status = [&](const std::string& config) {
    files.write("tied/config.json", config);
    return files.exported("tied", "out");
  };
  BOOST_TEST(status(blip("4.57.1", nothing, no)) == 3);
  BOOST_TEST(status(blip("5.24.0", nothing, no)) == 0);
  BOOST_TEST(status(blip("5.24.0", no, nothing)) == 0);
  BOOST_TEST(status(blip("5.24.0", no, no)) == 3);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tied_test
