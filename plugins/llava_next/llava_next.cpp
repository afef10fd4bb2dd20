// SPDX-License-Identifier: Apache-2.0
// LLaVA-NeXT and LLaVA-OneVision: LLaVA for images of any size, which come as tiles. Source:
// LlavaNextForConditionalGeneration, LlavaOnevisionForConditionalGeneration and their base models, transformers 4.57
// and 5.24, of images. A video is none: its frames are pooled, and given apart.
#include <cstdlib>
#include <string>
#include <vector>

#include <onnxport/families/llava.hpp>
#include <onnxport/plugin.hpp>

#include "any_resolution.hpp"

using namespace onnxport::family;
using llava_next::AnyResolution;
using llava_next::Resolution;

namespace {

/// What a type is.
struct Relative {
  const char* type;
  LlavaDefaults otherwise;
  std::vector<Resolution> sizes;
  bool scales_down = false;  // images of many tiles, by vision_aspect_ratio
};

std::vector<Resolution> every_size(int64_t tile, int64_t most) {
  std::vector<Resolution> sizes;
  for (int64_t rows = 1; rows <= most; ++rows) {
    for (int64_t columns = 1; columns <= most; ++columns) sizes.push_back({rows * tile, columns * tile});
  }
  return sizes;
}

const Relative relatives[] = {{"llava_next", {}, {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}}},
                              {"llava_onevision",
                               {.image_token = 151646,
                                .strategy = "full",
                                .layer = -1,
                                .image_layers = 26,
                                .image = 384,
                                .vision_type = "siglip_vision_model",
                                .text_type = "qwen2"},
                               every_size(384, 6),
                               true}};

/// N of "anyres_max_N".
int64_t most_tiles(const Config& c) {
  const std::string stated = c.text("vision_aspect_ratio", "anyres_max_9"), known = "anyres_max_";
  const int64_t count = stated.starts_with(known) ? std::atoll(stated.c_str() + known.size()) : 0;
  if (count > 0) return count;
  throw Error(ONNXPORT_UNSUPPORTED,
              "config field 'vision_aspect_ratio' is \"" + stated + "\"; supported: anyres_max_N, with N above 0");
}

AnyResolution resolutions_of(const Config& c, const Relative& of, const LlavaConfig& images) {
  AnyResolution form{
      .sizes = of.sizes, .tile = images.image, .side = images.side(), .most = of.scales_down ? most_tiles(c) : 0};
  if (c.has("image_grid_pinpoints")) {
    form.sizes.clear();
    for (const Config& row : c.lists("image_grid_pinpoints")) {
      const std::vector<int64_t> size = row.integers_from(0);
      if (size.size() != 2) {
        throw Error(ONNXPORT_CONFIG, "config field 'image_grid_pinpoints' has an entry of " +
                                         std::to_string(size.size()) + " numbers; expected [height, width]");
      }
      form.sizes.push_back({size[0], size[1]});
    }
  }
  for (const Resolution& size : form.sizes) {
    for (const int64_t side : {size.height, size.width})
      require_multiple({"image_grid_pinpoints", side}, {"vision_config.image_size", form.tile});
  }
  return form;
}

class LlavaNext final : public LlavaFamily {
 public:
  explicit LlavaNext(const Request& request) : LlavaNext(request, row_of(relatives, request.model_type)) {}

  std::vector<AxisSize> axis_sizes() const override {
    std::vector<AxisSize> sizes = axes_of_square_images(c.channels, c.image);
    sizes.push_back({.axis = tiles, .usual = form.most_tiles(), .minimum = form.most_tiles()});
    return sizes;
  }
  /// Originals of several sizes.
  std::vector<DummyTensor> generate_dummy_inputs(const DummyRequest& request) const override {
    std::vector<DummyTensor> made = VisionLanguage::generate_dummy_inputs(request);
    if (!request.part.empty() && request.part != "vision_encoder") return made;
    std::vector<int64_t> sizes;
    for (int64_t i = 0; i < length(request.sizes, images); ++i)
      sizes.insert(sizes.end(), {c.image + 3 * i, 2 * c.image - i % 4});
    made.push_back(DummyTensor::of("image_sizes", DType::i64, {length(request.sizes, images), 2}, sizes));
    return made;
  }

 private:
  LlavaNext(const Request& request, const Relative& of)
      : LlavaFamily(request, request.config.with_names(image_token_names), of.otherwise),
        form(resolutions_of(request.config, of, c)) {
    request.config.no_effect({"video_token_index", "video_token_id", "use_image_newline_parameter"});
  }

  std::vector<TensorSpec> image_inputs() const override {
    return {input::pixels("pixel_values", {images, tiles, axis::num_channels, axis::height, axis::width}),
            {.name = "image_sizes", .shape = {images, 2}}};
  }
  OutputSpec image_features() const override { return {"image_features", {{0, "image_sequence"}}}; }
  /// Those of the small copies; more depend on the sizes.
  int64_t vectors_of(const std::map<std::string, int64_t>& sizes) const override {
    return length(sizes, images) * c.side() * c.side();
  }

  std::vector<Value> see(Graph& g, const Inputs& in) const override {
    const Value pixels = in.at("pixel_values");
    const Value made = vectors(g, reshape(pixels, {-1, c.channels, c.image, c.image}));
    require_a_square(made);
    const Value apart =
        reshape(made, concat({shape_of(pixels, 0, 2), shape_of(made, 1, 2), g.integers({c.text_width})}, 0));
    const Scope model = first_with("image_newline", {g.root(), g.root() / "model"});
    const Value newline = model.weight("image_newline", {c.text_width});
    return {llava_next::packed_vectors(form, apart, in.at("image_sizes"), newline)};
  }

  /// Throws CONFIG where an encoder puts out other vectors beside those of patches, or lacks one.
  void require_a_square(const Value& made) const {
    const Dim count = made.shape()[1];
    if (!count.is_static() || count.size == form.side * form.side) return;
    throw Error(ONNXPORT_CONFIG, "config field 'vision_feature_select_strategy' leaves " + std::to_string(count.size) +
                                     " vectors of a tile; expected one for each of its " +
                                     std::to_string(form.side * form.side) + " patches");
  }

  static constexpr const char* tiles = "tiles";
  const AnyResolution form;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.llava-next",
    .name = "LLaVA-NeXT and LLaVA-OneVision",
    .models = {{.types = {"llava_next", "llava_onevision"},
                .features = {"default", "vision2seq-lm", "vision2seq-lm-with-past"},
                .make = make<LlavaNext>}},
    .abi_minor_needed = 4,
})
