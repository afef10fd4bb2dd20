// SPDX-License-Identifier: Apache-2.0
// Exports of synthesised checkpoints under a limit on writable memory that is far below the checkpoint's size.
//
//   build/bin/memory_test [SCRATCH]      some seconds and 2 GB of disk
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "process.hpp"

namespace {

namespace fs = std::filesystem;

/// BERT-large's dimensions: 1.3 GB in f32, the largest matrix 125 MB.
constexpr const char* config =
    R"({"architectures": ["BertForMaskedLM"], "model_type": "bert", "hidden_size": 1024, "num_hidden_layers": 24,
 "num_attention_heads": 16, "intermediate_size": 4096, "vocab_size": 30522, "max_position_embeddings": 512,
 "type_vocab_size": 2, "tie_word_embeddings": false})";

// What is promised: 64 MB of the process's own memory. The limit counts reserved stacks and heaps too, which are larger
// than what is touched of them, so that it is wider than the promise; the promise itself is measured.
constexpr uint64_t limit = uint64_t{160} << 20;
constexpr long promised_kb = 64 * 1024;

struct Case {
  std::string name;
  std::vector<std::string> synth, options;
};

}  // namespace

int main(int argc, char** argv) try {
  const fs::path here = fs::canonical("/proc/self/exe").parent_path();
  const fs::path scratch = (argc > 1 ? fs::path(argv[1]) : here.parent_path()) / "memory-scratch";
  fs::create_directories(scratch);
  std::ofstream(scratch / "config.json") << config;
  const std::string onnxport = (here / "onnxport").string(), model = (scratch / "model").string();
  const Case cases[] = {
      {"f32, transposed on the way", {}, {}},
      {"f32, external data", {}, {"--external-data"}},
      {"f32, linked", {}, {"--weights", "link"}},
      {"f32 to f16", {}, {"--dtype", "fp16"}},
      {"bf16 shards to f32", {"--dtype", "bf16", "--shard-size", "200MB"}, {}},
      {"bf16 shards as bf16", {"--dtype", "bf16", "--shard-size", "200MB"}, {"--dtype", "bf16"}},
  };
  bool passed = true;
  std::vector<std::string> made{"none"};
  for (const Case& test : cases) {
    if (made != test.synth) {
      fs::remove_all(model);
      benchmarks::Command synth{.words = {onnxport, "synth", (scratch / "config.json").string(), model}};
      synth.words.insert(synth.words.end(), test.synth.begin(), test.synth.end());
      const benchmarks::Measured drawn = benchmarks::run(synth);
      passed = passed && drawn.peak_anonymous_kb < promised_kb;
      made = test.synth;
    }
    const fs::path output = scratch / "onnx";
    fs::remove_all(output);
    benchmarks::Command command{.words = {onnxport, "export", "-m", model, "--no-validate", "--quiet"},
                                .data_limit = limit};
    command.words.insert(command.words.end(), test.options.begin(), test.options.end());
    command.words.push_back(output.string());
    const benchmarks::Measured measured = benchmarks::run(command);
    const bool fits = measured.peak_anonymous_kb < promised_kb;
    passed = passed && fits;
    fmt::print("{:<30} {:>6.2f} s, own memory at most {:>5.1f} MB, resident {:>6.1f} MB, {:>7.1f} MB written: {}\n",
               test.name, measured.seconds, static_cast<double>(measured.peak_anonymous_kb) / 1024,
               static_cast<double>(measured.peak_kb) / 1024, static_cast<double>(benchmarks::bytes_below(output)) / 1e6,
               fits ? "ok" : "TOO MUCH");
  }
  fs::remove_all(scratch);
  return passed ? 0 : 1;
} catch (const std::exception& problem) {
  fmt::print(stderr, "memory_test: {}\n", problem.what());
  return 1;
}
