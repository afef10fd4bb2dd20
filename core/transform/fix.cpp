// SPDX-License-Identifier: Apache-2.0
#include "core/transform/fix.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "core/ir/lengths.hpp"
#include "core/transform/fold.hpp"
#include "core/transform/norms_apart.hpp"
#include "core/transform/values.hpp"

namespace onnxport {
namespace {

using Shape = pb::TensorShapeProto;

class Fixing {
 public:
  Fixing(ModelParts& model, const std::map<std::string, int64_t>& sizes) : model_(model), sizes_(sizes) {}

  OpenLengths run() {
    const ModelParts before = model_;
    name_axes_by_place();
    for (const auto& [name, size] : sizes_) {
      if (!names_.contains(name)) refuse(name, size);
    }
    pb::GraphProto& graph = *model_.model.mutable_graph();
    for (auto* list : {graph.mutable_input(), graph.mutable_output(), graph.mutable_value_info()}) {
      for (pb::ValueInfoProto& value : *list) fix(value);
    }
    fold_constants(model_);
    take_inferred();
    require_sound(before);
    return open_lengths();
  }

 private:
  [[noreturn]] void refuse(const std::string& name, int64_t size) const {
    throw Error(Failure::usage, fmt::format("--fix {}={}: the model's inputs have no axis '{}'", name, size, name),
                names_.empty() ? std::string("all of its axes have a size already")
                               : fmt::format("their axes are: {}", fmt::join(names_, ", ")));
  }

  /// Throws where a node cannot compute what the sizes make of its inputs, such as more positions than the table has.
  /// Of faults that the file had before nobody is told here.
  void require_sound(const ModelParts& before) const {
    const std::string fault = shape_fault(model_);
    if (fault.empty() || !shape_fault(before).empty()) return;
    std::vector<std::string> wanted;
    for (const auto& [name, size] : sizes_) wanted.push_back(fmt::format("{}={}", name, size));
    throw Error(Failure::usage,
                fmt::format("--fix {}: the model cannot take these sizes: {}", fmt::join(wanted, " --fix "), fault),
                "choose sizes that it takes; a table of positions, for one, has as many as its config.json says");
  }

  static Shape* shape_of(pb::ValueInfoProto& value) {
    if (!value.type().has_tensor_type() || !value.type().tensor_type().has_shape()) return nullptr;
    return value.mutable_type()->mutable_tensor_type()->mutable_shape();
  }

  /// An axis may be called by its place, "input_ids[1]", which is all that one without a name has. What it is then
  /// called goes for all axes of its name.
  void name_axes_by_place() {
    std::set<std::string> weights;  // before IR version 4 they are inputs as well
    for (const StreamedInitializer& weight : model_.weights) weights.insert(weight.header.name());
    for (const auto& weight : model_.model.graph().initializer()) weights.insert(weight.name());
    for (pb::ValueInfoProto& input : *model_.model.mutable_graph()->mutable_input()) {
      Shape* shape = shape_of(input);
      if (shape == nullptr || weights.contains(input.name())) continue;
      for (int axis = 0; axis < shape->dim_size(); ++axis) {
        pb::TensorShapeProto_Dimension& dim = *shape->mutable_dim(axis);
        if (dim.has_dim_value()) continue;
        const std::string place = fmt::format("{}[{}]", input.name(), axis);
        if (const auto found = sizes_.find(place); found != sizes_.end()) {
          names_.insert(place);
          if (dim.dim_param().empty())
            dim.set_dim_value(found->second);
          else
            known_[dim.dim_param()] = found->second;
        } else if (dim.dim_param().empty()) {
          names_.insert(place);
        }
        if (!dim.dim_param().empty()) names_.insert(dim.dim_param());
      }
    }
    for (const auto& [name, size] : sizes_) known_.emplace(name, size);
  }

  void fix(pb::ValueInfoProto& value) const {
    Shape* shape = shape_of(value);
    for (int axis = 0; shape != nullptr && axis < shape->dim_size(); ++axis) {
      pb::TensorShapeProto_Dimension& dim = *shape->mutable_dim(axis);
      if (dim.dim_param().empty()) continue;
      if (const auto length = ir::length_of(ir::Dim::symbol(dim.dim_param()), known_)) dim.set_dim_value(*length);
    }
  }

  /// What is known of the outputs now.
  void take_inferred() {
    const ValueTypes types = infer_types(model_);
    for (pb::ValueInfoProto& output : *model_.model.mutable_graph()->mutable_output()) {
      const auto found = types.find(output.name());
      if (found != types.end()) *output.mutable_type() = found->second;
    }
    keep_norms_apart(model_, types);
  }

  OpenLengths open_lengths() {
    OpenLengths open;
    pb::GraphProto& graph = *model_.model.mutable_graph();
    for (const pb::NodeProto& node : graph.node()) open.shapes += node.op_type() == "Shape" ? 1 : 0;
    for (auto* list : {graph.mutable_input(), graph.mutable_output()}) {
      for (pb::ValueInfoProto& value : *list) {
        const Shape* shape = shape_of(value);
        if (shape == nullptr) continue;
        for (const auto& dim : shape->dim()) open.axes += dim.has_dim_value() ? 0 : 1;
      }
    }
    return open;
  }

  ModelParts& model_;
  const std::map<std::string, int64_t>& sizes_;
  std::set<std::string> names_;  // of axes that can be fixed
  ir::Lengths known_;
};

}  // namespace

OpenLengths fix_axes(ModelParts& model, const std::map<std::string, int64_t>& sizes) {
  return Fixing(model, sizes).run();
}

}  // namespace onnxport
