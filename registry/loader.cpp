// SPDX-License-Identifier: Apache-2.0
#include "registry/loader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/dll/shared_library.hpp>
#include <cstddef>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "registry/registry.hpp"
#include "registry/trust.hpp"

namespace onnxport {
namespace {

using Path = std::filesystem::path;

/// The size that a struct has to have for `member` to be in it.
#define ONNXPORT_SIZE_THROUGH(type, member) (offsetof(type, member) + sizeof(type::member))

// The sizes of version 1.0, which every plugin of this major version has at least.
constexpr size_t plugin_size = ONNXPORT_SIZE_THROUGH(onnxport_plugin, get_interface);
constexpr size_t magic_size = ONNXPORT_SIZE_THROUGH(onnxport_magic, vendor);
constexpr size_t model_size = ONNXPORT_SIZE_THROUGH(onnxport_model, architecture_count);
constexpr size_t onnx_config_size = ONNXPORT_SIZE_THROUGH(onnxport_onnx_config_1, lower);
// And that of a model since 1.3.
constexpr size_t model_size_1_3 = ONNXPORT_SIZE_THROUGH(onnxport_model, known_gap_count);
#undef ONNXPORT_SIZE_THROUGH

/// No struct of the ABI comes near this; what is larger is no size.
constexpr size_t largest_struct = 1 << 16;
constexpr size_t largest_count = 1 << 16;

[[noreturn]] void refuse(const Path& library, const std::string& what, const std::string& hint) {
  throw Error(Failure::plugin, fmt::format("{}: {}", library.string(), what), hint);
}

constexpr const char* rebuild = "build the plugin again with the SDK of this version of onnxport";
constexpr const char* report = "the plugin has a defect: tell its vendor, or remove it";

/// Calls into the plugin. Its functions are C, but might be written in a language with exceptions.
template <class Function>
auto guarded(const Path& library, const char* what, Function function) {
  try {
    return function();
  } catch (const std::exception& error) {
    refuse(library, fmt::format("{} threw an exception ({}); expected that none leaves a plugin", what, error.what()),
           report);
  } catch (...) {
    refuse(library, fmt::format("{} threw an exception; expected that none leaves a plugin", what), report);
  }
}

/// What a plugin says of itself, copied and checked.
class Facts {
 public:
  Facts(const onnxport_plugin& plugin, const Path& library) : library_(library) {
    manifest.id = text(plugin.id, "id");
    manifest.name = text(plugin.name, "name");
    manifest.version = text(plugin.version, "version");
    manifest.license = text(plugin.license, "license");
    manifest.vendor = text(plugin.vendor, "vendor");
    check_list(plugin.models, plugin.model_count, "models");
    for (size_t i = 0; i < plugin.model_count; ++i) {
      const onnxport_model* from = plugin.models[i];
      if (from == nullptr || from->struct_size < model_size || from->struct_size > largest_struct) {
        refuse(library_,
               fmt::format("entry {} of its models is null or has a wrong struct_size, expected at least {}", i,
                           model_size),
               rebuild);
      }
      Manifest::Model model;
      model.types = texts(from->model_types, from->model_type_count, "model types");
      model.features = texts(from->features, from->feature_count, "features");
      check_list(from->architectures, from->architecture_count, "architectures");
      for (size_t j = 0; j < from->architecture_count; ++j) {
        model.architectures.emplace_back(text(from->architectures[j].name, "architecture"),
                                         text(from->architectures[j].feature, "feature of an architecture"));
      }
      model.known_gaps = known_gaps(*from);
      manifest.models.push_back(std::move(model));
    }
  }

  Manifest manifest;

 private:
  void check_list(const void* data, size_t count, const char* what) const {
    if (count > largest_count || (count > 0 && data == nullptr)) {
      refuse(library_, fmt::format("its {} are said to be {}, which cannot be right", what, count), report);
    }
  }
  std::string text(onnxport_string string, const char* what) const {
    check_list(string.data, string.size, what);
    return string.size == 0 ? std::string() : std::string(string.data, string.size);
  }
  std::vector<Manifest::KnownGap> known_gaps(const onnxport_model& from) const {
    std::vector<Manifest::KnownGap> gaps;
    if (from.struct_size < model_size_1_3) return gaps;
    check_list(from.known_gaps, from.known_gap_count, "known gaps");
    for (size_t i = 0; i < from.known_gap_count; ++i) {
      const onnxport_known_gap& gap = from.known_gaps[i];
      gaps.push_back({text(gap.architecture, "architecture of a gap"), text(gap.feature, "feature of a gap"),
                      text(gap.option, "option of a gap"), text(gap.reason, "reason of a gap")});
    }
    return gaps;
  }
  std::vector<std::string> texts(const onnxport_string* strings, size_t count, const char* what) const {
    check_list(strings, count, what);
    std::vector<std::string> result;
    for (size_t i = 0; i < count; ++i) result.push_back(text(strings[i], what));
    return result;
  }

  const Path& library_;
};

std::string listed(std::vector<std::string> items) {
  std::sort(items.begin(), items.end());
  return fmt::format("[{}]", fmt::join(items, ", "));
}

std::vector<std::string> all_types(const Manifest& manifest) {
  std::vector<std::string> types;
  for (const Manifest::Model& model : manifest.models)
    types.insert(types.end(), model.types.begin(), model.types.end());
  return types;
}

void check_magic(const onnxport_magic& magic, const onnxport_host& host, const Path& library) {
  std::vector<std::string> differences;
  const auto differ = [&](const char* what, const std::string& found, const std::string& expected) {
    differences.push_back(fmt::format("{}: found {}, expected {}", what, found, expected));
  };
  constexpr uint32_t pointer_bits = sizeof(void*) * 8;
  if (magic.pointer_bits != pointer_bits) {
    differ("pointer width", fmt::format("{} bits", magic.pointer_bits), fmt::format("{}", pointer_bits));
  }
  if (magic.endian_mark != ONNXPORT_ENDIAN_MARK) {
    differ("byte order mark", fmt::format("{:#010x}", magic.endian_mark),
           fmt::format("{:#010x}", ONNXPORT_ENDIAN_MARK));
  }
  if (magic.abi_major != host.abi_major) {
    differ("ABI major version", fmt::format("{}", magic.abi_major), fmt::format("{}", host.abi_major));
  }
  if (magic.abi_minor_needed > host.abi_minor) {
    differ("lowest ABI minor version that it needs", fmt::format("{}", magic.abi_minor_needed),
           fmt::format("at most {}", host.abi_minor));
  }
  std::string vendor(magic.vendor, std::find(magic.vendor, std::end(magic.vendor), '\0'));
  if (vendor != ONNXPORT_ABI_VENDOR) {
    for (char& c : vendor) {
      if (c < 0x20 || c > 0x7e) c = '?';
    }
    differ("ABI vendor", fmt::format("'{}'", vendor), fmt::format("'{}'", ONNXPORT_ABI_VENDOR));
  }
  if (differences.empty()) return;
  refuse(library, fmt::format("the plugin does not fit this host:\n  {}", fmt::join(differences, "\n  ")),
         "install the build of the plugin that fits this version of onnxport, or another onnxport");
}

void check_facts(const Manifest& found, const Manifest& expected, const Path& library) {
  std::vector<std::string> differences;
  const auto compare = [&](const std::string& what, const std::string& library_says, const std::string& manifest_says) {
    if (library_says != manifest_says) {
      differences.push_back(fmt::format("{}: found {} in the library, expected {} after the manifest", what,
                                        library_says, manifest_says));
    }
  };
  compare("id", found.id, expected.id);
  compare("name", found.name, expected.name);
  compare("version", found.version, expected.version);
  compare("license", found.license, expected.license);
  compare("vendor", found.vendor, expected.vendor);
  compare("model types", listed(all_types(found)), listed(all_types(expected)));
  for (const Manifest::Model& model : expected.models) {
    for (const std::string& type : model.types) {
      const Manifest::Model* other = found.model(type);
      if (other == nullptr) continue;
      compare(fmt::format("features of {}", type), listed(other->features), listed(model.features));
      const auto architectures = [](const Manifest::Model& of) {
        std::vector<std::string> pairs;
        for (const auto& [name, feature] : of.architectures) pairs.push_back(name + ": " + feature);
        return listed(pairs);
      };
      compare(fmt::format("architectures of {}", type), architectures(*other), architectures(model));
      const auto gaps = [](const Manifest::Model& of) {
        std::vector<std::string> told;
        for (const Manifest::KnownGap& gap : of.known_gaps) told.push_back(gap.what() + ": " + gap.reason);
        return listed(told);
      };
      compare(fmt::format("known gaps of {}", type), gaps(*other), gaps(model));
    }
  }
  if (differences.empty()) return;
  refuse(library, fmt::format("the library is not what its manifest says:\n  {}", fmt::join(differences, "\n  ")),
         "build the plugin again with onnxport_add_plugin(), which makes plugin.yaml of what the library says");
}

/// What stays open until the process ends.
struct Opened {
  boost::dll::shared_library handle;
  Manifest manifest;
  LoadedPlugin loaded;
};

std::unique_ptr<Opened> open(const Path& library, const Manifest& manifest, const onnxport_host& host) {
  // Never destroyed: unloading a library whose code may still be referenced is undefined.
  static auto* const handles = new std::vector<boost::dll::shared_library>;
  auto opened = std::make_unique<Opened>();
  try {
    opened->handle.load(library, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  } catch (const std::exception& error) {
    // Of the loader's message, what the system says; the rest speaks of the library that wraps it.
    std::string why = error.what();
    constexpr std::string_view before = "dlerror system message: ";
    if (const size_t at = why.find(before); at != std::string::npos) {
      why = why.substr(at + before.size());
      if (const size_t end = why.rfind("): "); end != std::string::npos) why.resize(end);
    }
    refuse(library, fmt::format("cannot be opened: {}", why),
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
    refuse(library, fmt::format("{} gave null, expected the plugin's data", ONNXPORT_ENTRY_SYMBOL), report);
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
        rebuild);
  }
  check_magic(plugin->magic, host, library);
  if (plugin->struct_size < plugin_size) {
    refuse(library, fmt::format("found struct_size {}, expected at least {}", plugin->struct_size, plugin_size),
           rebuild);
  }
  check_facts(Facts(*plugin, library).manifest, manifest, library);

  if (plugin->get_interface == nullptr) refuse(library, "found no get_interface, expected a function", report);
  constexpr onnxport_string name{"onnx-config", 11};
  const auto* table = static_cast<const onnxport_onnx_config_1*>(
      guarded(library, "get_interface", [&] { return plugin->get_interface(name, 1); }));
  if (table == nullptr) {
    refuse(library, "the plugin does not offer the interface \"onnx-config\" 1, expected it of every plugin", report);
  }
  if (table->struct_size < onnx_config_size || table->struct_size > largest_struct) {
    refuse(library,
           fmt::format("its interface \"onnx-config\" 1 has struct_size {}, expected at least {}", table->struct_size,
                       onnx_config_size),
           rebuild);
  }
  if (table->create == nullptr || table->release == nullptr || table->describe == nullptr ||
      table->forward == nullptr) {
    refuse(library, "its interface \"onnx-config\" 1 lacks create, release, describe or forward, expected all four",
           report);
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
  if (target.trust) enforce(target.trust->check_directory(folder));

  static std::mutex mutex;
  static auto* const open_plugins = new std::map<Path, std::unique_ptr<Opened>>;
  const std::lock_guard lock(mutex);
  std::error_code error;
  const Path canonical = std::filesystem::canonical(library, error);
  if (error) refuse(library, "cannot be read: " + error.message(), "check the path and its permissions");
  if (const auto found = open_plugins->find(canonical); found != open_plugins->end()) {
    check_magic(found->second->loaded.plugin->magic, host, library);
    // The file may be another by now; what is open is what was hashed.
    if (target.trust) enforce(target.trust->check_sha256(found->second->loaded.sha256, library));
    return found->second->loaded;
  }

  const std::string sum = sha256_of(library);
  if (!manifest.sha256.empty() && sum != manifest.sha256) {
    refuse(library,
           fmt::format("found sha256 {}, expected {} after {}", sum, manifest.sha256, target.manifest_path.string()),
           "the file was changed or damaged after it was built: build or install the plugin again");
  }
  if (target.trust) enforce(target.trust->check_sha256(sum, library));
  std::unique_ptr<Opened> opened = open(canonical, manifest, host);
  opened->loaded.sha256 = sum;
  return open_plugins->emplace(canonical, std::move(opened)).first->second->loaded;
}

}  // namespace onnxport
