// SPDX-License-Identifier: Apache-2.0
// Where models are looked for and fetched from: the environment variables of huggingface_hub (0.36), in its order.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

namespace onnxport::hub {

struct Settings {
  /// The folder that holds models--org--name: the one that was asked for, HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE,
  /// HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub.
  std::filesystem::path cache;
  /// HF_ENDPOINT without a slash at its end.
  std::string endpoint = "https://huggingface.co";
  /// HF_TOKEN, HUGGING_FACE_HUB_TOKEN, the file HF_TOKEN_PATH or HF_HOME/token; empty where there is none, or where
  /// HF_HUB_DISABLE_IMPLICIT_TOKEN forbids to send one.
  std::string token;
  /// "HF_TOKEN", or the file's path.
  std::string token_source;
  /// The variable that forbids the network ("HF_HUB_OFFLINE"), empty where none does.
  std::string offline_by;
  /// How long to wait for a connection and between two bytes, HF_HUB_ETAG_TIMEOUT and HF_HUB_DOWNLOAD_TIMEOUT.
  std::chrono::seconds metadata_timeout{10}, download_timeout{10};

  bool offline() const { return !offline_by.empty(); }

  /// Throws Error(usage) where HF_ENDPOINT is no http(s) address.
  static Settings from_environment(const std::filesystem::path& cache_dir = {});
};

}  // namespace onnxport::hub
