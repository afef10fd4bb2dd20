// SPDX-License-Identifier: Apache-2.0
// Which blocks the families of inverted residuals are made of, and which models of each there are. Source: the
// generators of timm 1.0 (_gen_mobilenet_v3, _gen_mobilenet_v2, _gen_efficientnet, _gen_efficientnet_lite,
// _gen_efficientnetv2_*).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace timm {

enum class Form { separable, inverted, edge, plain };

/// Blocks alike, the first of which may get smaller.
struct Blocks {
  Form form;
  int64_t repeats, kernel, stride;
  double expansion;
  int64_t width;
  double squeeze = 0;  ///< how narrow the weighing of channels gets; 0: they are not weighed
  bool relu = false;   ///< whatever the model's activation is
};
using Stages = std::vector<std::vector<Blocks>>;

/// What the models of a family have in common.
struct Kind {
  Stages stages;
  std::string activation;
  int64_t stem, head;
  bool third = false;          ///< MobileNet V3: the head stands behind the pooling, and channels are weighed otherwise
  bool keeps_stem = false;     ///< widths of the stem and the head, and the ends' depths, are not multiplied
  bool never_narrows = false;  ///< the head is not made narrower
  double lowest = 0.9;         ///< of a width, where it is rounded down
};

inline const Kind& kind_of(const std::string& name) {
  using enum Form;
  static const Stages small_v3{{{separable, 1, 3, 2, 1, 16, 0.25, true}},
                               {{inverted, 1, 3, 2, 4.5, 24, 0, true}, {inverted, 1, 3, 1, 3.67, 24, 0, true}},
                               {{inverted, 1, 5, 2, 4, 40, 0.25}, {inverted, 2, 5, 1, 6, 40, 0.25}},
                               {{inverted, 2, 5, 1, 3, 48, 0.25}},
                               {{inverted, 3, 5, 2, 6, 96, 0.25}},
                               {{plain, 1, 1, 1, 1, 576}}};
  static const Stages small_minimal{{{separable, 1, 3, 2, 1, 16}},
                                    {{inverted, 1, 3, 2, 4.5, 24}, {inverted, 1, 3, 1, 3.67, 24}},
                                    {{inverted, 1, 3, 2, 4, 40}, {inverted, 2, 3, 1, 6, 40}},
                                    {{inverted, 2, 3, 1, 3, 48}},
                                    {{inverted, 3, 3, 2, 6, 96}},
                                    {{plain, 1, 1, 1, 1, 576}}};
  static const Stages large_v3{{{separable, 1, 3, 1, 1, 16, 0, true}},
                               {{inverted, 1, 3, 2, 4, 24, 0, true}, {inverted, 1, 3, 1, 3, 24, 0, true}},
                               {{inverted, 3, 5, 2, 3, 40, 0.25, true}},
                               {{inverted, 1, 3, 2, 6, 80}, {inverted, 1, 3, 1, 2.5, 80}, {inverted, 2, 3, 1, 2.3, 80}},
                               {{inverted, 2, 3, 1, 6, 112, 0.25}},
                               {{inverted, 3, 5, 2, 6, 160, 0.25}},
                               {{plain, 1, 1, 1, 1, 960}}};
  static const Stages large_minimal{
      {{separable, 1, 3, 1, 1, 16}},
      {{inverted, 1, 3, 2, 4, 24}, {inverted, 1, 3, 1, 3, 24}},
      {{inverted, 3, 3, 2, 3, 40}},
      {{inverted, 1, 3, 2, 6, 80}, {inverted, 1, 3, 1, 2.5, 80}, {inverted, 2, 3, 1, 2.3, 80}},
      {{inverted, 2, 3, 1, 6, 112}},
      {{inverted, 3, 3, 2, 6, 160}},
      {{plain, 1, 1, 1, 1, 960}}};
  static const Stages v2{{{separable, 1, 3, 1, 1, 16}}, {{inverted, 2, 3, 2, 6, 24}}, {{inverted, 3, 3, 2, 6, 32}},
                         {{inverted, 4, 3, 2, 6, 64}},  {{inverted, 3, 3, 1, 6, 96}}, {{inverted, 3, 3, 2, 6, 160}},
                         {{inverted, 1, 3, 1, 6, 320}}};
  const auto efficient = [](double squeeze) {
    return Stages{{{separable, 1, 3, 1, 1, 16, squeeze}}, {{inverted, 2, 3, 2, 6, 24, squeeze}},
                  {{inverted, 2, 5, 2, 6, 40, squeeze}},  {{inverted, 3, 3, 2, 6, 80, squeeze}},
                  {{inverted, 3, 5, 1, 6, 112, squeeze}}, {{inverted, 4, 5, 2, 6, 192, squeeze}},
                  {{inverted, 1, 3, 1, 6, 320, squeeze}}};
  };
  static const Stages base_2{{{plain, 1, 3, 1, 1, 16}},
                             {{edge, 2, 3, 2, 4, 32}},
                             {{edge, 2, 3, 2, 4, 48}},
                             {{inverted, 3, 3, 2, 4, 96, 0.25}},
                             {{inverted, 5, 3, 1, 6, 112, 0.25}},
                             {{inverted, 8, 3, 2, 6, 192, 0.25}}};
  static const Stages s_2{{{plain, 2, 3, 1, 1, 24}},
                          {{edge, 4, 3, 2, 4, 48}},
                          {{edge, 4, 3, 2, 4, 64}},
                          {{inverted, 6, 3, 2, 4, 128, 0.25}},
                          {{inverted, 9, 3, 1, 6, 160, 0.25}},
                          {{inverted, 15, 3, 2, 6, 256, 0.25}}};
  static const Stages rw_s_2{{{edge, 2, 3, 1, 1, 24}},
                             {{edge, 4, 3, 2, 4, 48}},
                             {{edge, 4, 3, 2, 4, 64}},
                             {{inverted, 6, 3, 2, 4, 128, 0.25}},
                             {{inverted, 9, 3, 1, 6, 160, 0.25}},
                             {{inverted, 15, 3, 2, 6, 272, 0.25}}};
  static const Stages m_2{{{plain, 3, 3, 1, 1, 24}},
                          {{edge, 5, 3, 2, 4, 48}},
                          {{edge, 5, 3, 2, 4, 80}},
                          {{inverted, 7, 3, 2, 4, 160, 0.25}},
                          {{inverted, 14, 3, 1, 6, 176, 0.25}},
                          {{inverted, 18, 3, 2, 6, 304, 0.25}},
                          {{inverted, 5, 3, 1, 6, 512, 0.25}}};
  static const Stages l_2{{{plain, 4, 3, 1, 1, 32}},
                          {{edge, 7, 3, 2, 4, 64}},
                          {{edge, 7, 3, 2, 4, 96}},
                          {{inverted, 10, 3, 2, 4, 192, 0.25}},
                          {{inverted, 19, 3, 1, 6, 224, 0.25}},
                          {{inverted, 25, 3, 2, 6, 384, 0.25}},
                          {{inverted, 7, 3, 1, 6, 640, 0.25}}};
  static const Stages xl_2{{{plain, 4, 3, 1, 1, 32}},
                           {{edge, 8, 3, 2, 4, 64}},
                           {{edge, 8, 3, 2, 4, 96}},
                           {{inverted, 16, 3, 2, 4, 192, 0.25}},
                           {{inverted, 24, 3, 1, 6, 256, 0.25}},
                           {{inverted, 32, 3, 2, 6, 512, 0.25}},
                           {{inverted, 8, 3, 1, 6, 640, 0.25}}};
  static const std::vector<std::pair<std::string, Kind>> kinds{
      {"mobilenetv3_small", {.stages = small_v3, .activation = "hard_swish", .stem = 16, .head = 1024, .third = true}},
      {"mobilenetv3_small_minimal",
       {.stages = small_minimal, .activation = "relu", .stem = 16, .head = 1024, .third = true}},
      {"mobilenetv3_large", {.stages = large_v3, .activation = "hard_swish", .stem = 16, .head = 1280, .third = true}},
      {"mobilenetv3_large_minimal",
       {.stages = large_minimal, .activation = "relu", .stem = 16, .head = 1280, .third = true}},
      {"mobilenetv2", {.stages = v2, .activation = "relu6", .stem = 32, .head = 1280, .never_narrows = true}},
      {"mobilenetv2_d", {.stages = v2, .activation = "relu6", .stem = 32, .head = 1280, .keeps_stem = true}},
      {"efficientnet", {.stages = efficient(0.25), .activation = "silu", .stem = 32, .head = 1280}},
      {"efficientnet_lite",
       {.stages = efficient(0), .activation = "relu6", .stem = 32, .head = 1280, .keeps_stem = true}},
      {"efficientnetv2_b", {.stages = base_2, .activation = "silu", .stem = 32, .head = 1280, .lowest = 0}},
      {"efficientnetv2_s", {.stages = s_2, .activation = "silu", .stem = 24, .head = 1280}},
      {"efficientnetv2_rw_s", {.stages = rw_s_2, .activation = "silu", .stem = 24, .head = 1792}},
      {"efficientnetv2_m", {.stages = m_2, .activation = "silu", .stem = 24, .head = 1280}},
      {"efficientnetv2_l", {.stages = l_2, .activation = "silu", .stem = 32, .head = 1280}},
      {"efficientnetv2_xl", {.stages = xl_2, .activation = "silu", .stem = 32, .head = 1280}}};
  return std::find_if(kinds.begin(), kinds.end(), [&](const auto& kind) { return kind.first == name; })->second;
}

/// A model of a family, by how much wider and deeper it is.
struct Scaled {
  const char* name;
  const char* kind;
  double wider = 1, deeper = 1;
};
inline constexpr Scaled scaled[] = {
    {"mobilenetv3_small_050", "mobilenetv3_small", 0.5},
    {"mobilenetv3_small_075", "mobilenetv3_small", 0.75},
    {"mobilenetv3_small_100", "mobilenetv3_small"},
    {"mobilenetv3_large_075", "mobilenetv3_large", 0.75},
    {"mobilenetv3_large_100", "mobilenetv3_large"},
    {"mobilenetv3_large_150d", "mobilenetv3_large", 1.5, 1.2},
    {"mobilenetv3_small_minimal_100", "mobilenetv3_small_minimal"},
    {"mobilenetv3_large_minimal_100", "mobilenetv3_large_minimal"},
    {"mobilenetv2_035", "mobilenetv2", 0.35},
    {"mobilenetv2_050", "mobilenetv2", 0.5},
    {"mobilenetv2_075", "mobilenetv2", 0.75},
    {"mobilenetv2_100", "mobilenetv2"},
    {"mobilenetv2_140", "mobilenetv2", 1.4},
    {"mobilenetv2_110d", "mobilenetv2_d", 1.1, 1.2},
    {"mobilenetv2_120d", "mobilenetv2_d", 1.2, 1.4},
    {"efficientnet_b0", "efficientnet"},
    {"efficientnet_b1", "efficientnet", 1.0, 1.1},
    {"efficientnet_b2", "efficientnet", 1.1, 1.2},
    {"efficientnet_b3", "efficientnet", 1.2, 1.4},
    {"efficientnet_b4", "efficientnet", 1.4, 1.8},
    {"efficientnet_b5", "efficientnet", 1.6, 2.2},
    {"efficientnet_b6", "efficientnet", 1.8, 2.6},
    {"efficientnet_b7", "efficientnet", 2.0, 3.1},
    {"efficientnet_b8", "efficientnet", 2.2, 3.6},
    {"efficientnet_l2", "efficientnet", 4.3, 5.3},
    {"efficientnet_lite0", "efficientnet_lite"},
    {"efficientnet_lite1", "efficientnet_lite", 1.0, 1.1},
    {"efficientnet_lite2", "efficientnet_lite", 1.1, 1.2},
    {"efficientnet_lite3", "efficientnet_lite", 1.2, 1.4},
    {"efficientnet_lite4", "efficientnet_lite", 1.4, 1.8},
    {"efficientnetv2_s", "efficientnetv2_s"},
    {"efficientnetv2_rw_s", "efficientnetv2_rw_s"},
    {"efficientnetv2_m", "efficientnetv2_m"},
    {"efficientnetv2_l", "efficientnetv2_l"},
    {"efficientnetv2_xl", "efficientnetv2_xl"},
    {"efficientnetv2_b0", "efficientnetv2_b"},
    {"efficientnetv2_b1", "efficientnetv2_b", 1.0, 1.1},
    {"efficientnetv2_b2", "efficientnetv2_b", 1.1, 1.2},
    {"efficientnetv2_b3", "efficientnetv2_b", 1.2, 1.4},
};

}  // namespace timm
