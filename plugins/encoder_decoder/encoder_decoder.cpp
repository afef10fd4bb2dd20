// SPDX-License-Identifier: Apache-2.0
// Any encoder with any decoder: what each computes is the business of the plugins of their types, and between them is
// at most one layer. Source: EncoderDecoderModel and VisionEncoderDecoderModel, transformers 4.57 and 5.24.
#include <onnxport/component.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

using Prefixes = std::vector<std::pair<std::string, std::string>>;

/// What the two sides are beside components.
struct Sides {
  explicit Sides(const Config& c)
      : decoder_width(width_of(c.section("decoder"))),
        cross_width(c.section("decoder").maybe_integer("cross_attention_hidden_size")),
        named_heads(c.section("decoder").maybe_integer("encoder_attention_heads")),
        tied(c.boolean("tie_encoder_decoder", false)) {
    c.no_effect({"decoder_start_token_id", "tie_word_embeddings", "processor_class"});
  }
  /// Of what the decoder attends to, by its config.
  int64_t seen_width() const { return cross_width.value_or(decoder_width); }
  /// Whether a layer stands between the sides, of an encoder as wide as that.
  bool are_joined(int64_t encoder_width) const { return encoder_width != decoder_width && !cross_width; }

  int64_t decoder_width;
  std::optional<int64_t> cross_width;
  std::optional<int64_t> named_heads;
  bool tied;  // both sides share what has the same name

 private:
  static int64_t width_of(const Config& side) {
    for (const char* name : {"hidden_size", "d_model", "n_embd"}) {
      if (side.has(name)) return side.size(name);
    }
    return 768;
  }
};

class EncoderDecoder final : public OnnxSeq2SeqConfigWithPast {
 public:
  explicit EncoderDecoder(const Request& request)
      : OnnxSeq2SeqConfigWithPast(request),
        sides(request.config),
        encoder(request.config.section("encoder"), {.feature = "default"}),
        decoder(
            request.config.section("decoder"),
            {.feature = use_past() ? "causal-lm-with-past" : "causal-lm",
             .options = {{"encoder_hidden_states", std::to_string(sides.seen_width())}, {"position_ids", "sequence"}}}),
        sees(encoder.part()),
        says(decoder.part("decoder")) {}

  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return says.integer("num_layers", 0); }
  int64_t num_attention_heads() const override { return says.integer("num_attention_heads", 0); }
  int64_t num_key_value_heads() const override { return fixed(1, num_attention_heads()); }
  int64_t head_size() const override { return fixed(3, sides.decoder_width / num_attention_heads()); }
  /// Clients guess the cache of a decoder that names both sides' heads by those of the encoder.
  bool has_usual_cache() const override {
    return sides.named_heads.value_or(num_attention_heads()) == num_attention_heads();
  }
  int64_t vocab_size() const override { return limit_of(sees, Role::ids); }
  int64_t decoder_vocab_size() const override { return says.input("input_ids")->limit; }
  int64_t encoder_width() const override { return sides.seen_width(); }
  int64_t max_positions() const override { return says.integer("max_positions", 0); }
  bool masks_decoder() const override { return true; }
  std::vector<AxisSize> axis_sizes() const override { return sees.axes; }

  /// A text's tokens and mask, or an image: what the encoder cannot do without.
  std::vector<TensorSpec> encoder_inputs() const override {
    std::vector<TensorSpec> specs;
    for (TensorSpec spec : sees.inputs) {
      const bool needed = spec.role == Role::ids || spec.role == Role::mask || spec.role == Role::pixels;
      if (!needed) continue;
      for (Dim& dim : spec.shape) {
        if (dim.symbol == axis::sequence) dim = axis::encoder_sequence;
      }
      specs.push_back(std::move(spec));
    }
    return specs;
  }

  Value encode(Graph& g, const Inputs& in) const override {
    Inputs given;
    for (const TensorSpec& spec : encoder_inputs()) given.emplace(spec.name, in.at(spec.name));
    const ComponentCall call{"", "encoder", "encoder_", encoder_prefixes(), {"last_hidden_state"}};
    const Value hidden = encoder(g, call, given).at("last_hidden_state");
    if (!sides.are_joined(hidden.fixed(-1))) return hidden;
    return linear(g.root() / "enc_to_dec_proj", hidden, {.out = sides.decoder_width});
  }

  Value decode(Graph& g, const DecoderStep& step, Cache& cache) const override {
    Inputs given;
    given.emplace("input_ids", step.ids);
    given.emplace("attention_mask", step.mask);
    given.emplace("encoder_hidden_states", step.encoder_hidden);
    given.emplace("encoder_attention_mask", step.encoder_mask);
    for (const State& state : states()) given.emplace(state.past, cache.past(state.name));
    ComponentCall call{"decoder", "decoder", "decoder_", decoder_prefixes(), {"logits"}};
    if (use_past()) {
      for (const State& state : states()) call.outputs.push_back(state.present);
    }
    const std::map<std::string, Value> made = decoder(g, call, given);
    if (use_past()) {
      for (const State& state : states()) cache.replace(state.name, made.at(state.present));
    }
    return made.at("logits");
  }

  Heads heads() const override {
    const auto scores = [](const Encoded& at) { return at.hidden; };
    return {head::logits("seq2seq-lm", scores), head::logits("vision2seq-lm", scores)};
  }

 private:
  /// Where both sides are tied, the one that is not saved has the other's tensors.
  Prefixes encoder_prefixes() const {
    Prefixes prefixes{{"", "encoder."}};
    if (sides.tied) prefixes.emplace_back("", "decoder." + base_of_decoder());
    return prefixes;
  }
  Prefixes decoder_prefixes() const {
    Prefixes prefixes{{"", "decoder."}};
    if (sides.tied) prefixes.emplace_back(base_of_decoder(), "encoder.");
    return prefixes;
  }
  std::string base_of_decoder() const {
    const auto said = says.texts.find("base_model_prefix");
    return said == says.texts.end() ? "" : said->second + ".";
  }

  static int64_t limit_of(const ComponentPart& part, Role role) {
    for (const TensorSpec& spec : part.inputs) {
      if (spec.role == role) return spec.limit;
    }
    return 0;
  }
  /// The length of an axis of the decoder's cached keys.
  int64_t fixed(size_t axis, int64_t otherwise) const {
    if (says.states.empty() || axis >= says.states[0].shape.size()) return otherwise;
    const Dim& dim = says.states[0].shape[axis];
    return dim.is_static() ? dim.size : otherwise;
  }

  const Sides sides;
  const Component encoder, decoder;
  const ComponentPart sees, says;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.encoder-decoder",
    .name = "Any encoder with any decoder",
    .models = {{.types = {"encoder-decoder"},
                .features = {"seq2seq-lm", "seq2seq-lm-with-past"},
                .architectures = {{"EncoderDecoderModel", "seq2seq-lm"}},
                .make = make<EncoderDecoder>},
               {.types = {"vision-encoder-decoder"},
                .features = {"vision2seq-lm", "vision2seq-lm-with-past"},
                .architectures = {{"VisionEncoderDecoderModel", "vision2seq-lm"}},
                .make = make<EncoderDecoder>}},
    .abi_minor_needed = 4,
})
