// SPDX-License-Identifier: Apache-2.0
// Packages: which files they have and what these say; what a package cannot honour; rows and templates of others.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "command.hpp"

namespace package_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

constexpr const char* tiny_llama = R"({
  "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 16, "intermediate_size": 24,
  "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50, "rms_norm_eps": 1e-06,
  "max_position_embeddings": 32, "bos_token_id": 1, "eos_token_id": [2, 3], "hidden_act": "silu"})";

constexpr const char* tiny_whisper = R"({
  "model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"], "d_model": 8, "encoder_layers": 1,
  "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 12,
  "decoder_ffn_dim": 12, "num_mel_bins": 4, "max_source_positions": 6, "max_target_positions": 20, "vocab_size": 50,
  "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0})";

constexpr const char* tiny_clip = R"({
  "model_type": "clip", "architectures": ["CLIPModel"], "projection_dim": 6, "text_config": {"vocab_size": 30,
  "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "eos_token_id": 29,
  "max_position_embeddings": 10}, "vision_config": {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
  "num_attention_heads": 2, "image_size": 8, "patch_size": 4}})";

constexpr const char* tiny_moonshine = R"({
  "model_type": "moonshine", "architectures": ["MoonshineForConditionalGeneration"], "hidden_size": 16,
  "intermediate_size": 20, "encoder_num_hidden_layers": 1, "decoder_num_hidden_layers": 1,
  "encoder_num_attention_heads": 2, "decoder_num_attention_heads": 2, "max_position_embeddings": 32, "vocab_size": 50,
  "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0})";

constexpr const char* tiny_gemma3 = R"({
  "model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "image_token_index": 7,
  "mm_tokens_per_image": 1,
  "text_config": {"model_type": "gemma3_text", "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
                  "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "vocab_size": 50,
                  "max_position_embeddings": 32, "sliding_window": 16, "layer_types": ["full_attention"]},
  "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 8, "intermediate_size": 12,
                    "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 16, "patch_size": 8}})";

void checkpoint_of(const Sandbox& sandbox, const char* config, const Words& more = {}) {
  sandbox.write("config.json", config);
  Words words{"synth", "config.json", "model"};
  words.insert(words.end(), more.begin(), more.end());
  const Outcome made = sandbox.run(words);
  BOOST_REQUIRE_MESSAGE(made.status == 0, made.err);
}

Outcome export_as(const Sandbox& sandbox, const std::string& layout, const Words& more = {}) {
  Words words{"export", "-m", "model", "--no-validate", "--layout", layout, "out"};
  words.insert(words.end(), more.begin(), more.end());
  return sandbox.run(words);
}

Json json_in(const Sandbox& sandbox, const fs::path& file) {
  return Json::parse(sandbox.read(file));
}

/// A package that writes one file by this template.
void write_package(const Sandbox& sandbox, const std::string& rows, const std::string& made_by) {
  fs::create_directories(sandbox / "ours");
  sandbox.write("ours/package.yaml", "package: 1\nsummary: ours\ngraphs: whole\n" + rows +
                                         "files:\n  - {name: ours.json, template: ours.jsonnet}\n");
  sandbox.write("ours/ours.jsonnet", made_by);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(packages)

BOOST_AUTO_TEST_CASE(a_decoder_for_genai) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, tiny_llama);
  const Outcome outcome = export_as(sandbox, "genai");
  BOOST_TEST(outcome.status == 0, outcome.err);
  const Json config = json_in(sandbox, "out/genai_config.json");
  const Json& model = config.at("model");
  BOOST_TEST(model.at("type") == "decoder");
  BOOST_TEST(model.at("vocab_size") == 50);
  BOOST_TEST(model.at("context_length") == 32);
  BOOST_TEST(model.at("eos_token_id") == Json({2, 3}));
  BOOST_TEST(model.at("pad_token_id") == 2);
  const Json& decoder = model.at("decoder");
  BOOST_TEST(decoder.at("num_hidden_layers") == 2);
  BOOST_TEST(decoder.at("num_key_value_heads") == 2);
  BOOST_TEST(decoder.at("num_attention_heads") == 4);
  BOOST_TEST(decoder.at("head_size") == 4);
  BOOST_TEST(decoder.at("inputs").at("position_ids") == "position_ids");
  BOOST_TEST(decoder.at("inputs").at("past_key_names") == "past_key_values.%d.key");
  BOOST_TEST(config.at("search").at("past_present_share_buffer") == false);
  BOOST_TEST(fs::exists(sandbox / "out" / decoder.at("filename").get<std::string>()));
  // Positions are the user's choice, where the model has it.
  const Outcome counted = export_as(sandbox, "genai", {"--position-ids", "mask"});
  BOOST_TEST(counted.status == 0, counted.err);
  BOOST_TEST(
      !json_in(sandbox, "out/genai_config.json").at("model").at("decoder").at("inputs").contains("position_ids"));
}

std::vector<std::string> names_in(const Json& values) {
  std::vector<std::string> names;
  for (const Json& value : values) names.push_back(value.at("name"));
  return names;
}

// Its decoder takes every step, so that the encoder makes the keys over its own result.
BOOST_AUTO_TEST_CASE(a_hearing_decoder_for_genai) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, tiny_whisper);
  sandbox.write("model/preprocessor_config.json",
                R"({"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 4, "hop_length": 160,
                    "n_fft": 400, "chunk_length": 12, "sampling_rate": 16000})");
  const Outcome outcome = export_as(sandbox, "genai");
  BOOST_REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  // From a sound's file to what the encoder takes.
  const Json steps = json_in(sandbox, "out/audio_processor_config.json").at("feature_extraction").at("sequence");
  BOOST_TEST(steps.at(1).at("operation").at("attrs") ==
             Json({{"n_fft", 400}, {"frame_length", 400}, {"hop_length", 160}}));
  BOOST_TEST(steps.at(2).at("operation").at("attrs") ==
             Json({{"chunk_size", 12}, {"hop_length", 160}, {"n_fft", 400}, {"n_mel", 4}}));
  const Json model = json_in(sandbox, "out/genai_config.json").at("model");
  BOOST_TEST(model.at("type") == "whisper");
  BOOST_TEST(model.at("context_length") == 20);
  const Json &encoder = model.at("encoder"), &decoder = model.at("decoder");
  BOOST_TEST(encoder.at("num_hidden_layers") == 1);
  BOOST_TEST(decoder.at("num_hidden_layers") == 2);
  BOOST_TEST(encoder.at("inputs").at("audio_features") == "input_features");
  BOOST_TEST(encoder.at("outputs").at("cross_present_key_names") == "present.%d.encoder.key");
  BOOST_TEST(decoder.at("inputs").at("cross_past_value_names") == "past_key_values.%d.encoder.value");
  BOOST_TEST(decoder.at("outputs").at("present_key_names") == "present.%d.decoder.key");
  const auto graph_of = [&](const Json& side) {
    const std::string file = (sandbox / "out" / side.at("filename").get<std::string>()).string();
    return Json::parse(sandbox.run({"inspect", "--json", file}).out);
  };
  const Json encodes = graph_of(encoder), decodes = graph_of(decoder);
  const std::vector<std::string> made{"last_hidden_state", "present.0.encoder.key", "present.0.encoder.value",
                                      "present.1.encoder.key", "present.1.encoder.value"};
  BOOST_TEST(names_in(encodes.at("outputs")) == made, boost::test_tools::per_element());
  const std::vector<std::string> yielded{"logits", "present.0.decoder.key", "present.0.decoder.value",
                                         "present.1.decoder.key", "present.1.decoder.value"};
  BOOST_TEST(names_in(decodes.at("outputs")) == yielded, boost::test_tools::per_element());
  // What only a whole decoder needs is not in the encoder's file, and neither is the encoder in the decoder's.
  BOOST_TEST(names_in(decodes.at("inputs")).size() == 9u);
  BOOST_TEST(encodes.dump().find("decoder.embed_tokens") == std::string::npos);
}

// Beside those that everybody else reads, and without weights that these have.
BOOST_AUTO_TEST_CASE(graphs_of_one_reader_alone) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, tiny_whisper);
  const Outcome outcome = export_as(sandbox, "all");
  BOOST_REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  BOOST_TEST(!contains(outcome.out, "left out"), outcome.out);
  const Json model = json_in(sandbox, "out/genai_config.json").at("model");
  BOOST_TEST(model.at("encoder").at("filename") == "onnx/genai_encoder_model.onnx");
  BOOST_TEST(model.at("decoder").at("filename") == "onnx/genai_decoder_model_merged.onnx");
  const auto inspected = [&](const std::string& file) {
    return Json::parse(sandbox.run({"inspect", "--json", (sandbox / "out/onnx" / file).string()}).out);
  };
  BOOST_TEST(names_in(inspected("encoder_model.onnx").at("outputs")).size() == 1U);
  BOOST_TEST(names_in(inspected("genai_encoder_model.onnx").at("outputs")).size() == 5U);
  // The table of 50 tokens is the one weight here that is large enough to be worth a reference.
  BOOST_TEST(contains(sandbox.read("out/onnx/genai_decoder_model_merged.onnx"), "decoder_model_merged.onnx"));
  BOOST_TEST(fs::file_size(sandbox / "out/onnx/genai_decoder_model_merged.onnx") + 1600 <
             fs::file_size(sandbox / "out/onnx/decoder_model_merged.onnx"));
  for (const char* file : {"encoder_model.onnx", "decoder_model_merged.onnx"})
    BOOST_TEST(!fs::exists(sandbox / "out/onnx" / (file + std::string("_data"))));
  // Such a graph becomes whole, and of the folder another package is made as if there were none.
  BOOST_TEST(sandbox.run({"pack", "out/onnx/genai_decoder_model_merged.onnx", "whole.onnx"}).status == 0);
  const Outcome again = sandbox.run({"transform", "out", "again", "--layout", "optimum", "-m", "model"});
  BOOST_TEST(again.status == 0, again.err);
  BOOST_TEST(!contains(again.out, "left out"), again.out);
  const Outcome skipped =
      sandbox.run({"export", "-m", "model", "--no-validate", "--layout", "all", "--skip-existing", "out"});
  BOOST_TEST(contains(skipped.out, "skipped"), skipped.out << skipped.err);
  fs::remove(sandbox / "out/onnx/genai_encoder_model.onnx");
  const Outcome made =
      sandbox.run({"export", "-m", "model", "--no-validate", "--layout", "all", "--skip-existing", "out"});
  BOOST_TEST(!contains(made.out, "skipped"), made.out << made.err);
  BOOST_TEST(fs::exists(sandbox / "out/onnx/genai_encoder_model.onnx"));
}

BOOST_AUTO_TEST_CASE(packages_of_several_graphs_are_validated_as_they_lie,
                     *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  for (const char* config : {tiny_whisper, tiny_gemma3}) {
    checkpoint_of(sandbox, config);
    size_t of_one = 0;
    for (const std::string layout : {"genai", "all"}) {
      const Outcome exported = sandbox.run({"export", "-m", "model", "--layout", layout, "--json", "out"});
      BOOST_TEST(exported.status == 0, exported.out << exported.err);
      const size_t runs = Json::parse(exported.out).at("validation").at("runs").size();
      const Outcome validated = sandbox.run({"validate", "-m", "model", "--json", "out"});
      BOOST_TEST(validated.status == 0, validated.out << validated.err);
      BOOST_TEST(Json::parse(validated.out).at("validation").at("runs").size() == runs);
      // Of both kinds of graphs.
      BOOST_TEST(runs > 3 * of_one / 2);
      of_one = runs;
      fs::remove_all(sandbox / "out");
    }
    fs::remove_all(sandbox / "model");
  }
}

// transformers.js gives Moonshine samples and nothing else.
BOOST_AUTO_TEST_CASE(a_hearing_package_without_a_mask, *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, tiny_moonshine);
  const auto inputs_of = [&](const std::string& file) {
    return names_in(
        Json::parse(sandbox.run({"inspect", "--json", (sandbox / "out" / file).string()}).out).at("inputs"));
  };
  const std::vector<std::string> samples{"input_values"}, masked{"input_values", "attention_mask"};
  for (const char* layout : {"transformers.js", "all"}) {
    const Outcome outcome = sandbox.run({"export", "-m", "model", "--layout", layout, "out"});
    BOOST_TEST(outcome.status == 0, outcome.out << outcome.err);
    BOOST_TEST(inputs_of("onnx/encoder_model.onnx") == samples, boost::test_tools::per_element());
    for (const std::string& name : inputs_of("onnx/decoder_model_merged.onnx"))
      BOOST_TEST(name.find("mask") == std::string::npos, name);
    // The files say so, for those that read them.
    const Outcome validated = sandbox.run({"validate", "-m", "model", "out"});
    BOOST_TEST(validated.status == 0, validated.out << validated.err);
  }
  BOOST_TEST(export_as(sandbox, "transformers.js", {"--attention-mask"}).status == 0);
  BOOST_TEST(inputs_of("onnx/encoder_model.onnx") == masked, boost::test_tools::per_element());
  BOOST_TEST(export_as(sandbox, "optimum").status == 0);
  BOOST_TEST(inputs_of("encoder_model.onnx") == masked, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_seeing_decoder_for_genai) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, tiny_gemma3);
  BOOST_TEST(export_as(sandbox, "genai").status == 0);
  const Json model = json_in(sandbox, "out/genai_config.json").at("model");
  BOOST_TEST(model.at("type") == "gemma3");
  BOOST_TEST(model.at("image_token_id") == 7);
  BOOST_TEST(model.at("vision").at("inputs").dump() == R"({"pixel_values":"pixel_values"})");
  BOOST_TEST(model.at("embedding").at("inputs").at("image_features") == "image_features");
  BOOST_TEST(model.at("decoder").at("inputs").at("inputs_embeds") == "inputs_embeds");
  const auto inputs_of = [&](const std::string& file) {
    return Json::parse(sandbox.run({"inspect", file, "--json"}).out).at("inputs");
  };
  const Json words = inputs_of("out/" + model.at("embedding").at("filename").get<std::string>());
  BOOST_TEST(words.at(1).at("type") == "f32[image_sequence, 8]");

  // Everybody else puts the images there by himself.
  fs::remove_all(sandbox / "out");
  const Outcome outcome = export_as(sandbox, "all");
  BOOST_TEST(outcome.status == 0, outcome.err);
  BOOST_TEST(inputs_of("out/onnx/embed_tokens.onnx").size() == 1U);
  BOOST_TEST(inputs_of("out/onnx/genai_embed_tokens.onnx").size() == 2U);
}

// From a picture's file to what the encoder takes, where genai can.
BOOST_AUTO_TEST_CASE(pictures_for_genai) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, tiny_gemma3);
  const auto transforms = [&](const std::string& processor, const std::string& file = "preprocessor_config.json") {
    fs::remove(sandbox / "model/preprocessor_config.json");
    fs::remove_all(sandbox / "out");
    sandbox.write("model/" + file, processor);
    BOOST_REQUIRE(export_as(sandbox, "all").status == 0);
    BOOST_TEST(json_in(sandbox, "out/genai_config.json").at("model").at("vision").at("config_filename") ==
               "image_processor.json");
    return fs::exists(sandbox / "out/image_processor.json")
               ? json_in(sandbox, "out/image_processor.json").at("processor").at("transforms")
               : Json();
  };
  // Of 256 tokens an image alone; this model has one.
  BOOST_TEST(transforms(R"({"size": {"height": 16, "width": 16}})").is_null());
  Json config = Json::parse(tiny_gemma3);
  config.at("mm_tokens_per_image") = 256;
  config.at("vision_config").at("image_size") = 128;
  fs::remove_all(sandbox / "model");
  checkpoint_of(sandbox, config.dump().c_str());
  const Json steps = transforms(R"({"size": {"height": 128, "width": 128}, "resample": 3, "image_std": [1, 1, 2]})");
  BOOST_TEST(steps.size() == 5U);
  BOOST_TEST(steps.at(1).at("operation").at("attrs") ==
             Json({{"height", 128}, {"width", 128}, {"interpolation", "CUBIC"}, {"keep_aspect_ratio", 0}}));
  BOOST_TEST(steps.at(3).at("operation").at("attrs").at("std") == Json({1, 1, 2}));
  // As transformers 5 saves it, and with a step less.
  const Json fewer =
      transforms(R"({"image_processor": {"size": {"height": 128, "width": 128}, "do_normalize": false}})",
                 "processor_config.json");
  BOOST_TEST(fewer.size() == 4U);
  BOOST_TEST(fewer.at(1).at("operation").at("attrs").at("interpolation") == "LINEAR");
  BOOST_TEST(transforms(R"({"image_processor": {"size": {"height": 128, "width": 128}, "do_pan_and_scan": true}})",
                        "processor_config.json")
                 .is_null());
}

BOOST_AUTO_TEST_CASE(one_folder_for_all) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, tiny_llama);
  const Outcome outcome = export_as(sandbox, "all", {"--external-data", "--json"});
  BOOST_TEST(outcome.status == 0, outcome.err);
  BOOST_TEST(json_in(sandbox, "out/genai_config.json").at("model").at("decoder").at("filename") == "onnx/model.onnx");
  const Json config = json_in(sandbox, "out/config.json");
  BOOST_TEST(config.at("hidden_size") == 16);  // the model's own fields are still there
  BOOST_TEST(config.at("transformers.js_config").at("use_external_data_format") == Json({{"model.onnx", 1}}));
  BOOST_TEST(fs::exists(sandbox / "out/onnx/model.onnx_data"));
  const Outcome inspected = sandbox.run({"inspect", "out/onnx/model.onnx"});
  for (const char* part : {"i64[batch_size, sequence_length]", "f32[batch_size, 2, past_sequence_length, 4]",
                           "i64[batch_size, past_sequence_length + sequence_length]"})
    BOOST_TEST(contains(inspected.out, part), inspected.out);
  const Json reported = Json::parse(outcome.out);
  BOOST_TEST(contains(reported.at("model_file").get<std::string>(), "out/onnx/model.onnx"));
}

BOOST_AUTO_TEST_CASE(a_file_of_no_use_is_left_out_and_told) {
  const Sandbox sandbox;
  sandbox.checkpoint("model");
  const Outcome all = export_as(sandbox, "all", {"--feature", "masked-lm"});
  BOOST_TEST(all.status == 0, all.err);
  BOOST_TEST(contains(all.out + all.err, "genai_config.json is left out"), all.out << all.err);
  BOOST_TEST(!fs::exists(sandbox / "out/genai_config.json"));
  check_failure(sandbox, {"export", "-m", "model", "--feature", "masked-lm", "--no-validate", "--layout", "genai", "x"},
                2, {"--layout genai", "masked-lm", "cache"});
}

// Zero-shot classification asks for both towers at once, a search for one of them.
BOOST_AUTO_TEST_CASE(two_towers_are_written_whole_and_apart) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, tiny_clip);
  for (const auto& [layout, folder] :
       {std::pair("optimum", "out"), {"transformers.js", "out/onnx"}, {"all", "out/onnx"}}) {
    const Outcome outcome = export_as(sandbox, layout);
    BOOST_TEST(outcome.status == 0, outcome.err);
    for (const char* file : {"model.onnx", "text_model.onnx", "vision_model.onnx"})
      BOOST_TEST(fs::exists(sandbox / folder / file), layout << " has no " << file);
    const Outcome validated = sandbox.run({"validate", "-m", "model", "out"});
    BOOST_TEST(validated.status == 0, validated.err);
    fs::remove_all(sandbox / "out");
  }
}

BOOST_AUTO_TEST_CASE(a_merged_decoder_for_transformers_js) {
  const Sandbox sandbox;
  checkpoint_of(sandbox,
                R"({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 16, "d_kv": 4,
                    "d_ff": 24, "num_layers": 1, "num_heads": 4, "vocab_size": 50, "decoder_start_token_id": 0,
                    "pad_token_id": 0, "eos_token_id": 1})");
  const Outcome outcome = export_as(sandbox, "transformers.js", {"--dtype", "fp16"});
  BOOST_TEST(outcome.status == 0, outcome.err);
  BOOST_TEST(fs::exists(sandbox / "out/onnx/encoder_model_fp16.onnx"));
  BOOST_TEST(fs::exists(sandbox / "out/onnx/decoder_model_merged_fp16.onnx"));
  BOOST_TEST(json_in(sandbox, "out/config.json").at("transformers.js_config").at("dtype") == "fp16");
  BOOST_TEST(json_in(sandbox, "out/config.json").at("num_decoder_layers") == 1);
  BOOST_TEST(json_in(sandbox, "out/config.json").at("is_encoder_decoder") == true);
}

// Both towers at once, for whoever compares texts with images, and each by itself, with what its own class yields.
BOOST_AUTO_TEST_CASE(two_towers_together_and_apart) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, R"({
    "model_type": "siglip", "architectures": ["SiglipModel"],
    "text_config": {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2,
                    "vocab_size": 50, "max_position_embeddings": 16},
    "vision_config": {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2,
                      "image_size": 8, "patch_size": 4}})");
  for (const char* layout : {"optimum", "transformers.js", "all"}) {
    const Outcome outcome = export_as(sandbox, layout);
    BOOST_REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
    const fs::path out = sandbox / "out", folder = fs::exists(out / "onnx") ? out / "onnx" : out;
    const auto outputs = [&](const char* file) {
      const Json graph = Json::parse(sandbox.run({"inspect", "--json", (folder / file).string()}).out);
      std::string names;
      for (const Json& output : graph.at("outputs")) names += output.at("name").get<std::string>() + " ";
      return names;
    };
    BOOST_TEST(outputs("model.onnx") == "logits_per_image logits_per_text text_embeds image_embeds ");
    BOOST_TEST(outputs("text_model.onnx") == "last_hidden_state pooler_output ");
    BOOST_TEST(outputs("vision_model.onnx") == "last_hidden_state pooler_output ");
    fs::remove_all(out);
  }
}

// By most configs optimum guesses as many heads of keys and values as of queries: its empty past must fit all the same.
BOOST_AUTO_TEST_CASE(a_cache_that_optimum_guesses_otherwise_is_left_open) {
  for (const auto& [type, shape] : {std::pair("llama", "f32[batch_size, 2, past_sequence_length, 4]"),
                                    {"olmo2", "f32[batch_size, kv_heads, past_sequence_length, head_size]"},
                                    {"mixtral", "f32[batch_size, kv_heads, past_sequence_length, head_size]"}}) {
    const Sandbox sandbox;
    Json config = Json::parse(tiny_llama);
    config["model_type"] = type;
    config["num_local_experts"] = 2;
    config.erase("architectures");
    checkpoint_of(sandbox, config.dump().c_str(), {"--feature", "causal-lm-with-past"});
    const Outcome outcome = export_as(sandbox, "optimum", {"--feature", "causal-lm-with-past"});
    BOOST_REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
    const Json graph = Json::parse(sandbox.run({"inspect", "--json", "out/model.onnx"}).out);
    for (const Json& input : graph.at("inputs")) {
      if (input.at("name").get<std::string>().starts_with("past_key_values.")) {
        BOOST_TEST(input.at("type") == shape, type << ": " << input.dump());
      }
    }
  }
}

// Its classes make an empty past by fields that the config may have under other names, or not at all.
BOOST_AUTO_TEST_CASE(transformers_js_is_told_which_layers_keep_what) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, R"({"model_type": "lfm2", "architectures": ["Lfm2ForCausalLM"], "hidden_size": 16,
                             "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
                             "num_key_value_heads": 2, "vocab_size": 50, "full_attn_idxs": [1],
                             "max_position_embeddings": 32})");
  BOOST_REQUIRE(export_as(sandbox, "transformers.js").status == 0);
  BOOST_TEST(json_in(sandbox, "out/config.json").at("layer_types") == Json({"conv", "full_attention", "conv"}));
}

BOOST_AUTO_TEST_CASE(transformers_js_is_told_numbers_by_the_names_that_it_reads) {
  const Sandbox sandbox;
  Json config = Json::parse(tiny_llama);
  config["model_type"] = "exaone";
  checkpoint_of(sandbox, config.dump().c_str());
  BOOST_REQUIRE(export_as(sandbox, "transformers.js").status == 0);
  BOOST_TEST(json_in(sandbox, "out/config.json").at("num_layers") == 2);
}

// It takes the field for keys and values in one tensor.
BOOST_AUTO_TEST_CASE(transformers_js_is_told_that_keys_and_values_are_apart) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, R"({"model_type": "gpt_bigcode", "architectures": ["GPTBigCodeForCausalLM"], "n_embd": 16,
                             "n_inner": 24, "n_layer": 1, "n_head": 4, "vocab_size": 50, "n_positions": 32,
                             "multi_query": true})");
  BOOST_REQUIRE(export_as(sandbox, "transformers.js").status == 0);
  BOOST_TEST(json_in(sandbox, "out/config.json").at("multi_query") == false);
}

// Clients give it no positions: they are counted in the graph.
BOOST_AUTO_TEST_CASE(a_decoder_over_an_encoder_counts_its_positions) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, tiny_whisper);
  for (const char* layout : {"optimum", "transformers.js", "all"}) {
    const Outcome outcome = export_as(sandbox, layout);
    BOOST_REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
    const fs::path folder = sandbox / "out";
    const fs::path file = (fs::exists(folder / "onnx") ? folder / "onnx" : folder) / "decoder_model_merged.onnx";
    const Json graph = Json::parse(sandbox.run({"inspect", "--json", file.string()}).out);
    for (const Json& input : graph.at("inputs")) {
      const std::string name = input.at("name");
      BOOST_TEST((name == "input_ids" || name == "encoder_hidden_states" || name == "use_cache_branch" ||
                  name.starts_with("past_key_values.")),
                 layout << " takes " << name);
    }
    fs::remove_all(folder);
  }
}

// Classes for other tasks give none: of a decoder that classifies they are counted as well.
BOOST_AUTO_TEST_CASE(a_decoder_that_classifies_counts_its_positions) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, tiny_llama, {"--feature", "sequence-classification"});
  const Outcome outcome = export_as(sandbox, "all", {"--feature", "sequence-classification"});
  BOOST_REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  const Json graph = Json::parse(sandbox.run({"inspect", "--json", (sandbox / "out/onnx/model.onnx").string()}).out);
  for (const Json& input : graph.at("inputs")) BOOST_TEST(input.at("name") != "position_ids");
}

BOOST_AUTO_TEST_CASE(a_folder_of_tritons) {
  const Sandbox sandbox;
  sandbox.checkpoint("model");
  const Outcome outcome = export_as(sandbox, "triton", {"--feature", "masked-lm"});
  BOOST_TEST(outcome.status == 0, outcome.err);
  BOOST_TEST(fs::exists(sandbox / "out/1/model.onnx"));
  const std::string config = sandbox.read("out/config.pbtxt");
  for (const char* part : {"max_batch_size: 32", "name: \"input_ids\"\n  data_type: TYPE_INT64\n  dims: [ -1 ]",
                           "dynamic_batching { }", "model_warmup {"})
    BOOST_TEST(contains(config, part), config);
}

// What transformers' own tokenizers make of the same files (tests/clients/tokenizers_test.py compares more of them).
BOOST_AUTO_TEST_CASE(a_tokenizer_of_its_vocabulary) {
  const Sandbox sandbox;
  sandbox.checkpoint("model");
  sandbox.write("model/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##ly\n");
  const Outcome outcome = export_as(sandbox, "all");
  BOOST_TEST(outcome.status == 0, outcome.err);
  BOOST_TEST(contains(outcome.out, "tokenizer.json"));
  const Json made = json_in(sandbox, "out/tokenizer.json");
  BOOST_TEST(made.at("model").at("vocab") ==
             Json({{"[PAD]", 0}, {"[UNK]", 1}, {"[CLS]", 2}, {"[SEP]", 3}, {"[MASK]", 4}, {"the", 5}, {"##ly", 6}}));
  BOOST_TEST(made.at("normalizer").at("lowercase") == true);
  BOOST_TEST(made.at("added_tokens").size() == 5);
  BOOST_TEST(made.at("post_processor").at("special_tokens").at("[SEP]").at("ids") == Json({3}));
  // What the files say.
  sandbox.write("model/tokenizer_config.json", R"({"tokenizer_class": "BertTokenizer", "do_lower_case": false})");
  BOOST_TEST(export_as(sandbox, "all").status == 0);
  BOOST_TEST(json_in(sandbox, "out/tokenizer.json").at("normalizer").at("lowercase") == false);
  // One that is there stays.
  sandbox.write("model/tokenizer.json", "{\"model\": {}}");
  BOOST_TEST(export_as(sandbox, "all").status == 0);
  BOOST_TEST(sandbox.read("out/tokenizer.json") == "{\"model\": {}}");
  fs::remove(sandbox / "model/tokenizer.json");
  fs::remove_all(sandbox / "out");
  // Of another class nothing is made up.
  sandbox.write("model/tokenizer_config.json", R"({"tokenizer_class": "FunnelTokenizer"})");
  const Outcome other = export_as(sandbox, "all");
  BOOST_TEST(other.status == 0, other.err);
  BOOST_TEST(contains(other.err + other.out, "nothing is known of the class FunnelTokenizer"));
  BOOST_TEST(!fs::exists(sandbox / "out/tokenizer.json"));
}

BOOST_AUTO_TEST_CASE(a_tokenizer_of_sentencepiece) {
  const Sandbox sandbox;
  sandbox.checkpoint("model");
  // Fields of a ModelProto: pieces (text, score, kind), and of the trainer the algorithm and the number of the unknown.
  const auto bytes = [](int number, const std::string& value) {
    return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(value.size())} + value;
  };
  const auto piece = [&](const std::string& text, const std::string& score, char kind) {
    return bytes(1, bytes(1, text) + "\x15" + score + std::string{'\x18', kind});
  };
  const std::string zero(4, '\0'), minus_one{"\0\0\x80\xbf", 4};
  const std::string model = piece("<pad>", zero, 3) + piece("</s>", zero, 3) + piece("<unk>", zero, 2) +
                            piece("\xE2\x96\x81", minus_one, 1) + piece("ab", minus_one, 1) +
                            bytes(2, std::string{"\x18\x01\xC0\x02\x02", 5});
  sandbox.write("model/spiece.model", model);
  sandbox.write("model/tokenizer_config.json", R"({"tokenizer_class": "T5Tokenizer", "extra_ids": 2})");
  Outcome outcome = export_as(sandbox, "all");
  BOOST_TEST(outcome.status == 0, outcome.err);
  const Json made = json_in(sandbox, "out/tokenizer.json");
  BOOST_TEST(made.at("model").at("unk_id") == 2);
  BOOST_TEST(
      made.at("model").at("vocab").dump() ==
      R"([["<pad>",0.0],["</s>",0.0],["<unk>",0.0],["▁",-1.0],["ab",-1.0],["<extra_id_1>",0.0],["<extra_id_0>",0.0]])");
  BOOST_TEST(made.at("post_processor").at("special_tokens").at("</s>").at("ids").at(0) == 1);
  BOOST_TEST(made.at("added_tokens").size() == 5U);  // <pad>, </s>, <unk> and both extra ones

  sandbox.write("model/spiece.model", model.substr(0, model.size() - 1));
  fs::remove_all(sandbox / "out");
  outcome = export_as(sandbox, "all");
  BOOST_TEST(outcome.status == 3, outcome.err);
  BOOST_TEST(contains(outcome.err, "spiece.model: is no model of sentencepiece"), outcome.err);
  sandbox.write("model/spiece.model", bytes(2, std::string{"\x18\x03", 2}) + piece("a", zero, 1));
  outcome = export_as(sandbox, "all");
  BOOST_TEST(outcome.status == 0, outcome.err);
  BOOST_TEST(contains(outcome.out + outcome.err, "tokenizer.json is left out"), outcome.out);
  BOOST_TEST(!fs::exists(sandbox / "out/tokenizer.json"));
}

BOOST_AUTO_TEST_CASE(a_tokenizer_of_letters) {
  const Sandbox sandbox;
  sandbox.checkpoint("model");
  sandbox.write("model/vocab.json", R"({"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "A": 5})");
  sandbox.write("model/tokenizer_config.json", R"({"tokenizer_class": "Wav2Vec2CTCTokenizer"})");
  const Outcome outcome = export_as(sandbox, "all");
  BOOST_TEST(outcome.status == 0, outcome.err);
  const Json made = json_in(sandbox, "out/tokenizer.json");
  BOOST_TEST(made.at("model").at("type") == "WordLevel");
  BOOST_TEST(made.at("decoder").at("type") == "CTC");
  BOOST_TEST(made.at("decoder").at("word_delimiter_token") == "|");
}

BOOST_AUTO_TEST_CASE(what_a_package_cannot_honour) {
  const Sandbox sandbox;
  sandbox.checkpoint("model");
  const Words base{"export", "-m", "model", "--no-validate", "--layout"};
  const auto with = [&](const Words& more) {
    Words words = base;
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  check_failure(sandbox, with({"transformers.js", "--data-name", "weights.bin", "x"}), 2,
                {"--layout transformers.js", "--data-name weights.bin", "FILE.onnx_data"});
  check_failure(sandbox, with({"all", "--weights", "link", "x"}), 2, {"--layout all", "--weights link"});
  check_failure(sandbox, with({"transformers.js", "--dtype", "bf16", "x"}), 2, {"--layout transformers.js", "bf16"});
  check_failure(sandbox, with({"all", "--ids", "int32", "x"}), 2, {"--layout all", "--ids int32", "64 bits"});
  check_failure(sandbox, with({"optimum", "--max-sequence", "16", "x"}), 2,
                {"--layout optimum", "--max-sequence 16", "length 0"});
  for (const char* layout : {"optimum", "all"}) {
    check_failure(sandbox, with({layout, "--num-logits-to-keep", "x"}), 2,
                  {std::string("--layout ") + layout, "--num-logits-to-keep"});
  }
  check_failure(sandbox, with({"genai", "x.onnx"}), 2, {"--layout genai", "x.onnx"});
  check_failure(sandbox, with({"nothing", "x"}), 2, {"'nothing'", "single", "transformers.js", "triton"});
  check_failure(sandbox, with({"./nowhere", "x"}), 4, {"nowhere/package.yaml"});
}

BOOST_AUTO_TEST_CASE(a_package_of_ones_own) {
  const Sandbox sandbox;
  sandbox.checkpoint("model");
  write_package(sandbox, "whole_file: nets/bert.onnx\naxes: {batch: rows}\ndata: {owner: us}\n",
                "function(exported) { owner: exported.data.owner, type: exported.model_type, "
                "input: exported.graphs[0].inputs[0] }");
  const Outcome outcome = export_as(sandbox, "./ours", {"--feature", "masked-lm"});
  BOOST_TEST(outcome.status == 0, outcome.err);
  BOOST_TEST(fs::exists(sandbox / "out/nets/bert.onnx"));
  const Json made = json_in(sandbox, "out/ours.json");
  BOOST_TEST(made.at("owner") == "us");
  BOOST_TEST(made.at("type") == "bert");
  BOOST_TEST(made.at("input").at("axes") == Json({"rows", "sequence"}));
  BOOST_TEST(made.at("input").at("role") == "ids");
  // In the user's own folder it goes by its name.
  fs::create_directories(sandbox / "home/.local/share/onnxport/packages");
  fs::rename(sandbox / "ours", sandbox / "home/.local/share/onnxport/packages/ours");
  BOOST_TEST(export_as(sandbox, "ours", {"--feature", "masked-lm"}).status == 0);
}

BOOST_AUTO_TEST_CASE(rows_and_templates_that_are_wrong) {
  const Sandbox sandbox;
  sandbox.checkpoint("model");
  const Words words{"export", "-m", "model", "--feature", "masked-lm", "--no-validate", "--layout", "./ours", "x"};
  write_package(sandbox, "", "function(exported) { a: exported.nothing }");
  check_failure(sandbox, words, 4, {"ours.jsonnet", "nothing"});
  write_package(sandbox, "", "function(exported) { refused: 'we sell no such model' }");
  check_failure(sandbox, words, 2, {"--layout ours", "we sell no such model"});
  write_package(sandbox, "whole_file: ../model.onnx\n", "function(exported) {}");
  check_failure(sandbox, words, 4, {"package.yaml:4", "../model.onnx", "docs/packages.md"});
  write_package(sandbox, "graph: whole\n", "function(exported) {}");
  check_failure(sandbox, words, 4, {"package.yaml:4", "'graph'"});
}

BOOST_AUTO_TEST_CASE(a_plugin_adds_to_a_package) {
  const Sandbox sandbox;
  sandbox.checkpoint("model");
  const fs::path built = fs::path(ONNXPORT_EXECUTABLE).parent_path() / "../lib/onnxport/plugins/bert";
  fs::create_directories(sandbox / "plugins");
  fs::copy(built, sandbox / "plugins/bert", fs::copy_options::recursive);
  fs::create_directories(sandbox / "plugins/bert/packages/transformers.js");
  sandbox.write("plugins/bert/packages/transformers.js/config.jsonnet",
                "function(exported) { 'transformers.js_config'+: { device: 'wasm' } }");
  const Outcome outcome = export_as(sandbox, "all", {"--feature", "masked-lm", "--plugin-dir", "plugins"});
  BOOST_TEST(outcome.status == 0, outcome.err);
  const Json added = json_in(sandbox, "out/config.json").at("transformers.js_config");
  BOOST_TEST(added == Json({{"dtype", "fp32"}, {"device", "wasm"}}));
}

BOOST_AUTO_TEST_CASE(a_package_takes_the_place_of_no_checkpoint) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const std::string config = sandbox.read("bert/config.json");
  for (const char* layout : {"transformers.js", "triton", "all"})
    check_failure(sandbox, {"export", "-m", "bert", "--no-validate", "--layout", layout, "bert"}, 2,
                  {"files of its own", "bert is the checkpoint's folder", "another folder"});
  BOOST_TEST(sandbox.run({"export", "-m", "bert", "--no-validate", "out"}).status == 0);
  check_failure(sandbox, {"transform", "out", "bert", "--layout", "all", "-m", "bert"}, 2, {"the folder that is read"});
  BOOST_TEST(sandbox.read("bert/config.json") == config);
  // Only the model's own file comes beside the checkpoint without a package.
  BOOST_TEST(sandbox.run({"export", "-m", "bert", "--no-validate", "bert"}).status == 0);
  BOOST_TEST(sandbox.read("bert/config.json") == config);
}

BOOST_AUTO_TEST_CASE(a_page_that_is_no_card_is_kept) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  sandbox.write("bert/README.md", "how this model was trained\n");
  check_failure(sandbox, {"export", "-m", "bert", "--no-validate", "--model-card", "bert"}, 2,
                {"--model-card", "README.md is there already", "folder of its own"});
  BOOST_TEST(sandbox.read("bert/README.md") == "how this model was trained\n");
  // A card of an earlier export is written anew.
  for (int run = 0; run < 2; ++run)
    BOOST_TEST(sandbox.run({"export", "-m", "bert", "--no-validate", "--model-card", "out"}).status == 0);
}

BOOST_AUTO_TEST_CASE(a_model_card, *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  sandbox.checkpoint("model");
  const Outcome outcome = sandbox.run({"export", "-m", "model", "--feature", "masked-lm", "--model-card", "out"});
  BOOST_TEST(outcome.status == 0, outcome.err);
  BOOST_TEST(contains(outcome.out, "hf upload"), outcome.out);
  const std::string card = sandbox.read("out/README.md");
  for (const char* part : {"---\nlibrary_name: onnx\n", "pipeline_tag: fill-mask", "| `model.onnx` |",
                           "i64[batch, sequence]", "largest absolute difference is"})
    BOOST_TEST(contains(card, part), card);
  check_failure(sandbox, {"export", "-m", "model", "--model-card", "x.onnx"}, 2, {"--model-card"});
}

BOOST_AUTO_TEST_CASE(a_package_is_validated_as_it_lies, *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, tiny_llama);
  BOOST_TEST(export_as(sandbox, "all").status == 0);
  const Outcome outcome = sandbox.run({"validate", "out", "-m", "model"});
  BOOST_TEST(outcome.status == 0, outcome.err);
  BOOST_TEST(contains(outcome.out, "cached"), outcome.out);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace package_test
