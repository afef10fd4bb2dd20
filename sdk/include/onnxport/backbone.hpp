// SPDX-License-Identifier: Apache-2.0
// A model through which another one sees images: which of its stages that one reads, and what it is given of each.
// Source: BackboneConfigMixin and BackboneMixin, transformers 4.57 (utils/backbone_utils.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <onnxport/config.hpp>
#include <onnxport/graph.hpp>

namespace onnxport::sdk {

/// What a backbone yields of the stages that are read, the earliest first.
struct FeatureMaps {
  /// f[batch, n, rows, columns] each, or tokens f[batch, 1 + rows·columns, n] behind a class token where the config
  /// says reshape_hidden_states: false.
  std::vector<Value> stages;
  Value size{};  ///< i64[2], rows and columns of the patches, where the stages have all as many
};

/// A backbone, to be put at any place: its module and pixels f[batch, channels, height, width] -> its maps.
using Backbone = std::function<FeatureMaps(const Scope& at, const Value& pixels)>;

/// What a backbone has to be read.
struct Stages {
  Stages(size_t stages, bool has_stem = true) : count(stages), stem(has_stem) {}
  size_t count;  ///< without the stem
  bool stem;     ///< whether what comes before the first one counts as one
};

/// The stages that a backbone is asked for by out_features ("stem", "stage1", …) or by out_indices, in their order, as
/// numbers into the list of all, which begins with the stem where there is one. The last one alone is read where
/// neither says anything. Throws CONFIG where there is no such stage, or where the two differ.
inline std::vector<size_t> stages_read(const Config& c, const Stages& all) {
  const size_t first = all.stem ? 0 : 1, last = all.count - first;
  const auto index_of = [&](const std::string& name) {
    for (size_t i = 0; i <= last; ++i) {
      if (name == (i + first == 0 ? "stem" : "stage" + std::to_string(i + first))) return i;
    }
    throw Error(ONNXPORT_CONFIG, "config field 'out_features' names \"" + name + "\"; the backbone has the stages " +
                                     (all.stem ? "stem, " : "") + "stage1, … stage" + std::to_string(all.count));
  };
  std::vector<size_t> named, numbered;
  for (const std::string& name : c.texts("out_features")) named.push_back(index_of(name));
  for (const int64_t number : c.integers("out_indices")) {
    const int64_t index = number < 0 ? number + static_cast<int64_t>(last) + 1 : number;
    if (index < 0 || index > static_cast<int64_t>(last)) {
      throw Error(ONNXPORT_CONFIG, "config field 'out_indices' has " + std::to_string(number) +
                                       "; the backbone's last stage is " + std::to_string(last));
    }
    numbered.push_back(static_cast<size_t>(index));
  }
  for (std::vector<size_t>* list : {&named, &numbered}) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
  }
  if (!named.empty() && !numbered.empty() && named != numbered) {
    throw Error(ONNXPORT_CONFIG,
                "config fields 'out_features' and 'out_indices' name different stages; expected the same in both");
  }
  if (named.empty() && numbered.empty()) return {last};
  return named.empty() ? numbered : named;
}

/// Those of all states, the stem's first, that are read.
inline std::vector<Value> picked(const std::vector<Value>& states, const std::vector<size_t>& stages) {
  std::vector<Value> maps;
  for (const size_t stage : stages) maps.push_back(states.at(stage));
  return maps;
}

/// A model type that can be a backbone, and how it is made of its config.
struct KnownBackbone {
  std::string_view type;
  Backbone (*make)(const Config& own);
};

/// The backbone that a model's backbone_config describes, or the one that it `usually` has, made of a config without
/// fields. Throws UNSUPPORTED where it is none of those that are known, or one of timm's.
template <class Known>
Backbone backbone_of(const Config& c, const Known& known, const std::function<Backbone(const Config& none)>& usually) {
  std::string list;
  for (const KnownBackbone& one : known) list += (list.empty() ? "" : ", ") + std::string(one.type);
  // Of the model that the weights once came from.
  c.no_effect({"use_pretrained_backbone", "backbone_kwargs", "use_autobackbone"});
  // Beside a description a name says nothing, since version 5; before, both were an error.
  const bool named = c.boolean("use_timm_backbone", false) || c.has("backbone");
  if (named && !c.has("backbone_config")) {
    throw Error(ONNXPORT_UNSUPPORTED,
                "config field 'backbone' names a model of timm or of the hub; expected a map 'backbone_config' with "
                "one of the model types " +
                    list);
  }
  const Config own = c.section("backbone_config");
  if (!c.has("backbone_config")) return usually(own);
  const std::string type = own.text("model_type", "");
  for (const KnownBackbone& one : known) {
    if (one.type == type) return one.make(own);
  }
  throw Error(ONNXPORT_UNSUPPORTED,
              "config field 'backbone_config.model_type' is \"" + type + "\"; supported: " + list);
}

}  // namespace onnxport::sdk
