// SPDX-License-Identifier: Apache-2.0
// All families that other models see images through, and each by itself, as AutoBackbone of transformers loads it.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <onnxport/backbone.hpp>
#include <onnxport/families/beit.hpp>
#include <onnxport/families/bit.hpp>
#include <onnxport/families/convnext.hpp>
#include <onnxport/families/convolutional_backbones.hpp>
#include <onnxport/families/dinov2.hpp>
#include <onnxport/families/swin_backbone.hpp>

namespace onnxport::family {

inline constexpr KnownBackbone backbones[] = {
    {"beit", beit_backbone},
    {"bit", bit_backbone},
    {"convnext", convnext_backbone},
    {"convnextv2", convnext_backbone},
    {"dinov2", dinov2_backbone},
    {"dinov2_with_registers", dinov2_backbone},
    {"resnet", resnet_backbone},
    {"rt_detr_resnet", rt_detr_resnet_backbone},
    {"hgnet_v2", hgnet_v2_backbone},
    {"swin", swin_backbone},
    {"maskformer-swin", maskformer_swin_backbone},
};

/// How many stages a config names, see stages_read().
inline size_t count_of_stages_read(const Config& c) {
  const std::vector<std::string> named = c.texts("out_features");
  const std::vector<int64_t> numbered = c.integers("out_indices");
  const size_t count = named.empty() ? std::set<int64_t>(numbered.begin(), numbered.end()).size()
                                     : std::set<std::string>(named.begin(), named.end()).size();
  return std::max<size_t>(1, count);
}

/// The outputs of the feature "backbone": feature_maps.0, feature_maps.1, … of the stages that are read.
inline std::vector<OutputSpec> map_outputs(size_t count) {
  std::vector<OutputSpec> specs;
  for (size_t i = 0; i < count; ++i) specs.push_back({"feature_maps." + std::to_string(i), {{0, axis::batch}}});
  return specs;
}
/// These stages under those names.
inline Outputs map_values(const std::vector<Value>& stages) {
  Outputs made;
  for (size_t i = 0; i < stages.size(); ++i) made.emplace_back("feature_maps." + std::to_string(i), stages[i]);
  return made;
}

/// The feature "backbone" of a type of the table above. Source: the classes that are called …Backbone.
class BackboneModel final : public OnnxConfig {
 public:
  explicit BackboneModel(const Request& request)
      : OnnxConfig(request),
        backbone_(one_of(request.model_type).make(request.config)),
        maps_(count_of_stages_read(request.config)) {}

  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override { return map_outputs(maps_); }
  Outputs forward(Graph& g, const Inputs& in) const override {
    return map_values(backbone_(g.root(), in.at("pixel_values")).stages);
  }

 private:
  static const KnownBackbone& one_of(const std::string& type) {
    for (const KnownBackbone& one : backbones) {
      if (one.type == type) return one;
    }
    throw Error(ONNXPORT_UNSUPPORTED, "the model type '" + type + "' is not known as a backbone");
  }
  const sdk::Backbone backbone_;
  const size_t maps_;
};

/// A model of class T, or the backbone that it is.
template <class T>
std::unique_ptr<OnnxConfig> make_with_backbone(const Request& request) {
  return request.feature == "backbone" ? make<BackboneModel>(request) : make<T>(request);
}

}  // namespace onnxport::family
