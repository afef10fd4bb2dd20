// SPDX-License-Identifier: Apache-2.0
// The C interface over the commands: no exception leaves it.
#include <onnxport/onnxport.h>

#include <exception>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "core/printable.hpp"
#include "core/version.hpp"
#include "host/commands.hpp"
#include "library/recorder.hpp"

struct onnxport_options {
  struct Option {
    std::string name;
    std::optional<std::string> value;
  };
  std::vector<Option> list;
};

struct onnxport_outcome {
  onnxport_result result;
  std::string json, message, hint;
};

namespace onnxport {
namespace {

using Words = std::vector<std::string>;

/// A command, and what it works on.
struct Work {
  Words command;
  Words operands;
};

/// Options that say how the program itself reports; here the caller decides that.
bool is_for_terminals(const std::string& name) {
  for (const char* other : {"json", "json-line", "quiet", "help", "version"}) {
    if (name == other) return true;
  }
  return false;
}

/// An option as the command line has it.
std::string word_of(const onnxport_options::Option& option) {
  const auto& [name, value] = option;
  if (is_for_terminals(name)) {
    throw Error(Failure::usage, "the option '" + name + "' is one of the program alone",
                "leave it out; the outcome has the result as JSON");
  }
  if (name.empty() || name.front() == '-' || name.find('=') != std::string::npos)
    throw Error(Failure::usage, "'" + name + "' is no name of an option", "give its long name without dashes: opset");
  if (!value) return "--" + name;
  if (value->empty())
    throw Error(Failure::usage, "the option '" + name + "' has an empty value", "leave it out, or give it a value");
  return "--" + name + "=" + *value;
}

Words words_of(const Work& work, const onnxport_options* options) {
  Words words = work.command, with_values;
  for (const auto& option : options == nullptr ? std::vector<onnxport_options::Option>() : options->list) {
    (option.value ? with_values : words).push_back(word_of(option));
  }
  // So that a value that is missing is not taken from what follows.
  words.emplace_back("--quiet");
  words.insert(words.end(), with_values.begin(), with_values.end());
  words.emplace_back("--");
  words.insert(words.end(), work.operands.begin(), work.operands.end());
  return words;
}

template <class MakeWork>
int run(const MakeWork& make, const onnxport_options* options, Recorder& recorder) {
  try {
    return run_words(words_of(make(), options), recorder);
  } catch (...) {
    return report_failure(recorder, std::current_exception());
  }
}

/// Allocates before it works, so that what was done is never lost for want of memory to tell it.
template <class MakeWork>
onnxport_outcome* outcome_of(const MakeWork& make, const onnxport_options* options, const onnxport_listener* listener) {
  auto outcome = std::make_unique<onnxport_outcome>();
  Recorder recorder(listener);
  const int status = run(make, options, recorder);
  outcome->result = static_cast<onnxport_result>(status);
  nlohmann::ordered_json object{{"status", recorder.result().value("status", "ok")}, {"exit_status", status}};
  object.update(recorder.result());
  outcome->json = printable_json(object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  outcome->message = recorder.message();
  outcome->hint = recorder.hint();
  return outcome.release();
}

template <class MakeWork>
onnxport_outcome* guarded(const onnxport_options* options, const onnxport_listener* listener, MakeWork make) noexcept {
  try {
    return outcome_of(make, options, listener);
  } catch (...) {
    return nullptr;
  }
}

/// What must be given.
std::string given(const char* text, const char* what) {
  if (text != nullptr && *text != '\0') return text;
  throw Error(Failure::usage, std::string("no ") + what + " is named", std::string("give the path of the ") + what);
}

/// `new`, with null instead of an exception.
template <class Object>
Object* allocated() noexcept {
  return new (std::nothrow) Object();
}

}  // namespace
}  // namespace onnxport

using onnxport::given;
using onnxport::guarded;
using onnxport::Words;
using onnxport::Work;

uint32_t onnxport_api_version(void) {
  return ONNXPORT_API_MAJOR << 16 | ONNXPORT_API_MINOR;
}

const char* onnxport_version(void) {
  return onnxport::version.data();
}

onnxport_options* onnxport_options_new(void) {
  return onnxport::allocated<onnxport_options>();
}

int onnxport_options_set(onnxport_options* options, const char* name, const char* value) {
  try {
    options->list.push_back({name, value == nullptr ? std::nullopt : std::optional<std::string>(value)});
    return 0;
  } catch (...) {
    return -1;
  }
}

void onnxport_options_free(onnxport_options* options) {
  delete options;
}

onnxport_token* onnxport_token_new(void) {
  return onnxport::allocated<onnxport_token>();
}

void onnxport_cancel(onnxport_token* token) {
  token->cancelled = true;
}

void onnxport_token_free(onnxport_token* token) {
  delete token;
}

onnxport_outcome* onnxport_plugins(const onnxport_options* options, const onnxport_listener* listener) {
  return guarded(options, listener, [] { return Work{{"plugins", "list"}, {}}; });
}

onnxport_outcome* onnxport_features(const char* model_type, const onnxport_options* options,
                                    const onnxport_listener* listener) {
  return guarded(options, listener, [=] {
    return Work{{"features"}, model_type == nullptr ? Words{} : Words{model_type}};
  });
}

onnxport_outcome* onnxport_plan(const char* model, const char* output, const onnxport_options* options,
                                const onnxport_listener* listener) {
  return guarded(options, listener, [=] {
    return Work{{"export", "--dry-run", std::string("--model=") + given(model, "model")}, {given(output, "output")}};
  });
}

onnxport_outcome* onnxport_export(const char* model, const char* output, const onnxport_options* options,
                                  const onnxport_listener* listener) {
  return guarded(options, listener, [=] {
    return Work{{"export", std::string("--model=") + given(model, "model")}, {given(output, "output")}};
  });
}

onnxport_outcome* onnxport_validate(const char* output, const onnxport_options* options,
                                    const onnxport_listener* listener) {
  return guarded(options, listener, [=] { return Work{{"validate"}, {given(output, "output")}}; });
}

onnxport_outcome* onnxport_inspect(const char* file, const onnxport_options* options,
                                   const onnxport_listener* listener) {
  return guarded(options, listener, [=] { return Work{{"inspect"}, {given(file, "file")}}; });
}

onnxport_outcome* onnxport_synth(const char* config, const char* output, const onnxport_options* options,
                                 const onnxport_listener* listener) {
  return guarded(options, listener, [=] {
    return Work{{"synth"}, {given(config, "config.json"), given(output, "output")}};
  });
}

onnxport_result onnxport_outcome_result(const onnxport_outcome* outcome) {
  return outcome->result;
}

const char* onnxport_outcome_json(const onnxport_outcome* outcome) {
  return outcome->json.c_str();
}

const char* onnxport_outcome_message(const onnxport_outcome* outcome) {
  return outcome->message.c_str();
}

const char* onnxport_outcome_hint(const onnxport_outcome* outcome) {
  return outcome->hint.c_str();
}

void onnxport_outcome_free(onnxport_outcome* outcome) {
  delete outcome;
}
