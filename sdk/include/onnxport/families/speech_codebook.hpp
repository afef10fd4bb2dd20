// SPDX-License-Identifier: Apache-2.0
// What wav2vec 2.0 and its relatives were trained to predict: for each frame, vectors of codebooks.
// Source: Wav2Vec2GumbelVectorQuantizer and Wav2Vec2ForPreTraining in evaluation, transformers 4.57.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <map>
#include <string>
#include <vector>

#include <onnxport/audio_encoder.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// Codebooks side by side, one for each group of a vector's numbers.
struct Codebooks {
  explicit Codebooks(const Config& c)
      : groups(c.size("num_codevector_groups", 2)),
        entries(c.size("num_codevectors_per_group", 320)),
        width(c.size("codevector_dim", 256)),
        projected(c.size("proj_codevector_dim", 256)) {
    c.no_effect({"feat_quantizer_dropout", "contrastive_logits_temperature", "num_negatives", "diversity_loss_weight"});
    require_multiple({"codevector_dim", width}, {"num_codevector_groups", groups});
  }
  int64_t groups, entries, width;
  int64_t projected;  // what is compared
};

struct Quantized {
  Value vectors;     ///< f[batch, frames, width]
  Value perplexity;  ///< f[]: of how many entries use is made, over all groups
};

/// x: f[batch, frames, n], of which each frame takes the likeliest entry of every codebook. Weights: codevectors
/// f[1, groups·entries, width/groups], weight_proj.
inline Quantized quantize(const Scope& s, const Operand& x, const Codebooks& form) {
  Graph& g = x.graph();
  const Value scores =
      reshape(linear(s / "weight_proj", x, {.out = form.groups * form.entries}), {0, 0, form.groups, form.entries});
  const Value chosen = g.op("ArgMax", {scores}, {{"axis", -1}, {"keepdims", 0}});
  std::vector<int64_t> firsts;
  for (int64_t group = 0; group < form.groups; ++group) firsts.push_back(group * form.entries);
  const Value table = squeeze(s.weight("codevectors", {1, form.groups * form.entries, form.width / form.groups}), {0});
  const Value vectors = reshape(gather(table, chosen + g.integers(firsts)), {0, 0, form.width});

  const Value share = mean(one_hot(chosen, form.entries), {0, 1});
  const Value entropy = -sum(share * log(g.op("Max", {share, g.scalar(1e-7, share.dtype())})), {-1});
  return {vectors, sum(exp(entropy), {0})};
}

/// The outputs of pretraining where there are codebooks.
inline std::vector<OutputSpec> codebook_outputs() {
  const std::map<int, std::string> frames{{0, axis::batch}, {1, axis::sequence}};
  return {{"projected_states", frames}, {"projected_quantized_states", frames}, {"codevector_perplexity", {}}};
}

/// What the layers yield and what the codebooks hold for it, side by side. Source: Wav2Vec2ForPreTraining.
inline Outputs predict_codebooks(const Scope& root, const AudioFeatures& made, const Codebooks& form) {
  const Quantized quantized = quantize(root / "quantizer", made.front, form);
  return {{"projected_states", linear(root / "project_hid", made.last, {.out = form.projected})},
          {"projected_quantized_states", linear(root / "project_q", quantized.vectors, {.out = form.projected})},
          {"codevector_perplexity", quantized.perplexity}};
}

}  // namespace onnxport::family
