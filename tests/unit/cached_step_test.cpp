// SPDX-License-Identifier: Apache-2.0
// The check of a cache finds a cache that is wrong.
#include <boost/test/unit_test.hpp>

#include "core/validate/cached_step.hpp"

namespace cached_step_test {

using namespace onnxport;
using ir::DType;
using ir::Tensor;

namespace {

/// Puts out the running sum of ids, and keeps all ids as its cache: f32[batch, 1, n, 1].
Tensors sums(const std::vector<float>& all, int64_t fresh) {
  std::vector<float> logits;
  float sum = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    sum += all[i];
    if (i + static_cast<size_t>(fresh) >= all.size()) logits.push_back(sum);
  }
  const auto total = static_cast<int64_t>(all.size());
  return {{"logits", Tensor::of<float>(DType::f32, {1, fresh, 1}, logits)},
          {"present.0.key", Tensor::of<float>(DType::f32, {1, 1, total, 1}, all)}};
}

std::vector<float> ids_of(const Tokens& tokens) {
  const auto ids = tokens.ids.as<int64_t>();
  return {ids.begin(), ids.end()};
}

SteppedDecoder decoder(bool forgets) {
  return {[](const Tokens& tokens) { return sums(ids_of(tokens), tokens.ids.shape[1]); },
          [forgets](const Tokens& tokens, const Tensors& before) {
            const auto kept = before.at("present.0.key").as<float>();
            std::vector<float> all(kept.begin(), kept.end());
            if (forgets) all[0] = 0;
            for (const float id : ids_of(tokens)) all.push_back(id);
            return sums(all, tokens.ids.shape[1]);
          },
          {{"past_key_values.0.key", "present.0.key", 2}}};
}

Tokens seven() {
  return {Tensor::of<int64_t>(DType::i64, {1, 7}, {3, 1, 4, 1, 5, 9, 2}),
          Tensor::of<int64_t>(DType::i64, {1, 7}, {1, 1, 1, 1, 1, 1, 1})};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cached_steps)

BOOST_AUTO_TEST_CASE(a_right_cache_passes) {
  const ValidationRun run = compare_cached_step(decoder(false), seven(), 4, {.absolute = 1e-6});
  BOOST_TEST(run.passes);
  BOOST_TEST(run.differences.size() == 2u);
  BOOST_TEST(run.label == "batch 1, 3 tokens after 4, cached");
}

BOOST_AUTO_TEST_CASE(a_wrong_cache_is_found) {
  const ValidationRun run = compare_cached_step(decoder(true), seven(), 4, {.absolute = 1e-6});
  BOOST_TEST(!run.passes);
  for (const Difference& difference : run.differences) BOOST_TEST(difference.max_abs == 3.0);
}

BOOST_AUTO_TEST_CASE(an_output_that_nothing_is_compared_with_does_not_pass) {
  SteppedDecoder silent = decoder(false);
  silent.next = [](const Tokens&, const Tensors&) { return Tensors{}; };
  BOOST_TEST(!compare_cached_step(silent, seven(), 4, {.absolute = 1e-6}).passes);
}

BOOST_AUTO_TEST_CASE(a_state_that_is_replaced_is_compared_as_a_whole) {
  // The running sum is all that is kept: f32[1, 1], which another number of tokens does not lengthen.
  const auto summing = [](float forgotten) -> SteppedDecoder {
    const auto out = [](float sum, const Tokens& tokens) {
      std::vector<float> logits;
      for (const float id : ids_of(tokens)) logits.push_back(sum += id);
      return Tensors{{"logits", Tensor::of<float>(DType::f32, {1, tokens.ids.shape[1], 1}, logits)},
                     {"sum.out", Tensor::of<float>(DType::f32, {1, 1}, {sum})}};
    };
    return {[out](const Tokens& tokens) { return out(0, tokens); },
            [out, forgotten](const Tokens& tokens, const Tensors& before) {
              return out(before.at("sum.out").as<float>()[0] - forgotten, tokens);
            },
            {{"sum.in", "sum.out", std::nullopt}}};
  };
  BOOST_TEST(compare_cached_step(summing(0), seven(), 4, {.absolute = 1e-6}).passes);
  const ValidationRun wrong = compare_cached_step(summing(2), seven(), 4, {.absolute = 1e-6});
  BOOST_REQUIRE(wrong.differences.size() == 2u);
  for (const Difference& difference : wrong.differences) BOOST_TEST(difference.max_abs == 2.0);
}

BOOST_AUTO_TEST_CASE(presents_become_the_past) {
  const Tensors past = as_past(decoder(false).states, sums({1, 2}, 1));
  BOOST_TEST(past.size() == 1u);
  BOOST_TEST(past.count("past_key_values.0.key") == 1u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace cached_step_test
