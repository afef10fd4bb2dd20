// SPDX-License-Identifier: Apache-2.0
// The reference judges everything else, so it is judged itself: by values worked out by hand and by plain loops.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <regex>
#include <set>

#include "core/backend/backend.hpp"
#include "core/checkpoint/checkpoint.hpp"
#include "core/error.hpp"
#include "core/ir/operators.hpp"
#include "tests/support/skips.hpp"
#include "tests/support/temporary_folder.hpp"

namespace reference_test {

using namespace onnxport;
using namespace onnxport::ir;
namespace fs = std::filesystem;
namespace utf = boost::unit_test;

namespace {

using Ints = std::vector<int64_t>;
using Floats = std::vector<float>;

Tensor f32(Ints shape, const Floats& values) {
  return Tensor::of<float>(DType::f32, std::move(shape), values);
}
Tensor i64(Ints shape, const Ints& values) {
  return Tensor::of<int64_t>(DType::i64, std::move(shape), values);
}
Tensor boolean(Ints shape, const std::vector<uint8_t>& values) {
  return Tensor::of<uint8_t>(DType::boolean, std::move(shape), values);
}

/// 0.1, -0.3, 0.5, ...: all different, of both signs, and exact enough to compare.
Tensor ramp(Ints shape, float step = 0.2F, float first = 0.1F) {
  Tensor tensor{DType::f32, std::move(shape), {}};
  Floats values(static_cast<size_t>(tensor.element_count()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = (first + step * static_cast<float>(i)) * (i % 2 == 0 ? 1.F : -1.F);
  }
  return f32(tensor.shape, values);
}

/// Evaluates one node on inputs; a tensor of type undefined is an absent input. What comes out must be of the type
/// that inference gave.
std::vector<Tensor> evaluate(const std::string& domain, const std::string& op, const std::vector<Tensor>& inputs,
                             Attributes attributes, size_t outputs = 1) {
  Graph g;
  Tensors values;
  std::vector<ValueId> ids;
  for (const Tensor& input : inputs) {
    if (input.dtype == DType::undefined) {
      ids.push_back(absent);
      continue;
    }
    const std::string name = "in" + std::to_string(ids.size());
    // Small integers may steer shapes, so inference must know them.
    if (input.dtype == DType::i64 && input.shape.size() <= 1) {
      ids.push_back(g.add_constant(input));
      continue;
    }
    ids.push_back(g.add_input(name, {input.dtype, Shape(input.shape.begin(), input.shape.end())}));
    values[name] = input;
  }
  const auto results = g.add_node({domain, op, "test", ids, {}, std::move(attributes), ""}, outputs);
  for (size_t i = 0; i < results.size(); ++i) g.add_output("out" + std::to_string(i), results[i]);
  const Tensors run = load_backend("reference").load_graph(g)->run(values);
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < results.size(); ++i) {
    tensors.push_back(run.at("out" + std::to_string(i)));
    const TensorType& type = g[results[i]].type;
    BOOST_TEST((tensors[i].dtype == type.dtype),
               op << " yields " << name_of(tensors[i].dtype) << ", inferred " << to_string(type));
    BOOST_REQUIRE_EQUAL(tensors[i].shape.size(), type.shape.size());
    for (size_t axis = 0; axis < type.shape.size(); ++axis) {
      if (type.shape[axis].is_static()) BOOST_TEST(tensors[i].shape[axis] == type.shape[axis].size());
    }
  }
  return tensors;
}

Tensor onnx(const std::string& op, const std::vector<Tensor>& inputs, Attributes attributes = {}) {
  return evaluate("", op, inputs, std::move(attributes))[0];
}
Tensor composite(const std::string& op, const std::vector<Tensor>& inputs, Attributes attributes = {}) {
  return evaluate(composite_domain, op, inputs, std::move(attributes))[0];
}

void check(const Tensor& actual, const Tensor& expected, double tolerance = 1e-6) {
  BOOST_TEST(actual.shape == expected.shape, boost::test_tools::per_element());
  BOOST_REQUIRE((actual.dtype == expected.dtype));
  if (expected.dtype != DType::f32) {
    BOOST_TEST((actual.data == expected.data));
    if (expected.dtype == DType::i64) {
      BOOST_TEST(actual.as<int64_t>() == expected.as<int64_t>(), boost::test_tools::per_element());
    }
    return;
  }
  const auto a = actual.as<float>(), e = expected.as<float>();
  BOOST_REQUIRE_EQUAL(a.size(), e.size());
  for (size_t i = 0; i < e.size(); ++i) {
    const bool close = a[i] == e[i] || std::fabs(a[i] - e[i]) <= tolerance * std::max(1.F, std::fabs(e[i]));
    BOOST_TEST(close, "element " << i << " is " << a[i] << ", expected " << e[i]);
  }
}

std::string failure_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no failure";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(reference, *utf::precondition(test::reference_built))

// ------------------------------------------------------------------------------------------- elementwise

BOOST_AUTO_TEST_CASE(functions_of_one_number) {
  const std::map<std::string, std::function<double(double)>> functions{
      {"Abs", [](double x) { return std::fabs(x); }},
      {"Neg", [](double x) { return -x; }},
      {"Exp", [](double x) { return std::exp(x); }},
      {"Log", [](double x) { return std::log(x); }},
      {"Sqrt", [](double x) { return std::sqrt(x); }},
      {"Reciprocal", [](double x) { return 1 / x; }},
      {"Erf", [](double x) { return std::erf(x); }},
      {"Tanh", [](double x) { return std::tanh(x); }},
      {"Sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }},
      {"Relu", [](double x) { return std::max(x, 0.); }},
      {"Softplus", [](double x) { return std::log1p(std::exp(x)); }},
      {"Softsign", [](double x) { return x / (1 + std::fabs(x)); }},
      {"Sin", [](double x) { return std::sin(x); }},
      {"Cos", [](double x) { return std::cos(x); }},
      {"Floor", [](double x) { return std::floor(x); }},
      {"Ceil", [](double x) { return std::ceil(x); }},
      {"Round", [](double x) { return std::nearbyint(x); }},  // half to even
      {"Sign", [](double x) { return x > 0   ? 1.
                                     : x < 0 ? -1.
                                             : 0.; }},
      {"Identity", [](double x) { return x; }},
      {"Mish", [](double x) { return x * std::tanh(std::log1p(std::exp(x))); }},
      {"HardSwish", [](double x) { return x * std::clamp(x / 6 + 0.5, 0., 1.); }},
      {"Elu", [](double x) { return x > 0 ? x : std::expm1(x); }},
      {"LeakyRelu", [](double x) { return x > 0 ? x : 0.01 * x; }},
      {"HardSigmoid", [](double x) { return std::clamp(0.2 * x + 0.5, 0., 1.); }},
  };
  const Floats any{-5.F, -2.5F, -1.5F, -0.5F, -0.25F, 0.F, 0.125F, 0.5F, 1.5F, 2.5F, 7.F, 40.F};
  const Floats positive{0.125F, 0.5F, 1.F, 2.F, 9.F, 100.F};
  for (const auto& [op, function] : functions) {
    BOOST_TEST_CONTEXT(op) {
      const bool partial = op == "Log" || op == "Sqrt" || op == "Reciprocal";
      const Floats& values = partial ? positive : any;
      Floats expected;
      for (float value : values) expected.push_back(static_cast<float>(function(value)));
      const auto count = static_cast<int64_t>(values.size());
      check(onnx(op, {f32({count}, values)}), f32({count}, expected), 2e-6);
    }
  }
}

BOOST_AUTO_TEST_CASE(functions_with_parameters) {
  const Tensor x = f32({4}, {-4, -1, 0.5F, 3});
  check(onnx("Elu", {x}, {{"alpha", 2.0}}), f32({4}, {2 * std::expm1(-4.F), 2 * std::expm1(-1.F), 0.5F, 3}));
  check(onnx("LeakyRelu", {x}, {{"alpha", 0.5}}), f32({4}, {-2, -0.5F, 0.5F, 3}));
  check(onnx("HardSigmoid", {x}, {{"alpha", 0.25}, {"beta", 0.25}}), f32({4}, {0, 0, 0.375F, 1}));
  check(onnx("Clip", {x}, {{"min", -1.0}, {"max", 1.0}}), f32({4}, {-1, -1, 0.5F, 1}));
  check(onnx("Clip", {x}, {{"min", 0.0}}), f32({4}, {0, 0, 0.5F, 3}));
  check(onnx("Clip", {x}, {{"max", 0.0}}), f32({4}, {-4, -1, 0, 0}));
  check(onnx("Clip", {i64({2, 2}, {-4, -1, 2, 9})}, {{"min", 0.0}, {"max", 5.0}}), i64({2, 2}, {0, 0, 2, 5}));
}

BOOST_AUTO_TEST_CASE(arithmetic_broadcasts) {
  const Tensor column = f32({2, 1}, {6, -9}), row = f32({3}, {1, 2, 4});
  check(onnx("Add", {column, row}), f32({2, 3}, {7, 8, 10, -8, -7, -5}));
  check(onnx("Sub", {column, row}), f32({2, 3}, {5, 4, 2, -10, -11, -13}));
  check(onnx("Mul", {column, row}), f32({2, 3}, {6, 12, 24, -9, -18, -36}));
  check(onnx("Div", {column, row}), f32({2, 3}, {6, 3, 1.5F, -9, -4.5F, -2.25F}));
  check(onnx("Pow", {column, f32({}, {2})}), f32({2, 1}, {36, 81}));
  check(onnx("Min", {column, row}), f32({2, 3}, {1, 2, 4, -9, -9, -9}));
  check(onnx("Max", {column, row}), f32({2, 3}, {6, 6, 6, 1, 2, 4}));
}

BOOST_AUTO_TEST_CASE(integers_divide_towards_zero_and_mod_has_the_sign_of_the_divisor) {
  const Tensor a = i64({1, 4}, {7, -7, 7, -7}), b = i64({1, 4}, {3, 3, -3, -3});
  check(onnx("Div", {a, b}), i64({1, 4}, {2, -2, -2, 2}));
  check(onnx("Mod", {a, b}), i64({1, 4}, {1, 2, -2, -1}));
  check(onnx("Mul", {a, b}), i64({1, 4}, {21, -21, -21, 21}));
}

BOOST_AUTO_TEST_CASE(truth_values) {
  const Tensor a = boolean({4}, {0, 0, 1, 1}), b = boolean({4}, {0, 1, 0, 1});
  check(onnx("And", {a, b}), boolean({4}, {0, 0, 0, 1}));
  check(onnx("Or", {a, b}), boolean({4}, {0, 1, 1, 1}));
  check(onnx("Not", {a}), boolean({4}, {1, 1, 0, 0}));
  const Tensor x = f32({3}, {1, 2, 3}), y = f32({}, {2});
  check(onnx("Equal", {x, y}), boolean({3}, {0, 1, 0}));
  check(onnx("Less", {x, y}), boolean({3}, {1, 0, 0}));
  check(onnx("LessOrEqual", {x, y}), boolean({3}, {1, 1, 0}));
  check(onnx("Greater", {x, y}), boolean({3}, {0, 0, 1}));
  check(onnx("GreaterOrEqual", {x, y}), boolean({3}, {0, 1, 1}));
  check(onnx("Where", {boolean({3}, {1, 0, 1}), x, f32({1}, {9})}), f32({3}, {1, 9, 3}));
}

BOOST_AUTO_TEST_CASE(casts) {
  const auto to = [](DType dtype) { return Attributes{{"to", static_cast<int64_t>(dtype)}}; };
  check(onnx("Cast", {f32({4}, {-1.75F, 0, 0.5F, 2.9F})}, to(DType::i64)), i64({4}, {-1, 0, 0, 2}));
  check(onnx("Cast", {f32({3}, {-1.5F, 0, 0.25F})}, to(DType::boolean)), boolean({3}, {1, 0, 1}));
  check(onnx("Cast", {boolean({2}, {1, 0})}, to(DType::f32)), f32({2}, {1, 0}));
  check(onnx("Cast", {i64({1, 2}, {-3, 4})}, to(DType::f32)), f32({1, 2}, {-3, 4}));
}

// ------------------------------------------------------------------------------------------------ layout

BOOST_AUTO_TEST_CASE(reshaping) {
  const Tensor x = ramp({2, 3, 4});
  const auto shaped = [&](Ints shape) { return f32(std::move(shape), {x.as<float>().begin(), x.as<float>().end()}); };
  check(onnx("Reshape", {x}, {{"shape", Ints{0, -1}}}), shaped({2, 12}));
  check(onnx("Reshape", {x}, {{"shape", Ints{0, 0, 2, 2}}}), shaped({2, 3, 2, 2}));
  check(onnx("Reshape", {x, i64({2}, {6, -1})}), shaped({6, 4}));
  check(onnx("Unsqueeze", {x}, {{"axes", Ints{-1, 0}}}), shaped({1, 2, 3, 4, 1}));
  check(onnx("Squeeze", {shaped({1, 24, 1})}, {{"axes", Ints{0, -1}}}), shaped({24}));
  check(onnx("Transpose", {f32({2, 3}, {1, 2, 3, 4, 5, 6})}, {{"perm", Ints{1, 0}}}), f32({3, 2}, {1, 4, 2, 5, 3, 6}));
  check(onnx("Expand", {f32({2, 1}, {1, 2})}, {{"shape", Ints{2, 1, 3}}}),
        f32({2, 2, 3}, {1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2}));
  check(onnx("Expand", {f32({2, 1}, {1, 2}), i64({1}, {1})}), f32({2, 1}, {1, 2}));
}

BOOST_AUTO_TEST_CASE(slices) {
  const Tensor x = f32({6}, {0, 1, 2, 3, 4, 5});
  constexpr int64_t far = std::numeric_limits<int64_t>::max(), near = std::numeric_limits<int64_t>::min();
  const auto slice = [&](int64_t start, int64_t end, int64_t step) {
    return onnx("Slice", {x}, {{"starts", Ints{start}}, {"ends", Ints{end}}, {"axes", Ints{0}}, {"steps", Ints{step}}});
  };
  check(slice(1, 4, 1), f32({3}, {1, 2, 3}));
  check(slice(-2, far, 1), f32({2}, {4, 5}));
  check(slice(0, far, 4), f32({2}, {0, 4}));
  check(slice(1, -1, 3), f32({2}, {1, 4}));
  check(slice(-1, near, -1), f32({6}, {5, 4, 3, 2, 1, 0}));
  check(slice(far, near, -2), f32({3}, {5, 3, 1}));
  check(slice(4, 1, -1), f32({3}, {4, 3, 2}));
  check(slice(4, 0, -3), f32({2}, {4, 1}));
  check(slice(-2, -6, -1), f32({4}, {4, 3, 2, 1}));
  check(onnx("Slice", {x, i64({1}, {2}), i64({1}, {5})}, {{"axes", Ints{-1}}}), f32({3}, {2, 3, 4}));
  check(onnx("Slice", {f32({2, 3}, {1, 2, 3, 4, 5, 6})},
             {{"starts", Ints{1, 2}}, {"ends", Ints{2, near}}, {"axes", Ints{0, 1}}, {"steps", Ints{1, -2}}}),
        f32({1, 2}, {6, 4}));
}

BOOST_AUTO_TEST_CASE(gathering) {
  const Tensor x = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  check(onnx("Gather", {x, i64({2, 2}, {0, -1, 1, 1})}, {{"axis", int64_t{0}}}),
        f32({2, 2, 3}, {1, 2, 3, 4, 5, 6, 4, 5, 6, 4, 5, 6}));
  check(onnx("Gather", {x, i64({1, 2}, {2, 0})}, {{"axis", int64_t{-1}}}), f32({2, 1, 2}, {3, 1, 6, 4}));
  check(onnx("Gather", {x, i64({}, {-1})}, {{"axis", int64_t{1}}}), f32({2}, {3, 6}));
  check(onnx("GatherElements", {x, i64({2, 2}, {0, -1, 1, 1})}, {{"axis", int64_t{1}}}), f32({2, 2}, {1, 3, 5, 5}));
}

BOOST_AUTO_TEST_CASE(joining_and_splitting) {
  const Tensor x = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  check(onnx("Concat", {x, f32({2, 1}, {7, 8})}, {{"axis", int64_t{-1}}}), f32({2, 4}, {1, 2, 3, 7, 4, 5, 6, 8}));
  check(onnx("Concat", {i64({1}, {3}), i64({2}, {4, 5})}, {{"axis", int64_t{0}}}), i64({3}, {3, 4, 5}));
  const auto parts = evaluate("", "Split", {x}, {{"axis", int64_t{1}}, {"split", Ints{1, 2}}}, 2);
  check(parts[0], f32({2, 1}, {1, 4}));
  check(parts[1], f32({2, 2}, {2, 3, 5, 6}));
}

// -------------------------------------------------------------------------- reductions, linear algebra, ranges

BOOST_AUTO_TEST_CASE(reductions) {
  const Tensor x = f32({2, 2, 2}, {1, 2, 3, 4, -1, 0, 2, 6});
  const auto over = [&](const char* op, Ints axes, int64_t keep) {
    return onnx(op, {x}, {{"axes", std::move(axes)}, {"keepdims", keep}});
  };
  check(over("ReduceMean", {-1}, 1), f32({2, 2, 1}, {1.5F, 3.5F, -0.5F, 4}));
  check(over("ReduceMean", {0, 2}, 0), f32({2}, {0.5F, 3.75F}));
  check(over("ReduceSum", {1}, 0), f32({2, 2}, {4, 6, 1, 6}));
  check(over("ReduceMax", {0}, 1), f32({1, 2, 2}, {1, 2, 3, 6}));
  check(over("ReduceMin", {0, 1}, 0), f32({2}, {-1, 0}));
  check(over("ReduceProd", {1, 2}, 0), f32({2}, {24, 0}));
  check(over("ReduceL2", {2}, 0), f32({2, 2}, {std::sqrt(5.F), 5, 1, std::sqrt(40.F)}));
  check(onnx("ReduceSum", {x}), f32({1, 1, 1}, {17}));
  check(onnx("ReduceSum", {x}, {{"keepdims", int64_t{0}}}), f32({}, {17}));
  check(onnx("ReduceSum", {i64({2, 2}, {1, 2, 3, 4})}, {{"axes", Ints{1}}, {"keepdims", int64_t{0}}}),
        i64({2}, {3, 7}));
  check(onnx("ReduceProd", {i64({2, 2}, {1, 2, 3, 4})}, {{"axes", Ints{0}}, {"keepdims", int64_t{0}}}),
        i64({2}, {3, 8}));
}

BOOST_AUTO_TEST_CASE(argmax_takes_the_first_of_equal_ones) {
  const Tensor x = f32({2, 4}, {1, 7, 7, 0, 5, 5, 5, 5});
  check(onnx("ArgMax", {x}, {{"axis", int64_t{-1}}}), i64({2, 1}, {1, 0}));
  check(onnx("ArgMax", {x}, {{"axis", int64_t{0}}, {"keepdims", int64_t{0}}}), i64({4}, {1, 0, 0, 1}));
}

BOOST_AUTO_TEST_CASE(softmax_over_an_axis) {
  const Tensor x = f32({2, 2}, {0, std::log(3.F), 1000, 1000});
  check(onnx("Softmax", {x}), f32({2, 2}, {0.25F, 0.75F, 0.5F, 0.5F}));
  check(onnx("LogSoftmax", {x}), f32({2, 2}, {std::log(0.25F), std::log(0.75F), std::log(0.5F), std::log(0.5F)}));
  check(onnx("Softmax", {f32({2, 1}, {0, std::log(3.F)})}, {{"axis", int64_t{0}}}), f32({2, 1}, {0.25F, 0.75F}));
}

BOOST_AUTO_TEST_CASE(products_of_matrices) {
  const Tensor a = f32({2, 3}, {1, 2, 3, 4, 5, 6}), b = f32({3, 2}, {1, 0, 0, 1, 1, 1});
  check(onnx("MatMul", {a, b}), f32({2, 2}, {4, 5, 10, 11}));
  check(onnx("MatMul", {f32({2, 1, 1, 3}, {1, 2, 3, 4, 5, 6}), f32({1, 3, 2}, {1, 0, 0, 1, 1, 1})}),
        f32({2, 1, 1, 2}, {4, 5, 10, 11}));
  check(onnx("Gemm", {a, b, f32({2}, {10, 20})}, {{"alpha", 2.0}, {"beta", 0.5}}), f32({2, 2}, {13, 20, 25, 32}));
  check(onnx("Gemm", {f32({3, 2}, {1, 4, 2, 5, 3, 6}), f32({2, 3}, {1, 0, 1, 0, 1, 1})},
             {{"transA", int64_t{1}}, {"transB", int64_t{1}}}),
        f32({2, 2}, {4, 5, 10, 11}));
}

BOOST_AUTO_TEST_CASE(einsum_over_letters) {
  // What relative positions need: scores of every query against the embedding of its distance to every key.
  const Tensor q = ramp({2, 2, 3, 4}), e = ramp({3, 5, 4}, 0.1F, 0.3F);
  Floats expected;
  for (size_t b = 0; b < 2; ++b)
    for (size_t h = 0; h < 2; ++h)
      for (size_t l = 0; l < 3; ++l)
        for (size_t r = 0; r < 5; ++r) {
          float sum = 0;
          for (size_t d = 0; d < 4; ++d) {
            sum += q.as<float>()[((b * 2 + h) * 3 + l) * 4 + d] * e.as<float>()[(l * 5 + r) * 4 + d];
          }
          expected.push_back(sum);
        }
  check(onnx("Einsum", {q, e}, {{"equation", std::string("bhld,lrd->bhlr")}}), f32({2, 2, 3, 5}, expected), 1e-5);
  check(onnx("Einsum", {f32({2, 3}, {1, 2, 3, 4, 5, 6})}, {{"equation", std::string("ij->ji")}}),
        f32({3, 2}, {1, 4, 2, 5, 3, 6}));
}

BOOST_AUTO_TEST_CASE(shapes_and_ranges) {
  const Tensor x = ramp({2, 3, 4});
  check(onnx("Shape", {x}), i64({3}, {2, 3, 4}));
  check(onnx("Shape", {x}, {{"start", int64_t{-2}}}), i64({2}, {3, 4}));
  check(onnx("Shape", {x}, {{"start", int64_t{0}}, {"end", int64_t{-1}}}), i64({2}, {2, 3}));
  check(onnx("Shape", {x}, {{"start", int64_t{2}}, {"end", int64_t{1}}}), i64({0}, {}));
  check(composite("Size", {x}, {{"axis", int64_t{-1}}}), i64({}, {4}));
  const auto range = [](int64_t start, int64_t limit, int64_t delta) {
    return onnx("Range", {i64({}, {start}), i64({}, {limit}), i64({}, {delta})});
  };
  check(range(2, 9, 3), i64({3}, {2, 5, 8}));
  check(range(3, 0, -1), i64({3}, {3, 2, 1}));
  check(range(0, 4, 1), i64({4}, {0, 1, 2, 3}));
  check(range(3, 3, -1), i64({0}, {}));
  check(range(5, 2, 3), i64({0}, {}));
  check(onnx("Range", {f32({}, {0}), f32({}, {1}), f32({}, {0.25F})}), f32({4}, {0, 0.25F, 0.5F, 0.75F}));
}

BOOST_AUTO_TEST_CASE(cumulative_sums) {
  const auto sum = [](const Tensor& x, int64_t axis, int64_t exclusive, int64_t reverse) {
    return onnx("CumSum", {x}, {{"axis", axis}, {"exclusive", exclusive}, {"reverse", reverse}});
  };
  const Tensor x = i64({2, 3}, {1, 2, 3, 4, 5, 6});
  check(sum(x, 1, 0, 0), i64({2, 3}, {1, 3, 6, 4, 9, 15}));
  check(sum(x, -1, 1, 0), i64({2, 3}, {0, 1, 3, 0, 4, 9}));
  check(sum(x, 1, 0, 1), i64({2, 3}, {6, 5, 3, 15, 11, 6}));
  check(sum(x, 1, 1, 1), i64({2, 3}, {5, 3, 0, 11, 6, 0}));
  check(sum(x, 0, 1, 0), i64({2, 3}, {0, 0, 0, 1, 2, 3}));
  // What precedes an infinite element is finite.
  constexpr float infinity = std::numeric_limits<float>::infinity();
  check(sum(f32({3}, {1, infinity, 2}), 0, 1, 0), f32({3}, {0, 1, infinity}));
}

BOOST_AUTO_TEST_CASE(triangles) {
  const Tensor x = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  check(onnx("Trilu", {x}), f32({2, 3}, {1, 2, 3, 0, 5, 6}));
  check(onnx("Trilu", {x}, {{"upper", int64_t{0}}}), f32({2, 3}, {1, 0, 0, 4, 5, 0}));
  check(onnx("Trilu", {x}, {{"k", int64_t{1}}}), f32({2, 3}, {0, 2, 3, 0, 0, 6}));
  check(onnx("Trilu", {x}, {{"upper", int64_t{0}}, {"k", int64_t{-1}}}), f32({2, 3}, {0, 0, 0, 4, 0, 0}));
}

// -------------------------------------------------------------------------------------------- composites

BOOST_AUTO_TEST_CASE(linear_is_torchs) {
  const Tensor x = f32({1, 2, 3}, {1, 2, 3, 4, 5, 6}), weight = f32({2, 3}, {1, 0, 1, 0, 1, 1});
  check(composite("Linear", {x, weight}), f32({1, 2, 2}, {4, 5, 10, 11}));
  check(composite("Linear", {x, weight, f32({2}, {10, 20})}), f32({1, 2, 2}, {14, 25, 20, 31}));
}

BOOST_AUTO_TEST_CASE(embedding_takes_rows) {
  check(composite("Embedding", {f32({3, 2}, {1, 2, 3, 4, 5, 6}), i64({1, 3}, {2, 0, 2})}),
        f32({1, 3, 2}, {5, 6, 1, 2, 5, 6}));
}

BOOST_AUTO_TEST_CASE(normalisations) {
  const Tensor x = f32({2, 4}, {1, 3, 5, 7, -2, 0, 0, 2}), weight = f32({4}, {1, 2, 0.5F, 1}),
               bias = f32({4}, {0, 1, 0, -1});
  const double epsilon = 0.25;
  Floats layer, rms;
  for (int row = 0; row < 2; ++row) {
    const float* v = x.as<float>().data() + row * 4;
    double mean = 0, square = 0, variance = 0;
    for (int i = 0; i < 4; ++i) mean += v[i] / 4., square += v[i] * v[i] / 4.;
    for (int i = 0; i < 4; ++i) variance += (v[i] - mean) * (v[i] - mean) / 4;
    for (size_t i = 0; i < 4; ++i) {
      const float scale = weight.as<float>()[i];
      layer.push_back(static_cast<float>((v[i] - mean) / std::sqrt(variance + epsilon) * scale));
      rms.push_back(static_cast<float>(v[i] / std::sqrt(square + epsilon) * scale));
    }
  }
  check(composite("LayerNorm", {x, weight}, {{"epsilon", epsilon}}), f32({2, 4}, layer));
  check(composite("RMSNorm", {x, weight}, {{"epsilon", epsilon}}), f32({2, 4}, rms));
  for (size_t i = 0; i < layer.size(); ++i) layer[i] += bias.as<float>()[i % 4];
  check(composite("LayerNorm", {x, weight, bias}, {{"epsilon", epsilon}}), f32({2, 4}, layer));
}

BOOST_AUTO_TEST_CASE(activations) {
  const Floats values{-6, -2, -0.5F, 0, 0.5F, 1, 3};
  Floats exact, tanh, quick, silu;
  for (double x : values) {
    exact.push_back(static_cast<float>(x * 0.5 * (1 + std::erf(x / std::sqrt(2.)))));
    tanh.push_back(static_cast<float>(0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)))));
    quick.push_back(static_cast<float>(x / (1 + std::exp(-1.702 * x))));
    silu.push_back(static_cast<float>(x / (1 + std::exp(-x))));
  }
  const Tensor x = f32({7}, values);
  check(composite("Gelu", {x}), f32({7}, exact));
  check(composite("Gelu", {x}, {{"approximate", std::string("none")}}), f32({7}, exact));
  check(composite("Gelu", {x}, {{"approximate", std::string("tanh")}}), f32({7}, tanh));
  check(composite("Gelu", {x}, {{"approximate", std::string("quick")}}), f32({7}, quick));
  check(composite("Silu", {x}), f32({7}, silu));
}

BOOST_AUTO_TEST_CASE(masks) {
  constexpr auto low = static_cast<float>(masked_score);
  const Tensor mask = i64({2, 3}, {1, 1, 1, 1, 0, 1});
  check(composite("AttentionMask", {mask}), f32({2, 1, 1, 3}, {0, 0, 0, 0, low, 0}));
  check(composite("AttentionMask", {mask, ramp({2, 3, 1})}), f32({2, 1, 1, 3}, {0, 0, 0, 0, low, 0}));
  check(composite("AttentionMask", {mask, ramp({2, 3, 1})}, {{"causal", int64_t{1}}}),
        f32({2, 1, 3, 3}, {0, low, low, 0, 0, low, 0, 0, 0, 0, low, low, 0, low, low, 0, low, 0}));
  // Two queries behind one key of the past; they may be of any type.
  check(composite("AttentionMask", {mask, i64({2, 2}, {5, 5, 5, 5})}, {{"causal", int64_t{1}}}),
        f32({2, 1, 2, 3}, {0, 0, low, 0, 0, 0, 0, low, low, 0, low, 0}));
}

BOOST_AUTO_TEST_CASE(heads) {
  const Tensor x = f32({1, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}), split = f32({1, 2, 2, 2}, {1, 2, 5, 6, 3, 4, 7, 8});
  check(composite("SplitHeads", {x}, {{"heads", int64_t{2}}}), split);
  check(composite("MergeHeads", {split}), x);
}

namespace {

struct AttentionCase {
  int64_t batch = 2, query = 3, total = 3, heads = 2, kv_heads = 2, width = 4, value_width = 4;
  double scale = 0;  // 0: the default
  bool causal = false;
  double softcap = 0;
  Ints bias;  // its shape; none where empty
};

/// Attention by its definition, one number at a time in double precision.
void check_attention(const AttentionCase& c) {
  const Tensor q = ramp({c.batch, c.query, c.heads * c.width}, 0.03F),
               k = ramp({c.batch, c.total, c.kv_heads * c.width}, 0.05F, -0.7F),
               v = ramp({c.batch, c.total, c.kv_heads * c.value_width}, 0.11F, -1.F);
  const Tensor bias = c.bias.empty() ? Tensor{} : ramp(c.bias, 0.07F, -0.2F);
  const auto bias_at = [&](Ints index) {
    if (c.bias.empty()) return 0.;
    index.erase(index.begin(), index.end() - static_cast<int64_t>(c.bias.size()));
    int64_t flat = 0;
    for (size_t i = 0; i < index.size(); ++i) flat = flat * c.bias[i] + (c.bias[i] == 1 ? 0 : index[i]);
    return static_cast<double>(bias.as<float>()[static_cast<size_t>(flat)]);
  };
  const double scale = c.scale != 0 ? c.scale : 1 / std::sqrt(static_cast<double>(c.width));
  Floats probabilities, results(static_cast<size_t>(c.batch * c.query * c.heads * c.value_width));
  for (int64_t b = 0; b < c.batch; ++b) {
    for (int64_t h = 0; h < c.heads; ++h) {
      const int64_t g = h / (c.heads / c.kv_heads);  // neighbouring heads share a kv head
      for (int64_t i = 0; i < c.query; ++i) {
        std::vector<double> weights;
        double sum = 0;
        for (int64_t j = 0; j < c.total; ++j) {
          double score = 0;
          for (int64_t d = 0; d < c.width; ++d) {
            score += static_cast<double>(
                         q.as<float>()[static_cast<size_t>((b * c.query + i) * c.heads * c.width + h * c.width + d)]) *
                     k.as<float>()[static_cast<size_t>((b * c.total + j) * c.kv_heads * c.width + g * c.width + d)];
          }
          score *= scale;
          if (c.softcap != 0) score = c.softcap * std::tanh(score / c.softcap);
          score += bias_at({b, h, i, j});
          weights.push_back(c.causal && j > i + c.total - c.query ? 0. : std::exp(score));
          sum += weights.back();
        }
        for (int64_t j = 0; j < c.total; ++j) {
          const double p = weights[static_cast<size_t>(j)] / sum;
          probabilities.push_back(static_cast<float>(p));
          for (int64_t d = 0; d < c.value_width; ++d) {
            results[static_cast<size_t>((b * c.query + i) * c.heads * c.value_width + h * c.value_width + d)] +=
                static_cast<float>(p * v.as<float>()[static_cast<size_t>(
                                           (b * c.total + j) * c.kv_heads * c.value_width + g * c.value_width + d)]);
          }
        }
      }
    }
  }
  std::vector<Tensor> inputs{q, k, v};
  if (!c.bias.empty()) inputs.push_back(bias);
  Attributes attributes{{"heads", c.heads}, {"kv_heads", c.kv_heads}};
  if (c.scale != 0) attributes["scale"] = c.scale;
  if (c.causal) attributes["causal"] = int64_t{1};
  if (c.softcap != 0) attributes["softcap"] = c.softcap;
  const Tensor expected = f32({c.batch, c.query, c.heads * c.value_width}, results);
  const auto both = evaluate(composite_domain, "Attention", inputs, attributes, 2);
  check(both[0], expected, 1e-5);
  check(both[1], f32({c.batch, c.heads, c.query, c.total}, probabilities), 1e-5);
  check(composite("Attention", inputs, attributes), expected, 1e-5);
}

}  // namespace

BOOST_AUTO_TEST_CASE(attention_by_its_definition) {
  check_attention({});
  check_attention({.scale = 0.125});
  check_attention({.query = 2, .total = 5});
  check_attention({.heads = 4, .kv_heads = 2});
  check_attention({.heads = 4, .kv_heads = 1, .value_width = 3});
  check_attention({.causal = true});
  check_attention({.query = 2, .total = 5, .causal = true});
  check_attention({.softcap = 0.5});
  check_attention({.bias = {2, 1, 1, 3}});
  check_attention({.bias = {2, 3, 3}});
  check_attention({.batch = 2,
                   .query = 3,
                   .total = 4,
                   .heads = 6,
                   .kv_heads = 3,
                   .width = 2,
                   .value_width = 5,
                   .scale = 0.9,
                   .causal = true,
                   .softcap = 0.3,
                   .bias = {1, 6, 3, 4}});
}

BOOST_AUTO_TEST_CASE(attention_to_nothing_is_uniform) {
  constexpr auto low = static_cast<float>(masked_score);
  const Tensor v = f32({1, 2, 1}, {1, 3});
  check(composite("Attention", {f32({1, 1, 1}, {2}), f32({1, 2, 1}, {0.5F, 4}), v, f32({1, 1, 1, 2}, {low, low})},
                  {{"heads", int64_t{1}}, {"kv_heads", int64_t{1}}}),
        f32({1, 1, 1}, {2}));
}

// ---------------------------------------------------------------------------------------- graphs and weights

BOOST_AUTO_TEST_CASE(every_documented_operator_has_an_evaluator) {
  std::ifstream page(fs::path(ONNXPORT_TEST_SOURCE_DIR) / ".." / "docs" / "operators.md");
  BOOST_REQUIRE(page.good());
  std::string domain, line;
  size_t checked = 0;
  const std::regex row(R"(^\| ([A-Z][A-Za-z0-9 ]*?) \|.*)"), word("[A-Za-z0-9]+");
  // Of what lowering yields the reference sees nothing.
  while (std::getline(page, line) && line != "## What lowering yields") {
    if (line.starts_with("## ")) domain = line == "## Composites" ? composite_domain : "";
    std::smatch match;
    if (!std::regex_match(line, match, row)) continue;
    const std::string names = match[1];
    for (std::sregex_iterator name(names.begin(), names.end(), word), end; name != end; ++name) {
      Graph g;
      const ValueId x = g.add_input("x", {DType::f32, {Dim(1)}});
      // Past inference: that the back end knows the operator is all that is asked.
      g.nodes.push_back({domain, name->str(), "test", {x}, {}, {}, ""});
      BOOST_CHECK_NO_THROW(load_backend("reference").load_graph(g));
      ++checked;
    }
  }
  BOOST_TEST(checked > 70u);
}

namespace {

/// y = tanh(x) + 1, with the tanh marked.
struct Small {
  Graph g;
  ValueId x = g.add_input("x", {DType::f32, {Dim::symbol("batch"), Dim(2)}});
  ValueId step = g.add_node({"", "Tanh", "model.step", {x}, {}, {}, ""})[0];
  Small() {
    const ValueId one = g.add_constant(Tensor::f32_scalar(1));
    g.add_output("y", g.add_node({"", "Add", "model", {step, one}, {}, {}, ""})[0]);
    g.marks.push_back({"step", step});
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(outputs_and_marks, Small) {
  const auto runnable = load_backend("reference").load_graph(g);
  g.nodes.clear();  // the back end keeps its own copy
  for (int64_t batch : {2, 1, 3, 0}) {
    const Tensor input = ramp({batch, 2});
    const Tensors all = runnable->run({{"x", input}});
    BOOST_TEST(all.size() == 1u);
    BOOST_TEST(all.at("y").shape == (Ints{batch, 2}), boost::test_tools::per_element());
    const Tensors both = runnable->run({{"x", input}}, {"step", "y"});
    BOOST_REQUIRE_EQUAL(both.size(), 2u);
    for (size_t i = 0; i < static_cast<size_t>(batch) * 2; ++i) {
      const float expected = std::tanh(input.as<float>()[i]);
      BOOST_TEST(std::fabs(both.at("step").as<float>()[i] - expected) < 1e-6F);
      BOOST_TEST(std::fabs(both.at("y").as<float>()[i] - expected - 1) < 1e-6F);
    }
    BOOST_TEST(runnable->run({{"x", input}}, {"step"}).size() == 1u);
  }
}

BOOST_FIXTURE_TEST_CASE(what_is_given_must_fit, Small) {
  const auto runnable = load_backend("reference").load_graph(g);
  const auto failure = [&](Tensors inputs, std::vector<std::string> wanted = {}) {
    return failure_of([&] { runnable->run(inputs, wanted); });
  };
  BOOST_TEST(contains(failure({}), "'x'"));
  BOOST_TEST(contains(failure({{"x", ramp({1, 2})}}, {"nothing"}), "'nothing'"));
  const std::string rank = failure({{"x", ramp({2})}});
  BOOST_TEST(contains(rank, "f32[2]"), rank);
  BOOST_TEST(contains(rank, "f32[batch, 2]"), rank);
  BOOST_TEST(contains(failure({{"x", ramp({2, 3})}}), "f32[2, 3]"));
  BOOST_TEST(contains(failure({{"x", i64({1, 2}, {1, 2})}}), "i64[1, 2]"));
  Tensor short_of_bytes = ramp({2, 2});
  short_of_bytes.shape[0] = 3;
  BOOST_TEST(contains(failure({{"x", short_of_bytes}}), "bytes"));
}

BOOST_AUTO_TEST_CASE(errors_name_the_node_and_the_shapes) {
  Graph g;
  const ValueId table = g.add_constant(ramp({3, 2}));
  const ValueId ids = g.add_input("ids", {DType::i64, {Dim::symbol("n")}});
  g.add_output("y", g.add_node({composite_domain, "Embedding", "model.embeddings", {table, ids}, {}, {}, ""})[0]);
  const auto runnable = load_backend("reference").load_graph(g);
  const std::string failure = failure_of([&] { runnable->run({{"ids", i64({2}, {1, 3})}}); });
  BOOST_TEST(contains(failure, "Embedding"), failure);
  BOOST_TEST(contains(failure, "'model.embeddings'"), failure);
  BOOST_TEST(contains(failure, "[3, 2]"), failure);
  BOOST_TEST(contains(failure, "[2]"), failure);
  BOOST_TEST(!contains(failure, "frame #"), failure);
  check(runnable->run({{"ids", i64({1}, {2})}}).at("y"), f32({1, 2}, {0.9F, -1.1F}));
}

BOOST_AUTO_TEST_CASE(unknown_operators_are_refused_on_loading) {
  Graph g;
  const ValueId x = g.add_input("x", {DType::f32, {Dim(1)}});
  g.nodes.push_back({"com.example", "Secret", "model.part", {x}, {}, {}, ""});
  const std::string failure = failure_of([&] { load_backend("reference").load_graph(g); });
  BOOST_TEST(contains(failure, "com.example.Secret"), failure);
  BOOST_TEST(contains(failure, "'model.part'"), failure);
}

BOOST_AUTO_TEST_CASE(weights_are_read_through_their_transforms) {
  std::map<std::string, Weight> weights;
  {
    const test::TemporaryFolder folder;
    write_safetensors(folder / "model.safetensors",
                      {{"bytes", boolean({3}, {1, 0, 1})},
                       {"half", Tensor::of<uint16_t>(DType::f16, {3}, {0x3C00, 0xC000, 0x3555})},
                       {"matrix", f32({2, 3}, {1, 2, 3, 4, 5, 6})}});
    for (StoredTensor& stored : read_safetensors((folder / "model.safetensors").string())) {
      const std::string name = stored.name;
      weights[name] = Weight{std::make_shared<const StoredTensor>(std::move(stored)), {}};
    }
  }  // the mapping stays
  Graph g;
  const auto yield = [&](const std::string& output, const std::string& name, const Weight& weight) {
    g.add_output(output, g.add_node({"", "Identity", "", {g.add_weight(name, weight)}, {}, {}, ""})[0]);
  };
  yield("bytes", "bytes", weights["bytes"]);
  yield("half", "half", weights["half"]);
  yield("widened", "half", weights["half"].then(CastTo{DType::f32}));
  yield("matrix", "matrix", weights["matrix"]);
  yield("turned", "matrix", weights["matrix"].then(TransposeMatrix{}));
  const auto runnable = load_backend("reference").load_graph(g);
  weights.clear();
  const Tensors results = runnable->run({});
  check(results.at("bytes"), boolean({3}, {1, 0, 1}));
  // 16-bit weights are evaluated in 32 bits.
  const Floats third{1, -2, 1365.F / 4096};
  check(results.at("half"), f32({3}, third));
  check(results.at("widened"), f32({3}, third));
  check(results.at("matrix"), f32({2, 3}, {1, 2, 3, 4, 5, 6}));
  check(results.at("turned"), f32({3, 2}, {1, 4, 2, 5, 3, 6}));
}

BOOST_AUTO_TEST_CASE(the_version_is_told) {
  BOOST_TEST(load_backend("reference").version().starts_with("libtorch "));
  BOOST_TEST(load_backend("reference").load_file("model.onnx") == nullptr);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace reference_test
