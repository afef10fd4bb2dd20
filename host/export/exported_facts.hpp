// SPDX-License-Identifier: Apache-2.0
// What templates are told of an export. docs/packages.md lists it.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "host/export/write_export.hpp"

namespace onnxport {

/// The parts that a graph holds, with what the plugin says of each.
using DescribedParts = std::vector<std::pair<std::string, const Description*>>;

/// A folder with graphs of a model.
struct ToldFolder {
  std::string model, layout, dtype;    // as the options call them
  const Description& description;      // of the model as one graph
  const WrittenExport& written;        // its files
  std::vector<DescribedParts> graphs;  // of each of written.graphs
};

/// The model and its files, and the graphs as they lie in `staging`. Throws Error(checkpoint) for a companion file that
/// should be JSON and is not.
Json folder_facts(const ToldFolder& told, const std::filesystem::path& staging);

/// The same of an export.
Json exported_facts(const ExportPlan& plan, const ExportSource& source, const WrittenExport& written,
                    const std::filesystem::path& staging);

}  // namespace onnxport
