// SPDX-License-Identifier: Apache-2.0
// PatchTST: patches of a series over time, each channel by itself, through a transformer. Source: PatchTSTModel and the
// classes with a head, transformers 4.57 and 5.24 (modeling_patchtst.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/time_series.hpp>

using namespace onnxport::family;

namespace {

struct PatchTstConfig {
  explicit PatchTstConfig(const Config& c)
      : channels(c.size("num_input_channels", 1)),
        patches(c, 1, 1),
        layers(c.count("num_hidden_layers", 3)),
        width(c.size("d_model", 128)),
        heads(c.size("num_attention_heads", 4)),
        inner(c.size("ffn_dim", 512)),
        shared_embedding(c.boolean("share_embedding", true)),
        mixes_channels(c.boolean("channel_attention", false)),
        batch_normed(c.choice("norm_type", "batchnorm", {"batchnorm", "layernorm"}) == "batchnorm"),
        epsilon(c.real("norm_eps", 1e-5)),
        bias(c.boolean("bias", true)),
        activation(c.text("activation_function", "gelu")),
        normed_first(c.boolean("pre_norm", true)),
        has_class_token(c.boolean("use_cls_token", false)),
        masked(c.boolean("do_mask_input", false)),
        pooling(c.is_null("pooling_type") ? "" : c.choice("pooling_type", "mean", {"mean", "max"})),
        scaling(c, SeriesScaling::Kind::std, SeriesScaling::Kind::mean),
        output(c),
        horizon(c.size("prediction_length", 24)),
        targets(c.size("num_targets", 1)),
        range(c.reals("output_range")) {
    require_multiple({"d_model", width}, {"num_attention_heads", heads});
    // Tables are saved, whatever they hold; the rest is of training and of samples that a distribution is asked for.
    c.no_effect({"positional_encoding_type", "attention_dropout", "positional_dropout", "path_dropout", "ff_dropout",
                 "head_dropout", "init_std", "mask_type", "random_mask_ratio", "num_forecast_mask_patches",
                 "channel_consistent_masking", "unmasked_channel_indices", "mask_value", "num_parallel_samples"});
  }
  int64_t channels;
  SeriesPatches patches;
  int64_t layers, width, heads, inner;
  bool shared_embedding, mixes_channels, batch_normed;
  double epsilon;
  bool bias;
  std::string activation;
  bool normed_first, has_class_token, masked;
  std::string pooling;  // empty: none
  SeriesScaling scaling;
  SeriesOutput output;
  int64_t horizon, targets;
  std::vector<double> range;

  int64_t places() const { return patches.count() + (has_class_token ? 1 : 0); }
};

constexpr const char* classification = "ForClassification";
constexpr const char* regression = "ForRegression";

class PatchTstOnnxConfig final : public OnnxConfig {
 public:
  explicit PatchTstOnnxConfig(const Request& request)
      : OnnxConfig(request),
        c(request.config.with_names({{"d_model", "hidden_size"}})),
        head(class_ending(request, {classification, regression})) {
    if (c.masked && head.empty() && task() == "default") {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'do_mask_input' is true; patches that are hidden by chance are not supported");
    }
    if (task() == "time-series-forecasting" && !request.config.boolean("share_projection", true)) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'share_projection' is false; a head for each channel, on which the original fails, is "
                  "not supported");
    }
    request.config.no_effect({"share_projection"});  // of the other heads, and of the model without one
    if (!head.empty() && c.pooling.empty() && !c.has_class_token) {
      throw Error(
          ONNXPORT_CONFIG,
          "config field 'pooling_type' is null; classes and targets are read of the mean, the maximum or a class "
          "token, expected \"mean\", \"max\" or use_cls_token");
    }
  }

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
    g.mark("loc", scale.loc);
    g.mark("scale", scale.scale);
    const Value patches = g.mark("patch_input", patches_of((series - scale.loc) / scale.scale, c.patches));
    const bool is_base = task() == "default" && head.empty();
    const Value hidden = encode((is_base ? g.root() : g.root() / "model") / "encoder", patches);
    if (is_base) return {{"last_hidden_state", hidden}};

    const Scope s = g.root() / "head";
    const Value pooled = pool(hidden);
    std::vector<Value> found;
    if (head == classification && task() == "default") {
      found = {linear(s / "linear", reshape(pooled, {0, c.channels * c.width}), {.out = c.targets})};
    } else if (task() == "default") {
      found = series_output(s / "projection", reshape(pooled, {0, c.channels * c.width}), c.targets, c.output);
      if (c.output.distribution.empty()) found[0] = within_range(found[0], c.range);
    } else {
      const int64_t width = pooled.rank() == 4 ? c.places() * c.width : c.width;
      found = series_output(s / "projection", reshape(pooled, {0, c.channels, width}), c.horizon, c.output);
      for (Value& each : found) each = transpose(each, {0, 2, 1});
      if (c.output.distribution.empty()) found[0] = found[0] * scale.scale + scale.loc;
    }
    Outputs outputs;
    for (size_t i = 0; i < found.size(); ++i) outputs.emplace_back(names()[i], found[i]);
    return outputs;
  }

 private:
  std::vector<std::string> names() const {
    if (task() == "time-series-forecasting") return c.output.names("prediction_outputs");
    if (head == classification) return {"prediction_logits"};
    if (head == regression) return c.output.names("regression_outputs");
    return {"last_hidden_state"};
  }

  // A vector of each channel, f[batch, channels, width], or all of them as they are.
  Value pool(const Value& hidden) const {
    if (c.has_class_token) return pick(hidden, 2, 0);
    if (c.pooling == "mean") return mean(hidden, {2});
    return c.pooling == "max" ? largest(hidden, {2}) : hidden;
  }

  // patches: f[batch, channels, count, length] -> f[batch, channels, places, width]
  Value encode(const Scope& s, const Value& patches) const {
    Value x = embed(s / "embedder.input_embedding", patches);
    const Scope at = s / "positional_encoder";
    const Value positions = at.weight("position_enc", {c.places(), c.width});
    if (c.has_class_token) {
      x = x + slice(positions, {0, 1});
      const Value token = at.weight("cls_token", {1, 1, 1, c.width}) + slice(positions, {0, 0, 1});
      x = concat({slice(x, {2, 0, 1}) * 0.0 + token, x}, 2);
    } else {
      x = x + positions;
    }
    for (int64_t i = 0; i < c.layers; ++i) {
      s.graph().mark("hidden_states." + std::to_string(i), x);
      x = layer(s / "layers" / i, x);
    }
    return x;
  }

  Value embed(const Scope& s, const Value& patches) const {
    if (c.shared_embedding) return linear(s, patches, {.out = c.width});
    std::vector<Value> each;
    for (int64_t i = 0; i < c.channels; ++i)
      each.push_back(unsqueeze(linear(s / i, pick(patches, 1, i), {.out = c.width}), {1}));
    return concat(each, 1);
  }

  // Attention over time, over channels where these are mixed, and a feed-forward.
  Value layer(const Scope& s, Value x) const {
    const AttentionBlock block{
        .heads = c.heads, .head_size = c.width / c.heads, .projections = {.output = "out_proj", .bias = all_biased}};
    const auto attends = [&](const Value& h) { return attend(s / "self_attn", h, block, {}); };
    const FeedForward form{.inner = c.inner, .activation = c.activation, .up = "0", .down = "3", .bias = c.bias};
    const auto feeds = [&](const Value& h) { return feed_forward(s / "ff", h, form); };

    x = joined(s / "norm_sublayer1", reshape(x, {-1, c.places(), c.width}), attends);
    if (c.mixes_channels) {
      const Value over_time = transpose(reshape(x, {-1, c.channels, c.places(), c.width}), {0, 2, 1, 3});
      const Value mixed = joined(s / "norm_sublayer2", reshape(over_time, {-1, c.channels, c.width}), attends);
      x = transpose(reshape(mixed, {-1, c.places(), c.channels, c.width}), {0, 2, 1, 3});
      x = reshape(x, {-1, c.places(), c.width});
    }
    x = joined(s / "norm_sublayer3", x, feeds);
    return reshape(x, {-1, c.channels, c.places(), c.width}).in(s.parent());
  }
  template <class Run>
  Value joined(const Scope& norm_at, const Value& x, Run run) const {
    const auto normed = [&](const Value& h) {
      return c.batch_normed ? batch_norm_of_rows(norm_at, h, c.epsilon) : norm(norm_at, h, {.epsilon = c.epsilon});
    };
    const Value read = x.in(norm_at.parent());
    return c.normed_first ? read + run(normed(read)) : normed(read + run(read));
  }

  const PatchTstConfig c;
  const std::string head;  // of the class that config.json names; empty: none that `default` exports
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.patchtst",
    .name = "PatchTST",
    .models = {{.types = {"patchtst"},
                .features = {"default", "time-series-forecasting"},
                .architectures = {{"PatchTSTForPrediction", "time-series-forecasting"},
                                  {"PatchTSTForRegression", "default"},
                                  {"PatchTSTForClassification", "default"}},
                .known_gaps = {{.architecture = "PatchTSTForPretraining",
                                .reason = "it hides patches by chance, and is not defined"}},
                .make = make<PatchTstOnnxConfig>}},
})
