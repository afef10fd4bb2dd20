// SPDX-License-Identifier: Apache-2.0
// CLAP: two encoders that were trained together, one of texts and one of sounds. Source: ClapModel, ClapTextModel,
// ClapAudioModel and their twins with a projection, transformers 4.30, 4.57 and 5.24.
#include <onnxport/families/bert.hpp>
#include <onnxport/families/two_towers.hpp>

#include "audio.hpp"

using namespace clap;
using namespace onnxport::family;

namespace {

constexpr const char* audio_batch = "audio_batch";

/// RoBERTa, with positions that count what is no padding.
struct TextTower {
  explicit TextTower(const Config& c)
      : bert(c, {.vocab = 50265, .max_positions = 514, .segments = 1}), padding(c.integer("pad_token_id", 1)) {
    c.no_effect({"initializer_factor", "projection_dim", "projection_hidden_act"});
  }

  std::vector<TensorSpec> inputs(const char* batch) const {
    return {input::ids("input_ids", {batch, axis::sequence}, bert.vocab),
            input::mask("attention_mask", {batch, axis::sequence}, {.of = "input_ids"})};
  }
  int64_t max_positions() const { return bert.max_positions - 1 - padding; }

  // -> f[batch, sequence, hidden]
  Value encode(const Scope& model, const Inputs& in) const {
    model.graph().unused("*embeddings.position_ids");
    model.graph().unused("*embeddings.token_type_ids");
    const Text text{in.at("input_ids"), in.at("attention_mask")};
    const Value positions = positions_past_padding(text.ids, padding);
    return bert.encode(model / "encoder", bert.embed(model / "embeddings", {.ids = text.ids, .positions = positions}),
                       text);
  }
  Value pool(const Scope& model, const Value& hidden) const { return bert.pool(model / "pooler", hidden); }

  const BertEncoder bert;
  const int64_t padding;
};

/// What takes a tower's vector into the space of both. Source: ClapProjectionLayer.
struct Projection {
  explicit Projection(const Config& c)
      : width(c.size("projection_dim", 512)), activation_name(c.text("projection_hidden_act", "relu")) {}

  Value operator()(const Scope& s, const Value& x) const {
    const Value h = activation(linear(s / "linear1", x, {.out = width}), activation_name);
    return linear(s / "linear2", h, {.out = width});
  }

  int64_t width;
  std::string activation_name;
};

/// Both towers.
class ClapOnnxConfig final : public OnnxConfig {
 public:
  explicit ClapOnnxConfig(const Request& request)
      : OnnxConfig(request),
        text(tower_config(request.config, "text_config")),
        audio{AudioConfig(tower_config(request.config, "audio_config"))},
        projection(request.config) {
    // What follows from the towers, and what scores start from.
    request.config.no_effect({"hidden_size", "num_hidden_layers", "logit_scale_init_value", "initializer_factor"});
    tower_config(request.config, "audio_config").no_effect({"projection_dim", "projection_hidden_act"});
  }

  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return text.max_positions(); }
  std::vector<AxisSize> axis_sizes() const override {
    std::vector<AxisSize> sizes = audio.sizes();
    sizes.push_back({.axis = text_batch, .usual = 3});
    sizes.push_back({.axis = audio_batch, .usual = 2});
    return sizes;
  }

  std::vector<TensorSpec> inputs() const override {
    std::vector<TensorSpec> specs = text.inputs(text_batch);
    for (TensorSpec& spec : audio.inputs(audio_batch)) specs.push_back(std::move(spec));
    return specs;
  }
  std::vector<OutputSpec> outputs() const override {
    return {{"logits_per_audio", {{0, audio_batch}, {1, text_batch}}},
            {"logits_per_text", {{0, text_batch}, {1, audio_batch}}},
            {"text_embeds", {{0, text_batch}}},
            {"audio_embeds", {{0, audio_batch}}}};
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    const Value texts = unit(text_vectors(g, in)), sounds = unit(audio_vectors(g, in));
    const auto scores = [&](const Value& of, const Value& to, const char* scale) {
      return matmul(of, transpose(to, {1, 0})) * exp(g.root().weight(scale, {}));
    };
    return {{"logits_per_audio", scores(sounds, texts, "logit_scale_a")},
            {"logits_per_text", scores(texts, sounds, "logit_scale_t")},
            {"text_embeds", texts},
            {"audio_embeds", sounds}};
  }

  /// The towers apart, as transformers.js loads them.
  std::vector<Part> parts() const override {
    return {{"text",
             text.inputs(axis::batch),
             {{"text_embeds", {{0, axis::batch}}}},
             [this](Graph& g, const Inputs& in) -> Outputs {
               return {{"text_embeds", text_vectors(g, in)}};
             }},
            {"audio",
             audio.inputs(axis::batch),
             {{"audio_embeds", {{0, axis::batch}}}},
             [this](Graph& g, const Inputs& in) -> Outputs {
               return {{"audio_embeds", audio_vectors(g, in)}};
             }}};
  }

 private:
  Value text_vectors(Graph& g, const Inputs& in) const {
    const Scope model = g.root() / "text_model";
    return projection(g.root() / "text_projection", text.pool(model, text.encode(model, in)));
  }
  Value audio_vectors(Graph& g, const Inputs& in) const {
    return projection(g.root() / "audio_projection", audio.encode(g.root() / "audio_model", in).pooled);
  }

  const TextTower text;
  const AudioTower audio;
  const Projection projection;
};

/// One tower: its states and what it pools, or with a projection the vector that both share.
class ClapTower : public OnnxConfig {
 public:
  ClapTower(const Request& request, const TowerNames& names)
      : OnnxConfig(request),
        names_(names),
        with_projection_(has_projection(request.config)),
        projection_(request.config) {}

  std::string base_model_prefix() const override { return names_.module; }
  double atol_for_validation() const override { return 1e-4; }
  std::vector<OutputSpec> outputs() const override {
    if (with_projection_) return {{names_.vectors, {{0, axis::batch}}}};
    return {states(), {"pooler_output", {{0, axis::batch}}}};
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    // Checkpoints with a projection hold the tower below a module of its own.
    const auto [hidden, pooled] = encode(with_projection_ ? g.root() / names_.module : g.root(), in);
    if (!with_projection_) return {{"last_hidden_state", hidden}, {"pooler_output", pooled}};
    g.mark("last_hidden_state", hidden);
    return {{names_.vectors, projection_(g.root() / names_.projection, pooled)}};
  }

 protected:
  virtual OutputSpec states() const = 0;
  virtual std::pair<Value, Value> encode(const Scope& model, const Inputs& in) const = 0;

 private:
  TowerNames names_;
  bool with_projection_;
  Projection projection_;
};

class ClapTextOnnxConfig final : public ClapTower {
 public:
  explicit ClapTextOnnxConfig(const Request& request) : ClapTower(request, text_names), text(request.config) {}
  int64_t max_positions() const override { return text.max_positions(); }
  std::vector<TensorSpec> inputs() const override { return text.inputs(axis::batch); }

 private:
  OutputSpec states() const override { return {"last_hidden_state", {{0, axis::batch}, {1, axis::sequence}}}; }
  std::pair<Value, Value> encode(const Scope& model, const Inputs& in) const override {
    const Value hidden = text.encode(model, in);
    return {hidden, text.pool(model, hidden)};
  }
  const TextTower text;
};

class ClapAudioOnnxConfig final : public ClapTower {
 public:
  explicit ClapAudioOnnxConfig(const Request& request)
      : ClapTower(request, {"audio_model", "audio_projection", "audio_embeds"}), audio{AudioConfig(request.config)} {}
  std::vector<AxisSize> axis_sizes() const override { return audio.sizes(); }
  std::vector<TensorSpec> inputs() const override { return audio.inputs(axis::batch); }

 private:
  OutputSpec states() const override { return {"last_hidden_state", {{0, axis::batch}}}; }
  std::pair<Value, Value> encode(const Scope& model, const Inputs& in) const override {
    const AudioTower::Encoding made = audio.encode(model, in);
    return {made.hidden, made.pooled};
  }
  const AudioTower audio;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.clap",
    .name = "CLAP",
    .models = {{.types = {"clap"}, .features = {"default"}, .make = make<ClapOnnxConfig>},
               {.types = {"clap_text_model"},
                .features = {"default"},
                .architectures = {{"ClapTextModelWithProjection", "default"}},
                .make = make<ClapTextOnnxConfig>},
               {.types = {"clap_audio_model"},
                .features = {"default"},
                .architectures = {{"ClapAudioModelWithProjection", "default"}},
                .make = make<ClapAudioOnnxConfig>}},
})
