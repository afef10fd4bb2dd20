// SPDX-License-Identifier: Apache-2.0
#include "core/progress.hpp"

#include "core/error.hpp"

namespace onnxport {

void Progress::stop_if_cancelled() const {
  if (cancelled()) throw Error(Failure::output, "interrupted");
}

}  // namespace onnxport
