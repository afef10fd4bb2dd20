// SPDX-License-Identifier: Apache-2.0
#include "hub/backoff.hpp"

#include <algorithm>
#include <thread>

#include "core/error.hpp"

namespace onnxport::hub {

bool Backoff::wait(const std::string& why, std::chrono::seconds asked) {
  ++used_;
  if (used_ >= policy_.attempts || asked > policy_.longest_asked_wait) return false;
  const auto usual = std::min(policy_.first_wait * (1 << std::min(used_ - 1, 16)), policy_.longest_wait);
  const std::chrono::milliseconds span = std::max<std::chrono::milliseconds>(asked, usual);
  if (hooks_.announce) hooks_.announce(why, span);
  const auto end = std::chrono::steady_clock::now() + span;
  while (std::chrono::steady_clock::now() < end) {
    if (hooks_.stop && hooks_.stop()) throw Error(Failure::output, "interrupted");
    std::this_thread::sleep_for(std::min<std::chrono::milliseconds>(span, std::chrono::milliseconds(50)));
  }
  return true;
}

std::string Backoff::tried() const {
  return used_ == 1 ? "once" : std::to_string(used_) + " times";
}

}  // namespace onnxport::hub
