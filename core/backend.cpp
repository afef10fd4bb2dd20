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
  if (const char* given = std::getenv("ONNXPORT_BACKEND_PATH"); given != nullptr && *given != '\0') return fs::path(given) / file;
  return fs::path(dll::program_location().parent_path().string()) / ".." / "lib" / "onnxport" / "backends" / file;
}

Backend* open_backend(const std::string& name) {
  const fs::path path = backend_path(name);
  if (!fs::exists(path)) {
    throw Error(Failure::usage, fmt::format("the back end '{}' is not installed: {} is not there", name, path.string()),
                "build it (the reference needs libtorch), or pass --no-validate to export without comparing");
  }
  try {
    // Never unloaded: ONNX Runtime and libtorch register things that outlive every object of ours.
    auto* library = new dll::shared_library(path.string(), dll::load_mode::rtld_now | dll::load_mode::rtld_local);
    const std::string stamp = library->get<const char*()>(backend_stamp_symbol)();
    if (stamp != ONNXPORT_BACKEND_STAMP) {
      throw Error(Failure::usage, fmt::format("{} was built as '{}', and this program wants '{}'", path.string(), stamp, ONNXPORT_BACKEND_STAMP),
                  "build program and back ends from the same version");
    }
    return library->get<Backend*()>(backend_symbol)();
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
  static std::map<std::string, Backend*> opened;
  const std::lock_guard lock(mutex);
  Backend*& backend = opened[name];
  if (backend == nullptr) backend = open_backend(name);
  return *backend;
}

bool backend_installed(const std::string& name) { return fs::exists(backend_path(name)); }

}  // namespace onnxport
