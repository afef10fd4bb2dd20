// SPDX-License-Identifier: Apache-2.0
#include "core/out_of_memory.hpp"

#include <algorithm>
#include <iterator>

namespace onnxport {

bool tells_of_memory(std::string_view said) {
  constexpr std::string_view words[] = {"bad_alloc",
                                        "bad allocation",
                                        "can't allocate memory",
                                        "Cannot allocate memory",
                                        "Failed to allocate memory",
                                        "could not create a memory object",
                                        "out of memory"};
  return std::any_of(std::begin(words), std::end(words),
                     [&](std::string_view each) { return said.find(each) != std::string_view::npos; });
}

void throw_failure(const Error& failure, std::string_view said) {
  if (tells_of_memory(said)) throw OutOfMemory(failure.what());
  throw failure;
}

}  // namespace onnxport
