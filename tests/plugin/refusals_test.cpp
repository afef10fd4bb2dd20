// SPDX-License-Identifier: Apache-2.0
// Combinations of options that a config can state and the reference cannot run are refused by name.
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "core/error.hpp"
#include "tests/plugin/fixture.hpp"

namespace refusals_test {

namespace {

namespace fs = std::filesystem;
using namespace onnxport;
using namespace onnxport::test;

/// What is said of a recorded checkpoint's config with other values.
std::string said_of(const fs::path& checkpoint, const char* values, const char* feature = "causal-lm") {
  Json config = read_json(checkpoint / "config.json");
  config.update(parse_json(values, "the test"));
  try {
    config_of({config, checkpoint}, config.at("model_type"), feature);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

std::string said_of_falcon(const char* values) {
  return said_of(recorded("falcon", "falcon/FalconForCausalLM"), values);
}

bool mentions(const std::string& message, const char* what) {
  return message.find(what) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(refusals)

BOOST_AUTO_TEST_CASE(what_no_falcon_can_run) {
  BOOST_TEST(said_of_falcon(R"({"num_kv_heads": 3})") == "accepted");
  BOOST_TEST(mentions(said_of_falcon(R"({"parallel_attn": false})"), "without parallel_attn"));
  BOOST_TEST(mentions(said_of_falcon(R"({"num_ln_in_parallel_attn": 3})"), "num_ln_in_parallel_attn other than"));
  BOOST_TEST(mentions(said_of_falcon(R"({"num_kv_heads": 4})"), "not a multiple of num_kv_heads (4)"));
  const char* old_form = R"({"new_decoder_architecture": false, "num_ln_in_parallel_attn": 2})";
  BOOST_TEST(mentions(said_of_falcon(old_form), "num_ln_in_parallel_attn 2 without"));
  const char* grouped_old_form =
      R"({"new_decoder_architecture": false, "num_ln_in_parallel_attn": 1, "multi_query": false})";
  BOOST_TEST(mentions(said_of_falcon(grouped_old_form), "num_kv_heads other than"));
}

BOOST_AUTO_TEST_CASE(what_looks_both_ways_has_no_past) {
  const fs::path qwen3 = recorded("llama", "qwen3/Qwen3ForCausalLM");
  BOOST_TEST(said_of(qwen3, R"({"is_causal": false})") == "accepted");
  BOOST_TEST(mentions(said_of(qwen3, R"({"is_causal": false})", "default-with-past"), "export the feature default"));
}

BOOST_AUTO_TEST_CASE(what_no_gemma_can_run) {
  const char* both_ways = R"({"use_bidirectional_attention": true})";
  BOOST_TEST(mentions(said_of(recorded("gemma", "gemma2/Gemma2ForCausalLM"), both_ways),
                      "'use_bidirectional_attention' is true"));
  BOOST_TEST(said_of(recorded("gemma", "gemma3_text/Gemma3ForCausalLM-v5.24"), both_ways) == "accepted");
  BOOST_TEST(
      mentions(said_of(recorded("gemma", "gemma3_text/Gemma3ForCausalLM-v5.24"), both_ways, "causal-lm-with-past"),
               "export the feature causal-lm"));
  const char* without_window = R"({"sliding_window": null})";
  BOOST_TEST(mentions(said_of(recorded("gemma", "gemma2/Gemma2ForCausalLM"), without_window), "\"sliding_attention\""));
  const char* one_map = R"({"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}})";
  BOOST_TEST(
      mentions(said_of(recorded("gemma", "gemma3_text/Gemma3ForCausalLM-v5.24"), one_map), "one map for all layers"));
}

BOOST_AUTO_TEST_CASE(what_no_smollm3_can_run) {
  const char* too_few = R"({"no_rope_layers": [1]})";
  BOOST_TEST(mentions(said_of(recorded("llama", "smollm3/SmolLM3ForCausalLM"), too_few),
                      "'no_rope_layers' has 1 entries; expected"));
}

BOOST_AUTO_TEST_CASE(lists_by_layer_that_no_ultrabert_has) {
  const fs::path ultrabert = recorded("ultrabert", "ultrabert/UltrabertModel-by-layer");
  const auto said = [&](const char* values) { return said_of(ultrabert, values, "default"); };
  BOOST_TEST(said(R"({"attention_windows": [2, 0, 2]})") == "accepted");
  BOOST_TEST(
      mentions(said(R"({"attention_windows": [2, 2]})"), "'attention_windows' has 2 entries; expected num_hidden"));
  BOOST_TEST(mentions(said(R"({"attention_windows": [2, -1, 0]})"), "'attention_windows' has an entry -1"));
  BOOST_TEST(mentions(said(R"({"rope_theta": [100.0]})"), "'rope_theta' has 1 entries; expected num_hidden"));
}

BOOST_AUTO_TEST_CASE(windows_are_one_number_or_one_for_each_layer) {
  const auto check = [](const fs::path& checkpoint, const char* feature, const char* windows) {
    BOOST_TEST(said_of(checkpoint, R"({"attention_window": 4})", feature) == "accepted");
    BOOST_TEST(said_of(checkpoint, windows, feature) == "accepted");
    BOOST_TEST(mentions(said_of(checkpoint, R"({"attention_window": [4]})", feature),
                        "'attention_window' lists 1 windows; expected one for each of the"));
    BOOST_TEST(mentions(said_of(checkpoint, R"({"attention_window": []})", feature), "lists 0 windows"));
  };
  check(recorded("longformer", "longformer/LongformerModel"), "default", R"({"attention_window": [4, 8, 2]})");
  check(recorded("bart", "led/LEDForConditionalGeneration"), "seq2seq-lm", R"({"attention_window": [4, 8]})");
}

BOOST_AUTO_TEST_CASE(lists_of_unequal_length_that_no_funnel_has) {
  BOOST_TEST(mentions(said_of(recorded("funnel", "funnel/FunnelForMaskedLM"), R"({"block_repeats": [1]})", "masked-lm"),
                      "'block_repeats (how many)' is 1; expected as many as block_sizes ("));
}

BOOST_AUTO_TEST_CASE(parts_that_no_plugin_has) {
  const auto said = [](const char* text) {
    return said_of(recorded("llava", "llava/whole"), (R"({"text_config": )" + std::string(text) + "}").c_str(),
                   "vision2seq-lm");
  };
  BOOST_TEST(mentions(said(R"({"model_type": "nonsense"})"), "text_config: unknown model type 'nonsense'"));
  BOOST_TEST(mentions(said(R"({"model_type": "bert"})"), "text_config: the model type 'bert'"));
  BOOST_TEST(mentions(said(R"({"model_type": "bert"})"), "has no part 'decoder'"));
  BOOST_TEST(mentions(said(R"({"model_type": "llama", "hidden_size": "wide"})"), "text_config"));
  BOOST_TEST(mentions(said("null"), "config field 'text_config' is missing"));
}

BOOST_AUTO_TEST_CASE(layers_that_a_version_does_not_save) {
  const auto said_of_mask2former = [](const char* values) {
    return said_of(recorded("mask2former", "mask2former/Mask2FormerForUniversalSegmentation"), values,
                   "image-segmentation");
  };
  BOOST_TEST(said_of_mask2former(R"({"enforce_input_projection": true, "transformers_version": "5.24.0"})") ==
             "accepted");
  const char* before = R"({"enforce_input_projection": true, "transformers_version": "4.57.1"})";
  BOOST_TEST(mentions(said_of_mask2former(before), "draws input_projections anew"));
}

BOOST_AUTO_TEST_CASE(what_no_gptj_can_run) {
  const auto said_of_gptj = [](const char* values) {
    return said_of(recorded("gptj", "gptj/GPTJForCausalLM"), values);
  };
  BOOST_TEST(said_of_gptj(R"({"n_head": 2, "rotary_dim": 16})") == "accepted");
  BOOST_TEST(mentions(said_of_gptj(R"({"rotary_dim": 16})"), "'rotary_dim' is 16; expected at most"));
  // Without a number the whole width would be turned in each head, and so it must have one head only.
  BOOST_TEST(mentions(said_of_gptj(R"({"rotary_dim": null})"), "'rotary_dim' is 32; expected at most"));
  BOOST_TEST(said_of_gptj(R"({"rotary_dim": null, "n_head": 1})") == "accepted");
  // The names of other models mean the same.
  BOOST_TEST(mentions(said_of_gptj(R"({"num_attention_heads": 16})"), "'rotary_dim' is 4; expected at most"));

  const auto said_of_codegen = [](const char* values) {
    return said_of(recorded("gptj", "codegen/CodeGenForCausalLM"), values);
  };
  BOOST_TEST(said_of_codegen(R"({"n_head": 8})") == "accepted");
  BOOST_TEST(mentions(said_of_codegen(R"({"n_head": 2})"), "not a multiple of the groups of heads in qkv_proj (4)"));
}

BOOST_AUTO_TEST_CASE(what_no_swin_can_run) {
  const fs::path swin = recorded("swin", "swin/SwinForMaskedImageModeling");
  BOOST_TEST(said_of(swin, R"({"use_absolute_embeddings": true})", "masked-im") == "accepted");
  const char* of_version_4 = R"({"use_absolute_embeddings": true, "transformers_version": "4.57.1"})";
  BOOST_TEST(mentions(said_of(swin, of_version_4, "masked-im"), "one position too many"));
}

BOOST_AUTO_TEST_CASE(what_no_bit_can_run) {
  const fs::path bit = recorded("bit", "bit/BitForImageClassification");
  BOOST_TEST(said_of(bit, R"({"global_padding": null})", "image-classification") == "accepted");
  BOOST_TEST(mentions(said_of(bit, R"({"global_padding": "valid"})", "image-classification"), "maps of two sizes"));
}

BOOST_AUTO_TEST_CASE(what_no_backbone_yields) {
  const fs::path dinov3 = recorded("dinov3_vit", "dinov3_vit/DINOv3ViTBackbone");
  BOOST_TEST(mentions(said_of(dinov3, R"({"return_class_token": true})", "backbone"), "class tokens are no output"));
  const fs::path beit = recorded("beit", "beit/BeitBackbone-pyramid");
  const char* two = R"({"out_features": ["stage1", "stage2"], "out_indices": [1, 2]})";
  BOOST_TEST(mentions(said_of(beit, two, "backbone"), "'add_fpn' is true with 2 stages"));
  const fs::path pvt_v2 = recorded("pvt_v2", "pvt_v2/PvtV2Backbone");
  const char* stem = R"({"out_features": ["stem"], "out_indices": null})";
  BOOST_TEST(mentions(said_of(pvt_v2, stem, "backbone"), "has the stages stage1, "));
  const fs::path vitpose = recorded("vitpose", "vitpose_backbone/VitPoseBackbone");
  BOOST_TEST(mentions(said_of(vitpose, R"({"patch_size": [4, 4]})", "backbone"), "pixels around it"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace refusals_test
