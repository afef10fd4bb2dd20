// SPDX-License-Identifier: Apache-2.0
// Operators on images: their sizes, the reference against plain loops, and ONNX Runtime on the lowered form.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>

#include "core/error.hpp"
#include "tests/support/both_back_ends.hpp"

namespace images_test {

using namespace onnxport;
using namespace onnxport::ir;
namespace utf = boost::unit_test;

namespace {

using Ints = std::vector<int64_t>;

/// Numbers that repeat late, of both signs.
Tensor numbers(Ints shape) {
  Tensor tensor{DType::f32, std::move(shape), {}};
  std::vector<float> values(static_cast<size_t>(tensor.element_count()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i) * 1.7F) + 0.1F;
  return Tensor::of<float>(DType::f32, tensor.shape, values);
}

struct Image {
  const Tensor& tensor;
  int64_t size(size_t axis) const { return tensor.shape[axis]; }
  double at(int64_t b, int64_t c, int64_t y, int64_t x) const {
    return tensor.as<float>()[static_cast<size_t>(((b * size(1) + c) * size(2) + y) * size(3) + x)];
  }
};

/// A graph of one operator on an image or a signal; further inputs are constants.
struct One {
  Graph g;
  Tensors inputs;
  One(const std::string& domain, const std::string& op, const std::vector<Tensor>& given, Attributes attributes) {
    Shape shape{Dim::symbol("batch"), Dim(given[0].shape[1]), Dim::symbol("height"), Dim::symbol("width")};
    shape.resize(given[0].shape.size());
    std::vector<ValueId> ids{g.add_input("x", {DType::f32, shape})};
    inputs["x"] = given[0];
    for (size_t i = 1; i < given.size(); ++i) ids.push_back(g.add_constant(given[i]));
    g.add_output("y", g.add_node({domain, op, "test", ids, {}, std::move(attributes), ""})[0]);
  }
};

/// The reference's result is what `expected` says at each place (of a signal: of an image of one row), and ONNX
/// Runtime's the same at every opset.
void check(One one, const std::function<double(int64_t, int64_t, int64_t, int64_t)>& expected) {
  const Tensor y = load_backend("reference").load_graph(one.g)->run(one.inputs).at("y");
  Tensor rows = y;
  if (rows.shape.size() == 3) rows.shape.insert(rows.shape.begin() + 2, 1);
  const Image image{rows};
  for (int64_t b = 0; b < image.size(0); ++b) {
    for (int64_t c = 0; c < image.size(1); ++c) {
      for (int64_t i = 0; i < image.size(2); ++i) {
        for (int64_t j = 0; j < image.size(3); ++j)
          BOOST_TEST(std::fabs(image.at(b, c, i, j) - expected(b, c, i, j)) < 1e-5, "at " << i << ", " << j);
      }
    }
  }
  for (int64_t opset : {13, 15, 18, 21, 24}) {
    const Tensor found = test::by_runtime(one.g, opset, one.inputs).at("y");
    BOOST_REQUIRE(found.shape == y.shape);
    for (size_t i = 0; i < found.as<float>().size(); ++i)
      BOOST_TEST(std::fabs(found.as<float>()[i] - y.as<float>()[i]) < 1e-5, "opset " << opset << ", element " << i);
  }
}

std::string shape_of(Graph& g, ValueId x, const std::string& op, std::vector<ValueId> others, Attributes attributes) {
  others.insert(others.begin(), x);
  return to_string(g[g.add_node({"", op, "scope", others, {}, std::move(attributes), ""})[0]].type);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(image_sizes)

BOOST_AUTO_TEST_CASE(quotients_have_one_form) {
  const Dim height = Dim::symbol("height");
  BOOST_TEST((floor_divide(height - Dim(16), 16) + Dim(1)).to_string() == "floor(height/16)");
  BOOST_TEST((floor_divide(height - Dim(1), 2) + Dim(1)).to_string() == "floor((height + 1)/2)");
  BOOST_TEST(floor_divide(height * Dim(6) + Dim(7), 3).to_string() == "2*height + 2");
  BOOST_TEST(floor_divide(Dim(-7), 2).size() == -4);
  Dim halved = height;
  for (int i = 0; i < 5; ++i) halved = floor_divide(halved - Dim(1), 2) + Dim(1);
  BOOST_TEST(halved.to_string() == "floor((height + 31)/32)");
  // A product is no plain sum: what is made of it stays nested.
  const Dim product = Dim::symbol("a") * Dim::symbol("b");
  BOOST_TEST(floor_divide(floor_divide(product, 2), 3).to_string() == "floor(floor((a)*(b)/2)/3)");
}

BOOST_AUTO_TEST_CASE(convolutions_and_pools) {
  Graph g;
  const ValueId x =
      g.add_input("x", {DType::f32, {Dim::symbol("batch"), Dim::symbol("channels"), Dim::symbol("height"), Dim(30)}});
  const ValueId weight = g.add_input("w", {DType::f32, {Dim(8), Dim(3), Dim(7), Dim(5)}});
  BOOST_TEST(shape_of(g, x, "Conv", {weight}, {{"strides", Ints{2, 3}}, {"pads", Ints{3, 0, 3, 1}}}) ==
             "f32[batch, 8, floor((height + 1)/2), 9]");
  BOOST_TEST(shape_of(g, x, "Conv", {weight}, {{"dilations", Ints{1, 4}}}) == "f32[batch, 8, height - 6, 14]");
  BOOST_TEST(shape_of(g, x, "MaxPool", {}, {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}}) ==
             "f32[batch, channels, height, 30]");
  BOOST_TEST(shape_of(g, x, "GlobalAveragePool", {}, {}) == "f32[batch, channels, 1, 1]");
}

BOOST_AUTO_TEST_CASE(refusals) {
  Graph g;
  const ValueId x = g.add_input("x", {DType::f32, {Dim(1), Dim(4), Dim(6), Dim(6)}});
  const ValueId weight = g.add_input("w", {DType::f32, {Dim(8), Dim(3), Dim(7), Dim(7)}});
  const ValueId deep = g.add_input("d", {DType::f32, {Dim(9), Dim(2), Dim(3), Dim(3)}});
  const auto refusal = [&](const std::string& op, std::vector<ValueId> others, Attributes attributes) {
    try {
      shape_of(g, x, op, std::move(others), std::move(attributes));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  BOOST_TEST(has(refusal("Conv", {weight}, {}), "the channels of the image: 4 is not 3"));
  BOOST_TEST(has(refusal("Conv", {deep}, {{"group", int64_t{2}}}), "9 channels do not divide into 2 groups"));
  BOOST_TEST(has(refusal("MaxPool", {}, {{"kernel_shape", Ints{7, 7}}}), "a window of 7 does not fit into 6"));
  BOOST_TEST(has(refusal("MaxPool", {}, {{"kernel_shape", Ints{2, 2}}, {"pads", Ints{2, 0, 0, 0}}}), "pads"));
  BOOST_TEST(has(refusal("AveragePool", {}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{0, 1}}}), "above 0"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(images, *utf::precondition(test::both_built))

BOOST_AUTO_TEST_CASE(a_convolution_with_every_option) {
  const Tensor x = numbers({2, 4, 9, 8}), weight = numbers({6, 2, 3, 2}), bias = numbers({6});
  const Image image{x}, kernel{weight};
  check({"",
         "Conv",
         {x, weight, bias},
         {{"strides", Ints{2, 1}}, {"pads", Ints{1, 2, 0, 1}}, {"dilations", Ints{2, 3}}, {"group", int64_t{2}}}},
        [&](int64_t b, int64_t c, int64_t i, int64_t j) {
          double sum = bias.as<float>()[static_cast<size_t>(c)];
          for (int64_t in = 0; in < 2; ++in) {
            for (int64_t u = 0; u < 3; ++u) {
              for (int64_t v = 0; v < 2; ++v) {
                const int64_t y = 2 * i - 1 + 2 * u, z = j - 2 + 3 * v;
                if (y >= 0 && y < 9 && z >= 0 && z < 8)
                  sum += kernel.at(c, in, u, v) * image.at(b, c / 3 * 2 + in, y, z);
              }
            }
          }
          return sum;
        });
}

BOOST_AUTO_TEST_CASE(a_convolution_over_a_signal) {
  const Tensor x = numbers({2, 4, 11}), weight = numbers({6, 2, 3}), bias = numbers({6});
  const auto signal = x.as<float>(), kernel = weight.as<float>();
  check({"",
         "Conv",
         {x, weight, bias},
         {{"strides", Ints{2}}, {"pads", Ints{3, 1}}, {"dilations", Ints{2}}, {"group", int64_t{2}}}},
        [&](int64_t b, int64_t c, int64_t, int64_t j) {
          double sum = bias.as<float>()[static_cast<size_t>(c)];
          for (int64_t in = 0; in < 2; ++in) {
            for (int64_t v = 0; v < 3; ++v) {
              const int64_t at = 2 * j - 3 + 2 * v;
              if (at >= 0 && at < 11)
                sum += kernel[static_cast<size_t>((c * 2 + in) * 3 + v)] *
                       signal[static_cast<size_t>((b * 4 + c / 3 * 2 + in) * 11 + at)];
            }
          }
          return sum;
        });
}

BOOST_AUTO_TEST_CASE(pools) {
  const Tensor x = numbers({2, 3, 7, 6});
  const Image image{x};
  const auto window = [&](int64_t b, int64_t c, int64_t i, int64_t j, const std::function<void(double)>& each) {
    for (int64_t y = 2 * i - 1; y < 2 * i + 2; ++y) {
      for (int64_t z = 2 * j; z < 2 * j + 2; ++z) {
        if (y >= 0 && y < 7 && z < 6) each(image.at(b, c, y, z));
      }
    }
  };
  const Attributes attributes{{"kernel_shape", Ints{3, 2}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 0, 1, 1}}};
  check({"", "MaxPool", {x}, attributes}, [&](int64_t b, int64_t c, int64_t i, int64_t j) {
    double most = -1e9;
    window(b, c, i, j, [&](double value) { most = std::max(most, value); });
    return most;
  });
  for (const int64_t padding_counts : {0, 1}) {
    Attributes average = attributes;
    average["count_include_pad"] = padding_counts;
    check({"", "AveragePool", {x}, average}, [&](int64_t b, int64_t c, int64_t i, int64_t j) {
      double sum = 0, count = 0;
      window(b, c, i, j, [&](double value) {
        sum += value;
        ++count;
      });
      return sum / (padding_counts != 0 ? 6 : count);
    });
  }
  check({"", "GlobalAveragePool", {x}, {}}, [&](int64_t b, int64_t c, int64_t, int64_t) {
    double sum = 0;
    for (int64_t y = 0; y < 7; ++y) {
      for (int64_t z = 0; z < 6; ++z) sum += image.at(b, c, y, z);
    }
    return sum / 42;
  });
}

BOOST_AUTO_TEST_CASE(a_normalisation_by_fixed_statistics) {
  const Tensor x = numbers({2, 3, 2, 2}), gain = numbers({3}), shift = numbers({3}), mean = numbers({3});
  const Tensor variance = Tensor::of<float>(DType::f32, {3}, {0.5F, 2.0F, 0.0F});
  const auto of = [](const Tensor& tensor, int64_t c) { return tensor.as<float>()[static_cast<size_t>(c)]; };
  check({composite_domain, "BatchNorm", {x, gain, shift, mean, variance}, {{"epsilon", 0.01}}},
        [&](int64_t b, int64_t c, int64_t i, int64_t j) {
          return (Image{x}.at(b, c, i, j) - of(mean, c)) / std::sqrt(of(variance, c) + 0.01) * of(gain, c) +
                 of(shift, c);
        });
}

BOOST_AUTO_TEST_CASE(interpolation) {
  const Tensor x = numbers({2, 3, 5, 4});
  const Image image{x};
  // Cubic convolution with a = -0.75, by the distance from the sample.
  const auto cubic = [](double d) {
    const double a = -0.75;
    d = std::fabs(d);
    return d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : d < 2 ? a * (((d - 5) * d + 8) * d - 4) : 0.0;
  };
  const auto linear = [](double d) { return std::max(0.0, 1 - std::fabs(d)); };
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{5, 4}, std::pair<int64_t, int64_t>{7, 9},
                                      std::pair<int64_t, int64_t>{3, 2}, std::pair<int64_t, int64_t>{11, 1}}) {
    const Tensor size = Tensor::i64({height, width});
    for (const std::string mode : {"bilinear", "bicubic"}) {
      check({composite_domain, "Interpolate", {x, size}, {{"mode", mode}}},
            [&, h = height, w = width](int64_t b, int64_t c, int64_t i, int64_t j) {
              const auto place = [&](int64_t at, int64_t from, int64_t to) {
                const double sample =
                    (static_cast<double>(at) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
                return mode == "bilinear" ? std::max(0.0, sample) : sample;
              };
              const double y = place(i, 5, h), z = place(j, 4, w);
              double sum = 0;
              for (auto u = static_cast<int64_t>(std::floor(y)) - 1; u <= std::floor(y) + 2; ++u) {
                for (auto v = static_cast<int64_t>(std::floor(z)) - 1; v <= std::floor(z) + 2; ++v) {
                  const auto weight = [&](double d) { return mode == "bilinear" ? linear(d) : cubic(d); };
                  sum += weight(y - static_cast<double>(u)) * weight(z - static_cast<double>(v)) *
                         image.at(b, c, std::clamp<int64_t>(u, 0, 4), std::clamp<int64_t>(v, 0, 3));
                }
              }
              return sum;
            });
    }
    check({composite_domain, "Interpolate", {x, size}, {{"mode", std::string("nearest")}}},
          [&, h = height, w = width](int64_t b, int64_t c, int64_t i, int64_t j) {
            return image.at(b, c, i * 5 / h, j * 4 / w);
          });
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace images_test
