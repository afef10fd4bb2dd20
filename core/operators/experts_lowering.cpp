// SPDX-License-Identifier: Apache-2.0
// A mixture of experts in operators that every opset has. It costs what the chosen experts cost:
//
//   Scan over the experts: If any token chose this one: gather its rows, run them through the expert, add them back
//
// A slice of the stacked weights is a view in ONNX Runtime, so that an expert that nobody chose is not read, and one
// that is chosen is not copied, which a Gather of its weights would do (measured: 3.0 ms a token against 9.3 ms,
// and 3.0 ms for a dense layer of the chosen experts' size). The slices keep torch's layout, which Gemm takes without
// turning them.
#include <map>

#include "core/ir/experts.hpp"
#include "core/ir/scalar.hpp"
#include "core/operators/experts_lowering.hpp"

namespace onnxport::ir {
namespace {

/// A graph that a node runs, under construction.
class Body {
 public:
  Body(std::string name, std::string scope) : scope_(std::move(scope)) { graph_.name = std::move(name); }

  ValueId input(const std::string& name, TensorType type) { return graph_.add_input(name, std::move(type)); }
  void output(const std::string& name, ValueId value) { graph_.add_output(name, value); }
  ValueId op(const std::string& name, Results inputs, Attributes attributes = {}) {
    return graph_.add_node({"", name, scope_, std::move(inputs), {}, std::move(attributes), ""})[0];
  }
  ValueId composite(const std::string& name, Results inputs, Attributes attributes = {}) {
    return graph_.add_node({composite_domain, name, scope_, std::move(inputs), {}, std::move(attributes), ""})[0];
  }
  ValueId scalar(double value, DType dtype) { return graph_.add_constant(float_scalar(value, dtype)); }
  ValueId run(Node node) {
    node.scope = scope_;
    return graph_.add_node(std::move(node))[0];
  }
  DType dtype(ValueId id) const { return graph_[id].type.dtype; }
  std::shared_ptr<const Graph> graph() && { return std::make_shared<const Graph>(std::move(graph_)); }

 private:
  Graph graph_;
  std::string scope_;
};

/// A value that stands in the outer graph, in a body, and in a body of that.
struct Passed {
  std::string name;
  TensorType type;
};

ValueId activated(Body& body, const std::string& name, ValueId x) {
  if (name == "silu") return body.composite("Silu", {x});
  if (name == "gelu") return body.composite("Gelu", {x}, {{"approximate", std::string("none")}});
  if (name == "gelu_tanh") return body.composite("Gelu", {x}, {{"approximate", std::string("tanh")}});
  const ValueId r = body.op("Relu", {x});
  return name == "relu2" ? body.op("Mul", {r, r}) : r;
}

/// What stands between an expert's first and last layer. `gate` may be absent.
ValueId inner_of(Body& body, const Node& node, ValueId gate, ValueId up) {
  const std::string activation = node.text("activation", "silu");
  if (gate == absent) return activated(body, activation, up);
  if (node.has("limit")) {
    const double limit = node.real("limit", 0);
    gate = body.op("Clip", {gate}, {{"max", limit}});
    up = body.op("Clip", {up}, {{"min", -limit}, {"max", limit}});
  }
  if (!node.has("alpha")) return body.op("Mul", {activated(body, activation, gate), up});
  const auto number = [&](double value) { return body.scalar(value, body.dtype(gate)); };
  const ValueId sigmoid = body.op("Sigmoid", {body.op("Mul", {gate, number(node.real("alpha", 1))})});
  return body.op("Mul", {body.op("Mul", {gate, sigmoid}), body.op("Add", {up, number(1)})});
}

class Mixture {
 public:
  explicit Mixture(Builder& b) : b_(b), node_(b.node()) {}

  ValueId run() {
    using namespace experts;
    const ValueId x = flat(node_.input(experts::x));
    const ValueId shares = routing(flat(node_.input(scores)), flat(node_.input(choice)));
    const ValueId used =
        b_.op("Not", {b_.op("Equal", {b_.op("ReduceSum", {b_.op("Abs", {shares})},
                                            {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{0}}}),
                                      b_.scalar(0, DType::f32)})});
    Results inputs{zeros_like(x), used};
    pass("sum", b_.value(inputs[0]).type);
    walk(inputs, "share", shares);
    for (const auto& [name, input] : {std::pair{"up", up},
                                      {"down", down},
                                      {"gate", gate},
                                      {"up_bias", up_bias},
                                      {"down_bias", down_bias},
                                      {"gate_bias", gate_bias}}) {
      if (node_.input(input) != absent) walk(inputs, name, node_.input(input));
    }
    Node scan;
    scan.op = "Scan";
    scan.formal_inputs = inputs.size();
    scan.attributes["num_scan_inputs"] = static_cast<int64_t>(inputs.size() - 1);
    inputs.push_back(x);
    pass("x", b_.value(x).type);
    scan.inputs = std::move(inputs);
    scan.bodies["body"] = one_expert();
    const ValueId sum = b_.run(std::move(scan), 1)[0];
    return in_shape_of(node_.input(experts::x), cast(sum, b_.dtype(x)));
  }

 private:
  // -------------------------------------------------------------------------------------- the outer graph

  ValueId cast(ValueId x, DType to) {
    return b_.dtype(x) == to ? x : b_.op("Cast", {x}, {{"to", static_cast<int64_t>(to)}});
  }
  /// f[..., n] -> f[tokens, n]
  ValueId flat(ValueId x) {
    if (x == absent || b_.shape(x).size() == 2) return x;
    return b_.reshape(x, {-1, b_.shape(x).back().size()});
  }
  ValueId in_shape_of(ValueId like, ValueId x) {
    return b_.shape(like).size() == 2 ? x : b_.op("Reshape", {x, b_.op("Shape", {like})});
  }
  /// f32, of the shape of x.
  ValueId zeros_like(ValueId x) { return b_.op("Expand", {b_.scalar(0, DType::f32), b_.op("Shape", {x})}); }

  /// f32[experts, tokens]: what an expert counts for a token, and 0 where it is not chosen.
  ValueId routing(ValueId scores, ValueId choice) {
    const Attributes last{{"axis", int64_t{1}}};
    scores = cast(scores, DType::f32);
    Attributes best = last;
    best["k"] = node_.integer("top_k", 1);
    const Results top = b_.ops("", "TopK", {choice == absent ? scores : choice}, best, 2);
    ValueId share = choice == absent ? top[0] : b_.op("GatherElements", {scores, top[1]}, last);
    if (node_.integer("normalize", 0) != 0) {
      ValueId sum = b_.op("ReduceSum", {share}, {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{1}}});
      if (const double epsilon = node_.real("normalize_epsilon", 0); epsilon != 0)
        sum = b_.op("Add", {sum, b_.scalar(epsilon, DType::f32)});
      share = b_.op("Div", {share, sum});
    }
    if (const double scale = node_.real("scale", 1); scale != 1)
      share = b_.op("Mul", {share, b_.scalar(scale, DType::f32)});
    return b_.transpose(b_.op("ScatterElements", {zeros_like(scores), top[1], share}, last), {1, 0});
  }

  void pass(std::string name, TensorType type) { passed_.push_back({std::move(name), std::move(type)}); }

  /// An input whose first axis is that of the experts.
  void walk(Results& inputs, const std::string& name, ValueId value) {
    inputs.push_back(value);
    TensorType slice = b_.value(value).type;
    slice.shape.erase(slice.shape.begin());
    pass(name, std::move(slice));
  }

  // ------------------------------------------------------------------------------------------- its bodies

  /// Adds the passed values as inputs of a body.
  std::map<std::string, ValueId> take(Body& body) const {
    std::map<std::string, ValueId> values;
    for (const Passed& passed : passed_) values[passed.name] = body.input(passed.name, passed.type);
    return values;
  }

  /// sum, whether the expert is used, what is passed -> sum
  std::shared_ptr<const Graph> one_expert() const {
    Body body("expert", node_.scope);
    Node choose;
    choose.op = "If";
    choose.formal_inputs = 1;
    const ValueId sum = body.input(passed_[0].name, passed_[0].type);
    choose.inputs = {body.input("used", {DType::boolean, {}}), sum};
    for (size_t i = 1; i < passed_.size(); ++i) choose.inputs.push_back(body.input(passed_[i].name, passed_[i].type));
    choose.bodies = {{"then_branch", added()}, {"else_branch", unchanged()}};
    body.output("sum", body.run(std::move(choose)));
    return std::move(body).graph();
  }

  std::shared_ptr<const Graph> unchanged() const {
    Body body("unused", node_.scope);
    body.output("sum", take(body).at("sum"));
    return std::move(body).graph();
  }

  /// The sum with what the expert makes of the tokens that chose it. A token is in it once, so that no entry of the sum
  /// is written twice.
  std::shared_ptr<const Graph> added() const {
    Body body("used", node_.scope);
    std::map<std::string, ValueId> in = take(body);
    const auto linear = [&](const std::string& name, ValueId of) {
      Results inputs{of, in.at(name)};
      if (in.contains(name + "_bias")) inputs.push_back(in.at(name + "_bias"));
      return body.op("Gemm", std::move(inputs), {{"transB", int64_t{1}}});
    };
    const Attributes first{{"axis", int64_t{0}}};
    const ValueId entries = body.op("NonZero", {in.at("share")});
    const ValueId tokens = body.op("Squeeze", {entries}, {{"axes", std::vector<int64_t>{0}}});
    const ValueId rows = body.op("Gather", {in.at("x"), tokens}, first);
    const ValueId gate = in.contains("gate") ? linear("gate", rows) : absent;
    ValueId y = linear("down", inner_of(body, node_, gate, linear("up", rows)));
    if (body.dtype(y) != DType::f32) y = body.op("Cast", {y}, {{"to", static_cast<int64_t>(DType::f32)}});
    const ValueId share =
        body.op("Unsqueeze", {body.op("Gather", {in.at("share"), tokens}, first)}, {{"axes", std::vector<int64_t>{1}}});
    const ValueId before = body.op("Gather", {in.at("sum"), tokens}, first);
    const ValueId after = body.op("Add", {before, body.op("Mul", {y, share})});
    const ValueId places = body.op("Transpose", {entries}, {{"perm", std::vector<int64_t>{1, 0}}});
    body.output("sum", body.op("ScatterND", {in.at("sum"), places, after}));
    return std::move(body).graph();
  }

  Builder& b_;
  const Node& node_;
  std::vector<Passed> passed_;
};

}  // namespace

Results lower_mixture_of_experts(Builder& b) {
  return {Mixture(b).run()};
}

}  // namespace onnxport::ir
