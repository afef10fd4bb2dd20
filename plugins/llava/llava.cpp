// SPDX-License-Identifier: Apache-2.0
// LLaVA: images of one size, whose patches stand in the text as they come. Source: LlavaForConditionalGeneration,
// transformers 4.57 and 5.24.
#include <onnxport/families/llava.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::family;

namespace {

class Llava final : public LlavaFamily {
 public:
  explicit Llava(const Request& request) : LlavaFamily(request, request.config.with_names(image_token_names), {}) {}

  std::vector<AxisSize> axis_sizes() const override { return axes_of_square_images(c.channels, c.image); }

 private:
  OutputSpec image_features() const override { return {"image_features", {{0, images}, {1, "image_sequence"}}}; }
  int64_t vectors_of(const std::map<std::string, int64_t>& sizes) const override {
    return length(sizes, images) * (c.side() * c.side() + (c.keeps_first ? 1 : 0));
  }
  std::vector<Value> see(Graph& g, const Inputs& in) const override { return {vectors(g, in.at("pixel_values"))}; }
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.llava",
    .name = "LLaVA",
    .models = {{.types = {"llava"}, .features = {"vision2seq-lm", "vision2seq-lm-with-past"}, .make = make<Llava>}},
    .abi_minor_needed = 4,
})
