// SPDX-License-Identifier: Apache-2.0
#include "host/process/outbox.hpp"

#include <cstring>

#include "core/guarded_memory.hpp"

namespace onnxport {

bool Outbox::add_errors(std::string_view text) {
  const size_t size = errors_size_;
  if (size > sizeof errors_ || text.size() > sizeof errors_ - size) return false;
  const WriteAccess access;
  std::memcpy(errors_ + size, text.data(), text.size());
  errors_size_ = size + text.size();
  return true;
}

bool Outbox::put_document(std::string_view text) {
  if (text.size() > sizeof document_) return false;
  const WriteAccess access;
  std::memcpy(document_, text.data(), text.size());
  document_size_ = text.size();
  return true;
}

}  // namespace onnxport
