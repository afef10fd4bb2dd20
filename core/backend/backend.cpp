// SPDX-License-Identifier: Apache-2.0
#include "core/backend/backend.hpp"

#include <fmt/format.h>

#include <map>
#include <mutex>

#include "core/error.hpp"
#include "core/on_demand.hpp"

namespace onnxport {
namespace {

Backend* open_backend(const std::string& name) {
  OnDemandLibrary wanted;
  wanted.name = name;
  wanted.what = fmt::format("the back end '{}'", name);
  wanted.stamp_symbol = backend_stamp_symbol;
  wanted.stamp = ONNXPORT_BACKEND_STAMP;
  wanted.absent_hint = "build it (the reference needs libtorch), or pass --no-validate to export without comparing";
  wanted.broken_hint = "install the library that it needs, or pass --no-validate to export without comparing";
  const auto& library = open_on_demand(wanted);
  try {
    return library.get<Backend*()>(backend_symbol)();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& problem) {
    throw Error(Failure::usage, fmt::format("{} cannot be opened: {}", wanted.what, problem.what()),
                wanted.broken_hint);
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

bool backend_installed(const std::string& name) {
  return std::filesystem::exists(on_demand_path(name));
}

}  // namespace onnxport
