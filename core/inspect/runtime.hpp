// SPDX-License-Identifier: Apache-2.0
// What a version of a runtime cannot run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/inspect/findings.hpp"

namespace onnxport::inspect {

/// A runtime as it is named on the command line, "onnxruntime=1.17".
struct Runtime {
  std::string name;
  int major = 0, minor = 0;
};

/// As it is named: "onnxruntime=1.17".
std::string to_text(const Runtime& runtime);

/// The newest version of the file format, and the newest opset, that a runtime reads.
struct Readable {
  int64_t ir_version, opset;
};
Readable readable_by(const Runtime& runtime);

/// Throws Error(usage) for another form, for a runtime that nobody here knows, and for a version before the first
/// that is known.
Runtime runtime_from(const std::string& text);

/// What of the model the runtime lacks: the file's format, the opset, operators. Empty where nothing is known to be
/// missing.
std::vector<Finding> lacks_of(const Runtime& runtime, const pb::ModelProto& model);

}  // namespace onnxport::inspect
