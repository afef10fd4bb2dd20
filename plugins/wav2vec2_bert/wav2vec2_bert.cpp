// SPDX-License-Identifier: Apache-2.0
// wav2vec 2.0 BERT: a Conformer that reads spectrograms and looks at earlier frames more than at later ones. Source:
// Wav2Vec2BertModel and its heads, transformers 4.57 (modeling_wav2vec2_bert.py).
#include <onnxport/families/conformer.hpp>
#include <onnxport/families/wav2vec2.hpp>

using namespace onnxport::family;

namespace {

class Wav2Vec2Bert final : public SpeechEncoder {
 public:
  explicit Wav2Vec2Bert(const Request& request) : Wav2Vec2Bert(request, variant()) {}

  std::string base_model_prefix() const override { return "wav2vec2_bert"; }

  std::vector<TensorSpec> inputs() const override {
    return {input::features("input_features", {axis::batch, axis::sequence, features}),
            input::mask("attention_mask", {axis::batch, axis::sequence}, {.of = "input_features"})};
  }
  std::vector<AxisSize> axis_sizes() const override {
    if (task() != "audio-xvector") return {};
    // Of rows of which so many frames count, one that is a few shorter has a deviation still.
    constexpr int64_t shorter = 6;
    const int64_t frames = heads_of_speech().frames_of_voice();
    const int64_t least = (adapter.used ? length_before(frames, windows()) : frames) + shorter;
    return {{.axis = axis::sequence, .usual = 2 * least, .minimum = least}};
  }

 private:
  Wav2Vec2Bert(const Request& request, const Wav2Vec2Variant& otherwise)
      : SpeechEncoder(request, otherwise.defaults),
        c(request.config, otherwise),
        form{.hidden = c.hidden,
             .heads = c.heads,
             .inner = c.inner,
             .activation = c.activation,
             .epsilon = c.epsilon,
             .places = conformer_places(request.config, "relative_key", true),
             .before = request.config.count("left_max_position_embeddings", 64),
             .after = request.config.count("right_max_position_embeddings", 8),
             .kernel = conformer_kernel(request.config),
             .causal = true},
        rotary(request.config, form.head_size(),
               RotaryFields{.theta = request.config.real("rotary_embedding_base", 10000)}),
        adapter(request.config, c.hidden, 1),
        features(request.config.size("feature_projection_input_dim", 160)),
        feeds_adapter(request.config.boolean("use_intermediate_ffn_before_adapter", false)),
        adapter_activation(request.config.text("adapter_act", "relu")) {
    require_head_behind(adapter, task());
  }

  static Wav2Vec2Variant variant() {
    return {.defaults = {.hidden = 1024, .layers = 24, .vocab = {}, .projected = 768},
            .heads = 16,
            .inner = 4096,
            .activation = "swish"};
  }

  std::string frames() const override { return adapter.used ? "frames" : axis::sequence; }

  AudioFeatures encode(const Scope& model, const Inputs& in) const override {
    model.graph().unused((model / "masked_spec_embed").path());
    const Scope projection = model / "feature_projection";
    AudioFeatures made{.front = norm(projection / "layer_norm", in.at("input_features"), c.norm())};
    const Frames frames{.hidden = linear(projection / "projection", made.front, {.out = c.hidden}),
                        .mask = in.at("attention_mask"),
                        .length = sum(in.at("attention_mask"), {1})};

    const Scope encoder = model / "encoder";
    encoder.graph().unused((encoder / "embed_positions.*").path());
    ConformerGiven given = conformer_given(encoder, size_of(frames.hidden, 1), form, rotary);
    given.mask = frames.mask;
    given.convolved = true;
    made.last = run_layers(c.layers, without_padding(frames), made.layers, [&](int64_t i, const Value& h) {
      given.probabilities = "attentions." + std::to_string(i);
      return conformer_layer(encoder / "layers" / i, h, form, given);
    });
    if (feeds_adapter) {
      const Scope s = model / "intermediate_ffn";
      made.last = made.last + feed_forward(s, made.last, speech_feed_forward(c.inner, "relu")) * 0.5;
    }
    made.length = frames.length;
    if (adapter.used) adapt_frames(model / "adapter", made);
    return made;
  }

  // Layers that make frames fewer, and what is left of the lengths. Source: Wav2Vec2BertAdapter.
  void adapt_frames(const Scope& s, AudioFeatures& made) const {
    if (adapter.width != c.hidden) {
      made.last = norm(s / "proj_layer_norm", linear(s / "proj", made.last, {.out = adapter.width}), c.norm());
    }
    const std::vector<SlidingWindow> fewer = windows();
    for (int64_t i = 0; i < adapter.layers; ++i) {
      made.length = length_behind(made.length, {fewer[static_cast<size_t>(i)]});
      made.last = adapter_layer(s / "layers" / i, made.last, made.length);
    }
  }
  // Of the adapter, one behind the other.
  std::vector<SlidingWindow> windows() const {
    return std::vector<SlidingWindow>(static_cast<size_t>(adapter.layers),
                                      {.size = adapter.kernel, .step = adapter.stride, .padding = adapter.kernel / 2});
  }

  // x: f[batch, n, width] -> f[batch, fewer, width], of which `length` count.
  Value adapter_layer(const Scope& s, const Value& x, const Value& length) const {
    const auto fewer = [&](const char* normed, const char* convolution) {
      const Value h = transpose(norm(s / normed, x, c.norm()), {0, 2, 1});
      const Conv1dOptions options{
          .out = 2 * adapter.width, .kernel = adapter.kernel, .stride = adapter.stride, .padding = adapter.stride / 2};
      return transpose(glu(conv1d(s / convolution, h, options), 1), {0, 2, 1});
    };
    ConformerLayer plain = form;
    plain.hidden = adapter.width;
    plain.places = ConformerPlaces::none;
    const Value kept = fewer("residual_layer_norm", "residual_conv"),
                read = fewer("self_attn_layer_norm", "self_attn_conv");
    const Value mixed =
        conformer_attention(s / "self_attn", read, plain, {.mask = mask_of_lengths(length, size_of(read, 1))});
    return residual(s, mixed + kept, {.norm = c.norm(), .name = "ffn_layer_norm"}, [&](const Value& h) {
      return feed_forward(s / "ffn", h, speech_feed_forward(c.inner, adapter_activation));
    });
  }

  const Wav2Vec2Config c;
  const ConformerLayer form;
  const Rotary rotary;
  const SpeechAdapter adapter;
  const int64_t features;
  const bool feeds_adapter;  // a feed-forward stands before the adapter
  const std::string adapter_activation;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.wav2vec2_bert",
    .name = "wav2vec 2.0 BERT",
    .models = {{.types = {"wav2vec2-bert"},
                .features = {"default", "ctc", "audio-classification", "audio-frame-classification", "audio-xvector"},
                .architectures = {{"Wav2Vec2BertForSequenceClassification", "audio-classification"}},
                .make = make<Wav2Vec2Bert>}},
})
