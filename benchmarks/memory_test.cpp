// SPDX-License-Identifier: Apache-2.0
// Exports of synthesised checkpoints under a limit on writable memory that is far below the checkpoint's size.
//
//   build/bin/memory_test [MODEL] [SCRATCH]
//
// bert-medium: 0.23 GB of weights, and a test of every run. bert-large (the default): 1.5 GB, some seconds, 4 GB of
// disk. llama-7b: 13.5 GB in bf16, minutes, 28 GB of disk.
#include <fmt/format.h>

#include <filesystem>
#include <span>
#include <stdexcept>
#include <thread>

#include "process.hpp"

namespace {

namespace fs = std::filesystem;

// What is promised: 64 MB of the process's own memory. The limit counts reserved stacks and heaps too, which are larger
// than what is touched of them, so that it is wider than the promise, for each core besides; the promise itself is
// measured.
const uint64_t limit = (uint64_t{160} + uint64_t{12} * std::thread::hardware_concurrency()) << 20;
constexpr long promised_kb = 64 * 1024;

using Words = std::vector<std::string>;

/// An export, and how its checkpoint is made.
struct Case {
  std::string name;
  Words synth, options;
};

const Case small_cases[] = {
    {"f32, transposed on the way", {}, {}},
    {"f32, external data", {}, {"--external-data"}},
    {"f32, linked", {}, {"--weights", "link"}},
    {"f32 to f16", {}, {"--dtype", "fp16"}},
    {"bf16 shards to f32", {"--dtype", "bf16", "--shard-size", "100MB"}, {}},
    {"bf16 shards as bf16", {"--dtype", "bf16", "--shard-size", "100MB"}, {"--dtype", "bf16"}},
};
const Case large_cases[] = {
    {"bf16 shards as bf16", {"--dtype", "bf16", "--shard-size", "5GB"}, {"--dtype", "bf16"}},
    {"bf16 shards, linked", {"--dtype", "bf16", "--shard-size", "5GB"}, {"--dtype", "bf16", "--weights", "link"}},
};

std::span<const Case> cases_of(const std::string& model) {
  if (model == "llama-7b") return large_cases;
  return small_cases;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string model = argc > 1 ? argv[1] : "bert-large";
  const fs::path here = fs::canonical("/proc/self/exe").parent_path();
  const fs::path scratch = (argc > 2 ? fs::path(argv[2]) : here.parent_path()) / ("memory-" + model);
  const fs::path config = fs::path(ONNXPORT_BENCHMARK_DIR) / "models" / (model + ".json");
  if (!fs::exists(config)) throw std::runtime_error("there is no " + config.string());
  fs::remove_all(scratch);
  fs::create_directories(scratch);
  const std::string onnxport = (here / "onnxport").string(), checkpoint = (scratch / "checkpoint").string();
  const fs::path output = scratch / "onnx";
  bool passed = true;
  const auto report = [&](const std::string& name, const benchmarks::Measured& measured, const fs::path& written) {
    const bool fits = measured.peak_anonymous_kb < promised_kb;
    passed = passed && fits;
    fmt::print("{:<30} {:>6.2f} s, own memory at most {:>5.1f} MB, resident {:>6.1f} MB, {:>7.1f} MB written: {}\n",
               name, measured.seconds, static_cast<double>(measured.peak_anonymous_kb) / 1024,
               static_cast<double>(measured.peak_kb) / 1024,
               static_cast<double>(benchmarks::bytes_below(written)) / 1e6, fits ? "ok" : "TOO MUCH");
    std::fflush(stdout);
  };
  Words made{"none"};
  for (const Case& test : cases_of(model)) {
    if (made != test.synth) {
      fs::remove_all(checkpoint);
      benchmarks::Command synth{.words = {onnxport, "synth", config.string(), checkpoint}, .data_limit = limit};
      synth.words.insert(synth.words.end(), test.synth.begin(), test.synth.end());
      report("the checkpoint itself", benchmarks::run(synth), checkpoint);
      made = test.synth;
    }
    fs::remove_all(output);
    benchmarks::Command command{.words = {onnxport, "export", "-m", checkpoint, "--no-validate", "--quiet"},
                                .data_limit = limit};
    command.words.insert(command.words.end(), test.options.begin(), test.options.end());
    command.words.push_back(output.string());
    report(test.name, benchmarks::run(command), output);
  }
  fs::remove_all(scratch);
  return passed ? 0 : 1;
} catch (const std::exception& problem) {
  fmt::print(stderr, "memory_test: {}\n", problem.what());
  return 1;
}
