// SPDX-License-Identifier: Apache-2.0
#include "registry/plugin_facts.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "core/error.hpp"

namespace onnxport::detail {
namespace {

using Path = std::filesystem::path;

/// Of version 1.0, which every plugin of this major version has at least.
constexpr size_t model_size = ONNXPORT_SIZE_THROUGH(onnxport_model, architecture_count);
constexpr size_t model_size_1_3 = ONNXPORT_SIZE_THROUGH(onnxport_model, known_gap_count);
constexpr size_t largest_count = 1 << 16;

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
               rebuild_hint);
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
      refuse(library_, fmt::format("the length that it gives with its {} is {}, which cannot be right", what, count),
             report_hint);
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

}  // namespace

void refuse(const Path& library, const std::string& what, const std::string& hint) {
  throw Error(Failure::plugin, fmt::format("{}: {}", library.string(), what), hint);
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

void check_facts(const onnxport_plugin& plugin, const Manifest& expected, const Path& library) {
  const Manifest found = Facts(plugin, library).manifest;
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

}  // namespace onnxport::detail
