// SPDX-License-Identifier: Apache-2.0
// Samples between pixels. The numbers are those of PyTorch 2.
#include <algorithm>

#include "core/passes/precision.hpp"
#include "tests/support/operator_case.hpp"

namespace resampling_test {

using namespace onnxport;
using namespace onnxport::ir;
using test::check_case;
using test::check_refusal;
using test::numbers_of;
namespace utf = boost::unit_test;
using Ints = std::vector<int64_t>;

namespace {

std::string text(const char* value) {
  return value;
}

/// To a size that the run knows, and to one that is known.
test::OperatorCase to_size(Tensor x, const Ints& size, Attributes attributes) {
  return {.domain = composite_domain,
          .op = "Interpolate",
          .inputs = {std::move(x), Tensor::i64(size)},
          .attributes = std::move(attributes),
          .fed = {1}};
}
void check_size(const Tensor& x, const Ints& size, const Attributes& attributes, const std::vector<float>& numbers) {
  Ints shape(x.shape.begin(), x.shape.begin() + 2);
  shape.insert(shape.end(), size.begin(), size.end());
  test::OperatorCase one = to_size(x, size, attributes);
  check_case(one, shape, numbers);
  one.fed.clear();
  check_case(one, shape, numbers);
}

/// By factors that only the run knows, and by ones that are known.
void check_factors(const Tensor& x, const std::vector<float>& factors, Attributes attributes, const Ints& shape,
                   const std::vector<float>& numbers) {
  test::OperatorCase one{
      .domain = composite_domain,
      .op = "Interpolate",
      .inputs = {x, {}, Tensor::of<float>(DType::f32, {static_cast<int64_t>(factors.size())}, factors)},
      .attributes = std::move(attributes),
      .fed = {2}};
  check_case(one, shape, numbers);
  one.fed.clear();
  check_case(one, shape, numbers);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(resampling, *utf::precondition(test::both_built))

BOOST_AUTO_TEST_CASE(signals) {
  const Tensor x = numbers_of({1, 2, 4});
  check_size(x, {6}, {{"mode", text("linear")}},
             {0.100000F, 0.595832F, 0.883797F, 0.052326F, -0.490678F, -0.825815F, 0.594114F, 0.746300F, 0.648760F,
              -0.350148F, -0.559006F, -0.518137F});
  check_size(x, {6}, {{"mode", text("linear")}, {"coordinates", text("align_corners")}},
             {0.100000F, 0.694999F, 0.842224F, 0.093900F, -0.423651F, -0.825815F, 0.594114F, 0.776738F, 0.598815F,
              -0.300203F, -0.567180F, -0.518137F});
  test::checked(to_size(x, {7}, {}));
}

BOOST_AUTO_TEST_CASE(samples_at_corners_and_nearest_ones) {
  const Tensor x = numbers_of({1, 1, 4, 5});
  check_size(x, {3, 7}, {{"coordinates", text("half_pixel")}, {"rounding", text("half_up")}},
             {0.100000F,  1.091665F,  1.091665F,  -0.155541F, -0.825815F, -0.825815F, 0.594114F,
              -0.861397F, -0.048998F, -0.048998F, 1.099793F,  -0.008637F, -0.008637F, -0.871798F,
              0.459058F,  0.979273F,  0.979273F,  -0.485639F, -0.628360F, -0.628360F, 0.873327F});
  check_size(x, {3, 7}, {{"mode", text("bilinear")}, {"coordinates", text("align_corners")}},
             {0.100000F, 0.761110F,  0.675929F,  -0.155541F, -0.602390F, -0.352505F, 0.594114F,
              0.018545F, -0.210110F, -0.119348F, 0.290828F,  0.413784F,  0.254332F,  -0.187529F,
              0.459058F, 0.805868F,  0.490969F,  -0.485639F, -0.580787F, -0.127798F, 0.873327F});
  check_size(x, {3, 7}, {{"mode", text("bicubic")}, {"coordinates", text("align_corners")}},
             {0.100000F,  0.918052F,  0.846448F,  -0.155541F, -0.841861F, -0.453275F, 0.594114F,
              -0.030390F, -0.516008F, -0.346767F, 0.405469F,  0.780360F,  0.399499F,  -0.360263F,
              0.459058F,  0.978270F,  0.583828F,  -0.485639F, -0.831667F, -0.171465F, 0.873327F});
}

/// Known factors stand for all axes at every opset, as ONNX Runtime's blocked layout wants them.
BOOST_AUTO_TEST_CASE(known_factors_name_no_axes) {
  const Graph g = test::graph_of({.domain = composite_domain,
                                  .op = "Interpolate",
                                  .inputs = {numbers_of({1, 1, 4, 5}), {}, Tensor::of<float>(DType::f32, {2}, {2, 3})},
                                  .attributes = {{"mode", text("bilinear")}}},
                                 true);
  for (const int64_t opset : {13, 18, 24}) {
    const Graph lowered = lower(g, {.opset = opset, .patches = {}});
    BOOST_REQUIRE(lowered.nodes.size() == 1u);
    BOOST_TEST(!lowered.nodes[0].attributes.contains("axes"));
    const auto scales = lowered[lowered.nodes[0].inputs[2]].constant;
    BOOST_REQUIRE(scales != nullptr);
    BOOST_TEST(scales->as<float>() == (std::vector<float>{1, 1, 2, 3}), boost::test_tools::per_element());
  }
}

/// What torch has no name for: the reference samples by itself.
BOOST_AUTO_TEST_CASE(other_ways_to_place_samples) {
  const Tensor x = numbers_of({2, 2, 4, 5});
  for (const char* rounding : {"floor", "ceil", "half_down", "half_up"}) {
    for (const char* coordinates : {"asymmetric", "half_pixel", "align_corners"})
      test::checked(to_size(x, {7, 3}, {{"rounding", text(rounding)}, {"coordinates", text(coordinates)}}));
  }
  test::checked(to_size(x, {7, 3}, {{"mode", text("bilinear")}, {"coordinates", text("asymmetric")}}));
  test::checked(to_size(x, {7, 3}, {{"mode", text("bicubic")}, {"cubic_factor", -0.5}}));
}

BOOST_AUTO_TEST_CASE(factors) {
  const Tensor x = numbers_of({1, 1, 4, 5});
  check_factors(x, {1.3F, 0.7F}, {{"mode", text("bilinear")}}, {1, 1, 5, 3},
                {0.312500F, 0.289889F, -0.724391F, 0.485710F, -0.257523F, 0.354797F, 0.042335F, -0.024051F, 0.504568F,
                 -0.445419F, 0.564132F, -0.156985F, 0.522154F, 0.062620F, -0.503758F});
  check_factors(x, {1.3F, 0.7F}, {{"mode", text("bicubic")}}, {1, 1, 5, 3},
                {0.302835F, 0.486307F, -0.895836F, 0.666026F, -0.591867F, 0.540155F, -0.019837F, -0.169475F, 0.763360F,
                 -0.639953F, 0.901288F, -0.287750F, 0.556249F, 0.087637F, -0.537055F});
  const std::vector<float> rows[] = {{0.100000F, 0.100000F, 1.091665F, -0.155541F, -0.155541F, -0.825815F, 0.594114F},
                                     {0.898487F, 0.898487F, -0.599875F, -0.518137F, -0.518137F, 0.959162F, 0.496740F},
                                     {-0.861397F, -0.861397F, -0.048998F, 1.099793F, 1.099793F, -0.008637F, -0.871798F},
                                     {0.459058F, 0.459058F, 0.979273F, -0.485639F, -0.485639F, -0.628360F, 0.873327F}};
  std::vector<float> nearest;
  for (const auto& row : rows) {
    for (int twice = 0; twice < 2; ++twice) nearest.insert(nearest.end(), row.begin(), row.end());
  }
  check_factors(x, {2, 1.5F}, {}, {1, 1, 8, 7}, nearest);
}

BOOST_AUTO_TEST_CASE(factors_stay_in_32_bits) {
  const Graph g =
      test::graph_of({.domain = composite_domain,
                      .op = "Interpolate",
                      .inputs = {numbers_of({1, 1, 4, 5}), {}, Tensor::of<float>(DType::f32, {2}, {1.3F, 0.7F})},
                      .fed = {2}},
                     true);
  const Graph narrow = to_precision(g, {});
  const auto node = std::find_if(narrow.nodes.begin(), narrow.nodes.end(),
                                 [](const Node& candidate) { return candidate.op == "Interpolate"; });
  BOOST_REQUIRE(node != narrow.nodes.end());
  BOOST_TEST((narrow[node->input(0)].type.dtype == DType::f16));
  BOOST_TEST((narrow[node->input(2)].type.dtype == DType::f32));
}

BOOST_AUTO_TEST_CASE(filters_that_are_widened) {
  const Tensor x = numbers_of({1, 1, 4, 5});
  check_size(x, {2, 7}, {{"mode", text("bilinear")}, {"antialias", int64_t{1}}},
             {0.304866F, 0.247095F, 0.107946F, -0.131606F, 0.002338F, 0.178937F, 0.342966F, -0.044076F, 0.159963F,
              0.277620F, 0.189190F, -0.043071F, -0.047007F, 0.071618F});
  check_size(x, {6, 2}, {{"mode", text("bicubic")}, {"antialias", int64_t{1}}},
             {0.438632F, -0.181535F, 0.192001F, 0.136481F, -0.078168F, 0.383157F, -0.061821F, 0.041850F, 0.201633F,
              -0.064628F, 0.432951F, -0.062922F});
  for (const char* mode : {"bilinear", "bicubic"})
    test::checked(to_size(numbers_of({2, 3, 9, 7}), {4, 3}, {{"mode", text(mode)}, {"antialias", int64_t{1}}}));
}

namespace {

test::OperatorCase sampled(const char* mode, const char* padding, bool corners) {
  return {.domain = "",
          .op = "GridSample",
          .inputs = {numbers_of({1, 2, 3, 4}), numbers_of({1, 2, 3, 2}, 1.3F)},
          .attributes = {{"mode", text(mode)},
                         {"padding_mode", text(padding)},
                         {"align_corners", static_cast<int64_t>(corners)}},
          .fed = {1}};
}

}  // namespace

BOOST_AUTO_TEST_CASE(samples_of_a_grid) {
  const Ints shape{1, 2, 2, 3};
  check_case(sampled("bilinear", "zeros", false), shape,
             {0.000000F, 0.378923F, -0.011606F, 0.093058F, -0.000394F, 0.142395F, 0.000000F, -0.035517F, 0.257144F,
              1.023442F, 0.006667F, 0.257968F});
  check_case(sampled("bilinear", "reflection", true), shape,
             {-0.319618F, 0.828502F, -0.363321F, 0.514691F, -0.420209F, 0.625211F, -0.467161F, -0.203080F, 0.600042F,
              0.655972F, 0.507188F, 0.727749F});
  check_case(sampled("nearest", "border", true), shape,
             {-0.861397F, 1.091665F, -0.048998F, 0.100000F, -0.048998F, 0.594114F, -0.194670F, -0.008637F, 1.085601F,
              1.099793F, 1.085601F, 0.979273F});
  check_case(sampled("bicubic", "zeros", true), shape,
             {-0.391448F, 0.943169F, -0.312757F, 0.641154F, -0.047896F, 0.433632F, -0.317163F, -0.258412F, 0.738047F,
              0.961994F, 0.913497F, 0.978177F});
  check_case(sampled("bicubic", "reflection", false), shape,
             {-0.630196F, 1.102530F, 0.045900F, 0.054241F, -0.056487F, 0.475935F, -0.539097F, -0.070348F, 1.155294F,
              1.147254F, 1.086673F, 1.216993F});
}

BOOST_AUTO_TEST_CASE(every_way_to_sample_a_grid) {
  for (const char* mode : {"bilinear", "nearest", "bicubic"}) {
    for (const char* padding : {"zeros", "border", "reflection"}) {
      for (const bool corners : {false, true}) {
        test::OperatorCase one = sampled(mode, padding, corners);
        one.inputs = {numbers_of({2, 3, 5, 1}), numbers_of({2, 4, 1, 2}, 2.7F)};  // far outside, and of one column
        test::checked(one);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(pixels_from_channels) {
  check_case({"", "DepthToSpace", {numbers_of({1, 4, 1, 2})}, {{"blocksize", int64_t{2}}, {"mode", text("CRD")}}},
             {1, 1, 2, 4},
             {0.100000F, -0.155541F, 1.091665F, -0.825815F, 0.594114F, -0.599875F, 0.898487F, -0.518137F});
  test::checked({"", "DepthToSpace", {numbers_of({2, 18, 2, 3})}, {{"blocksize", int64_t{3}}}});
  check_refusal({"", "DepthToSpace", {numbers_of({2, 6, 2, 3})}, {{"blocksize", int64_t{2}}}}, "6 channels");
}

BOOST_AUTO_TEST_CASE(refusals_of_samples) {
  const Tensor x = numbers_of({1, 2, 4, 5});
  const auto refused = [&](Attributes attributes, const char* part) {
    check_refusal(to_size(x, {3, 3}, std::move(attributes)), part);
  };
  refused({{"mode", text("lanczos")}}, "no interpolation 'lanczos'; known: nearest, linear, bilinear, bicubic");
  refused({{"mode", text("linear")}}, "of another rank");
  refused({{"coordinates", text("corners")}}, "no way to place samples 'corners'");
  refused({{"antialias", int64_t{1}}}, "antialias is for bilinear and bicubic");
  check_refusal({composite_domain, "Interpolate", {x}}, "either a size or scales");
  check_refusal({composite_domain, "Interpolate", {x, {}, Tensor::of<float>(DType::f32, {1}, {2})}},
                "the number of its scales: 1 is not 2");
  check_refusal({"", "GridSample", {numbers_of({1, 2, 3, 4, 5}), x}}, "samples of a volume");
  check_refusal({"", "GridSample", {x, numbers_of({1, 2, 3, 3})}}, "the coordinates of a sample, x and y: 3 is not 2");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace resampling_test
