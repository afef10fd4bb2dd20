// SPDX-License-Identifier: Apache-2.0
#include "core/program_file.hpp"

#include <boost/dll/runtime_symbol_info.hpp>

namespace onnxport {

std::filesystem::path program_file() {
  return boost::dll::program_location().string();
}

}  // namespace onnxport
