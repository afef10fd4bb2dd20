// SPDX-License-Identifier: Apache-2.0
// A mixture of experts in operators that every opset has. It costs what the chosen experts cost, in one of two forms:
//
//   Scan over groups of experts: If any of the group was chosen:
//     Scan over its experts: If this one was: gather its tokens' rows, run them through the expert, add them back
//
//   Loop over the chosen experts: gather the expert's weights and its tokens' rows, run them, add them back
//
// A slice that a Scan walks is a view in ONNX Runtime, so that an expert that nobody chose is not read, and one that is
// chosen is not copied; a Gather copies. But a Scan takes a few microseconds for each slice, chosen or not: groups pass
// over most of them at once, and experts that are copied sooner than that are looped over. Measured on one token, in
// times of a dense layer of the chosen experts' size: 4 of 128 experts of 1024x512, 1.2 and 1.9; 2 of 128 of 64x32, 8.3
// and 3.5, where all in one Scan were 20. The weights keep torch's layout, which Gemm takes without turning them.
#include <algorithm>
#include <initializer_list>
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

/// A matrix of this many elements is copied about as fast as groups of experts are walked.
constexpr int64_t most_copied = int64_t{1} << 16;

/// A value that a body is handed, with the value outside.
struct Passed {
  std::string name;
  ValueId outside = absent;
  TensorType type;
};
using Handed = std::vector<Passed>;

/// Each as a slice of its first axis.
Handed sliced(Handed handed) {
  for (Passed& one : handed) one.type.shape.erase(one.type.shape.begin());
  return handed;
}
Handed joined(std::initializer_list<Handed> parts) {
  Handed all;
  for (const Handed& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// Into how many groups of one size experts are parted: so that passing over groups, and walking those in which the
/// chosen are, takes the fewest steps. To begin a walk takes about as long as four.
int64_t groups_of(int64_t experts, int64_t chosen) {
  int64_t best = 1;
  const auto steps = [&](int64_t groups) { return groups + std::min(chosen, groups) * (experts / groups + 4); };
  for (int64_t groups = 2; groups <= experts; ++groups) {
    if (experts % groups == 0 && steps(groups) < steps(best)) best = groups;
  }
  return best;
}

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
    state_ = {handed("sum", zeros_like(x))};
    rows_ = {handed("x", x)};
    Handed stacked{handed("share", shares)};
    for (const auto& [name, input] : {std::pair{"up", up},
                                      {"down", down},
                                      {"gate", gate},
                                      {"up_bias", up_bias},
                                      {"down_bias", down_bias},
                                      {"gate_bias", gate_bias}}) {
      if (node_.input(input) != absent) stacked.push_back(handed(name, node_.input(input)));
    }
    const Shape& matrix = b_.shape(node_.input(up));
    const ValueId sum =
        matrix[1].size() * matrix[2].size() <= most_copied ? looped(used, stacked) : walked(used, stacked);
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
    best["k"] = chosen();
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
  int64_t chosen() const { return node_.integer("top_k", 1); }

  Passed handed(std::string name, ValueId value) const { return {std::move(name), value, b_.value(value).type}; }

  /// [experts, ...] -> [groups, experts of each, ...]. Weights are so in the file.
  Passed in_groups(const Passed& one, int64_t groups) {
    const Value value = b_.value(one.outside);
    std::vector<int64_t> shape{groups, value.type.shape[0].size() / groups};
    for (size_t axis = 1; axis < value.type.shape.size(); ++axis) {
      const Dim& dim = value.type.shape[axis];
      shape.push_back(dim.is_static() ? dim.size() : -1);
    }
    return handed(one.name, value.weight != nullptr
                                ? b_.graph().add_weight(value.name, value.weight->then(ReshapeTo{std::move(shape)}))
                                : b_.reshape(one.outside, std::move(shape)));
  }

  /// The sum, by a Loop over the experts that are used.
  ValueId looped(ValueId used, const Handed& stacked) {
    const Attributes first{{"axis", int64_t{0}}};
    const ValueId list = b_.op("Squeeze", {b_.op("NonZero", {used})}, {{"axes", std::vector<int64_t>{0}}});
    const Handed captures = joined({{handed("list", list)}, stacked, rows_});
    Body body("expert", node_.scope);
    const ValueId time = body.input("time", {DType::i64, {}});
    body.output("more", body.input("more", {DType::boolean, {}}));
    std::map<std::string, ValueId> in = take(body, joined({state_, captures}));
    const ValueId expert = body.op("Gather", {in.at("list"), time}, first);
    for (const Passed& one : stacked) in[one.name] = body.op("Gather", {in.at(one.name), expert}, first);
    body.output("sum", added(body, in));

    Node loop = runner("Loop", {{"body", std::move(body).graph()}});
    loop.inputs = {b_.length(list, 0), absent, state_[0].outside};
    loop.formal_inputs = loop.inputs.size();
    for (const Passed& one : captures) loop.inputs.push_back(one.outside);
    return b_.run(std::move(loop), 1)[0];
  }

  /// The sum, by a Scan over groups of experts.
  ValueId walked(ValueId used, const Handed& stacked) {
    const int64_t groups = groups_of(b_.shape(node_.input(experts::up))[0].size(), chosen());
    Handed members{in_groups(handed("used", used), groups)};
    for (const Passed& one : stacked) members.push_back(in_groups(one, groups));
    const ValueId any = cast(b_.op("ReduceMax", {cast(members[0].outside, DType::i32)},
                                   {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{0}}}),
                             DType::boolean);
    const Handed walked = joined({{handed("any", any)}, members});

    Node scan = scan_over(walked, one_group(sliced(members)));
    for (const Handed& part : {state_, walked, rows_}) {
      for (const Passed& one : part) scan.inputs.push_back(one.outside);
    }
    return b_.run(std::move(scan), 1)[0];
  }

  // ------------------------------------------------------------------------------------------- its bodies

  using Inner = std::shared_ptr<const Graph>;

  /// Adds what is handed as inputs of a body.
  static std::map<std::string, ValueId> take(Body& body, const Handed& handed) {
    std::map<std::string, ValueId> values;
    for (const Passed& one : handed) values[one.name] = body.input(one.name, one.type);
    return values;
  }
  static Node runner(std::string op, Bodies bodies) {
    Node node;
    node.op = std::move(op);
    node.bodies = std::move(bodies);
    return node;
  }
  /// With the sum as its state, and without its inputs.
  static Node scan_over(const Handed& walked, Inner body) {
    Node scan = runner("Scan", {{"body", std::move(body)}});
    scan.formal_inputs = 1 + walked.size();
    scan.attributes["num_scan_inputs"] = static_cast<int64_t>(walked.size());
    return scan;
  }

  /// sum, `condition`, what is passed -> the sum, of `then` where the condition holds and else as it was. `then` takes
  /// all but the condition.
  Inner where(const std::string& condition, const Handed& passed, Inner then) const {
    Body body("where_" + condition, node_.scope);
    const ValueId sum = take(body, state_).at("sum");
    Node choose = runner("If", {{"then_branch", std::move(then)}, {"else_branch", unchanged(passed)}});
    choose.formal_inputs = 1;
    choose.inputs = {body.input(condition, {DType::boolean, {}}), sum};
    for (const Passed& one : passed) choose.inputs.push_back(body.input(one.name, one.type));
    body.output("sum", body.run(std::move(choose)));
    return std::move(body).graph();
  }
  Inner unchanged(const Handed& passed) const {
    Body body("unused", node_.scope);
    body.output("sum", take(body, joined({state_, passed})).at("sum"));
    return std::move(body).graph();
  }

  /// sum, whether one of them is used, whether each is, slices of the stacked inputs, x -> sum
  Inner one_group(const Handed& members) const {
    const Handed each = sliced(Handed(members.begin() + 1, members.end())), one = joined({each, rows_});
    Body expert("used", node_.scope);
    expert.output("sum", added(expert, take(expert, joined({state_, one}))));

    const Handed all = joined({members, rows_});
    Body group("group", node_.scope);
    const std::map<std::string, ValueId> in = take(group, joined({state_, all}));
    Node scan = scan_over(members, where("used", one, std::move(expert).graph()));
    for (const Passed& passed : joined({state_, all})) scan.inputs.push_back(in.at(passed.name));
    group.output("sum", group.run(std::move(scan)));
    return where("any", all, std::move(group).graph());
  }

  /// The sum with what the expert makes of the tokens that chose it. A token is in it once, so that no entry of the sum
  /// is written twice.
  ValueId added(Body& body, const std::map<std::string, ValueId>& in) const {
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
    return body.op("ScatterND", {in.at("sum"), places, after});
  }

  Builder& b_;
  const Node& node_;
  Handed state_, rows_;  // of every body: the sum, and x
};

}  // namespace

Results lower_mixture_of_experts(Builder& b) {
  return {Mixture(b).run()};
}

}  // namespace onnxport::ir
