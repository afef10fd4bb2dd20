// SPDX-License-Identifier: Apache-2.0
// What models of series over time have in common: a scale of each series, patches of it, and heads that yield numbers
// or the parameters of a distribution. Series are f[batch, time, channels], or f[batch, time] of one channel.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include <onnxport/channel_norms.hpp>
#include <onnxport/onnx_config.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

// ------------------------------------------------------------------------------------------------ scales

/// How a series is scaled before a model reads it.
/// Source: TimeSeriesStdScaler, TimeSeriesMeanScaler and TimeSeriesNOPScaler, transformers 4.30 and 5.24.
struct SeriesScaling {
  enum class Kind { none, mean, std };
  Kind kind = Kind::none;
  double least = 0;                ///< of scales
  std::optional<double> unseen{};  ///< the scale of a series without any observation; absent: that of its batch

  /// By config.json's scaling, which is `usual` where it is left out, and `of_true` where it is true.
  SeriesScaling(const Config& c, Kind usual, Kind of_true) : kind(read(c, usual, of_true)) {
    least = c.real("minimum_scale", kind == Kind::mean ? 1e-10 : 1e-5);
    unseen = c.maybe_real("default_scale");
    require_equal({"scaling_dim", c.integer("scaling_dim", 1)}, {"1, the axis of time", 1});
    if (!c.boolean("keepdim", true))
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'keepdim' is false; scales without the axis of time are not supported");
  }

 private:
  static Kind read(const Config& c, Kind usual, Kind of_true) {
    if (c.is_null("scaling")) return Kind::none;
    if (!c.has("scaling")) return usual;
    if (!c.is_text("scaling")) return c.boolean("scaling", false) ? of_true : Kind::none;
    const std::string name = c.text("scaling", "");
    return name == "mean" ? Kind::mean : name == "std" ? Kind::std : Kind::none;
  }
};

/// What is taken from a series and what it is divided by, f[batch, 1, …].
struct SeriesScale {
  Value loc, scale;
};
/// `observed`: f32 of the series' shape, 1 where it was seen; absent: everywhere.
inline SeriesScale scale_of(const Operand& series, const Value& observed, const SeriesScaling& form) {
  Graph& g = series.graph();
  const auto total = [&](const Value& x) { return g.op("ReduceSum", {x}, {{"axes", {1}}, {"keepdims", 1}}); };
  const auto seen = [&](const Value& x) { return observed ? x * observed : x; };
  const auto at_least = [&](const Value& x, double bound) { return g.op("Max", {x, g.scalar(bound, x.dtype())}); };
  const Value none = total(series) * 0.0;
  if (form.kind == SeriesScaling::Kind::none) return {none, none + 1.0};

  const Value observations = observed ? total(observed) : none + cast(size_of(series, 1), DType::f32);
  const Value count = at_least(observations, 1);
  if (form.kind == SeriesScaling::Kind::std) {
    const Value loc = total(seen(series)) / count;
    const Value off = seen(series - loc);
    return {loc, sqrt(total(off * off) / count + form.least)};
  }
  const Value sizes = total(g.op("Abs", {seen(series)}));
  Value scale = sizes / count;
  if (observed) {
    const Value of_batch = form.unseen ? none + *form.unseen : sum(sizes, {0}) / at_least(sum(observations, {0}), 1);
    scale = where(g.op("Greater", {observations, g.scalar(0, observations.dtype())}), scale, of_batch);
  }
  return {none, at_least(scale, form.least)};
}

// ----------------------------------------------------------------------------------------------- patches

/// How a series is cut.
struct SeriesPatches {
  int64_t context, length, stride;

  explicit SeriesPatches(const Config& c, int64_t usual_length, int64_t usual_stride)
      : context(c.size("context_length", 32)),
        length(c.size("patch_length", usual_length)),
        stride(c.size("patch_stride", usual_stride)) {
    if (context > length) return;
    throw Error(ONNXPORT_CONFIG, "config field 'context_length' is " + std::to_string(context) +
                                     "; expected more than patch_length (" + std::to_string(length) + ")");
  }
  int64_t count() const { return (context - length) / stride + 1; }
};
/// The patches of a series, of which the last one ends where it ends: f[batch, context, channels]
/// -> f[batch, channels, count, length]. Source: PatchTSTPatchify, transformers 4.57.
inline Value patches_of(const Operand& series, const SeriesPatches& form) {
  Graph& g = series.graph();
  const int64_t first = form.context - form.length - form.stride * (form.count() - 1);
  std::vector<int64_t> places;
  for (int64_t i = 0; i < form.count(); ++i) {
    for (int64_t j = 0; j < form.length; ++j) places.push_back(first + i * form.stride + j);
  }
  const Value at = g.constant<int64_t>(DType::i64, {form.count(), form.length}, places);
  return transpose(gather(series, at, 1), {0, 3, 1, 2});
}

// ------------------------------------------------------------------------------------------------- heads

/// What a head yields: numbers, or what tells a distribution of them.
struct SeriesOutput {
  std::string distribution{};  ///< student_t, normal or negative_binomial; empty: numbers

  SeriesOutput() = default;
  /// Of a head that tells no distribution whatever the config says.
  static SeriesOutput numbers() { return {}; }
  /// By config.json's loss and distribution_output.
  explicit SeriesOutput(const Config& c, const char* usual_loss = "mse") {
    const std::string loss = c.choice("loss", usual_loss, {"mse", "nll"});
    const std::string named =
        c.choice("distribution_output", "student_t", {"student_t", "normal", "negative_binomial"});
    if (loss == "nll") distribution = named;
  }
  /// The parameters by their names; none of plain numbers.
  std::vector<std::string> parameters() const {
    if (distribution == "student_t") return {"df", "loc", "scale"};
    if (distribution == "normal") return {"loc", "scale"};
    if (distribution == "negative_binomial") return {"total_count", "logits"};
    return {};
  }
  /// The names of a head's outputs: `name`, or name.df, name.loc, …
  std::vector<std::string> names(const std::string& name) const {
    if (distribution.empty()) return {name};
    std::vector<std::string> all;
    for (const std::string& parameter : parameters()) all.push_back(name + "." + parameter);
    return all;
  }
};
/// x: f[..., n] -> f[..., count] for each of the output's names. Weights: those of a linear layer, or proj.0, proj.1, …
/// of a distribution. Source: ParameterProjection and the DistributionOutput classes, transformers 4.57.
inline std::vector<Value> series_output(const Scope& scope, const Operand& x, int64_t count, const SeriesOutput& form) {
  if (form.distribution.empty()) return {linear(scope, x, {.out = count})};
  constexpr double epsilon = 1.1920928955078125e-07;
  Graph& g = scope.graph();
  const auto squareplus = [](const Value& v) { return (v + sqrt(v * v + 4.0)) / 2.0; };
  std::vector<Value> all;
  for (const std::string& name : form.parameters()) {
    Value made = linear(scope / "proj" / static_cast<int64_t>(all.size()), x, {.out = count}).in(scope);
    if (name == "df") made = squareplus(made) + 2.0;
    if (name == "total_count") made = squareplus(made);
    if (name == "scale") made = g.op("Max", {squareplus(made), g.scalar(epsilon, made.dtype())});
    all.push_back((count == 1 ? squeeze(made, {-1}) : made).in(scope.parent()));
  }
  return all;
}

/// A head's numbers within a range, where config.json states one. Source: PatchTSTRegressionHead, transformers 4.57.
inline Value within_range(const Operand& x, const std::vector<double>& range) {
  return range.size() == 2 ? sigmoid(x) * (range[1] - range[0]) + range[0] : Value(x);
}

/// f[batch, n, width] by the statistics of a training: -> the same.
/// Weights below `batchnorm`. Source: PatchTSTBatchNorm, transformers 4.57.
inline Value batch_norm_of_rows(const Scope& scope, const Operand& rows, double epsilon) {
  return transpose(batch_norm(scope / "batchnorm", transpose(rows, {0, 2, 1}), epsilon), {0, 2, 1}).in(scope.parent());
}

/// The class that config.json names, of those that are exported by the feature `default`: what ends its name.
inline std::string class_ending(const Request& request, std::initializer_list<const char*> endings) {
  for (const std::string& name : request.config.texts("architectures")) {
    for (const char* ending : endings) {
      if (name.ends_with(ending)) return ending;
    }
  }
  return {};
}

}  // namespace onnxport::family
