// SPDX-License-Identifier: Apache-2.0
// Where the files of this installation are, found from where its code runs, so that the tree can be moved.
#pragma once

#include <filesystem>

namespace onnxport {

/// The folder with plugins/ and backends/: lib/onnxport beside the folder of the command, or onnxport/ beside the
/// shared library that this code is part of. Need not exist. [any-thread]
const std::filesystem::path& installed_files();

}  // namespace onnxport
