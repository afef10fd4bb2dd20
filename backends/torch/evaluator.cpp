// SPDX-License-Identifier: Apache-2.0
#include "backends/torch/evaluator.hpp"

#include <torch/version.h>

#include <cstring>
#include <set>

#include "core/backend.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace reference {
namespace {

struct TypeRow {
  ir::DType dtype;
  at::ScalarType type;
};
constexpr TypeRow types[] = {
    {ir::DType::f32, at::kFloat}, {ir::DType::f64, at::kDouble}, {ir::DType::f16, at::kHalf}, {ir::DType::bf16, at::kBFloat16},
    {ir::DType::i64, at::kLong},  {ir::DType::i32, at::kInt},    {ir::DType::i16, at::kShort}, {ir::DType::i8, at::kChar},
    {ir::DType::u8, at::kByte},   {ir::DType::boolean, at::kBool},
};

at::Tensor to_aten(const ir::Tensor& tensor) {
  at::Tensor copy = at::empty(tensor.shape, scalar_type(tensor.dtype));
  if (!tensor.data.empty()) std::memcpy(copy.data_ptr(), tensor.data.data(), tensor.data.size());
  return copy;
}

ir::Tensor from_aten(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.contiguous();
  ir::Tensor out;
  out.dtype = dtype_of(dense.scalar_type());
  out.shape.assign(dense.sizes().begin(), dense.sizes().end());
  out.data.resize(static_cast<size_t>(dense.numel()) * dense.element_size());
  if (!out.data.empty()) std::memcpy(out.data.data(), dense.data_ptr(), out.data.size());
  return out;
}

/// A weight as a tensor: over the mapped bytes where nothing is to be done to them, else a copy.
at::Tensor weight_tensor(const Weight& weight) {
  const StoredTensor& stored = *weight.stored;
  const std::byte* bytes = stored.file == nullptr ? nullptr : stored.file->bytes().data() + stored.offset;
  if (weight.transforms.empty() && bytes != nullptr && reinterpret_cast<uintptr_t>(bytes) % 8 == 0) {
    return at::from_blob(const_cast<std::byte*>(bytes), stored.shape, scalar_type(stored.dtype));
  }
  return to_aten(materialize(weight));
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

class GraphRunnable final : public Runnable {
 public:
  explicit GraphRunnable(const ir::Graph& graph) : graph_(graph), fixed_(graph.values.size()), uses_(graph.values.size(), 0) {
    for (size_t i = 1; i < graph_.values.size(); ++i) {
      const ir::Value& value = graph_.values[i];
      if (value.origin == ir::Origin::constant) fixed_[i] = to_aten(*value.constant);
      if (value.origin == ir::Origin::weight) fixed_[i] = weight_tensor(*value.weight);
    }
    for (const ir::Node& node : graph_.nodes) {
      for (ir::ValueId id : node.inputs) ++uses_[id];
      const Table& table = node.domain == ir::composite_domain ? composite_table() : operator_table();
      const auto row = node.domain.empty() || node.domain == ir::composite_domain ? table.find(node.op) : table.end();
      if (row == table.end()) {
        throw Error(Failure::plugin, "the reference cannot evaluate " + (node.domain.empty() ? "" : node.domain + ".") + node.op + " at '" + node.scope + "'",
                    "pass --no-validate, or compare with recorded outputs by validate --case");
      }
      functions_.push_back(row->second);
    }
  }

  Tensors run(const Tensors& inputs, const std::vector<std::string>& wanted) override {
    const at::NoGradGuard no_gradients;
    std::vector<at::Tensor> values = fixed_;
    std::vector<int> left = uses_;
    for (const ir::NamedValue& input : graph_.inputs) {
      const auto found = inputs.find(input.name);
      if (found == inputs.end()) throw Error(Failure::internal, "no value was given for the input '" + input.name + "'");
      values[input.value] = to_aten(found->second);
    }
    const std::vector<ir::NamedValue> results = results_of(wanted);
    for (const ir::NamedValue& result : results) ++left[result.value];
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const ir::Node& node = graph_.nodes[i];
      std::vector<at::Tensor> arguments;
      for (ir::ValueId id : node.inputs) arguments.push_back(id == ir::absent ? at::Tensor() : values[id]);
      evaluate(functions_[i], node, arguments, values);
      for (ir::ValueId id : node.inputs) {
        if (--left[id] == 0 && graph_.values[id].origin == ir::Origin::node) values[id] = at::Tensor();
      }
    }
    Tensors outputs;
    for (const ir::NamedValue& result : results) outputs.emplace(result.name, from_aten(values[result.value]));
    return outputs;
  }

 private:
  static void evaluate(Evaluate function, const ir::Node& node, const std::vector<at::Tensor>& arguments, std::vector<at::Tensor>& values) {
    try {
      const Results results = function({node, arguments});
      for (size_t k = 0; k < node.outputs.size(); ++k) values[node.outputs[k]] = results.at(k);
    } catch (const std::exception& problem) {  // ATen's own errors carry a stack trace after the first line
      const std::string text = problem.what();
      throw Error(Failure::plugin, "the reference cannot evaluate " + node.op + " at '" + node.scope + "' of " + shapes_of(arguments) + ": " +
                                       text.substr(0, text.find('\n')), "");
    }
  }

  std::vector<ir::NamedValue> results_of(const std::vector<std::string>& wanted) const {
    if (wanted.empty()) return graph_.outputs;
    std::vector<ir::NamedValue> results;
    const std::set<std::string> names(wanted.begin(), wanted.end());
    for (const auto* list : {&graph_.outputs, &graph_.marks}) {
      for (const ir::NamedValue& named : *list) {
        if (names.contains(named.name)) results.push_back(named);
      }
    }
    return results;
  }

  ir::Graph graph_;
  std::vector<at::Tensor> fixed_;
  std::vector<int> uses_;
  std::vector<Evaluate> functions_;
};

class Libtorch final : public Backend {
 public:
  std::string version() const override { return std::string("libtorch ") + TORCH_VERSION; }
  std::unique_ptr<Runnable> load_graph(const ir::Graph& graph) override { return std::make_unique<GraphRunnable>(graph); }
};

}  // namespace

at::ScalarType scalar_type(ir::DType dtype) {
  for (const TypeRow& row : types) {
    if (row.dtype == dtype) return row.type;
  }
  throw Error(Failure::internal, "the reference has no tensors of type " + std::string(ir::name_of(dtype)));
}

ir::DType dtype_of(at::ScalarType type) {
  for (const TypeRow& row : types) {
    if (row.type == type) return row.dtype;
  }
  throw Error(Failure::internal, "libtorch yields a tensor of a type that is not read");
}

}  // namespace reference
}  // namespace onnxport

extern "C" {
__attribute__((visibility("default"))) const char* onnxport_backend_stamp() { return ONNXPORT_BACKEND_STAMP; }
/// The object is made on first use, and never destroyed: its library would be gone by then.
__attribute__((visibility("default"))) onnxport::Backend* onnxport_backend() {
  static auto* backend = new onnxport::reference::Libtorch();
  return backend;
}
}
