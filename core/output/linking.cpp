// SPDX-License-Identifier: Apache-2.0
#include "core/output/linking.hpp"
#include "core/files/output_error.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// The file's location below the folder, or an empty path. Both without symbolic links, as ONNX Runtime sees them.
fs::path location_below(const fs::path& file, const fs::path& folder) {
  std::error_code unknown;
  const fs::path real = fs::canonical(file, unknown), base = fs::weakly_canonical(folder, unknown);
  const fs::path location = real.lexically_relative(base);
  return unknown || location.empty() || *location.begin() == ".." ? fs::path() : location;
}

/// 0, or the reason why there is none. The open file is linked, not the name: that may be a symbolic link, as in a
/// cache, or may have been given to another file meanwhile.
int hard_link(const MappedFile& file, const fs::path& to) {
  const std::string open_file = "/proc/self/fd/" + std::to_string(file.descriptor());
  return ::linkat(AT_FDCWD, open_file.c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

int reflink(const MappedFile& file, const fs::path& to) {
  const int descriptor = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0) return errno;
  const int reason = ::ioctl(descriptor, FICLONE, file.descriptor()) == 0 ? 0 : errno;
  ::close(descriptor);
  if (reason != 0) ::unlink(to.c_str());
  return reason;
}

void link_file(const MappedFile& file, const fs::path& location, const StagedOutput& output) {
  const fs::path staged = output.folder() / location;
  std::error_code reason;
  fs::create_directories(staged.parent_path(), reason);
  if (reason) throw output_error("cannot create the folder", staged.parent_path(), reason.value());
  const int no_link = hard_link(file, staged);
  if (no_link == 0) return;
  const int no_clone = reflink(file, staged);
  if (no_clone == 0) return;
  throw Error(
      Failure::output,
      "--weights link: ONNX Runtime reads external data only below the model's own folder, and " + file.path() +
          " can be had in " + output.final_folder().string() + " neither as a hard link (" + std::strerror(no_link) +
          ") nor as a copy that shares its blocks (" + std::strerror(no_clone) + ")",
      no_link == EXDEV
          ? "choose an output on the checkpoint's file system, such as a folder beside it, or use --weights copy"
          : "use --weights copy, or a checkpoint that belongs to you on a file system with hard links");
}

}  // namespace

LinkedFiles link_files(const std::vector<std::shared_ptr<const MappedFile>>& files, const StagedOutput& output) {
  LinkedFiles linked;
  std::set<fs::path> taken;
  for (const auto& file : files) {
    fs::path location = location_below(file->path(), output.final_folder());
    if (location.empty()) {
      location = fs::path(file->path()).filename();
      const fs::path present = output.final_folder() / location;
      std::error_code ignored;
      const fs::file_status status = fs::symlink_status(present, ignored);
      // A symbolic link to the file itself leads out of the folder, so the hard link takes its place.
      if (fs::exists(status) && !fs::equivalent(present, file->path(), ignored)) {
        throw Error(
            Failure::output,
            "--weights link: " + present.string() + " is there already and is another file than " + file->path(),
            "remove it, or choose another output folder");
      }
    }
    if (!taken.insert(location).second)
      throw Error(Failure::output, "--weights link: two files of the checkpoint are named " + location.string(),
                  "use --weights copy");
    link_file(*file, location, output);
    linked.emplace(file.get(), location.generic_string());
  }
  return linked;
}

}  // namespace onnxport
