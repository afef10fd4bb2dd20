// SPDX-License-Identifier: Apache-2.0
// Whole processes against a physical limit, interleaved in one run so that a machine's drift meets both sides alike.
//
//   build/bin/benchmarks [CHECKPOINT]       default: the model of scripts/demo
#include <fmt/format.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

extern char** environ;

namespace {

namespace fs = std::filesystem;

struct Measured {
  double seconds;
  long peak_kb;  // resident, mapped files included
};

/// Runs a command without output; throws where it fails.
Measured run(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1 /* O_WRONLY */, 0);
  const auto begin = std::chrono::steady_clock::now();
  pid_t child = 0;
  if (::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ) != 0)
    throw std::runtime_error("cannot run " + command[0]);
  int status = 0;
  rusage usage{};
  ::wait4(child, &status, 0, &usage);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  posix_spawn_file_actions_destroy(&actions);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw std::runtime_error(command[0] + " failed");
  return {elapsed.count(), usage.ru_maxrss};
}

struct Contender {
  std::string name;
  std::vector<std::string> command;
  fs::path output;  // removed before each run
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Runs the contenders in turn and prints each with its ratio to the first.
void compare(const std::string& title, const std::vector<Contender>& contenders, int rounds) {
  std::vector<std::vector<double>> seconds(contenders.size()), ratios(contenders.size());
  std::vector<long> peaks(contenders.size());
  for (int round = -1; round < rounds; ++round) {  // the first warms the page cache and is not counted
    for (size_t i = 0; i < contenders.size(); ++i) {
      if (!contenders[i].output.empty()) fs::remove_all(contenders[i].output);
      const Measured measured = run(contenders[i].command);
      if (round < 0) continue;
      seconds[i].push_back(measured.seconds);
      ratios[i].push_back(measured.seconds / seconds[0].back());
      peaks[i] = std::max(peaks[i], measured.peak_kb);
    }
  }
  fmt::print("{}\n", title);
  for (size_t i = 0; i < contenders.size(); ++i) {
    fmt::print("  {:<34} {:>8.1f} ms   ratio {:>5.2f}   peak {:>6.1f} MB\n", contenders[i].name,
               median(seconds[i]) * 1e3, median(ratios[i]), static_cast<double>(peaks[i]) / 1024);
  }
  for (const Contender& contender : contenders) {
    if (!contender.output.empty()) fs::remove_all(contender.output);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const fs::path here = fs::canonical("/proc/self/exe").parent_path();
  const fs::path checkpoint = argc > 1 ? fs::path(argv[1]) : fs::path(ONNXPORT_DEPS) / "all-MiniLM-L6-v2";
  const fs::path scratch = here.parent_path() / "benchmark-scratch";
  fs::create_directories(scratch);
  const std::string onnxport = (here / "onnxport").string();
  const fs::path copied = scratch / "copied.safetensors", folder = scratch / "onnx", apart = scratch / "apart";
  compare(
      fmt::format("export of {} without validation, against cp of its weights", checkpoint.filename().string()),
      {{"cp model.safetensors", {"cp", (checkpoint / "model.safetensors").string(), copied.string()}, copied},
       {"onnxport export",
        {onnxport, "export", "-m", checkpoint.string(), "--no-validate", "--quiet", folder.string()},
        folder},
       {"onnxport export --external-data",
        {onnxport, "export", "-m", checkpoint.string(), "--no-validate", "--external-data", "--quiet", apart.string()},
        apart}},
      15);
  compare("start-up, against a program that does nothing",
          {{"true", {"true"}, {}},
           {"onnxport features", {onnxport, "features"}, {}},
           {"onnxport --version", {onnxport, "--version"}, {}}},
          25);
  fs::remove_all(scratch);
  return 0;
} catch (const std::exception& problem) {
  fmt::print(stderr, "benchmarks: {}\n", problem.what());
  return 1;
}
