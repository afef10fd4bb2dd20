// SPDX-License-Identifier: Apache-2.0
#include "host/validation/calibration.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <set>

#include "core/backend/backend.hpp"
#include "core/dummy/sizes.hpp"
#include "core/dummy/tokens.hpp"
#include "core/dummy/values.hpp"
#include "core/error.hpp"
#include "core/validate/cached_step.hpp"
#include "core/validate/step_inputs.hpp"
#include "host/validation/inputs.hpp"

namespace onnxport {
namespace {

constexpr int64_t usual_length = 32;  // of a text whose tokens are drawn
constexpr int64_t step_length = 4;    // of what follows a filled cache

/// The name of an axis of an input; none where it is a number or a sum.
std::optional<std::string> symbol_of(const ir::Dim& dim) {
  const bool is_plain = dim.terms().size() == 1 && dim.constant() == 0 && dim.terms()[0].second == 1;
  return is_plain ? std::optional(dim.terms()[0].first) : std::nullopt;
}

/// Where a text goes: an input of ids in rows.
bool takes_text(const InputSpec& spec) {
  return spec.role == ONNXPORT_ROLE_IDS && spec.type.shape.size() == 2;
}

/// One set of inputs that is made, for whatever parts of the model take a share in it.
class Chain {
 public:
  /// `text`: null where tokens are drawn.
  Chain(const CalibratedModel& model, const Calibration& given, const std::vector<int64_t>* text)
      : model_(model),
        given_(given),
        text_(text),
        longest_(longest_sequence(model.config, model.model_config, model.max_sequence)) {}

  /// With an empty cache.
  Tensors first_step(const std::string& part) {
    const Description& description = model_.config.description(part);
    Tensors known = given_and_made(description);
    const int64_t batch = batch_of(description, known);
    for (const InputSpec& spec : description.inputs) {
      if (spec.role == ONNXPORT_ROLE_STATE && !known.contains(spec.name))
        known.emplace(spec.name, empty_state(spec, batch));
    }
    return completed(part, std::move(known), text_ ? static_cast<int64_t>(text_->size()) : usual_length);
  }

  /// Behind what the first step has left.
  Tensors next_step(const std::string& part) {
    const Description& description = model_.config.description(part);
    Tensors known = given_and_made(description);
    std::string first = model_.config.first_step(part);
    // The model as one graph has the first step of its parts.
    for (const std::string& other : part.empty() ? model_.config.parts() : std::vector<std::string>()) {
      if (const std::string step = model_.config.first_step(other); !step.empty()) first = step;
    }
    if (first.empty()) first = part;
    known.merge(as_past(description.states, results_of(first)));
    return completed(part, std::move(known), step_length);
  }

  /// With whatever cache the host draws.
  Tensors drawn(const std::string& part) {
    const int64_t length = text_ ? static_cast<int64_t>(text_->size()) : usual_length;
    return completed(part, given_to(model_.config.description(part)), length);
  }

 private:
  Tensors given_to(const Description& description) const {
    Tensors known;
    for (const InputSpec& spec : description.inputs) {
      const auto found = given_.inputs.find(spec.name);
      if (found == given_.inputs.end()) continue;
      require_fit(spec, found->second);
      known.emplace(*found);
    }
    return known;
  }

  void require_fit(const InputSpec& spec, const ir::Tensor& tensor) const {
    bool fits = tensor.dtype == spec.type.dtype && tensor.shape.size() == spec.type.shape.size();
    for (size_t axis = 0; fits && axis < tensor.shape.size(); ++axis) {
      const ir::Dim& dim = spec.type.shape[axis];
      fits = !dim.is_static() || dim.size() == tensor.shape[axis];
    }
    if (fits) return;
    throw Error(Failure::usage,
                fmt::format("--calibration {}: '{}' is {}[{}], and the model takes {}", given_.name, spec.name,
                            ir::name_of(tensor.dtype), fmt::join(tensor.shape, ", "), to_string(spec.type)),
                "give the tensor as the model takes it");
  }

  /// The part that puts out `output`; empty where none does.
  std::string maker_of(const std::string& output) const {
    for (const std::string& part : model_.config.parts()) {
      if (model_.config.description(part).output(output) != nullptr) return part;
    }
    return {};
  }

  /// What the file gives, and results of other parts.
  Tensors given_and_made(const Description& description) {
    Tensors known = given_to(description);
    for (const InputSpec& spec : description.inputs) {
      const bool is_made = spec.role == ONNXPORT_ROLE_HIDDEN && description.input(spec.of) == nullptr;
      if (!is_made || known.contains(spec.name)) continue;
      const std::string maker = maker_of(spec.of);
      if (!maker.empty()) known.emplace(spec.name, results_of(maker).at(spec.of));
    }
    return known;
  }

  const Tensors& results_of(const std::string& part) {
    const auto known = results_.find(part);
    if (known != results_.end()) return known->second;
    const Tensors inputs = first_step(part);
    const std::vector<Definition> defined =
        model_.config.define_parts(model_.weights, {part}, {.outputs = {}, .allow_unused = true});
    return results_.emplace(part, load_backend("reference").load_graph(defined[0].graph)->run(inputs)).first->second;
  }

  int64_t batch_of(const Description& description, const Tensors& known) const {
    if (const auto fixed = model_.fixed.find("batch"); fixed != model_.fixed.end()) return fixed->second;
    for (const auto& [name, tensor] : known) {
      const ir::Shape& shape = description.input(name)->type.shape;
      if (!shape.empty() && symbol_of(shape[0])) return tensor.shape.at(0);
    }
    return text_ ? 1 : 2;
  }

  /// The tensors that are known, the text, and what the host makes of the right lengths for the rest.
  Tensors completed(const std::string& part, Tensors known, int64_t length) const {
    const Description& description = model_.config.description(part);
    DummyOptions options;
    options.batch_size = batch_of(description, known);
    options.seq_length = std::min(length, longest_);
    options.varied = true;
    options.padding = Padding::none;
    for (const auto& [name, tensor] : known) {
      const ir::Shape& shape = description.input(name)->type.shape;
      for (size_t axis = 0; axis < shape.size(); ++axis) {
        if (const auto symbol = symbol_of(shape[axis])) options.sizes.emplace(*symbol, tensor.shape[axis]);
      }
    }
    for (const InputSpec& spec : description.inputs) {
      if (!takes_text(spec) || known.contains(spec.name)) continue;
      if (const auto symbol = symbol_of(spec.type.shape[1])) options.sizes.emplace(*symbol, options.seq_length);
    }
    for (const auto& [symbol, size] : model_.fixed) options.sizes[symbol] = size;
    Tensors inputs = model_.config.generate_dummy_inputs(model_.preprocessor, options, part);
    for (auto& [name, tensor] : inputs) {
      const InputSpec& spec = *description.input(name);
      if (text_ != nullptr && takes_text(spec)) tensor = text_as(spec, tensor.shape);
    }
    for (auto& [name, tensor] : known) inputs[name] = std::move(tensor);
    return inputs;
  }

  /// The last tokens of the text; where there is room for more than it has, it begins anew.
  ir::Tensor text_as(const InputSpec& spec, const std::vector<int64_t>& shape) const {
    const auto size = static_cast<int64_t>(text_->size()), width = shape.at(1);
    const int64_t first = std::max<int64_t>(0, std::min(size, longest_) - width);
    std::vector<int64_t> ids;
    for (int64_t i = 0; i < shape.at(0) * width; ++i)
      ids.push_back(text_->at(static_cast<size_t>((first + i % width) % size)));
    const int64_t limit =
        spec.limit > 0 ? spec.limit : dummy::config_number(model_.model_config, "vocab_size").value_or(0);
    const auto outside = std::find_if(ids.begin(), ids.end(), [&](int64_t id) { return limit > 0 && id >= limit; });
    if (outside != ids.end()) {
      throw Error(Failure::usage,
                  fmt::format("--calibration {}: the token {} is not in the vocabulary of {} that '{}' takes",
                              given_.name, *outside, limit, spec.name),
                  "write the ids that this model's own tokenizer makes of the texts");
    }
    return dummy::from_integers(spec, shape, ids);
  }

  const CalibratedModel& model_;
  const Calibration& given_;
  const std::vector<int64_t>* text_;
  int64_t longest_;
  std::map<std::string, Tensors> results_;  // by part
};

bool has_cache(const Description& description) {
  return std::any_of(description.inputs.begin(), description.inputs.end(),
                     [](const InputSpec& spec) { return spec.role == ONNXPORT_ROLE_STATE; });
}

/// Whether the part is run with an empty cache, too: one that has a first step of its own never is.
bool begins(const OnnxConfig& config, const std::string& part) {
  std::vector<std::string> steps{part};
  if (part.empty()) steps = config.parts();
  return std::all_of(steps.begin(), steps.end(),
                     [&](const std::string& step) { return step.empty() || config.first_step(step).empty(); });
}

}  // namespace

std::vector<ValidationInputs> calibration_inputs(const CalibratedModel& model, const Calibration& given,
                                                 const std::string& part) {
  std::vector<ValidationInputs> sets;
  const std::string name = given.name.empty() ? "calibration" : given.name;
  const auto add = [&](std::string label, Tensors inputs) {
    sets.push_back({.label = std::move(label), .inputs = std::move(inputs), .expected = {}});
  };
  const Description& description = model.config.description(part);
  for (size_t i = 0; i < std::max<size_t>(1, given.texts.size()); ++i) {
    Chain chain(model, given, given.texts.empty() ? nullptr : &given.texts[i]);
    const std::string label = given.texts.size() > 1 ? fmt::format("{}, text {}", name, i + 1) : name;
    // A file that takes one length only has no room for what another run leaves.
    if (!model.fixed.empty()) {
      add(label, chain.drawn(part));
      continue;
    }
    try {
      if (!has_cache(description) || begins(model.config, part)) add(label, chain.first_step(part));
      if (has_cache(description)) add(label + ", cached step", chain.next_step(part));
    } catch (const Error& error) {
      if (error.failure() == Failure::usage) throw;
      add(label + ", with drawn states", chain.drawn(part));
    }
  }
  return sets;
}

void require_taken(const CalibratedModel& model, const Calibration& given, const std::vector<std::string>& parts) {
  std::set<std::string> names;
  bool is_text_taken = false;
  for (const std::string& part : parts) {
    for (const InputSpec& spec : model.config.description(part).inputs) {
      names.insert(spec.name);
      is_text_taken = is_text_taken || takes_text(spec);
    }
  }
  if (!given.texts.empty() && !is_text_taken)
    throw Error(Failure::usage, fmt::format("--calibration {}: the model takes no text", given.name),
                "name a file of its inputs as safetensors");
  for (const auto& [name, tensor] : given.inputs) {
    if (names.contains(name)) continue;
    throw Error(Failure::usage, fmt::format("--calibration {}: the model has no input '{}'", given.name, name),
                fmt::format("its inputs are: {}", fmt::join(names, ", ")));
  }
}

}  // namespace onnxport
