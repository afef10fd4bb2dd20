// SPDX-License-Identifier: Apache-2.0
// Florence-2: DaViT, and an encoder and a decoder of texts of any type, of which the encoder reads an image's vectors
// among the words'. Source: Florence2ForConditionalGeneration, transformers 5.24.
#include <onnxport/component.hpp>
#include <onnxport/selection.hpp>

#include "davit.hpp"

using namespace florence;

namespace {

struct Florence2Config {
  explicit Florence2Config(const Config& c)
      : image_token(c.count("image_token_id", 51289)),
        places(c.section("vision_config").size("max_position_embeddings", 50)),
        frames(c.section("vision_config").size("max_temporal_embeddings", 100)),
        out(c.section("vision_config").size("projection_dim", 1024)),
        text_width(c.section("text_config").with_names({{"d_model", "hidden_size"}}).size("d_model", 1024)) {
    c.no_effect({"tie_word_embeddings", "is_encoder_decoder"});
    require_same(out, text_width);
  }
  int64_t image_token, places, frames, out, text_width;

 private:
  static void require_same(int64_t image, int64_t text) {
    if (image == text) return;
    throw Error(ONNXPORT_CONFIG, "config field 'vision_config.projection_dim' is " + std::to_string(image) +
                                     "; expected text_config.d_model, " + std::to_string(text));
  }
};

class Florence2 final : public OnnxSeq2SeqConfigWithPast {
 public:
  explicit Florence2(const Request& request)
      : OnnxSeq2SeqConfigWithPast(request),
        c(request.config),
        davit(request.config.section("vision_config")),
        text(request.config.section("text_config"),
             {.feature = use_past() ? "seq2seq-lm-with-past" : "seq2seq-lm",
              .model_type = request.config.section("text_config").has("model_type") ? "" : "bart",
              .options = {{"final_logits_bias", "none"}}}),
        words(text.part("embed_tokens")),
        first(text.part(part_of("decoder"))) {}

  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return first.integer("num_layers", 0); }
  int64_t num_attention_heads() const override { return first.integer("num_attention_heads", 1); }
  int64_t head_size() const override { return c.text_width / num_attention_heads(); }
  int64_t vocab_size() const override { return std::max(words.input("input_ids")->limit, c.image_token + 1); }
  int64_t decoder_vocab_size() const override { return words.input("input_ids")->limit; }
  int64_t encoder_width() const override { return c.text_width; }
  int64_t max_positions() const override { return first.integer("max_positions", 0); }
  std::vector<AxisSize> axis_sizes() const override {
    const int64_t step = 32;
    return {{.axis = images, .usual = 2},
            {.axis = axis::num_channels, .usual = davit.config().channels},
            {.axis = axis::height, .usual = 2 * step, .minimum = step, .maximum = step * c.places},
            {.axis = axis::width, .usual = 2 * step, .minimum = step, .maximum = step * c.places}};
  }

  std::vector<TensorSpec> encoder_inputs() const override {
    std::vector<TensorSpec> specs = OnnxSeq2SeqConfigWithPast::encoder_inputs();
    specs.push_back(pixels());
    return specs;
  }

  Value encode(Graph& g, const Inputs& in) const override {
    const Value ids = in.at("input_ids"), seen = see(g, in.at("pixel_values"));
    const Value rows = reshape(seen, {-1, c.out});
    // A text without images has a row to look at even so.
    const Value zeros = g.constant<float>(DType::f32, {1, c.out}, std::vector<float>(static_cast<size_t>(c.out), 0.f));
    Inputs given;
    given.emplace(inputs_embeds, masked_scatter(embed(g, ids), equal(ids, c.image_token), concat({rows, zeros}, 0)));
    given.emplace("attention_mask", in.at("attention_mask"));
    return run(g, "encoder", given, {"last_hidden_state"})[0].second;
  }

  Value decode(Graph& g, const DecoderStep& step, Cache& cache) const override {
    const bool cached = static_cast<bool>(cache.past_length());
    Inputs given;
    given.emplace("input_ids", step.ids);
    given.emplace(inputs_embeds, step.embeddings);
    given.emplace("attention_mask", step.mask);
    given.emplace("encoder_hidden_states", step.encoder_hidden);
    given.emplace("encoder_attention_mask", step.encoder_mask);
    std::vector<std::string> names{"logits"};
    for (const State& state : states()) {
      given.emplace(state.past, cache.past(state.name));
      if (use_past() && !(cached && state.kept)) names.push_back(state.present);
    }
    std::map<std::string, Value> made;
    for (auto& [name, value] : run(g, cached ? "decoder_with_past" : "decoder", given, names))
      made.emplace(name, value);
    for (const State& state : states()) {
      if (!use_past()) break;
      cache.replace(state.name, cached && state.kept ? cache.past(state.name) : made.at(state.present));
    }
    return made.at("logits");
  }

  Heads heads() const override {
    return {head::logits("vision2seq-lm", [](const Encoded& at) { return at.hidden; })};
  }

  /// The graphs that transformers.js loads: of embeddings, which vision_encoder and embed_tokens make.
  std::vector<Part> parts() const override {
    const auto sees = [this](Graph& g, const Inputs& in) -> Outputs {
      return {{"image_features", see(g, in.at("pixel_values"))}};
    };
    const auto embeds = [this](Graph& g, const Inputs& in) -> Outputs {
      return {{inputs_embeds, embed(g, in.at("input_ids"))}};
    };
    std::vector<Part> all{{"vision_encoder", {pixels()}, {{"image_features", {{0, images}}}}, sees},
                          {"embed_tokens",
                           {input::ids("input_ids", {axis::batch, axis::sequence}, words.input("input_ids")->limit)},
                           {{inputs_embeds, {{0, axis::batch}, {1, axis::sequence}}}},
                           embeds}};
    std::vector<std::string> names{"encoder", "decoder"};
    if (use_past()) names.emplace_back("decoder_with_past");
    for (const std::string& name : names) {
      const ComponentPart described = text.part(part_of(name));
      Part& part = all.emplace_back(Part{name, described.inputs, described.outputs,
                                         [this, name, described](Graph& g, const Inputs& in) {
                                           std::vector<std::string> outputs;
                                           for (const OutputSpec& spec : described.outputs)
                                             outputs.push_back(spec.name);
                                           return run(g, name, in, outputs);
                                         },
                                         described.states});
      std::erase_if(part.inputs, [&](const TensorSpec& spec) {
        return spec.role == Role::ids || (name != "encoder" && spec.name == "attention_mask");
      });
      for (TensorSpec& spec : part.inputs) {
        if (spec.of == "input_ids") spec.of = inputs_embeds;
      }
      if (name == "decoder_with_past") part.first_step = "decoder";
    }
    return all;
  }

 private:
  static constexpr const char* images = "images";
  static TensorSpec pixels() {
    return input::pixels("pixel_values", {images, axis::num_channels, axis::height, axis::width});
  }
  static std::string part_of(const std::string& name) { return name + "_of_embeddings"; }

  Value embed(Graph& g, const Value& ids) const override {
    Inputs in;
    in.emplace("input_ids", ids);
    const ComponentCall call{"embed_tokens", "language_model", "", prefixes(), {inputs_embeds}};
    return text(g, call, in).at(inputs_embeds);
  }
  static std::vector<std::pair<std::string, std::string>> prefixes() {
    return {{"model.", "model.language_model."}, {"", ""}, {"", "language_model."}};
  }
  Outputs run(Graph& g, const std::string& part, const Inputs& in, const std::vector<std::string>& names) const {
    const ComponentCall call{part_of(part), "language_model", "", prefixes(), names};
    std::map<std::string, Value> made = text(g, call, in);
    Outputs outputs;
    for (const std::string& name : names) outputs.emplace_back(name, made.at(name));
    return outputs;
  }

  /// f[images, channels, height, width] -> f[images, 1 + patches, width]: their mean, then each with its place.
  Value see(Graph& g, const Value& image) const {
    const Scope model = g.root() / "model", s = model / "multi_modal_projector";
    const Tokens seen = davit(model / "vision_tower", image);
    const int64_t width = davit.config().widths.back();
    const Scope places = s / "image_position_embed";
    const Value rows = (places / "row_embeddings").weight("weight", {c.places, width / 2});
    const Value columns = (places / "column_embeddings").weight("weight", {c.places, width - width / 2});
    // Of a patch: its column's vector, then its row's.
    const Value column =
        unsqueeze(range(seen.grid.columns), {0}) + unsqueeze(range(seen.grid.rows), {1}) * g.integer(0);
    const Value row = unsqueeze(range(seen.grid.rows), {1}) + unsqueeze(range(seen.grid.columns), {0}) * g.integer(0);
    const Value both = concat({gather(columns, column), gather(rows, row)}, -1);
    const Value time = pick((s / "visual_temporal_embed").weight("pos_idx_to_embed", {c.frames, width}), 0, 0);
    const Value tokens = (seen.tokens.in(s) + reshape(both, {1, -1, width})) + time;
    const Value all = concat({g.op("ReduceMean", {tokens}, {{"axes", {1}}, {"keepdims", true}}), tokens}, 1);
    return norm(s / "image_proj_norm", linear(s / "image_projection", all, {.out = c.out, .bias = false}), {});
  }

  const Florence2Config c;
  const Davit davit;
  const Component text;
  const ComponentPart words, first;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.florence2",
    .name = "Florence-2",
    .models = {{.types = {"florence2"},
                .features = {"vision2seq-lm", "vision2seq-lm-with-past"},
                .make = make<Florence2>}},
    .abi_minor_needed = 4,
})
