// SPDX-License-Identifier: Apache-2.0
// Rotary position embeddings with every scaling that configs know. Source: modeling_rope_utils.py, transformers 4.57
// and 5.24.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include <onnxport/config.hpp>
#include <onnxport/layers.hpp>

namespace onnxport::sdk {

/// base^(0/width), base^(2/width), …, which frequencies are one over: in 32 bits and rounded where the source rounds.
/// A frequency that is off by its last bit turns the thousandth token by a thousand times as much.
inline std::vector<float> rotary_periods(double base, int64_t width) {
  const auto rounded = static_cast<float>(base);
  std::vector<float> periods;
  for (int64_t i = 0; i < width; i += 2) {
    const float share = static_cast<float>(i) / static_cast<float>(width);
    periods.push_back(static_cast<float>(std::pow(static_cast<double>(rounded), static_cast<double>(share))));
  }
  return periods;
}

/// One of a model's kinds of layers, where these turn by different angles.
struct RotaryLayerType {
  std::string name;              ///< as in layer_types: rope_parameters has a map of this name
  double theta;                  ///< where that map gives none: what the config's older field says
  bool scaled = true;            ///< whether rope_scaling, which older configs have instead, is meant for these layers
  const char* type = "default";  ///< where neither states how angles are scaled
  std::optional<double> turned{};  ///< the part of every head that is turned, where neither states it
};

/// What rope_parameters holds, for configs that have not got it: from their older fields, with their class's defaults.
struct RotaryFields {
  double theta = 10000;
  bool own_theta = false;        ///< whether that counts even where rope_parameters states another one
  double partial = 1;            ///< the part of every head that is turned
  const char* type = "default";  ///< how angles are scaled
  /// Whether a "dynamic" scaling may state an alpha, by which the base is raised once and for all.
  /// Source: HunYuanDenseV1RotaryEmbedding, transformers 4.57.
  bool by_alpha = false;
  /// Whether a "longrope" states what cosines and sines are multiplied by: short_mscale, and long_mscale for texts that
  /// are longer than those of the first training. Source: PhimoeRotaryEmbedding, transformers 4.57.
  bool by_mscale = false;
  /// Whether a "longrope" has the frequencies of short texts for long ones as well. Source: PhimoeRotaryEmbedding,
  /// transformers 5.24.
  bool always_short = false;
  double slowed = 1;  ///< what frequencies that are not scaled are divided by
  /// Positions have three axes (time, height and width), of which each frequency turns by one; mrope_section says by
  /// which: one behind the other, or by turns. Source: Qwen2VLRotaryEmbedding and Qwen3VLTextRotaryEmbedding,
  /// transformers 5.24.
  enum class Axes { one, in_sections, by_turns } axes = Axes::one;
};

/// How positions become angles, by a config's rope_theta, rope_scaling (or rope_parameters) and what they refer to.
class Rotary {
 public:
  /// `head_size` is the width of one head, of which partial_rotary_factor is turned.
  Rotary(const Config& config, int64_t head_size)
      : Rotary(config, head_size,
               {.theta = config.real("rope_theta", 10000.0), .partial = config.real("partial_rotary_factor", 1.0)}) {}
  /// The same for a config whose older fields have other names or defaults.
  Rotary(const Config& config, int64_t head_size, const RotaryFields& older)
      : Rotary(config, head_size, config.section(is_by_parameters(config) ? "rope_parameters" : "rope_scaling"),
               older) {}
  /// The same for one kind of layers. Throws CONFIG where rope_parameters does not tell them apart.
  Rotary(const Config& config, int64_t head_size, const RotaryLayerType& type)
      : Rotary(config, head_size, section_of(config, type),
               RotaryFields{.theta = type.theta,
                            .partial = config.real("partial_rotary_factor", type.turned.value_or(1.0)),
                            .type = type.type}) {}

  /// Whether angles depend on the longest position as well, so that scores do not follow from differences alone.
  bool depends_on_length() const { return type_ == "dynamic" || type_ == "longrope"; }
  /// By what angle each pair of dimensions turns from one place to the next, in texts that are no longer than those of
  /// the training.
  const std::vector<float>& frequencies() const { return frequencies_; }
  /// What scores are multiplied by beside 1/√d: YaRN's magnitude by mscale_all_dim, squared, where a scaling states
  /// that. Source: DeepseekV3Attention, transformers 4.57.
  double score_factor() const { return score_factor_; }
  /// positions: i64[batch or 1, n], or of three axes i64[3, batch or 1, n].
  Angles angles(const Value& positions) const {
    Graph& g = positions.graph();
    const Value at = axis_of_.empty() ? unsqueeze(cast(positions, DType::f32), {2}) : places_by_frequency(positions);
    const Value turns = at * frequencies_for(positions);
    Angles angles{g.op("Cos", {turns}), g.op("Sin", {turns})};
    if (by_mscale_) {
      const Value factor = where(is_long(positions), g.scalar(long_mscale_), g.scalar(short_mscale_));
      return {angles.cos * factor, angles.sin * factor};
    }
    if (attention_factor_ != 1.0) angles = {angles.cos * attention_factor_, angles.sin * attention_factor_};
    return angles;
  }

 private:
  Rotary(const Config& config, int64_t head_size, const Config& scaling, const RotaryFields& older)
      : type_(type_of(scaling, older.type)),
        base_(older.own_theta ? older.theta : scaling.real("rope_theta", older.theta)),
        width_(static_cast<int64_t>(static_cast<double>(head_size) *
                                    scaling.real("partial_rotary_factor", older.partial))),
        max_positions_(config.integer("max_position_embeddings", 2048)) {
    if (!(base_ > 0)) {
      throw Error(ONNXPORT_CONFIG, "config field 'rope_theta' is " + std::to_string(base_) + "; expected more than 0");
    }
    if (type_ == "proportional") width_ = head_size;
    constexpr int64_t widest = 1 << 20;
    // Of an odd part one dimension more is turned, where the head has it.
    if (width_ <= 0 || width_ > widest || width_ + width_ % 2 > head_size) {
      throw Error(ONNXPORT_CONFIG, "rotary embeddings turn " + std::to_string(width_) + " dimensions of a head of " +
                                       std::to_string(head_size) + ", by config.json; expected pairs of them, 1 to " +
                                       std::to_string(widest / 2));
    }
    if (older.axes != RotaryFields::Axes::one) set_axes(scaling, older.axes);
    if (const double alpha = scaling.real("alpha", 0); older.by_alpha && type_ == "dynamic" && alpha != 0) {
      base_ *= std::pow(alpha, static_cast<double>(width_) / static_cast<double>(width_ - 2));
      type_ = "default";
    }
    periods_ = rotary_periods(base_, width_);
    for (const float period : periods_) frequencies_.push_back(1 / period);
    if (type_ != "default") {
      const double grown = magnitude(scaling.real("factor", 1), scaling.real("mscale_all_dim", 0));
      score_factor_ = grown * grown;
    }
    if (type_ == "default" && older.slowed != 1) {
      slow_down(older.slowed);
    } else if (type_ == "linear") {
      slow_down(factor(scaling));
    } else if (type_ == "dynamic") {
      factor_ = factor(scaling);
    } else if (type_ == "llama3") {
      scale_llama3(config, scaling);
    } else if (type_ == "yarn") {
      scale_yarn(config, scaling);
    } else if (type_ == "longrope") {
      scale_longrope(config, scaling);
      take_mscale(scaling, older);
    } else if (type_ == "proportional") {
      scale_proportional(scaling, older);
    }
  }

  /// Where a file has both, as one that was edited has, rope_scaling counts, and what stands beside it. Source:
  /// RotaryEmbeddingConfigMixin.convert_rope_params_to_dict, transformers 5.24; 4.57 knows no other.
  static bool is_by_parameters(const Config& config) {
    return config.has("rope_parameters") && config.entries("rope_scaling").value_or(0) == 0;
  }
  static Config section_of(const Config& config, const RotaryLayerType& type) {
    if (!config.has("rope_parameters")) return type.scaled ? config.section("rope_scaling") : config.none();
    const Config all = config.section("rope_parameters");
    if (all.has("rope_type") || all.has("rope_theta")) {
      throw Error(ONNXPORT_CONFIG,
                  "config field 'rope_parameters' is one map for all layers; expected a map for each layer type, '" +
                      type.name + "' among them");
    }
    return all.section(type.name);
  }

  static std::string type_of(const Config& scaling, const char* otherwise) {
    const std::initializer_list<std::string_view> known{"default", "linear", "dynamic",      "yarn", "longrope",
                                                        "su",      "llama3", "proportional", "mrope"};
    const std::string older = scaling.choice("type", otherwise, known);
    const std::string type = scaling.choice("rope_type", older, known);
    const bool is_told = scaling.has("type") || scaling.has("rope_type") || otherwise != std::string_view("default");
    if (!is_told && scaling.maybe_real("factor").value_or(1) != 1) {
      throw Error(
          ONNXPORT_CONFIG,
          "config field 'rope_scaling' has a factor and does not tell how it is used; expected rope_type (older: "
          "type), such as \"linear\"");
    }
    if (type == "mrope") return "default";  // how positions of several axes were stated before version 4.49
    return type == "su" ? "longrope" : type;
  }
  static double factor(const Config& scaling) {
    if (const auto factor = scaling.maybe_real("factor")) return *factor;
    throw Error(ONNXPORT_CONFIG, "config field 'rope_scaling.factor' is missing: expected a number");
  }

  /// How much larger angles and scores are made where positions are stretched.
  static double magnitude(double stretch, double scale) {
    return stretch <= 1 ? 1.0 : 0.1 * scale * std::log(stretch) + 1.0;
  }

  void slow_down(double by) {
    for (float& f : frequencies_) f /= static_cast<float>(by);
  }

  /// How long texts of the first training were. A length at the config's top level comes first since version 5; before,
  /// that in the map alone counted.
  double trained_length(const Config& config, const Config& scaling) const {
    const char* field = "original_max_position_embeddings";
    const double inner = scaling.real(field, 0);
    const bool newer = config.has("rope_parameters") || config.written_since(5, 0);
    const double stated = newer ? config.real(field, inner) : inner;
    return stated != 0 ? stated : static_cast<double>(max_positions_);
  }

  /// Long waves are stretched, short ones kept, those between blended.
  void scale_llama3(const Config& config, const Config& scaling) {
    const double low = scaling.real("low_freq_factor", 1.0), high = scaling.real("high_freq_factor", 4.0),
                 trained = trained_length(config, scaling);
    const auto by = static_cast<float>(factor(scaling)), original = static_cast<float>(trained);
    const auto shortest = static_cast<float>(trained / high), longest = static_cast<float>(trained / low);
    for (float& f : frequencies_) {
      const float wave = 1 / f * static_cast<float>(2 * M_PI);
      if (wave > longest) {
        f /= by;
      } else if (wave >= shortest) {
        const float turns = 1 / wave * original;
        const float kept = (turns - static_cast<float>(low)) / static_cast<float>(high - low);
        f = (1 - kept) * f / by + kept * f;
      }
    }
  }

  /// Whether the ramp of a YaRN begins and ends at whole dimensions. Of maps for each layer type, it is what stands
  /// beside them that counts. Source: _compute_yarn_parameters, transformers 5.24.
  static bool rounds(const Config& config, const Config& scaling) {
    const bool stated = scaling.boolean("truncate", true);
    if (!is_by_parameters(config)) return stated;
    const Config all = config.section("rope_parameters");
    return all.has("rope_type") || all.has("type") ? stated : all.boolean("truncate", true);
  }

  /// Dimensions that turn often keep their frequency, slow ones are interpolated, with a ramp between.
  void scale_yarn(const Config& config, const Config& scaling) {
    const double by = factor(scaling);
    const auto given = [&](const char* key, double otherwise) {
      const double value = scaling.real(key, otherwise);
      return value == 0 ? otherwise : value;
    };
    const auto original = trained_length(config, scaling);
    const auto width = static_cast<double>(width_);
    const double mscale = given("mscale", 0), mscale_all = given("mscale_all_dim", 0);
    const bool both = mscale != 0 && mscale_all != 0;
    attention_factor_ = both ? magnitude(by, mscale) / magnitude(by, mscale_all) : magnitude(by, 1);
    attention_factor_ = scaling.real("attention_factor", attention_factor_);
    const auto dimension_of = [&](double turns) {
      return width * std::log(original / (turns * 2 * M_PI)) / (2 * std::log(base_));
    };
    double low = dimension_of(given("beta_fast", 32)), high = dimension_of(given("beta_slow", 1));
    if (rounds(config, scaling)) {
      low = std::floor(low);
      high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, width - 1);
    if (low == high) high += 0.001;
    const auto first = static_cast<float>(low), wide = static_cast<float>(high - low);
    for (size_t i = 0; i < frequencies_.size(); ++i) {
      const float kept = 1 - std::clamp((static_cast<float>(i) - first) / wide, 0.0F, 1.0F);
      const float slow = 1 / (static_cast<float>(by) * periods_[i]);
      frequencies_[i] = slow * (1 - kept) + frequencies_[i] * kept;
    }
  }

  /// Two sets of frequencies: one up to the length that the model was first trained for, one for longer texts.
  void scale_longrope(const Config& config, const Config& scaling) {
    const std::vector<double> shorter = scaling.reals("short_factor"), longer = scaling.reals("long_factor");
    if (shorter.size() != frequencies_.size() || longer.size() != frequencies_.size()) {
      throw Error(ONNXPORT_CONFIG, "config fields 'rope_scaling.short_factor' and 'long_factor' have " +
                                       std::to_string(shorter.size()) + " and " + std::to_string(longer.size()) +
                                       " entries; expected " + std::to_string(frequencies_.size()) + " in each");
    }
    // Version 4 reads the length of the first training from the config's top level alone; version 5 from the map, where
    // a stated factor counts as well.
    const bool newer = config.has("rope_parameters");
    const char* field = "original_max_position_embeddings";
    const int64_t stated = config.integer(field, newer ? scaling.integer(field, 0) : 0);
    original_positions_ = stated > 0 ? stated : max_positions_;
    const double ratio = static_cast<double>(max_positions_) / static_cast<double>(original_positions_);
    const double by = !newer && stated > 0 ? ratio : scaling.real("factor", newer ? ratio : 1.0);
    const double grown = std::sqrt(1 + std::log(by) / std::log(static_cast<double>(original_positions_)));
    attention_factor_ = scaling.real("attention_factor", by <= 1 ? 1.0 : grown);
    long_frequencies_ = frequencies_;
    for (size_t i = 0; i < frequencies_.size(); ++i) {
      long_frequencies_[i] = 1 / (static_cast<float>(longer[i]) * periods_[i]);
      frequencies_[i] = 1 / (static_cast<float>(shorter[i]) * periods_[i]);
    }
  }

  /// Pairs behind the part that is turned do not turn; which pair has which frequency goes by the whole head.
  void scale_proportional(const Config& scaling, const RotaryFields& older) {
    const double part = scaling.real("partial_rotary_factor", older.partial);
    const auto by = static_cast<float>(scaling.real("factor", 1));
    const auto turned = static_cast<size_t>(std::max(0.0, std::floor(part * static_cast<double>(width_) / 2)));
    for (size_t i = 0; i < frequencies_.size(); ++i) frequencies_[i] = i < turned ? frequencies_[i] / by : 0;
  }
  /// Factors in place of the one that follows from the lengths.
  void take_mscale(const Config& scaling, const RotaryFields& older) {
    if (older.always_short) long_frequencies_ = frequencies_;
    by_mscale_ = older.by_mscale;
    if (!by_mscale_) return;
    for (const auto& [name, value] : {std::pair{"short_mscale", &short_mscale_}, {"long_mscale", &long_mscale_}}) {
      const auto stated = scaling.maybe_real(name);
      if (!stated)
        throw Error(ONNXPORT_CONFIG,
                    "config field 'rope_scaling." + std::string(name) + "' is missing: expected a number");
      *value = *stated;
    }
    // The map's own length of the first training counts.
    original_positions_ = scaling.integer("original_max_position_embeddings", original_positions_);
  }

  /// Which axis each frequency turns by.
  void set_axes(const Config& scaling, RotaryFields::Axes axes) {
    const std::vector<int64_t> sections = scaling.integers("mrope_section");
    const int64_t all = width_ / 2;
    const bool fits = sections.size() == 3 && sections[0] + sections[1] + sections[2] == all &&
                      *std::min_element(sections.begin(), sections.end()) >= 0;
    if (!fits) {
      throw Error(ONNXPORT_CONFIG, "config field 'mrope_section' lists " + std::to_string(sections.size()) +
                                       " numbers; expected three, whose sum is " + std::to_string(all) +
                                       ", half of what is turned of a head");
    }
    axis_of_.assign(static_cast<size_t>(all), 0);
    if (axes == RotaryFields::Axes::in_sections) {
      for (int64_t i = sections[0]; i < all; ++i)
        axis_of_[static_cast<size_t>(i)] = i < sections[0] + sections[1] ? 1 : 2;
      return;
    }
    for (const int64_t axis : {1, 2}) {
      for (int64_t i = axis; i < std::min(3 * sections[static_cast<size_t>(axis)], all); i += 3)
        axis_of_[static_cast<size_t>(i)] = axis;
    }
  }
  /// i64[3, batch, n] -> f32[batch, n, half]: for each frequency the place on its axis.
  Value places_by_frequency(const Value& positions) const {
    const Value last = transpose(cast(positions, DType::f32), {1, 2, 0});
    return gather(last, positions.graph().integers(axis_of_), 2);
  }

  static Value table(Graph& g, const std::vector<float>& values) {
    return g.constant<float>(DType::f32, {static_cast<int64_t>(values.size())}, values);
  }

  static Value last_of(const Value& positions) {
    return positions.graph().op("ReduceMax", {positions}, {{"axes", {0, 1}}, {"keepdims", 0}});
  }
  /// Whether a text of the batch is longer than those of the first training.
  Value is_long(const Value& positions) const {
    Graph& g = positions.graph();
    return g.op("Greater", {last_of(positions), g.integer(original_positions_ - 1)});
  }

  /// f32[half], which for two of the types depends on the longest text of the batch.
  Value frequencies_for(const Value& positions) const {
    Graph& g = positions.graph();
    if (type_ != "dynamic" && type_ != "longrope") return table(g, frequencies_);
    if (type_ == "longrope") {
      if (long_frequencies_ == frequencies_) return table(g, frequencies_);
      return where(is_long(positions), table(g, long_frequencies_), table(g, frequencies_));
    }
    // The base grows with the text once it is longer than what the model was trained for.
    const auto trained = static_cast<double>(max_positions_), width = static_cast<double>(width_);
    const Value length = g.op("Max", {cast(last_of(positions), DType::f32) + 1.0, g.scalar(trained)});
    const Value growth = length * factor_ / trained - (factor_ - 1);
    const Value base = g.op("Pow", {growth, g.scalar(width / (width - 2))}) * base_;
    std::vector<float> shares;
    for (int64_t i = 0; i < width_; i += 2) shares.push_back(static_cast<float>(i) / static_cast<float>(width_));
    return g.op("Reciprocal", {g.op("Pow", {base, table(g, shares)})});
  }

  std::string type_;
  double base_;
  int64_t width_, max_positions_, original_positions_ = 0;
  double factor_ = 1, attention_factor_ = 1, score_factor_ = 1;
  bool by_mscale_ = false;
  double short_mscale_ = 1, long_mscale_ = 1;
  std::vector<float> periods_, frequencies_, long_frequencies_;
  std::vector<int64_t> axis_of_;  // by frequency; empty: positions have one axis
};

/// Turns the leading dimensions of every head by the angles of its position: f[batch, heads, n, d] -> the same.
/// Source: apply_rotary_pos_emb, LlamaAttention, transformers 4.57.
inline Value rotate(const Operand& x, const Angles& angles, bool interleaved = false) {
  return x.graph().composite("RotaryEmbedding", {x, angles.cos, angles.sin}, {{"interleaved", interleaved}});
}

/// Pairs that are neighbours as the halves that rotate() turns: (x0, x1, x2, x3, …) -> (x0, x2, …, x1, x3, …) in every
/// head, f[batch, heads, n, d] -> the same. Source: apply_rotary_pos_emb_interleave, DeepseekV3Attention,
/// transformers 4.57.
inline Value pairs_as_halves(const Operand& x) {
  const int64_t d = x.fixed(-1);
  return reshape(transpose(reshape(x, {0, 0, 0, d / 2, 2}), {0, 1, 2, 4, 3}), {0, 0, 0, d});
}

}  // namespace onnxport::sdk
