// SPDX-License-Identifier: Apache-2.0
// What the graphs of a layout share, which do what, and which models have none. That they answer as recorded is tested
// with each plugin.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "core/error.hpp"
#include "core/onnx/model_proto.hpp"
#include "tests/plugin/layouts.hpp"

namespace layouts_test {

namespace {

namespace fs = std::filesystem;
using namespace onnxport;
using namespace onnxport::test;

/// Initializer -> file and offset of its external data.
std::map<std::string, std::string> places_of(const fs::path& file) {
  pb::ModelProto model;
  std::ifstream in(file, std::ios::binary);
  BOOST_REQUIRE(model.ParseFromIstream(&in));
  std::map<std::string, std::string> places;
  for (const auto& initializer : model.graph().initializer()) {
    std::string place;
    for (const auto& entry : initializer.external_data()) {
      if (entry.key() != "length") place += entry.value() + " ";
    }
    if (!place.empty()) places.emplace(initializer.name(), place);
  }
  return places;
}

Checkpoint t5() {
  return Checkpoint::open(recorded("t5", "t5/T5ForConditionalGeneration"));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(layouts)

BOOST_AUTO_TEST_CASE(decoders_hold_their_common_weights_once) {
  const Checkpoint checkpoint = t5();
  const ExportedLayout split(checkpoint, "seq2seq-lm-with-past", "split", 18),
      merged(checkpoint, "seq2seq-lm-with-past", "merged", 18);
  const auto first = places_of(split.folder() / "decoder_model.onnx"),
             cached = places_of(split.folder() / "decoder_with_past_model.onnx");
  size_t common = 0;
  for (const auto& [weight, place] : cached) {
    const auto found = first.find(weight);
    if (found == first.end()) continue;
    BOOST_TEST(found->second == place, weight << " lies twice");
    ++common;
  }
  BOOST_TEST(common > 10u);
  // Merged: one copy of what both steps hold.
  BOOST_TEST(fs::file_size(merged.folder() / "decoder_model_merged.onnx") < checkpoint.total_bytes() + 200'000);
}

BOOST_AUTO_TEST_CASE(a_cached_step_does_not_run_the_encoder) {
  const Checkpoint checkpoint = t5();
  const ExportedLayout single(checkpoint, "seq2seq-lm-with-past", "single", 18),
      uncached(checkpoint, "seq2seq-lm", "single", 18);
  BOOST_TEST(single.result.graphs[0].nodes * 4 < uncached.result.graphs[0].nodes * 3);
}

BOOST_AUTO_TEST_CASE(layouts_that_a_model_does_not_have) {
  const auto refusal = [](const Checkpoint& checkpoint, const std::string& feature, const std::string& layout) {
    try {
      const ExportedLayout model(checkpoint, feature, layout, 18);
    } catch (const Error& error) {
      BOOST_TEST((error.failure() == Failure::usage));
      return std::string(error.what()) + " | " + error.hint();
    }
    return std::string("accepted");
  };
  const Checkpoint gpt2 = Checkpoint::open(recorded("gpt2", "gpt2/GPT2Model"));
  BOOST_TEST(refusal(gpt2, "default-with-past", "split").find("is one graph") != std::string::npos);
  BOOST_TEST(refusal(t5(), "seq2seq-lm", "merged").find("seq2seq-lm-with-past") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace layouts_test
