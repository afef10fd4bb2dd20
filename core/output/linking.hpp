// SPDX-License-Identifier: Apache-2.0
// Making a checkpoint's own files readable as external data of a model: ONNX Runtime opens only files below the model's
// folder.
#pragma once

#include <memory>
#include <vector>

#include "core/files/mapped_file.hpp"
#include "core/output/staging.hpp"

namespace onnxport {

/// Puts a hard link to each file into the staging folder, or where that is not possible a copy that shares its blocks
/// (FICLONE); neither takes room on the disk. A file that lies below the output's folder already stays where it is; its
/// link in the staging only serves the validation and disappears with delivery. Throws Error(output), with the
/// reasons of both and what to do, where a file can be had in no way, and where the folder holds another file of the
/// name.
LinkedFiles link_files(const std::vector<std::shared_ptr<const MappedFile>>& files, const StagedOutput& output);

}  // namespace onnxport
