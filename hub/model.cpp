// SPDX-License-Identifier: Apache-2.0
#include "hub/model.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>

#include "core/error.hpp"
#include "core/format_bytes.hpp"
#include "core/output/companions.hpp"
#include "hub/cache.hpp"
#include "hub/crew.hpp"
#include "hub/download.hpp"
#include "hub/names.hpp"
#include "hub/wanted.hpp"

namespace onnxport::hub {
namespace {

namespace fs = std::filesystem;

/// Noted as absent of a repository that has no companions, so that they are not asked for each time.
constexpr const char* telling_companions[] = {"tokenizer_config.json", "preprocessor_config.json"};

/// Whether a snapshot has a tokenizer or processor, beyond the configs that every model has.
bool has_companions(const fs::path& snapshot) {
  const std::vector<fs::path> found = companion_files(snapshot);
  return std::any_of(found.begin(), found.end(),
                     [](const fs::path& name) { return name != "config.json" && name != "generation_config.json"; });
}

void require_space(const fs::path& folder, uint64_t bytes) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) return;
  const uint64_t free = static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  if (bytes <= free) return;
  throw Error(Failure::checkpoint,
              fmt::format("not enough space in the cache {}: {} are to be fetched and {} are free", folder.string(),
                          format_bytes(bytes), format_bytes(free)),
              "free some space, or choose another cache with --cache_dir or HF_HUB_CACHE");
}

}  // namespace

class Model::Implementation {
 public:
  explicit Implementation(ModelRequest request)
      : request_(std::move(request)), repository_(request_.settings.cache, request_.id) {}

  void open() {
    const Settings& settings = request_.settings;
    if (const auto known = repository_.commit_of(request_.revision)) settle(*known);
    if (request_.refresh) {
      refresh();
    } else if (!is_complete()) {
      if (settings.offline())
        throw absent(settings.offline_by + " forbids the network", "unset " + settings.offline_by + " to download it");
      fetch_small(list(request_.revision));
      resolved_ = true;
    } else if (!settings.offline() && !knows_companions()) {
      complete();
    }
  }

  void fetch_weights() {
    if (!is_complete()) fetch(weights());
    if (resolved_) repository_.set_ref(request_.revision, commit_);
  }

  fs::path folder_;
  std::string commit_;
  size_t fetched_files_ = 0;
  uint64_t fetched_bytes_ = 0;
  std::vector<std::string> notes_;

 private:
  void settle(const std::string& commit) {
    commit_ = commit;
    folder_ = repository_.snapshot(commit);
  }

  void refresh() {
    if (request_.settings.offline()) {
      throw Error(Failure::usage,
                  fmt::format("{} forbids to look where '{}' is now", request_.settings.offline_by, request_.id),
                  fmt::format("unset {}, or leave --refresh out", request_.settings.offline_by));
    }
    fetch_small(list(request_.revision));
    resolved_ = true;
  }

  /// Looks for the companions of a snapshot that has weights; without them it is a model still.
  void complete() {
    try {
      fetch_small(list(commit_));
    } catch (const Error& error) {
      if (request_.progress.cancelled()) throw;
      notes_.push_back(fmt::format("the cache has no tokenizer or processor of '{}', and looking for one failed: {}",
                                   request_.id, error.what()));
    }
  }

  /// Names of the weights' files.
  std::vector<std::string> weights() const {
    if (wanted_.index.empty()) return {wanted_.single};
    std::vector<std::string> shards = shards_of(folder_ / wanted_.index);
    for (const std::string& shard : shards) {
      if (std::find(listed_.begin(), listed_.end(), shard) != listed_.end()) continue;
      throw Error(Failure::checkpoint,
                  fmt::format("{} of '{}' names the shard {}, which the model does not have", wanted_.index,
                              request_.id, shard),
                  "the upload is not complete: tell its author, or pass an earlier commit with --revision");
    }
    return shards;
  }

  bool is_complete() const { return !commit_.empty() && missing_files(folder_).empty(); }

  bool knows_companions() const {
    if (has_companions(folder_)) return true;
    return std::all_of(std::begin(telling_companions), std::end(telling_companions),
                       [&](const char* name) { return repository_.is_absent(commit_, name); });
  }

  Client::Options client_options() const {
    Client::Options options;
    options.settings = request_.settings;
    options.id = request_.id;
    options.revision = request_.revision;
    options.retry = request_.retry;
    options.hooks.stop = [this] { return request_.progress.cancelled(); };
    options.hooks.announce = [this](const std::string& why, std::chrono::milliseconds wait) {
      report(fmt::format("{}: trying again in {:.0f} s", why, std::max(1.0, static_cast<double>(wait.count()) / 1000)));
    };
    return options;
  }

  void report(const std::string& phase) const {
    if (request_.progress.report) request_.progress.report(phase, std::max<int64_t>(done_, 0), total_);
  }

  Listing list(const std::string& revision) {
    report(phase());
    try {
      Client::Options options = client_options();
      Listing listing = Client(options).list(revision);
      options.reachable = true;
      crew_ = std::make_unique<Crew>(options);
      return listing;
    } catch (const Unreachable& problem) {
      throw absent(fmt::format("{} cannot be reached: {}", request_.settings.endpoint, problem.reason),
                   "check the network, the proxy (https_proxy) and HF_ENDPOINT");
    }
  }

  void fetch_small(const Listing& listing) {
    wanted_ = choose_files(listing.files, request_.id);
    listed_ = listing.files;
    settle(listing.commit);
    fetch(wanted_.small);
    if (has_companions(folder_)) return;
    for (const char* name : telling_companions) repository_.set_absent(commit_, name);
  }

  /// Brings files into the snapshot that are not there.
  void fetch(std::vector<std::string> names) {
    std::erase_if(names, [&](const std::string& name) { return holds_file(folder_ / name); });
    if (names.empty()) return;
    std::vector<RemoteFile> files(names.size());
    done_ = 0;
    total_ = 0;
    crew_->each(names.size(), [&](Client& client, size_t i) { files[i] = client.inspect(commit_, names[i]); });
    uint64_t needed = 0;
    for (const RemoteFile& file : files) {
      const uint64_t there = bytes_there(repository_, file);
      needed += file.size - there;
      total_ += file.size;
      if (there < file.size) ++fetched_files_;
    }
    make_folder(repository_.folder());
    require_space(repository_.folder(), needed);
    crew_->each(files.size(), [&](Client& client, size_t i) { fetch_one(client, files[i]); });
    fetched_bytes_ += needed;
  }

  void fetch_one(Client& client, const RemoteFile& file) {
    bool told = false;
    const auto waiting = [&] {
      if (client.options().hooks.stop()) throw Error(Failure::output, "interrupted");
      if (!told) report("waiting for another process that fetches " + request_.id);
      told = true;
    };
    const auto advance = [this](int64_t bytes) {
      done_ += bytes;
      report(phase());
    };
    download_blob({client, repository_, commit_, advance, waiting}, file);
    repository_.link(commit_, file.name, file.etag);
  }

  std::string phase() const { return "downloading " + request_.id; }

  /// What would be fetched from where, and which folder was searched, because of `reason`.
  Error absent(const std::string& reason, const std::string& advice) const {
    const Settings& settings = request_.settings;
    const bool partly = !commit_.empty() && fs::exists(folder_);
    const std::string files =
        partly ? fmt::format("{}", fmt::join(missing_files(folder_), ", "))
               : "config.json, model.safetensors (or its index and shards, or pytorch_model.bin), tokenizer and "
                 "processor files";
    const std::string cause =
        fmt::format("'{}' (revision {}) is not {} the cache {}, and {}\nwould be fetched from {}/{}: {}", request_.id,
                    request_.revision, partly ? "whole in" : "in", settings.cache.string(), reason, settings.endpoint,
                    request_.id, files);
    std::string hint = advice;
    for (const std::string& commit : repository_.commits()) {
      if (missing_files(repository_.snapshot(commit)).empty())
        hint += fmt::format("; or take what the cache has: --revision {}", commit);
    }
    hint += fmt::format(
        "; or copy {} into the cache from a machine that has it, or name another cache with --cache_dir, or the folder "
        "of a checkpoint with -m",
        repository_.folder().filename().string());
    return {Failure::checkpoint, cause, hint};
  }

  ModelRequest request_;
  Repository repository_;
  std::unique_ptr<Crew> crew_;
  Wanted wanted_;
  std::vector<std::string> listed_;
  bool resolved_ = false;  // the hub has said what the revision stands for
  std::atomic<int64_t> done_{0};
  std::atomic<uint64_t> total_{0};
};

Model::Model(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;

Model Model::open(ModelRequest request) {
  if (!is_model_id(request.id)) {
    throw Error(Failure::usage, fmt::format("'{}' is no model id", request.id),
                "an id is ORGANISATION/NAME or NAME: letters, digits, '-', '_' and '.'");
  }
  if (request.revision.empty()) request.revision = "main";
  require_revision(request.revision);
  Model model(std::make_unique<Implementation>(std::move(request)));
  model.implementation_->open();
  return model;
}

void Model::fetch_weights() {
  implementation_->fetch_weights();
}
const fs::path& Model::folder() const {
  return implementation_->folder_;
}
const std::string& Model::commit() const {
  return implementation_->commit_;
}
size_t Model::fetched_files() const {
  return implementation_->fetched_files_;
}
uint64_t Model::fetched_bytes() const {
  return implementation_->fetched_bytes_;
}
const std::vector<std::string>& Model::notes() const {
  return implementation_->notes_;
}

}  // namespace onnxport::hub
