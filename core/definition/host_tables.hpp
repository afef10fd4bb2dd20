// SPDX-License-Identifier: Apache-2.0
// The objects behind the ABI's handles, and the host's side of its tables. Nothing here throws across the ABI.
#pragma once

#include <onnxport/abi.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/definition/config_fields.hpp"
#include "core/definition/given.hpp"
#include "core/definition/misread.hpp"
#include "core/definition/status.hpp"
#include "core/definition/weights.hpp"
#include "core/description/description.hpp"
#include "core/ir/graph.hpp"

namespace onnxport::detail {

class Components;
class PluginObject;

/// How a component runs within the graph of another model: what it sees in place of the graph's own.
struct ComponentScope {
  std::string path;   // the modules below which its nodes stand
  std::string steps;  // before the names of its steps
  std::vector<std::pair<std::string, std::string>> prefixes;
  std::map<std::string, ir::ValueId, std::less<>> inputs, outputs;
  std::map<std::string, ir::ValueId, std::less<>> marks;  // by its own names

  /// Where something stands of which the component says that it stands at `own`.
  std::string path_of(std::string_view own) const;
  /// A tensor's names by each of the prefixes that fit; never empty.
  std::vector<std::string> names_of(std::string_view tensor) const;
};

}  // namespace onnxport::detail

/// One node of config.json, made when someone asks for it.
struct onnxport_config {
  const onnxport::Json* json = nullptr;                // null: absent
  onnxport::AskedFields* fields = nullptr;             // at the top: notes what is asked for
  bool* looked_at = nullptr;                           // of a field at the top: its note
  onnxport::detail::Components* components = nullptr;  // where models that are made of it are opened; null: nowhere
  onnxport::Misread* misread = nullptr;                // notes what is read as what it is not; null: nobody does
  std::string path = {};                               // from the top, with dots
  mutable std::map<std::string, std::unique_ptr<onnxport_config>, std::less<>> members;
  mutable std::map<size_t, std::unique_ptr<onnxport_config>> entries;
};

/// The graph that a plugin's forward() or lower() builds.
struct onnxport_graph {
  onnxport::ir::Graph* graph = nullptr;
  const onnxport::Description* description = nullptr;
  onnxport::WeightSource* weights = nullptr;  // null inside lower()
  const std::vector<std::string>* wanted = nullptr;
  std::set<std::string> offered;                           // further outputs that the definition asked about
  onnxport::detail::ComponentScope* component = nullptr;   // of a model within another
  const onnxport::detail::PluginObject* object = nullptr;  // whose definition it is; null: without operators of its own
  // Inside lower(): the types that an operator of the plugin's own domain yields, being those of what it replaces.
  const std::vector<onnxport::ir::TensorType>* foreign_types = nullptr;
  std::vector<onnxport_dim> dims;  // of the last type_of()
  std::vector<std::string> dim_symbols;
};

namespace onnxport::detail {

// The tables by interface, each in a file of its name.
const onnxport_graph_1& graph_table();
const onnxport_weights_1& weights_table();
const onnxport_config_1& config_table();
const onnxport_models_1& models_table();

/// The attributes of a node as the ABI has them; borrowed from the node.
std::vector<onnxport_attribute> abi_attributes(const ir::Node& node);

/// Whether `name` is asked for by the list: itself, or a group that it belongs to ("attentions" asks for
/// "attentions.3").
bool is_wanted(const std::vector<std::string>& wanted, std::string_view name);

}  // namespace onnxport::detail
