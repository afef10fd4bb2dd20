// SPDX-License-Identifier: Apache-2.0
// Building a graph: values, scopes and nodes. The vocabulary of layers is in layers.hpp.
#pragma once

#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/error.hpp>

namespace onnxport::sdk {

enum class DType : int32_t {
  undefined = ONNXPORT_UNDEFINED,
  f32 = ONNXPORT_F32,
  i32 = ONNXPORT_I32,
  i64 = ONNXPORT_I64,
  boolean = ONNXPORT_BOOL,
  f16 = ONNXPORT_F16,
  f64 = ONNXPORT_F64,
  bf16 = ONNXPORT_BF16,
};

/// One axis: a number, or a name ("batch") or sum of names ("past_sequence + sequence").
struct Dim {
  int64_t size = -1;
  std::string symbol;
  Dim() = default;
  Dim(int64_t fixed) : size(fixed) {}                 // NOLINT: a number is an axis
  Dim(int fixed) : size(fixed) {}                     // NOLINT
  Dim(const char* name) : symbol(name) {}             // NOLINT: and so is a name
  Dim(std::string name) : symbol(std::move(name)) {}  // NOLINT
  /// Of that size in the graph, while the file leaves the axis of an input open under the name.
  static Dim open(int64_t fixed, std::string name) {
    Dim dim(fixed);
    dim.symbol = std::move(name);
    return dim;
  }
  bool is_static() const { return size >= 0; }
};

class Graph;

/// A tensor in the graph that is being built. Cheap to copy; belongs to its graph. A default one is "absent".
class Value {
 public:
  Value() = default;
  Value(Graph* graph, onnxport_value id) : graph_(graph), id_(id) {}
  explicit operator bool() const { return id_ != 0; }
  Graph& graph() const { return *graph_; }
  onnxport_value id() const { return id_; }
  DType dtype() const;
  std::vector<Dim> shape() const;
  size_t rank() const { return shape().size(); }
  /// The length of an axis that is known to be fixed (negative axes count from the end). Throws GRAPH where not.
  int64_t fixed(int64_t axis) const;

 private:
  Graph* graph_ = nullptr;
  onnxport_value id_ = 0;
};

/// A place in the module tree. Weight names and node names follow from it: (scope / "query") holds
/// "….query.weight". An immutable value.
class Scope {
 public:
  explicit Scope(Graph& graph, std::string path = {}) : graph_(&graph), path_(std::move(path)) {}
  Scope operator/(std::string_view child) const {
    return Scope(*graph_, path_.empty() ? std::string(child) : path_ + "." + std::string(child));
  }
  Scope operator/(int64_t index) const { return *this / std::to_string(index); }
  Graph& graph() const { return *graph_; }
  const std::string& path() const { return path_; }
  /// The module that holds this one.
  std::string parent() const {
    const size_t dot = path_.rfind('.');
    return dot == std::string::npos ? std::string() : path_.substr(0, dot);
  }

  /// The tensor `name` of this module, which must have this shape.
  Value weight(std::string_view name, const std::vector<int64_t>& shape) const;
  /// Whether the checkpoint has the tensor.
  bool has(std::string_view name) const;

 private:
  Graph* graph_;
  std::string path_;
};

/// An attribute of a node.
struct Attribute {
  std::string name;
  int32_t type;
  int64_t i = 0;
  double f = 0;
  std::string s;
  std::vector<int64_t> ints;
  Attribute(std::string n, int64_t v) : name(std::move(n)), type(ONNXPORT_ATTR_INT), i(v) {}
  Attribute(std::string n, int v) : Attribute(std::move(n), static_cast<int64_t>(v)) {}
  Attribute(std::string n, bool v) : Attribute(std::move(n), static_cast<int64_t>(v)) {}
  Attribute(std::string n, double v) : name(std::move(n)), type(ONNXPORT_ATTR_FLOAT), f(v) {}
  Attribute(std::string n, std::string v) : name(std::move(n)), type(ONNXPORT_ATTR_STRING), s(std::move(v)) {}
  Attribute(std::string n, const char* v) : Attribute(std::move(n), std::string(v)) {}
  Attribute(std::string n, std::vector<int64_t> v) : name(std::move(n)), type(ONNXPORT_ATTR_INTS), ints(std::move(v)) {}
};

/// One operation: which, on what, with what. docs/operators.md lists them.
struct Operation {
  std::string domain;  // "" is ONNX, "onnxport" the composites
  std::string op;
  std::vector<Value> inputs;
  std::vector<Attribute> attributes;
  size_t outputs = 1;
};

inline constexpr const char* composites = "onnxport";

/// The graph that forward() builds. Not copyable; lives for one forward().
class Graph {
 public:
  Graph(const onnxport_host* host, onnxport_graph* handle)
      : host_(host),
        handle_(handle),
        api_(interface<onnxport_graph_1>("graph")),
        weights_(interface<onnxport_weights_1>("weights")) {}
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  Value input(std::string_view name) {
    onnxport_value id = 0;
    check(host_, api_->input(handle_, to_abi(name), &id));
    return {this, id};
  }

  /// Adds a node in the current scope and yields its results.
  std::vector<Value> add(const Operation& operation) {
    std::vector<onnxport_value> inputs;
    for (const Value& value : operation.inputs) inputs.push_back(value.id());
    std::vector<onnxport_attribute> attributes;
    for (const Attribute& from : operation.attributes) {
      onnxport_attribute to{};
      to.struct_size = sizeof to;
      to.name = to_abi(from.name);
      to.type = from.type;
      to.i = from.i;
      to.f = from.f;
      to.s = to_abi(from.s);
      to.ints = from.ints.data();
      to.count = from.ints.size();
      attributes.push_back(to);
    }
    onnxport_node node{};
    node.struct_size = sizeof node;
    node.domain = to_abi(operation.domain);
    node.op = to_abi(operation.op);
    node.scope = to_abi(scope_);
    node.inputs = inputs.data();
    node.input_count = inputs.size();
    node.attributes = attributes.data();
    node.attribute_count = attributes.size();
    node.output_count = operation.outputs;
    std::vector<onnxport_value> ids(operation.outputs);
    check(host_, api_->node(handle_, &node, ids.data()));
    std::vector<Value> results;
    for (onnxport_value id : ids) results.emplace_back(this, id);
    return results;
  }
  /// add() of an ONNX operator with one result.
  Value op(std::string_view name, const std::vector<Value>& inputs, const std::vector<Attribute>& attributes = {}) {
    return add({"", std::string(name), inputs, attributes})[0];
  }
  /// add() of a composite with one result.
  Value composite(std::string_view name, const std::vector<Value>& inputs,
                  const std::vector<Attribute>& attributes = {}) {
    return add({composites, std::string(name), inputs, attributes})[0];
  }

  template <class T>
  Value constant(DType dtype, const std::vector<int64_t>& shape, const std::vector<T>& values) {
    onnxport_tensor tensor{};
    tensor.struct_size = sizeof tensor;
    tensor.dtype = static_cast<int32_t>(dtype);
    tensor.rank = static_cast<uint32_t>(shape.size());
    tensor.shape = shape.data();
    tensor.data = values.data();
    tensor.bytes = values.size() * sizeof(T);
    onnxport_value id = 0;
    check(host_, api_->constant(handle_, &tensor, &id));
    return {this, id};
  }
  Value scalar(double value, DType dtype = DType::f32) {
    if (dtype == DType::i64) return constant<int64_t>(DType::i64, {}, {static_cast<int64_t>(value)});
    return constant<float>(DType::f32, {}, {static_cast<float>(value)});
  }
  Value integer(int64_t value) { return constant<int64_t>(DType::i64, {}, {value}); }
  Value integers(const std::vector<int64_t>& values) {
    return constant<int64_t>(DType::i64, {static_cast<int64_t>(values.size())}, values);
  }

  void output(std::string_view name, const Value& value) {
    check(host_, api_->output(handle_, to_abi(name), value.id()));
  }
  /// Names a step, so that --outputs can ask for it. Yields the value.
  Value mark(std::string_view name, const Value& value) {
    check(host_, api_->mark(handle_, to_abi(name), value.id()));
    return value;
  }
  /// Whether the user asked for a further output that costs work.
  bool wants(std::string_view name) { return api_->wants(handle_, to_abi(name)) != 0; }
  /// Tensors that are known not to be used, as a pattern with *.
  void unused(std::string_view pattern) { check(host_, weights_->unused(handle_, to_abi(pattern))); }

  /// The root of the module tree.
  Scope root() { return Scope(*this); }
  /// The scope that names the nodes of plain operators. A layer of layers.hpp leaves it at the module that
  /// holds it, so that `linear(output / "dense", x) + y` is named after `output`.
  const std::string& scope() const { return scope_; }
  void set_scope(std::string path) { scope_ = std::move(path); }

  const onnxport_host* host() const { return host_; }
  onnxport_graph* handle() const { return handle_; }
  const onnxport_graph_1& api() const { return *api_; }
  const onnxport_weights_1& weights() const { return *weights_; }

 private:
  template <class Table>
  const Table* interface(std::string_view name) {
    const auto* table = static_cast<const Table*>(host_->get_interface(host_, to_abi(name), 1));
    if (table == nullptr)
      throw Error(ONNXPORT_UNSUPPORTED, "the host does not offer the interface " + std::string(name) + "/1");
    return table;
  }

  const onnxport_host* host_;
  onnxport_graph* handle_;
  const onnxport_graph_1* api_;
  const onnxport_weights_1* weights_;
  std::string scope_;
};

/// Names the nodes of plain operators after a module until the end of the block.
class Within {
 public:
  explicit Within(const Scope& scope) : graph_(scope.graph()), before_(graph_.scope()) {
    graph_.set_scope(scope.path());
  }
  ~Within() { graph_.set_scope(before_); }
  Within(const Within&) = delete;
  Within& operator=(const Within&) = delete;

 private:
  Graph& graph_;
  std::string before_;
};

inline DType Value::dtype() const {
  onnxport_type type{};
  check(graph_->host(), graph_->api().type_of(graph_->handle(), id_, &type));
  return static_cast<DType>(type.dtype);
}

inline std::vector<Dim> Value::shape() const {
  onnxport_type type{};
  check(graph_->host(), graph_->api().type_of(graph_->handle(), id_, &type));
  std::vector<Dim> dims;
  for (uint32_t i = 0; i < type.rank; ++i) {
    const onnxport_dim& dim = type.dims[i];
    if (dim.size >= 0)
      dims.emplace_back(dim.size);
    else
      dims.emplace_back(std::string(from_abi(dim.symbol)));
  }
  return dims;
}

inline int64_t Value::fixed(int64_t axis) const {
  const std::vector<Dim> dims = shape();
  const auto index = static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(dims.size()) : axis);
  if (index >= dims.size() || !dims[index].is_static()) {
    throw Error(ONNXPORT_GRAPH, "axis " + std::to_string(axis) + " has no fixed length", graph_->scope());
  }
  return dims[index].size;
}

inline Value Scope::weight(std::string_view name, const std::vector<int64_t>& shape) const {
  onnxport_value id = 0;
  const std::string full = (*this / name).path();
  check(graph_->host(), graph_->weights().weight(graph_->handle(), to_abi(full), shape.data(),
                                                 static_cast<uint32_t>(shape.size()), &id));
  return {graph_, id};
}

/// The first of the places whose tensor `name` the checkpoint has, else the first of all: for a weight that models save
/// under one of several names.
inline Scope first_with(std::string_view name, const std::vector<Scope>& places) {
  for (const Scope& place : places) {
    if (place.has(name)) return place;
  }
  return places.at(0);
}

inline bool Scope::has(std::string_view name) const {
  const std::string full = (*this / name).path();
  return graph_->weights().has(graph_->handle(), to_abi(full)) != 0;
}

}  // namespace onnxport::sdk
