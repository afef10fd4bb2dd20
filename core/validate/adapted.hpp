// SPDX-License-Identifier: Apache-2.0
// A model that is given other inputs, or of which other results are looked at, than it takes and yields itself.
#pragma once

#include <functional>
#include <memory>

#include "core/backend/backend.hpp"

namespace onnxport {

/// What is not given leaves things as they are.
struct Adaptation {
  std::function<Tensors(const Tensors& inputs)> take{};
  /// Of the results; beside them the inputs as they were before take().
  std::function<Tensors(Tensors results, const Tensors& inputs)> yield{};
};

/// The model behind the adaptation, for one set of inputs and for several together.
std::unique_ptr<Runnable> adapted(std::unique_ptr<Runnable> model, Adaptation adaptation);
/// The same of a model that outlives it.
std::unique_ptr<Runnable> adapted(Runnable& model, Adaptation adaptation);

}  // namespace onnxport
