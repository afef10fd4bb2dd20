// SPDX-License-Identifier: Apache-2.0
// ESM: a RoBERTa of proteins with its norms before the branches and rotary positions. Source: EsmModel and its heads,
// transformers 4.57 and 5.24 (modeling_esm.py).
#include <algorithm>

#include <onnxport/families/roberta.hpp>
#include <onnxport/rotary.hpp>

using namespace onnxport::family;

namespace {

constexpr double masked_in_training = 0.15 * 0.8;  // the share of tokens, fixed in the reference

struct EsmConfig {
  explicit EsmConfig(const Config& c)
      : positions(c.choice("position_embedding_type", "absolute",
                           {"absolute", "rotary", "relative_key", "relative_key_query"})),
        theta(c.real("rope_theta", 10000.0)),
        normed_before(c.boolean("emb_layer_norm_before", false)),
        token_dropout(c.boolean("token_dropout", false)),
        // Version 4.57 forgot to hand the mask to the embeddings, which versions before and after it do.
        masks_embeddings(!c.written_since(4, 57) || c.written_since(5, 0)),
        shares_frequencies(c.written_since(5, 0)) {
    if (token_dropout) {
      mask_token = c.integer("mask_token_id");
    } else {
      c.no_effect({"mask_token_id"});
    }
    // Since version 5 there are absolute and rotary; what is neither has no positions at all.
    if (c.written_since(5, 0) && is_relative()) positions = "none";
    c.no_effect({"is_folding_model", "esmfold_config", "vocab_list"});  // of EsmForProteinFolding
    c.no_effect({"type_vocab_size"});                                   // BERT's
  }
  bool is_relative() const { return positions.starts_with("relative"); }

  std::string positions;
  double theta;
  bool normed_before, token_dropout, masks_embeddings, shares_frequencies;
  int64_t mask_token = -1;
};

class EsmOnnxConfig final : public RobertaTextEncoder {
 public:
  explicit EsmOnnxConfig(const Request& request)
      : RobertaTextEncoder(request, {.base = "esm"}, {.max_positions = 1026, .relative = false}), c(request.config) {}

  std::vector<std::string> keep_in_fp32() const override { return {"inv_freq"}; }

 private:
  Value encode(const Scope& s, const Text& text) const override {
    s.graph().unused("*contact_head.*");
    TransformerLayer layer = bert.layer();
    layer.feed_forward.activation = "gelu";
    layer.attention_branch = {Placement::before, {.epsilon = bert.epsilon}, "attention.LayerNorm"};
    layer.feed_forward_branch = {Placement::before, {.epsilon = bert.epsilon}, "LayerNorm"};
    return bert.encode(s / "encoder", embed(s / "embeddings", text),
                       {layer, attended(s, text), "emb_layer_norm_after"});
  }

  TextHeads text_heads() const override {
    TextHeads heads = RobertaTextEncoder::text_heads();
    heads.masked_lm->head.names.bias = {"bias"};
    return heads;
  }

  Value embed(const Scope& s, const Text& text) const {
    Value x = embedding(s / "word_embeddings", text.ids, {bert.vocab, bert.hidden});
    if (c.token_dropout) x = drop_masked(x, text);
    if (c.positions == "absolute") {
      x = x + embedding(s / "position_embeddings", positions_past_padding(text.ids, padding),
                        {bert.max_positions, bert.hidden});
    }
    if (c.normed_before) x = norm(s / "layer_norm", x, {.epsilon = bert.epsilon});
    if (c.masks_embeddings) x = x * unsqueeze(cast(text.mask, x.dtype()), {2});
    return x;
  }

  // Mask tokens are zero, and the others scaled to the share of these that training saw.
  Value drop_masked(const Value& x, const Text& text) const {
    Graph& g = x.graph();
    const Value masked = equal(text.ids, c.mask_token);
    const Value kept = where(unsqueeze(masked, {2}), g.scalar(0, x.dtype()), x);
    // A row of padding alone counts as one token.
    const Value length = c.masks_embeddings ? g.op("Max", {sum(text.mask, {1}), g.integer(1)}) : size_of(text.ids, 1);
    const Value share = sum(cast(masked, DType::f32), {1}) / cast(length, DType::f32);
    const Value factor = (1 - masked_in_training) / (1.0 - share);
    return kept * unsqueeze(factor, {1, 2});
  }

  Attended attended(const Scope& s, const Text& text) const {
    Attended given{.mask = text.mask};
    const double scale = 1 / std::sqrt(static_cast<double>(bert.hidden / bert.heads));
    if (c.positions == "rotary") given.angles = angles(s, text);
    if (!c.is_relative()) return given;
    // The reference scales queries before they meet distances, and does not scale keys.
    given.scores = [this, scale](const Scope& attention, const QueryKeyValue& made) {
      const RelativePositions relative{c.positions, bert.heads, bert.max_positions};
      return relative(attention / "self", made.query * scale, made.key);
    };
    return given;
  }

  // Checkpoints hold their frequencies, which may have been rounded to 16 bits: since version 5 once, before in every
  // layer, all alike.
  Angles angles(const Scope& s, const Text& text) const {
    Graph& g = s.graph();
    const int64_t width = bert.hidden / bert.heads;
    const auto in_layer = [&](const char* layer) {
      return s / "encoder.layer" / layer / "attention.self.rotary_embeddings";
    };
    std::vector<Scope> places{s / "rotary_embeddings", in_layer("*"), in_layer("0")};
    if (!c.shares_frequencies) std::reverse(places.begin(), places.end());
    const Scope kept = first_with("inv_freq", places);
    g.unused("*rotary_embeddings.inv_freq");
    Value frequencies;
    if (kept.has("inv_freq")) {
      frequencies = kept.weight("inv_freq", {width / 2});
    } else {
      std::vector<float> made;
      for (const float period : rotary_periods(c.theta, width)) made.push_back(1 / period);
      frequencies = g.constant(DType::f32, {width / 2}, made);
    }
    const Value at = unsqueeze(cast(range(size_of(text.ids, 1)), DType::f32), {0, 2});
    const Value turns = at * frequencies;
    return {g.op("Cos", {turns}), g.op("Sin", {turns})};
  }

  const EsmConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.esm",
    .name = "ESM",
    .models = {{.types = {"esm"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification"},
                .known_gaps = {{.architecture = "EsmForProteinFolding",
                                .reason = "the trunk that folds a protein is not defined"}},
                .make = make<EsmOnnxConfig>}},
})
