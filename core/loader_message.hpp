// SPDX-License-Identifier: Apache-2.0
// Why the system does not load a library, in its own words.
#pragma once

#include <exception>
#include <string>

namespace onnxport {

/// Of an exception of Boost.DLL what dlerror() says; the rest speaks of the library that wraps it, and of an errno that
/// has nothing to do with it.
std::string loader_message(const std::exception& failure);

}  // namespace onnxport
