// SPDX-License-Identifier: Apache-2.0
// What a child says of its end, in memory that its parent reads: the code of a plugin may have closed the child's
// files, or written to them what nobody wants to read.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>

namespace onnxport {

/// Plain memory, kept by both processes (shared_memory.hpp) and guarded in the child. What it holds is not trusted to
/// be well-formed.
class Outbox {
 public:
  /// The errors so far, to be told in words. Yields false where there is no room for it.
  bool add_errors(std::string_view text);
  /// The object of --json, in place of an earlier one. Yields false where there is no room for it.
  bool put_document(std::string_view text);

  std::string errors() const { return text_of(errors_, errors_size_); }
  std::string document() const { return text_of(document_, document_size_); }

 private:
  template <size_t room>
  static std::string text_of(const char (&text)[room], size_t size) {
    return std::string(text, size < room ? size : room);
  }

  std::atomic<size_t> errors_size_, document_size_;
  char errors_[size_t{1} << 20];
  char document_[size_t{16} << 20];  // pages that nobody writes cost nothing
};

}  // namespace onnxport
