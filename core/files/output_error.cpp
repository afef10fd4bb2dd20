// SPDX-License-Identifier: Apache-2.0
#include "core/files/output_error.hpp"

#include <cerrno>
#include <cstring>

namespace onnxport {

std::string output_hint(int reason) {
  switch (reason) {
    case EACCES:
    case EPERM:
      return "choose a folder that you may write to, or change its permissions";
    case EROFS:
      return "choose a folder on a file system that is not read-only";
    case ENOTDIR:
    case EEXIST:
      return "name a folder, or a file that ends in .onnx";
    case EISDIR:
      return "remove the folder of that name, or choose another output";
    case ENOSPC:
      return "free some space, or choose an output on another disk";
    case EDQUOT:
      return "your quota is used up: free some space, or choose an output on another disk";
    case EFBIG:
      return "a limit on the size of files is in force (ulimit -f), or the file system allows none so large";
    case ENAMETOOLONG:
      return "choose a shorter name";
    default:
      return {};
  }
}

Error output_error(const std::string& what, const std::filesystem::path& path, int reason) {
  return Error(Failure::output, what + " " + path.string() + ": " + std::strerror(reason), output_hint(reason));
}

}  // namespace onnxport
