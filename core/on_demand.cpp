// SPDX-License-Identifier: Apache-2.0
#include "core/on_demand.hpp"

#include <fmt/format.h>

#include <map>
#include <mutex>
#include <utility>

#include "core/error.hpp"
#include "core/installation.hpp"
#include "core/loader_message.hpp"
#include "core/privileges.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
namespace dll = boost::dll;

std::mutex& gate_mutex() {
  static std::mutex mutex;
  return mutex;
}

LibraryGate& gate() {
  static LibraryGate set;
  return set;
}

void open(const OnDemandLibrary& wanted, dll::shared_library& library) {
  const fs::path path = on_demand_path(wanted.name);
  if (!fs::exists(path)) {
    throw Error(Failure::usage, fmt::format("{} is not installed: {} is not there", wanted.what, path.string()),
                wanted.absent_hint);
  }
  pass_library_gate(wanted.name, path);
  try {
    library.load(path.string(), dll::load_mode::rtld_now | dll::load_mode::rtld_local);
    constexpr const char* same_version = "build the program and its libraries from the same version";
    if (!library.has(wanted.stamp_symbol))
      throw Error(Failure::plugin,
                  fmt::format("{} is not {}: it has no symbol {}", path.string(), wanted.what, wanted.stamp_symbol),
                  same_version);
    const std::string stamp = library.get<const char*()>(wanted.stamp_symbol)();
    if (stamp == wanted.stamp) return;
    throw Error(Failure::plugin,
                fmt::format("{} was built as '{}', and this program wants '{}'", path.string(), stamp, wanted.stamp),
                same_version);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& problem) {
    throw Error(Failure::usage, fmt::format("{} cannot be opened: {}", wanted.what, loader_message(problem)),
                wanted.broken_hint);
  }
}

}  // namespace

void set_library_gate(LibraryGate wanted) {
  const std::lock_guard lock(gate_mutex());
  gate() = std::move(wanted);
}

void pass_library_gate(const std::string& name, const fs::path& library) {
  LibraryGate set;
  {
    const std::lock_guard lock(gate_mutex());
    set = gate();
  }
  if (set) set(name, library);
}

fs::path on_demand_path(const std::string& name) {
  const std::string file = "libonnxport_" + name + ".so";
  if (const auto given = variable_for_code("ONNXPORT_BACKEND_PATH")) return fs::path(*given) / file;
  return installed_files() / "backends" / file;
}

const dll::shared_library& open_on_demand(const OnDemandLibrary& wanted) {
  static std::mutex mutex;
  struct Opened {
    std::mutex mutex;
    dll::shared_library library;
    bool fits = false;
  };
  // Never destroyed, so that no library is unloaded, also where one does not fit: what it links has code to run at
  // exit.
  static auto& opened = *new std::map<std::string, Opened>;
  Opened* entry = nullptr;
  {
    const std::lock_guard lock(mutex);
    entry = &opened[wanted.name];
  }
  // A large library takes half a second, in which others can be asked for.
  const std::lock_guard lock(entry->mutex);
  if (!entry->fits) open(wanted, entry->library);
  entry->fits = true;
  return entry->library;
}

}  // namespace onnxport
