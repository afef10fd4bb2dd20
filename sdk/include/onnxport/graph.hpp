// SPDX-License-Identifier: Apache-2.0
// Building a graph: values, scopes and nodes. The vocabulary of layers is in layers.hpp.
//
// Nodes are named after modules, and the module travels with the values: an operation stands where the first of its
// inputs stands that stands anywhere. A layer's result stands in the module that holds the layer, so that
// `linear(output / "dense", x) + y` is named after `output`; x.in(module) takes a value into a module. The order in
// which a definition calls its helpers means nothing.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <deque>
#include <exception>
#include <initializer_list>
#include <limits>
#include <map>
#include <string>
#include <type_traits>
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
  u8 = ONNXPORT_U8,
  i8 = ONNXPORT_I8,
  u16 = ONNXPORT_U16,
  i16 = ONNXPORT_I16,
  u32 = ONNXPORT_U32,
  u64 = ONNXPORT_U64,
  f8e4m3 = ONNXPORT_F8E4M3FN,
  f8e5m2 = ONNXPORT_F8E5M2,
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

/// An attribute of a node: a number, a text, or a list of numbers. `{"axes", {1}}` is a list of one.
struct Attribute {
  std::string name;
  int32_t type;
  int64_t i = 0;
  double f = 0;
  std::string s;
  std::vector<int64_t> ints;
  std::vector<double> floats;
  Attribute(std::string n, int64_t v) : name(std::move(n)), type(ONNXPORT_ATTR_INT), i(v) {}
  Attribute(std::string n, int v) : Attribute(std::move(n), static_cast<int64_t>(v)) {}
  Attribute(std::string n, bool v) : Attribute(std::move(n), static_cast<int64_t>(v)) {}
  Attribute(std::string n, double v) : name(std::move(n)), type(ONNXPORT_ATTR_FLOAT), f(v) {}
  Attribute(std::string n, std::string v) : name(std::move(n)), type(ONNXPORT_ATTR_STRING), s(std::move(v)) {}
  Attribute(std::string n, const char* v) : Attribute(std::move(n), std::string(v)) {}
  Attribute(std::string n, std::vector<int64_t> v) : name(std::move(n)), type(ONNXPORT_ATTR_INTS), ints(std::move(v)) {}
  Attribute(std::string n, std::vector<double> v)
      : name(std::move(n)), type(ONNXPORT_ATTR_FLOATS), floats(std::move(v)) {}
  /// A list in braces is one of integers or of reals, and never a single number.
  template <class Number>
  Attribute(std::string n, std::initializer_list<Number> v)
      : Attribute(std::move(n),
                  std::vector<std::conditional_t<std::is_integral_v<Number>, int64_t, double>>(v.begin(), v.end())) {}
};

class Graph;
class Scope;

/// A tensor in the graph that is being built, and the module where it stands. Cheap to copy; belongs to its graph. A
/// default one is "absent".
class Value {
 public:
  Value() = default;
  /// `place` as of Graph::place().
  Value(Graph& graph, onnxport_value id, uint32_t place = 0) : graph_(&graph), id_(id), place_(place) {}
  explicit operator bool() const { return id_ != 0; }
  /// Throws GRAPH where the value is absent.
  Graph& graph() const {
    if (graph_ == nullptr)
      throw Error(ONNXPORT_GRAPH,
                  "an absent value is used, such as an input that the feature does not have; ask `if (value)` first");
    return *graph_;
  }
  onnxport_value id() const { return id_; }
  DType dtype() const;
  std::vector<Dim> shape() const;
  size_t rank() const { return shape().size(); }
  /// The length of an axis that is known to be fixed (negative axes count from the end). Throws GRAPH where not.
  int64_t fixed(int64_t axis, const char* file = __builtin_FILE(), uint32_t line = __builtin_LINE()) const;

  /// The same tensor, standing in a module: what is made of it first is named after that one.
  Value in(const Scope& module) const;
  /// 0: nowhere, as a graph's inputs and constants; else a number of Graph::path().
  uint32_t place() const { return place_; }

 private:
  Graph* graph_ = nullptr;
  onnxport_value id_ = 0;
  uint32_t place_ = 0;
};

/// A value as an operation is given it: it brings the line of the call. Functions take their first one so.
class Operand : public Value {
 public:
  Operand(const Value& value, const char* file = __builtin_FILE(), uint32_t line = __builtin_LINE())  // NOLINT
      : Value(value), site_(file, line) {}

 private:
  CallSite site_;
};

/// What a step of a recurrence makes: the states from now on, and a row of each result.
struct ScanStep {
  std::vector<Value> states, rows;
};
/// A recurrence: ONNX's Scan.
struct ScanOver {
  std::vector<Value> states;      ///< what the first step is given
  std::vector<Value> walked;      ///< a step is given a slice of the first axis of each
  std::vector<Value> captures{};  ///< what every step sees of the graph around it, weights among them
  size_t rows = 0;                ///< how many rows a step makes
};
/// What it comes to.
struct ScanResult {
  std::vector<Value> states;  ///< behind the last step
  std::vector<Value> rows;    ///< of all steps, one behind the other along a new first axis
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
  /// The module that holds this one; the root's is the root.
  Scope parent() const {
    const size_t dot = path_.rfind('.');
    return Scope(*graph_, dot == std::string::npos ? std::string() : path_.substr(0, dot));
  }

  /// The tensor `name` of this module, which must have this shape.
  Value weight(std::string_view name, const std::vector<int64_t>& shape, const char* file = __builtin_FILE(),
               uint32_t line = __builtin_LINE()) const;
  /// Whether the checkpoint has the tensor.
  bool has(std::string_view name) const;

  /// An ONNX operator with one result, standing in this module.
  Value op(const CalledName& name, const std::vector<Value>& inputs,
           const std::vector<Attribute>& attributes = {}) const;
  /// A composite with one result, standing in this module.
  Value composite(const CalledName& name, const std::vector<Value>& inputs,
                  const std::vector<Attribute>& attributes = {}) const;

 private:
  Graph* graph_;
  std::string path_;
};

/// One operation: which, on what, with what. docs/operators.md lists them.
struct Operation {
  std::string domain;  // "" is ONNX, "onnxport" the composites
  std::string op;
  std::vector<Value> inputs;
  std::vector<Attribute> attributes;
  size_t outputs = 1;
  /// Where it stands, as of Graph::place(); 0: where its inputs do.
  uint32_t place = 0;
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
    return {*this, id};
  }

  /// Adds a node and yields its results, which stand where it does.
  std::vector<Value> add(const Operation& operation, const char* file = __builtin_FILE(),
                         uint32_t line = __builtin_LINE()) {
    const CallSite site(file, line);
    const uint32_t place = operation.place != 0 ? operation.place : place_of(operation.inputs);
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
      to.floats = from.floats.data();
      to.count = from.type == ONNXPORT_ATTR_FLOATS ? from.floats.size() : from.ints.size();
      attributes.push_back(to);
    }
    onnxport_node node{};
    node.struct_size = sizeof node;
    node.domain = to_abi(operation.domain);
    node.op = to_abi(operation.op);
    node.scope = to_abi(path(place));
    node.inputs = inputs.data();
    node.input_count = inputs.size();
    node.attributes = attributes.data();
    node.attribute_count = attributes.size();
    node.output_count = operation.outputs;
    std::vector<onnxport_value> ids(operation.outputs);
    check_at(place, api_->node(handle_, &node, ids.data()));
    std::vector<Value> results;
    for (onnxport_value id : ids) results.emplace_back(*this, id, place);
    return results;
  }
  /// add() of an ONNX operator with one result.
  Value op(const CalledName& name, const std::vector<Value>& inputs, const std::vector<Attribute>& attributes = {}) {
    return add({"", std::string(std::string_view(name)), inputs, attributes})[0];
  }
  /// add() of a composite with one result.
  Value composite(const CalledName& name, const std::vector<Value>& inputs,
                  const std::vector<Attribute>& attributes = {}) {
    return add({composites, std::string(std::string_view(name)), inputs, attributes})[0];
  }

  /// Whether the host knows an operator: a definition can use a newer one where there is one, and do without elsewhere.
  bool has_operator(std::string_view op, std::string_view domain = "") const {
    return api_->has_operator(handle_, to_abi(domain), to_abi(op)) != 0;
  }

  template <class T>
  Value constant(DType dtype, const std::vector<int64_t>& shape, const std::vector<T>& values,
                 const char* file = __builtin_FILE(), uint32_t line = __builtin_LINE()) {
    const CallSite site(file, line);
    onnxport_tensor tensor{};
    tensor.struct_size = sizeof tensor;
    tensor.dtype = static_cast<int32_t>(dtype);
    tensor.rank = static_cast<uint32_t>(shape.size());
    tensor.shape = shape.data();
    tensor.data = values.data();
    tensor.bytes = values.size() * sizeof(T);
    onnxport_value id = 0;
    check(host_, api_->constant(handle_, &tensor, &id));
    return {*this, id};
  }
  /// A number of any type that computes; integers are rounded towards 0, and what they cannot hold is refused.
  Value scalar(double value, DType dtype = DType::f32, const char* file = __builtin_FILE(),
               uint32_t line = __builtin_LINE());
  Value integer(int64_t value) { return constant<int64_t>(DType::i64, {}, {value}); }
  Value integers(const std::vector<int64_t>& values) {
    return constant<int64_t>(DType::i64, {static_cast<int64_t>(values.size())}, values);
  }

  /// A recurrence along the first axis of what is walked. `step` defines one step once, in a graph of its own: of this
  /// one it sees nothing but `inputs`, the states, slices and captures in this order.
  /// step(Graph&, const std::vector<Value>& inputs) -> ScanStep. Throws UNSUPPORTED where the host is of an ABI
  /// before 1.4.
  template <class Step>
  ScanResult scan(const Scope& scope, const ScanOver& over, Step step);

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
  /// Where the checkpoint has no tensor of `module`, that of `other` is taken: of a table that two modules share either
  /// may have been kept.
  void stand_in(const Scope& module, const Scope& other) { stand_ins_.emplace(module.path(), other.path()); }
  /// The path of the module that stands in for this one; null where none does.
  const std::string* stand_in_of(const std::string& path) const {
    const auto found = stand_ins_.find(path);
    return found == stand_ins_.end() ? nullptr : &found->second;
  }
  /// Tensors that are known not to be used, as a pattern with *.
  void unused(std::string_view pattern) { check(host_, weights_->unused(handle_, to_abi(pattern))); }

  /// The root of the module tree.
  Scope root() { return Scope(*this); }

  /// The number of a module's path, for Value and Operation.
  uint32_t place(const std::string& path) {
    const auto [found, fresh] = places_.emplace(path, static_cast<uint32_t>(paths_.size()));
    if (fresh) paths_.push_back(path);
    return found->second;
  }
  /// And the path of a number; the empty path of 0.
  const std::string& path(uint32_t place) const { return paths_.at(place); }

  const onnxport_host* host() const { return host_; }
  onnxport_graph* handle() const { return handle_; }
  const onnxport_graph_1& api() const { return *api_; }
  const onnxport_weights_1& weights() const { return *weights_; }

 private:
  static uint32_t place_of(const std::vector<Value>& inputs) {
    for (const Value& input : inputs) {
      if (input.place() != 0) return input.place();
    }
    return 0;
  }

  /// Throws what a status says, at this place unless it names one.
  void check_at(uint32_t place, onnxport_status* status) const {
    try {
      check(host_, status);
    } catch (const Error& error) {
      if (!error.place().empty()) throw;
      throw Error(error.code(), error.what(), path(place));
    }
  }

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
  std::map<std::string, std::string> stand_ins_;
  std::map<std::string, uint32_t> places_;
  std::deque<std::string> paths_{std::string()};  // [0] is nowhere; references stay valid
};

namespace detail {
/// A step's definition on its way through the host.
template <class Step>
struct ScanCall {
  const onnxport_host* host;
  size_t inputs, states, rows;
  std::string place;
  Step* step;

  static onnxport_status* define(void* self, onnxport_graph* inside, const onnxport_value* given,
                                 onnxport_value* results) noexcept {
    const ScanCall& call = *static_cast<ScanCall*>(self);
    try {
      Graph graph(call.host, inside);
      const uint32_t place = graph.place(call.place);
      std::vector<Value> inputs;
      for (size_t i = 0; i < call.inputs; ++i) inputs.emplace_back(graph, given[i], place);
      const ScanStep made = (*call.step)(graph, inputs);
      if (made.states.size() != call.states || made.rows.size() != call.rows)
        throw Error(ONNXPORT_GRAPH, "a step yields another number of states or rows than its recurrence has");
      for (const std::vector<Value>* list : {&made.states, &made.rows}) {
        for (const Value& value : *list) *results++ = value.id();
      }
      return nullptr;
    } catch (const Error& error) {
      return call.host->status_make(error.code(), to_abi(error.what()), to_abi(error.place()));
    } catch (const std::exception& error) {
      return call.host->status_make(ONNXPORT_INTERNAL, to_abi(error.what()), to_abi(call.place));
    }
  }
};
}  // namespace detail

template <class Step>
ScanResult Graph::scan(const Scope& scope, const ScanOver& over, Step step) {
  if (api_->struct_size < offsetof(onnxport_graph_1, scan) + sizeof api_->scan)
    throw Error(ONNXPORT_UNSUPPORTED, "the host has no recurrences; it is of an ABI before 1.4", scope.path());
  const auto ids = [](const std::vector<Value>& values) {
    std::vector<onnxport_value> list;
    for (const Value& value : values) list.push_back(value.id());
    return list;
  };
  const auto states = ids(over.states), walked = ids(over.walked), captures = ids(over.captures);
  detail::ScanCall<Step> call{
      host_, states.size() + walked.size() + captures.size(), states.size(), over.rows, scope.path(), &step};
  const onnxport_scan request{sizeof(onnxport_scan),
                              to_abi(scope.path()),
                              states.data(),
                              states.size(),
                              walked.data(),
                              walked.size(),
                              captures.data(),
                              captures.size(),
                              over.rows,
                              detail::ScanCall<Step>::define,
                              &call};
  std::vector<onnxport_value> made(states.size() + over.rows);
  const uint32_t place = this->place(scope.path());
  check_at(place, api_->scan(handle_, &request, made.data()));
  ScanResult result;
  for (size_t i = 0; i < made.size(); ++i)
    (i < states.size() ? result.states : result.rows).emplace_back(*this, made[i], place);
  return result;
}

inline DType Value::dtype() const {
  onnxport_type type{};
  check(graph().host(), graph().api().type_of(graph().handle(), id_, &type));
  return static_cast<DType>(type.dtype);
}

inline std::vector<Dim> Value::shape() const {
  onnxport_type type{};
  check(graph().host(), graph().api().type_of(graph().handle(), id_, &type));
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

inline int64_t Value::fixed(int64_t axis, const char* file, uint32_t line) const {
  const CallSite site(file, line);
  const std::vector<Dim> dims = shape();
  const auto index = static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(dims.size()) : axis);
  if (index >= dims.size()) {
    throw Error(ONNXPORT_GRAPH,
                "axis " + std::to_string(axis) + " is asked for of a value of rank " + std::to_string(dims.size()),
                graph_->path(place_));
  }
  if (!dims[index].is_static()) {
    throw Error(ONNXPORT_GRAPH,
                "axis " + std::to_string(axis) + " has no fixed length, it is '" + dims[index].symbol +
                    "'; size_of() yields the length that it has at run time",
                graph_->path(place_));
  }
  return dims[index].size;
}

inline Value Value::in(const Scope& module) const {
  if (graph_ == nullptr) return *this;
  return {*graph_, id_, graph_->place(module.path())};
}

inline Value Scope::weight(std::string_view name, const std::vector<int64_t>& shape, const char* file,
                           uint32_t line) const {
  const CallSite site(file, line);
  onnxport_value id = 0;
  std::string full = (*this / name).path();
  if (const std::string* other = graph_->stand_in_of(path_); other != nullptr && !has(name)) {
    const Scope instead(*graph_, *other);
    if (instead.has(name)) full = (instead / name).path();
  }
  check(graph_->host(), graph_->weights().weight(graph_->handle(), to_abi(full), shape.data(),
                                                 static_cast<uint32_t>(shape.size()), &id));
  return {*graph_, id, graph_->place(path_)};
}

inline Value Scope::op(const CalledName& name, const std::vector<Value>& inputs,
                       const std::vector<Attribute>& attributes) const {
  return graph_->add({"", std::string(std::string_view(name)), inputs, attributes, 1, graph_->place(path_)})[0];
}

inline Value Scope::composite(const CalledName& name, const std::vector<Value>& inputs,
                              const std::vector<Attribute>& attributes) const {
  return graph_->add({composites, std::string(std::string_view(name)), inputs, attributes, 1, graph_->place(path_)})[0];
}

namespace detail {

/// The bits of a number as bfloat16 and as a half, rounded to the nearest, ties to even.
inline uint16_t bf16_bits(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  if (value != value) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
inline uint16_t f16_bits(double value) {
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000u : 0u);
  const double size = std::fabs(value);
  if (size != size) return 0x7e00u;
  if (size >= 65520.0) return static_cast<uint16_t>(sign | 0x7c00u);
  int exponent = 0;
  std::frexp(size, &exponent);
  const int scale = std::max(exponent - 11, -24);  // of the last bit; numbers below 2^-14 share one
  const auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(size, -scale)));
  // Steps beyond 11 bits carry into the exponent by themselves.
  return static_cast<uint16_t>(sign | (scale == -24 ? steps : steps + (static_cast<uint32_t>(scale + 24) << 10)));
}

/// A number as an integer of a type, without what stands behind its point. Throws where the type does not hold it.
template <class Integer>
Integer whole(double value) {
  const double least = std::trunc(value), end = std::ldexp(1.0, std::numeric_limits<Integer>::digits);
  if (least >= static_cast<double>(std::numeric_limits<Integer>::min()) && least < end)
    return static_cast<Integer>(value);
  throw Error(ONNXPORT_INVALID_ARGUMENT, "a scalar is " + std::to_string(value) + ", which an integer of " +
                                             std::to_string(8 * sizeof(Integer)) + " bits cannot hold");
}

}  // namespace detail

inline Value Graph::scalar(double value, DType dtype, const char* file, uint32_t line) {
  const CallSite site(file, line);
  switch (dtype) {
    case DType::f64:
      return constant<double>(dtype, {}, {value});
    case DType::f16:
      return constant<uint16_t>(dtype, {}, {detail::f16_bits(value)});
    case DType::bf16:
      return constant<uint16_t>(dtype, {}, {detail::bf16_bits(static_cast<float>(value))});
    case DType::i64:
      return constant<int64_t>(dtype, {}, {detail::whole<int64_t>(value)});
    case DType::i32:
      return constant<int32_t>(dtype, {}, {detail::whole<int32_t>(value)});
    case DType::u8:
      return constant<uint8_t>(dtype, {}, {detail::whole<uint8_t>(value)});
    case DType::i8:
      return constant<int8_t>(dtype, {}, {detail::whole<int8_t>(value)});
    case DType::boolean:
      return constant<uint8_t>(dtype, {}, {static_cast<uint8_t>(value != 0)});
    case DType::f32:
      return constant<float>(dtype, {}, {static_cast<float>(value)});
    default:
      throw Error(ONNXPORT_INVALID_ARGUMENT, "a scalar cannot be of the type " +
                                                 std::to_string(static_cast<int32_t>(dtype)) +
                                                 "; expected f16, bf16, f32, f64, i8, u8, i32, i64 or boolean");
  }
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
