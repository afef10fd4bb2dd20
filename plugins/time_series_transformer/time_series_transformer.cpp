// SPDX-License-Identifier: Apache-2.0
// Time Series Transformer: an encoder reads what was, a decoder what is to come, both at lags, beside features of time
// and of each series. Source: TimeSeriesTransformerModel and TimeSeriesTransformerForPrediction,
// transformers 4.30, 4.57 and 5.24 (modeling_time_series_transformer.py).
#include <algorithm>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/time_series.hpp>

using namespace onnxport::family;

namespace {

struct TimeSeriesConfig {
  explicit TimeSeriesConfig(const Config& c)
      : future(c.size("prediction_length")),
        context(c.size("context_length", future)),
        channels(c.size("input_size", 1)),
        lags(c.integers("lags_sequence")),
        features(c.count("num_time_features", 0) + c.count("num_dynamic_real_features", 0)),
        numbers(c.count("num_static_real_features", 0)),
        scaling(c, SeriesScaling::Kind::mean, SeriesScaling::Kind::mean),
        output(c, "nll"),
        width(c.size("d_model", 64)),
        activation(c.text("activation_function", "gelu")),
        encoder{c.count("encoder_layers", 2), c.size("encoder_attention_heads", 2), c.size("encoder_ffn_dim", 32)},
        decoder{c.count("decoder_layers", 2), c.size("decoder_attention_heads", 2), c.size("decoder_ffn_dim", 32)} {
    if (lags.empty()) lags = {1, 2, 3, 4, 5, 6, 7};
    if (*std::min_element(lags.begin(), lags.end()) < 0)
      throw Error(ONNXPORT_CONFIG,
                  "config field 'lags_sequence' holds a number below 0; expected how long ago each is");
    read_categories(c);
    require_multiple({"d_model", width}, {"encoder_attention_heads", encoder.heads});
    require_multiple({"d_model", width}, {"decoder_attention_heads", decoder.heads});
    c.no_effect({"feature_size", "num_parallel_samples", "init_std", "encoder_layerdrop", "decoder_layerdrop"});
  }
  struct Side {
    int64_t layers, heads, inner;
  };
  /// So many entries of a series are looked at before those that are to come.
  int64_t past() const { return context + *std::max_element(lags.begin(), lags.end()); }

  int64_t future, context, channels;
  std::vector<int64_t> lags;
  int64_t features;                 // of every point in time
  int64_t numbers;                  // of a series
  std::vector<int64_t> categories;  // of a series: how many there are of each kind
  std::vector<int64_t> category_widths;
  SeriesScaling scaling;
  SeriesOutput output;
  int64_t width;
  std::string activation;
  Side encoder, decoder;

 private:
  void read_categories(const Config& c) {
    const int64_t kinds = c.count("num_static_categorical_features", 0);
    const std::vector<int64_t> counts = c.integers("cardinality"), widths = c.integers("embedding_dimension");
    if (kinds == 0) return;
    categories = counts;
    category_widths = widths;
    if (widths.empty()) {
      for (const int64_t count : counts) category_widths.push_back(std::min<int64_t>(50, (count + 1) / 2));
    }
    const auto size = [](const auto& list) { return static_cast<int64_t>(list.size()); };
    require_equal({"cardinality (how many)", size(categories)}, {"num_static_categorical_features", kinds});
    require_equal({"embedding_dimension (how many)", size(category_widths)},
                  {"num_static_categorical_features", kinds});
  }
};

class TimeSeriesOnnxConfig final : public OnnxConfig {
 public:
  explicit TimeSeriesOnnxConfig(const Request& request)
      : OnnxConfig(request),
        c(request.config.with_names({{"d_model", "hidden_size"},
                                     {"encoder_attention_heads", "num_attention_heads"},
                                     {"encoder_layers", "num_hidden_layers"}})) {
    if (predicts() && c.output.distribution.empty()) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'loss' is \"mse\"; the head predicts a distribution, expected \"nll\"");
    }
  }

  std::string base_model_prefix() const override { return "model"; }
  double atol_for_validation() const override { return 1e-4; }

  /// Of one channel a series has no axis of channels. What is to come is given: the decoder reads it.
  std::vector<TensorSpec> inputs() const override {
    const auto series = [&](int64_t length, const char* axis, int64_t width) {
      std::vector<Dim> shape{axis::batch, Dim::open(length, axis)};
      if (width > 1) shape.emplace_back(width);
      return shape;
    };
    const auto over_time = [&](int64_t length, const char* axis) -> std::vector<Dim> {
      return {axis::batch, Dim::open(length, axis), c.features};
    };
    std::vector<TensorSpec> specs{input::features("past_values", series(c.past(), "past", c.channels))};
    if (c.features > 0) specs.push_back(input::features("past_time_features", over_time(c.past(), "past")));
    specs.push_back(
        {.name = "past_observed_mask", .dtype = DType::f32, .shape = series(c.past(), "past", c.channels), .fill = 1});
    if (!c.categories.empty()) {
      specs.push_back({.name = "static_categorical_features",
                       .shape = {axis::batch, static_cast<int64_t>(c.categories.size())},
                       .limit = *std::min_element(c.categories.begin(), c.categories.end())});
    }
    if (c.numbers > 0) specs.push_back(input::features("static_real_features", {axis::batch, c.numbers}));
    specs.push_back(input::features("future_values", series(c.future, "future", c.channels)));
    if (c.features > 0) specs.push_back(input::features("future_time_features", over_time(c.future, "future")));
    return specs;
  }
  std::vector<OutputSpec> outputs() const override {
    std::vector<OutputSpec> specs;
    for (const std::string& name : names()) specs.push_back({name, {{0, axis::batch}}});
    return specs;
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope model = predicts() ? g.root() / "model" : g.root();
    const Value read = what_is_read(model, in);
    const auto part = [&](int64_t begin, int64_t end) { return slice(read, {1, begin, end}); };
    const Value encoded = g.mark("encoder_last_hidden_state", encode(model / "encoder", part(0, c.context)));
    const Value decoded = decode(model / "decoder", part(c.context, c.context + c.future), encoded);
    if (!predicts()) return {{"last_hidden_state", decoded}};
    const std::vector<Value> found = series_output(g.root() / "parameter_projection", decoded, c.channels, c.output);
    Outputs outputs;
    for (size_t i = 0; i < found.size(); ++i) outputs.emplace_back(names()[i], found[i]);
    return outputs;
  }

 private:
  bool predicts() const { return task() == "time-series-forecasting"; }
  std::vector<std::string> names() const {
    return predicts() ? c.output.names("params") : std::vector<std::string>{"last_hidden_state"};
  }

  // The series at each lag and its features: f[batch, context + future, features].
  // Source: TimeSeriesTransformerModel.create_network_inputs.
  Value what_is_read(const Scope& model, const Inputs& in) const {
    Graph& g = model.graph();
    const Value past = in.at("past_values");
    const int64_t length = c.context + c.future, whole = c.past() + c.future;
    const auto recent = [&](const Value& x) { return slice(x, {1, c.past() - c.context}); };
    const SeriesScale scale = scale_of(recent(past), recent(in.at("past_observed_mask")), c.scaling);
    g.mark("loc", scale.loc);
    g.mark("scale", scale.scale);

    const Value series = (concat({past, in.at("future_values")}, 1) - scale.loc) / scale.scale;
    std::vector<Value> at_lags;
    for (const int64_t lag : c.lags)
      at_lags.push_back(unsqueeze(slice(series, {1, whole - lag - length, whole - lag}), {-1}));
    const auto width = c.channels * static_cast<int64_t>(c.lags.size());
    std::vector<Value> read{reshape(concat(at_lags, -1), {0, length, width})};

    const Value own = g.mark("static_features", features_of_series(model, in, scale));
    read.push_back(expand(unsqueeze(own, {1}), {1, length, 1}));
    if (c.features > 0) read.push_back(concat({recent(in.at("past_time_features")), in.at("future_time_features")}, 1));
    return concat(read, -1);
  }

  // What does not change over time, f[batch, n]: categories, numbers, and how the series was scaled.
  Value features_of_series(const Scope& model, const Inputs& in, const SeriesScale& scale) const {
    std::vector<Value> all;
    for (size_t i = 0; i < c.categories.size(); ++i) {
      const auto kind = static_cast<int64_t>(i);
      all.push_back(embedding(model / "embedder.embedders" / kind, pick(in.at("static_categorical_features"), 1, kind),
                              {.count = c.categories[i], .width = c.category_widths[i]}));
    }
    if (c.numbers > 0) all.push_back(in.at("static_real_features"));
    const auto flat = [&](const Value& x) { return reshape(x, {0, c.channels}); };
    all.push_back(log(model.graph().op("Abs", {flat(scale.loc)}) + 1.0));
    all.push_back(log(flat(scale.scale)));
    return concat(all, 1);
  }

  // x: f[batch, n, features], the first of which stands at a place -> f[batch, n, width]
  Value embed(const Scope& s, const Value& x, int64_t place) const {
    const Value table = (s / "embed_positions").weight("weight", {c.context + c.future, c.width});
    const Value read = linear(s / "value_embedding.value_projection", x, {.out = c.width, .bias = false}).in(s);
    return norm(s / "layernorm_embedding", read + slice(table, {0, place, place + x.fixed(1)}), {});
  }
  TransformerLayer layer(const TimeSeriesConfig::Side& side) const {
    return {.feed_forward_at = "",
            .attention = {.heads = side.heads,
                          .head_size = c.width / side.heads,
                          .projections = {.output = "out_proj", .bias = all_biased}},
            .feed_forward = {.inner = side.inner, .activation = c.activation, .up = "fc1", .down = "fc2", .bias = true},
            .attention_branch = {Placement::after, {}, "self_attn_layer_norm"},
            .feed_forward_branch = {Placement::after, {}, "final_layer_norm"}};
  }

  Value encode(const Scope& s, const Value& read) const {
    const TransformerLayer form = layer(c.encoder);
    return transformer_layers(s / "layers", embed(s, read, 0),
                              {c.encoder.layers, [&](int64_t) { return form; }, "encoder_"}, {});
  }
  Value decode(const Scope& s, const Value& read, const Value& encoded) const {
    TransformerLayer form = layer(c.decoder);
    form.attention.causal = true;
    form.cross = {"encoder_attn", layer(c.decoder).attention, {Placement::after, {}, "encoder_attn_layer_norm"}};
    Cache cache({}, states(), false);
    return transformer_layers(s / "layers", embed(s, read, c.context),
                              {c.decoder.layers, [&](int64_t) { return form; }, "decoder_"},
                              {.cache = &cache, .encoder = {encoded, {}}});
  }
  // All is decoded in one step, which leaves nothing for another.
  std::vector<State> states() const {
    std::vector<State> all;
    for (int64_t i = 0; i < c.decoder.layers; ++i) {
      for (const char* kind : {".encoder.key", ".encoder.value"}) all.push_back(cached(std::to_string(i) + kind, {}));
    }
    return all;
  }

  const TimeSeriesConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.time_series_transformer",
    .name = "Time Series Transformer",
    .models = {{.types = {"time_series_transformer"},
                .features = {"default", "time-series-forecasting"},
                .architectures = {{"TimeSeriesTransformerForPrediction", "time-series-forecasting"}},
                .make = make<TimeSeriesOnnxConfig>}},
})
