// SPDX-License-Identifier: Apache-2.0
#include "core/definition/stand_ins.hpp"

#include <fmt/format.h>

#include <string_view>

namespace onnxport {
namespace {

/// A tensor that another one is computed of, by how its name goes on behind that one's.
struct Computed {
  std::string_view continues, who, next_step;
};
constexpr Computed computed[] = {
    {"_orig", "pruning or spectral normalisation",
     "take it off (torch.nn.utils.prune.remove) and save the model again"},
    {"_v", "weight normalisation", "take it off (torch.nn.utils.remove_weight_norm) and save the model again"},
    {".original", "a parametrization",
     "take it off (torch.nn.utils.parametrize.remove_parametrizations) and save the model again"},
};

/// Whether quantized weights are kept as elements of this type. Buffers of 64 bits count and index.
bool is_packed(ir::DType dtype) {
  return !ir::is_floating(dtype) && dtype != ir::DType::boolean && ir::size_of(dtype) <= 4;
}

}  // namespace

std::string explain_stand_in(const std::map<std::string, AdaptedTensor>& tensors, const std::string& missing) {
  const size_t dot = missing.rfind('.');
  if (dot == missing.npos) return {};
  const std::string module = missing.substr(0, dot + 1);
  const std::string parametrized = module + "parametrizations." + missing.substr(dot + 1);
  for (auto at = tensors.lower_bound(module); at != tensors.end() && at->first.starts_with(module); ++at) {
    const std::string& held = at->first;
    for (const Computed& form : computed) {
      for (const std::string& begin : {missing, parametrized}) {
        if (!held.starts_with(begin) || !std::string_view(held).substr(begin.size()).starts_with(form.continues))
          continue;
        return fmt::format("{} is there in its place, of which {} computes it: {}", held, form.who, form.next_step);
      }
    }
    if (is_packed(at->second.weight.dtype()) && held.find('.', module.size()) == held.npos)
      return fmt::format("{} is there, of {}: {}", held, ir::name_of(at->second.weight.dtype()), quantized_next_step);
  }
  return {};
}

}  // namespace onnxport
