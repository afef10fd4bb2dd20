// SPDX-License-Identifier: Apache-2.0
#include "core/backend.hpp"

#include <fmt/format.h>

#include <boost/dll/runtime_symbol_info.hpp>
#include <boost/dll/shared_library.hpp>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "core/error.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
namespace dll = boost::dll;

/// Beside the running program as an installation has it, unless the environment says otherwise.
fs::path backend_path(const std::string& name) {
  const std::string file = "libonnxport_" + name + ".so";
  if (const char* given = std::getenv("ONNXPORT_BACKEND_PATH"); given != nullptr && *given != '\0')
    return fs::path(given) / file;
  return fs::path(dll::program_location().parent_path().string()) / ".." / "lib" / "onnxport" / "backends" / file;
}

Backend* open_backend(const std::string& name, dll::shared_library& library) {
  const fs::path path = backend_path(name);
  if (!fs::exists(path)) {
    throw Error(Failure::usage, fmt::format("the back end '{}' is not installed: {} is not there", name, path.string()),
                "build it (the reference needs libtorch), or pass --no-validate to export without comparing");
  }
  try {
    library.load(path.string(), dll::load_mode::rtld_now | dll::load_mode::rtld_local);
    const std::string stamp = library.get<const char*()>(backend_stamp_symbol)();
    if (stamp != ONNXPORT_BACKEND_STAMP) {
      throw Error(Failure::usage,
                  fmt::format("{} was built as '{}', and this program wants '{}'", path.string(), stamp,
                              ONNXPORT_BACKEND_STAMP),
                  "build program and back ends from the same version");
    }
    return library.get<Backend*()>(backend_symbol)();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& problem) {
    throw Error(Failure::usage, fmt::format("the back end '{}' cannot be opened: {}", name, problem.what()),
                "install the library that it needs, or pass --no-validate to export without comparing");
  }
}

}  // namespace

Backend& load_backend(const std::string& name) {
  static std::mutex mutex;
  struct Opened {
    dll::shared_library library;
    Backend* backend = nullptr;
  };
  // Never destroyed, so that no library is unloaded: ONNX Runtime and libtorch register things that outlive every
  // object of ours, and what a back end throws while it starts has its code in the library.
  static auto& opened = *new std::map<std::string, Opened>;
  const std::lock_guard lock(mutex);
  Opened& entry = opened[name];
  if (entry.backend == nullptr) entry.backend = open_backend(name, entry.library);
  return *entry.backend;
}

bool backend_installed(const std::string& name) {
  return fs::exists(backend_path(name));
}

}  // namespace onnxport
