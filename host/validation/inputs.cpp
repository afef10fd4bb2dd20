// SPDX-License-Identifier: Apache-2.0
#include "host/validation/inputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "core/dummy/sizes.hpp"

namespace onnxport {
namespace {

/// What is chosen of a set before it is known which axes there are.
struct Row {
  int64_t batch, sequence, choices;
  bool is_varied = false;
  Padding padding = Padding::usual;
  /// Places of a past; nullopt: as many as usual.
  std::optional<int64_t> past{};
  /// Axes whose usual length only the plugin knows (of a waveform, say): so many times that.
  double length = 1;
  /// An image: so many times the usual one, and a few rows and a column that fill no patch.
  double image = 1;
  int64_t taller = 0;
};

class SetMaker {
 public:
  SetMaker(const InputsOf& of) : of_(of), description_(of.config.description(of.part)) {
    for (const InputSpec& input : description_.inputs) {
      for (const ir::Dim& dim : input.type.shape) {
        for (const auto& [symbol, factor] : dim.terms()) symbols_.insert(symbol);
      }
    }
    for (const StateSpec& state : description_.states) {
      const InputSpec* past = description_.input(state.past);
      if (past == nullptr || !state.grows || *state.grows >= past->type.shape.size()) continue;
      const ir::Dim& dim = past->type.shape[*state.grows];
      if (dim.terms().size() == 1) pasts_.insert(dim.terms()[0].first);
    }
    longest_ = longest_sequence(of.config, of.model_config, of.max_sequence);
    usual_ = sizes_of({.batch_size = 2, .seq_length = std::min<int64_t>(8, longest_)});
  }

  bool has_past() const { return !pasts_.empty(); }
  const std::set<std::string>& symbols() const { return symbols_; }
  bool is_only_of_images() const { return has("height") && has("width") && !has_sequence(); }

  InputSet make(const Row& row) {
    DummyOptions options;
    options.batch_size = row.batch;
    options.seq_length = std::min(row.sequence, longest_);
    options.num_choices = row.choices;
    options.varied = row.is_varied;
    options.padding = row.padding;
    options.seed = made_++;
    if (row.past) {
      for (const std::string& symbol : pasts_) options.sizes[symbol] = *row.past;
    }
    for (const std::string& symbol : symbols_) {
      const bool is_image = symbol == "height" || symbol == "width";
      if (is_image && (row.image != 1 || row.taller != 0))
        options.sizes[symbol] = times(symbol, row.image) + (symbol == "height" ? row.taller : 1);
      const auto stated = description_.axes.find(symbol);
      const bool is_stated = stated != description_.axes.end() && stated->second.usual > 0;
      if (is_stated && row.length != 1 && !dummy::is_common_axis(symbol) && !pasts_.contains(symbol))
        options.sizes[symbol] = times(symbol, row.length) + 1;
    }
    return finished(std::move(options));
  }

  /// The first set with one axis of another length; nullopt where the axis cannot have it.
  std::optional<InputSet> with_axis(const InputSet& set, const std::string& symbol, int64_t length) {
    DummyOptions options = set.options;
    options.sizes = set.sizes;
    options.sizes[symbol] = length;
    options.varied = true;
    options.seed = made_++;
    InputSet other = finished(std::move(options));
    if (other.sizes.at(symbol) == set.sizes.at(symbol)) return std::nullopt;
    other.label = fmt::format("{} {}", symbol, other.sizes.at(symbol));
    return other;
  }

  /// At which an axis is tried by itself. None for channels, of which the first layer takes as many as it has weights
  /// for; and an image is not smaller than usual, since each model has another size that its layers leave nothing of.
  std::vector<int64_t> lengths_of(const std::string& symbol, int64_t usual) const {
    if (symbol == "num_channels") return {};
    if (symbol == "height" || symbol == "width") return {usual + 7, 2 * usual + 1};
    return {least(symbol), 7, 2 * usual + 1};
  }

 private:
  /// As short as the axis may be.
  int64_t least(const std::string& symbol) const {
    const auto stated = description_.axes.find(symbol);
    const int64_t minimum = stated == description_.axes.end() ? 0 : stated->second.minimum;
    return pasts_.contains(symbol) ? 0 : std::max<int64_t>(1, minimum);
  }

  std::map<std::string, int64_t> sizes_of(const DummyOptions& options) const {
    std::map<std::string, int64_t> sizes = dummy::axis_sizes(description_, of_.model_config, of_.preprocessor, options);
    std::erase_if(sizes, [&](const auto& size) { return !symbols_.contains(size.first); });
    return sizes;
  }

  int64_t times(const std::string& symbol, double factor) const {
    return static_cast<int64_t>(static_cast<double>(usual_.at(symbol)) * factor);
  }
  bool has(const char* symbol) const { return symbols_.contains(symbol); }
  bool has_sequence() const { return has("sequence") || has("encoder_sequence") || has("decoder_sequence"); }

  /// Lengths that are asked for by name, past and step together, within what positions allow.
  void keep_within_positions(std::map<std::string, int64_t>& sizes) const {
    constexpr int64_t more_in_past = 2;  // than in a step: as usual, and longest_ leaves room for it
    for (auto& [symbol, length] : sizes) {
      if (pasts_.contains(symbol))
        length = std::min(length, longest_ + more_in_past);
      else if (symbol == "sequence" || symbol == "decoder_sequence" || symbol == "encoder_sequence")
        length = std::min(length, longest_);
    }
  }

  InputSet finished(DummyOptions options) const {
    keep_within_positions(options.sizes);
    for (const auto& [symbol, length] : of_.fixed) options.sizes[symbol] = length;
    InputSet set{{}, std::move(options), {}};
    set.sizes = sizes_of(set.options);
    set.label = label_of(set);
    return set;
  }

  static const char* padding_of(Padding padding) {
    if (padding == Padding::left) return ", padded on the left";
    return padding == Padding::right ? ", padded on the right" : ", padded";
  }

  std::string label_of(const InputSet& set) const {
    const DummyOptions& options = set.options;
    const auto length = [&](const char* symbol, int64_t asked) {
      const auto found = set.sizes.find(symbol);
      return found == set.sizes.end() ? asked : found->second;
    };
    const int64_t batch = length("batch", options.batch_size);
    std::string label = fmt::format("batch {}", batch);
    if (has("choice")) label += fmt::format(", choices {}", length("choice", options.num_choices));
    if (has_sequence()) label += fmt::format(", sequence {}", length("sequence", options.seq_length));
    for (const std::string& symbol : pasts_) {
      if (options.sizes.contains(symbol)) label += fmt::format(", {} {}", symbol, set.sizes.at(symbol));
    }
    // The first row is always full, so a single row has no padding unless it has choices.
    const bool has_rows = batch > 1 || has("choice");
    if (has_sequence() && options.varied && has_rows && options.seq_length > 1 && options.padding != Padding::none)
      label += padding_of(options.padding);
    for (const auto& [symbol, axis] : description_.axes) {
      if (axis.usual > 0 && !dummy::is_common_axis(symbol) && set.sizes.contains(symbol) && !pasts_.contains(symbol))
        label += fmt::format(", {} {}", symbol, set.sizes.at(symbol));
    }
    if (has("height") && has("width"))
      label += fmt::format(", image {}x{}", set.sizes.at("height"), set.sizes.at("width"));
    return label;
  }

  const InputsOf& of_;
  const Description& description_;
  std::set<std::string> symbols_;
  std::set<std::string> pasts_;  // those by which states grow
  std::map<std::string, int64_t> usual_;
  int64_t longest_ = 0;
  uint64_t made_ = 0;
};

}  // namespace

std::optional<StatedPositions> stated_positions(const Json& model_config) {
  std::optional<StatedPositions> least;
  for (const char* key : {"max_position_embeddings", "n_positions", "n_ctx", "max_positions"}) {
    const auto found = model_config.find(key);
    if (found == model_config.end() || !found->is_number_integer() || found->get<int64_t>() <= 0) continue;
    if (!least || found->get<int64_t>() < least->count) least = {key, found->get<int64_t>()};
  }
  return least;
}

int64_t longest_sequence(const OnnxConfig& config, const Json& model_config, int64_t max_sequence) {
  int64_t positions = config.description().integer("max_positions", 0);
  if (positions == 0) {
    const auto stated = stated_positions(model_config);
    positions = stated ? stated->count - 2 : 1 << 20;
  }
  const bool has_past = config.with_past();
  if (has_past && max_sequence > 0) positions = std::min(positions, max_sequence);
  return std::max<int64_t>(2, has_past ? (positions - 3) / 2 : positions);
}

std::vector<InputSet> input_sets(const InputsOf& of, ValidationBudget budget) {
  SetMaker maker(of);
  const Row usual{2, 8, 4};
  const Row mixed{3, 11, 3, true, Padding::both, {}, 1.5, 1, 7};
  const Row least{1, 1, 2, true, Padding::usual, 0, 0.75, 1.25, 1};
  std::vector<InputSet> sets{maker.make(usual)};
  if (maker.is_only_of_images() && budget != ValidationBudget::thorough) {
    // Each image costs as much as a long text.
    sets.push_back(maker.make(least));
    return sets;
  }
  sets.push_back(maker.make(mixed));
  if (budget == ValidationBudget::quick) return sets;
  sets.push_back(maker.make(least));
  if (maker.has_past()) sets.push_back(maker.make({2, 3, 2, true, Padding::usual, 1}));
  if (budget != ValidationBudget::thorough) return sets;

  for (const Padding padding : {Padding::left, Padding::right, Padding::none})
    sets.push_back(maker.make({3, 7, 2, true, padding, 5}));
  sets.push_back(maker.make({5, 37, 3, true, Padding::both, 41, 2, 1.5, 3}));
  const InputSet first = sets[0];
  for (const std::string& symbol : maker.symbols()) {
    const auto length = first.sizes.find(symbol);
    if (length == first.sizes.end()) continue;
    for (const int64_t wanted : maker.lengths_of(symbol, length->second)) {
      const auto set = maker.with_axis(first, symbol, wanted);
      if (!set) continue;
      const bool is_known = std::any_of(sets.begin(), sets.end(), [&](const InputSet& known) {
        return known.label == set->label || known.sizes == set->sizes;
      });
      if (!is_known) sets.push_back(*set);
    }
  }
  return sets;
}

Tensors inputs_of(const InputsOf& of, const InputSet& set) {
  return of.config.generate_dummy_inputs(of.preprocessor, set.options, of.part);
}

InputSet with_axis_of(const InputSet& set, const InputSet& other, const std::string& symbol) {
  InputSet changed = set;
  changed.options.sizes = set.sizes;
  changed.options.sizes[symbol] = changed.sizes[symbol] = other.sizes.at(symbol);
  return changed;
}

}  // namespace onnxport
