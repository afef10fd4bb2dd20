// SPDX-License-Identifier: Apache-2.0
#include "core/dummy/dummy_inputs.hpp"

#include <algorithm>

#include "core/dummy/text.hpp"
#include "core/dummy/values.hpp"

namespace onnxport {
namespace {

using dummy::Stream;
using dummy::Text;
using ir::Tensor;

/// Makes the inputs of one description, each by its role.
class Maker {
 public:
  Maker(const DummyModel& model, const dummy::Sizes& sizes, const DummyOptions& options)
      : description_(model.description), config_(model.config), preprocessor_(model.preprocessor), options_(options) {
    for (const InputSpec& spec : description_.inputs) shapes_[spec.name] = dummy::shape_of(spec, sizes);
  }

  Tensor make(const InputSpec& spec) const {
    const std::vector<int64_t>& shape = shapes_.at(spec.name);
    if (spec.fill) return dummy::filled(spec, shape, *spec.fill);
    const auto integers = [&](const std::vector<int64_t>& values) { return dummy::from_integers(spec, shape, values); };
    const int64_t rows = dummy::rows_of(shape), width = dummy::width_of(shape);
    switch (spec.role) {
      case ONNXPORT_ROLE_IDS:
        return integers(text_of(spec).ids(rows, vocabulary(spec), stream(spec)));
      case ONNXPORT_ROLE_MASK:
        if (is_of_images(spec)) return integers(dummy::image_mask(shape, options_.varied));
        return integers(spec.of.empty() ? std::vector<int64_t>(static_cast<size_t>(rows * width), 1)
                                        : text_of(spec).mask(rows, width));
      case ONNXPORT_ROLE_POSITIONS:
        return integers(below(spec.limit, text_of(spec).positions(rows, width)));
      case ONNXPORT_ROLE_TOKEN_TYPES:
        return integers(text_of(spec).segments(rows, segments_of(spec)));
      case ONNXPORT_ROLE_BOXES:
        return dummy::boxes(spec, shape, stream(spec));
      case ONNXPORT_ROLE_GLOBAL_MASK:
        return integers(dummy::first_of_row(shape));
      case ONNXPORT_ROLE_FLAG:
        return integers(std::vector<int64_t>(static_cast<size_t>(rows * width), 0));
      case ONNXPORT_ROLE_PIXELS:
        if (ir::is_floating(spec.type.dtype)) return dummy::pixels(spec, shape, stream(spec), preprocessor_);
        break;
      default:
        break;
    }
    return ir::is_floating(spec.type.dtype) ? dummy::reals(spec, shape, stream(spec)) : integers(indices(spec));
  }

 private:
  Stream stream(const InputSpec& spec) const { return {options_.seed, spec.name}; }

  int64_t vocabulary(const InputSpec& spec) const {
    return spec.limit > 0 ? spec.limit : dummy::config_number(config_, "vocab_size").value_or(0);
  }
  int64_t segments_of(const InputSpec& spec) const {
    if (spec.limit > 0) return spec.limit;
    return dummy::config_number(config_, "type_vocab_size").value_or(options_.is_pair ? 2 : 1);
  }
  static std::vector<int64_t> below(int64_t limit, std::vector<int64_t> values) {
    for (int64_t& value : values) {
      if (limit > 0) value = std::min(value, limit - 1);
    }
    return values;
  }

  /// The name of what the input belongs to: of the text itself, its own.
  std::string owner_of(const InputSpec& spec) const {
    if (spec.of.empty()) return spec.name;
    const InputSpec* of = description_.input(spec.of);
    return of != nullptr && of->role == ONNXPORT_ROLE_MASK && !of->of.empty() ? of->of : spec.of;
  }
  bool is_of_images(const InputSpec& spec) const {
    const InputSpec* of = description_.input(spec.of);
    return of != nullptr && of->role == ONNXPORT_ROLE_PIXELS;
  }

  /// The text to which the input belongs, or which it is. What it is padded by is told by its mask.
  Text text_of(const InputSpec& spec) const {
    const std::string owner = owner_of(spec);
    const InputSpec* tokens = description_.input(owner);
    const InputSpec* mask = mask_of(owner);
    dummy::TextForm form;
    if (mask != nullptr) form.seen = dummy::width_of(shapes_.at(mask->name));
    form.width = tokens != nullptr && has_token_axis(*tokens) ? token_axis(*tokens) : form.seen;
    form.is_padded = options_.varied && mask != nullptr;
    form.is_pair = options_.is_pair;
    form.is_varied = options_.varied;
    const bool is_text = tokens != nullptr && !ir::is_floating(tokens->type.dtype);
    // Of what is heard or seen, one place may be too little to make anything of.
    form.padding = is_text || options_.padding == Padding::none ? options_.padding : Padding::usual;
    return {dummy::tokens_for(preprocessor_, config_, is_text ? vocabulary(*tokens) : 0), form};
  }
  const InputSpec* mask_of(const std::string& owner) const {
    for (const InputSpec& spec : description_.inputs) {
      if (spec.role == ONNXPORT_ROLE_MASK && spec.of == owner) return &spec;
    }
    return nullptr;
  }
  static bool has_token_axis(const InputSpec& spec) {
    return !ir::is_floating(spec.type.dtype) || (spec.role == ONNXPORT_ROLE_EMBEDDINGS && spec.type.shape.size() > 1);
  }
  int64_t token_axis(const InputSpec& spec) const {
    const std::vector<int64_t>& shape = shapes_.at(spec.name);
    return spec.role == ONNXPORT_ROLE_EMBEDDINGS ? shape[shape.size() - 2] : dummy::width_of(shape);
  }

  /// An integer input of no known role.
  std::vector<int64_t> indices(const InputSpec& spec) const {
    Stream drawn = stream(spec);
    std::vector<int64_t> out(static_cast<size_t>(dummy::elements_of(shapes_.at(spec.name))), spec.limit > 0 ? 0 : 1);
    for (int64_t& value : out) {
      if (options_.varied && spec.limit > 0) value = drawn.below(spec.limit);
    }
    return out;
  }

  const Description& description_;
  const Json& config_;
  const Preprocessor* preprocessor_;
  const DummyOptions& options_;
  std::map<std::string, std::vector<int64_t>> shapes_;
};

}  // namespace

Tensors generate_dummy_inputs(const Description& description, const Json& config, const Preprocessor* preprocessor,
                              const DummyOptions& options) {
  return fill_dummy_inputs({}, {description, config, preprocessor},
                           dummy::axis_sizes(description, config, preprocessor, options), options);
}

Tensors fill_dummy_inputs(Tensors given, const DummyModel& model, const dummy::Sizes& sizes,
                          const DummyOptions& options) {
  const Maker maker(model, sizes, options);
  for (const InputSpec& spec : model.description.inputs) {
    if (!given.contains(spec.name)) given.emplace(spec.name, maker.make(spec));
  }
  return given;
}

}  // namespace onnxport
