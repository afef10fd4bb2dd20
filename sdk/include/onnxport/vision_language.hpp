// SPDX-License-Identifier: Apache-2.0
// Decoders that read images among their tokens. The text's half is a decoder of whatever type config.json names, run on
// embeddings; a plugin says how an image becomes vectors that stand in a text.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/component.hpp>
#include <onnxport/placeholders.hpp>
#include <onnxport/resampling.hpp>
#include <onnxport/with_past.hpp>

namespace onnxport::sdk {

/// The text's half of such a model.
struct LanguageHalf {
  Config config;                                 ///< the map that describes it: text_config
  std::string model_type{};                      ///< where that states none
  std::map<std::string, std::string> options{};  ///< what is chosen for it, beside what the user chose
  int64_t image_token = -1;                      ///< stands where an image's vectors belong, if there are images
  std::string scope = "language_model";          ///< the module's name, for the nodes
  /// How checkpoints call its tensors: those that begin with the first begin with the second.
  std::vector<std::pair<std::string, std::string>> prefixes{
      {"", "language_model."},
      {"model.", "model.language_model."},
      {"", ""},
      // A head that is not saved has the embedding's table.
      {"lm_head.weight", "language_model.model.embed_tokens.weight"},
      {"lm_head.weight", "model.language_model.embed_tokens.weight"}};
  /// The same of the feature default, whose files have no head, or were saved with one, today and formerly.
  std::vector<std::pair<std::string, std::string>> base_prefixes{
      {"", "language_model."}, {"", "model.language_model."}, {"", "language_model.model."}, {"", "model."}, {"", ""}};
};

/// The image's token as transformers 4 called it and as 5 does, for Config::with_names.
inline constexpr std::initializer_list<std::pair<const char*, const char*>> image_token_names{
    {"image_token_index", "image_token_id"}};

/// What else a model reads than images: sound.
struct Sense {
  std::string part;                                      ///< the graph of its own: "audio_encoder"
  std::vector<TensorSpec> inputs;                        ///< of the whole model
  OutputSpec features;                                   ///< of that graph: f[…, width]
  int64_t token;                                         ///< stands where its vectors belong
  std::function<Value(Graph&, const Inputs&)> perceive;  ///< -> features
  int64_t vectors = 0;                                   ///< how many of them dummies have
};

/// Dummy texts whose first tokens stand for images, as many as there are vectors of images; the others do not.
struct TextsWithImages {
  int64_t vectors;
  int64_t image_token;
  int64_t vocab;  ///< ids are below this
};
/// input_ids: i64[batch, sequence]
inline DummyTensor texts_with_images(const DummyRequest& request, const TextsWithImages& texts) {
  return texts_with_placeholders(request, {.all = {{texts.vectors, texts.image_token}}, .vocab = texts.vocab});
}

/// Features vision2seq-lm and vision2seq-lm-with-past, and default without the head. Parts, as transformers.js loads
/// them: vision_encoder, embed_tokens and the decoder, which is first and cached step in one. As one graph: input_ids
/// and the images of all texts in a row.
/// The choice `image_features`: who puts an image's vectors among those of the words. "apart", the client; "embedded",
/// embed_tokens, which is given them in one row, as onnxruntime-genai does. Where a token of an image has
/// further_features(), which clients know nothing of, "packed" is "apart" with all vectors of a token as one, and
/// "embedded" has them so as well: vision_encoder and embed_tokens make f[…, n · width], the first for the text, the
/// others for the layers, zeros of a word. With "apart" they are outputs of the vision encoder's own, and the decoder
/// takes either form: f[batch, sequence, width] of a text without images, or with the others behind.
class VisionLanguage : public OnnxConfigWithPast {
 public:
  VisionLanguage(const Request& request, LanguageHalf half)
      : OnnxConfigWithPast(request),
        half_(std::move(half)),
        prefixes_(task() == "default" ? half_.base_prefixes : half_.prefixes),
        language_(half_.config, {.feature = (task() == "default" ? "default" : "causal-lm") +
                                            std::string(use_past() ? "-with-past" : ""),
                                 .model_type = half_.model_type,
                                 .options = chosen(request, half_.options)}),
        decoder_(language_.part("decoder")),
        embedded_(language_.part("embed_tokens").outputs),
        vocab_(std::max(language_.part("embed_tokens").input("input_ids")->limit, half_.image_token + 1)),
        image_choice_(request.options.choice("image_features", "apart", {"apart", "packed", "embedded"})) {}

  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return decoder_.integer("max_positions", 0); }
  int64_t num_layers() const override { return decoder_.integer("num_layers", 0); }
  int64_t num_attention_heads() const override { return decoder_.integer("num_attention_heads", 0); }
  int64_t head_size() const override {
    const Dim last = decoder_.states.empty() ? Dim(1) : decoder_.states[0].shape.back();
    return last.is_static() ? last.size : 1;
  }
  std::vector<State> states() const override { return decoder_.states; }
  Positions positions_in_generation() const override {
    const auto said = decoder_.texts.find("positions");
    if (said == decoder_.texts.end() || said->second == "sequence") return Positions::sequence;
    return said->second == "mask" ? Positions::mask : Positions::input;
  }

  /// What an image, or several, is given as.
  virtual std::vector<TensorSpec> image_inputs() const {
    return {input::pixels("pixel_values", {images, axis::num_channels, axis::height, axis::width})};
  }
  /// -> f[…, width], in the order in which they stand in the texts; behind them what further_features() lists.
  virtual std::vector<Value> see(Graph& g, const Inputs& in) const = 0;
  /// Whether there are images at all.
  virtual bool sees() const { return true; }
  /// Vectors of the same form that the decoder adds to an image's tokens between its layers, by the names of its
  /// inputs.
  virtual std::vector<OutputSpec> further_features() const { return {}; }
  /// The axes of what see() yields, as the output of a graph of its own.
  virtual OutputSpec image_features() const { return {"image_features", {{0, images}}}; }
  /// How many vectors see() yields of dummy images of such sizes; 0 where that is not known beforehand.
  virtual int64_t vectors_of(const std::map<std::string, int64_t>&) const { return 0; }
  /// What else than images it reads; with dummies of such sizes.
  virtual std::vector<Sense> further_senses(const std::map<std::string, int64_t>&) const { return {}; }
  /// The ids as the text's half is given them, for a model that has none of its own for what stands for images:
  /// i64[batch, sequence] -> the same.
  virtual Value words_of(const Value& ids) const { return ids; }
  /// What the graph of images alone calls an input that has another name in the whole model: as of image_inputs(), and
  /// there.
  virtual std::map<std::string, std::string> names_of_vision_encoder() const { return {}; }

  std::vector<TensorSpec> inputs() const override {
    // Dummy steps of one text are not given its images twice.
    const std::vector<Sense> senses = further_senses({});
    int64_t limit = vocab_;
    for (const Sense& sense : senses) limit = std::max(limit, sense.token + 1);
    if (use_past()) {
      for (const int64_t token : tokens_of_others()) limit = std::min(limit, token > 0 ? token : limit);
    }
    std::vector<TensorSpec> specs{input::ids("input_ids", {axis::batch, axis::sequence}, limit)};
    if (sees()) {
      for (TensorSpec& spec : image_inputs()) specs.push_back(std::move(spec));
    }
    for (const Sense& sense : senses) specs.insert(specs.end(), sense.inputs.begin(), sense.inputs.end());
    for (const TensorSpec& spec : decoder_.inputs) {
      if (is_beside_text(spec)) specs.push_back(of_ids(spec, "input_ids"));
    }
    return specs;
  }
  std::vector<OutputSpec> outputs() const override { return decoder_.outputs; }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Value ids = in.at("input_ids");
    std::map<std::string, Value> embedded = embed(g, ids);
    Inputs given = in;
    given.erase("input_ids");
    for (auto& [name, value] : embedded) given[name] = value;
    if (sees()) {
      const Value words = embedded.at(inputs_embeds), is_image = equal(ids, half_.image_token);
      const std::vector<Value> seen = see(g, in);
      given[inputs_embeds] = masked_scatter(words, is_image, with_a_row(seen.at(0)));
      const std::vector<OutputSpec> further = further_features();
      for (size_t i = 0; i < further.size(); ++i)
        given[further[i].name] = masked_scatter(words * 0.0, is_image, with_a_row(seen.at(i + 1)));
    }
    for (const Sense& sense : further_senses({})) {
      given[inputs_embeds] =
          masked_scatter(given[inputs_embeds], equal(ids, sense.token), with_a_row(sense.perceive(g, in)));
    }
    return decode(g, given);
  }

  std::vector<Part> parts() const override {
    std::vector<OutputSpec> features{embeds_images() ? image_row() : image_features()};
    if (!packs()) {
      for (OutputSpec& spec : further_features()) features.push_back(std::move(spec));
    }
    const auto looks = [this, features](Graph& g, const Inputs& in) {
      std::vector<Value> seen = see(g, with_names_of_whole(in));
      if (embeds_images() && seen.at(0).rank() > 2) seen[0] = reshape(seen[0], {-1, seen[0].fixed(-1)});
      if (packs()) seen = {concat(seen, -1)};
      Outputs outputs;
      for (size_t i = 0; i < features.size(); ++i) outputs.emplace_back(features[i].name, seen.at(i));
      return outputs;
    };
    const auto embeds = [this](Graph& g, const Inputs& in) -> Outputs {
      std::map<std::string, Value> made = embed(g, in.at("input_ids"));
      if (packs()) made[inputs_embeds] = with_room(made.at(inputs_embeds));
      if (embeds_images()) {
        made[inputs_embeds] = masked_scatter(made.at(inputs_embeds), equal(in.at("input_ids"), half_.image_token),
                                             with_a_row(in.at(image_row().name)));
      }
      Outputs outputs;
      for (const OutputSpec& spec : embedded_) outputs.emplace_back(spec.name, made.at(spec.name));
      return outputs;
    };
    Part decoder{
        "decoder", {}, decoder_.outputs, [this](Graph& g, const Inputs& in) { return decode(g, apart(in)); }, states()};
    for (const TensorSpec& spec : decoder_.inputs) {
      if (!is_embedded(spec.name)) continue;
      decoder.inputs.push_back(spec);
      if (spec.name == inputs_embeds && has_further()) decoder.inputs.back().shape.back() = packed_axis();
    }
    for (const TensorSpec& spec : decoder_.inputs) {
      if (is_beside_text(spec)) decoder.inputs.push_back(of_ids(spec, inputs_embeds));
    }
    std::vector<TensorSpec> of_images = sees() ? image_inputs() : std::vector<TensorSpec>();
    const std::map<std::string, std::string> names = names_of_vision_encoder();
    for (TensorSpec& spec : of_images) {
      if (const auto own = names.find(spec.name); own != names.end()) spec.name = own->second;
    }
    std::vector<Part> all;
    if (sees()) all.push_back({"vision_encoder", std::move(of_images), features, looks});
    int64_t limit = vocab_;
    for (const Sense& sense : further_senses({})) {
      const auto perceives = [sense](Graph& g, const Inputs& in) -> Outputs {
        return {{sense.features.name, sense.perceive(g, in)}};
      };
      all.push_back({sense.part, sense.inputs, {sense.features}, perceives});
      limit = std::max(limit, sense.token + 1);
    }
    Part words{"embed_tokens", {input::ids("input_ids", {axis::batch, axis::sequence}, limit)}, embedded_, embeds};
    if (embeds_images()) {
      const Dim width = packs() ? packed_axis() : embedded_width();
      words.inputs.push_back(input::features(image_row().name, {image_sequence, width}));
    }
    all.push_back(std::move(words));
    all.push_back(std::move(decoder));
    return all;
  }

  /// Texts in which as many tokens are an image's as there are vectors of images, where an image has a known number.
  std::vector<DummyTensor> generate_dummy_inputs(const DummyRequest& request) const override {
    if (embeds_images() && request.part == "embed_tokens") {
      const int64_t vectors = length(request.sizes, image_sequence);
      return {texts_with_placeholders(request, {.all = {{vectors, half_.image_token}}, .vocab = vocab_})};
    }
    return texts_of(request, vectors_of(request.sizes));
  }

 protected:
  /// The same for so many vectors. A step of a text that has begun is not given its images again: with a past no token
  /// is an image's.
  std::vector<DummyTensor> texts_of(const DummyRequest& request, int64_t vectors) const {
    if (!request.part.empty() || (sees() && vectors == 0) || use_past()) return {};
    TextsWithPlaceholders texts{.all = {}, .vocab = vocab_};
    if (sees()) texts.all.push_back({vectors, half_.image_token});
    for (const Sense& sense : further_senses(request.sizes)) texts.all.push_back({sense.vectors, sense.token});
    return {texts_with_placeholders(request, texts)};
  }
  /// How checkpoints call an encoder of images that is a component of its own.
  static std::vector<std::pair<std::string, std::string>> tower_prefixes() {
    return {{"", "vision_tower."},
            {"", "vision_tower.vision_model."},
            {"", "model.vision_tower."},
            {"", "model.vision_tower.vision_model."}};
  }
  /// pixel_values through such an encoder: f[images, n, width].
  static Value look(Graph& g, const Component& tower, const Inputs& in) {
    Inputs pixels;
    pixels.emplace("pixel_values", in.at("pixel_values"));
    const ComponentCall call{"", "vision_tower", "vision_", tower_prefixes(), {"last_hidden_state"}};
    return tower(g, call, pixels).at("last_hidden_state");
  }

  /// The width of what a decoder is given that may have vectors for its layers behind those of the words, or not.
  std::vector<AxisSize> axes_of_further_features() const {
    if (!has_further() || packs()) return {};
    const int64_t width = embedded_width().size;
    return {{.axis = wide_axis, .usual = width * vectors_of_token(), .minimum = width, .step = width}};
  }

  static int64_t length(const std::map<std::string, int64_t>& sizes, const char* axis) {
    const auto found = sizes.find(axis);
    return found == sizes.end() ? 1 : found->second;
  }
  /// The axis along which images stand, and that of the vectors of all of them.
  static constexpr const char *images = "images", *image_sequence = "image_sequence";
  /// The axes of images that all have the config's size, in pixels.
  static std::vector<AxisSize> axes_of_square_images(int64_t channels, int64_t side) {
    return {{.axis = images, .usual = 2},
            {.axis = image_sequence, .usual = 2},
            {.axis = axis::num_channels, .usual = channels},
            {.axis = axis::height, .usual = side, .minimum = side, .maximum = side},
            {.axis = axis::width, .usual = side, .minimum = side, .maximum = side}};
  }

 private:
  /// Along which the vectors of a token stand where there may be one or several.
  static constexpr const char* wide_axis = "embedding";

  static std::map<std::string, std::string> chosen(const Request& request, std::map<std::string, std::string> options) {
    if (request.options.has("position_ids")) options["position_ids"] = request.options.text("position_ids", "");
    return options;
  }
  /// The tokens that stand for vectors of something else.
  std::vector<int64_t> tokens_of_others() const {
    std::vector<int64_t> tokens;
    if (sees()) tokens.push_back(half_.image_token);
    for (const Sense& sense : further_senses({})) tokens.push_back(sense.token);
    return tokens;
  }
  bool embeds_images() const { return image_choice_ == "embedded" && sees(); }
  bool has_further() const { return sees() && !further_features().empty(); }
  bool packs() const { return image_choice_ != "apart" && has_further(); }
  /// The one for the text, and the further ones.
  int64_t vectors_of_token() const { return 1 + static_cast<int64_t>(further_features().size()); }
  /// The last axis of what the decoder is given of words and images.
  Dim packed_axis() const { return packs() ? Dim(embedded_width().size * vectors_of_token()) : Dim(wide_axis); }
  /// f[batch, sequence, n] -> f[batch, sequence, n + what further vectors take], of zeros.
  Value with_room(const Value& words) const {
    return pad(words, {{2, 0, embedded_width().size * (vectors_of_token() - 1)}});
  }
  /// The vectors of a decoder's tokens, each as an input of its own. Those that are not given are zeros.
  Inputs apart(Inputs in) const {
    if (!has_further()) return in;
    const int64_t width = embedded_width().size;
    const Value all = packs() ? in.at(inputs_embeds) : with_room(in.at(inputs_embeds));
    const auto part = [&](int64_t i) {
      return reshape(slice(all, {.axis = 2, .begin = i * width, .end = (i + 1) * width}), {0, 0, width});
    };
    in[inputs_embeds] = part(0);
    int64_t i = 0;
    for (const OutputSpec& spec : further_features()) in[spec.name] = part(++i);
    return in;
  }
  /// The vectors of all images in one row: f[image_sequence, width].
  OutputSpec image_row() const { return {image_features().name, {{0, image_sequence}}}; }
  /// How wide the vector of a word is.
  Dim embedded_width() const {
    const auto found = std::find_if(decoder_.inputs.begin(), decoder_.inputs.end(),
                                    [](const TensorSpec& spec) { return spec.name == inputs_embeds; });
    if (found == decoder_.inputs.end()) throw Error(ONNXPORT_UNSUPPORTED, "the decoder reads no vectors of words");
    return found->shape.back();
  }
  bool is_embedded(const std::string& name) const {
    return std::any_of(embedded_.begin(), embedded_.end(), [&](const OutputSpec& spec) { return spec.name == name; });
  }
  /// What a decoder takes beside the text itself: its mask, positions and cache.
  static bool is_beside_text(const TensorSpec& spec) { return spec.role != Role::ids && spec.role != Role::embeddings; }
  /// A mask or positions of the text, whose tokens are called otherwise here.
  static TensorSpec of_ids(TensorSpec spec, const char* text) {
    if (spec.of == "input_ids") spec.of = text;
    return spec;
  }

  Inputs with_names_of_whole(Inputs in) const {
    for (const auto& [whole, own] : names_of_vision_encoder()) {
      if (const auto found = in.find(own); found != in.end()) in[whole] = found->second;
    }
    return in;
  }

  std::map<std::string, Value> embed(Graph& g, const Value& ids) const {
    Inputs in;
    in.emplace("input_ids", words_of(ids));
    ComponentCall call{"embed_tokens", half_.scope, "", prefixes_, {}};
    for (const OutputSpec& spec : embedded_) call.outputs.push_back(spec.name);
    return language_(g, call, in);
  }
  Outputs decode(Graph& g, const Inputs& in) const {
    ComponentCall call{"decoder", half_.scope, "", prefixes_, {}};
    for (const OutputSpec& spec : decoder_.outputs) call.outputs.push_back(spec.name);
    const std::map<std::string, Value> made = language_(g, call, in);
    Outputs outputs;
    for (const OutputSpec& spec : decoder_.outputs) outputs.emplace_back(spec.name, made.at(spec.name));
    return outputs;
  }

  const LanguageHalf half_;
  const std::vector<std::pair<std::string, std::string>> prefixes_;
  const Component language_;
  const ComponentPart decoder_;
  const std::vector<OutputSpec> embedded_;  // what the decoder reads of tokens: their vectors, and what else there is
  const int64_t vocab_;
  const std::string image_choice_;
};

/// The same for models that hear and do not see: features speech2seq-lm and speech2seq-lm-with-past.
class SpeechLanguage : public VisionLanguage {
 public:
  using VisionLanguage::VisionLanguage;

  bool sees() const final { return false; }
  std::vector<Value> see(Graph&, const Inputs&) const final { return {}; }
};

}  // namespace onnxport::sdk
