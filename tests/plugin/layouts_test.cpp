// SPDX-License-Identifier: Apache-2.0
// The graphs of the layouts split and merged against recorded outputs of encoder-decoders: the first step without a
// cache, and a cached one. Only recordings without padding, since the graphs of a decoder take no mask of its own.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "core/backend/backend.hpp"
#include "core/error.hpp"
#include "core/export/defined_graphs.hpp"
#include "core/export/export.hpp"
#include "core/onnx/model_proto.hpp"
#include "core/package/layout.hpp"
#include "core/validate/validate.hpp"
#include "registry/features_manager.hpp"
#include "registry/loader.hpp"

namespace {

namespace fs = std::filesystem;
using namespace onnxport;

/// An exported layout in a folder of its own.
class Exported {
 public:
  Exported(const fs::path& checkpoint_folder, const std::string& feature, const std::string& layout, int64_t opset) {
    SearchOptions options;
    options.environment = false;
    options.plugin_dirs = {fs::path(ONNXPORT_BUILD_DIR) / "lib/onnxport/plugins"};
    const Registry registry = Registry::discover(options);
    const Checkpoint checkpoint = Checkpoint::open(checkpoint_folder);
    const std::string type = checkpoint.config().at("model_type");
    const LoadedPlugin& plugin = load(registry.find(type), plugin_host());
    const OnnxConfig config =
        OnnxConfig::from_model_config({plugin.onnx_config, plugin.manifest->id}, checkpoint.config(), type, feature);
    const std::vector<GraphFile> files = graph_files(layout_from(layout), config, "model.onnx");
    WeightSource weights(checkpoint);
    const DefinedGraphs defined = define_graphs(config, weights, files);
    std::string pattern = (fs::temp_directory_path() / "onnxport-layout-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
    result = export_graphs(config, defined.graphs, folder_, {.opset = opset, .external_data = layout == "split"});
    for (const ExportedGraph& graph : result.graphs) check_model_file(folder_ / graph.file);
  }
  ~Exported() { fs::remove_all(folder_); }
  Exported(const Exported&) = delete;
  Exported& operator=(const Exported&) = delete;

  Tensors run(const std::string& file, const Tensors& inputs) const {
    return load_backend("onnxruntime").load_file((folder_ / file).string())->run(inputs);
  }
  const fs::path& folder() const { return folder_; }

  ExportResult result;

 private:
  fs::path folder_;
};

ir::Tensor flag(bool value) {
  return ir::Tensor::of<uint8_t>(ir::DType::boolean, {1}, {value ? uint8_t{1} : uint8_t{0}});
}

void expect_equal(const std::string& who, const Tensors& expected, const Tensors& actual) {
  for (const Difference& difference : compare(expected, actual, 1e-4)) {
    BOOST_CHECK_MESSAGE(difference.passes, fmt::format("{}: {} differs by {} {}", who, difference.output,
                                                       difference.max_abs, difference.problem));
  }
}

/// What the cached step of a recording gives to a decoder's graph.
Tensors cached_inputs(const ValidationInputs& recorded) {
  Tensors inputs;
  for (const auto& [name, tensor] : recorded.inputs) {
    if (name.starts_with("past_key_values")) inputs.emplace(name, tensor);
  }
  inputs.emplace("input_ids", recorded.inputs.at("decoder_input_ids"));
  inputs.emplace("encoder_attention_mask", recorded.inputs.at("attention_mask"));
  return inputs;
}

/// Outputs of a cached step that its graph puts out as well.
Tensors without_encoder(Tensors outputs) {
  std::erase_if(outputs, [](const auto& output) { return output.first.find(".encoder.") != std::string::npos; });
  return outputs;
}

/// Initializer -> file and offset of its external data.
std::map<std::string, std::string> places_of(const fs::path& file) {
  pb::ModelProto model;
  std::ifstream in(file, std::ios::binary);
  BOOST_REQUIRE(model.ParseFromIstream(&in));
  std::map<std::string, std::string> places;
  for (const auto& initializer : model.graph().initializer()) {
    std::string place;
    for (const auto& entry : initializer.external_data()) {
      if (entry.key() != "length") place += entry.value() + " ";
    }
    if (!place.empty()) places.emplace(initializer.name(), place);
  }
  return places;
}

const fs::path goldens = fs::path(ONNXPORT_TEST_SOURCE_DIR) / "fixtures/goldens";
constexpr const char* checkpoints[] = {"t5/T5ForConditionalGeneration", "bart/BartForConditionalGeneration",
                                       "marian/MarianMTModel"};

}  // namespace

BOOST_AUTO_TEST_SUITE(layouts)

BOOST_AUTO_TEST_CASE(split_graphs_answer_as_the_model_does) {
  for (const char* name : checkpoints) {
    const auto first = read_case(goldens / name / "case-seq2seq-lm-0.safetensors"),
               cached = read_case(goldens / name / "case-seq2seq-lm-with-past-0.safetensors");
    for (const int64_t opset : {13, 18, 24}) {
      const std::string who = fmt::format("{}, opset {}", name, opset);
      const Exported model(goldens / name, "seq2seq-lm-with-past", "split", opset);
      BOOST_REQUIRE_EQUAL(model.result.graphs.size(), 3u);
      const Tensors encoded = model.run("encoder_model.onnx", {{"input_ids", first.inputs.at("input_ids")},
                                                               {"attention_mask", first.inputs.at("attention_mask")}});
      const Tensors decoded =
          model.run("decoder_model.onnx", {{"input_ids", first.inputs.at("decoder_input_ids")},
                                           {"encoder_attention_mask", first.inputs.at("attention_mask")},
                                           {"encoder_hidden_states", encoded.at("last_hidden_state")}});
      expect_equal(who, {{"logits", first.expected->at("logits")}}, decoded);
      expect_equal(who + ", cached", without_encoder(*cached.expected),
                   model.run("decoder_with_past_model.onnx", cached_inputs(cached)));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_merged_graph_answers_as_both_do) {
  for (const char* name : checkpoints) {
    const auto first = read_case(goldens / name / "case-seq2seq-lm-0.safetensors"),
               cached = read_case(goldens / name / "case-seq2seq-lm-with-past-0.safetensors");
    for (const int64_t opset : {13, 18, 24}) {
      const std::string who = fmt::format("{}, opset {}", name, opset);
      const Exported model(goldens / name, "seq2seq-lm-with-past", "merged", opset);
      BOOST_REQUIRE_EQUAL(model.result.graphs.size(), 2u);
      const Tensors encoded = model.run("encoder_model.onnx", {{"input_ids", first.inputs.at("input_ids")},
                                                               {"attention_mask", first.inputs.at("attention_mask")}});
      // The first step is given a past of length 0, as clients do.
      Tensors inputs{{"input_ids", first.inputs.at("decoder_input_ids")},
                     {"encoder_attention_mask", first.inputs.at("attention_mask")},
                     {"encoder_hidden_states", encoded.at("last_hidden_state")},
                     {branch_input, flag(false)}};
      for (const auto& [input, tensor] : cached.inputs) {
        if (!input.starts_with("past_key_values")) continue;
        std::vector<int64_t> shape = tensor.shape;
        shape[2] = 0;
        inputs.emplace(input, ir::Tensor{tensor.dtype, shape, {}});
      }
      expect_equal(who, {{"logits", first.expected->at("logits")}}, model.run("decoder_model_merged.onnx", inputs));
      inputs = cached_inputs(cached);
      inputs.emplace("encoder_hidden_states", encoded.at("last_hidden_state"));
      inputs.emplace(branch_input, flag(true));
      expect_equal(who + ", cached", *cached.expected, model.run("decoder_model_merged.onnx", inputs));
    }
  }
}

BOOST_AUTO_TEST_CASE(decoders_hold_their_common_weights_once) {
  const Exported split(goldens / "t5/T5ForConditionalGeneration", "seq2seq-lm-with-past", "split", 18),
      merged(goldens / "t5/T5ForConditionalGeneration", "seq2seq-lm-with-past", "merged", 18);
  const auto first = places_of(split.folder() / "decoder_model.onnx"),
             cached = places_of(split.folder() / "decoder_with_past_model.onnx");
  size_t common = 0;
  for (const auto& [weight, place] : cached) {
    const auto found = first.find(weight);
    if (found == first.end()) continue;
    BOOST_TEST(found->second == place, weight << " lies twice");
    ++common;
  }
  BOOST_TEST(common > 10u);
  // Merged: one copy of what both steps hold.
  uint64_t weights = 0;
  const Checkpoint checkpoint = Checkpoint::open(goldens / "t5/T5ForConditionalGeneration");
  for (const auto& [name, stored] : checkpoint.tensors()) weights += stored->bytes;
  BOOST_TEST(fs::file_size(merged.folder() / "decoder_model_merged.onnx") < weights + 200'000);
}

BOOST_AUTO_TEST_CASE(a_cached_step_does_not_run_the_encoder) {
  const Exported single(goldens / "t5/T5ForConditionalGeneration", "seq2seq-lm-with-past", "single", 18),
      uncached(goldens / "t5/T5ForConditionalGeneration", "seq2seq-lm", "single", 18);
  BOOST_TEST(single.result.graphs[0].nodes * 4 < uncached.result.graphs[0].nodes * 3);
}

BOOST_AUTO_TEST_CASE(layouts_that_a_model_does_not_have) {
  const auto refusal = [](const char* name, const std::string& feature, const std::string& layout) {
    try {
      const Exported model(goldens / name, feature, layout, 18);
    } catch (const Error& error) {
      BOOST_TEST((error.failure() == Failure::usage));
      return std::string(error.what()) + " | " + error.hint();
    }
    return std::string("accepted");
  };
  BOOST_TEST(refusal("gpt2/GPT2Model", "default-with-past", "split").find("is one graph") != std::string::npos);
  BOOST_TEST(refusal("t5/T5ForConditionalGeneration", "seq2seq-lm", "merged").find("seq2seq-lm-with-past") !=
             std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
