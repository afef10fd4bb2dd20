// SPDX-License-Identifier: Apache-2.0
#include "contenders.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace benchmarks {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> weight_files(const fs::path& checkpoint) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(checkpoint)) {
    if (entry.path().extension() == ".safetensors" || entry.path().extension() == ".bin") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// What the config's architecture is for, from which onnxport takes it.
std::string feature_of(const fs::path& checkpoint) {
  std::ifstream file(checkpoint / "config.json");
  const std::string config{std::istreambuf_iterator<char>(file), {}};
  const auto names = [&](const char* head) { return config.find(head) != std::string::npos; };
  if (names("ForMaskedLM")) return "masked-lm";
  if (names("ForConditionalGeneration")) return "seq2seq-lm";
  if (names("ForImageClassification")) return "image-classification";
  return names("ForCausalLM") || names("LMHeadModel") ? "causal-lm" : "default";
}

/// optimum-cli asks for the task of a folder: the same one here.
std::string optimum_task(const fs::path& checkpoint) {
  const std::string feature = feature_of(checkpoint);
  if (feature == "masked-lm") return "fill-mask";
  if (feature == "seq2seq-lm") return "text2text-generation";
  if (feature == "causal-lm") return "text-generation";
  return feature == "image-classification" ? feature : "feature-extraction";
}

}  // namespace

std::vector<Contender> own_exports(const fs::path& checkpoint, const Places& places) {
  const std::string onnxport = (places.programs / "onnxport").string(), model = checkpoint.string();
  Command copy{.words = {"cp", "-t", (places.scratch / "cp").string()}};
  for (const fs::path& file : weight_files(checkpoint)) copy.words.push_back(file.string());
  std::vector<Contender> contenders{
      {.name = "cp of its weights", .command = copy, .output = places.scratch / "cp", .makes_folder = false}};
  contenders[0].reads = weight_files(checkpoint);
  const auto add = [&](const std::string& name, const std::string& folder, const std::vector<std::string>& options) {
    const fs::path output = places.scratch / folder;
    Command command{.words = {onnxport, "export", "-m", model, "--no-validate", "--quiet"}};
    command.words.insert(command.words.end(), options.begin(), options.end());
    command.words.push_back(output.string());
    contenders.push_back({.name = name, .command = command, .output = output, .model = "model.onnx"});
    contenders.back().reads = contenders[0].reads;
  };
  add("onnxport export", "copy", {});
  add("onnxport export --external-data", "apart", {"--external-data"});
  add("onnxport export --weights link", "link", {"--weights", "link"});
  return contenders;
}

std::vector<Contender> own_validation(const fs::path& checkpoint, const Places& places) {
  const std::string onnxport = (places.programs / "onnxport").string(), model = checkpoint.string();
  const fs::path linked = places.scratch / "passes";
  fs::remove_all(linked);  // of another model
  run({.words = {onnxport, "export", "-m", model, "--feature", feature_of(checkpoint), "--no-validate", "--quiet",
                 "--weights", "link", linked.string()}});
  const std::string passes = (places.programs / "forward_passes").string();
  return {{.name = "onnxport export, validated",
           .command = {.words = {onnxport, "export", "-m", model, "--quiet", (places.scratch / "valid").string()}},
           .output = places.scratch / "valid",
           .reads = weight_files(checkpoint)},
          {.name = "its forward passes, both libraries",
           .command = {.words = {passes, model, feature_of(checkpoint), (linked / "model.onnx").string()}},
           .output = {},
           .reads = weight_files(checkpoint)}};
}

std::vector<Contender> peer_exports(const fs::path& checkpoint, const Places& places) {
  const std::vector<std::string> offline{"HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1"};
  const std::string model = checkpoint.string();
  std::vector<Contender> contenders;
  const auto add = [&](const std::string& name, const fs::path& program, std::vector<std::string> words) {
    if (!fs::exists(program)) return;
    const fs::path output = places.scratch / name;
    words.insert(words.begin(), program.string());
    words.push_back(output.string());
    contenders.push_back({.name = name,
                          .command = {.words = words, .environment = offline},
                          .output = output,
                          .is_peer = true,
                          .model = "model.onnx",
                          .reads = weight_files(checkpoint)});
  };
  add("transformers.onnx 4.30", places.peers / "transformers/bin/python",
      {"-m", "transformers.onnx", "--framework=pt", "--model=" + model});
  add("optimum-onnx 0.1", places.peers / "optimum/bin/optimum-cli",
      {"export", "onnx", "--task", optimum_task(checkpoint), "--model", model});
  add("mobius-onnx 0.1", places.peers / "mobius/bin/mobius", {"build", "--config", model});
  return contenders;
}

fs::path synthesise(const fs::path& config, const Places& places) {
  const fs::path checkpoint = places.scratch / "models" / config.stem();
  fs::create_directories(checkpoint.parent_path());
  run({.words = {(places.programs / "onnxport").string(), "synth", config.string(), checkpoint.string()}});
  for (const char* file : {"tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"}) {
    const fs::path from = places.peers.parent_path() / "all-MiniLM-L6-v2" / file;
    if (fs::exists(from)) fs::copy_file(from, checkpoint / file);
  }
  return checkpoint;
}

}  // namespace benchmarks
