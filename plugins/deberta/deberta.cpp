// SPDX-License-Identifier: Apache-2.0
// DeBERTa. Source: DebertaModel and its heads, transformers 4.30 and 4.57 (modeling_deberta.py).
#include <onnxport/families/deberta.hpp>

using namespace onnxport::family;

namespace {

class DebertaOnnxConfig final : public DebertaEncoder {
 public:
  explicit DebertaOnnxConfig(const Request& request)
      : DebertaEncoder(request, {.vocab = 50265, .hidden = 768, .layers = 12, .heads = 12, .inner = 3072}) {
    if (request.config.boolean("talking_head", false)) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'talking_head' is true; supported: false, where heads do not mix their scores");
    }
  }

 private:
  // Each of the types that are listed counts as a term, whether or not distances are scored.
  int64_t terms() const override { return 1 + static_cast<int64_t>(c.attention_types.size()); }

  Value distance_vectors(const Scope& encoder) const override {
    return (encoder / "rel_embeddings").weight("weight", {2 * c.max_distance, c.hidden});
  }

  // One matrix makes for each head its query, its key and its value; only two of them have a bias.
  DistanceAttending attending(const Scope& self, const Value& x, const Value& positions) const override {
    const AttentionBlock block{.heads = c.heads,
                               .head_size = head_size(),
                               .projections = {.packing = Projections::Packing::groups, .fused = "in_proj"}};
    QueryKeyValue made = project(self, x, block);
    made.query = made.query + self.weight("q_bias", {c.hidden});
    made.value = made.value + self.weight("v_bias", {c.hidden});
    for (Value* part : {&made.query, &made.key, &made.value}) *part = split_heads(*part, c.heads);
    DistanceTables tables;
    if (positions && c.attends_by("c2p"))
      tables.keys = linear(self / "pos_proj", positions, {.out = c.hidden, .bias = false});
    if (positions && c.attends_by("p2c")) tables.queries = linear(self / "pos_q_proj", positions, {.out = c.hidden});
    return {made, tables};
  }
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.deberta",
    .name = "DeBERTa",
    .models = {{.types = {"deberta"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification",
                             "question-answering"},
                .make = make<DebertaOnnxConfig>}},
})
