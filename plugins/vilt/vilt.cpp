// SPDX-License-Identifier: Apache-2.0
// ViLT: the tokens of a text and the patches of an image in one transformer. Source: ViltModel and its heads,
// transformers 4.57 (modeling_vilt.py).
#include <onnxport/families/bert.hpp>

#include "image_patches.hpp"

using namespace onnxport::family;

namespace {

class Vilt final : public OnnxConfig {
 public:
  explicit Vilt(const Request& request)
      : OnnxConfig(request),
        text(request.config, {.max_positions = 40, .relative = false}),
        image(request.config),
        kinds(request.config.size("modality_type_vocab_size", 2)),
        images(compares_images() ? request.config.size("num_images") : 1),
        labels(request.config.num_labels()),
        tied(tie_of(request.config)) {
    // Of an image with more patches than max_image_length the original takes some at random; here all are taken.
    request.config.no_effect({"max_image_length", "num_images", "pad_token_id"});
    require_at_most({"num_images", images + 1}, {"modality_type_vocab_size", kinds});
  }

  std::string base_model_prefix() const override { return "vilt"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return text.max_positions; }
  std::vector<AxisSize> axis_sizes() const override { return image.sizes(); }

  std::vector<TensorSpec> inputs() const override {
    const std::vector<Dim> tokens{axis::batch, axis::sequence};
    std::vector<Dim> of_images{axis::batch};
    if (compares_images()) of_images.emplace_back(images);
    std::vector<Dim> pixels = of_images, mask = of_images;
    pixels.insert(pixels.end(), {axis::num_channels, axis::height, axis::width});
    mask.insert(mask.end(), {axis::height, axis::width});
    return {input::ids("input_ids", tokens, text.vocab), input::mask("attention_mask", tokens, {.of = "input_ids"}),
            input::token_types("token_type_ids", tokens, {.of = "input_ids", .limit = text.segments}),
            input::pixels("pixel_values", pixels), input::mask("pixel_mask", mask, {.of = "pixel_values"})};
  }
  std::vector<OutputSpec> outputs() const override {
    if (task() == "default")
      return {{"last_hidden_state", {{0, axis::batch}, {1, "places"}}}, {"pooler_output", {{0, axis::batch}}}};
    const bool of_tokens = task() == "masked-lm" || task() == "token-classification";
    return {{"logits", of_tokens ? std::map<int, std::string>{{0, axis::batch}, {1, axis::sequence}}
                                 : std::map<int, std::string>{{0, axis::batch}}}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    g.unused("*text_embeddings.position_ids");
    const Scope model = task() == "default" ? g.root() : g.root() / base_model_prefix();
    if (compares_images()) return {{"logits", compare_images(model, in)}};
    const Value hidden = encode(model, in, {in.at("pixel_values"), in.at("pixel_mask")});
    return head_for_feature().outputs({.base = model, .hidden = hidden, .in = in});
  }

  Heads heads() const override {
    return {{"default",
             [this](const Encoded& at) -> Outputs {
               return {{"last_hidden_state", at.hidden}, {"pooler_output", pool(at)}};
             }},
            head::logits("masked-lm", [this](const Encoded& at) { return words(at); }),
            head::logits("token-classification",
                         [this](const Encoded& at) {
                           return linear(at.base.graph().root() / "classifier", of_text(at), {.out = labels});
                         }),
            head::logits("visual-question-answering",
                         [this](const Encoded& at) {
                           return classify(at.base.graph().root() / "classifier", pool(at), 2 * text.hidden);
                         }),
            head::logits("image-text-retrieval",
                         [this](const Encoded& at) {
                           return linear(at.base.graph().root() / "rank_output", pool(at), {.out = 1});
                         }),
            head::logits("images-and-text-classification", [](const Encoded& at) { return at.hidden; })};
  }

 private:
  /// Before version 5 the words' scores had a table of their own, unless the config said otherwise; since then the
  /// config has no say.
  static Tie tie_of(const Config& c) {
    const Tie stated = c.tie(false);
    return {stated.by_config || stated.unless_saved, stated.unless_saved};
  }
  bool compares_images() const { return task() == "images-and-text-classification"; }

  struct Seen {
    Value pixels, mask;
    int64_t kind = 1;  // 0 is the text's, then one for each image
  };
  // -> f[batch, sequence + 1 + patches, hidden]
  Value encode(const Scope& model, const Inputs& in, const Seen& seen) const {
    const Scope s = model / "embeddings";
    const Value kind = (s / "token_type_embeddings").weight("weight", {kinds, text.hidden});
    if (tied) s.graph().stand_in(s / "text_embeddings.word_embeddings", s.graph().root() / "mlm_score.decoder");
    const Value words =
        text.embed(s / "text_embeddings", {.ids = in.at("input_ids"), .segments = in.at("token_type_ids")});
    const MaskedPatches patches = image(s, seen.pixels, seen.mask);
    const Value x = concat({words + pick(kind, 0, 0), patches.tokens + pick(kind, 0, seen.kind)}, 1).in(s);
    const Attended given{.mask = concat({in.at("attention_mask"), patches.mask}, 1)};
    const Value y = transformer_layers(model / "encoder.layer", x,
                                       {text.layers, [this](int64_t) { return image.layer.form(); }}, given);
    return norm(model / "layernorm", y, {.epsilon = text.epsilon});
  }
  // One after the other, each with the text, and what was pooled of all: f[batch, labels].
  Value compare_images(const Scope& model, const Inputs& in) const {
    std::vector<Value> pooled;
    for (int64_t i = 0; i < images; ++i) {
      const Value hidden =
          encode(model, in, {pick(in.at("pixel_values"), 1, i), pick(in.at("pixel_mask"), 1, i), i + 1});
      pooled.push_back(text.pool(model / "pooler", hidden));
    }
    return classify(model.graph().root() / "classifier", concat(pooled, 1), images * text.hidden);
  }

  Value pool(const Encoded& at) const { return text.pool(at.base / "pooler", at.hidden); }
  // The tokens of the text alone.
  static Value of_text(const Encoded& at) {
    Graph& g = at.base.graph();
    return g.op("Slice", {at.hidden, g.integers({0}), shape_of(at.in.at("input_ids"), 1, 2)}, {{"axes", {1}}});
  }
  Value words(const Encoded& at) const {
    MaskedLmHeadOptions head = text.words().head;
    const Scope scope = at.base.graph().root() / "mlm_score";
    if (tied.holds_for(scope / head.names.decoder)) head.tied = at.base / "embeddings.text_embeddings.word_embeddings";
    return masked_lm_head(scope, of_text(at), head);
  }
  Value classify(const Scope& s, const Value& x, int64_t width) const {
    const Value h = activation(norm(s / 1, linear(s / 0, x, {.out = width}), {}), "gelu");
    return linear(s / 3, h, {.out = labels});
  }

  const BertEncoder text;
  const PatchesOfImages image;
  const int64_t kinds, images, labels;
  const Tie tied;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.vilt",
    .name = "ViLT",
    .models = {{.types = {"vilt"},
                .features = {"default", "masked-lm", "token-classification", "visual-question-answering",
                             "image-text-retrieval", "images-and-text-classification"},
                .architectures = {{"ViltForQuestionAnswering", "visual-question-answering"},
                                  {"ViltForImageAndTextRetrieval", "image-text-retrieval"},
                                  {"ViltForImagesAndTextClassification", "images-and-text-classification"}},
                .make = make<Vilt>}},
})
