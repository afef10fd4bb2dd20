// SPDX-License-Identifier: Apache-2.0
// Operators that slide a window. The numbers are those of PyTorch 2.
#include "tests/support/operator_case.hpp"

namespace windows_test {

using namespace onnxport;
using namespace onnxport::ir;
using test::check_case;
using test::check_refusal;
using test::numbers_of;
namespace utf = boost::unit_test;
using Ints = std::vector<int64_t>;

BOOST_AUTO_TEST_SUITE(windows, *utf::precondition(test::both_built))

BOOST_AUTO_TEST_CASE(a_convolution_over_a_video) {
  check_case({"",
              "Conv",
              {numbers_of({1, 2, 4, 4, 4}), numbers_of({3, 2, 2, 2, 2}), numbers_of({3})},
              {{"strides", Ints{2, 2, 2}}}},
             {1, 3, 2, 2, 2},
             {0.918881F,  -0.294928F, 0.469483F,  0.259592F, 0.066802F, 0.328917F,  0.705779F, -0.258246F,
              0.931686F,  1.678198F,  1.325350F,  1.236014F, 1.374796F, 1.426534F,  0.957855F, 1.779027F,
              -0.344015F, 0.362959F,  -0.996241F, 0.828265F, 0.783044F, -1.029210F, 0.597580F, -0.619993F});
}

BOOST_AUTO_TEST_CASE(padding_as_much_as_is_needed) {
  const Tensor x = numbers_of({1, 1, 7, 6}), weight = numbers_of({1, 1, 3, 3});
  const std::string upper = "SAME_UPPER", lower = "SAME_LOWER";
  check_case({"", "Conv", {x, weight}, {{"auto_pad", upper}, {"strides", Ints{2, 2}}}}, {1, 1, 4, 3},
             {1.974547F, -1.487353F, 0.585295F, -1.943637F, 2.500140F, -1.682563F, -1.129901F, 0.866504F, 0.253103F,
              2.822538F, -2.341812F, 1.466961F});
  test::checked({"", "Conv", {x, weight}, {{"auto_pad", upper}, {"dilations", Ints{2, 2}}}});
  test::checked({"", "Conv", {x, numbers_of({2, 1, 2, 4})}, {{"auto_pad", lower}}});
  test::checked({"", "Conv", {x, numbers_of({2, 1, 2, 4})}, {{"auto_pad", lower}, {"strides", Ints{3, 2}}}});
}

BOOST_AUTO_TEST_CASE(transposes_of_convolutions) {
  check_case({"",
              "ConvTranspose",
              {numbers_of({1, 4, 3}), numbers_of({4, 1, 4}), numbers_of({2})},
              {{"strides", Ints{2}},
               {"pads", Ints{1, 1}},
               {"output_padding", Ints{1}},
               {"group", int64_t{2}},
               {"dilations", Ints{2}}}},
             {1, 2, 10}, {0.100000F,  -0.070680F, 0.100000F,  2.823616F,  0.100000F,  0.556591F, 0.100000F,
                          -1.624132F, 0.100000F,  -0.237091F, 1.091665F,  -0.654944F, 1.091665F, 1.791503F,
                          1.091665F,  3.023254F,  1.091665F,  -0.061882F, 1.091665F,  1.022174F});
  check_case({"",
              "ConvTranspose",
              {numbers_of({1, 2, 2, 3}), numbers_of({2, 2, 3, 2}), numbers_of({2})},
              {{"strides", Ints{2, 1}},
               {"pads", Ints{1, 0, 1, 0}},
               {"output_padding", Ints{1, 0}},
               {"dilations", Ints{1, 2}}}},
             {1, 2, 4, 5},
             {0.607416F,  0.381912F,  -1.069962F, -1.039368F, 0.668760F,  0.035700F,  -0.646772F, 0.458201F,
              1.988487F,  0.475712F,  -0.204609F, 0.758556F,  0.912967F,  -0.786059F, -0.664477F, 0.095817F,
              -0.390572F, -0.397399F, 1.052131F,  0.931075F,  0.810210F,  1.812798F,  2.081241F,  2.053457F,
              0.237799F,  1.305557F,  0.437047F,  0.736313F,  -0.584428F, 1.632222F,  0.612066F,  1.119626F,
              1.110226F,  2.084230F,  1.577652F,  1.706319F,  0.747585F,  0.906974F,  0.127421F,  0.994448F});
  // As a decoder of audio has it: what the stride adds is taken away at the end alone.
  test::checked({"",
                 "ConvTranspose",
                 {numbers_of({2, 3, 5}), numbers_of({3, 2, 4})},
                 {{"strides", Ints{2}}, {"pads", Ints{0, 2}}}});
}

BOOST_AUTO_TEST_CASE(pools_over_signals_and_videos) {
  const Attributes three{{"kernel_shape", Ints{3}}, {"strides", Ints{2}}, {"pads", Ints{1, 1}}};
  Attributes counted = three;
  counted["count_include_pad"] = int64_t{1};
  check_case({"", "MaxPool", {numbers_of({1, 2, 7})}, three}, {1, 2, 4},
             {1.091665F, 1.091665F, 0.898487F, 0.898487F, 0.959162F, 0.959162F, 1.099793F, 1.099793F});
  check_case({"", "AveragePool", {numbers_of({1, 2, 7})}, counted}, {1, 2, 4},
             {0.397222F, 0.036770F, 0.222262F, 0.099537F, 0.147008F, 0.198168F, 0.063132F, 0.363719F});
  test::checked({"",
                 "AveragePool",
                 {numbers_of({1, 2, 7})},
                 {{"kernel_shape", Ints{4}}, {"strides", Ints{3}}, {"pads", Ints{3, 1}}}});
  test::checked({"", "GlobalAveragePool", {numbers_of({2, 2, 7})}});
  const Attributes cube{{"kernel_shape", Ints{2, 2, 2}}, {"strides", Ints{2, 2, 2}}};
  check_case({"", "MaxPool", {numbers_of({1, 1, 3, 4, 4})}, cube}, {1, 1, 1, 2, 2},
             {1.091665F, 1.085601F, 1.099793F, 1.040428F});
  test::checked({"", "AveragePool", {numbers_of({2, 1, 4, 4, 5})}, cube});
}

BOOST_AUTO_TEST_CASE(windows_that_are_partly_outside) {
  const Tensor x = numbers_of({1, 1, 6, 5});
  const auto window = [](int64_t kernel, int64_t stride, int64_t pad, int64_t counts) {
    return Attributes{{"kernel_shape", Ints{kernel, kernel}},
                      {"strides", Ints{stride, stride}},
                      {"pads", Ints(4, pad)},
                      {"ceil_mode", int64_t{1}},
                      {"count_include_pad", counts}};
  };
  Attributes largest = window(2, 2, 0, 0);
  largest.erase("count_include_pad");
  check_case({"", "MaxPool", {x}, largest}, {1, 1, 3, 3},
             {1.091665F, 0.959162F, 0.594114F, 0.979273F, 1.099793F, 0.873327F, 0.629083F, 1.085601F, 0.140690F});
  check_case({"", "AveragePool", {x}, window(3, 2, 1, 1)}, {1, 1, 4, 3},
             {0.165586F, -0.005393F, 0.136022F, 0.091839F, 0.083176F, 0.091159F, 0.075294F, 0.104958F, 0.043401F,
              -0.096683F, 0.166348F, -0.180108F});
  check_case({"", "AveragePool", {x}, window(3, 2, 1, 0)}, {1, 1, 4, 3},
             {0.372569F, -0.008090F, 0.306050F, 0.137758F, 0.083176F, 0.136739F, 0.112941F, 0.104958F, 0.065101F,
              -0.290049F, 0.332696F, -0.540325F});
  // A window that begins behind the image is none.
  check_case({"", "AveragePool", {numbers_of({1, 1, 5, 5})}, window(2, 3, 1, 1)}, {1, 1, 2, 2},
             {0.025000F, -0.245339F, -0.100585F, -0.005711F});
}

BOOST_AUTO_TEST_CASE(means_that_share_an_image_out) {
  const auto shared = [](Tensor x, Ints size) {
    return test::OperatorCase{composite_domain, "AdaptiveAveragePool", {std::move(x)}, {{"size", std::move(size)}}};
  };
  check_case(shared(numbers_of({1, 2, 5, 7}), {2, 3}), {1, 2, 2, 3},
             {0.282269F, -0.103958F, 0.312104F, 0.037486F, 0.108632F, 0.145821F, -0.058450F, 0.289238F, -0.107460F,
              0.199725F, 0.051436F, 0.094177F});
  check_case(shared(numbers_of({1, 1, 6, 4}), {3, 2}), {1, 1, 3, 2},
             {0.671066F, -0.524842F, 0.636765F, -0.330784F, 0.078262F, 0.283974F});
  check_case(shared(numbers_of({1, 2, 7}), {3}), {1, 2, 3},
             {0.345375F, -0.129081F, 0.297575F, 0.312589F, -0.137885F, 0.347386F});
  test::checked(shared(numbers_of({2, 2, 5, 7}), {1, 1}));
  test::checked(shared(numbers_of({2, 2, 3, 2}), {6, 6}));  // more windows than pixels
  test::checked(shared(numbers_of({1, 2, 3, 5, 4}), {2, 2, 3}));
}

BOOST_AUTO_TEST_CASE(sizes_of_what_rounds_up) {
  Graph g;
  const ValueId x = g.add_input("x", {DType::f32, {Dim(1), Dim(2), Dim::symbol("height"), Dim::symbol("width")}});
  const auto type = [&](const std::string& op, std::vector<ValueId> inputs, Attributes attributes) {
    return to_string(g[g.add_node({"", op, "s", std::move(inputs), {}, std::move(attributes), ""})[0]].type);
  };
  BOOST_TEST(type("MaxPool", {x}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}, {"ceil_mode", int64_t{1}}}) ==
             "f32[1, 2, floor((height + 1)/2), floor((width + 1)/2)]");
  const ValueId weight = g.add_constant(numbers_of({2, 3, 2, 2}));
  BOOST_TEST(type("ConvTranspose", {x, weight}, {{"strides", Ints{2, 2}}}) == "f32[1, 3, 2*height, 2*width]");
  const ValueId kernel = g.add_constant(numbers_of({3, 2, 3, 3}));
  BOOST_TEST(type("Conv", {x, kernel}, {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 1}}}) ==
             "f32[1, 3, floor((height + 1)/2), width]");
}

BOOST_AUTO_TEST_CASE(refusals_of_windows) {
  const Tensor x = numbers_of({1, 4, 6, 6});
  const std::string same = "SAME_UPPER", valid = "VALID";
  check_refusal({"", "Conv", {x, numbers_of({2, 4, 3, 3})}, {{"auto_pad", valid}}}, "no auto_pad 'VALID'");
  check_refusal({"", "Conv", {x, numbers_of({2, 4, 3, 3})}, {{"auto_pad", same}, {"pads", Ints{1, 1, 1, 1}}}},
                "pads and auto_pad");
  check_refusal({"",
                 "Conv",
                 {x, numbers_of({2, 4, 3, 3})},
                 {{"auto_pad", same}, {"strides", Ints{2, 2}}, {"dilations", Ints{2, 2}}}},
                "strides or dilations");
  check_refusal({"", "ConvTranspose", {x, numbers_of({2, 4, 3, 3})}}, "the channels of the image: 4 is not 2");
  check_refusal({"", "ConvTranspose", {x, numbers_of({4, 4, 3, 3})}, {{"group", int64_t{3}}}},
                "4 channels do not divide into 3 groups");
  check_refusal({"", "ConvTranspose", {x, numbers_of({4, 4, 3, 3})}, {{"output_padding", Ints{1, 1}}}},
                "must be below the stride");
  check_refusal(
      {"", "MaxPool", {x}, {{"kernel_shape", Ints{2, 2}}, {"pads", Ints{1, 0, 0, 0}}, {"ceil_mode", int64_t{1}}}},
      "alike on both sides");
  check_refusal({"", "MaxPool", {numbers_of({1, 4})}, {{"kernel_shape", Ints{2}}}}, "expected 3 (a signal)");
  check_refusal({composite_domain, "AdaptiveAveragePool", {x}, {{"size", Ints{2}}}}, "has 1 entries, not 2");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace windows_test
