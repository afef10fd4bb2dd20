// SPDX-License-Identifier: Apache-2.0
// Where a definition and the file that was written for it can be cut alike, and the pieces that this makes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "core/export/export.hpp"

namespace onnxport {

/// A definition beside the graph that is written for it.
struct TracedLowering {
  ir::Graph definition;  // every result of a node is a mark
  ir::Graph lowered;
  /// By value of the definition: the name of the file's value that holds the same, type of element aside; empty where
  /// no node of the file makes one.
  std::vector<std::string> names{};
  /// Whether that one has the same shape, whatever the inputs, and a type that the definition's follows from.
  std::vector<bool> carries{};

  /// The name by which the file carries the value over a cut; empty where the definition alone has it.
  std::string carried(ir::ValueId value) const { return carries[value] ? names[value] : std::string(); }
};
TracedLowering trace_lowering(const OnnxConfig& config, const Definition& definition, const GraphForm& form);
/// The same of graphs that were made otherwise: a mark "value N" of `lowered` is the value N of the definition.
TracedLowering traced(ir::Graph definition, ir::Graph lowered, const InputForm& form);

/// Every result of a node is a mark, and nothing else: what trace_lowering() looks for.
ir::Graph with_marks(ir::Graph definition);

/// Places between two nodes of the definition, each told by the node behind it, where little passes: fewer results that
/// hang on weights than on either side. Whatever passes is found in the file by its name, or hangs on inputs alone.
std::vector<size_t> cuts_of(const TracedLowering& both);

/// Nodes of a definition that follow each other, as a graph of their own.
struct Segment {
  size_t first = 0, last = 0;  // [first, last)
  /// Results of earlier nodes that it takes, and its own that later ones take.
  std::vector<ir::ValueId> takes, yields;
  std::vector<ir::NamedValue> outputs;  // of the definition's that become known in it
  uint64_t weights = 0;                 // bytes in f32
  std::string from, to;                 // modules of its first and last node
};

/// The segments between some of the cuts, each as long as its weights take no more than so many bytes in f32; one that
/// no cut divides may take more.
std::vector<Segment> segments_of(const ir::Graph& definition, const std::vector<size_t>& cuts, uint64_t most_weights);

/// What a segment takes and yields is called so in its graph: "value 12".
std::string carried_name(ir::ValueId value);

/// The segment's graph. Inputs are those of the definition that it uses, and what it takes; outputs what it yields, and
/// those of the definition.
ir::Graph graph_of(const ir::Graph& definition, const Segment& segment);

}  // namespace onnxport
