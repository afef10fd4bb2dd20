// SPDX-License-Identifier: Apache-2.0
// GLPN: depths by SegFormer's encoder. Source: GLPNModel and GLPNForDepthEstimation, transformers 4.57
// (modeling_glpn.py).
#include <onnxport/families/segformer.hpp>

using namespace onnxport::family;

namespace {

class Glpn final : public ImageEncoder {
 public:
  explicit Glpn(const Request& request)
      : ImageEncoder(request),
        encoder(request.config),
        width(request.config.size("decoder_hidden_size", 64)),
        deepest(request.config.real("max_depth", 10)),
        read(request.config.integer("head_in_index", -1)) {
    const auto stages = static_cast<int64_t>(encoder.stages);
    if (read < -stages || read >= stages) {
      throw Error(ONNXPORT_CONFIG, "config field 'head_in_index' is " + std::to_string(read) +
                                       "; expected one of the " + std::to_string(stages) + " stages of the decoder");
    }
  }
  std::string base_model_prefix() const override { return "glpn"; }

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    ImageFeatures made = encoder(model, pixels);
    made.last = made.stages.back();
    return made;
  }

  // From the coarsest stage to the finest, each joined to what came before it and made twice as large.
  Value depth(const Scope& model, const ImageFeatures& made) const override {
    const Scope root = model.graph().root();
    const size_t count = made.stages.size();
    const size_t wanted = static_cast<size_t>(read < 0 ? read + static_cast<int64_t>(count) : read);
    std::vector<Value> decoded;
    for (size_t i = 0; i < count; ++i) {
      const Scope stage = root / "decoder.stages" / static_cast<int64_t>(i);
      Value x = made.stages[count - 1 - i];
      if (x.fixed(1) != width) x = conv2d(stage / "convolution", x, {.out = width});
      if (i > 0) x = fuse(stage / "fusion", x, decoded.back());
      // To the size of the next finer stage, which is twice this one's.
      const InterpolateOptions how{.how = Interpolation::bilinear};
      x = i + 1 < count ? interpolate(x, shape_of(made.stages[count - 2 - i], 2, 4), how)
                        : interpolate(interpolate(x, {2, 2}, how), {2, 2}, how);
      decoded.push_back(x);
    }
    const Scope head = root / "head.head";
    const ConvOptions last{.out = 1, .kernel = 3, .padding = 1};
    const Value h = relu(conv2d(head / 0, decoded[wanted], {.out = width, .kernel = 3, .padding = 1}));
    return squeeze(sigmoid(conv2d(head / 2, h, last)) * deepest, {1});
  }

  // A pixel's weights of what is near and of what is far. Source: GLPNSelectiveFeatureFusion.
  Value fuse(const Scope& s, const Value& local, const Value& global) const {
    const auto block = [&](const char* name, const Value& x, int64_t out) {
      const Scope layer = s / name;
      return relu(batch_norm(layer / 1, conv2d(layer / 0, x, {.out = out, .kernel = 3, .padding = 1})));
    };
    Value h = block("convolutional_layer1", concat({local, global}, 1), width);
    h = block("convolutional_layer2", h, width / 2);
    h = sigmoid(conv2d(s / "convolutional_layer3", h, {.out = 2, .kernel = 3, .padding = 1}));
    const std::vector<Value> shares = split(h, 1, {1, 1});
    return local * shares[0] + global * shares[1];
  }

  const SegformerEncoder encoder;
  int64_t width;
  double deepest;
  int64_t read;  // the decoder's stage that the head reads
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.glpn",
    .name = "GLPN",
    .models = {{.types = {"glpn"}, .features = {"default", "depth-estimation"}, .make = make<Glpn>}},
})
