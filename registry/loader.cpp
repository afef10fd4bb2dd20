// SPDX-License-Identifier: Apache-2.0
#include "registry/loader.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <boost/dll/shared_library.hpp>
#include <exception>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/activity.hpp"
#include "core/error.hpp"
#include "core/printable.hpp"
#include "registry/candidate.hpp"
#include "registry/places.hpp"
#include "registry/plugin_facts.hpp"
#include "registry/trust.hpp"

namespace onnxport {
namespace {

using namespace detail;
using Path = std::filesystem::path;

// The sizes of version 1.0, which every plugin of this major version has at least.
constexpr size_t plugin_size = ONNXPORT_SIZE_THROUGH(onnxport_plugin, get_interface);
constexpr size_t magic_size = ONNXPORT_SIZE_THROUGH(onnxport_magic, vendor);
constexpr size_t onnx_config_size = ONNXPORT_SIZE_THROUGH(onnxport_onnx_config_1, lower);

/// Calls into the plugin. Its functions are C, but might be written in a language with exceptions.
template <class Function>
auto guarded(const Path& library, const char* what, Function function) {
  try {
    return function();
  } catch (const std::exception& error) {
    refuse(library, fmt::format("{} threw an exception ({}); expected that none leaves a plugin", what, error.what()),
           report_hint);
  } catch (...) {
    refuse(library, fmt::format("{} threw an exception; expected that none leaves a plugin", what), report_hint);
  }
}

/// What stays open until the process ends.
struct Opened {
  boost::dll::shared_library handle;
  Manifest manifest;
  LoadedPlugin loaded;
};

/// The number of the processor that an ELF file is made for; nullopt of other files.
std::optional<unsigned> elf_machine(const Path& file) {
  constexpr size_t machine_at = 18, size = 20;
  std::array<unsigned char, size> head{};
  std::ifstream in(file, std::ios::binary);
  if (!in.read(reinterpret_cast<char*>(head.data()), size)) return std::nullopt;
  if (head[0] != 0x7f || head[1] != 'E' || head[2] != 'L' || head[3] != 'F') return std::nullopt;
  const bool is_big = head[5] == 2;
  return is_big ? head[machine_at] << 8 | head[machine_at + 1] : head[machine_at + 1] << 8 | head[machine_at];
}

/// Why a library does not load. Of one for another processor the system says that there is no such file.
std::string reason_not_opened(const Path& library) {
  const char* told = ::dlerror();
  const auto found = elf_machine(library), expected = elf_machine("/proc/self/exe");
  if (!found || !expected || *found == *expected) return told == nullptr ? "the system does not say why" : told;
  return fmt::format("it is made for another processor: found ELF machine {}, expected {}", *found, *expected);
}

std::unique_ptr<Opened> open(const Path& library, const Manifest& manifest, const onnxport_host& host) {
  // Never destroyed: unloading a library whose code may still be referenced is undefined.
  static auto* const handles = new std::vector<boost::dll::shared_library>;
  auto opened = std::make_unique<Opened>();
  boost::dll::fs::error_code failed;
  std::string thrown;
  try {
    opened->handle.load(library, failed, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  } catch (const std::exception& error) {
    thrown = fmt::format("threw an exception ({})", shortened(error.what()));
  } catch (...) {
    thrown = "threw an exception";
  }
  if (!thrown.empty()) {
    // The system's loader was left in the middle of its work, with a lock that nobody opens: the next library that
    // another thread loads would be waited for without end.
    end_for_deed(thrown);
    refuse(library, fmt::format("one of its constructors {}; expected that none leaves a plugin", thrown),
           "tell the plugin's author");
  }
  if (failed) {
    refuse(library, fmt::format("cannot be opened: {}", reason_not_opened(library)),
           "install what the library needs, or build the plugin again on this machine");
  }
  handles->push_back(opened->handle);
  if (!opened->handle.has(ONNXPORT_ENTRY_SYMBOL)) {
    refuse(library, fmt::format("found no symbol {}, expected it in every plugin", ONNXPORT_ENTRY_SYMBOL),
           "declare the plugin with ONNXPORT_PLUGIN, or export the function from C");
  }
  const auto entry = opened->handle.get<std::remove_pointer_t<onnxport_plugin_entry_fn>>(ONNXPORT_ENTRY_SYMBOL);
  const onnxport_plugin* plugin = guarded(library, ONNXPORT_ENTRY_SYMBOL, [&] { return entry(); });
  if (plugin == nullptr) {
    refuse(library, fmt::format("{} gave null, expected the plugin's data", ONNXPORT_ENTRY_SYMBOL), report_hint);
  }

  // The magic block first: where it differs, nothing behind it can be trusted to lie where this host reads
  // it.
  constexpr size_t through_magic = offsetof(onnxport_plugin, magic) + magic_size;
  if (plugin->struct_size < through_magic || plugin->struct_size > largest_struct ||
      plugin->magic.struct_size < magic_size || plugin->magic.struct_size > plugin->struct_size) {
    refuse(
        library,
        fmt::format("found struct_size {} with a magic block of {}, expected at least {} and {}", plugin->struct_size,
                    plugin->struct_size < through_magic ? 0 : plugin->magic.struct_size, through_magic, magic_size),
        rebuild_hint);
  }
  check_magic(plugin->magic, host, library);
  if (plugin->struct_size < plugin_size) {
    refuse(library, fmt::format("found struct_size {}, expected at least {}", plugin->struct_size, plugin_size),
           rebuild_hint);
  }
  check_facts(*plugin, manifest, library);

  if (plugin->get_interface == nullptr) refuse(library, "found no get_interface, expected a function", report_hint);
  constexpr onnxport_string name{"onnx-config", 11};
  const auto* table = static_cast<const onnxport_onnx_config_1*>(
      guarded(library, "get_interface", [&] { return plugin->get_interface(name, 1); }));
  if (table == nullptr) {
    refuse(library, "the plugin does not offer the interface \"onnx-config\" 1, expected it of every plugin",
           report_hint);
  }
  if (table->struct_size < onnx_config_size || table->struct_size > largest_struct) {
    refuse(library,
           fmt::format("its interface \"onnx-config\" 1 has struct_size {}, expected at least {}", table->struct_size,
                       onnx_config_size),
           rebuild_hint);
  }
  if (table->create == nullptr || table->release == nullptr || table->describe == nullptr ||
      table->forward == nullptr) {
    refuse(library, "its interface \"onnx-config\" 1 lacks create, release, describe or forward, expected all four",
           report_hint);
  }
  opened->manifest = manifest;
  opened->loaded.plugin = plugin;
  opened->loaded.onnx_config = table;
  opened->loaded.manifest = &opened->manifest;
  opened->loaded.library = library;
  return opened;
}

void enforce(const std::optional<Refusal>& refusal) {
  if (refusal) throw Error(Failure::plugin, refusal->cause, refusal->hint);
}

}  // namespace

const LoadedPlugin& load(const Candidate& candidate, const onnxport_host& host) {
  if (!candidate.is_healthy()) {
    throw Error(Failure::plugin, fmt::format("the plugin is {}: {}", to_string(candidate.state), candidate.reason),
                candidate.hint);
  }
  const Candidate& target = candidate.with_library();
  const Manifest& manifest = target.manifest;
  if (manifest.library.empty()) {
    throw Error(Failure::plugin, fmt::format("{}: found no library to load", target.manifest_path.string()),
                "build the plugin with onnxport_add_plugin()");
  }
  if (manifest.library.find('/') != std::string::npos || manifest.library == "..") {
    throw Error(Failure::plugin,
                fmt::format("{}: found the library '{}', expected a file beside the manifest",
                            target.manifest_path.string(), manifest.library),
                "put the library beside its manifest");
  }

  // Checked again, although discovery did: time has passed.
  const Path folder = target.manifest_path.parent_path();
  const Path library = folder / manifest.library;
  enforce(check_library_file(library));
  for (const Path& writable : {folder, target.manifest_path, library}) enforce(check_writers(writable));
  Subject subject = subject_of(target);
  if (target.trust) enforce(target.trust->check(subject));

  static std::mutex mutex;
  static auto* const open_plugins = new std::map<Path, std::unique_ptr<Opened>>;
  const std::lock_guard lock(mutex);
  std::error_code error;
  const Path canonical = std::filesystem::canonical(library, error);
  if (error) refuse(library, "cannot be read: " + error.message(), "check the path and its permissions");
  if (const auto found = open_plugins->find(canonical); found != open_plugins->end()) {
    check_magic(found->second->loaded.plugin->magic, host, library);
    // The file may be another by now; what is open is what was hashed.
    subject.sha256 = found->second->loaded.sha256;
    if (target.trust) enforce(target.trust->check(subject));
    return found->second->loaded;
  }

  const std::string sum = sha256_of(library);
  if (!manifest.sha256.empty() && sum != manifest.sha256) {
    refuse(library,
           fmt::format("found sha256 {}, expected {} after {}", sum, manifest.sha256, target.manifest_path.string()),
           "the file was changed or damaged after it was built: build or install the plugin again");
  }
  subject.sha256 = sum;
  if (target.trust) enforce(target.trust->check(subject));
  enforce(check_quarantine(target, sum));
  note_library({manifest.id, canonical.native(), sum, target.place == install_place});
  const PluginCall at_work(manifest.id, "");
  std::unique_ptr<Opened> opened = open(canonical, manifest, host);
  opened->loaded.sha256 = sum;
  return open_plugins->emplace(canonical, std::move(opened)).first->second->loaded;
}

}  // namespace onnxport
