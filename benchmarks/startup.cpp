// SPDX-License-Identifier: Apache-2.0
// What it takes to start beside 200 plugins, against the physical limit: another program that reads the same manifests.
//
//   build/bin/startup [--rounds N] [SCRATCH]
//
// The plugins are those that were built; where they are fewer, made ones stand in for the rest, with manifests
// as long as those. Fails where `onnxport features` takes more than is promised, on a machine that is at rest.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "process.hpp"

namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

constexpr size_t plugins = 200;
constexpr double promised_ms = 20;
/// What reading the manifests takes at most where nothing else keeps the machine busy.
constexpr double limit_at_rest_ms = 8;

struct Contender {
  std::string name;
  benchmarks::Command command;
  std::vector<double> milliseconds;
};

std::string manifest(size_t number) {
  std::string text = fmt::format(
      "id: org.example.made{0}\nname: \"Made, number {0}\"\nversion: 0.1.0\nlicense: Apache-2.0\nvendor: example\n"
      "abi: \"1.0\"\nmodels:\n",
      number);
  text += fmt::format(
      "  - types: [made{0}, made{0}_text]\n    features: [default, default-with-past, causal-lm, causal-lm-with-past, "
      "sequence-classification, token-classification, question-answering]\n",
      number);
  return text + "manifest: 1\nplatform: linux-x86_64\nlibrary: libonnxport_made.so\nsha256: " + std::string(64, '0') +
         "\n";
}

/// Folders like plugins', whose libraries are never opened.
void make_plugins(const fs::path& folder, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const fs::path own = folder / fmt::format("made{}", i);
    fs::create_directories(own);
    std::ofstream(own / "plugin.yaml") << manifest(i);
    std::ofstream(own / "libonnxport_made.so") << "none";
  }
}

void add_manifests(const fs::path& folder, Words& files) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (fs::exists(entry.path() / "plugin.yaml")) files.push_back((entry.path() / "plugin.yaml").string());
  }
}

}  // namespace

int main(int argc, char** argv) try {
  Words given(argv + 1, argv + argc);
  size_t rounds = 21;
  if (given.size() >= 2 && given[0] == "--rounds") {
    rounds = std::stoul(given[1]);
    given.erase(given.begin(), given.begin() + 2);
  }
  const fs::path here = fs::canonical("/proc/self/exe").parent_path();
  const fs::path scratch = (given.empty() ? here.parent_path() : fs::path(given[0])) / "startup";
  const fs::path built = here.parent_path() / "lib/onnxport/plugins";
  fs::remove_all(scratch);
  Words cat{"cat"};
  if (fs::exists(built)) add_manifests(built, cat);
  make_plugins(scratch, plugins - std::min(plugins, cat.size() - 1));
  fs::create_directories(scratch);
  add_manifests(scratch, cat);

  const std::string program = (here / "onnxport").string();
  const Words environment{"ONNXPORT_PLUGIN_PATH=" + scratch.string(), "HOME=" + (scratch / "home").string()};
  Contender contenders[] = {{fmt::format("cat of {} manifests", cat.size() - 1), {cat, {}}, {}},
                            {"onnxport features", {{program, "features"}, environment}, {}},
                            {"onnxport --version", {{program, "--version"}, environment}, {}}};
  for (size_t round = 0; round <= rounds; ++round) {  // the first one warms the page cache
    for (Contender& contender : contenders) {
      const double seconds = benchmarks::run(contender.command).seconds;
      if (round > 0) contender.milliseconds.push_back(seconds * 1e3);
    }
  }
  fs::remove_all(scratch);
  std::vector<double> lowest;
  for (Contender& contender : contenders) {
    std::sort(contender.milliseconds.begin(), contender.milliseconds.end());
    lowest.push_back(contender.milliseconds.at(0));
    fmt::print("{:<24} {:6.1f} ms (median {:.1f}), {:.1f} of the limit\n", contender.name, lowest.back(),
               contender.milliseconds[rounds / 2], lowest.back() / lowest[0]);
  }
  if (lowest[0] > limit_at_rest_ms) {
    fmt::print("the machine is busy: the limit itself takes more than {} ms\n", limit_at_rest_ms);
    return 0;
  }
  if (lowest[1] <= promised_ms) return 0;
  fmt::print("onnxport features takes more than {} ms\n", promised_ms);
  return 1;
} catch (const std::exception& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 1;
}
