// SPDX-License-Identifier: Apache-2.0
// Exports that are stopped wherever they are: at each sign of life, and by another thread at any time. What was there
// before stays, byte by byte, and nothing is added.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <thread>

#include "job.hpp"

namespace cancel_test {

namespace {

namespace fs = std::filesystem;
using job::Folder;
using job::Options;
using job::options_of;
using job::Outcome;
using Token = std::unique_ptr<onnxport_token, job::Free>;

/// Every entry below a folder, hidden ones included; of files also which file it is and what it holds.
std::map<std::string, std::string> picture_of(const fs::path& folder) {
  std::map<std::string, std::string> entries;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    std::string& seen = entries[entry.path().lexically_relative(folder)];
    if (entry.is_regular_file())
      seen = std::to_string(fs::last_write_time(entry).time_since_epoch().count()) + job::bytes_of(entry.path());
  }
  return entries;
}

/// An encoder-decoder of random weights, which the layout split writes into several files.
const char* const t5 = R"({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 8, "d_kv": 4,
  "d_ff": 16, "num_layers": 1, "num_heads": 2, "vocab_size": 32, "relative_attention_num_buckets": 4,
  "relative_attention_max_distance": 8, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1})";

/// What is exported, and how. A slow one is stopped less often.
struct Kind {
  const char* name;
  std::string model;
  Options options;
  bool is_slow = false;
};

std::vector<Kind> kinds(const Folder& models) {
  std::ofstream(models / "config.json") << t5;
  const Outcome drawn(onnxport_synth((models / "config.json").c_str(), (models / "t5").c_str(), nullptr, nullptr));
  BOOST_REQUIRE_MESSAGE(drawn.result == ONNXPORT_RESULT_OK, drawn.message);
  std::vector<Kind> list{{"several graphs",
                          models / "t5",
                          {{"no-validate", nullptr}, {"layout", "split"}, {"feature", "seq2seq-lm-with-past"}}},
                         {"weights beside", job::bert(), {{"no-validate", nullptr}, {"external-data", nullptr}}},
                         {"16 bits and a model card",
                          job::bert(),
                          {{"no-validate", nullptr}, {"dtype", "fp16"}, {"model-card", nullptr}}}};
#ifdef ONNXPORT_HAS_REFERENCE
  list.push_back({"validated", job::bert(), {}, true});
#endif
  return list;
}

/// An output folder that is not there, that holds something else, and that holds an export of before.
using Before = std::function<void(const Kind&, const std::string& output)>;
const std::pair<const char*, Before> befores[] = {
    {"absent", [](const Kind&, const std::string&) {}},
    {"a folder with other files",
     [](const Kind&, const std::string& output) {
       fs::create_directory(output);
       std::ofstream(output + "/model.onnx") << "of before";
       std::ofstream(output + "/notes.txt") << "mine";
     }},
    {"an export of before", [](const Kind& kind, const std::string& output) {
       Options options = kind.options;
       options.emplace_back("opset", "16");
       if (options.front().first != std::string("no-validate")) options.emplace_back("no-validate", nullptr);
       const Outcome done(onnxport_export(kind.model.c_str(), output.c_str(), options_of(options).get(), nullptr));
       BOOST_REQUIRE_MESSAGE(done.result == ONNXPORT_RESULT_OK, done.message);
     }}};

/// Asks for a stop at its nth sign of life.
struct Stopper {
  onnxport_token* token;
  size_t at, heard = 0;
  static void hear(void* user, const char*, uint64_t, uint64_t) {
    auto* self = static_cast<Stopper*>(user);
    if (self->heard++ == self->at) onnxport_cancel(self->token);
  }
};

Outcome exported(const Kind& kind, const std::string& output, Stopper& stopper) {
  const onnxport_listener listener{sizeof listener, &stopper, Stopper::hear, nullptr, stopper.token};
  return Outcome(onnxport_export(kind.model.c_str(), output.c_str(), options_of(kind.options).get(), &listener));
}

}  // namespace

BOOST_AUTO_TEST_CASE(at_each_sign_of_life) {
  const Folder models;
  for (const Kind& kind : kinds(models)) {
    for (const auto& [what, prepare] : befores) {
      if (kind.is_slow && &prepare != &befores[2].second) continue;
      BOOST_TEST_CONTEXT(kind.name << " into " << what) {
        const Folder folder;
        const std::string output = folder / "onnx";
        prepare(kind, output);
        const auto before = picture_of(folder.path);
        size_t stopped = 0;
        for (size_t at = 0;; ++at) {
          const Token token(onnxport_token_new());
          Stopper stopper{token.get(), at};
          const Outcome outcome = exported(kind, output, stopper);
          if (stopper.heard <= at) {  // it came to its end before it would have been stopped
            BOOST_TEST(outcome.result == ONNXPORT_RESULT_OK, outcome.message);
            BOOST_TEST((picture_of(folder.path) != before));
            break;
          }
          ++stopped;
          BOOST_TEST(outcome.result == ONNXPORT_RESULT_CANCELLED, "at " << at << ": " << outcome.message);
          BOOST_TEST((picture_of(folder.path) == before), "at " << at);
        }
        BOOST_TEST(stopped > 1u);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(by_another_thread_at_any_time) {
  using Clock = std::chrono::steady_clock;
  std::mt19937 random(20260101);  // the same times in each run, as far as times can be the same
  const Folder models;
  size_t stopped = 0, ended = 0;
  for (const Kind& kind : kinds(models)) {
    BOOST_TEST_CONTEXT(kind.name) {
      const Folder folder;
      const std::string output = folder / "onnx";
      const Clock::time_point begin = Clock::now();
      befores[2].second(kind, output);
      const auto longest = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
      for (int round = 0; round < (kind.is_slow ? 8 : 25); ++round) {
        const std::chrono::microseconds wait(
            std::uniform_int_distribution<int64_t>(0, std::max<int64_t>(1, longest))(random));
        const auto before = picture_of(folder.path);
        const Token token(onnxport_token_new());
        Stopper stopper{token.get(), SIZE_MAX};
        std::thread other([&] {
          std::this_thread::sleep_for(wait);
          onnxport_cancel(token.get());
        });
        const Outcome outcome = exported(kind, output, stopper);
        other.join();
        const auto after = picture_of(folder.path);
        if (outcome.result == ONNXPORT_RESULT_CANCELLED) {
          ++stopped;
          BOOST_TEST((after == before), "after " << wait.count() << " us");
        } else {  // too late: then all is there
          ++ended;
          BOOST_TEST(outcome.result == ONNXPORT_RESULT_OK, outcome.message);
          const std::string model = outcome.json.at("model_file");
          const Outcome seen(onnxport_inspect(model.c_str(), nullptr, nullptr));
          BOOST_TEST(seen.result == ONNXPORT_RESULT_OK, seen.message);
          BOOST_TEST(after.size() >= before.size());
          for (const auto& [name, bytes] : after)
            BOOST_TEST(name.find(".onnxport") == std::string::npos, name << " was left behind");
        }
      }
    }
  }
  BOOST_TEST_MESSAGE(stopped << " were stopped, " << ended << " ended before");
  BOOST_TEST(stopped > 0u);
}

}  // namespace cancel_test
