// SPDX-License-Identifier: Apache-2.0
// What versions of ONNX Runtime read, for files that an older one is to run.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/export/export.hpp"

namespace onnxport {

/// A version of ONNX Runtime and those that follow it up to the next row: the newest opset and IR version that it
/// reads.
struct RuntimeVersion {
  int major, minor;
  int64_t opset, ir_version;
};

/// In the order of their versions.
std::span<const RuntimeVersion> runtime_versions();

/// The row for words such as "onnxruntime=1.17". Throws Error(usage) for another program, for what is no version, and
/// for versions before the first row.
const RuntimeVersion& runtime_from(std::string_view words);

/// "onnxruntime=1.17"
std::string name_of(const RuntimeVersion& version);

/// The operators of opset `wanted` that the definition is written with there, and does without in the form's opset.
std::vector<std::string> avoided_operators(const OnnxConfig& config, const Definition& definition,
                                           const GraphForm& form, int64_t wanted);

}  // namespace onnxport
