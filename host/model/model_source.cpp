// SPDX-License-Identifier: Apache-2.0
#include "host/model/model_source.hpp"

#include <fmt/format.h>

#include "core/checkpoint/other_files.hpp"
#include "core/error.hpp"
#include "hub/names.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// The id of a folder that is a model's own in a cache (models--org--name), if it is one.
std::optional<std::string> id_of_cache_folder(const fs::path& folder) {
  const std::string name = folder.filename(), prefix = "models--";
  std::error_code ignored;
  if (!name.starts_with(prefix) || !fs::is_directory(folder / "snapshots", ignored)) return std::nullopt;
  std::string id = name.substr(prefix.size());
  if (const size_t dashes = id.find("--"); dashes != id.npos) id.replace(dashes, 2, "/");
  return hub::is_model_id(id) ? std::optional(id) : std::nullopt;
}

/// Throws where the text is neither a folder nor an id.
void require_id(const std::string& model, const fs::path& path, const fs::file_status& status,
                const std::error_code& reason) {
  if (status.type() == fs::file_type::none) {
    throw Error(Failure::checkpoint, "the model folder " + path.string() + " cannot be read: " + reason.message(),
                "check the permissions on the way to it");
  }
  if (fs::exists(status)) refuse_file(path);
  if (hub::is_model_id(model)) return;
  throw Error(Failure::checkpoint, "there is no model folder '" + model + "' (looked for " + path.string() + ")",
              "-m takes a folder that exists, with config.json and the weights, or a model id (ORGANISATION/NAME)");
}

}  // namespace

ModelSource::ModelSource(const ModelArguments& request, const Progress& progress)
    : folder_(request.name), name_(request.name) {
  std::error_code reason;
  fs::path path = fs::absolute(request.name, reason).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "checkpoint/"
  const fs::file_status status = fs::status(request.name, reason);
  hub::ModelRequest wanted;
  fs::path cache = request.cache_dir;
  if (fs::is_directory(status)) {
    const std::optional<std::string> id = id_of_cache_folder(path);
    if (!id && (!request.revision.empty() || request.refresh)) {
      throw Error(Failure::usage,
                  fmt::format("{} has no meaning with a folder, and {} is one",
                              request.refresh ? "--refresh" : "--revision", path.string()),
                  "leave it out, or name a model by its id");
    }
    if (!id) return;
    name_ = wanted.id = *id;
    cache = path.parent_path();
  } else {
    require_id(request.name, path, status, reason);
    wanted.id = request.name;
  }
  if (!request.revision.empty()) {
    wanted.revision = request.revision;
    name_ += " " + request.revision;
  }
  wanted.refresh = request.refresh;
  wanted.settings = hub::Settings::from_environment(cache);
  wanted.progress = progress;
  try {
    model_.emplace(hub::Model::open(wanted));
  } catch (const Error& error) {
    if (error.failure() != Failure::checkpoint || fs::is_directory(status)) throw;
    throw Error(error.failure(), error.what(),
                fmt::format("{}\n(nor is there a folder {})", error.hint(), path.string()));
  }
  folder_ = model_->folder();
}

std::optional<FetchedCheckpoint> ModelSource::fetch_weights() {
  if (!model_) return std::nullopt;
  model_->fetch_weights();
  return FetchedCheckpoint{name_,          folder_, model_->commit(), model_->fetched_files(), model_->fetched_bytes(),
                           model_->notes()};
}

}  // namespace onnxport
