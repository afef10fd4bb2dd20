// SPDX-License-Identifier: Apache-2.0
// The steps of transformers.onnx by their names, for C++ programs: header-only over onnxport/onnxport.h, whose page
// says what holds for threads. Wants C++17 and nlohmann-json. Failures are exceptions of one type.
#pragma once

#include <onnxport/onnxport.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace onnxport::library {

using Json = nlohmann::ordered_json;

/// Why work did not end as it should: the cause, and in hint() what to do next.
class Error : public std::runtime_error {
 public:
  Error(onnxport_result result, const std::string& cause, std::string hint)
      : std::runtime_error(cause), result_(result), hint_(std::move(hint)) {}
  onnxport_result result() const { return result_; }
  const std::string& hint() const { return hint_; }

 private:
  onnxport_result result_;
  std::string hint_;
};

/// Stops work from another thread: cancel(). Outlives the work.
class Token {
 public:
  Token() : token_(onnxport_token_new(), onnxport_token_free) {
    if (token_ == nullptr) throw std::bad_alloc();
  }
  void cancel() const { onnxport_cancel(token_.get()); }
  const onnxport_token* get() const { return token_.get(); }

 private:
  std::unique_ptr<onnxport_token, void (*)(onnxport_token*)> token_;
};

/// Options of the command by their long names; nullopt is the value of a flag: {{"opset", "17"}, {"no-validate", {}}}.
using Options = std::vector<std::pair<std::string, std::optional<std::string>>>;

/// Who is told, and who may stop the work. The functions must not throw.
struct Events {
  std::function<void(const std::string& phase, uint64_t done, uint64_t total)> progress{};
  std::function<void(const std::string& text)> note{};
  const Token* token = nullptr;
};

namespace detail {

/// Runs one function of the C interface; the object that it yields. Differences found by validation are no error.
template <class Work>
Json run(Work work, const Options& list, const Events& events) {
  const std::unique_ptr<onnxport_options, void (*)(onnxport_options*)> options(onnxport_options_new(),
                                                                               onnxport_options_free);
  if (options == nullptr) throw std::bad_alloc();
  for (const auto& [name, value] : list) {
    if (onnxport_options_set(options.get(), name.c_str(), value ? value->c_str() : nullptr) != 0)
      throw std::bad_alloc();
  }
  onnxport_listener listener{};
  listener.size = sizeof listener;
  listener.user = const_cast<Events*>(&events);
  if (events.progress) {
    listener.progress = [](void* user, const char* phase, uint64_t done, uint64_t total) {
      static_cast<const Events*>(user)->progress(phase, done, total);
    };
  }
  if (events.note) listener.note = [](void* user, const char* text) { static_cast<const Events*>(user)->note(text); };
  if (events.token != nullptr) listener.token = events.token->get();
  const std::unique_ptr<onnxport_outcome, void (*)(onnxport_outcome*)> outcome(work(options.get(), &listener),
                                                                               onnxport_outcome_free);
  if (outcome == nullptr) throw std::bad_alloc();
  const onnxport_result result = onnxport_outcome_result(outcome.get());
  if (result != ONNXPORT_RESULT_OK && result != ONNXPORT_RESULT_DIFFERS)
    throw Error(result, onnxport_outcome_message(outcome.get()), onnxport_outcome_hint(outcome.get()));
  return Json::parse(onnxport_outcome_json(outcome.get()));
}

}  // namespace detail

/// name -> axis -> symbolic name, in the order of the file.
using NamedAxes = std::vector<std::pair<std::string, std::map<int, std::string>>>;

/// A checkpoint with a feature, as it would be exported: what its plugin says, of config.json alone.
class OnnxConfig {
 public:
  /// `model` is a folder or a model id; an empty feature is chosen by config.json's architectures. `options` hold for
  /// the exports of this object too. Throws Error.
  static OnnxConfig from_pretrained(std::string model, const std::string& feature = {}, Options options = {},
                                    const Events& events = {}) {
    if (!feature.empty()) options.emplace_back("feature", feature);
    Json plan = detail::run([&](const onnxport_options* o,
                                const onnxport_listener* l) { return onnxport_plan(model.c_str(), "onnx", o, l); },
                            options, events);
    return OnnxConfig(std::move(model), std::move(options), std::move(plan));
  }

  const std::string& model() const { return model_; }
  const Options& options() const { return options_; }
  std::string model_type() const { return plan_.at("model_type"); }
  std::string feature() const { return plan_.at("feature"); }
  int64_t default_onnx_opset() const { return plan_.at("default_opset"); }
  int64_t min_opset() const { return plan_.at("min_opset"); }
  double atol_for_validation() const { return plan_.at("atol"); }
  /// Of all graphs, those of several with the same name once.
  NamedAxes inputs() const { return axes("inputs"); }
  NamedAxes outputs() const { return axes("outputs"); }
  /// All that onnxport_plan() tells.
  const Json& plan() const { return plan_; }

 private:
  OnnxConfig(std::string model, Options options, Json plan)
      : model_(std::move(model)), options_(std::move(options)), plan_(std::move(plan)) {}

  NamedAxes axes(const char* side) const {
    NamedAxes all;
    for (const Json& graph : plan_.at("graphs")) {
      for (const Json& tensor : graph.at(side)) {
        const std::string name = tensor.at("name");
        bool is_known = false;
        for (const auto& [known, named] : all) is_known = is_known || known == name;
        if (!is_known) all.emplace_back(name, symbols_of(tensor));
      }
    }
    return all;
  }
  static std::map<int, std::string> symbols_of(const Json& tensor) {
    std::map<int, std::string> symbols;
    int axis = 0;
    for (const Json& length : tensor.at("shape")) {
      const std::string text = length;
      if (text.find_first_not_of("0123456789") != std::string::npos) symbols.emplace(axis, text);
      ++axis;
    }
    return symbols;
  }

  std::string model_;
  Options options_;
  Json plan_;
};

/// What can be exported.
class FeaturesManager {
 public:
  /// Of `options`, those that say which plugins count.
  explicit FeaturesManager(Options options = {}) : options_(std::move(options)) {}

  std::vector<std::string> get_supported_features_for_model_type(const std::string& model_type) const {
    return features(model_type.c_str()).at(model_type).get<std::vector<std::string>>();
  }
  std::vector<std::string> model_types() const {
    std::vector<std::string> types;
    const Json all = features(nullptr);
    for (const auto& entry : all.items()) types.push_back(entry.key());
    return types;
  }
  /// The checkpoint's config with the feature. Throws Error where its type is unknown or has no such feature.
  OnnxConfig check_supported_model_or_raise(const std::string& model, const std::string& feature = "default") const {
    return OnnxConfig::from_pretrained(model, feature, options_);
  }

 private:
  Json features(const char* model_type) const {
    return detail::run([&](const onnxport_options* o,
                           const onnxport_listener* l) { return onnxport_features(model_type, o, l); },
                       options_, {})
        .at("model_types");
  }
  Options options_;
};

/// Writes the model into `output`, a folder or a name that ends in .onnx, which appears whole or not at all. Not
/// compared with anything: that is validate_model_outputs(). Yields what the command prints with --json. Throws Error.
inline Json export_onnx(const OnnxConfig& config, const std::filesystem::path& output, Options options = {},
                        const Events& events = {}) {
  options.insert(options.begin(), config.options().begin(), config.options().end());
  options.emplace_back("no-validate", std::nullopt);
  const std::string path = output.string();
  return detail::run(
      [&](const onnxport_options* o, const onnxport_listener* l) {
        return onnxport_export(config.model().c_str(), path.c_str(), o, l);
      },
      options, events);
}

/// Compares the written files with the reference, every output on several shapes. "status" of what it yields is "ok" or
/// "differs". Throws Error where they cannot be compared.
inline Json validate_model_outputs(const OnnxConfig& config, const std::filesystem::path& output,
                                   std::optional<double> atol = {}, const Events& events = {}) {
  Options options{{"model", config.model()}};
  if (atol) options.emplace_back("atol", Json(*atol).dump());
  for (const auto& [name, value] : config.options()) {
    const bool is_of_plugins = name == "plugin" || name == "plugin-dir" || name == "trust";
    const bool is_of_model = name == "revision" || name == "cache-dir";
    if (is_of_plugins || is_of_model) options.emplace_back(name, value);
  }
  const std::string path = output.string();
  return detail::run(
      [&](const onnxport_options* o, const onnxport_listener* l) { return onnxport_validate(path.c_str(), o, l); },
      options, events);
}

}  // namespace onnxport::library
