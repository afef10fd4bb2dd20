// SPDX-License-Identifier: Apache-2.0
#include "library/recorder.hpp"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

namespace onnxport {
namespace {

/// The members that the program knows; the others are zero.
onnxport_listener known_part_of(const onnxport_listener* listener) {
  onnxport_listener known{};
  if (listener != nullptr) std::memcpy(&known, listener, std::min(listener->size, sizeof known));
  return known;
}

const std::atomic<bool>& flag_of(const onnxport_token* token) {
  static const std::atomic<bool> never{false};
  return token == nullptr ? never : token->cancelled;
}

}  // namespace

Recorder::Recorder(const onnxport_listener* listener)
    : Console(flag_of(known_part_of(listener).token)), listener_(known_part_of(listener)) {}

void Recorder::note(const std::string& text) {
  result()["notes"].push_back(text);
  const std::lock_guard lock(mutex_);
  if (listener_.note != nullptr) listener_.note(listener_.user, text.c_str());
}

void Recorder::progress(const std::string& phase, uint64_t done, uint64_t total) {
  const std::lock_guard lock(mutex_);
  if (listener_.progress != nullptr) listener_.progress(listener_.user, phase.c_str(), done, total);
}

void Recorder::fail(int exit_status, const std::string& kind, const std::string& cause, const std::string& hint) {
  message_ = cause;
  hint_ = hint;
  fill_failure(exit_status, kind, cause, hint);
}

}  // namespace onnxport
