// SPDX-License-Identifier: Apache-2.0
#include "host/author/try_plugin.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/files/scratch_folder.hpp"

namespace onnxport {
namespace {

/// The samples of a type on which a feature is tried.
std::vector<const Sample*> samples_for(const std::vector<Sample>& samples, const std::string& type,
                                       const std::string& feature) {
  std::vector<const Sample*> recorded, others;
  for (const Sample& sample : samples) {
    if (normal_type(sample.model_type) != normal_type(type)) continue;
    (sample.feature == feature ? recorded : others).push_back(&sample);
  }
  if (!recorded.empty() || others.empty()) return recorded;
  return {others.front()};
}

/// Why a feature is known not to work, whatever the config; empty where it is not.
std::string gap_of(const Manifest::Model& model, const std::string& feature) {
  for (const Manifest::KnownGap& gap : model.known_gaps) {
    if (gap.feature == feature && gap.architecture.empty() && gap.option.empty()) return gap.reason;
  }
  return {};
}

}  // namespace

bool PluginTrials::passes() const {
  return without_sample.empty() &&
         std::all_of(results.begin(), results.end(), [](const TrialResult& result) { return result.passes(); });
}

PluginTrials try_plugin(const TryPlugin& plugin) {
  PluginTrials trials;
  const ScratchFolder scratch;
  for (const Manifest::Model& model : plugin.manifest.models) {
    for (const std::string& type : model.types) {
      for (const std::string& feature : model.features) {
        if (const std::string reason = gap_of(model, feature); !reason.empty()) {
          trials.known_gaps.push_back(fmt::format("{} {}: {}", type, feature, reason));
          continue;
        }
        const std::vector<const Sample*> samples = samples_for(plugin.samples, type, feature);
        if (samples.empty()) trials.without_sample.push_back(fmt::format("{} {}", type, feature));
        for (const Sample* sample : samples) {
          Sample tried = *sample;
          if (tried.feature != feature) {  // another feature's config: its recordings say nothing of this one
            tried.cases.clear();
            tried.checkpoint.reset();
            tried.drawn_for.clear();
            tried.outputs.clear();
          }
          for (TrialResult& result :
               try_out({tried, feature, plugin.plugin_words, scratch.path() / "trial", plugin.limit})) {
            plugin.each(result);
            trials.results.push_back(std::move(result));
          }
        }
      }
    }
  }
  return trials;
}

}  // namespace onnxport
