// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "core/dummy/preprocessor_files.hpp"

namespace onnxport::dummy {
namespace {

namespace fs = std::filesystem;
using PlainJson = nlohmann::json;

/// Whether a step is taken; null, as newer versions write it, is no.
bool step(const PlainJson& json, const char* key, bool where_absent) {
  const auto found = json.find(key);
  if (found == json.end()) return where_absent;
  return found->is_boolean() && found->get<bool>();
}

/// A size in its forms: 224, {"height", "width"}, {"shortest_edge"} (of which the other side depends on the image, so a
/// square is taken), {"max_height", "max_width"}.
void read_image_size(const PlainJson& size, Preprocessor& out) {
  if (size.is_number_integer()) out.image_height = out.image_width = size.get<int64_t>();
  if (!size.is_object()) return;
  const auto side = [&](const char* key) -> std::optional<int64_t> {
    const auto found = size.find(key);
    return found != size.end() && found->is_number_integer() ? std::optional(found->get<int64_t>()) : std::nullopt;
  };
  if (const auto edge = side("shortest_edge")) out.image_height = out.image_width = *edge;
  for (const char* prefix : {"max_", ""}) {
    if (const auto height = side((std::string(prefix) + "height").c_str())) out.image_height = *height;
    if (const auto width = side((std::string(prefix) + "width").c_str())) out.image_width = *width;
  }
}

/// One number for all channels, or one each.
std::vector<double> channel_values(const PlainJson& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end()) return {};
  if (found->is_number()) return {found->get<double>()};
  return found->is_array() ? found->get<std::vector<double>>() : std::vector<double>();
}

/// Where pixels of 0 and 255 end up: times 1/255 by default, less the mean, by the deviation.
void read_pixel_range(const PlainJson& json, Preprocessor& out) {
  const std::vector<double> factor = channel_values(json, "rescale_factor");
  const double white = step(json, "do_rescale", true) ? 255 * (factor.empty() ? 1.0 / 255 : factor[0]) : 255;
  const std::vector<double> mean = channel_values(json, "image_mean"), deviation = channel_values(json, "image_std");
  if (json.contains("image_mean") && json["image_mean"].is_array()) out.channels = static_cast<int64_t>(mean.size());
  if (!step(json, "do_normalize", !mean.empty())) {
    out.pixel_range = {{0.0F, static_cast<float>(white)}};
    return;
  }
  if (mean.empty() || mean.size() != deviation.size()) return;
  for (size_t i = 0; i < mean.size(); ++i) {
    if (deviation[i] <= 0) return out.pixel_range.clear();
    out.pixel_range.emplace_back(static_cast<float>(-mean[i] / deviation[i]),
                                 static_cast<float>((white - mean[i]) / deviation[i]));
  }
}

}  // namespace

bool read_image_processor(const fs::path& folder, Preprocessor& out) {
  const PlainJson json = parse_object(folder / "preprocessor_config.json");
  if (json.empty()) return false;
  // The crop comes after the resize, so it decides the size where there is one. Without either, images come as they
  // are.
  if (json.contains("size") && step(json, "do_resize", true)) read_image_size(json["size"], out);
  if (json.contains("crop_size") && step(json, "do_center_crop", true)) read_image_size(json["crop_size"], out);
  read_pixel_range(json, out);
  return true;
}

}  // namespace onnxport::dummy
