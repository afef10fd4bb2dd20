// SPDX-License-Identifier: Apache-2.0
// OnnxConfig and its children, as a plugin author derives from them. Names and meanings are those of
// transformers.onnx.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/config.hpp>
#include <onnxport/layers.hpp>

namespace onnxport::sdk {

/// Axes of the common inputs and outputs, declared once.
namespace axis {
inline constexpr const char* batch = "batch";
inline constexpr const char* sequence = "sequence";
inline constexpr const char* choice = "choice";
inline constexpr const char* past = "past_sequence";
inline constexpr const char* past_and_sequence = "past_sequence + sequence";
inline constexpr const char* encoder_sequence = "encoder_sequence";
inline constexpr const char* decoder_sequence = "decoder_sequence";
inline constexpr const char* past_decoder = "past_decoder_sequence";
inline constexpr const char* past_and_decoder = "past_decoder_sequence + decoder_sequence";
}  // namespace axis

/// An input of the graph: i64[batch, sequence], say.
struct TensorSpec {
  std::string name;
  DType dtype = DType::i64;
  std::vector<Dim> shape;
  /// The largest index + 1 that dummy inputs may hold (a vocabulary's size); 0 where that does not apply.
  int64_t limit = 0;
};

/// An output: its name and its dynamic axes; the other axes follow from the graph.
struct OutputSpec {
  std::string name;
  std::map<int, std::string> axes;
};

/// The outputs that a feature has in every model, as transformers.onnx declares them (a multiple choice's second
/// axis is dynamic here). Source: OnnxConfig._tasks_to_common_outputs, transformers 4.30.
std::vector<OutputSpec> common_outputs(std::string_view feature);

using Inputs = std::map<std::string, Value>;
using Outputs = std::vector<std::pair<std::string, Value>>;

/// What an onnx-config is made from.
struct Request {
  Config config;
  std::string model_type;
  std::string feature;  // "causal-lm-with-past"
};

/// Replaces how one operator is lowered, for this export only: a company's own kernel, a runtime without Einsum.
/// `lower` builds the replacement from the operator's inputs and yields as many values as it has outputs.
struct PatchingSpec {
  std::string domain, op;
  std::function<std::vector<Value>(Graph&, const std::vector<Value>& inputs, const std::vector<Attribute>&)> lower;
};

/// A config field that an export changes: {"use_cache", "false"}.
using ValueOverride = std::pair<std::string, std::string>;

/// One model type with one feature: what goes in, what comes out, and the definition between.
class OnnxConfig {
 public:
  explicit OnnxConfig(const Request& request) : model_type_(request.model_type), feature_(request.feature) {}
  virtual ~OnnxConfig() = default;
  OnnxConfig(const OnnxConfig&) = delete;
  OnnxConfig& operator=(const OnnxConfig&) = delete;

  virtual std::vector<TensorSpec> inputs() const = 0;
  virtual std::vector<OutputSpec> outputs() const { return common_outputs(task()); }
  /// The definition. Yields a value for every output; further ones only where graph.wants() them.
  virtual Outputs forward(Graph& graph, const Inputs& inputs) const = 0;

  /// "bert" for weights that lie under "bert." in checkpoints of the heads and without it in the base model's.
  virtual std::string base_model_prefix() const { return {}; }
  virtual int64_t default_onnx_opset() const { return 18; }
  virtual int64_t min_opset() const { return 13; }
  virtual double atol_for_validation() const { return 1e-5; }
  virtual std::vector<ValueOverride> values_override() const { return {}; }
  virtual std::vector<PatchingSpec> patching_specs() const { return {}; }

  const std::string& model_type() const { return model_type_; }
  const std::string& feature() const { return feature_; }
  /// The feature without "-with-past".
  std::string task() const {
    const size_t suffix = feature_.rfind("-with-past");
    return suffix == std::string::npos ? feature_ : feature_.substr(0, suffix);
  }

 private:
  std::string model_type_, feature_;
};

/// Whether past_key_values are named among inputs ("past_key_values.0.key") or outputs ("present.0.key").
enum class Direction { inputs, outputs };

/// A decoder that can take past_key_values: the features that end in -with-past.
class OnnxConfigWithPast : public OnnxConfig {
 public:
  explicit OnnxConfigWithPast(const Request& request)
      : OnnxConfig(request), use_past_(request.feature.ends_with("-with-past")) {}

  bool use_past() const { return use_past_; }
  virtual int64_t num_layers() const = 0;
  virtual int64_t num_attention_heads() const = 0;
  /// Heads and width of one cached key or value.
  virtual int64_t num_key_value_heads() const { return num_attention_heads(); }
  virtual int64_t head_size() const = 0;

  std::vector<OutputSpec> outputs() const override {
    std::vector<OutputSpec> specs = common_outputs(task());
    if (use_past_) fill_with_past_key_values_(specs);
    return specs;
  }
  std::vector<ValueOverride> values_override() const override { return {{"use_cache", use_past_ ? "true" : "false"}}; }

  /// past_key_values.{i}.key|value: f32[batch, kv heads, past_sequence, head size]
  void fill_with_past_key_values_(std::vector<TensorSpec>& specs) const {
    for (int64_t i = 0; i < num_layers(); ++i) {
      for (const char* part : {"key", "value"}) {
        specs.push_back({"past_key_values." + std::to_string(i) + "." + part,
                         DType::f32,
                         {axis::batch, num_key_value_heads(), axis::past, head_size()}});
      }
    }
  }
  /// present.{i}.key|value: f32[batch, kv heads, past_sequence + sequence, head size]
  void fill_with_past_key_values_(std::vector<OutputSpec>& specs) const {
    for (int64_t i = 0; i < num_layers(); ++i) {
      for (const char* part : {"key", "value"}) {
        specs.push_back(
            {"present." + std::to_string(i) + "." + part, {{0, axis::batch}, {2, axis::past_and_sequence}}});
      }
    }
  }

 private:
  bool use_past_;
};

/// An encoder and a decoder in one graph, with both caches.
class OnnxSeq2SeqConfigWithPast : public OnnxConfigWithPast {
 public:
  using OnnxConfigWithPast::OnnxConfigWithPast;

  std::vector<OutputSpec> outputs() const override {
    std::vector<OutputSpec> specs = common_outputs(task());
    for (OutputSpec& spec : specs) {
      for (auto& [index, name] : spec.axes) {
        if (name == axis::sequence) name = axis::decoder_sequence;
      }
    }
    if (use_past()) fill_with_past_key_values_(specs);
    return specs;
  }

  /// past_key_values.{i}.decoder.key|value, then .encoder.key|value, layer by layer.
  void fill_with_past_key_values_(std::vector<TensorSpec>& specs) const {
    for_each_cache("past_key_values", [&](std::string name, bool own) {
      specs.push_back(
          {std::move(name),
           DType::f32,
           {axis::batch, num_key_value_heads(), own ? axis::past_decoder : axis::encoder_sequence, head_size()}});
    });
  }
  void fill_with_past_key_values_(std::vector<OutputSpec>& specs) const {
    for_each_cache("present", [&](std::string name, bool own) {
      specs.push_back(
          {std::move(name), {{0, axis::batch}, {2, own ? axis::past_and_decoder : axis::encoder_sequence}}});
    });
  }

 private:
  template <class Each>
  void for_each_cache(const std::string& stem, Each each) const {
    for (int64_t i = 0; i < num_layers(); ++i) {
      for (const char* part : {"decoder.key", "decoder.value", "encoder.key", "encoder.value"}) {
        each(stem + "." + std::to_string(i) + "." + part, part[0] == 'd');
      }
    }
  }
};

inline std::vector<OutputSpec> common_outputs(std::string_view feature) {
  using namespace axis;
  static const std::map<std::string_view, std::vector<OutputSpec>> table{
      {"default", {{"last_hidden_state", {{0, batch}, {1, sequence}}}}},
      {"masked-lm", {{"logits", {{0, batch}, {1, sequence}}}}},
      {"causal-lm", {{"logits", {{0, batch}, {1, sequence}}}}},
      {"seq2seq-lm", {{"logits", {{0, batch}, {1, decoder_sequence}}}}},
      {"sequence-classification", {{"logits", {{0, batch}}}}},
      {"token-classification", {{"logits", {{0, batch}, {1, sequence}}}}},
      {"multiple-choice", {{"logits", {{0, batch}, {1, choice}}}}},
      {"question-answering",
       {{"start_logits", {{0, batch}, {1, sequence}}}, {"end_logits", {{0, batch}, {1, sequence}}}}},
      {"image-classification", {{"logits", {{0, batch}}}}},
  };
  const auto found = table.find(feature);
  if (found == table.end()) {
    throw Error(ONNXPORT_UNSUPPORTED,
                "the feature '" + std::string(feature) + "' has no common outputs; declare them in outputs()");
  }
  return found->second;
}

}  // namespace onnxport::sdk
