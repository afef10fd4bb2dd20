// SPDX-License-Identifier: Apache-2.0
#include "core/inspect/operator_cost.hpp"

#include <algorithm>
#include <map>
#include <numeric>

#include "core/tensor/dtype.hpp"

namespace onnxport::inspect {
namespace {

using Count = std::optional<int64_t>;

int64_t product(Sizes::const_iterator begin, Sizes::const_iterator end) {
  return std::accumulate(begin, end, int64_t{1}, std::multiplies<>());
}
int64_t elements(const Sizes& sizes) {
  return product(sizes.begin(), sizes.end());
}

const Sizes* input(const SizedNode& node, size_t index) {
  return index < node.inputs.size() && node.inputs[index] ? &*node.inputs[index] : nullptr;
}
const Sizes* output(const SizedNode& node, size_t index = 0) {
  return index < node.outputs.size() && node.outputs[index] ? &*node.outputs[index] : nullptr;
}

bool computes_on_numbers(const SizedNode& node) {
  return std::any_of(node.input_types.begin(), node.input_types.end(),
                     [](int32_t type) { return type == 0 || ir::is_floating(static_cast<ir::DType>(type)); });
}

/// So many operations for each element that comes out; none where indices are computed.
template <int64_t each>
Count per_output(const SizedNode& node) {
  if (!computes_on_numbers(node)) return 0;
  const Sizes* out = output(node);
  return out == nullptr ? std::nullopt : Count(each * elements(*out));
}

/// One operation for each element that goes in.
Count per_input(const SizedNode& node) {
  if (!computes_on_numbers(node)) return 0;
  const Sizes* in = input(node, 0);
  return in == nullptr ? std::nullopt : Count(elements(*in));
}

/// Sum, Max, …: as many operands as there are inputs.
Count per_operand(const SizedNode& node) {
  const Count one = per_output<1>(node);
  const int64_t operands = std::max<int64_t>(1, static_cast<int64_t>(node.inputs.size()) - 1);
  return one ? Count(*one * operands) : one;
}

Count matrix_product(const SizedNode& node) {
  const Sizes *a = input(node, 0), *out = output(node);
  if (a == nullptr || a->empty() || out == nullptr) return std::nullopt;
  const bool transposed = node.integer("transA", 0) != 0 && a->size() > 1;
  return 2 * elements(*out) * (*a)[a->size() - (transposed ? 2 : 1)];
}

Count packed_product(const SizedNode& node) {
  const Sizes* out = output(node);
  return out == nullptr ? std::nullopt : Count(2 * elements(*out) * node.integer("K", 0));
}

Count gemm(const SizedNode& node) {
  const Count products = matrix_product(node);
  if (!products || !node.has_input(2)) return products;
  return *products + elements(*output(node));
}

template <size_t weights, size_t bias>
Count convolution(const SizedNode& node) {
  const Sizes *kernel = input(node, weights), *out = output(node);
  if (kernel == nullptr || kernel->empty() || out == nullptr) return std::nullopt;
  const int64_t products = 2 * elements(*out) * product(kernel->begin() + 1, kernel->end());
  return node.has_input(bias) ? products + elements(*out) : products;
}

Count transposed_convolution(const SizedNode& node) {
  const Sizes *in = input(node, 0), *kernel = input(node, 1), *out = output(node);
  if (in == nullptr || kernel == nullptr || kernel->empty() || out == nullptr) return std::nullopt;
  const int64_t products = 2 * elements(*in) * product(kernel->begin() + 1, kernel->end());
  return node.has_input(2) ? products + elements(*out) : products;
}

Count pooling(const SizedNode& node) {
  const Sizes* out = output(node);
  if (out == nullptr) return std::nullopt;
  const std::vector<int64_t> kernel = node.integers("kernel_shape");
  return elements(*out) * product(kernel.begin(), kernel.end());
}

/// The product over all letters, once for each multiplication and addition of an element of the widest loop.
Count einsum(const SizedNode& node) {
  std::string equation = node.text("equation", "");
  std::erase(equation, ' ');
  if (equation.find('.') != std::string::npos) return std::nullopt;
  const std::string operands = equation.substr(0, equation.find("->"));
  std::map<char, int64_t> lengths;
  size_t index = 0;
  for (size_t begin = 0; begin <= operands.size(); ++index) {
    const size_t end = std::min(operands.find(',', begin), operands.size());
    const Sizes* in = input(node, index);
    if (in == nullptr || in->size() != end - begin) return std::nullopt;
    for (size_t i = begin; i < end; ++i) lengths[operands[i]] = std::max(lengths[operands[i]], (*in)[i - begin]);
    begin = end + 1;
  }
  int64_t loop = 1;
  for (const auto& [letter, length] : lengths) loop *= length;
  const size_t arrow = equation.find("->");
  const bool sums = arrow == std::string::npos || equation.size() - arrow - 2 < lengths.size();
  return loop * (static_cast<int64_t>(index) - 1 + (sums ? 1 : 0));
}

/// An attention, whichever operator it is written as.
struct AttentionSizes {
  int64_t batch, heads, queries, keys, key_width, value_width;

  int64_t scores() const { return batch * heads * queries * keys; }
  int64_t operations() const {
    constexpr int64_t softmax = 5, scale = 1;
    return scores() * (2 * key_width + scale + softmax + 2 * value_width);
  }
};

/// Of ONNX's Attention: (batch, heads, length, width), or (batch, length, heads · width) with the heads as attributes.
std::optional<AttentionSizes> attention_sizes(const SizedNode& node) {
  const Sizes *q = input(node, 0), *k = input(node, 1), *v = input(node, 2);
  if (q == nullptr || k == nullptr || v == nullptr || q->size() < 3 || k->size() != q->size()) return std::nullopt;
  const bool packed = q->size() == 3;
  const int64_t heads = packed ? node.integer("q_num_heads", 1) : (*q)[1];
  const int64_t kv_heads = packed ? node.integer("kv_num_heads", 1) : (*k)[1];
  if (heads < 1 || kv_heads < 1) return std::nullopt;
  const Sizes* past = input(node, 4);
  const int64_t before = past != nullptr && past->size() == 4 ? (*past)[2] : 0;
  const size_t length = packed ? 1 : 2;
  return AttentionSizes{(*q)[0],
                        heads,
                        (*q)[length],
                        (*k)[length] + before,
                        packed ? q->back() / heads : q->back(),
                        packed ? v->back() / kv_heads : v->back()};
}

/// Of com.microsoft's MultiHeadAttention and GroupQueryAttention; the keys of both sides stand in what they yield as
/// present, else in the key.
std::optional<AttentionSizes> fused_attention_sizes(const SizedNode& node) {
  const Sizes *q = input(node, 0), *k = input(node, 1), *present = output(node, 1);
  const int64_t heads = node.integer("num_heads", 1);
  if (q == nullptr || q->size() != 3 || heads < 1) return std::nullopt;
  int64_t keys = (*q)[1];
  if (present != nullptr && present->size() == 4)
    keys = (*present)[2];
  else if (k != nullptr && k->size() > 1)
    keys = (*k)[k->size() == 4 ? 2 : 1];
  else if (k == nullptr)
    return std::nullopt;
  const int64_t width = q->back() / heads;
  return AttentionSizes{(*q)[0], heads, (*q)[1], keys, width, width};
}

template <auto sizes>
Count attention(const SizedNode& node) {
  const auto found = sizes(node);
  return found ? Count(found->operations()) : std::nullopt;
}
/// Scores and probabilities in f32.
template <auto sizes>
Count attention_scratch(const SizedNode& node) {
  const auto found = sizes(node);
  return found ? Count(2 * 4 * found->scores()) : std::nullopt;
}

/// LSTM, GRU, RNN: both matrices of every direction at each step; gates are few beside them.
Count recurrence(const SizedNode& node) {
  const Sizes *x = input(node, 0), *w = input(node, 1), *r = input(node, 2);
  if (x == nullptr || x->size() != 3 || w == nullptr || r == nullptr) return std::nullopt;
  return 2 * (*x)[0] * (*x)[1] * (elements(*w) + elements(*r));
}

Count resize(const SizedNode& node) {
  const Sizes* out = output(node);
  if (out == nullptr) return std::nullopt;
  const std::string mode = node.text("mode", "nearest");
  return elements(*out) * (mode == "nearest" ? 0 : mode == "linear" ? 8 : 32);
}

/// Rows of the table that say the same of many operators.
struct Group {
  OperatorCost row;
  std::vector<std::string_view> operators;
};

const std::map<std::string_view, OperatorCost>& table() {
  static const std::map<std::string_view, OperatorCost> rows = [] {
    const std::vector<Group> groups{
        {{.operations = matrix_product},
         {"MatMul", "MatMulInteger", "QLinearMatMul", "FusedMatMul", "TransposeMatMul"}},
        {{.operations = packed_product}, {"MatMulNBits"}},
        {{.operations = gemm}, {"Gemm"}},
        {{.operations = convolution<1, 2>}, {"Conv", "FusedConv"}},
        {{.operations = convolution<1, 4>}, {"ConvInteger"}},
        {{.operations = convolution<3, 8>}, {"QLinearConv"}},
        {{.operations = convolution<1, 3>}, {"DeformConv"}},
        {{.operations = transposed_convolution}, {"ConvTranspose"}},
        {{.operations = einsum}, {"Einsum"}},
        {{.operations = attention<attention_sizes>, .scratch = attention_scratch<attention_sizes>}, {"Attention"}},
        {{.operations = attention<fused_attention_sizes>, .scratch = attention_scratch<fused_attention_sizes>},
         {"MultiHeadAttention", "GroupQueryAttention"}},
        {{.operations = recurrence}, {"LSTM", "GRU", "RNN"}},
        {{.operations = pooling}, {"AveragePool", "MaxPool", "LpPool"}},
        {{.operations = resize}, {"Resize", "Upsample"}},
        {{.operations = per_output<8>},
         {"LayerNormalization", "InstanceNormalization", "GroupNormalization", "GridSample"}},
        {{.operations = per_output<9>}, {"SkipLayerNormalization"}},
        {{.operations = per_output<6>}, {"SkipSimplifiedLayerNormalization"}},
        {{.operations = per_output<5>},
         {"Softmax", "LogSoftmax", "RMSNormalization", "SimplifiedLayerNormalization", "Gelu", "FastGelu", "BiasGelu",
          "MeanVarianceNormalization", "LpNormalization"}},
        {{.operations = per_output<3>}, {"RotaryEmbedding"}},
        {{.operations = per_output<2>}, {"BatchNormalization", "QuickGelu", "Swish", "HardSwish", "Mish"}},
        {{.operations = per_output<1>},
         {"Add",
          "Sub",
          "Mul",
          "Div",
          "Pow",
          "Mod",
          "Neg",
          "Abs",
          "Sqrt",
          "Reciprocal",
          "Exp",
          "Log",
          "Erf",
          "Tanh",
          "Sigmoid",
          "Relu",
          "LeakyRelu",
          "PRelu",
          "Elu",
          "Selu",
          "Celu",
          "ThresholdedRelu",
          "HardSigmoid",
          "Softplus",
          "Softsign",
          "Clip",
          "Sin",
          "Cos",
          "Tan",
          "Asin",
          "Acos",
          "Atan",
          "Sinh",
          "Cosh",
          "Asinh",
          "Acosh",
          "Atanh",
          "Floor",
          "Ceil",
          "Round",
          "Sign",
          "DequantizeLinear",
          "QuantizeLinear",
          "DynamicQuantizeLinear"}},
        {{.operations = per_operand}, {"Sum", "Mean", "Max", "Min"}},
        {{.operations = per_input},
         {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
          "ReduceLogSumExp", "ReduceSumSquare", "GlobalAveragePool", "GlobalMaxPool", "CumSum", "ArgMax", "ArgMin",
          "TopK", "Hardmax"}},
        {{.is_view = true}, {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"}},
        {{},
         {"Transpose",
          "Concat",
          "Split",
          "Slice",
          "Gather",
          "GatherElements",
          "GatherND",
          "Scatter",
          "ScatterElements",
          "ScatterND",
          "TensorScatter",
          "Expand",
          "Tile",
          "Pad",
          "Cast",
          "CastLike",
          "Where",
          "Shape",
          "Size",
          "Constant",
          "ConstantOfShape",
          "EyeLike",
          "Range",
          "NonZero",
          "Equal",
          "Greater",
          "GreaterOrEqual",
          "Less",
          "LessOrEqual",
          "And",
          "Or",
          "Not",
          "Xor",
          "IsNaN",
          "IsInf",
          "BitShift",
          "BitwiseAnd",
          "BitwiseOr",
          "BitwiseNot",
          "BitwiseXor",
          "DepthToSpace",
          "SpaceToDepth",
          "ReverseSequence",
          "Trilu",
          "OneHot",
          "Unique",
          "Compress",
          "Dropout",
          "If",
          "Loop",
          "Scan"}},
    };
    std::map<std::string_view, OperatorCost> by_name;
    for (const Group& group : groups) {
      for (const std::string_view op : group.operators) {
        OperatorCost row = group.row;
        row.op = op;
        by_name.emplace(op, row);
      }
    }
    return by_name;
  }();
  return rows;
}

const pb::AttributeProto* attribute_of(const pb::NodeProto& node, std::string_view name) {
  for (const auto& attribute : node.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

}  // namespace

bool SizedNode::has_input(size_t index) const {
  return static_cast<int>(index) < node.input_size() && !node.input(static_cast<int>(index)).empty();
}

int64_t SizedNode::integer(std::string_view name, int64_t otherwise) const {
  const auto* attribute = attribute_of(node, name);
  return attribute == nullptr ? otherwise : attribute->i();
}

std::string SizedNode::text(std::string_view name, const std::string& otherwise) const {
  const auto* attribute = attribute_of(node, name);
  return attribute == nullptr ? otherwise : attribute->s();
}

std::vector<int64_t> SizedNode::integers(std::string_view name) const {
  const auto* attribute = attribute_of(node, name);
  if (attribute == nullptr) return {};
  return {attribute->ints().begin(), attribute->ints().end()};
}

SizedNode sized_node(const pb::NodeProto& node, const ValueTypes& types) {
  SizedNode sized{node, {}, {}, {}};
  for (const std::string& name : node.input()) {
    sized.inputs.push_back(types.sizes(name));
    sized.input_types.push_back(types.element_type(name));
  }
  for (const std::string& name : node.output()) sized.outputs.push_back(types.sizes(name));
  return sized;
}

const OperatorCost* find_cost(std::string_view op) {
  const auto row = table().find(op);
  return row == table().end() ? nullptr : &row->second;
}

}  // namespace onnxport::inspect
