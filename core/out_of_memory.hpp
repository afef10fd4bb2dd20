// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.hpp"

namespace onnxport {

/// There is no memory for what was to be done: "the inputs of validation take about 5 GB". Whoever can do the work in
/// smaller parts catches it; it is no Error, since nothing is wrong with the model.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::string what) : what_(std::move(what)) {}
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

/// Whether these words of a library say that it got no memory.
bool tells_of_memory(std::string_view said);

/// Throws the failure of which a library said these words: where they say that it got no memory, as an OutOfMemory.
[[noreturn]] void throw_failure(const Error& failure, std::string_view said);

}  // namespace onnxport
