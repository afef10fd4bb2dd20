// SPDX-License-Identifier: Apache-2.0
#include "core/validate/padding.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

namespace padding_test {

using namespace onnxport;

namespace {

const ir::Dim batch = ir::Dim::symbol("batch"), step = ir::Dim::symbol("sequence"),
              seen = ir::Dim::symbol("past_sequence") + step;

/// A decoder's ports: ids and a mask of all that the step sees; logits, a state, and a result of the whole text.
Definition decoder() {
  Definition definition;
  definition.description.inputs = {{"ids", {ir::DType::i64, {batch, step}}, 0, {}, ONNXPORT_ROLE_IDS},
                                   {"mask", {ir::DType::i64, {batch, seen}}, 0, {}, ONNXPORT_ROLE_MASK, "ids"}};
  const auto output = [&](const char* name, ir::Shape shape) {
    const ir::ValueId id = definition.graph.add_input(name, {ir::DType::f32, std::move(shape)});
    definition.graph.outputs.push_back({name, id});
  };
  output("logits", {batch, step, 2});
  output("present", {batch, 1, seen, 1});
  output("pooled", {batch, 2});
  return definition;
}

std::vector<float> floats(const ir::Tensor& tensor) {
  const auto values = tensor.as<float>();
  return {values.begin(), values.end()};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(padding)

BOOST_AUTO_TEST_CASE(outputs_are_zero_where_the_mask_is) {
  const Tensors inputs{{"ids", ir::Tensor::of<int64_t>(ir::DType::i64, {2, 2}, {1, 1, 1, 1})},
                       {"mask", ir::Tensor::of<int64_t>(ir::DType::i64, {2, 3}, {1, 1, 1, 0, 0, 1})}};
  const Tensors outputs =
      without_padding({{"logits", ir::Tensor::of<float>(ir::DType::f32, {2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8})},
                       {"present", ir::Tensor::of<float>(ir::DType::f32, {2, 1, 3, 1}, {1, 2, 3, 4, 5, 6})},
                       {"pooled", ir::Tensor::of<float>(ir::DType::f32, {2, 2}, {1, 2, 3, 4})}},
                      decoder(), inputs);
  BOOST_TEST(floats(outputs.at("logits")) == (std::vector<float>{1, 2, 3, 4, 0, 0, 7, 8}),
             boost::test_tools::per_element());
  BOOST_TEST(floats(outputs.at("present")) == (std::vector<float>{1, 2, 3, 0, 0, 6}), boost::test_tools::per_element());
  BOOST_TEST(floats(outputs.at("pooled")) == (std::vector<float>{1, 2, 3, 4}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(of_logits_that_were_cut_the_last_places_count) {
  const Tensors inputs{{"mask", ir::Tensor::of<int64_t>(ir::DType::i64, {1, 3}, {0, 1, 0})}};
  const Tensors outputs =
      without_padding({{"logits", ir::Tensor::of<float>(ir::DType::f32, {1, 1, 2}, {1, 2})}}, decoder(), inputs);
  BOOST_TEST(floats(outputs.at("logits")) == (std::vector<float>{0, 0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_is_not_finite_can_stay) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensors inputs{{"mask", ir::Tensor::of<int64_t>(ir::DType::i64, {1, 2}, {0, 0})}};
  const Tensors outputs = {{"logits", ir::Tensor::of<float>(ir::DType::f32, {1, 2, 2}, {1, nan, 3, 4})}};
  const Tensors kept = without_padding(outputs, decoder(), inputs, NotFinite::kept);
  BOOST_TEST(std::isnan(floats(kept.at("logits"))[1]));
  BOOST_TEST(floats(kept.at("logits"))[2] == 0);
  BOOST_TEST(floats(without_padding(outputs, decoder(), inputs).at("logits"))[1] == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace padding_test
