// SPDX-License-Identifier: Apache-2.0
// What config.json says of Llama and its relatives.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <onnxport/layer_rotary.hpp>
#include <onnxport/layer_types.hpp>

#include "families.hpp"

namespace llama {

inline const std::string full = "full_attention", sliding = "sliding_attention";

/// Granite's factors.
struct Factors {
  double embedding = 1, residual = 1, logits = 1;
  double scores = 0;  // 0: 1/√head size
};

/// Layers that do not turn queries and keys.
struct NoRope {
  int64_t every = 0;                // every so-manyth layer; 0: none
  std::vector<int64_t> of_layer{};  // 0 for those that do not; where config.json lists them

  bool holds_for(int64_t layer) const {
    if (!of_layer.empty()) return of_layer[static_cast<size_t>(layer)] == 0;
    return every != 0 && (layer + 1) % every == 0;
  }
};

/// Queries are multiplied by 1 + beta · log(1 + ⌊position / length⌋), 0: by 1.
/// Source: get_llama_4_attn_scale, Ministral3Attention, transformers 5.24.
struct Growth {
  double beta = 0;
  int64_t length = 1;
};

struct LlamaConfig {
  LlamaConfig(const Config& c, const Family& family) : LlamaConfig(family, named(c, family)) {}

  int64_t vocab, hidden, inner, layers, heads, kv_heads, head_size, positions;
  std::string activation;
  Norm norm;
  Placement placement;
  double clip;
  Tie tied;
  bool qkv_bias, output_bias, mlp_bias;
  bool causal;  // false: an encoder that was made of the decoder
  Factors factors;
  Growth growth;
  int64_t window;  // as of AttentionOptions; 0: none
  Turns turning;
  NoRope no_rope;
  std::vector<std::string> types;  // of each layer; empty: all have the window
  LayerRotary rotary;
  FeedForwards mixtures;  // none: no layer has experts
  int64_t labels;
  std::optional<int64_t> pad;

  bool slides(int64_t layer) const {
    return window > 0 && (types.empty() || types[static_cast<size_t>(layer)] == sliding);
  }
  bool turns(int64_t layer) const {
    if (turning == Turns::layers_with_a_window) return window == 0 || slides(layer);
    return !no_rope.holds_for(layer);
  }

 private:
  LlamaConfig(const Family& family, const Config& c)
      : vocab(c.size("vocab_size", 32000)),
        hidden(c.size("hidden_size", 4096)),
        inner(c.size("intermediate_size", 11008)),
        layers(layers_of(c)),
        heads(c.size("num_attention_heads", 32)),
        kv_heads(otherwise_or(c, "num_key_value_heads", family.otherwise.kv_heads, heads)),
        head_size(otherwise_or(c, "head_dim", family.otherwise.head_size, std::max<int64_t>(1, hidden / heads))),
        positions(c.size("max_position_embeddings", 2048)),
        activation(c.text("hidden_act", family.otherwise.activation)),
        norm(norm_of(c, family)),
        placement(placement_of(c, family)),
        clip(family.clips ? c.real("clip_qkv", 0) : 0),
        tied(c.tie(family.otherwise.tied)),
        qkv_bias(has(family.bias.qkv, c)),
        output_bias(has(family.bias.output, c)),
        mlp_bias(has(family.bias.mlp, c)),
        causal(c.boolean("is_causal", true)),
        factors(factors_of(c, family)),
        growth(growth_of(c, family, positions)),
        window(window_of(c, family)),
        turning(family.turns),
        no_rope(no_rope_of(c, family, layers)),
        types(types_of(c, family, *this)),
        rotary(rotary_of(c, family, *this)),
        mixtures(family.mixtures != nullptr ? family.mixtures(c, hidden) : FeedForwards{}),
        labels(c.num_labels()),
        pad(c.is_null("pad_token_id") || c.has("pad_token_id") ? c.maybe_integer("pad_token_id")
                                                               : family.otherwise.pad) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    if (!mixtures.mixture.empty()) no_effect_of_router_training(c);
    c.no_effect({"pretraining_tp"});  // splits products for training; the result is the same
    c.no_effect({"embd_pdrop", "resid_pdrop", "residual_dropout"});
    c.no_effect({"max_window_layers", "original_max_position_embeddings"});  // without the options that they are of
    c.no_effect({"sliding_window_pattern"});                                 // where the layers are listed
    c.no_effect({"cache_implementation", "eod_token_id"});
    // Of classes that have no such option, for which the model's own code wrote it. Biases that are there are not
    // missed: tensors that nothing asks for are an error.
    c.no_effect({"attention_bias", "mlp_bias", "lm_head_bias", "full_attn_mod", "interpolate_factor", "use_mrope"});
  }

  static Config named(Config c, const Family& family) {
    for (const auto& [field, other] : family.other_names) c = c.with_names({{field, other}});
    return c;
  }

  static int64_t layers_of(const Config& c) {
    const int64_t layers = c.count("num_hidden_layers", 32);
    require_at_most({"num_hidden_layers", layers}, {"what any model has", 100'000});
    return layers;
  }

  static bool has(const Bias& bias, const Config& c) {
    return *bias.field == '\0' ? bias.otherwise : c.boolean(bias.field, bias.otherwise);
  }

  // A field that is null is what follows from others, as one that the class has no number for.
  static int64_t otherwise_or(const Config& c, const char* field, int64_t otherwise, int64_t derived) {
    return c.size(field, otherwise == 0 || c.is_null(field) ? derived : otherwise);
  }

  static Norm norm_of(const Config& c, const Family& family) {
    Norm norm = family.norms.norm;
    if (*family.norms.epsilon != '\0') norm.epsilon = c.real(family.norms.epsilon, norm.epsilon);
    return norm;
  }

  static Placement placement_of(const Config& c, const Family& family) {
    const Norms& norms = family.norms;
    if (*norms.around == '\0') return norms.placement;
    return c.boolean(norms.around, true) ? Placement::around : Placement::before;
  }

  static Factors factors_of(const Config& c, const Family& family) {
    if (family.multipliers == Multipliers::none) return {};
    const bool divides = family.multipliers == Multipliers::dividing_logits;
    const double logits = c.real("logits_scaling", 1);
    return {.embedding = c.real("embedding_multiplier", 1),
            .residual = c.real("residual_multiplier", 1),
            .logits = divides ? 1 / logits : logits,
            .scores = c.real("attention_multiplier", divides ? 1 : 0)};
  }

  static Growth growth_of(const Config& c, const Family& family, int64_t positions) {
    if (!family.queries_grow) return {};
    const Config scaling = c.section("rope_parameters");
    const auto beta = scaling.maybe_real("llama_4_scaling_beta");
    if (!beta) {
      throw Error(ONNXPORT_CONFIG,
                  "config field 'rope_parameters.llama_4_scaling_beta' is missing: expected a number, by which queries "
                  "grow with their positions");
    }
    return {*beta, scaling.size("original_max_position_embeddings", positions)};
  }

  static int64_t window_of(const Config& c, const Family& family) {
    if (family.window == Window::none) return 0;
    const int64_t window = c.count("sliding_window", c.is_null("sliding_window") ? 0 : family.otherwise.window);
    const bool by_layer = family.window == Window::all_but_some || family.window == Window::all_but_ends;
    const bool asked = family.window == Window::every_layer || by_layer || c.boolean("use_sliding_window", false);
    if (!asked || window == 0) return 0;
    // What a model that looks both ways states is how far it sees.
    return c.boolean("is_causal", true) ? window : window + 1;
  }

  static NoRope no_rope_of(const Config& c, const Family& family, int64_t layers) {
    NoRope stated;
    if (family.turning.by_layer_theta) {
      for (double theta : listed(c, "layer_rope_theta", layers)) stated.of_layer.push_back(theta != 0);
    }
    if (family.turns != Turns::by_no_rope_layers) return stated;
    const int64_t interval = c.size("no_rope_layer_interval", 4);
    if (!c.has("no_rope_layers")) return {.every = interval};
    for (double turns : listed(c, "no_rope_layers", layers)) stated.of_layer.push_back(turns != 0);
    return stated;
  }

  // A number for each layer, or none at all.
  static std::vector<double> listed(const Config& c, const char* field, int64_t layers) {
    std::vector<double> numbers = c.reals(field);
    if (c.has(field) && static_cast<int64_t>(numbers.size()) != layers) {
      throw Error(ONNXPORT_CONFIG, "config field '" + std::string(field) + "' has " + std::to_string(numbers.size()) +
                                       " entries; expected num_hidden_layers (" + std::to_string(layers) + ")");
    }
    return numbers;
  }

  static std::vector<std::string> types_of(const Config& c, const Family& family, const LlamaConfig& self) {
    if (family.window == Window::none || family.window == Window::every_layer) return {};
    LayerTypes kinds{self.layers, {full}};
    if (self.window > 0) kinds.known.push_back(sliding);
    kinds.otherwise = [&self, slides = window_by_number(c, family, self)](int64_t i) {
      return self.window > 0 && slides(i) ? sliding : full;
    };
    return layer_types(c, kinds);
  }

  static std::function<bool(int64_t)> window_by_number(const Config& c, const Family& family, const LlamaConfig& self) {
    if (family.window == Window::later_layers)
      return [first = c.count("max_window_layers", 28)](int64_t i) { return i >= first; };
    if (family.window == Window::layers_that_do_not_turn) return [&self](int64_t i) { return !self.turns(i); };
    if (family.window == Window::all_but_ends)
      return [last = self.layers - 1](int64_t i) { return i >= 2 && i % 4 != 1 && i != last; };
    const auto& [otherwise, field, first] = family.sees_all;
    const bool stated = *field != '\0' && !c.has("layer_types");
    const int64_t one_of = stated ? c.count(field, otherwise) : otherwise;
    return [one_of, at = first ? 0 : one_of - 1](int64_t i) { return one_of == 0 || i % one_of != at; };
  }

  static LayerRotary rotary_of(const Config& c, const Family& family, const LlamaConfig& self) {
    const Turning& turning = family.turning;
    const double theta = c.real("rope_theta", turning.theta);
    if (turning.needs_scaling && !c.has("rope_parameters") && !c.has("rope_scaling") && !c.is_null("rope_scaling")) {
      throw Error(ONNXPORT_CONFIG,
                  "config.json has neither 'rope_parameters' nor 'rope_scaling'; expected the one that is saved with "
                  "every '" +
                      std::string(family.type) + "' model, whose angles are scaled");
    }
    if (turning.by_kind) {
      const auto of = [&](const std::string& kind) {
        return Rotary(c, self.head_size, {.name = kind, .theta = theta, .scaled = kind == full});
      };
      return {self.types, {{full, of(full)}, {sliding, of(sliding)}}};
    }
    RotaryFields fields{.theta = theta,
                        .partial = c.real("partial_rotary_factor", turning.partial),
                        .by_alpha = turning.by_alpha,
                        .axes = turning.axes};
    if (turning.by_layer_theta && c.has("layer_rope_theta")) {
      LayerRotary made;
      fields.own_theta = true;
      for (double own : c.reals("layer_rope_theta")) {
        fields.theta = own;
        made.types.push_back(std::to_string(own));
        if (own != 0) made.kinds.emplace(made.types.back(), Rotary(c, self.head_size, fields));
      }
      return made;
    }
    return {std::vector<std::string>(static_cast<size_t>(self.layers), full),
            {{full, Rotary(c, self.head_size, fields)}}};
  }
};

}  // namespace llama
