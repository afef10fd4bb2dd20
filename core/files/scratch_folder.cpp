// SPDX-License-Identifier: Apache-2.0
#include "core/files/scratch_folder.hpp"

#include <cstdlib>

#include "core/activity.hpp"
#include "core/error.hpp"

namespace onnxport {

ScratchFolder::ScratchFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "onnxport-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr)
    throw Error(Failure::output, "no temporary folder could be made under " + pattern);
  path_ = pattern;
  note_temporary(path_);
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  if (std::filesystem::remove_all(path_, ignored); !ignored) forget_temporary(path_);
}

}  // namespace onnxport
