// SPDX-License-Identifier: Apache-2.0
// The objects behind the ABI's handles, and the host's side of its tables. Nothing here throws across the ABI.
#pragma once

#include <onnxport/abi.h>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/definition/description.hpp"
#include "core/definition/weights.hpp"
#include "core/error.hpp"
#include "core/ir/graph.hpp"

/// A status: code, text and place.
struct onnxport_status {
  onnxport_code code;
  std::string text, place;
};

/// One node of config.json, made when someone asks for it. `tree` notes which fields are read.
struct onnxport_config {
  const onnxport::Json* json = nullptr;   // null: absent
  std::set<std::string>* read = nullptr;  // top-level keys that were read
  bool top = false;
  mutable std::map<std::string, std::unique_ptr<onnxport_config>, std::less<>> members;
  mutable std::map<size_t, std::unique_ptr<onnxport_config>> entries;
};

/// The graph that a plugin's forward() or lower() builds.
struct onnxport_graph {
  onnxport::ir::Graph* graph = nullptr;
  const onnxport::Description* description = nullptr;
  onnxport::WeightSource* weights = nullptr;  // null inside lower()
  const std::vector<std::string>* wanted = nullptr;
  std::set<std::string> offered;  // further outputs that the definition asked about
  // Inside lower(): the types that an operator of the plugin's own domain yields, being those of what it replaces.
  const std::vector<onnxport::ir::TensorType>* foreign_types = nullptr;
  std::vector<onnxport_dim> dims;  // of the last type_of()
  std::vector<std::string> dim_symbols;
};

namespace onnxport::detail {

inline std::string_view text(onnxport_string from) {
  return from.size == 0 ? std::string_view{} : std::string_view{from.data, from.size};
}
inline onnxport_string abi(std::string_view from) {
  return {from.data(), from.size()};
}

/// Turns a plugin's failure into the host's error, naming the plugin and the place; frees the status.
void throw_status(onnxport_status* status, const std::string& plugin_id, const std::string& model_type);

/// A description sink over `out`; the returned object holds what the table points to.
struct DescriptionSink : onnxport_description {
  explicit DescriptionSink(Description& out);
  Description& out;
};

/// The attributes of a node as the ABI has them; borrowed from the node.
std::vector<onnxport_attribute> abi_attributes(const ir::Node& node);

/// Whether `name` is asked for by the list: itself, or a group that it belongs to ("attentions" asks for
/// "attentions.3").
bool is_wanted(const std::vector<std::string>& wanted, std::string_view name);

}  // namespace onnxport::detail
