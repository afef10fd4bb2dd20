// SPDX-License-Identifier: Apache-2.0
// Perceiver IO: a few latent vectors that look at an input of any kind, then at themselves, and are asked for the
// output. Source: PerceiverModel and its heads, transformers 4.30 and 5.24 (modeling_perceiver.py).
#include <onnxport/blocks/feed_forward.hpp>
#include <onnxport/blocks/norm.hpp>
#include <onnxport/heads.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/vision.hpp>

using namespace onnxport::sdk;

namespace {

/// How an image becomes vectors, by the class.
struct ImageForm {
  std::string_view architecture;
  enum Kind { learned, pixels, convolved } kind;
  double resolution;  ///< for which the frequencies of positions are meant
};
constexpr ImageForm image_forms[]{{"PerceiverForImageClassificationLearned", ImageForm::learned, 0},
                                  {"PerceiverForImageClassificationFourier", ImageForm::pixels, 224},
                                  {"PerceiverForImageClassificationConvProcessing", ImageForm::convolved, 56}};
constexpr int64_t image_channels = 3, bands = 64;  // whatever the config says

struct PerceiverConfig {
  explicit PerceiverConfig(const Config& c)
      : latents(c.size("num_latents", 256)),
        width(c.size("d_latents", 1280)),
        input_width(c.size("d_model", 768)),
        blocks(c.count("num_blocks", 1)),
        layers(c.count("num_self_attends_per_block", 26)),
        self_heads(c.size("num_self_attention_heads", 8)),
        cross_heads(c.size("num_cross_attention_heads", 8)),
        key_width(c.count("qk_channels", 0)),
        value_width(c.count("v_channels", 0)),
        keys_as_queries(c.choice("cross_attention_shape_for_attention", "kv", {"kv", "q"}) == "q"),
        self_widening(c.size("self_attention_widening_factor", 1)),
        cross_widening(c.size("cross_attention_widening_factor", 1)),
        activation(c.text("hidden_act", "gelu")),
        residual(c.boolean("use_query_residual", true)),
        vocab(c.size("vocab_size", 262)),
        max_positions(c.size("max_position_embeddings", 2048)),
        image(c.size("image_size", 56)),
        labels(c.num_labels()) {
    require_multiple({"d_latents", width}, {"num_self_attention_heads", self_heads});
    require_multiple({"d_latents", width}, {"num_cross_attention_heads", cross_heads});
    // Norms have torch's own epsilon; the rest is of optical flow and of several kinds of input at once.
    c.no_effect({"layer_norm_eps", "train_size", "num_frames", "audio_samples_per_frame", "samples_per_patch",
                 "output_shape", "output_num_channels", "_label_trainable_num_channels"});
    for (const std::string& architecture : c.texts("architectures")) {
      for (const ImageForm& form : image_forms)
        if (form.architecture == architecture) image_form = form;
    }
  }
  int64_t latents, width, input_width, blocks, layers, self_heads, cross_heads;
  int64_t key_width, value_width;  // 0: as wide as what attends, or what is attended to
  bool keys_as_queries;
  int64_t self_widening, cross_widening;
  std::string activation;
  bool residual;
  int64_t vocab, max_positions, image, labels;
  ImageForm image_form = image_forms[0];
};

/// A layer: attention to itself or to an input, and a feed-forward.
struct LayerForm {
  int64_t heads;
  int64_t key_width = 0, value_width = 0;  ///< 0: as PerceiverConfig says
  int64_t widening = 1;
  bool residual = true;  ///< whether what attends is added to what it finds
};

class PerceiverOnnxConfig final : public OnnxConfig {
 public:
  explicit PerceiverOnnxConfig(const Request& request) : OnnxConfig(request), c(request.config) {}

  std::string base_model_prefix() const override { return "perceiver"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return is_text() ? c.max_positions : 0; }

  std::vector<TensorSpec> inputs() const override {
    const std::vector<Dim> tokens{axis::batch, axis::sequence};
    if (is_text())
      return {input::ids("inputs", tokens, c.vocab), input::mask("attention_mask", tokens, {.of = "inputs"})};
    if (task() == "default") {
      return {input::embeddings("inputs", {axis::batch, axis::sequence, c.input_width}),
              input::mask("attention_mask", tokens, {.of = "inputs"})};
    }
    Dim height = axis::height, width = axis::width;
    if (c.image_form.kind == ImageForm::learned) {
      height = Dim::open(c.image, axis::height);
      width = Dim::open(c.image, axis::width);
    }
    return {input::pixels("inputs", {axis::batch, Dim::open(image_channels, axis::num_channels), height, width})};
  }

  // What is asked for are as many places as the model has, whatever the input's length is.
  std::vector<OutputSpec> outputs() const override {
    if (task() == "default") return {{"last_hidden_state", {{0, axis::batch}}}};
    return {{"logits", {{0, axis::batch}}}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope base = task() == "default" ? g.root() : g.root() / "perceiver";
    const Value mask = in.maybe("attention_mask");
    const Value seen = vectors(base / "input_preprocessor", in.at("inputs"));
    return head_for_feature().outputs({base, encode(base, seen, mask), in, mask});
  }

  Heads heads() const override {
    const auto classes = [this](const Encoded& at) {
      const Scope decoder = at.base / "decoder.decoder";
      const Value x = ask(decoder, at.hidden, {.count = 1, .width = c.width}, {.heads = 1});
      return linear(decoder / "final_layer", pick(x, 1, 0), {.out = c.labels});
    };
    return {head::hidden_states(), head::logits("masked-lm", [this](const Encoded& at) { return words(at); }),
            head::logits("sequence-classification", classes), head::logits("image-classification", classes)};
  }

 private:
  bool is_text() const { return task() == "masked-lm" || task() == "sequence-classification"; }

  // ------------------------------------------------------------------------------------------------ input

  /// What the latents look at: f[batch, n, …].
  Value vectors(const Scope& s, const Value& given) const {
    if (task() == "default") return given;
    if (is_text()) {
      const Value places = (s / "position_embeddings").weight("weight", {c.max_positions, c.input_width});
      return embedding(s / "embeddings", given, {c.vocab, c.input_width}) + first_rows(places, size_of(given, 1));
    }
    switch (c.image_form.kind) {
      case ImageForm::learned:
        return learned(s, conv2d(s / "convnet_1x1", given, {.out = 256, .in = image_channels}));
      case ImageForm::pixels:
        return with_waves(given);
      case ImageForm::convolved:
        break;
    }
    Value x = conv2d(s / "convnet.conv", given,
                     {.out = 64, .kernel = 7, .stride = 2, .padding = 3, .bias = false, .in = image_channels});
    x = relu(batch_norm(s / "convnet.batchnorm", x));
    return with_waves(max_pool(x, {.kernel = 3, .stride = 2}));
  }

  /// f[batch, width, height, width] -> tokens, each with a learnt vector of its place behind it.
  Value learned(const Scope& s, const Value& image) const {
    const int64_t width = image.fixed(1);
    const Value table = (s / "position_embeddings").weight("position_embeddings", {c.image * c.image, width});
    return beside(tokens_of(image), unsqueeze(linear(s / "positions_projection", table, {.out = width}), {0}));
  }

  /// The same with places between -1 and 1, and their sines and cosines at frequencies from 1 to half the resolution.
  Value with_waves(const Value& image) const {
    Graph& g = image.graph();
    std::vector<float> frequencies;
    const double step = (c.image_form.resolution / 2 - 1) / static_cast<double>(bands - 1);
    for (int64_t i = 0; i < bands; ++i) frequencies.push_back(static_cast<float>(1 + step * static_cast<double>(i)));
    const auto places = [&](int64_t axis) {
      const Value count = size_of(image, axis);
      const Value last = cast(g.op("Max", {count - g.integer(1), g.integer(1)}), DType::f32);
      return cast(range(count), DType::f32) * 2.0 / last - 1.0;
    };
    const Value rows = unsqueeze(places(2), {1}), columns = unsqueeze(places(3), {0});
    const auto each = [&](const Value& x, const Value& other) { return reshape(x + other * 0.0, {-1, 1}); };
    const Value at = concat({each(rows, columns), each(columns, rows)}, 1);  // f32[height·width, 2]
    const Value turns = unsqueeze(at, {2}) * g.constant<float>(DType::f32, {bands}, frequencies) * M_PI;
    const Value angles = reshape(turns, {-1, 2 * bands});
    return beside(tokens_of(image), unsqueeze(concat({at, g.op("Sin", {angles}), g.op("Cos", {angles})}, 1), {0}));
  }

  /// f[batch, n, a] and f[1, n, b] -> f[batch, n, a + b].
  static Value beside(const Value& tokens, const Value& places) {
    return concat({tokens, for_each(places, tokens)}, 2);
  }
  /// f[1, n, width] once for every entry of a batch.
  static Value for_each(const Value& x, const Value& batch) {
    Graph& g = x.graph();
    return g.op("Expand", {x, concat({shape_of(batch, 0, 1), g.integers({1, 1})}, 0)});
  }

  // ----------------------------------------------------------------------------------------------- layers

  Value encode(const Scope& s, const Value& seen, const Value& mask) const {
    Graph& g = s.graph();
    const Scope encoder = s / "encoder";
    const LayerForm cross{c.cross_heads, c.key_width, c.value_width, c.cross_widening, c.residual};
    const LayerForm self{c.self_heads, c.key_width, c.value_width, c.self_widening};
    const Value latents = unsqueeze((s / "embeddings").weight("latents", {c.latents, c.width}), {0});
    Value x = layer(encoder / "cross_attention", latents, {.seen = seen, .mask = mask}, cross);
    // What is between two blocks is a step twice: the last of one, and the first of the other.
    int64_t run = 0;
    const auto mark_step = [&] { g.mark("hidden_states." + std::to_string(run++), x); };
    for (int64_t block = 0; block < c.blocks; ++block) {
      for (int64_t i = 0; i < c.layers; ++i) {
        mark_step();
        x = layer(encoder / "self_attends" / i, x, {}, self);
      }
      mark_step();
    }
    return x;
  }

  /// What a layer's latents look at; themselves where it is absent.
  struct Seen {
    Value seen{}, mask{};
  };
  /// x: f[batch, n, width], or f[1, n, width] where it is the same for all -> f[batch, n, width].
  Value layer(const Scope& s, const Value& x, const Seen& given, const LayerForm& form) const {
    const Value found = attend(s / "attention", x, given, form);
    const Value y = form.residual ? found + x : found;
    const int64_t inner = form.widening * x.fixed(-1);
    return y +
           feed_forward(s / "mlp", norm(s / "layernorm", y, {}).in(s / "mlp"),
                        {.inner = inner, .activation = c.activation, .up = "dense1", .down = "dense2", .bias = true})
               .in(s);
  }

  Value attend(const Scope& s, const Value& x, const Seen& given, const LayerForm& form) const {
    const Scope self = s / "self";
    const bool is_cross = static_cast<bool>(given.seen);
    const Value normed = norm(self / "layernorm1", x, {});
    const Value seen = is_cross ? norm(self / "layernorm2", given.seen, {}) : normed;
    const int64_t usual = is_cross && !c.keys_as_queries ? seen.fixed(-1) : x.fixed(-1);
    const int64_t keys = form.key_width > 0 ? form.key_width : usual;
    const int64_t values = form.value_width > 0 ? form.value_width : keys;
    require_multiple({"qk_channels", keys}, {"the number of heads", form.heads});
    require_multiple({"v_channels", values}, {"the number of heads", form.heads});
    Value query = linear(self / "query", normed.in(self), {.out = keys});
    if (is_cross) query = for_each(query, seen);
    const Value mixed =
        attention(query, linear(self / "key", seen.in(self), {.out = keys}),
                  linear(self / "value", seen.in(self), {.out = values}), {.heads = form.heads, .mask = given.mask})
            .mixed;
    return linear(s / "output.dense", mixed, {.out = is_cross ? x.fixed(-1) : values});
  }

  // ------------------------------------------------------------------------------------------------ heads

  struct Questions {
    int64_t count, width;
  };
  /// Learnt questions look at the latents: f[batch, count, width].
  Value ask(const Scope& s, const Value& latents, const Questions& questions, const LayerForm& form) const {
    const Value query =
        (s / "output_position_encodings").weight("position_embeddings", {questions.count, questions.width});
    return layer(s / "decoding_cross_attention", unsqueeze(query, {0}), {.seen = latents}, form);
  }

  /// Scores of the words at every place that the model has: f[batch, max positions, vocab].
  Value words(const Encoded& at) const {
    const LayerForm form{.heads = 8, .key_width = 256, .value_width = c.input_width, .residual = false};
    const Value x = ask(at.base / "decoder", at.hidden, {.count = c.max_positions, .width = c.input_width}, form);
    const Scope head = at.base.graph().root() / "embedding_decoder";
    const Value table = (at.base / "input_preprocessor.embeddings").weight("weight", {c.vocab, c.input_width});
    return head.composite("Linear", {x, table, head.weight("bias", {c.vocab})});
  }

  const PerceiverConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.perceiver",
    .name = "Perceiver IO",
    .models = {{.types = {"perceiver"},
                .features = {"default", "masked-lm", "sequence-classification", "image-classification"},
                .architectures = {{"PerceiverForImageClassificationLearned", "image-classification"},
                                  {"PerceiverForImageClassificationFourier", "image-classification"},
                                  {"PerceiverForImageClassificationConvProcessing", "image-classification"}},
                .make = make<PerceiverOnnxConfig>}},
})
