// SPDX-License-Identifier: Apache-2.0
// Tensors of the host as tensors of ATen and back, and what libtorch throws as errors of the host.
#pragma once

#include <ATen/ATen.h>

#include <exception>
#include <string>

#include "core/error.hpp"
#include "core/out_of_memory.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport::reference {

/// A view: the tensor has to stay where it is.
at::Tensor to_aten(const ir::Tensor& tensor);
/// A copy.
ir::Tensor from_aten(const at::Tensor& tensor);

/// What libtorch says without its stack traces, which stand behind the first line; those of TorchScript before the
/// last.
std::string reason_of(const std::exception& problem);

/// Runs an action and lets none of libtorch's exceptions out, since the host knows only its own.
template <class Action>
auto guarded(Action action) {
  try {
    return action();
  } catch (const Error&) {
    throw;
  } catch (const OutOfMemory&) {
    throw;
  } catch (const std::exception& problem) {
    throw_failure(Error(Failure::internal, "libtorch: " + reason_of(problem)), problem.what());
  }
}

}  // namespace onnxport::reference
