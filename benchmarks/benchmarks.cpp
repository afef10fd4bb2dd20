// SPDX-License-Identifier: Apache-2.0
// Whole processes against a physical limit and against other exporters, interleaved in one run so that a machine's
// drift meets all sides alike.
//
//   build/bin/benchmarks [--rounds N] [--peer-rounds N] [--scratch DIR] [--table FILE.tsv] [CHECKPOINT|CONFIG.json...]
//
// Of a config a random checkpoint is made for the time of the benchmark; benchmarks/models has some. Default: the model
// of scripts/demo. Peers take part where scripts/peers has installed them.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <stdexcept>

#include "contenders.hpp"
#include "process.hpp"

namespace {

namespace fs = std::filesystem;
using benchmarks::Contender;
using benchmarks::Measured;
using benchmarks::Places;

struct Result {
  std::string name;
  std::vector<double> seconds;
  long peak_kb = 0, anonymous_kb = 0;
  uint64_t bytes = 0;
  bool failed = false;
};

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Rounds {
  int all = 5, peers = 1;
};

/// Reads a file into the page cache, from where others may have driven it out.
void warm(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::vector<char> buffer(size_t{1} << 20);
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()))) {
  }
}

/// Drops a folder's files from the page cache, so that no other run has to make room there.
void cool(const fs::path& folder) {
  ::sync();
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || fs::hard_link_count(entry.path()) > 1) continue;
    const int descriptor = ::open(entry.path().c_str(), O_RDONLY);
    if (descriptor < 0) continue;
    ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    ::close(descriptor);
  }
}

/// Runs the contenders in turn; ratios are to the first. The first round warms the page cache and does not count.
std::vector<Result> compare(const std::vector<Contender>& contenders, const Rounds& rounds) {
  std::vector<Result> results(contenders.size());
  for (int round = -1; round < rounds.all; ++round) {
    for (size_t k = 0; k < contenders.size(); ++k) {
      // Every second round is run backwards: what one leaves in memory and on its way to the disk meets the next.
      const size_t i = round % 2 == 0 ? k : contenders.size() - 1 - k;
      const Contender& contender = contenders[i];
      Result& result = results[i];
      result.name = contender.name;
      if (result.failed || (contender.is_peer && (round < 0 || round >= rounds.peers))) continue;
      if (!contender.output.empty()) fs::remove_all(contender.output);
      if (!contender.makes_folder) fs::create_directories(contender.output);
      for (const fs::path& file : contender.reads) warm(file);
      ::sync();  // what others left to be written is not this one's business
      try {
        Measured measured = benchmarks::run(contender.command);
        if (fs::is_directory(contender.output)) cool(contender.output);
        if (round < 0) continue;
        if (contender.writes_seconds) measured.seconds = std::stod(measured.said);
        result.seconds.push_back(measured.seconds);
        result.peak_kb = std::max(result.peak_kb, measured.peak_kb);
        result.anonymous_kb = std::max(result.anonymous_kb, measured.peak_anonymous_kb);
        if (!contender.output.empty()) result.bytes = benchmarks::bytes_below(contender.output);
      } catch (const std::exception& problem) {
        result.failed = true;
        fmt::print(stderr, "{}: {}\n", contender.name, problem.what());
      }
    }
  }
  return results;
}

/// How often the time of the first.
double ratio(const Result& result, const std::vector<Result>& results) {
  const double first = median(results[0].seconds);
  return first > 0 ? median(result.seconds) / first : 0;
}

void print(const std::string& title, const std::vector<Result>& results) {
  fmt::print("{}\n  {:<34} {:>11} {:>7} {:>10} {:>10} {:>10}\n", title, "", "time", "ratio", "peak", "own", "written");
  for (const Result& result : results) {
    if (result.failed || result.seconds.empty()) {
      fmt::print("  {:<34} {:>11}\n", result.name, "failed");
      continue;
    }
    fmt::print("  {:<34} {:>8.1f} ms {:>7.2f} {:>7.1f} MB {:>7.1f} MB {:>7.1f} MB\n", result.name,
               median(result.seconds) * 1e3, ratio(result, results), static_cast<double>(result.peak_kb) / 1024,
               static_cast<double>(result.anonymous_kb) / 1024, static_cast<double>(result.bytes) / 1e6);
  }
  std::fflush(stdout);
}

/// Loads what each contender left, in a process of its own, and with `runs` runs it, of which the time then is.
std::vector<Result> load(const std::vector<Contender>& exported, const Places& places, const Rounds& rounds,
                         bool runs) {
  std::vector<Contender> loads;
  for (const Contender& contender : exported) {
    const fs::path file = contender.output / contender.model;
    if (contender.model.empty() || !fs::exists(file)) continue;
    Contender load{.name = contender.name,
                   .command = {.words = {(places.programs / "load_model").string(), file.string()}},
                   .output = {},
                   .writes_seconds = runs};
    if (runs) load.command.words.insert(load.command.words.begin() + 1, "--run");
    loads.push_back(load);
  }
  return loads.empty() ? std::vector<Result>() : compare(loads, {.all = std::min(rounds.all, 5), .peers = 0});
}

void append(const fs::path& table, const std::string& model, const std::string& what,
            const std::vector<Result>& results) {
  std::ofstream out(table, std::ios::app);
  for (const Result& result : results) {
    if (result.failed || result.seconds.empty()) continue;
    out << fmt::format("{}\t{}\t{}\t{:.4f}\t{:.2f}\t{:.1f}\t{:.1f}\t{:.1f}\n", model, what, result.name,
                       median(result.seconds), ratio(result, results), static_cast<double>(result.peak_kb) / 1024,
                       static_cast<double>(result.anonymous_kb) / 1024, static_cast<double>(result.bytes) / 1e6);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  Places places;
  places.programs = fs::canonical("/proc/self/exe").parent_path();
  places.scratch = places.programs.parent_path() / "benchmark-scratch";
  places.peers = fs::path(ONNXPORT_DEPS) / "peers";
  Rounds rounds{.all = 11, .peers = 2};
  fs::path table;
  std::vector<fs::path> checkpoints;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value = [&] { return i + 1 < argc ? argv[++i] : throw std::runtime_error(word + " wants a value"); };
    if (word == "--rounds")
      rounds.all = std::stoi(value());
    else if (word == "--peer-rounds")
      rounds.peers = std::stoi(value());
    else if (word == "--scratch")
      places.scratch = fs::path(value()) / "benchmark-scratch";
    else if (word == "--table")
      table = value();
    else
      checkpoints.emplace_back(word);
  }
  if (checkpoints.empty()) checkpoints.push_back(fs::path(ONNXPORT_DEPS) / "all-MiniLM-L6-v2");
  if (!table.empty()) {
    std::ofstream(table) << "# model\twhat\tby\tseconds\tratio\tpeak MB\town MB\twritten MB\n";
  }
  fs::create_directories(places.scratch);
  for (const fs::path& given : checkpoints) {
    const bool random = given.extension() == ".json";
    const fs::path checkpoint = random ? benchmarks::synthesise(given, places) : fs::canonical(given);
    const std::string model = checkpoint.filename().string();
    std::vector<Contender> contenders = benchmarks::own_exports(checkpoint, places);
    for (Contender& validated : benchmarks::own_validation(checkpoint, places))
      contenders.push_back(std::move(validated));
    for (Contender& peer : benchmarks::peer_exports(checkpoint, places)) contenders.push_back(std::move(peer));
    const std::vector<Result> exported = compare(contenders, rounds);
    print(fmt::format("export of {}", model), exported);
    const std::vector<Result> loaded = load(contenders, places, rounds, false);
    print(fmt::format("loading of {} by ONNX Runtime, process and all", model), loaded);
    const std::vector<Result> ran = load(contenders, places, rounds, true);
    print(fmt::format("a run of {} by ONNX Runtime, 64 tokens", model), ran);
    if (!table.empty()) {
      append(table, model, "export", exported);
      append(table, model, "load", loaded);
      append(table, model, "run", ran);
    }
    for (const Contender& contender : contenders) {
      if (!contender.output.empty()) fs::remove_all(contender.output);
    }
    if (random) fs::remove_all(checkpoint);
  }
  const std::string onnxport = (places.programs / "onnxport").string();
  const std::vector<Result> started =
      compare({{.name = "true", .command = {.words = {"true"}}, .output = {}},
               {.name = "onnxport features", .command = {.words = {onnxport, "features"}}, .output = {}},
               {.name = "onnxport --version", .command = {.words = {onnxport, "--version"}}, .output = {}}},
              {.all = 25, .peers = 0});
  print("start-up, against a program that does nothing", started);
  if (!table.empty()) append(table, "-", "start", started);
  fs::remove_all(places.scratch);
  return 0;
} catch (const std::exception& problem) {
  fmt::print(stderr, "benchmarks: {}\n", problem.what());
  return 1;
}
