// SPDX-License-Identifier: Apache-2.0
// GroupViT's tower of images, whose patches gather around learnt groups, stage by stage. Source: GroupViTVisionModel,
// transformers 4.57 (modeling_groupvit.py).
#pragma once

#include <vector>

#include <onnxport/families/two_towers.hpp>

namespace onnxport::family {

struct GroupVitTower : ImageTower {
  explicit GroupVitTower(const Config& c)
      : ImageTower(c, {.hidden = 384, .inner = 1536, .heads = 6, .activation = "gelu"}, 16),
        depths(by_stage(c, "depths", {6, 3, 3}, 1)),
        tokens(by_stage(c, "num_group_tokens", {64, 8, 0}, depths.size())),
        groups(by_stage(c, "num_output_groups", {64, 8, 8}, depths.size())),
        assign_epsilon(c.real("assign_eps", 1)) {
    const std::vector<double> stated = ratios_in(c);
    mixed_tokens = static_cast<int64_t>(stated[0] * static_cast<double>(hidden));
    mixed_channels = static_cast<int64_t>(stated[1] * static_cast<double>(hidden));
  }

  struct Seen {
    Value tokens;                 ///< f[batch, n, hidden]: the last groups, normed
    std::vector<Value> shares{};  ///< of each grouping: f[batch, groups, what is grouped], which of these belong where
    Value size;                   ///< i64[2], rows and columns of the patches
  };
  /// pixels: f[batch, channels, height, width]
  Seen operator()(const Scope& model, const Value& pixels, const std::string& steps = {}) const {
    Seen seen;
    Value x = embed(model / "embeddings", pixels, seen.size), gathering;
    for (size_t i = 0; i < depths.size(); ++i) {
      const Scope stage = model / "encoder.stages" / static_cast<int64_t>(i);
      model.graph().mark(steps + "hidden_states." + std::to_string(i), x);
      const int64_t count = tokens[i];
      const auto form = [this](int64_t) { return layer(false); };
      const LayerStack stack{.count = depths[i], .layer = form, .steps = steps + std::to_string(i) + "."};
      if (count == 0) {
        x = transformer_layers(stage / "layers", x, stack, {});
        gathering = {};
        continue;
      }
      gathering = group_tokens(stage, x, gathering, count);
      // Where the group tokens stand among the others means nothing: here they are first.
      const Value all = transformer_layers(stage / "layers", concat({gathering, x}, 1), stack, {});
      gathering = slice(all, {1, 0, count});
      x = gather_into(stage / "downsample", slice(all, {1, count}), reshape(gathering, {0, count, hidden}),
                      {groups[i], &seen.shares});
    }
    seen.tokens = norm(model / "layernorm", x, {.epsilon = epsilon});
    return seen;
  }
  /// f[batch, n, hidden] -> f[batch, hidden]
  static Value pool(const Value& x) { return mean(x, {1}); }

  std::vector<int64_t> depths, tokens, groups;  // of each stage; without tokens nothing is grouped
  double assign_epsilon;
  int64_t mixed_tokens, mixed_channels;  // widths within the grouping's feed-forwards

 private:
  std::vector<double> ratios_in(const Config& c) const {
    if (!c.has("assign_mlp_ratio")) return {0.5, 4};
    const std::vector<double> stated = c.reals("assign_mlp_ratio");
    if (stated.size() == 2) return stated;
    throw Error(ONNXPORT_CONFIG, "config field 'assign_mlp_ratio' has " + std::to_string(stated.size()) +
                                     " entries; expected 2, of tokens and of channels");
  }

  // Patches are normed before they are told where they are.
  Value embed(const Scope& s, const Value& pixels, Value& size) const {
    const Patches patches = patch_stem(s, pixels, {.width = hidden, .patch = patch, .channels = channels});
    size = patches.size;
    const Value table = s.weight("position_embeddings", {1, grid * grid, hidden});
    const Value places = interpolate(image_of(table, grid), size, Interpolation::bicubic);
    return norm(s / "layernorm", patches.tokens, {.epsilon = epsilon}) + tokens_of(places);
  }

  // The stage's own, moved by what those of the stage before have come to: f[batch, count, hidden].
  Value group_tokens(const Scope& stage, const Value& x, const Value& before, int64_t count) const {
    Graph& g = stage.graph();
    const Value own = stage.weight("group_token", {1, count, hidden});
    if (!before) return g.op("Expand", {own, concat({shape_of(x, 0, 1), g.integers({1, 1})}, 0)});
    const Scope projector = stage / "group_projector";
    const Value h = norm(projector / 0, before, {.epsilon = epsilon});
    return own + mix_tokens(projector / 1, h, {.inner = hidden / 2, .out = count});
  }

  struct Mix {
    int64_t inner, out;
  };
  // A feed-forward over the tokens of each channel: f[batch, n, hidden] -> f[batch, out, hidden].
  Value mix_tokens(const Scope& s, const Value& x, const Mix& form) const {
    const Value h = sdk::activation(linear(s / "fc1", transpose(x, {0, 2, 1}), {.out = form.inner}), activation);
    return transpose(linear(s / "fc2", h, {.out = form.out}), {0, 2, 1});
  }

  struct Grouping {
    int64_t groups;
    std::vector<Value>* shares;
  };
  // x: f[batch, n, hidden], gathering: f[batch, tokens, hidden] -> f[batch, groups, hidden]
  Value gather_into(const Scope& s, const Value& x, const Value& gathering, const Grouping& into) const {
    const Value members = norm(s / "norm_x", x, {.epsilon = epsilon});
    Value group = mix_tokens(s / "mlp_inter", norm(s / "norm_tokens", gathering, {.epsilon = epsilon}),
                             {.inner = mixed_tokens, .out = into.groups});
    group = look_at(s / "pre_assign_attn", norm(s / "norm_post_tokens", group, {.epsilon = epsilon}), members);
    const Value joined = assign(s / "assign", group, members, into.shares) + group;
    FeedForward form = feed_forward();
    form.inner = mixed_channels;
    return joined + sdk::feed_forward(s / "mlp_channels", norm(s / "norm_new_x", joined, {.epsilon = epsilon}), form);
  }
  // Groups see what is to be gathered: f[batch, groups, hidden] -> the same.
  Value look_at(const Scope& s, const Value& group, const Value& members) const {
    const Scope module = s / "attn";
    const auto made = [&](const char* name, const Value& of) { return linear(module / name, of, {.out = hidden}); };
    const Value mixed =
        attention(made("q_proj", group), made("k_proj", members), made("v_proj", members), {.heads = heads}).mixed;
    const Value h = group + linear(module / "out_proj", mixed, {.out = hidden}).in(s);
    const Value fed = sdk::feed_forward(s / "mlp", norm(s / "norm2", h, {.epsilon = epsilon}), feed_forward());
    return norm(s / "norm_post", h + fed, {.epsilon = epsilon});
  }

  // Each member goes to the one group that it is nearest to; a group is the mean of its members.
  Value assign(const Scope& s, const Value& group, const Value& members, std::vector<Value>* shares) const {
    Graph& g = s.graph();
    const auto made = [&](const char* name, const Value& of) { return linear(s / name, of, {.out = hidden}).in(s); };
    const Value key = made("k_proj", members);
    const Value scores =
        matmul(made("q_proj", group), transpose(key, {0, 2, 1})) * std::pow(static_cast<double>(hidden), -0.5);
    shares->push_back(softmax(scores, 1));
    const Value nearest = g.op("ArgMax", {scores}, {{"axis", 1}, {"keepdims", false}});  // i64[batch, n]
    const Value taken = transpose(one_hot(nearest, group.fixed(1)), {0, 2, 1});
    const Value counts = g.op("ReduceSum", {taken}, {{"axes", {-1}}, {"keepdims", true}});
    const Value means = matmul(taken / (counts + assign_epsilon), made("v_proj", members));
    return linear(s / "proj", means, {.out = hidden});
  }
};

}  // namespace onnxport::family
