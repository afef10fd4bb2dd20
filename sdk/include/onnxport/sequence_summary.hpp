// SPDX-License-Identifier: Apache-2.0
// How a sequence becomes one vector, by a config's fields summary_….
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>

#include <onnxport/config.hpp>
#include <onnxport/layers.hpp>

namespace onnxport::sdk {

/// A place of the sequence, or its mean; a layer behind it, and an activation. Source: SequenceSummary,
/// transformers 4.30 (modeling_utils.py), which copies of it in single models repeat since.
class SequenceSummary {
 public:
  /// Where a config class departs from SequenceSummary's own defaults.
  struct Defaults {
    const char* type = "last";
    bool projected = true, to_labels = true;
    const char* activation = "";
  };
  SequenceSummary(const Config& c, const Defaults& defaults)
      : type_(c.text("summary_type", defaults.type)),
        projected_(c.boolean("summary_use_proj", defaults.projected)),
        to_labels_(c.boolean("summary_proj_to_labels", defaults.to_labels)),
        activation_(c.is_null("summary_activation") ? "" : c.text("summary_activation", defaults.activation)) {}

  const std::string& type() const { return type_; }
  bool is_projected_to_labels() const { return projected_ && to_labels_; }

  /// Throws UNSUPPORTED where what is summarized goes to labels while a layer behind it reads vectors of `width`.
  void require_vectors(int64_t labels, int64_t width) const {
    if (!is_projected_to_labels() || labels == width) return;
    throw Error(ONNXPORT_UNSUPPORTED,
                "config field 'summary_proj_to_labels' is true; supported: false, where the layer "
                "behind the summary reads vectors of the hidden size");
  }

  struct Summarized {
    int64_t width;       ///< of the hidden states
    int64_t labels = 0;  ///< of the layer, where it goes to labels; 0: it goes to the width all the same
    Value place{};       ///< i64[batch, 1], of the type cls_index; absent: the last one
  };
  /// hidden: f[batch, n, width] -> f[batch, width or labels].
  Value operator()(const Scope& scope, const Value& hidden, const Summarized& how) const {
    const int64_t out = to_labels_ && how.labels > 0 ? how.labels : how.width;
    Value x = summarized(hidden.in(scope), how.place);
    if (projected_) x = linear(scope / "summary", x, {.out = out});
    return activation_.empty() ? x : activation(x, activation_);
  }

 private:
  Value summarized(const Value& hidden, const Value& place) const {
    if (type_ == "mean") return mean(hidden, {1});
    if (type_ == "cls_index" && place) return row_at(hidden, place);
    if (type_ == "first") return pick(hidden, 1, 0);
    if (type_ == "last" || type_ == "cls_index") return pick(hidden, 1, -1);
    throw Error(ONNXPORT_UNSUPPORTED,
                "config field 'summary_type' is \"" + type_ + "\"; supported: first, last, mean, cls_index");
  }

  std::string type_;
  bool projected_, to_labels_;
  std::string activation_;
};

}  // namespace onnxport::sdk
