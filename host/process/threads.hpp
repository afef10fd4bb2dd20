// SPDX-License-Identifier: Apache-2.0
// Whether this process may start the threads that its work takes.
#pragma once

#include <string>

namespace onnxport {

/// Throws Error(usage) where it may not start those of both back ends: libraries that get none crash, or wait for ever.
void require_threads();

/// What is told where the system starts no further thread, and what to do.
std::string no_thread_cause();
inline constexpr const char* no_thread_hint =
    "allow more processes and threads (ulimit -u, or a container's limit of pids) or more memory (ulimit -v), or pass "
    "--no-validate, which does with one";

}  // namespace onnxport
