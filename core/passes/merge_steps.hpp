// SPDX-License-Identifier: Apache-2.0
// Two graphs as one: a decoder's first step and its cached ones as the branches of an If.
#pragma once

#include <map>
#include <string>

#include "core/ir/graph.hpp"

namespace onnxport {

/// Lowered graphs of one decoder.
struct DecoderSteps {
  const ir::Graph& first;
  const ir::Graph& cached;
  /// Inputs of `cached` that stand for an output of `first` which it does not make: states that it keeps.
  std::map<std::string, std::string> kept{};
};

/// A graph whose inputs are those of both and `condition`, a bool[1] that chooses the cached step, and whose outputs
/// are those of `first` with the axes that `cached` declares, which tell past and present lengths apart. An output that
/// `cached` does not have is the state that it keeps. Names are given anew. Throws Error(plugin) where an output has no
/// such counterpart, or an input has two types.
ir::Graph merge_steps(const DecoderSteps& steps, const std::string& condition);

}  // namespace onnxport
