// SPDX-License-Identifier: Apache-2.0
#include "core/dummy/sizes.hpp"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string_view>

#include "core/dummy/tokens.hpp"
#include "core/error.hpp"

namespace onnxport::dummy {
namespace {

struct ImageSize {
  std::optional<int64_t> height, width;
};

/// config.json's image_size, a number or [height, width].
ImageSize image_size(const Json& config) {
  const auto found = config.is_object() ? config.find("image_size") : config.end();
  if (found == config.end() || !config.is_object()) return {};
  if (found->is_number_integer()) return {found->get<int64_t>(), found->get<int64_t>()};
  if (found->is_array() && found->size() == 2 && (*found)[0].is_number_integer() && (*found)[1].is_number_integer())
    return {(*found)[0].get<int64_t>(), (*found)[1].get<int64_t>()};
  return {};
}

}  // namespace

bool is_common_axis(const std::string& symbol) {
  static constexpr std::string_view common[] = {"batch",
                                                "choice",
                                                "sequence",
                                                "past_sequence",
                                                "encoder_sequence",
                                                "decoder_sequence",
                                                "past_decoder_sequence",
                                                "height",
                                                "width",
                                                "num_channels"};
  return std::find(std::begin(common), std::end(common), symbol) != std::end(common);
}

int64_t fit(const AxisSize& axis, int64_t wanted) {
  const int64_t step = std::max<int64_t>(1, axis.step);
  const int64_t length = (std::max(wanted, axis.minimum) + step - 1) / step * step;
  return axis.maximum > 0 && length > axis.maximum ? axis.maximum / step * step : length;
}

Sizes axis_sizes(const Description& description, const Json& config, const Preprocessor* preprocessor,
                 const DummyOptions& options) {
  Sizes sizes;
  using Candidates = std::initializer_list<std::optional<int64_t>>;
  const auto above_0 = [](int64_t length) { return length > 0 ? std::optional(length) : std::nullopt; };
  const auto stated = [&](const std::string& symbol) {
    const auto found = description.axes.find(symbol);
    return found == description.axes.end() ? AxisSize{} : found->second;
  };
  // The first of them that is known, unless this axis's length was asked for by name.
  const auto choose = [&](const std::string& symbol, Candidates candidates) {
    const auto asked = options.sizes.find(symbol);
    std::optional<int64_t> length = asked == options.sizes.end() ? std::nullopt : std::optional(asked->second);
    for (const std::optional<int64_t>& candidate : candidates) {
      if (!length) length = candidate;
    }
    if (length) sizes[symbol] = fit(stated(symbol), *length);
  };
  const auto usual = [&](const char* symbol) { return above_0(stated(symbol).usual); };
  const auto processed = [&](auto field) { return preprocessor ? preprocessor->*field : std::nullopt; };

  choose("batch", {above_0(options.batch_size), usual("batch"), 2});
  choose("choice", {above_0(options.num_choices), usual("choice"), 4});
  choose("sequence", {above_0(options.seq_length), usual("sequence"), 8});
  // Lengths that could be mistaken for each other differ, so that a graph that mixes them up does not run.
  const int64_t sequence = sizes.at("sequence"), decoder = std::max<int64_t>(1, sequence - 1);
  choose("past_sequence", {usual("past_sequence"), sequence + 2});
  choose("encoder_sequence", {above_0(options.seq_length), usual("encoder_sequence"), sequence});
  choose("decoder_sequence", {usual("decoder_sequence"), decoder});
  choose("past_decoder_sequence", {usual("past_decoder_sequence"), decoder + 3});
  const ImageSize trained = image_size(config);
  constexpr int64_t common = 224;  // what most models for images were trained on
  choose("height", {above_0(options.image_height), processed(&Preprocessor::image_height), usual("height"),
                    trained.height, common});
  choose("width",
         {above_0(options.image_width), processed(&Preprocessor::image_width), usual("width"), trained.width, common});
  constexpr int64_t colours = 3;  // what the models' own config classes take where config.json does not say
  // The first layer is a backbone's where there is one, whatever the model around it says.
  const Json backbone = config.is_object() ? config.value("backbone_config", Json()) : Json();
  choose("num_channels", {usual("num_channels"), config_number(backbone, "num_channels"),
                          config_number(config, "num_channels"), processed(&Preprocessor::channels), colours});
  for (const auto& [symbol, axis] : description.axes) {
    if (!sizes.contains(symbol)) choose(symbol, {above_0(axis.usual), above_0(axis.minimum), above_0(axis.step)});
  }
  return sizes;
}

std::vector<int64_t> shape_of(const InputSpec& spec, const Sizes& sizes) {
  std::vector<int64_t> shape;
  for (const ir::Dim& dim : spec.type.shape) {
    const std::optional<int64_t> size = dim.evaluate(sizes);
    if (!size) {
      std::string unknown;
      for (const auto& [symbol, factor] : dim.terms()) {
        if (!sizes.contains(symbol)) unknown += (unknown.empty() ? "'" : ", '") + symbol + "'";
      }
      throw Error(
          Failure::plugin,
          "no size is known for the axis " + unknown + " of the input '" + spec.name + "', " + ir::to_string(spec.type),
          "the plugin can state its usual size, or declare the axis under a common name (batch, sequence, choice, "
          "past_sequence, encoder_sequence, decoder_sequence, height, width); to export without such inputs: "
          "--no-validate");
    }
    shape.push_back(*size);
  }
  return shape;
}

}  // namespace onnxport::dummy
