// SPDX-License-Identifier: Apache-2.0
// MarkupLM: BERT that knows the path of tags to every token of a document. Source: MarkupLMModel and its heads,
// transformers 4.30 and 4.57 (modeling_markuplm.py).
#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

class MarkupLMOnnxConfig final : public BertTextEncoder {
 public:
  explicit MarkupLMOnnxConfig(const Request& request)
      // Version 4.57 knows no distances any more.
      : BertTextEncoder(request, "markuplm", {.relative = !request.config.written_since(4, 57)}),
        padding(request.config.integer("pad_token_id", 0)),
        depth(request.config.size("max_depth", 50)),
        tags(request.config.size("max_xpath_tag_unit_embeddings", 256)),
        subscripts(request.config.size("max_xpath_subs_unit_embeddings", 1024)),
        unit(request.config.size("xpath_unit_hidden_size", 32)) {
    request.config.no_effect({"tag_pad_id", "subs_pad_id"});  // in place of paths that are not given
  }

 private:
  TextEncoderTraits traits() const override {
    TextEncoderTraits t = BertTextEncoder::traits();
    t.max_positions = bert.max_positions - 1 - padding;
    return t;
  }

  std::vector<TensorSpec> further_inputs(const std::vector<Dim>& tokens) const override {
    std::vector<Dim> shape = tokens;
    shape.emplace_back(depth);
    return {{.name = "xpath_tags_seq", .shape = shape, .limit = tags},
            {.name = "xpath_subs_seq", .shape = shape, .limit = subscripts}};
  }

  // Positions count the tokens that are not padding, as in RoBERTa, and are told here also where scores go by distance.
  Value embed(const Scope& s, const Text& text) const override {
    const Value positions = positions_past_padding(text.ids, padding);
    std::vector<Value> further{embed_paths(s / "xpath_embeddings", text)};
    if (bert.relative)
      further.push_back(embedding(s / "position_embeddings", positions, {bert.max_positions, bert.hidden}));
    return bert.embed(s, {.ids = text.ids, .segments = text.segments, .positions = positions, .further = further});
  }

  Value embed_paths(const Scope& s, const Text& text) const {
    s.graph().unused("*xpath_unitseq2_embeddings.*");  // which the reference makes and does not use
    Value x = embed_path(s / "xpath_tag_sub_embeddings", text.further.at("xpath_tags_seq"), tags) +
              embed_path(s / "xpath_subs_sub_embeddings", text.further.at("xpath_subs_seq"), subscripts);
    x = relu(linear(s / "xpath_unitseq2_inner", x, {.out = 4 * bert.hidden}));
    return linear(s / "inner2emb", x, {.out = bert.hidden});
  }

  // Every depth has a table of `count` rows, which stand below each other here: i64[batch, n, depth]
  // -> f[batch, n, depth·unit].
  Value embed_path(const Scope& s, const Value& path, int64_t count) const {
    Graph& g = s.graph();
    std::vector<Value> tables;
    std::vector<int64_t> firsts;
    for (int64_t i = 0; i < depth; ++i) {
      tables.push_back((s / i).weight("weight", {count, unit}));
      firsts.push_back(i * count);
    }
    const Value rows = reshape(s.composite("Stack", tables), {-1, unit});
    return reshape(gather(rows, path.in(s) + g.integers(firsts)), {0, 0, depth * unit}).in(s.parent());
  }

  TextHeads text_heads() const override { return {}; }

  const int64_t padding, depth, tags, subscripts, unit;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.markuplm",
    .name = "MarkupLM",
    .models = {{.types = {"markuplm"},
                .features = {"default", "sequence-classification", "token-classification", "question-answering"},
                .make = make<MarkupLMOnnxConfig>}},
})
