// SPDX-License-Identifier: Apache-2.0
// YOSO: BERT whose attention is the chance that a query and a key fall into the same bucket of a hash. Source:
// YosoModel and its heads, transformers 4.57 (modeling_yoso.py).
#include <onnxport/families/short_attention.hpp>

using namespace onnxport::family;

namespace {

struct YosoConfig {
  explicit YosoConfig(const Config& c)
      : bits(c.size("hash_code_len", 9)), window(c.has("conv_window") ? c.size("conv_window", 0) : 0) {
    if (!c.boolean("use_expectation", true)) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'use_expectation' is false, with which the reference draws random hashes; supported: "
                  "true, which computes what they yield on average, with the same weights");
    }
    c.no_effect({"num_hash", "use_fast_hash", "lsh_backward"});  // of random hashes
  }
  int64_t bits, window;
};

class YosoOnnxConfig final : public ShortAttentionTextEncoder {
 public:
  explicit YosoOnnxConfig(const Request& request)
      : ShortAttentionTextEncoder(request, "yoso", {.vocab = 50265, .max_positions = 4096, .segments = 1}),
        c(request.config) {}

 private:
  int64_t window() const override { return c.window; }
  Value convolved(const Value& values, const Value& mask) const override {
    return values * unsqueeze(cast(mask, values.dtype()), {1, 3});
  }

  // The reference looks at padding all the same.
  Value attend(const Scope& s, const QueryKeyValue& made, const Attended&) const override {
    const Value cosine = matmul(normalized(made.query), transpose(normalized(made.key), {0, 1, 3, 2}));
    const Value same_bit = 1.0 - arc_cosine(cosine) / M_PI;
    const Value same_bucket = s.op("Pow", {same_bit, s.graph().scalar(static_cast<double>(c.bits), same_bit.dtype())});
    return normalized(matmul(same_bucket, made.value));
  }

  static Value normalized(const Value& x) {
    const Value length = x.graph().op("ReduceL2", {x}, {{"axes", {-1}}, {"keepdims", 1}});
    return x / x.graph().op("Max", {length, x.graph().scalar(1e-12, x.dtype())});
  }

  // √(1 - |x|) times a polynomial of |x|, and π less that below 0; within 2e-8.
  // Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 4.4.46.
  static Value arc_cosine(const Value& x) {
    constexpr double coefficients[] = {-0.0012624911, 0.0066700901, -0.0170881256, 0.0308918810,
                                       -0.0501743046, 0.0889789874, -0.2145988016, 1.5707963050};
    Graph& g = x.graph();
    const Value size = g.op("Abs", {x});
    Value y = size * coefficients[0] + coefficients[1];
    for (size_t i = 2; i < std::size(coefficients); ++i) y = y * size + coefficients[i];
    y = y * sqrt(relu(1.0 - size));
    return where(g.op("Less", {x, g.scalar(0, x.dtype())}), M_PI - y, y);
  }

  const YosoConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.yoso",
    .name = "YOSO",
    .models = {{.types = {"yoso"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification",
                             "multiple-choice", "question-answering"},
                .make = make<YosoOnnxConfig>}},
})
