// SPDX-License-Identifier: Apache-2.0
// plugin.yaml: what is known of a plugin without opening its library.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/definition/config_names.hpp"
#include "core/definition/name_pattern.hpp"
#include "registry/yaml.hpp"

namespace onnxport {

/// The contents of a plugin.yaml, in one of three forms: the source form that an author may write, the built
/// form beside a library, and the extension, which has no library and adds model types to another plugin.
struct Manifest {
  /// Something that the plugin knows it does not do. It is met where all that is not empty of the first three fits.
  struct KnownGap {
    std::string architecture;  ///< a class name of config.json
    std::string feature;
    std::string option;  ///< a field of config.json and its value as JSON: "parallel_attn=false"
    std::string reason;

    /// What it is about, for people: "T5ForTokenClassification, token-classification".
    std::string what() const;
    bool operator==(const KnownGap&) const = default;
  };
  /// A family of model types that share their features.
  struct Model {
    std::vector<std::string> types;
    std::vector<std::string> features;
    /// Class names of config.json whose ending does not tell the feature, with the feature they stand for.
    std::vector<std::pair<std::string, std::string>> architectures;
    std::vector<KnownGap> known_gaps;
  };
  /// A model type of an extension, and the type of the extended plugin that it stands for.
  struct Alias {
    std::string type;
    std::string base;
  };
  /// What config.json files are of one of the types and do not say so.
  struct Recognised {
    std::string type;
    std::vector<std::string> fields;  ///< all of them are in config.json
    std::string feature;              ///< what such a model is for where `architectures` does not tell; may be empty
  };
  /// Beginnings of tensor names in the checkpoint, and what the extended plugin calls them. Several of `to`: the tensor
  /// is split; several of `from`: they are joined.
  struct WeightName {
    std::vector<NamePattern> from, to;
    int64_t axis = 0;  ///< along which; negative ones count from the end
    std::vector<std::string>
        sizes;           ///< of a split's parts, by numbers and fields of config.json: "2*num_heads*head_dim"
    std::string groups;  ///< likewise, in how many groups the parts are laid out; empty: in one
  };

  std::string id;
  std::string name;
  std::string version;
  std::string license;
  std::string vendor;
  /// As written; of an extension, filled from the extended plugin when a Registry resolves it.
  std::vector<Model> models;

  /// 1 in the built form, else 0.
  int format = 0;
  uint32_t abi_major = 1;
  uint32_t abi_minor = 0;  ///< the lowest that the plugin needs
  std::string platform;    ///< "linux-x86_64"
  std::string library;     ///< a file name, beside the manifest
  std::string sha256;      ///< of the library, lower case; empty where none is given

  std::string extends;  ///< id of the extended plugin; empty but for an extension
  std::vector<Alias> aliases;
  std::vector<WeightName> weight_names;  ///< the first that fits a name counts
  /// The checkpoint's fields and the plugin's, with what these are by default and whatever the checkpoint says.
  ConfigNames config_names;
  std::vector<std::pair<std::string, std::string>> architectures;  ///< class names of config.json, and their features
  std::vector<std::string> offered;  ///< those of the plugin's features that the types have; empty: all
  std::vector<std::pair<std::string, std::string>> feature_names;  ///< further names, and the plugin's features
  /// By feature: steps of the model that every export of it puts out as well.
  std::vector<std::pair<std::string, std::vector<std::string>>> outputs;
  std::vector<Recognised> recognised;  ///< few manifests have any

  /// The plugin's feature that an extension has another name for; as it is where it has none.
  std::string feature_of(const std::string& name) const;

  bool is_extension() const { return !extends.empty(); }
  /// The family that has this type, or null. "_" and "-" are one, as is case.
  const Model* model(std::string_view type) const;
};

/// How types are compared: lower case, with "-" for "_", as transformers.onnx does.
std::string normal_type(std::string_view type);

/// Reads a manifest of any form. Throws Error(plugin) with file and line; `manifest` then holds what was read
/// until there, so that a message about a model type can still name the plugin that would offer it.
void parse_manifest(const yaml::Node& root, const std::filesystem::path& file, Manifest& manifest);
void parse_manifest(const std::string& text, const std::filesystem::path& file, Manifest& manifest);

/// The same from a file.
Manifest read_manifest(const std::filesystem::path& file);

/// What this build of the host calls its own platform.
std::string_view host_platform();

}  // namespace onnxport
