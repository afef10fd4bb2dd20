// SPDX-License-Identifier: Apache-2.0
// Models of blocks that widen, look around in every channel by itself, and narrow: MobileNet V2 and V3, EfficientNet,
// its Lite form and V2. Source: EfficientNet and MobileNetV3 of timm 1.0 (efficientnet.py, mobilenetv3.py,
// _efficientnet_builder.py, _efficientnet_blocks.py).
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "inverted_residual_kinds.hpp"
#include "model.hpp"

namespace timm {

class InvertedResiduals final : public Model {
 public:
  InvertedResiduals(const Scaled& model, bool of_tensorflow, int64_t channels)
      : kind_(kind_of(model.kind)), model_(model), tensorflow_(of_tensorflow), channels_(channels) {}

  Value features(const Scope& model, const Value& pixels) const override {
    Value x =
        convolved(model / "conv_stem", model / "bn1", pixels, {stem_width(), 3, 2, 1, channels_}, kind_.activation);
    model.graph().mark("hidden_states.0", x);
    const std::vector<std::vector<Blocks>> stages = laid_out();
    for (size_t i = 0; i < stages.size(); ++i) {
      const Scope stage = model / "blocks" / static_cast<int64_t>(i);
      for (size_t j = 0; j < stages[i].size(); ++j) x = block(stage / static_cast<int64_t>(j), x, stages[i][j]);
      model.graph().mark("hidden_states." + std::to_string(i + 1), x);
    }
    if (kind_.third) return x;
    return convolved(model / "conv_head", model / "bn2", x, {head_width(), 1, 1, 1}, kind_.activation);
  }
  Value pooled(const Scope& model, const Value& features) const override {
    if (!kind_.third) return mean_of_image(features);
    const Value head = conv2d(model / "conv_head", global_average_pool(features), {.out = kind_.head});
    return reshape(activated(head, kind_.activation), {0, kind_.head});
  }
  std::string classifier() const override { return "classifier"; }

 private:
  struct Convolution {
    int64_t out, kernel, stride, groups, in = 0;
  };

  // The nearest multiple of 8, but not much less. Source: make_divisible of timm.
  static int64_t divisible(double width, double lowest = 0.9) {
    const int64_t nearest = std::max<int64_t>(8, static_cast<int64_t>(width + 4) / 8 * 8);
    return static_cast<double>(nearest) < lowest * width ? nearest + 8 : nearest;
  }
  int64_t widened(int64_t width) const { return divisible(static_cast<double>(width) * model_.wider, kind_.lowest); }
  int64_t stem_width() const {
    return kind_.keeps_stem || (kind_.third && model_.wider < 0.75) ? kind_.stem : widened(kind_.stem);
  }
  int64_t head_width() const {
    if (kind_.keeps_stem) return kind_.head;
    return kind_.never_narrows ? std::max(kind_.head, widened(kind_.head)) : widened(kind_.head);
  }

  // Every block of each stage, as deep as the model is. What a stage has more goes to its last blocks first.
  // Source: _scale_stage_depth.
  std::vector<std::vector<Blocks>> laid_out() const {
    std::vector<std::vector<Blocks>> all;
    for (size_t i = 0; i < kind_.stages.size(); ++i) {
      const std::vector<Blocks>& rows = kind_.stages[i];
      const bool is_end = i == 0 || i + 1 == kind_.stages.size();
      const double deeper = kind_.keeps_stem && is_end ? 1 : model_.deeper;
      int64_t count = 0;
      for (const Blocks& row : rows) count += row.repeats;
      auto scaled_count = static_cast<int64_t>(std::ceil(static_cast<double>(count) * deeper));
      std::vector<int64_t> repeats(rows.size());
      for (size_t j = rows.size(); j-- > 0;) {
        const double share = static_cast<double>(rows[j].repeats) / static_cast<double>(count);
        repeats[j] = std::max<int64_t>(1, std::llrint(share * static_cast<double>(scaled_count)));
        count -= rows[j].repeats;
        scaled_count -= repeats[j];
      }
      std::vector<Blocks>& stage = all.emplace_back();
      for (size_t j = 0; j < rows.size(); ++j) stage.insert(stage.end(), static_cast<size_t>(repeats[j]), rows[j]);
      for (size_t j = 1; j < stage.size(); ++j) stage[j].stride = 1;
    }
    return all;
  }

  Value block(const Scope& s, const Value& x, const Blocks& b) const {
    const int64_t in = x.fixed(1), out = widened(b.width);
    const int64_t middle = divisible(static_cast<double>(in) * b.expansion);
    const std::string& act = b.relu ? relu_ : kind_.activation;
    Value h = x;
    switch (b.form) {
      case Form::plain:
        h = convolved(s / "conv", s / "bn1", x, {out, b.kernel, b.stride, 1}, act);
        break;
      case Form::separable:
        h = convolved(s / "conv_dw", s / "bn1", x, {in, b.kernel, b.stride, in}, act);
        h = weighed(s / "se", h, b, act);
        h = convolved(s / "conv_pw", s / "bn2", h, {out, 1, 1, 1}, {});
        break;
      case Form::inverted:
        h = convolved(s / "conv_pw", s / "bn1", x, {middle, 1, 1, 1}, act);
        h = convolved(s / "conv_dw", s / "bn2", h, {middle, b.kernel, b.stride, middle}, act);
        h = weighed(s / "se", h, b, act);
        h = convolved(s / "conv_pwl", s / "bn3", h, {out, 1, 1, 1}, {});
        break;
      case Form::edge:
        h = convolved(s / "conv_exp", s / "bn1", x, {middle, b.kernel, b.stride, 1}, act);
        h = convolved(s / "conv_pwl", s / "bn2", h, {out, 1, 1, 1}, {});
        break;
    }
    // A plain one of MobileNet's stands alone; those of EfficientNet V2 have a shortcut.
    const bool joined = b.stride == 1 && in == out && (b.form != Form::plain || !kind_.third);
    return joined ? (h + x).in(s) : h;
  }

  // A convolution, normed by the statistics of the training.
  Value convolved(const Scope& convolution, const Scope& norm, const Value& x, const Convolution& c,
                  const std::string& act) const {
    const Value h = conv2d(convolution, x,
                           {.out = c.out,
                            .kernel = c.kernel,
                            .stride = c.stride,
                            .padding = tensorflow_ ? 0 : c.kernel / 2,
                            .same = tensorflow_ && c.kernel > 1,
                            .groups = c.groups,
                            .bias = false,
                            .in = c.in});
    const Value normed = batch_norm(norm, h, tensorflow_ ? 1e-3 : 1e-5);
    return act.empty() ? normed : activated(normed, act);
  }

  // Channels weighed by what the whole image holds. Source: SqueezeExcite.
  Value weighed(const Scope& s, const Value& x, const Blocks& b, const std::string& act) const {
    if (b.squeeze == 0) return x;
    const auto wide = static_cast<double>(x.fixed(1));
    // Of what the block read, or in MobileNet V3 of what it was widened to.
    const int64_t narrow = kind_.third ? divisible(wide * b.squeeze) : std::llrint(wide * (b.squeeze / b.expansion));
    Value h = conv2d(s / "conv_reduce", global_average_pool(x), {.out = narrow});
    h = conv2d(s / "conv_expand", kind_.third ? relu(h) : activated(h, act), {.out = x.fixed(1)});
    const Value weights =
        kind_.third ? x.graph().op("HardSigmoid", {h}, {{"alpha", 1.0 / 6}, {"beta", 0.5}}) : sigmoid(h);
    return (x * weights).in(s.parent());
  }

  static Value activated(const Value& x, const std::string& name) {
    return name == "hard_swish" ? x.graph().op("HardSwish", {x}) : activation(x, name);
  }

  static inline const std::string relu_ = "relu";
  const Kind& kind_;
  const Scaled model_;
  const bool tensorflow_;  // padded as there, and normed with its epsilon
  const int64_t channels_;
};

/// The model of that name, or none. Those that were trained with TensorFlow have names of their own.
inline Made inverted_residuals(const Asked& asked) {
  const bool of_tensorflow = asked.name.starts_with("tf_");
  const std::string name = of_tensorflow ? asked.name.substr(3) : asked.name;
  for (const Scaled& model : scaled) {
    if (name == model.name)
      return std::make_unique<InvertedResiduals>(model, of_tensorflow, asked.arguments.size("in_chans", 3));
  }
  return {};
}

}  // namespace timm
