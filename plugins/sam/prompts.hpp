// SPDX-License-Identifier: Apache-2.0
// Places in an image as vectors, those of the image itself and those of points that a user gives.
// Source: SamPositionalEmbedding and SamPromptEncoder, transformers 4.57 (modeling_sam.py).
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include <onnxport/plugin.hpp>

namespace sam {

using namespace onnxport::sdk;

struct PromptConfig {
  explicit PromptConfig(const Config& c)
      : hidden(c.size("hidden_size", 256)), image(c.size("image_size", 1024)), patch(c.size("patch_size", 16)) {
    // Of masks and boxes as prompts; and what follows from the others.
    c.no_effect(
        {"mask_input_channels", "num_point_embeddings", "hidden_act", "layer_norm_eps", "image_embedding_size"});
  }
  int64_t grid() const { return image / patch; }
  int64_t hidden, image, patch;
};

class Prompts {
 public:
  Prompts(const Config& config, int64_t frequencies) : c(config), frequencies_(frequencies) {}

  /// The centres of all patches: f[1, 2·frequencies, grid, grid].
  Value image_places(Graph& g) const {
    const int64_t side = c.grid();
    std::vector<float> centres;
    for (int64_t row = 0; row < side; ++row) {
      for (int64_t column = 0; column < side; ++column) {
        for (const int64_t place : {column, row})
          centres.push_back((static_cast<float>(place) + 0.5f) / static_cast<float>(side));
      }
    }
    const Value places = embed(g, g.constant<float>(DType::f32, {1, side * side, 2}, centres));
    return reshape(transpose(places, {0, 2, 1}), {1, 2 * frequencies_, side, side});
  }

  /// points: f[batch, point_batch, n, 2] in pixels, labels: i64[batch, point_batch, n] (1 within, 0 outside of what is
  /// meant, -1 no point, -10 padding) -> f[batch, point_batch, n + 1, hidden], no point being the last one.
  Value points(const Scope& s, const Value& points, const Value& labels) const {
    Graph& g = s.graph();
    const auto learnt = [&](const Scope& at) { return at.weight("weight", {1, c.hidden}); };
    const Value no_point = learnt(s / "not_a_point_embed"), nothing = g.scalar(0);
    const Value label = unsqueeze(labels, {3});
    const auto is = [&](int64_t kind) { return equal(label, kind); };
    Value x = embed(g, (points.in(shared(g)) + 0.5) / static_cast<double>(c.image)).in(s);
    x = where(is(-1), no_point, where(is(-10), nothing, x));
    x = x + where(is(0), learnt(s / "point_embed" / 0), where(is(1), learnt(s / "point_embed" / 1), nothing));
    const Value each = concat({shape_of(points, 0, 2), g.integers({1, c.hidden})}, 0);
    return concat({x, g.op("Expand", {no_point, each})}, 2);
  }

  const PromptConfig c;

 private:
  // The embedding of the image's places, which the prompts' is as well.
  static Scope shared(Graph& g) { return g.root() / "shared_image_embedding"; }

  // Places from 0 to 1, f[..., 2] -> f[..., 2·frequencies].
  Value embed(Graph& g, const Value& places) const {
    const Scope of_prompts = g.root() / "prompt_encoder.shared_embedding";
    g.unused(of_prompts.path() + ".*");
    const Value directions =
        first_with("positional_embedding", {shared(g), of_prompts}).weight("positional_embedding", {2, frequencies_});
    const Value angles = matmul((places * 2.0 - 1.0).in(shared(g)), directions) * (2 * M_PI);
    return concat({g.op("Sin", {angles}), g.op("Cos", {angles})}, -1);
  }

  int64_t frequencies_;
};

}  // namespace sam
