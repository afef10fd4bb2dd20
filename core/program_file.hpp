// SPDX-License-Identifier: Apache-2.0
// Where the running program lies, from which what was installed with it is found.
#pragma once

#include <filesystem>

namespace onnxport {

/// The program's own file. Throws std::system_error where the system does not tell.
std::filesystem::path program_file();

}  // namespace onnxport
