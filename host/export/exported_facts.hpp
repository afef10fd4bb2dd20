// SPDX-License-Identifier: Apache-2.0
// What templates are told of an export. docs/packages.md lists it.
#pragma once

#include "host/export/write_export.hpp"

namespace onnxport {

/// The checkpoint's model and its files, and the graphs as they were written. Throws Error(checkpoint) for a companion
/// file that should be JSON and is not.
Json exported_facts(const ExportPlan& plan, const ExportSource& source, const WrittenExport& written,
                    const std::filesystem::path& staging);

}  // namespace onnxport
