// SPDX-License-Identifier: Apache-2.0
// inspect --graph FILE: pictures of a graph by modules, drawn by Graphviz.
#pragma once

#include <filesystem>

#include "core/inspect/onnx_file.hpp"

namespace onnxport {

/// Before the work begins: throws Error(usage) for another ending than .svg, .png and .html, and where the folder is
/// not there.
void check_graph_name(const std::filesystem::path& file);

/// Writes an SVG or a PNG of the model down to `depth` steps of module paths, or a page (.html) on which each module
/// opens to a picture of what is in it; as the file's ending says. Throws Error(usage) where Graphviz is not
/// installed, Error(output) where the file cannot be written.
void write_graph(const inspect::OnnxFile& model, const std::filesystem::path& file, size_t depth);

}  // namespace onnxport
