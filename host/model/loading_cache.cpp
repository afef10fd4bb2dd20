// SPDX-License-Identifier: Apache-2.0
#include "host/model/loading_cache.hpp"

#include <fmt/format.h>
#include <onnxport/abi.h>

#include <fstream>

#include "core/error.hpp"
#include "core/files/cache_file.hpp"
#include "core/privileges.hpp"
#include "core/version.hpp"
#include "host/process/probe.hpp"
#include "registry/places.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

std::string heading() {
  return fmt::format("onnxport {} ABI {}.{} {}", version, ONNXPORT_ABI_MAJOR, ONNXPORT_ABI_MINOR, host_platform());
}

std::string sum_or_nothing(const fs::path& file) {
  try {
    return sha256_of(file);
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

LoadingCache::LoadingCache() {
  const auto folder = user_folder("XDG_CACHE_HOME", ".cache");
  if (!folder || has_elevated_privileges()) return;
  file_ = *folder / "loading";
  std::ifstream in(file_);
  std::string line;
  if (!std::getline(in, line) || line != heading()) return;
  while (std::getline(in, line)) known_.insert(line);
}

std::string LoadingCache::key(const std::string& library_sha256, const std::string& manifest_sha256) {
  return library_sha256 + " " + manifest_sha256;
}

bool LoadingCache::contains(const std::string& library_sha256, const std::string& manifest_sha256) const {
  const std::string wanted = key(library_sha256, manifest_sha256);
  if (!known_.contains(wanted)) return false;
  used_.insert(wanted);
  return true;
}

void LoadingCache::add(const std::string& library_sha256, const std::string& manifest_sha256) {
  used_.insert(key(library_sha256, manifest_sha256));
}

void LoadingCache::save() const {
  if (file_.empty() || used_ == known_) return;
  std::string text = heading() + "\n";
  for (const std::string& entry : used_) text += entry + "\n";
  leave_in_cache(file_, text);
}

std::vector<std::string> find_what_loads(Registry& registry) {
  LoadingCache cache;
  std::vector<std::string> sums(registry.candidates().size()), manifests = sums;
  std::vector<const Candidate*> unknown;
  std::vector<size_t> places;
  for (size_t i = 0; i < registry.candidates().size(); ++i) {
    const Candidate& candidate = registry.candidates()[i];
    if (candidate.manifest.library.empty()) continue;
    sums[i] = sum_or_nothing(candidate.manifest_path.parent_path() / candidate.manifest.library);
    manifests[i] = sum_or_nothing(candidate.manifest_path);
    if (!candidate.is_healthy() || cache.contains(sums[i], manifests[i])) continue;
    unknown.push_back(&candidate);
    places.push_back(i);
  }
  const auto failures = probe(unknown);
  for (size_t i = 0; i < unknown.size(); ++i) {
    if (failures[i])
      registry.set_aside(*unknown[i], failures[i]->reason, failures[i]->hint);
    else
      cache.add(sums[places[i]], manifests[places[i]]);
  }
  cache.save();
  return sums;
}

}  // namespace onnxport
