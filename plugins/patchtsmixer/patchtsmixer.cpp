// SPDX-License-Identifier: Apache-2.0
// PatchTSMixer: patches of a series over time, mixed by feed-forwards over patches, features and, where the config says
// so, channels. Source: PatchTSMixerModel and the classes with a head, transformers 4.57 and 5.24
// (modeling_patchtsmixer.py).
#include <algorithm>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/time_series.hpp>

using namespace onnxport::family;

namespace {

struct PatchTsMixerConfig {
  explicit PatchTsMixerConfig(const Config& c)
      : channels(c.size("num_input_channels", 1)),
        patches(c, 8, 8),
        layers(c.count("num_layers", 3)),
        width(c.size("d_model", 8)),
        widening(c.size("expansion_factor", 2)),
        mixes_channels(c.choice("mode", "common_channel", {"common_channel", "mix_channel"}) == "mix_channel"),
        gated(c.boolean("gated_attn", true)),
        batch_normed(is_batch(c.text("norm_mlp", "LayerNorm"))),
        epsilon(c.real("norm_eps", 1e-5)),
        heads(c.boolean("self_attn", false) ? c.size("self_attn_heads", 1) : 0),
        has_positions(c.boolean("use_positional_encoding", false)),
        scaling(c, SeriesScaling::Kind::std, SeriesScaling::Kind::std),
        output(c),
        horizon(c.size("prediction_length", 16)),
        targets(c.size("num_targets", 3)),
        range(c.reals("output_range")),
        predicted(c.integers("prediction_channel_indices")),
        aggregation(c.is_null("head_aggregation")
                        ? ""
                        : c.choice("head_aggregation", "max_pool", {"use_last", "max_pool", "avg_pool"})) {
    std::sort(predicted.begin(), predicted.end());
    if (heads > 0) require_multiple({"d_model", width}, {"self_attn_heads", heads});
    // A table is saved, whatever it holds; the rest is of training and of samples that a distribution is asked for.
    c.no_effect({"num_patches", "patch_last", "post_init", "positional_encoding_type", "dropout", "head_dropout",
                 "init_std", "mask_type", "random_mask_ratio", "num_forecast_mask_patches",
                 "channel_consistent_masking", "unmasked_channel_indices", "mask_value", "masked_loss",
                 "num_parallel_samples", "self_attn_heads"});
  }
  int64_t channels;
  SeriesPatches patches;
  int64_t layers, width, widening;
  bool mixes_channels, gated, batch_normed;
  double epsilon;
  int64_t heads;  // of an attention beside the mixer of patches; 0: there is none
  bool has_positions;
  SeriesScaling scaling;
  SeriesOutput output;
  int64_t horizon, targets;
  std::vector<double> range;
  std::vector<int64_t> predicted;  // the channels that are predicted; empty: all
  std::string aggregation;         // empty: none

 private:
  static bool is_batch(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char each) { return std::tolower(each); });
    return name.find("batch") != std::string::npos;
  }
};

constexpr const char* classification = "ForTimeSeriesClassification";
constexpr const char* regression = "ForRegression";

class PatchTsMixerOnnxConfig final : public OnnxConfig {
 public:
  explicit PatchTsMixerOnnxConfig(const Request& request)
      : OnnxConfig(request),
        c(request.config.with_names({{"d_model", "hidden_size"}, {"num_layers", "num_hidden_layers"}})),
        head(class_ending(request, {classification, regression})) {}

  std::string base_model_prefix() const override { return "model"; }
  double atol_for_validation() const override { return 1e-4; }

  std::vector<TensorSpec> inputs() const override {
    return {input::features("past_values",
                            {axis::batch, Dim::open(c.patches.context, "time"), Dim::open(c.channels, "channels")})};
  }
  std::vector<OutputSpec> outputs() const override {
    std::vector<OutputSpec> specs;
    for (const std::string& name : names()) specs.push_back({name, {{0, axis::batch}}});
    return specs;
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Value series = in.at("past_values");
    const SeriesScale scale = scale_of(series, {}, c.scaling);
    const Value patches = g.mark("patch_input", patches_of((series - scale.loc) / scale.scale, c.patches));
    const bool is_base = task() == "default" && head.empty();
    Value hidden = encode((is_base ? g.root() : g.root() / "model") / "encoder", patches);
    if (is_base) return {{"last_hidden_state", hidden}};

    std::vector<Value> found;
    if (task() == "default") {
      if (c.scaling.kind != SeriesScaling::Kind::none) hidden = told_scale(g.root() / "inject_scale", hidden, scale);
      const SeriesOutput form = head == classification ? SeriesOutput::numbers() : c.output;
      found = series_output(g.root() / "head.projection", aggregate(hidden), c.targets, form);
      if (form.distribution.empty()) found[0] = within_range(found[0], c.range);
    } else {
      found = predict(g.root() / "head.base_forecast_block", hidden, scale);
    }
    g.mark("last_hidden_state", hidden);
    Outputs outputs;
    for (size_t i = 0; i < found.size(); ++i) outputs.emplace_back(names()[i], found[i]);
    return outputs;
  }

 private:
  std::vector<std::string> names() const {
    if (task() == "time-series-forecasting") return c.output.names("prediction_outputs");
    if (head == classification) return {"prediction_outputs"};
    if (head == regression) return c.output.names("regression_outputs");
    return {"last_hidden_state"};
  }

  // f[batch, channels, count, length] -> f[batch, channels, count, width]
  Value encode(const Scope& s, const Value& patches) const {
    Value x = linear(s / "patcher", patches, {.out = c.width});
    if (c.has_positions) x = x + (s / "positional_encoder").weight("position_enc", {c.patches.count(), c.width});
    for (int64_t i = 0; i < c.layers; ++i) {
      const Scope layer = s / "mlp_mixer_encoder.mixers" / i;
      s.graph().mark("hidden_states." + std::to_string(i), x);
      if (c.mixes_channels) x = mix_channels(layer / "channel_feature_mixer", x);
      x = mix_patches(layer / "patch_mixer", x);
      x = mix_features(layer / "feature_mixer", x);
    }
    return x.in(s);
  }

  Value normed(const Scope& s, const Value& x) const {
    if (!c.batch_normed) return norm(s / "norm", x, {.epsilon = c.epsilon}).in(s.parent());
    const Value rows = batch_norm_of_rows(s / "norm", reshape(x, {-1, c.patches.count(), c.width}), c.epsilon);
    return reshape(rows, {-1, c.channels, c.patches.count(), c.width}).in(s.parent());
  }
  // Over the last axis.
  Value fed(const Scope& s, const Value& x) const {
    return feed_forward(s / "mlp", x, {.inner = x.fixed(-1) * c.widening, .up = "fc1", .down = "fc2", .bias = true});
  }
  Value gated(const Scope& s, const Value& x) const {
    if (!c.gated) return x;
    return x * softmax(linear(s / "gating_block.attn_layer", x, {.out = x.fixed(-1)}));
  }

  Value mix_channels(const Scope& s, const Value& x) const {
    const Value by_channel = transpose(normed(s / "norm", x.in(s)), {0, 3, 2, 1});
    return transpose(fed(s, gated(s, by_channel)), {0, 3, 2, 1}) + x;
  }
  Value mix_patches(const Scope& s, const Value& x) const {
    const Value read = normed(s / "norm", x.in(s));
    Value h = transpose(gated(s, fed(s, transpose(read, {0, 1, 3, 2}))), {0, 1, 3, 2});
    if (c.heads > 0) {
      const AttentionBlock block{
          .heads = c.heads, .head_size = c.width / c.heads, .projections = {.output = "out_proj", .bias = all_biased}};
      const Value rows = reshape(read, {-1, c.patches.count(), c.width});
      const Value seen = attend(s / "self_attn_layer", rows, block, {});
      h = normed(s / "norm_attn", h + reshape(seen, {-1, c.channels, c.patches.count(), c.width}));
    }
    return h + x;
  }
  Value mix_features(const Scope& s, const Value& x) const { return gated(s, fed(s, normed(s / "norm", x.in(s)))) + x; }

  // What was taken from a series to scale it, beside its features. Source: InjectScalerStatistics4D.
  Value told_scale(const Scope& s, const Value& hidden, const SeriesScale& scale) const {
    constexpr int64_t widening = 2;
    const auto of_channel = [](const Value& x) { return unsqueeze(transpose(x, {0, 2, 1}), {2}); };
    Value told = concat({of_channel(scale.loc), of_channel(scale.scale)}, -1);  // f[batch, channels, 1, 2]
    told = linear(s / "map_scale_expansion", told, {.out = 2 * widening});
    told = linear(s / "map_scale_compression", told, {.out = 2});
    const Value both = concat({hidden.in(s), expand(told, {1, 1, c.patches.count(), 1})}, -1);
    return linear(s / "inverse_trans_compression",
                  linear(s / "inverse_trans_expansion", both, {.out = widening * c.width}), {.out = c.width});
  }

  // f[batch, channels·width], or all patches behind each feature where none are put together.
  Value aggregate(const Value& hidden) const {
    if (c.aggregation.empty())
      return reshape(transpose(hidden, {0, 1, 3, 2}), {0, c.channels * c.width * c.patches.count()});
    const Value pooled = c.aggregation == "use_last"   ? pick(hidden, 2, -1)
                         : c.aggregation == "max_pool" ? largest(hidden, {2})
                                                       : mean(hidden, {2});
    return reshape(pooled, {0, c.channels * c.width});
  }

  // f[batch, horizon, predicted channels] for each of the output's names
  std::vector<Value> predict(const Scope& s, const Value& hidden, const SeriesScale& scale) const {
    Graph& g = s.graph();
    const auto chosen = [&](const Value& x) { return c.predicted.empty() ? x : gather(x, g.integers(c.predicted), 2); };
    const Value flat = reshape(hidden, {0, c.channels, c.patches.count() * c.width});
    std::vector<Value> found = series_output(s, flat, c.horizon, c.output);
    for (Value& each : found) each = chosen(transpose(each, {0, 2, 1}));
    const Value loc = g.mark("loc", chosen(scale.loc)), size = g.mark("scale", chosen(scale.scale));
    if (c.output.distribution.empty()) found[0] = found[0] * size + loc;
    return found;
  }

  const PatchTsMixerConfig c;
  const std::string head;  // of the class that config.json names; empty: none that `default` exports
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.patchtsmixer",
    .name = "PatchTSMixer",
    .models = {{.types = {"patchtsmixer"},
                .features = {"default", "time-series-forecasting"},
                .architectures = {{"PatchTSMixerForPrediction", "time-series-forecasting"},
                                  {"PatchTSMixerForRegression", "default"},
                                  {"PatchTSMixerForTimeSeriesClassification", "default"}},
                .known_gaps = {{.architecture = "PatchTSMixerForPretraining",
                                .reason = "it hides patches by chance, and is not defined"}},
                .make = make<PatchTsMixerOnnxConfig>}},
})
