// SPDX-License-Identifier: Apache-2.0
// TextNet: convolutions of several kernels beside each other, tall ones and wide ones, for lines of text.
// Source: TextNetModel, TextNetForImageClassification and TextNetBackbone, transformers 4.57 (modeling_textnet.py).
#include <algorithm>

#include <onnxport/families/backbones.hpp>

using namespace onnxport::family;

namespace {

struct Layer {
  int64_t out;
  Extent kernel;
  int64_t stride;
};
using Stage = std::vector<Layer>;

using Kernels = std::vector<std::vector<Extent>>;
Kernels kernels_of(const Config& c) {
  constexpr const char* field = "conv_layer_kernel_sizes";
  const Extent square{3, 3}, wide{1, 3}, tall{3, 1};
  if (!c.has(field)) {
    return {{square, square, square},
            {square, wide, square, tall},
            {square, square, tall, wide},
            {square, tall, wide, square}};
  }
  Kernels kernels;
  for (const Config& stage : c.lists(field)) {
    kernels.emplace_back();
    for (const Config& kernel : stage.lists()) {
      const std::vector<int64_t> sides = kernel.integers_from(0);
      if (sides.size() != 2 || sides[0] < 1 || sides[1] < 1) {
        throw Error(ONNXPORT_CONFIG,
                    "config field 'conv_layer_kernel_sizes' has a kernel of another form; expected [height, width], "
                    "both above 0");
      }
      kernels.back().emplace_back(sides[0], sides[1]);
    }
  }
  return kernels;
}

std::vector<Stage> stages_of(const Config& c) {
  const Kernels kernels = kernels_of(c);
  std::vector<std::vector<int64_t>> strides{{1, 2, 1}, {2, 1, 1, 1}, {2, 1, 1, 1}, {2, 1, 1, 1}};
  if (c.has("conv_layer_strides")) {
    strides.clear();
    for (const Config& stage : c.lists("conv_layer_strides")) strides.push_back(stage.integers_from(0));
  }
  const auto widths = by_stage(c, "hidden_sizes", {64, 64, 128, 256, 512}, kernels.size() + 1);
  if (strides.size() < kernels.size()) {
    throw Error(ONNXPORT_CONFIG, "config field 'conv_layer_strides' has " + std::to_string(strides.size()) +
                                     " stages; 'conv_layer_kernel_sizes' has " + std::to_string(kernels.size()));
  }
  std::vector<Stage> stages(kernels.size());
  for (size_t i = 0; i < kernels.size(); ++i) {
    // As many layers as both lists have, like the original.
    for (size_t j = 0; j < std::min(kernels[i].size(), strides[i].size()); ++j)
      stages[i].push_back({widths[i + 1], kernels[i][j], strides[i][j]});
  }
  return stages;
}

class TextNet final : public ImageEncoder {
 public:
  explicit TextNet(const Request& request)
      : ImageEncoder(request),
        channels(request.config.size("stem_num_channels", 3)),
        width(request.config.size("stem_out_channels", 64)),
        kernel(request.config.size("stem_kernel_size", 3)),
        stride(request.config.size("stem_stride", 2)),
        stem_activation(request.config.is_null("stem_act_func") ? "linear"
                                                                : request.config.text("stem_act_func", "relu")),
        epsilon(request.config.real("batch_norm_eps", 1e-5)),
        stages(stages_of(request.config)),
        read(stages_read(request.config, stages.size())) {
    // Of the backbone; and any size of image goes through.
    request.config.no_effect({"image_size", "depths", "out_features", "out_indices", "stage_names"});
  }
  std::string base_model_prefix() const override { return "textnet"; }
  std::vector<OutputSpec> outputs() const override {
    return task() == "backbone" ? map_outputs(read.size()) : ImageEncoder::outputs();
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    if (task() != "backbone") return ImageEncoder::forward(g, in);
    return map_values(picked(encode(g.root() / base_model_prefix(), in.at("pixel_values")).stages, read));
  }

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    Graph& g = model.graph();
    Value x = conv2d(
        model / "stem.conv", pixels,
        {.out = width, .kernel = kernel, .stride = stride, .padding = kernel / 2, .bias = false, .in = channels});
    x = activation(batch_norm(model / "stem.batch_norm", x, epsilon), stem_activation);
    std::vector<Value> states{g.mark("hidden_states.0", x)};
    for (size_t i = 0; i < stages.size(); ++i) {
      const Scope stage = model / "encoder.stages" / static_cast<int64_t>(i) / "stage";
      for (size_t j = 0; j < stages[i].size(); ++j) x = layer(stage / static_cast<int64_t>(j), x, stages[i][j]);
      states.push_back(g.mark("hidden_states." + std::to_string(i + 1), x));
    }
    return {.last = x, .stages = states};
  }
  Value pool(const Scope&, const ImageFeatures& made) const override {
    return reshape(adaptive_average_pool(made.last, 2), {0, made.last.fixed(1), 2, 2});
  }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "fc", mean_of_image(made.last), {.out = labels()});
  }

  // The sum of a convolution, of one as tall and one as wide as it, and of what they read, each normed.
  Value layer(const Scope& s, const Value& x, const Layer& of) const {
    const auto seen = [&](const std::string& name, const Extent& size) {
      const Value y = conv2d(s / (name + "_conv"), x,
                             {.out = of.out,
                              .kernel = size,
                              .stride = of.stride,
                              .padding = {(size.height - 1) / 2, (size.width - 1) / 2},
                              .bias = false});
      return batch_norm(s / (name + "_batch_norm"), y, epsilon);
    };
    Value sum = seen("main", of.kernel);
    if (of.kernel.width != 1) sum = sum + seen("vertical", {of.kernel.height, 1});
    if (of.kernel.height != 1) sum = sum + seen("horizontal", {1, of.kernel.width});
    if (x.fixed(1) == of.out && of.stride == 1) sum = sum + batch_norm(s / "rbr_identity", x, epsilon);
    return relu(sum);
  }

  int64_t channels, width, kernel, stride;  // of the stem
  std::string stem_activation;
  double epsilon;
  const std::vector<Stage> stages;
  const std::vector<size_t> read;  // of a backbone
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.textnet",
    .name = "TextNet",
    .models = {{.types = {"textnet"},
                .features = {"default", "image-classification", "backbone"},
                .make = make<TextNet>}},
})
