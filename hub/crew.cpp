// SPDX-License-Identifier: Apache-2.0
#include "hub/crew.hpp"

#include <algorithm>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

namespace onnxport::hub {

Crew::Crew(Client::Options options) : options_(std::move(options)) {
  const auto stop = options_.hooks.stop;
  options_.hooks.stop = [this, stop] { return failed_.load() || (stop && stop()); };
}

Client& Crew::client(size_t worker) {
  while (clients_.size() <= worker) clients_.push_back(std::make_unique<Client>(options_));
  return *clients_[worker];
}

void Crew::each(size_t count, const std::function<void(Client&, size_t)>& work) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr first;
  failed_ = false;
  const auto run = [&](Client& client) {
    for (size_t i = next++; i < count && !failed_; i = next++) {
      try {
        work(client, i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!first) first = std::current_exception();
        failed_ = true;
      }
    }
  };
  const size_t workers = std::min(count, most_workers);
  for (size_t i = 0; i < workers; ++i) client(i);
  {
    std::vector<std::jthread> threads;
    try {
      for (size_t i = 1; i < workers; ++i) threads.emplace_back([&, i] { run(*clients_[i]); });
    } catch (const std::system_error&) {  // fewer will do
    }
    if (workers > 0) run(*clients_[0]);
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace onnxport::hub
