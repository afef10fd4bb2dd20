// SPDX-License-Identifier: Apache-2.0
// Decoders that tell positions apart, exported as they stand: a text generates the same alone and in a batch whose
// shorter rows are padded on the left, and a cached step continues such a batch.
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "core/backend/backend.hpp"
#include "core/export/export.hpp"
#include "core/validate/cached_step.hpp"
#include "core/validate/validate.hpp"
#include "tests/plugin/fixture.hpp"
#include "tests/support/temporary_folder.hpp"

namespace positions_test {

namespace {

namespace fs = std::filesystem;
using namespace onnxport;
using namespace onnxport::test;

/// A decoder's one file, with an empty past for its first step.
class Decoder {
 public:
  Decoder(const fs::path& checkpoint_folder, const Json& chosen = Json::object()) {
    const Checkpoint checkpoint = Checkpoint::open(checkpoint_folder);
    const std::string type = checkpoint.config().at("model_type");
    const OnnxConfig config =
        config_of({checkpoint.config(), checkpoint.folder(), chosen}, type, "causal-lm-with-past");
    description_ = config.description();
    WeightSource weights(checkpoint);
    const Definition definition = config.define(weights);
    const ExportResult result = export_onnx(config, definition, scratch_.path, {.opset = 18});
    file_ = load_backend("onnxruntime").load_file(result.files[0].path.string());
  }

  const std::vector<StateSpec>& states() const { return description_.states; }
  const std::string& positions() const { return description_.texts.at("positions"); }

  Tensors first(const Tokens& tokens) {
    Tensors past;
    for (const StateSpec& state : states())
      past.emplace(state.past, empty_state(*description_.input(state.past), tokens.ids.shape[0]));
    return step(tokens, std::move(past));
  }
  Tensors step(const Tokens& tokens, Tensors past) {
    past.emplace("input_ids", tokens.ids);
    past.emplace("attention_mask", tokens.mask);
    return file_->run(past);
  }

 private:
  TemporaryFolder scratch_;
  Description description_;
  std::unique_ptr<Runnable> file_;
};

ir::Tensor numbers(std::vector<int64_t> shape, const std::vector<int64_t>& values) {
  return ir::Tensor::of<int64_t>(ir::DType::i64, std::move(shape), values);
}

const fs::path gpt2 = recorded("gpt2", "gpt2/GPT2Model");
const Tokens alone{numbers({1, 4}, {5, 9, 3, 7}), numbers({1, 4}, {1, 1, 1, 1})};
const Tokens padded{numbers({2, 7}, {0, 0, 0, 5, 9, 3, 7, 2, 4, 6, 8, 3, 5, 9}),
                    numbers({2, 7}, {0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1})};

/// The logits of the short text's last three places, of a batch's first row.
Tensors ends(const Tensors& outputs) {
  const ir::Tensor& logits = outputs.at("logits");
  ir::Tensor end = along_sequence(logits, logits.shape[1] - 3, logits.shape[1]);
  end.data.resize(end.data.size() / static_cast<size_t>(end.shape[0]));
  end.shape[0] = 1;
  return {{"logits", end}};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(positions)

BOOST_AUTO_TEST_CASE(padding_on_the_left_changes_nothing) {
  Decoder decoder(gpt2);
  BOOST_TEST(decoder.positions() == "mask");
  for (const Difference& difference : compare(ends(decoder.first(alone)), ends(decoder.first(padded)), 1e-4))
    BOOST_TEST(difference.passes,
               difference.output << " differs by " << difference.max_abs << " " << difference.problem);
}

/// What the check above would not see if it saw nothing.
BOOST_AUTO_TEST_CASE(counted_in_sequence_it_changes_the_logits) {
  Decoder decoder(gpt2, {{"position_ids", "sequence"}});
  BOOST_TEST(decoder.positions() == "sequence");
  for (const Difference& difference : compare(ends(decoder.first(alone)), ends(decoder.first(padded)), 1e-4))
    BOOST_TEST(!difference.passes);
}

BOOST_AUTO_TEST_CASE(a_cached_step_continues_a_batch_that_is_padded_on_the_left) {
  Decoder decoder(gpt2);
  const SteppedDecoder steps{[&](const Tokens& tokens) { return decoder.first(tokens); },
                             [&](const Tokens& tokens, const Tensors& before) {
                               return decoder.step(tokens, as_past(decoder.states(), before));
                             },
                             decoder.states()};
  const ValidationRun run = compare_cached_step(steps, padded, 4, {.absolute = 1e-4});
  for (const Difference& difference : run.differences)
    BOOST_TEST(difference.passes,
               difference.output << " differs by " << difference.max_abs << " " << difference.problem);
  BOOST_TEST(run.passes);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace positions_test
