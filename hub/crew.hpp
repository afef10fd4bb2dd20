// SPDX-License-Identifier: Apache-2.0
// Several connections at work on one list of files.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "hub/client.hpp"

namespace onnxport::hub {

/// Clients of one model, each with a connection and, while there is work, a thread of its own.
class Crew {
 public:
  /// As many as huggingface_hub's default of eight would strain small servers, and one does not fill a line.
  static constexpr size_t most_workers = 4;

  explicit Crew(Client::Options options);

  /// Calls work(client, 0 … count - 1), each once, in any order. The first exception stops the others and is thrown
  /// here once all have ended.
  void each(size_t count, const std::function<void(Client&, size_t)>& work);

 private:
  Client& client(size_t worker);

  Client::Options options_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::atomic<bool> failed_{false};
};

}  // namespace onnxport::hub
