// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace onnxport {

/// The version of the host; a build defines it from the project's.
#ifdef ONNXPORT_VERSION
inline constexpr std::string_view version = ONNXPORT_VERSION;
#else
inline constexpr std::string_view version = "0.1.0";
#endif

}  // namespace onnxport
