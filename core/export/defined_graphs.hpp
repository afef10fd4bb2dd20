// SPDX-License-Identifier: Apache-2.0
// From a layout's files to the definitions that they hold.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "core/export/export.hpp"
#include "core/package/layout.hpp"

namespace onnxport {

/// The definitions of an export, and its files, which point to them. Moves, and does not copy.
struct DefinedGraphs {
  std::vector<Definition> definitions;
  std::vector<GraphToExport> graphs;

  DefinedGraphs() = default;
  DefinedGraphs(DefinedGraphs&&) = default;
  DefinedGraphs& operator=(DefinedGraphs&&) = default;

  /// Bytes of all weights, those that several graphs hold counted once.
  uint64_t weight_bytes() const;
  /// Bytes of the largest of them in f32.
  uint64_t largest_weight_bytes() const;
  /// Gives outputs of the graphs other names, by those that they have; one whose new name is taken keeps its own.
  /// Yields what was renamed.
  std::map<std::string, std::string> rename_outputs(const std::map<std::string, std::string>& names);
};

/// Runs the plugin for every part of the files; errors as of OnnxConfig::define_parts.
DefinedGraphs define_graphs(const OnnxConfig& config, WeightSource& weights, const std::vector<GraphFile>& files,
                            const DefineOptions& options = {});

}  // namespace onnxport
