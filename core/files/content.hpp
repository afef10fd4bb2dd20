// SPDX-License-Identifier: Apache-2.0
// What a file is by its first bytes, where it is another thing than its name says.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace onnxport {

/// How a file begins, what it then is, and what to do.
struct Content {
  std::string_view begin, what, next_step;
};

/// What is checked out in place of a large file.
inline constexpr Content git_lfs_pointer{"version https://git-lfs", "a pointer of Git LFS, not the file itself",
                                         "fetch the file: git lfs pull"};

/// What the bytes are of that people get in place of a checkpoint's files; null where they are none of it.
const Content* content_of(std::string_view bytes);

/// Throws Error(checkpoint) where the bytes of the file are such a thing. Asked when they are not what they should be,
/// since those of a sound file may begin in any way.
void refuse_other_content(std::string_view bytes, const std::string& path);
void refuse_other_content(std::span<const std::byte> bytes, const std::string& path);

}  // namespace onnxport
