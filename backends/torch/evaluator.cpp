// SPDX-License-Identifier: Apache-2.0
#include "backends/torch/evaluator.hpp"

#include <c10/core/GradMode.h>
#include <torch/version.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>

#include "backends/torch/exchange.hpp"
#include "backends/torch/script.hpp"
#include "backends/torch/weights.hpp"
#include "core/backend/backend.hpp"
#include "core/error.hpp"
#include "core/ir/functions.hpp"
#include "core/out_of_memory.hpp"

namespace onnxport {
namespace reference {
namespace {

/// Whether a tensor is one of the type, where a symbol stands for any length.
bool fits(const ir::Tensor& tensor, const ir::TensorType& type) {
  if (tensor.dtype != type.dtype || tensor.shape.size() != type.shape.size()) return false;
  for (size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    if (type.shape[axis].is_static() && tensor.shape[axis] != type.shape[axis].size()) return false;
  }
  return true;
}

/// The tensor given for an input of the graph, after a look at whether it is one of its type.
const ir::Tensor& given_for(const std::string& name, const ir::TensorType& type, const Tensors& inputs) {
  const auto found = inputs.find(name);
  if (found == inputs.end()) throw Error(Failure::internal, "no value was given for the input '" + name + "'");
  const ir::Tensor& tensor = found->second;
  const std::string is = to_string(ir::TensorType{tensor.dtype, ir::Shape(tensor.shape.begin(), tensor.shape.end())});
  if (!fits(tensor, type)) {
    throw Error(Failure::internal, "the input '" + name + "' is " + to_string(type) + ", and was given " + is);
  }
  if (tensor.data.size() != static_cast<size_t>(tensor.element_count()) * size_of(tensor.dtype)) {
    throw Error(Failure::internal,
                "the value of the input '" + name + "' has " + std::to_string(tensor.data.size()) + " bytes as " + is);
  }
  return tensor;
}

/// Where an operator stands, for messages.
std::string place_of(const ir::Node& node) {
  const std::string op =
      node.domain.empty() || node.domain == ir::composite_domain ? node.op : node.domain + "." + node.op;
  return node.scope.empty() ? op : op + " at '" + node.scope + "'";
}

/// An operator of a plugin's own: what it is made of.
Results function_of_plugin(const Call& call) {
  return call.bodies.at(ir::function_body)->run(call.inputs);
}

/// The function that evaluates a node. Throws Error(plugin) where there is none.
Evaluate evaluation_of(const ir::Node& node) {
  if (ir::is_function(node)) return function_of_plugin;
  std::vector<const Table*> tables;
  if (node.domain.empty()) {
    tables = {&operator_table(), &window_operator_table(), &resampling_operator_table(), &control_table(),
              &selection_operator_table()};
  }
  if (node.domain == ir::composite_domain)
    tables = {&composite_table(),
              &window_composite_table(),
              &resampling_composite_table(),
              &channel_norm_composite_table(),
              &sequence_composite_table(),
              &selection_composite_table()};
  for (const Table* table : tables) {
    if (const auto row = table->find(node.op); row != table->end()) return row->second;
  }
  throw Error(Failure::plugin, "the reference cannot evaluate " + place_of(node),
              "pass --no-validate, or compare with recorded outputs by validate --case");
}

std::string shapes_of(const std::vector<at::Tensor>& tensors) {
  std::string text;
  for (const at::Tensor& tensor : tensors) {
    text += text.empty() ? "[" : ", [";
    if (tensor.defined()) {
      for (int64_t i = 0; i < tensor.dim(); ++i) text += (i > 0 ? ", " : "") + std::to_string(tensor.size(i));
    }
    text += "]";
  }
  return text;
}

/// Is shown values as they become known.
using Watch = std::function<void(ir::ValueId, const at::Tensor&)>;

double magnitude_of(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return 0;
  const auto [least, most] = at::aminmax(tensor);
  return std::max(std::fabs(least.item<double>()), std::fabs(most.item<double>()));
}

/// A graph with the functions of its nodes.
class Program final : public Body {
 public:
  /// Keeps the reference.
  explicit Program(const ir::Graph& graph) : graph_(graph), weights_(graph), uses_(graph.values.size(), 0) {
    for (const ir::Node& node : graph_.nodes) {
      for (ir::ValueId id : node.inputs) ++uses_[id];
      functions_.push_back(evaluation_of(node));
      Bodies& bodies = bodies_.emplace_back();
      for (const auto& [name, body] : node.bodies) bodies.emplace(name, std::make_unique<const Program>(*body));
    }
  }

  Results run(const std::vector<at::Tensor>& inputs) const override { return run({inputs}, graph_.outputs, false)[0]; }
  void give_back() const override {
    weights_.give_back();
    for (const Bodies& bodies : bodies_) {
      for (const auto& [name, body] : bodies) body->give_back();
    }
  }

  at::Tensor never_run(size_t output) const override {
    const ir::TensorType& type = graph_[graph_.outputs.at(output).value].type;
    std::vector<int64_t> shape{0};
    for (const ir::Dim& dim : type.shape) shape.push_back(dim.maybe_size().value_or(0));
    return widened(at::empty(shape, at::TensorOptions(scalar_type(type.dtype))));
  }

  /// The tensors of some values, for each set of inputs, which are in the graph's order. All sets pass a node before
  /// the next one does.
  std::vector<Results> run(const std::vector<std::vector<at::Tensor>>& sets, const std::vector<ir::NamedValue>& results,
                           bool gives_back = true, const Watch& watch = {}) const {
    std::vector<std::vector<at::Tensor>> values(sets.size(), std::vector<at::Tensor>(graph_.values.size()));
    std::vector<int> left = uses_;
    for (size_t s = 0; s < sets.size(); ++s) {
      for (size_t i = 0; i < graph_.inputs.size(); ++i) values[s][graph_.inputs[i].value] = sets[s].at(i);
    }
    for (const ir::NamedValue& result : results) ++left[result.value];
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const ir::Node& node = graph_.nodes[i];
      evaluate(i, values);
      if (watch) show(node, values, watch);
      if (gives_back) {
        for (const auto& [name, body] : bodies_[i]) body->give_back();
      }
      // What nobody uses any more goes when its last user ran, or at once where there is none.
      for (ir::ValueId id : node.inputs) --left[id];
      for (const auto* ids : {&node.inputs, &node.outputs}) {
        for (ir::ValueId id : *ids) {
          if (left[id] != 0 || id == ir::absent) continue;
          if (graph_.values[id].origin == ir::Origin::node)
            for (std::vector<at::Tensor>& set : values) set[id] = at::Tensor();
          else if (gives_back)
            weights_.give_back(id);
        }
      }
    }
    std::vector<Results> tensors(sets.size());
    for (size_t s = 0; s < sets.size(); ++s) {
      for (const ir::NamedValue& result : results) tensors[s].push_back(value_of(result.value, values[s]));
    }
    return tensors;
  }

 private:
  /// The weights that a node has taken, and its results.
  void show(const ir::Node& node, const std::vector<std::vector<at::Tensor>>& sets, const Watch& watch) const {
    for (ir::ValueId id : node.inputs) {
      if (id != ir::absent && Weights::holds(graph_[id])) watch(id, weights_.get(id));
    }
    for (const std::vector<at::Tensor>& values : sets) {
      for (ir::ValueId id : node.outputs) {
        if (values[id].defined()) watch(id, values[id]);
      }
    }
  }

  at::Tensor value_of(ir::ValueId id, const std::vector<at::Tensor>& values) const {
    if (id == ir::absent) return {};
    return Weights::holds(graph_[id]) ? weights_.get(id) : values[id];
  }

  void evaluate(size_t index, std::vector<std::vector<at::Tensor>>& values) const {
    const ir::Node& node = graph_.nodes[index];
    std::vector<std::vector<at::Tensor>> arguments(values.size());
    for (size_t s = 0; s < values.size(); ++s) {
      for (ir::ValueId id : node.inputs) arguments[s].push_back(value_of(id, values[s]));
    }
    std::vector<Results> results;
    if (values.size() > 1 && is_by_row(node)) {
      results = by_row(index, arguments);
    } else {
      for (const auto& one : arguments) results.push_back(evaluate(index, one));
    }
    for (size_t s = 0; s < values.size(); ++s) {
      for (size_t k = 0; k < node.outputs.size(); ++k) values[s][node.outputs[k]] = results[s].at(k);
    }
  }

  Results evaluate(size_t index, const std::vector<at::Tensor>& arguments) const {
    const Call call{graph_.nodes[index], arguments, bodies_[index]};
    try {
      return functions_[index](call);
    } catch (const std::exception& problem) {
      throw_failure(Error(Failure::plugin, "the reference cannot evaluate " + place_of(call.node) + " of " +
                                               shapes_of(call.inputs) + ": " + reason_of(problem)),
                    problem.what());
    }
  }

  /// Whether the node does the same to each row of its first input, by a matrix that all sets share.
  bool is_by_row(const ir::Node& node) const {
    return node.domain == ir::composite_domain && node.op == "Linear" &&
           std::all_of(node.inputs.begin() + 1, node.inputs.end(),
                       [&](ir::ValueId id) { return id == ir::absent || Weights::holds(graph_[id]); });
  }

  /// The rows of all sets in one product: the matrix is read, and brought into the form that the product wants, once.
  std::vector<Results> by_row(size_t index, const std::vector<std::vector<at::Tensor>>& sets) const {
    std::vector<at::Tensor> joined = sets[0], rows;
    for (const auto& arguments : sets) rows.push_back(arguments[0].reshape({-1, arguments[0].size(-1)}));
    joined[0] = at::cat(rows);
    const at::Tensor product = evaluate(index, joined).at(0);
    std::vector<Results> results;
    int64_t begin = 0;
    for (size_t s = 0; s < sets.size(); ++s) {
      std::vector<int64_t> shape = sets[s][0].sizes().vec();
      shape.back() = product.size(1);
      results.push_back({product.narrow(0, begin, rows[s].size(0)).reshape(shape)});
      begin += rows[s].size(0);
    }
    return results;
  }

  const ir::Graph& graph_;
  Weights weights_;
  std::vector<int> uses_;
  std::vector<Evaluate> functions_;  // by node, as the bodies
  std::vector<Bodies> bodies_;
};

class GraphRunnable final : public Runnable {
 public:
  explicit GraphRunnable(const ir::Graph& graph) : graph_(graph), program_(graph_) {}
  GraphRunnable(const GraphRunnable&) = delete;
  GraphRunnable& operator=(const GraphRunnable&) = delete;

  Tensors run(const Tensors& inputs, const std::vector<std::string>& wanted) override {
    return run_all({&inputs}, wanted)[0];
  }

  std::vector<Tensors> run_all(const std::vector<const Tensors*>& sets,
                               const std::vector<std::string>& wanted) override {
    return guarded([&] {
      const c10::NoGradGuard no_gradients;
      std::vector<std::vector<at::Tensor>> given;
      for (const Tensors* inputs : sets) given.push_back(given_by(*inputs));
      const std::vector<ir::NamedValue> results = results_of(wanted);
      const std::vector<Results> tensors = program_.run(given, results);
      std::vector<Tensors> outputs(sets.size());
      for (size_t s = 0; s < sets.size(); ++s) {
        for (size_t i = 0; i < results.size(); ++i) outputs[s].emplace(results[i].name, from_aten(tensors[s][i]));
      }
      return outputs;
    });
  }

  std::map<std::string, double> magnitudes(const Tensors& inputs, const std::vector<std::string>& wanted) override {
    return guarded([&] {
      const c10::NoGradGuard no_gradients;
      std::map<ir::ValueId, double> seen;
      const std::vector<ir::NamedValue> results = results_of(wanted);
      for (const ir::NamedValue& result : results) seen.emplace(result.value, -1);
      const Watch watch = [&](ir::ValueId id, const at::Tensor& tensor) {
        const auto asked = seen.find(id);
        if (asked != seen.end() && asked->second == -1) asked->second = magnitude_of(tensor);
      };
      const std::vector<at::Tensor> given = given_by(inputs);
      for (size_t i = 0; i < given.size(); ++i) watch(graph_.inputs[i].value, given[i]);
      program_.run({given}, {}, true, watch);
      std::map<std::string, double> largest;
      for (const ir::NamedValue& result : results) {
        if (seen.at(result.value) != -1) largest.emplace(result.name, seen.at(result.value));
      }
      return largest;
    });
  }

 private:
  /// The tensors for the graph's inputs, in order.
  std::vector<at::Tensor> given_by(const Tensors& inputs) const {
    std::vector<at::Tensor> given;
    for (const ir::NamedValue& input : graph_.inputs)
      given.push_back(to_aten(given_for(input.name, graph_[input.value].type, inputs)));
    return given;
  }

  std::vector<ir::NamedValue> results_of(const std::vector<std::string>& wanted) const {
    if (wanted.empty()) return graph_.outputs;
    std::map<std::string, ir::ValueId> known;
    for (const auto* list : {&graph_.outputs, &graph_.marks}) {
      for (const ir::NamedValue& named : *list) known.emplace(named.name, named.value);
    }
    std::vector<ir::NamedValue> results;
    for (const std::string& name : wanted) {
      const auto found = known.find(name);
      if (found == known.end())
        throw Error(Failure::internal, "the graph has neither an output nor a mark '" + name + "'");
      results.push_back({name, found->second});
    }
    return results;
  }

  const ir::Graph graph_;
  const Program program_;
};

class Libtorch final : public Backend {
 public:
  std::string version() const override { return std::string("libtorch ") + TORCH_VERSION; }
  std::unique_ptr<Runnable> load_graph(const ir::Graph& graph) override {
    return guarded([&] { return std::make_unique<GraphRunnable>(graph); });
  }
  std::unique_ptr<ScriptedModel> load_script(const ScriptFile& script) override {
    return open_script(script, version());
  }
  std::optional<ScriptGraph> read_script(const std::filesystem::path& file) override {
    return reference::read_script(file, version());
  }
};

}  // namespace

at::Tensor widened(const at::Tensor& tensor) {
  const at::ScalarType type = tensor.scalar_type();
  return type == at::kHalf || type == at::kBFloat16 ? tensor.to(at::kFloat) : tensor;
}

std::vector<int64_t> numbers(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kLong).contiguous();
  return {flat.data_ptr<int64_t>(), flat.data_ptr<int64_t>() + flat.numel()};
}

}  // namespace reference
}  // namespace onnxport

extern "C" {
__attribute__((visibility("default"))) const char* onnxport_backend_stamp() {
  return ONNXPORT_BACKEND_STAMP;
}
/// The object is made on first use, and never destroyed: its library would be gone by then.
__attribute__((visibility("default"))) onnxport::Backend* onnxport_backend() {
  static auto* backend = new onnxport::reference::Libtorch();
  return backend;
}
}
