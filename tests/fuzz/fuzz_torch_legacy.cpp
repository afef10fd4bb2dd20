// SPDX-License-Identifier: Apache-2.0
// Any bytes as a file of torch.save from before PyTorch 1.6.
#include "tests/fuzz/targets.hpp"
#include "tests/fuzz/torch_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0 && data[0] == 'P') return 0;  // the target for archives has these
  onnxport::try_torch_file({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
