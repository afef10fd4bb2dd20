// SPDX-License-Identifier: Apache-2.0
// EmbeddingGemma 2: an encoder of texts with Gemma 4's layers, before which Gemma 4's encoders of images and sound may
// stand. Source: EmbeddingGemma2Model and EmbeddingGemma2TextModel, transformers 5.24.
#include <algorithm>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/gemma3n.hpp>
#include <onnxport/families/gemma4_layers.hpp>
#include <onnxport/families/gemma4_senses.hpp>
#include <onnxport/layer_rotary.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/text_encoder.hpp>

using namespace onnxport::family;

namespace {

struct TextConfig {
  explicit TextConfig(const Config& c)
      : vocab(c.size("vocab_size", 262144)),
        hidden(c.size("hidden_size", 512)),
        inner(c.size("intermediate_size", 2048)),
        layers(c.count("num_hidden_layers", 24)),
        heads(c.size("num_attention_heads", 4)),
        positions(c.size("max_position_embeddings", 262144)),
        inputs(c.size("hidden_size_per_layer_input", 512)),
        out(c.size("embedding_dim", 768)),
        radius(c.size("sliding_window", 512)),
        activation(c.text("hidden_activation", "gelu_pytorch_tanh")),
        rms{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-6)},
        bias(c.boolean("attention_bias", false)) {
    const int64_t pattern = c.size("sliding_window_pattern", 6);
    rotary.types = layer_types(c, {layers, {full_attention, sliding_attention}, [pattern](int64_t i) {
                                     return (i + 1) % pattern == 0 ? full_attention : sliding_attention;
                                   }});
    if (!rotary.types.empty()) rotary.types.back() = full_attention;
    shapes = key_shapes(c, {.types = rotary.types,
                            .own = {c.size("num_key_value_heads", 2), c.size("head_dim", 256)},
                            .whole = {c.size("num_global_key_value_heads", 1), c.size("global_head_dim", 512)},
                            .heads = heads});
    require_equal_widths(rotary.types, shapes);
    for (size_t i = 0; i < rotary.types.size(); ++i) {
      const std::string& type = rotary.types[i];
      if (rotary.kinds.contains(type)) continue;
      rotary.kinds.emplace(type,
                           Rotary(c, shapes[i].width, {.name = type, .theta = type == full_attention ? 1e6 : 10000.0}));
    }
  }
  int64_t vocab, hidden, inner, layers, heads, positions, inputs, out, radius;
  std::string activation;
  Norm rms;
  bool bias;
  LayerRotary rotary;
  std::vector<KeyShape> shapes;
};

/// The encoder of texts.
class TextLayers {
 public:
  explicit TextLayers(const Config& config) : c(config) {}
  const TextConfig& config() const { return c; }

  /// ids: i64[batch, n] -> f[batch, n, hidden]
  Value words(const Scope& s, const Value& ids) const {
    return embedding(s / "embed_tokens", ids, {c.vocab, c.hidden}) * std::sqrt(static_cast<double>(c.hidden));
  }

  /// x: f[batch, n, hidden], mask: i64[batch, n] -> f[batch, n, out]. Marks hidden_states.{i} and attentions.{i}.
  Value operator()(const Scope& s, Value x, const Value& mask) const {
    Graph& g = s.graph();
    const Value inputs = inputs_of_layers(s / "ple", x);
    const auto angles = c.rotary.angles(unsqueeze(range(size_of(x, 1)), {0}).in(s / "rotary_emb"));
    Attended given{.mask = mask};
    for (given.layer = 0; given.layer < c.layers; ++given.layer) {
      const std::string index = std::to_string(given.layer);
      g.mark("hidden_states." + index, x);
      given.angles = angles(given.layer);
      given.probabilities = "attentions." + index;
      x = layer(s / "layers" / given.layer, x, pick(inputs, 2, given.layer), given);
    }
    const Value last = g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, c.rms));
    return linear(s / "embedding_projection", last, {.out = c.out, .bias = false});
  }

 private:
  /// Of the embeddings alone: f[batch, n, layers, width].
  Value inputs_of_layers(const Scope& s, const Value& x) const {
    const Value all = linear(s / "per_layer_model_projection", x.in(s), {.out = c.layers * c.inputs, .bias = false}) /
                      std::sqrt(static_cast<double>(c.hidden));
    return norm(s / "per_layer_projection_norm", reshape(all, {0, 0, c.layers, c.inputs}), c.rms);
  }

  Value layer(const Scope& s, Value x, const Value& input, const Attended& given) const {
    x = residual(s, x, {Placement::around, c.rms, "input_layernorm", "post_attention_layernorm"},
                 [&](const Value& h) { return attend(s / "self_attn", h, attention_block(given.layer), given); });
    const FeedForward form{.inner = c.inner, .activation = c.activation, .gate = "gate_proj"};
    x = residual(s, x, {Placement::around, c.rms, "pre_feedforward_layernorm", "post_feedforward_layernorm"},
                 [&](const Value& h) { return feed_forward(s / "mlp", h, form); });
    const Value added = gated_input(s / "ple_block", x, input, c.activation, c.rms);
    return ((x + added).in(s)) * s.weight("layer_scalar", {1});
  }

  AttentionBlock attention_block(int64_t index) const {
    Norm plain = c.rms;
    plain.weight = false;
    const KeyShape& shape = c.shapes[static_cast<size_t>(index)];
    const bool whole = c.rotary.types[static_cast<size_t>(index)] == full_attention;
    return {.heads = c.heads,
            .kv_heads = shape.heads,
            .head_size = shape.width,
            .projections = {.bias = {c.bias, c.bias, c.bias, c.bias}},
            .query_key_norm = QueryKeyNorm{.norm = c.rms, .values = plain},
            .scale = 1,
            .window = whole ? 0 : c.radius + 1};
  }

  const TextConfig c;
};

class EmbeddingGemma2Text final : public TextEncoder {
 public:
  explicit EmbeddingGemma2Text(const Request& request) : TextEncoder(request), text(request.config) {}

 private:
  TextEncoderTraits traits() const override {
    return {.base = "model", .vocab = text.config().vocab, .pooler = false, .max_positions = text.config().positions};
  }
  TextHeads text_heads() const override { return {}; }
  Value encode(const Scope& s, const Text& given) const override {
    return text(s, text.words(s, given.ids), given.mask);
  }

  const TextLayers text;
};

/// Texts among whose tokens images and sounds stand. As one graph it is given those, as parts what others make of them.
class EmbeddingGemma2 final : public OnnxConfig {
 public:
  explicit EmbeddingGemma2(const Request& request)
      : OnnxConfig(request), text(request.config.section("text_config")), senses(request.config) {}

  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return text.config().positions; }
  std::vector<AxisSize> axis_sizes() const override {
    std::vector<AxisSize> sizes = senses.axis_sizes();
    for (const Features& features : what_others_make()) sizes.push_back({.axis = features.axis, .usual = 2});
    return sizes;
  }

  std::vector<TensorSpec> inputs() const override {
    std::vector<TensorSpec> specs = text_inputs();
    const auto add = [&](const std::vector<TensorSpec>& more) { specs.insert(specs.end(), more.begin(), more.end()); };
    if (senses.vision) add(senses.image_inputs(Gemma4Senses::places));
    if (senses.audio) add(senses.sound_inputs());
    return specs;
  }
  std::vector<DummyTensor> generate_dummy_inputs(const DummyRequest& request) const override {
    std::vector<DummyTensor> made = senses.dummies(request);
    TextsWithPlaceholders texts{.all = {}, .vocab = text.config().vocab};
    if (request.part.empty()) {
      texts.all = {{senses.image_vectors(request.sizes), senses.image_token},
                   {senses.audio_vectors(request.sizes), senses.audio_token},
                   {0, senses.video_token}};
    } else if (request.part == "model") {
      for (const Features& features : what_others_make())
        texts.all.push_back({request.sizes.at(features.axis), features.token});
    } else {
      return made;
    }
    made.push_back(texts_with_placeholders(request, texts));
    return made;
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    std::vector<Seen> seen;
    if (senses.vision) {
      const Value vectors = senses.see(g.root(), in.at(Gemma4Senses::pixels), in.at(Gemma4Senses::places));
      seen.push_back({senses.image_token, vectors});
    }
    if (senses.audio) seen.push_back({senses.audio_token, senses.hear(g.root(), in)});
    return {{"last_hidden_state", encode(g, in, seen)}};
  }

  std::vector<Part> parts() const override {
    std::vector<Part> all;
    if (senses.vision) {
      const auto sees = [this](Graph& g, const Inputs& in) -> Outputs {
        return {{"image_features", senses.see(g.root(), in.at(Gemma4Senses::pixels), in.at(Gemma4Senses::own_places))}};
      };
      all.push_back(
          {"vision_encoder", senses.image_inputs(Gemma4Senses::own_places), {Gemma4Senses::image_features()}, sees});
    }
    if (senses.audio) {
      const auto hears = [this](Graph& g, const Inputs& in) -> Outputs {
        return {{"audio_features", senses.hear(g.root(), in)}};
      };
      all.push_back({"audio_encoder", senses.sound_inputs(), {Gemma4Senses::audio_features()}, hears});
    }
    std::vector<TensorSpec> specs = text_inputs();
    const std::vector<Features> features = what_others_make();
    for (const Features& one : features) specs.push_back(input::features(one.name, {one.axis, text.config().hidden}));
    const auto embeds = [this, features](Graph& g, const Inputs& in) -> Outputs {
      std::vector<Seen> seen;
      for (const Features& one : features) seen.push_back({one.token, in.at(one.name)});
      const Value last = encode(g, in, seen), mean = mean_of_tokens(last, in.at("attention_mask"));
      const Value length = g.op("ReduceL2", {mean}, {{"axes", {1}}, {"keepdims", 1}});
      return {{"last_hidden_state", last}, {"sentence_embedding", mean / g.op("Max", {length, g.scalar(1e-12)})}};
    };
    all.push_back(
        {"model",
         std::move(specs),
         {{"last_hidden_state", {{0, axis::batch}, {1, axis::sequence}}}, {"sentence_embedding", {{0, axis::batch}}}},
         embeds});
    return all;
  }

 private:
  /// What the graph of texts alone is given: vectors f[n, hidden], and which token stands for each of them.
  struct Features {
    const char *name, *axis;
    int64_t token;
  };
  std::vector<Features> what_others_make() const {
    return {{"image_features", "image_sequence", senses.image_token},
            {"video_features", "video_sequence", senses.video_token},
            {"audio_features", "audio_sequence", senses.audio_token}};
  }

  std::vector<TensorSpec> text_inputs() const {
    return {input::ids("input_ids", {axis::batch, axis::sequence}, limit_of_ids()),
            input::mask("attention_mask", {axis::batch, axis::sequence}, {.of = "input_ids"})};
  }

  int64_t limit_of_ids() const {
    return std::max({text.config().vocab, senses.image_token + 1, senses.video_token + 1, senses.audio_token + 1});
  }

  /// Vectors f[n, hidden], and which token stands for each of them.
  struct Seen {
    int64_t token;
    Value vectors;
  };
  Value encode(Graph& g, const Inputs& in, const std::vector<Seen>& seen) const {
    const Value ids = in.at("input_ids");
    const Scope s = g.root() / "language_model";
    Value x = text.words(s, senses.words_of(ids));
    for (const auto& [token, vectors] : seen) x = masked_scatter(x, equal(ids, token), with_a_row(vectors));
    return text(s, x, in.at("attention_mask"));
  }

  const TextLayers text;
  const Gemma4Senses senses;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.embedding-gemma2",
    .name = "EmbeddingGemma 2",
    .models = {{.types = {"embedding_gemma2_text"}, .features = {"default"}, .make = make<EmbeddingGemma2Text>},
               {.types = {"embedding_gemma2"}, .features = {"default"}, .make = make<EmbeddingGemma2>}},
})
