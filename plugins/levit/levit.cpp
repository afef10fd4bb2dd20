// SPDX-License-Identifier: Apache-2.0
// LeViT: convolutions, then attention with a learnt bias for every distance, and between stages an attention whose
// queries are every other patch. Source: LevitModel, LevitForImageClassification and
// LevitForImageClassificationWithTeacher, transformers 4.57 (modeling_levit.py).
#include <algorithm>

#include <onnxport/blocks/distance_attention.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

/// An attention with its feed-forward.
struct Form {
  int64_t key, heads, value, ratio;  ///< value: so many keys wide; ratio: of the feed-forward, 0 for none
};
/// What leads from a stage to the next one.
struct Step {
  Form form;
  int64_t stride;
};

/// Between stages: what down_ops says, which is read since version 5; before, it followed from the other fields.
/// Source: LevitConfig.
std::vector<Step> steps_of(const Config& c, const std::vector<int64_t>& keys, const std::vector<int64_t>& widths) {
  std::vector<Step> steps;
  const std::vector<Config> given = c.lists("down_ops");
  if (given.empty() || !c.written_since(5, 0)) {
    for (size_t i = 0; i < 2 && i < widths.size(); ++i)
      steps.push_back({{.key = keys[0], .heads = widths[i] / keys[0], .value = 4, .ratio = 2}, 2});
    return steps;
  }
  for (const Config& row : given) {
    if (row.text_at(0) != "Subsample") continue;
    const std::vector<int64_t> numbers = row.integers_from(1);
    if (numbers.size() != 5 || *std::min_element(numbers.begin(), numbers.end() - 2) < 1 || numbers[4] < 1) {
      throw Error(ONNXPORT_CONFIG,
                  "config field 'down_ops' has a \"Subsample\" of another form; expected key width, heads, attention "
                  "ratio, feed-forward ratio and stride behind it");
    }
    steps.push_back({{.key = numbers[0], .heads = numbers[1], .value = numbers[2], .ratio = numbers[3]}, numbers[4]});
  }
  return steps;
}

struct LevitConfig {
  explicit LevitConfig(const Config& c)
      : image(c.size("image_size", 224)),
        channels(c.size("num_channels", 3)),
        kernel(c.size("kernel_size", 3)),
        stride(c.size("stride", 2)),
        padding(c.count("padding", 1)),
        side(image / c.size("patch_size", 16)),
        widths(by_stage(c, "hidden_sizes", {128, 256, 384}, 1)),
        depths(by_stage(c, "depths", {4, 4, 4}, 1)) {
    c.no_effect({"drop_path_rate"});  // of training
    const size_t stages = depths.size();
    const auto keys = by_stage(c, "key_dim", {16, 16, 16}, stages);
    const auto heads = by_stage(c, "num_attention_heads", {4, 8, 12}, stages);
    const auto values = by_stage(c, "attention_ratio", {2, 2, 2}, stages);
    const auto ratios = by_stage(c, "mlp_ratio", {2, 2, 2}, stages);
    if (widths.size() < stages) throw Error(ONNXPORT_CONFIG, "config field 'hidden_sizes' is shorter than 'depths'");
    for (size_t i = 0; i < stages; ++i)
      forms.push_back({.key = keys[i], .heads = heads[i], .value = values[i], .ratio = ratios[i]});
    steps = steps_of(c, keys, widths);
    if (steps.size() + 1 < stages) {
      throw Error(ONNXPORT_CONFIG, "config field 'down_ops' leads to " + std::to_string(steps.size() + 1) +
                                       " stages; 'depths' has " + std::to_string(stages));
    }
    if (side == 0) throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than image_size");
  }

  int64_t image, channels, kernel, stride, padding;
  int64_t side;  // how many patches an image has on a side
  std::vector<int64_t> widths, depths;
  std::vector<Form> forms;
  std::vector<Step> steps;
};

class Levit final : public ImageEncoder {
 public:
  explicit Levit(const Request& request) : ImageEncoder(request), c(request.config) {
    const std::vector<std::string> classes = request.config.texts("architectures");
    with_teacher = std::count(classes.begin(), classes.end(), "LevitForImageClassificationWithTeacher") > 0;
  }
  std::string base_model_prefix() const override { return "levit"; }
  // Biases are learnt for the distances in an image of one size.
  std::vector<TensorSpec> inputs() const override { return {pixel_values(c.image)}; }

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    model.graph().unused("*attention_bias_idxs");
    Value x = tokens_of(embed(model / "patch_embeddings", pixels));
    int64_t side = c.side;
    for (size_t i = 0; i < c.depths.size(); ++i) {
      const Scope layers = model / "encoder.stages" / static_cast<int64_t>(i) / "layers";
      int64_t layer = 0;
      model.graph().mark("hidden_states." + std::to_string(i), x);
      for (int64_t j = 0; j < c.depths[i]; ++j) {
        x = x + attend(layers / layer++ / "module", x, c.forms[i], side);
        x = feed(layers, layer, x, c.forms[i].ratio);
      }
      if (i + 1 == c.depths.size()) break;
      const int64_t smaller = (side - 1) / c.steps[i].stride + 1;
      x = step(layers / layer++, x, c.steps[i], {side, smaller, c.widths[i + 1]});
      x = feed(layers, layer, x, c.steps[i].form.ratio);
      side = smaller;
    }
    return {x};
  }
  Value pool(const Scope&, const ImageFeatures& made) const override { return mean(made.last, {1}); }
  // With the teacher's head: the mean of two classifiers.
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    const Scope root = model.graph().root();
    const Value vector = mean(made.last, {1});
    const auto scores = [&](const Scope& s) {
      return linear(s / "linear", batch_norm(s / "batch_norm", vector), {.out = labels()});
    };
    const Value own = scores(root / "classifier");
    if (!with_teacher) return own;
    const Value distilled = scores(root / "classifier_distill");
    model.graph().mark("cls_logits", own);
    model.graph().mark("distillation_logits", distilled);
    return (own + distilled) / 2.0;
  }

  // Four convolutions, each but the first twice as wide as the one before.
  Value embed(const Scope& s, Value x) const {
    for (int64_t i = 1; i <= 4; ++i) {
      const Scope layer = s / ("embedding_layer_" + std::to_string(i));
      x = conv2d(layer / "convolution", x,
                 {.out = c.widths[0] >> (4 - i),
                  .kernel = c.kernel,
                  .stride = c.stride,
                  .padding = c.padding,
                  .bias = false,
                  .in = i == 1 ? c.channels : 0});
      x = batch_norm(layer / "batch_norm", x).in(s);
      if (i < 4) x = activated(x);
    }
    return x;
  }
  static Value activated(const Value& x) { return x.graph().op("HardSwish", {x}); }

  // A layer whose results are normed: f[batch, n, width] -> f[batch, n, out].
  static Value normed(const Scope& s, const Value& x, int64_t out) {
    const Value y = linear(s / "linear", x, {.out = out, .bias = false});
    return reshape(batch_norm(s / "batch_norm", reshape(y, {-1, out})), {-1, x.fixed(1), out}).in(s.parent());
  }
  // A feed-forward, added to what it read; the layer's number is counted on where there is one.
  static Value feed(const Scope& layers, int64_t& layer, const Value& x, int64_t ratio) {
    if (ratio <= 0) return x;
    const Scope s = layers / layer++ / "module";
    const int64_t width = x.fixed(2);
    return x + normed(s / "linear_down", activated(normed(s / "linear_up", x, width * ratio)), width).in(layers);
  }

  // Every place to every other one.
  static Value attend(const Scope& s, const Value& x, const Form& form, int64_t side) {
    const int64_t value = form.value * form.key;
    const Value all = normed(s / "queries_keys_values", x, form.heads * (2 * form.key + value));
    const std::vector<Value> made = split_parts_of_heads(all, form.heads, {form.key, form.key, value});
    const Value bias = distance_bias(s, {form.heads, side, side});
    const Value mixed = attention(made[0], made[1], made[2], {.heads = form.heads, .bias = bias}).mixed;
    return normed(s / "projection", activated(mixed), x.fixed(2)).in(s.parent());
  }

  struct Sides {
    int64_t before, behind;
    int64_t width;  // behind
  };
  // Queries of every so many rows and columns.
  static Value step(const Scope& s, const Value& x, const Step& step, const Sides& sides) {
    const Form& form = step.form;
    const int64_t value = form.value * form.key, width = x.fixed(2);
    const Value all = normed(s / "keys_values", x, form.heads * (form.key + value));
    const std::vector<Value> made = split_parts_of_heads(all, form.heads, {form.key, value});
    const Value image = reshape(x, {-1, sides.before, sides.before, width});
    const Value fewer =
        s.op("Slice", {image},
             {{"starts", {0, 0}}, {"ends", {to_end, to_end}}, {"axes", {1, 2}}, {"steps", {step.stride, step.stride}}});
    const Value asked = reshape(fewer, {-1, sides.behind * sides.behind, width});
    const Value query = normed(s / "queries", asked, form.heads * form.key);
    const Value bias = distance_bias(s, {form.heads, sides.before, sides.behind, step.stride});
    const Value mixed = attention(query, made[0], made[1], {.heads = form.heads, .bias = bias}).mixed;
    return normed(s / "projection", activated(mixed), sides.width).in(s.parent());
  }

  const LevitConfig c;
  bool with_teacher;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.levit",
    .name = "LeViT",
    .models = {{.types = {"levit"},
                .features = {"default", "image-classification"},
                .architectures = {{"LevitForImageClassificationWithTeacher", "image-classification"}},
                .make = make<Levit>}},
})
