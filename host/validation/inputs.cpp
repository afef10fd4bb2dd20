// SPDX-License-Identifier: Apache-2.0
#include "host/validation/inputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/dummy/sizes.hpp"

namespace onnxport {
namespace {

/// The longest sequence that the plugin states or, where it does not, that config.json's positions allow; of these a
/// few are kept back, as some models begin to count after the padding id.
int64_t longest_sequence(const OnnxConfig& config, const Json& model_config) {
  int64_t positions = config.description().integer("max_positions", 0);
  if (positions == 0) {
    for (const char* key : {"max_position_embeddings", "n_positions", "n_ctx", "max_positions"}) {
      const auto found = model_config.find(key);
      if (found == model_config.end() || !found->is_number_integer() || found->get<int64_t>() <= 0) continue;
      positions = positions == 0 ? found->get<int64_t>() : std::min(positions, found->get<int64_t>());
    }
    if (positions == 0) return 1 << 20;
    positions -= 2;
  }
  return std::max<int64_t>(2, config.with_past() ? (positions - 3) / 2 : positions);
}

/// Whether some input has that axis.
bool has_axis(const Description& description, const char* name) {
  return std::any_of(description.inputs.begin(), description.inputs.end(), [&](const InputSpec& input) {
    const std::vector<ir::Dim>& shape = input.type.shape;
    return std::any_of(shape.begin(), shape.end(), [&](const ir::Dim& dim) { return dim.to_string() == name; });
  });
}

struct ImageSize {
  int64_t height, width;
};

/// Lengths of the axes whose usual length only the plugin knows (of a waveform, say), for the nth set of inputs: the
/// usual one, a longer and a shorter one, as far as the axis allows. Adds them to the label.
void choose_lengths(const Description& description, size_t set, DummyOptions& options, std::string& label) {
  for (const auto& [symbol, axis] : description.axes) {
    if (axis.usual == 0 || options.sizes.contains(symbol) || dummy::is_common_axis(symbol)) continue;
    const int64_t wanted = set == 0 ? axis.usual : set == 1 ? axis.usual + axis.usual / 2 + 1 : axis.usual * 3 / 4;
    options.sizes[symbol] = wanted;
    label += fmt::format(", {} {}", symbol, dummy::fit(axis, wanted));
  }
}

/// The lengths that the axes height and width have in these inputs.
ImageSize image_size_of(const Description& description, const Tensors& inputs) {
  ImageSize size{0, 0};
  for (const InputSpec& input : description.inputs) {
    for (size_t axis = 0; axis < input.type.shape.size(); ++axis) {
      const std::string symbol = input.type.shape[axis].to_string();
      if (symbol == "height") size.height = inputs.at(input.name).shape[axis];
      if (symbol == "width") size.width = inputs.at(input.name).shape[axis];
    }
  }
  return size;
}

}  // namespace

std::vector<ValidationInputs> validation_inputs(const OnnxConfig& config, const Json& model_config,
                                                const Preprocessor* preprocessor, const InputsWanted& wanted) {
  struct Shape {
    int64_t batch, sequence, choices;
    bool varied;
    uint64_t seed;
  };
  std::vector<Shape> shapes{{2, 8, 4, false, 0}, {3, 11, 3, true, 1}, {1, 5, 2, true, 2}};
  const int64_t longest = longest_sequence(config, model_config);
  const Description& description = config.description(wanted.part);
  const auto fixed_or = [&](const char* axis, int64_t length) {
    const auto found = wanted.fixed.find(axis);
    return found == wanted.fixed.end() ? length : found->second;
  };
  const auto has = [&](const char* axis) { return has_axis(description, axis); };
  const bool choices = has("choice");
  const bool sequence = has("sequence") || has("encoder_sequence") || has("decoder_sequence");
  const bool images = has("height") && has("width");
  std::vector<ValidationInputs> sets;
  int64_t before = 0;
  std::optional<ImageSize> trained;
  for (const Shape& shape : shapes) {
    int64_t length = std::min(shape.sequence, longest);
    if (length == before && length > 1) --length;
    before = length;
    length = fixed_or("sequence", length);
    DummyOptions options;
    options.sizes = wanted.fixed;
    options.batch_size = fixed_or("batch", shape.batch);
    options.seq_length = length;
    options.num_choices = fixed_or("choice", shape.choices);
    options.varied = shape.varied;
    options.seed = shape.seed;
    std::string label = fmt::format("batch {}", options.batch_size);
    if (choices) label += fmt::format(", choices {}", options.num_choices);
    if (sequence) label += fmt::format(", sequence {}", length);
    // The first row is always full, so a single row has no padding unless it has choices.
    if (sequence && shape.varied && (options.batch_size > 1 || choices)) label += ", padded";
    choose_lengths(description, sets.size(), options, label);
    if (images && trained) {
      // Larger by half and a quarter, then by a few pixels that fill no further patch.
      options.image_height = fixed_or("height", sets.size() == 1 ? trained->height * 3 / 2 : trained->height + 7);
      options.image_width = fixed_or("width", sets.size() == 1 ? trained->width * 5 / 4 : trained->width + 1);
      label += fmt::format(", image {}x{}", options.image_height, options.image_width);
    }
    sets.push_back({std::move(label), config.generate_dummy_inputs(preprocessor, options, wanted.part), std::nullopt});
    if (images && !trained) {
      trained = image_size_of(description, sets[0].inputs);
      sets[0].label += fmt::format(", image {}x{}", trained->height, trained->width);
    }
  }
  return sets;
}

}  // namespace onnxport
