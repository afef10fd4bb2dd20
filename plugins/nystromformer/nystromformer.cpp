// SPDX-License-Identifier: Apache-2.0
// Nystromformer: BERT whose attention goes by way of a few landmarks, with a convolution over the values beside it.
// Source: NystromformerModel and its heads, transformers 4.57 (modeling_nystromformer.py).
#include <onnxport/families/short_attention.hpp>

using namespace onnxport::family;

namespace {

struct NystromConfig {
  explicit NystromConfig(const Config& c)
      : landmarks(c.size("num_landmarks", 64)),
        length(c.size("segment_means_seq_len", 64)),
        window(c.is_null("conv_kernel_size") ? 0 : c.size("conv_kernel_size", 65)) {
    if (c.boolean("inv_coeff_init_option", false)) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'inv_coeff_init_option' is true, with which the reference fails; expected false");
    }
    if (by_landmarks()) require_multiple({"segment_means_seq_len", length}, {"num_landmarks", landmarks});
  }
  bool by_landmarks() const { return landmarks != length; }
  int64_t landmarks, length, window;
};

class NystromformerOnnxConfig final : public ShortAttentionTextEncoder {
 public:
  explicit NystromformerOnnxConfig(const Request& request)
      : ShortAttentionTextEncoder(request, "nystromformer",
                                  {.vocab = 30000, .max_positions = 510, .epsilon = 1e-5, .activation = "gelu_new"}),
        c(request.config) {}

  // The reference takes texts of just segment_means_seq_len tokens; the definition any that divide into the landmarks.
  std::vector<AxisSize> axis_sizes() const override {
    if (!c.by_landmarks()) return {};
    return {{.axis = axis::sequence, .usual = c.length, .minimum = c.landmarks, .step = c.landmarks}};
  }

 private:
  int64_t window() const override { return c.window; }

  Value attend(const Scope& s, const QueryKeyValue& made, const Attended& given) const override {
    if (!c.by_landmarks())
      return split_heads(mix(s, made, {.heads = bert.heads, .head_size = head_size()}, given), bert.heads);
    const double scale = 1 / std::sqrt(std::sqrt(static_cast<double>(head_size())));
    const Value query = made.query * scale, key = transpose(made.key * scale, {0, 1, 3, 2});
    const Value query_marks = marks(query), key_marks = transpose(marks(made.key * scale), {0, 1, 3, 2});
    const Value to_marks = softmax(matmul(query, key_marks)), between = softmax(matmul(query_marks, key_marks));
    const Value from_marks = softmax(matmul(query_marks, key) + attention_mask(given.mask).in(s));
    return matmul(matmul(to_marks, inverse(between)), matmul(from_marks, made.value));
  }

  // Means of segments: f[batch, heads, n, d] -> f[batch, heads, landmarks, d].
  Value marks(const Value& x) const { return mean(reshape(x, {0, 0, c.landmarks, -1, head_size()}), {3}); }

  // The pseudo-inverse by six steps of an iteration, which begins with a factor that is common to the whole batch.
  Value inverse(const Value& x) const {
    Graph& g = x.graph();
    std::vector<float> ones(static_cast<size_t>(c.landmarks * c.landmarks));
    for (int64_t i = 0; i < c.landmarks; ++i) ones[static_cast<size_t>(i * (c.landmarks + 1))] = 1;
    const Value one = g.constant(DType::f32, {c.landmarks, c.landmarks}, ones);
    Value y = transpose(x, {0, 1, 3, 2}) / largest(sum(x, {2}), {0, 1, 2});
    for (int step = 0; step < 6; ++step) {
      const Value xy = matmul(x, y);
      const Value inner = one * 15.0 - matmul(xy, one * 7.0 - xy);
      y = matmul(y * 0.25, one * 13.0 - matmul(xy, inner));
    }
    return y;
  }

  const NystromConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.nystromformer",
    .name = "Nystromformer",
    .models = {{.types = {"nystromformer"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification",
                             "multiple-choice", "question-answering"},
                .make = make<NystromformerOnnxConfig>}},
})
