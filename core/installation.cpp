// SPDX-License-Identifier: Apache-2.0
#include "core/installation.hpp"

#include <dlfcn.h>
#include <link.h>

#include <system_error>

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// The file that this code was loaded from; empty where the system does not tell.
fs::path own_file() {
  static const char place = 0;
  Dl_info info{};
  link_map* map = nullptr;
  std::error_code unknown;
  // The program itself has no name there, and what it was called as need not be its path.
  const bool is_library = dladdr1(&place, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) != 0 &&
                          map != nullptr && map->l_name[0] != '\0';
  return fs::canonical(is_library ? map->l_name : "/proc/self/exe", unknown);
}

fs::path find_installed_files() {
  const fs::path folder = own_file().parent_path();
  std::error_code unreadable;
  const fs::path beside = folder / "onnxport";
  return fs::is_directory(beside, unreadable) ? beside : folder.parent_path() / "lib" / "onnxport";
}

}  // namespace

const fs::path& installed_files() {
  static const fs::path folder = find_installed_files();
  return folder;
}

}  // namespace onnxport
