// SPDX-License-Identifier: Apache-2.0
#include "registry/scan.hpp"

#include <fmt/format.h>
#include <onnxport/abi.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "core/error.hpp"
#include "registry/signature.hpp"
#include "registry/yaml.hpp"

namespace onnxport {
namespace {

using Path = std::filesystem::path;

constexpr const char* manifest_name = "plugin.yaml";

/// What can be known of a built plugin without opening its library.
std::optional<Refusal> check_before_loading(const Candidate& candidate) {
  const Manifest& manifest = candidate.manifest;
  const Path& path = candidate.manifest_path;
  const Path folder = path.parent_path();
  for (const Path& writable : {folder, path}) {
    if (auto refusal = check_writers(writable)) return refusal;
  }
  if (candidate.trust) {
    if (auto refusal = candidate.trust->check(subject_of(candidate))) return refusal;
  }
  if (manifest.is_extension()) return std::nullopt;
  if (manifest.abi_major != ONNXPORT_ABI_MAJOR || manifest.abi_minor > ONNXPORT_ABI_MINOR) {
    return Refusal{
        fmt::format("{}: found a plugin for ABI {}.{}, expected {}.0 to {}.{}", path.string(), manifest.abi_major,
                    manifest.abi_minor, ONNXPORT_ABI_MAJOR, ONNXPORT_ABI_MAJOR, ONNXPORT_ABI_MINOR),
        "install the build of the plugin that fits this version of onnxport, or another onnxport"};
  }
  if (manifest.platform != host_platform()) {
    return Refusal{
        fmt::format("{}: found a plugin for {}, expected {}", path.string(), manifest.platform, host_platform()),
        "install the plugin's build for this platform"};
  }
  const Path library = folder / manifest.library;
  if (auto refusal = check_writers(library)) {
    std::error_code error;
    if (std::filesystem::exists(library, error)) return refusal;
  }
  return check_quarantine(candidate, manifest.sha256);
}

/// Fills in who signed the manifest, where a policy asks for it. A signature that is not right is no better than none
/// that is wanted.
std::optional<Refusal> check_publisher(Candidate& candidate) {
  if (candidate.trust == nullptr || !candidate.trust->names_publishers()) return std::nullopt;
  try {
    candidate.publisher = verify_publisher(candidate.manifest_path).value_or("");
    return std::nullopt;
  } catch (const Error& error) {
    return Refusal{error.what(), error.hint()};
  }
}

/// Goes through one place.
class Scan {
 public:
  Scan(const Places& places, size_t index) : places_(places), place_(places.list[index]), index_(index) {}

  void run() {
    std::error_code error;
    const Path directory = std::filesystem::absolute(place_.directory).lexically_normal();
    if (std::filesystem::exists(directory / manifest_name, error)) {
      add(directory / manifest_name);
    } else {
      look_into(directory);
    }
    read_manifests();
  }

  std::vector<Candidate> found;

 private:
  void look_into(const Path& directory) {
    std::error_code error;
    std::vector<std::filesystem::directory_entry> entries;
    std::filesystem::directory_iterator iterator(directory, error);
    for (const std::filesystem::directory_iterator end; !error && iterator != end; iterator.increment(error)) {
      entries.push_back(*iterator);  // knows what it is without another look
    }
    if (error) {
      add_broken(directory, fmt::format("{}: cannot be read: {}", directory.string(), error.message()),
                 "check the folder's permissions");
    }
    std::sort(entries.begin(), entries.end());
    for (const std::filesystem::directory_entry& known : entries) {
      const Path& entry = known.path();
      std::error_code unknown;
      if (known.is_directory(unknown)) {
        const Path manifest = entry / manifest_name;
        if (std::filesystem::exists(manifest, error) || error) {
          add(manifest);
          continue;
        }
        // A folder that is none of ours is none of our business, unless it holds a library.
        std::filesystem::directory_iterator inner(entry, error);
        for (const std::filesystem::directory_iterator end; !error && inner != end; inner.increment(error)) {
          if (inner->path().extension() != ".so") continue;
          add_broken(
              manifest,
              fmt::format("{}: not found; expected beside {}", manifest.string(), inner->path().filename().string()),
              "build the plugin with onnxport_add_plugin(), which writes its manifest");
          break;
        }
      } else if (entry.extension() == ".so") {
        add_broken(entry,
                   fmt::format("{}: found a library outside a plugin's folder, expected {}", entry.string(),
                               (entry.parent_path() / entry.stem() / entry.filename()).string()),
                   "put the library with its plugin.yaml into a folder of its own");
      }
    }
  }

  Candidate candidate_at(const Path& path) const {
    Candidate candidate;
    candidate.manifest_path = path;
    candidate.place = place_.name;
    candidate.place_index = index_;
    return candidate;
  }

  void add_broken(const Path& path, std::string reason, std::string hint) {
    Candidate candidate = candidate_at(path);
    candidate.state = CandidateState::broken;
    candidate.reason = std::move(reason);
    candidate.hint = std::move(hint);
    found.push_back(std::move(candidate));
  }

  /// Its manifest is read later.
  void add(const Path& path) {
    found.push_back(candidate_at(path));
    found.back().trust = places_.trust;
    found.back().quarantine = places_.quarantine;
    unread_.push_back(found.size() - 1);
  }

  /// Reads the manifests, several at a time: with hundreds of plugins this is most of what starting takes.
  void read_manifests() {
    std::atomic<size_t> next{0};
    std::mutex mutex;
    std::exception_ptr failure;
    const auto work = [&] {
      try {
        for (size_t i = next++; i < unread_.size(); i = next++) read(found[unread_[i]]);
      } catch (...) {
        const std::lock_guard lock(mutex);
        failure = std::current_exception();
      }
    };
    constexpr size_t worth_a_thread = 32, most_threads = 8;
    const size_t wanted = std::min<size_t>(
        {unread_.size() / worth_a_thread + 1, most_threads, std::max(1U, std::thread::hardware_concurrency())});
    std::vector<std::thread> helpers;
    try {
      for (size_t i = 1; i < wanted; ++i) helpers.emplace_back(work);
    } catch (const std::system_error&) {  // fewer will do
    }
    work();
    for (std::thread& helper : helpers) helper.join();
    if (failure) std::rethrow_exception(failure);
  }

  void read(Candidate& candidate) const {
    const Path& path = candidate.manifest_path;
    const auto settle = [&](CandidateState state, Refusal refusal) {
      candidate.state = state;
      candidate.reason = std::move(refusal.cause);
      candidate.hint = std::move(refusal.hint);
    };
    Manifest& manifest = candidate.manifest;
    try {
      parse_manifest(places_.texts->read(yaml::read_text(path), path), path, manifest);
      if (!manifest.is_extension() && manifest.format == 0) {
        settle(CandidateState::broken,
               {fmt::format("{}: found the manifest's source form, expected the built form beside its library",
                            path.string()),
                "build the plugin with onnxport_add_plugin() and give the folder that the build writes"});
      } else if (auto refusal = check_publisher(candidate)) {
        settle(CandidateState::refused, std::move(*refusal));
      } else if (auto refusal = check_before_loading(candidate)) {
        settle(CandidateState::refused, std::move(*refusal));
      } else if (!manifest.is_extension()) {
        if (auto missing = check_library_file(path.parent_path() / manifest.library)) {
          settle(CandidateState::broken, std::move(*missing));
        }
      }
    } catch (const Error& error) {
      settle(CandidateState::broken, {error.what(), error.hint()});
    }
  }

  const Places& places_;
  const Place& place_;
  size_t index_;
  std::vector<size_t> unread_;  // of those found
};

}  // namespace

std::vector<Candidate> scan_place(const Places& places, size_t index) {
  Scan scan(places, index);
  scan.run();
  return std::move(scan.found);
}

}  // namespace onnxport
