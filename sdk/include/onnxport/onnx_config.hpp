// SPDX-License-Identifier: Apache-2.0
// OnnxConfig and its children, as a plugin author derives from them. Names and meanings are those of
// transformers.onnx.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/config.hpp>
#include <onnxport/inputs.hpp>
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
inline constexpr const char* num_channels = "num_channels";
inline constexpr const char* height = "height";
inline constexpr const char* width = "width";
}  // namespace axis

/// An output: its name and its dynamic axes; the other axes follow from the graph.
struct OutputSpec {
  std::string name;
  std::map<int, std::string> axes;
};

/// The outputs that a feature has in every model, as transformers.onnx declares them (a multiple choice's second
/// axis is dynamic here). Source: OnnxConfig._tasks_to_common_outputs, transformers 4.30.
std::vector<OutputSpec> common_outputs(std::string_view feature);

/// The graph's inputs by their names.
class Inputs : public std::map<std::string, Value> {
 public:
  /// Throws INVALID_ARGUMENT, listing the inputs, where there is none of that name.
  const Value& at(const std::string& name, const char* file = __builtin_FILE(),
                  uint32_t line = __builtin_LINE()) const {
    const CallSite site(file, line);
    const auto found = find(name);
    if (found != end()) return found->second;
    std::string known;
    for (const auto& input : *this) known += (known.empty() ? "" : ", ") + input.first;
    throw Error(ONNXPORT_INVALID_ARGUMENT, "the graph has no input '" + name + "'; inputs() lists: " + known);
  }
  /// The input, or an absent value.
  Value maybe(const std::string& name) const {
    const auto found = find(name);
    return found == end() ? Value() : found->second;
  }
};
using Outputs = std::vector<std::pair<std::string, Value>>;

/// What a head reads.
struct Encoded {
  Scope base;        ///< the base model's module: the root in the base model's own checkpoints
  Value hidden;      ///< what the base model yields: f[batch, n, width]
  const Inputs& in;  ///< the graph's inputs
  Value mask{};      ///< of a text encoder: i64[batch, n], 1 where a place of `hidden` counts
  Value size{};      ///< of an image encoder: i64[2], rows and columns of the patches in `hidden`
  Value pooled{};    ///< of a text encoder: what its pooler reads, f[batch, m, width], where that is not `hidden`
};
/// One head of a model: the feature that it serves, without "-with-past", and what it puts out.
struct Head {
  std::string feature;
  std::function<Outputs(const Encoded&)> outputs;
};
using Heads = std::vector<Head>;

/// What an onnx-config is made from.
struct Request {
  Config config;
  std::string model_type;
  std::string feature;  // "causal-lm-with-past"
  Config options;       // what the user chose for this export: options.text("position_ids", "sequence")
};

/// Replaces how one operator is lowered, for this export only: a company's own kernel, a runtime without Einsum.
/// `lower` builds the replacement from the operator's inputs and yields as many values as it has outputs.
/// A spec of another domain than "" and `composites` makes the operator one of the plugin's own, which the definition
/// may then use: `lower` is what it is made of, and is called with each use.
struct PatchingSpec {
  std::string domain, op;
  std::function<std::vector<Value>(Graph&, const std::vector<Value>& inputs, const std::vector<Attribute>&)> lower;
};

/// A domain of operators that are none of ONNX's, and its version: what a file that uses them has to name.
struct DomainVersion {
  std::string domain;  ///< "com.example"
  int64_t version = 1;
};

/// A config field that an export changes: {"use_cache", "false"}.
using ValueOverride = std::pair<std::string, std::string>;

/// One graph of a layout that has several: a decoder apart from its encoder.
struct Part {
  std::string name;  // "encoder", "decoder", "decoder_with_past"
  std::vector<TensorSpec> inputs;
  std::vector<OutputSpec> outputs;
  std::function<Outputs(Graph&, const Inputs&)> forward;
  std::vector<State> states{};  // of its cache, where it has one
  std::string first_step{};     // of a cached step: the part that runs before it and fills the cache
};

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
  /// The heads, a row each; none where forward() does without a table. A feature that the plugin lists and that has no
  /// row is refused when the object is made, before anything is defined.
  virtual Heads heads() const { return {}; }
  /// The graphs of the layouts split and merged; none where the model is always one graph.
  virtual std::vector<Part> parts() const { return {}; }

  /// Parts for models that are put together of this one and others; no layout writes them. Where they are run, inputs
  /// may be absent.
  virtual std::vector<Part> offers() const { return {}; }

  /// What bounds the lengths of the inputs' axes, beside what the host knows of common ones.
  virtual std::vector<AxisSize> axis_sizes() const { return {}; }
  /// The longest sequence that the model takes; 0 where none is too long.
  virtual int64_t max_positions() const { return 0; }
  /// Inputs to run the model on, where the host's own would not do (rows that depend on each other, say). Those that
  /// are not among them are the host's. Source: OnnxConfig.generate_dummy_inputs, transformers 4.30.
  virtual std::vector<DummyTensor> generate_dummy_inputs(const DummyRequest&) const { return {}; }

  /// "bert" for weights that lie under "bert." in checkpoints of the heads and without it in the base model's.
  virtual std::string base_model_prefix() const { return {}; }
  virtual int64_t default_onnx_opset() const { return 18; }
  virtual int64_t min_opset() const { return 13; }
  virtual double atol_for_validation() const { return 1e-5; }
  virtual std::vector<ValueOverride> values_override() const { return {}; }
  virtual std::vector<PatchingSpec> patching_specs() const { return {}; }
  /// The domains of operators that are none of ONNX's; those that are not among them are of version 1.
  virtual std::vector<DomainVersion> domains() const { return {}; }
  /// Modules that overflow or lose too much in f16, by a part of their path ("wo"); --dtype fp16 and bf16 leave them in
  /// f32. Source: PreTrainedModel._keep_in_fp32_modules, transformers 4.57.
  virtual std::vector<std::string> keep_in_fp32() const { return {}; }

  /// The row of heads() for this feature. Throws INTERNAL where there is none, since that is the plugin's mistake.
  Head head_for_feature() const {
    for (Head& row : heads()) {
      if (row.feature == task()) return std::move(row);
    }
    throw Error(ONNXPORT_INTERNAL, "the model type '" + model_type() + "' has no head for the feature '" + feature() +
                                       "'; add a row '" + task() + "' to heads(), or take the feature off the list");
  }

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

inline std::vector<OutputSpec> common_outputs(std::string_view feature) {
  using namespace axis;
  static const std::map<std::string_view, std::vector<OutputSpec>> table{
      {"default", {{"last_hidden_state", {{0, batch}, {1, sequence}}}}},
      {"masked-lm", {{"logits", {{0, batch}, {1, sequence}}}}},
      {"causal-lm", {{"logits", {{0, batch}, {1, sequence}}}}},
      {"seq2seq-lm", {{"logits", {{0, batch}, {1, decoder_sequence}}}}},
      {"vision2seq-lm", {{"logits", {{0, batch}, {1, decoder_sequence}}}}},
      {"speech2seq-lm", {{"logits", {{0, batch}, {1, decoder_sequence}}}}},
      {"audio-classification", {{"logits", {{0, batch}}}}},
      {"ctc", {{"logits", {{0, batch}, {1, sequence}}}}},
      {"sequence-classification", {{"logits", {{0, batch}}}}},
      {"token-classification", {{"logits", {{0, batch}, {1, sequence}}}}},
      {"multiple-choice", {{"logits", {{0, batch}, {1, choice}}}}},
      {"next-sentence-prediction", {{"logits", {{0, batch}}}}},
      {"double-heads",
       {{"logits", {{0, batch}, {1, choice}, {2, sequence}}}, {"mc_logits", {{0, batch}, {1, choice}}}}},
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

/// The row of a plugin's table of relatives whose `type` is the model type.
template <class Row, size_t count>
const Row& row_of(const Row (&rows)[count], const std::string& model_type) {
  for (const Row& row : rows) {
    if (row.type == model_type) return row;
  }
  throw Error(ONNXPORT_UNSUPPORTED, "no relative is known for the model type '" + model_type + "'");
}

}  // namespace onnxport::sdk
