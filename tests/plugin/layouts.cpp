// SPDX-License-Identifier: Apache-2.0
#include "tests/plugin/layouts.hpp"

#include <fmt/format.h>

#include <set>

#include "core/export/defined_graphs.hpp"
#include "core/package/layout.hpp"
#include "core/validate/validate.hpp"

namespace onnxport::test {
namespace {

constexpr const char* with_past = "-with-past";

ir::Tensor flag(bool value) {
  return ir::Tensor::of<uint8_t>(ir::DType::boolean, {1}, {value ? uint8_t{1} : uint8_t{0}});
}

/// The unpadded case of a recording.
ValidationInputs unpadded(const Recording& recording) {
  return read_case(recording.folder / recording.cases.at(0));
}

/// The recorded inputs that a graph of this description takes under the same name.
Tensors taken_of(const Description& description, const Tensors& recorded) {
  Tensors inputs;
  for (const auto& input : description.inputs) {
    if (const auto found = recorded.find(input.name); found != recorded.end()) inputs.insert(*found);
  }
  return inputs;
}

/// What a recorded step of the whole model gives to a decoder's graph, the encoder's result not included.
Tensors decoder_inputs(const Description& decoder, const Tensors& recorded) {
  Tensors inputs{{"input_ids", recorded.at("decoder_input_ids")}};
  const auto add = [&](const char* input, const char* recorded_as) {
    if (decoder.input(input) != nullptr) inputs.emplace(input, recorded.at(recorded_as));
  };
  add("encoder_attention_mask", "attention_mask");
  add("attention_mask", "decoder_attention_mask");
  for (const auto& [name, tensor] : recorded) {
    if (name.starts_with("past_key_values")) inputs.emplace(name, tensor);
  }
  return inputs;
}

/// Outputs of a cached step that its graph puts out as well.
Tensors without_encoder(Tensors outputs) {
  std::erase_if(outputs, [](const auto& output) { return output.first.find(".encoder.") != std::string::npos; });
  return outputs;
}

/// A past of length 0, as clients give it to the first step.
void add_empty_past(const ValidationInputs& cached, Tensors& inputs) {
  for (const auto& [input, tensor] : cached.inputs) {
    if (!input.starts_with("past_key_values")) continue;
    std::vector<int64_t> shape = tensor.shape;
    shape[2] = 0;
    inputs.emplace(input, ir::Tensor{tensor.dtype, shape, {}});
  }
}

void append(Problems& problems, const Problems& more) {
  problems.insert(problems.end(), more.begin(), more.end());
}

/// The answers of one exported layout.
Problems answers_of(const ExportedLayout& model, const std::string& who, bool merged, const StepRecordings& steps) {
  const ValidationInputs first = unpadded(steps.first), cached = unpadded(steps.cached);
  const Tensors encoded = model.run("encoder_model.onnx", taken_of(model.encoder, first.inputs));
  Tensors at_first = decoder_inputs(model.decoder, first.inputs),
          at_cached = decoder_inputs(model.decoder, cached.inputs);
  at_first.emplace("encoder_hidden_states", encoded.at("last_hidden_state"));
  if (merged) {
    at_first.emplace(branch_input, flag(false));
    add_empty_past(cached, at_first);
    at_cached.emplace("encoder_hidden_states", encoded.at("last_hidden_state"));
    at_cached.emplace(branch_input, flag(true));
  }
  const Tolerance of_first{.absolute = steps.first.atol}, of_cached{.absolute = steps.cached.atol};
  const char* const first_file = merged ? "decoder_model_merged.onnx" : "decoder_model.onnx";
  const char* const cached_file = merged ? first_file : "decoder_with_past_model.onnx";
  Problems problems =
      differences(who, {{"logits", first.expected->at("logits")}}, model.run(first_file, at_first), of_first);
  append(problems, differences(who + ", cached", merged ? *cached.expected : without_encoder(*cached.expected),
                               model.run(cached_file, at_cached), of_cached));
  return problems;
}

}  // namespace

ExportedLayout::ExportedLayout(const Checkpoint& checkpoint, const std::string& feature, const std::string& layout,
                               int64_t opset) {
  const std::string type = checkpoint.config().at("model_type");
  const OnnxConfig config = config_of({checkpoint.config(), checkpoint.folder()}, type, feature);
  const std::vector<GraphFile> files = graph_files(layout_from(layout), config, "model.onnx");
  encoder = config.description("encoder");
  decoder = config.description("decoder");
  WeightSource weights(checkpoint);
  const DefinedGraphs defined = define_graphs(config, weights, files);
  result = export_graphs(config, defined.graphs, folder(), {.opset = opset, .external_data = layout == "split"});
  for (const ExportedGraph& graph : result.graphs) check_model_file(folder() / graph.file);
}

Tensors ExportedLayout::run(const std::string& file, const Tensors& inputs) const {
  return load_backend("onnxruntime").load_file((folder() / file).string())->run(inputs);
}

std::vector<StepRecordings> step_recordings(const std::vector<Recording>& recordings) {
  std::vector<StepRecordings> found;
  std::set<std::string> types;
  for (const Recording& first : recordings) {
    if (!first.feature.ends_with("2seq-lm") || !first.part.empty() || types.contains(first.model_type)) continue;
    for (const Recording& cached : recordings) {
      if (cached.feature != first.feature + with_past || cached.folder != first.folder || !cached.part.empty())
        continue;
      if (!unpadded(first).inputs.contains("decoder_input_ids")) continue;  // what sees images may read one text
      found.push_back({first, cached});
      types.insert(first.model_type);
      break;
    }
  }
  return found;
}

Problems layout_answers(const StepRecordings& steps, const std::string& layout) {
  const bool merged = layout == "merged";
  Problems problems;
  try {
    const RecordedCheckpoint checkpoint(steps.cached);
    for (const int64_t opset : tested_opsets()) {
      const ExportedLayout model(*checkpoint, steps.cached.feature, layout, opset);
      const size_t graphs = merged ? 2 : 3;
      if (model.result.graphs.size() != graphs)
        problems.push_back(fmt::format("{} graphs, expected {}", model.result.graphs.size(), graphs));
      append(problems, answers_of(model, fmt::format("opset {}", opset), merged, steps));
    }
  } catch (const std::exception& error) {
    problems.push_back(error.what());
  }
  return problems;
}

}  // namespace onnxport::test
