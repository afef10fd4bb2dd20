// SPDX-License-Identifier: Apache-2.0
// Longformer: RoBERTa whose tokens see those near them and a few global ones. Source: LongformerModel and its heads,
// transformers 4.30 and 4.57 (modeling_longformer.py).
#include <map>

#include <onnxport/blocks/windowed_attention.hpp>
#include <onnxport/families/roberta.hpp>

using namespace onnxport::family;

namespace {

constexpr const char* global_mask = "global_attention_mask";

class LongformerOnnxConfig final : public RobertaTextEncoder {
 public:
  explicit LongformerOnnxConfig(const Request& request)
      : RobertaTextEncoder(request, {.base = "longformer"}, {.relative = false}),
        window_of(attention_windows(request.config, bert.layers)) {
    request.config.no_effect({"sep_token_id", "onnx_export"});
  }

  // The base model puts out its pooler's result as well. Source: LongformerOnnxConfig, transformers 4.30.
  std::vector<OutputSpec> outputs() const override {
    std::vector<OutputSpec> specs = TextEncoder::outputs();
    if (task() == "default") specs.push_back({"pooler_output", {{0, axis::batch}}});
    return specs;
  }

 private:
  std::vector<TensorSpec> further_inputs(const std::vector<Dim>& tokens) const override {
    return {input::global_mask(global_mask, tokens, {.of = "input_ids"})};
  }

  Value encode(const Scope& s, const Text& text) const override {
    Graph& g = s.graph();
    Value x = bert.embed(s / "embeddings", embedded(text));
    const Value told = text.further.maybe(global_mask);
    const GlobalPlaces places = global_places(s / "encoder.global", text.mask, told ? told : text.ids * 0);
    std::map<int64_t, WindowBlocks> blocks;  // by window
    for (int64_t i = 0; i < bert.layers; ++i) {
      g.mark("hidden_states." + std::to_string(i), x);
      const int64_t window = window_of[static_cast<size_t>(i)] / 2;
      const auto [found, fresh] = blocks.try_emplace(window);
      if (fresh) found->second = window_blocks(s / "encoder.windows" / window, places, window);
      x = layer(s / "encoder.layer" / i, x, places, found->second);
    }
    return g.mark("hidden_states." + std::to_string(bert.layers), x);
  }

  Value layer(const Scope& s, const Value& x, const GlobalPlaces& places, const WindowBlocks& blocks) const {
    const TransformerLayer form = bert.layer();
    const Value attended = residual(s, x, form.attention_branch, [&](const Value& h) {
      const Value mixed = windowed_attention(s / "attention.self", h, bert.heads, places, blocks);
      return linear(s / "attention.output.dense", mixed, {.out = bert.hidden});
    });
    return residual(s, attended, form.feed_forward_branch,
                    [&](const Value& h) { return feed_forward(s, h, form.feed_forward); });
  }

  TextHeads text_heads() const override {
    TextHeads heads = RobertaTextEncoder::text_heads();
    heads.own = {{"default", [this](const Encoded& at) -> Outputs {
                    return {{"last_hidden_state", at.hidden}, {"pooler_output", pool(at.base, at.hidden)}};
                  }}};
    return heads;
  }

  const std::vector<int64_t> window_of;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.longformer",
    .name = "Longformer",
    .models = {{.types = {"longformer"},
                .features = {"default", "masked-lm", "sequence-classification", "multiple-choice",
                             "token-classification", "question-answering"},
                .make = make<LongformerOnnxConfig>}},
})
