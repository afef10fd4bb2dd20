// SPDX-License-Identifier: Apache-2.0
// A mapped file that shrinks, or whose disk fails, ends a process with SIGBUS when the missing page is read. Guarded
// mappings read as zeros from there on instead, and remember it.
#pragma once

#include <cstddef>
#include <span>

namespace onnxport {

/// Guards a mapping while it lives. Any number of threads may read the mapping.
class BusGuard {
 public:
  explicit BusGuard(std::span<const std::byte> mapping);
  ~BusGuard();
  BusGuard(const BusGuard&) = delete;
  BusGuard& operator=(const BusGuard&) = delete;

  /// Whether some of the mapping could not be read.
  bool hit() const;

 private:
  size_t slot_;
};

}  // namespace onnxport
