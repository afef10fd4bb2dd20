// SPDX-License-Identifier: Apache-2.0
// Decoders of state-space layers and attention, as configs of Bamba and its relatives state them.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/blocks/state_space.hpp>
#include <onnxport/config.hpp>
#include <onnxport/layer_types.hpp>

namespace onnxport::sdk {

/// A mixer by the fields mamba_…; `width` is what goes through the recurrence. Throws CONFIG where heads do not fill
/// it. Source: BambaMixer, transformers 5.24.
inline StateSpaceMixer bamba_mixer(const Config& c, int64_t width) {
  const int64_t heads = c.size("mamba_n_heads", 128);
  const bool is_auto = c.is_text("mamba_d_head") && c.choice("mamba_d_head", "auto", {"auto"}) == "auto";
  const bool is_stated = c.has("mamba_d_head") && !is_auto;
  StateSpaceMixer form{.space = {.heads = heads,
                                 .head_size = is_stated ? c.size("mamba_d_head") : std::max<int64_t>(1, width / heads),
                                 .groups = c.size("mamba_n_groups", 1),
                                 .state = c.size("mamba_d_state", 256)},
                       .kernel = c.size("mamba_d_conv", 4),
                       .convolution_bias = c.boolean("mamba_conv_bias", true),
                       .input_bias = c.boolean("mamba_proj_bias", false),
                       .output_bias = c.boolean("mamba_proj_bias", false),
                       .activation = c.text("hidden_act", "silu"),
                       .epsilon = c.real("rms_norm_eps", 1e-5)};
  form.limit_steps(c);
  require_multiple({"mamba_n_heads", heads}, {"mamba_n_groups", form.space.groups});
  require_equal({"mamba_n_heads·mamba_d_head", form.space.width()}, {"the mixer's width", width});
  c.no_effect({"mamba_chunk_size"});  // how a prompt is cut for the computation
  return form;
}

/// The kinds of layers by older names: of transformers 4, "mamba" and "attention".
inline std::vector<std::string> in_newer_words(std::vector<std::string> types) {
  for (std::string& type : types) {
    if (type == "mamba") type = "linear_attention";
    if (type == "attention") type = "full_attention";
  }
  return types;
}

}  // namespace onnxport::sdk
