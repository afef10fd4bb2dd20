// SPDX-License-Identifier: Apache-2.0
// Image encoders: what their base models, classifiers and segmenters have in common at the rim.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/blocks/image_heads.hpp>
#include <onnxport/missing_head.hpp>
#include <onnxport/vision.hpp>

namespace onnxport::sdk {

/// What an encoder makes of images.
struct ImageFeatures {
  Value last;                   ///< f[batch, n, rows, columns] or tokens f[batch, sequence, n]
  std::vector<Value> stages{};  ///< f[batch, n, rows, columns] each, where a head reads them
  Value size{};                 ///< i64[2], rows and columns of the patches, where `last` is tokens
};

/// An encoder with the features of image models: default, image-classification, semantic-segmentation, depth-estimation
/// and masked-im. A model says how it encodes, and what those of the heads do that its plugin lists.
class ImageEncoder : public OnnxConfig {
 public:
  explicit ImageEncoder(const Request& request) : OnnxConfig(request), labels_(request.config.num_labels()) {}

  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override {
    if (task() == "default") {
      if (yields_tokens()) return OnnxConfig::outputs();
      std::vector<OutputSpec> specs{{"last_hidden_state", {{0, axis::batch}}}};
      if (puts_out_pooled()) specs.push_back({"pooler_output", {{0, axis::batch}}});
      return specs;
    }
    if (task() == "semantic-segmentation") return {{"logits", {{0, axis::batch}}}};
    if (task() == "depth-estimation") return {{"predicted_depth", {{0, axis::batch}}}};
    if (task() == "masked-im") return reconstruction_outputs();
    return OnnxConfig::outputs();
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope model = task() == "default" ? g.root() : g.root() / base_model_prefix();
    const ImageFeatures made = encode(model, in.at("pixel_values"));
    if (task() == "image-classification") return {{"logits", classify(model, made)}};
    if (task() == "semantic-segmentation") return {{"logits", segment(model, made)}};
    if (task() == "depth-estimation") return {{"predicted_depth", depth(model, made)}};
    if (task() == "masked-im") return {{"reconstruction", reconstruct(model, made)}};
    if (puts_out_pooled()) return {{"last_hidden_state", made.last}, {"pooler_output", pool(model, made)}};
    if (g.wants("pooler_output")) {
      if (const Value pooled = pool(model, made)) g.mark("pooler_output", pooled);
    }
    return {{"last_hidden_state", made.last}};
  }

 protected:
  /// pixels: f[batch, channels, height, width]. Marks hidden_states.{i} on its way.
  virtual ImageFeatures encode(const Scope& model, const Value& pixels) const = 0;
  /// The base model's pooler_output; absent where it has none.
  virtual Value pool(const Scope&, const ImageFeatures&) const { return {}; }
  /// Whether the base model's vectors are tokens, and their axis is called so: f[batch, sequence, n].
  virtual bool yields_tokens() const { return false; }
  /// Whether the pooled ones are an output, and not only given where it is asked for.
  virtual bool puts_out_pooled() const { return false; }
  /// -> f[batch, labels]
  virtual Value classify(const Scope& model, const ImageFeatures&) const { return missing_head(*this, model); }
  /// -> f[batch, labels, rows, columns]
  virtual Value segment(const Scope& model, const ImageFeatures&) const { return missing_head(*this, model); }
  /// -> f[batch, rows, columns]
  virtual Value depth(const Scope& model, const ImageFeatures&) const { return missing_head(*this, model); }
  /// -> f[batch, channels, height, width]
  virtual Value reconstruct(const Scope& model, const ImageFeatures&) const { return missing_head(*this, model); }

  int64_t labels() const { return labels_; }

 private:
  int64_t labels_;
};

/// A list of config.json with an entry for each stage; null and absent are the default. Throws CONFIG where it has
/// fewer than `stages` entries.
inline std::vector<int64_t> by_stage(const Config& c, std::string_view key, std::vector<int64_t> fallback,
                                     size_t stages) {
  std::vector<int64_t> values = c.has(key) ? c.integers(key) : std::move(fallback);
  if (values.size() < stages || values.empty()) {
    throw Error(ONNXPORT_CONFIG, "config field '" + std::string(key) + "' has " + std::to_string(values.size()) +
                                     " entries; expected one for each of " + std::to_string(stages) + " stages");
  }
  return values;
}

}  // namespace onnxport::sdk
