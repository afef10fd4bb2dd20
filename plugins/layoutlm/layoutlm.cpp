// SPDX-License-Identifier: Apache-2.0
// LayoutLM: BERT that knows where on its page every token stands. Source: LayoutLMModel and its heads,
// transformers 4.57 (modeling_layoutlm.py).
#include <onnxport/blocks/boxes.hpp>
#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

class LayoutLMOnnxConfig final : public BertTextEncoder {
 public:
  explicit LayoutLMOnnxConfig(const Request& request)
      // Version 4.57 knows no distances any more.
      : BertTextEncoder(request, "layoutlm", {.relative = !request.config.written_since(4, 57)}),
        places(request.config.size("max_2d_position_embeddings", 1024)) {}

 private:
  std::vector<TensorSpec> further_inputs(const std::vector<Dim>& tokens) const override {
    std::vector<Dim> shape = tokens;
    shape.emplace_back(4);
    return {input::boxes("bbox", shape, {.of = "input_ids", .limit = places})};
  }

  // Positions are told here also where scores go by distance.
  Value embed(const Scope& s, const Text& text) const override {
    std::vector<Value> further = box_embeddings(s, boxes(text), {places, bert.hidden});
    if (bert.relative) {
      const Value table = (s / "position_embeddings").weight("weight", {bert.max_positions, bert.hidden});
      further.push_back(first_rows(table, size_of(text.ids, 1)));
    }
    return bert.embed(s, {.ids = text.ids, .segments = text.segments, .further = further});
  }

  /// i64[batch, sequence, 4]; where none are given, all words stand in a corner, as in the original.
  static Value boxes(const Text& text) {
    const Value given = text.further.maybe("bbox");
    return given ? given : unsqueeze(text.ids * 0, {-1}) + text.ids.graph().integers({0, 0, 0, 0});
  }

  TextHeads text_heads() const override { return {.masked_lm = bert.words()}; }

  const int64_t places;  // along an edge of a page
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.layoutlm",
    .name = "LayoutLM",
    .models = {{.types = {"layoutlm"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification",
                             "question-answering"},
                .make = make<LayoutLMOnnxConfig>}},
})
