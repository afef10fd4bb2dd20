// SPDX-License-Identifier: Apache-2.0
#include "host/report/run_facts.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "core/version.hpp"
#include "host/report/timing.hpp"
#include "registry/trust.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// Of the program, or of the work that a program which embeds the commands has asked for.
thread_local std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();

double seconds_since_begin() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

std::string now_in_utc() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  return text;
}

Json file_with_sum(const fs::path& file) {
  std::error_code ignored;
  return {{"path", file.string()}, {"bytes", fs::file_size(file, ignored)}, {"sha256", sha256_of(file)}};
}

/// The files of a checkpoint that say what the model is: its config and weights.
Json checkpoint_files(const fs::path& folder) {
  static const std::set<std::string> kinds{".safetensors", ".bin", ".pt", ".pth"};
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const fs::path& path = entry.path();
    if (!entry.is_regular_file(ignored)) continue;
    if (path.filename() == "config.json" || kinds.contains(path.extension().string())) files.push_back(path);
  }
  std::sort(files.begin(), files.end());
  Json list = Json::array();
  for (const fs::path& file : files) list.push_back(file_with_sum(file));
  return list;
}

}  // namespace

void begin_timing() {
  began = std::chrono::steady_clock::now();
}

void note_time(const char* step, Json& result) {
  result["timings"][step] = seconds_since_begin();
}

void fill_run_facts(const std::vector<std::string>& words, Json& result) {
  result["schema"] = "onnxport-report/1";
  result["onnxport"] = {{"version", std::string(version)}};
  result["command"] = words;
  result["written_at"] = now_in_utc();
  result["machine"] = {
      {"cores", std::thread::hardware_concurrency()},
      {"memory_bytes", static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE))}};
  note_time("total", result);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  result["memory"] = {{"peak_bytes", static_cast<uint64_t>(usage.ru_maxrss) * 1024}};
  std::error_code ignored;
  fs::path folder;
  if (result.contains("checkpoint"))
    folder = result["checkpoint"].value("folder", "");
  else if (result.contains("model"))
    folder = result["model"].get<std::string>();
  if (!folder.empty() && fs::is_directory(folder, ignored)) result["sources"] = checkpoint_files(folder);
  for (const char* list : {"files", "judged_by"}) {
    if (!result.contains(list)) continue;
    for (Json& file : result[list]) {
      const fs::path path = file.value("path", "");
      if (fs::is_regular_file(path, ignored)) file.update(file_with_sum(path));
    }
  }
}

bool is_run_told(const Json& result) {
  return result.contains("schema");
}

}  // namespace onnxport
