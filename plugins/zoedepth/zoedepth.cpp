// SPDX-License-Identifier: Apache-2.0
// ZoeDepth: metric depth, by one range of depths or by the one of two that fits the batch. Source:
// ZoeDepthForDepthEstimation, transformers 4.57 (modeling_zoedepth.py).
#include <onnxport/families/backbones.hpp>
#include <onnxport/families/dpt.hpp>

#include "bins.hpp"
#include "router.hpp"

using namespace onnxport::family;

namespace {

// The backbone where config.json states none.
onnxport::sdk::Backbone large_beit(const Config& none) {
  BeitConfig made(none);
  made.hidden = 1024;
  made.layers = 24;
  made.heads = 16;
  made.inner = 4096;
  made.grid = Extent(384 / made.patch.height);
  made.relative = true;
  return beit_backbone_of(made, {.read = {6, 12, 18, 24}, .as_images = false});
}

DptNeckConfig neck_config(const Config& c) {
  DptNeckConfig made(c, {});
  made.readout = c.choice("readout_type", "project", {"project"});
  made.activation = c.text("hidden_act", "gelu");
  made.batch_norm = c.boolean("use_batch_norm_in_fusion_residual", false);
  made.bias = c.boolean("use_bias_in_fusion_residual", !made.batch_norm);
  made.epsilon = c.real("batch_norm_eps", 1e-5);
  return made;
}

std::vector<zoedepth::Bins> bins_of(const Config& c) {
  std::vector<zoedepth::Bins> all;
  for (const Config& own : c.sections("bin_configurations"))
    all.push_back({own.text("name", ""), own.size("n_bins"), own.real("min_depth", 0.001), own.real("max_depth", 10)});
  if (all.empty()) all.emplace_back();
  return all;
}

class ZoeDepth final : public OnnxConfig {
 public:
  explicit ZoeDepth(const Request& request)
      : OnnxConfig(request),
        backbone(backbone_of(request.config, backbones, large_beit)),
        neck(neck_config(request.config)),
        bins(bins_of(request.config)),
        form{.normed = request.config.choice("bin_centers_type", "softplus", {"normed", "softplus"}) == "normed",
             .mean = request.config.choice("attractor_kind", "mean", {"mean", "sum"}) == "mean",
             .coldest = request.config.real("min_temp", 0.0212),
             .hottest = request.config.real("max_temp", 50)},
        attractors(request.config.has("num_attractors") ? request.config.integers("num_attractors")
                                                        : std::vector<int64_t>{16, 8, 4, 1}),
        embedding(request.config.size("bin_embedding_dim", 128)),
        bottleneck(request.config.size("bottleneck_features", 256)),
        relative(request.config.size("num_relative_features", 32)),
        projects(request.config.boolean("add_projection", false)),
        router(request.config) {
    request.config.no_effect({"attractor_alpha", "attractor_gamma", "backbone_hidden_size"});  // not read by the class
    require_equal({"bottleneck_features", bottleneck}, {"fusion_hidden_size", neck.c.fused});
    if (attractors.size() < neck.c.widths.size()) {
      throw Error(ONNXPORT_CONFIG, "config field 'num_attractors' has " + std::to_string(attractors.size()) +
                                       " entries; expected one for each of the neck's stages");
    }
  }
  double atol_for_validation() const override { return 1e-4; }
  // Squares and logarithms, of which metres are made.
  std::vector<std::string> keep_in_fp32() const override { return {"metric_head"}; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override {
    std::vector<OutputSpec> specs{{"predicted_depth", {{0, axis::batch}}}};
    if (bins.size() > 1) specs.push_back({"domain_logits", {{0, axis::batch}}});
    return specs;
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const DptNeck::Made made = neck(g.root() / "neck", backbone(g.root() / "backbone", in.at("pixel_values")));
    const Value size = DptNeck::times(made.sizes[neck.read_by_head()], 2);
    const Relative seen = relative_depth(g.root() / "relative_head", neck.read_by_head(made), size);
    const Scope head = g.root() / "metric_head";
    const Value x = conv2d(head / "conv2", made.coarsest, {.out = bottleneck});
    if (bins.size() == 1) {
      const Value all = concat({seen.features, seen.depth}, 1);
      return {{"predicted_depth", depth_in(head, {x, all, size, made}, bins[0])}};
    }
    const Value logits = router(head, x);
    std::vector<Value> depths;
    for (const zoedepth::Bins& range : bins)
      depths.push_back(unsqueeze(depth_in(head, {x, seen.features, size, made}, range), {0}));
    return {{"predicted_depth", gather(concat(depths, 0), router.choice(logits))}, {"domain_logits", logits}};
  }

 private:
  struct Relative {
    Value depth;     // f[batch, 1, rows, columns], up to a factor
    Value features;  // f[batch, relative, rows, columns]: what it was made of
  };
  Relative relative_depth(const Scope& s, Value x, const Value& size) const {
    if (projects) x = relu(conv2d(s / "projection", x, {.out = 256, .kernel = 3, .padding = 1}));
    x = conv2d(s / "conv1", x, {.out = neck.c.fused / 2, .kernel = 3, .padding = 1});
    x = zoedepth::detail::resized(x, size);
    const Value features = relu(conv2d(s / "conv2", x, {.out = relative, .kernel = 3, .padding = 1}));
    return {relu(conv2d(s / "conv3", features, {.out = 1})), features};
  }

  struct Given {
    Value coarsest;  // f[batch, bottleneck, …, …]
    Value finest;    // f[batch, n, rows, columns], at the size of the result
    Value size;      // i64[2], that size
    const DptNeck::Made& neck;
  };
  // f[batch, rows, columns] in metres
  Value depth_in(const Scope& head, const Given& given, const zoedepth::Bins& range) const {
    const bool single = bins.size() == 1;
    const int64_t inner = single ? 128 : embedding / 2;
    const auto named = [&](const std::string& module) { return single ? head / module : head / module / range.name; };
    Value centres = zoedepth::seed_centres(named(single ? "seed_bin_regressor" : "seed_bin_regressors"), given.coarsest,
                                           range, form, single ? 256 : inner);
    Value before = zoedepth::perceive(head / "seed_projector", given.coarsest, {inner, embedding});
    Value depths;
    for (size_t i = 0; i < given.neck.fused.size(); ++i) {
      const auto index = static_cast<int64_t>(i);
      const Value x = zoedepth::perceive(head / "projectors" / index, given.neck.fused[i], {inner, embedding});
      // Where there are several ranges, each has as many attractors as is the class's default.
      const int64_t count = single ? attractors[i] : 16;
      const zoedepth::Attracted moved =
          zoedepth::attract(named("attractors") / index, {x, given.neck.sizes[i], centres, before, count}, range, form);
      centres = moved.centres;
      depths = moved.depths;
      before = x;
    }
    const auto at_end = [&](const Value& x) { return zoedepth::detail::resized(x, given.size).in(head); };
    const Value all = concat({given.finest.in(head), at_end(before)}, 1);
    const Value shares =
        zoedepth::likelihoods(named("conditional_log_binomial"), all, range, form, all.fixed(1) / (single ? 2 : 4));
    return sum(shares * at_end(depths), {1}).in(head);
  }

  const onnxport::sdk::Backbone backbone;
  const DptNeck neck;
  std::vector<zoedepth::Bins> bins;
  zoedepth::BinForm form;
  std::vector<int64_t> attractors;
  int64_t embedding, bottleneck, relative;
  bool projects;
  const zoedepth::Router router;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.zoedepth",
    .name = "ZoeDepth",
    .models = {{.types = {"zoedepth"}, .features = {"depth-estimation"}, .make = make<ZoeDepth>}},
})
