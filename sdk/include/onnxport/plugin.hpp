// SPDX-License-Identifier: Apache-2.0
// The header that every plugin includes. Declare what the plugin is with ONNXPORT_PLUGIN; everything else is reached
// from there, but for what only some models have: blocks/, families/, layer_types.hpp, relative_bias.hpp, rotary.hpp.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/image_encoder.hpp>
#include <onnxport/recurrent.hpp>
#include <onnxport/selection.hpp>
#include <onnxport/seq2seq.hpp>
#include <onnxport/text_decoder.hpp>
#include <onnxport/text_encoder.hpp>
#include <onnxport/vision.hpp>

namespace onnxport::sdk {

using Make = std::unique_ptr<OnnxConfig> (*)(const Request&);

/// Something that a plugin knows it does not do: users are told by `onnxport features`, and tests expect it to fail. It
/// is met where all that is given of architecture, feature and option fits.
struct KnownGap {
  std::string architecture{};  ///< a class name of config.json
  std::string feature{};
  std::string option{};  ///< a field of config.json and its value: "parallel_attn=false"
  std::string reason;    ///< a sentence for people, without a full stop
};

/// A family of model types that share their features and one OnnxConfig.
struct Model {
  std::vector<std::string> types;
  std::vector<std::string> features;
  /// Class names of config.json whose ending does not tell the feature.
  std::vector<std::pair<std::string, std::string>> architectures{};
  std::vector<KnownGap> known_gaps{};
  Make make;
};

// What many plugins of one hand share; onnxport_add_plugin() defines them where it is told.
#ifndef ONNXPORT_PLUGIN_VERSION
#define ONNXPORT_PLUGIN_VERSION ""
#endif
#ifndef ONNXPORT_PLUGIN_LICENSE
#define ONNXPORT_PLUGIN_LICENSE ""
#endif
#ifndef ONNXPORT_PLUGIN_VENDOR
#define ONNXPORT_PLUGIN_VENDOR ""
#endif

/// What a plugin is. The build makes its plugin.yaml of this.
struct Plugin {
  std::string id;  ///< a reversed domain: "org.example.name"
  std::string name;
  std::string version = ONNXPORT_PLUGIN_VERSION;
  std::string license = ONNXPORT_PLUGIN_LICENSE;
  std::string vendor = ONNXPORT_PLUGIN_VENDOR;
  std::vector<Model> models;
  uint32_t abi_minor_needed = 0;
};

/// A model's onnx-config of class T.
template <class T>
std::unique_ptr<OnnxConfig> make(const Request& request) {
  static_assert(std::is_base_of_v<OnnxConfig, T>, "make<T>: T derives from OnnxConfig or one of its children");
  static_assert(!std::is_abstract_v<T>, "make<T>: T defines inputs() and forward(), or what its base asks for instead");
  if constexpr (std::is_base_of_v<OnnxConfig, T> && !std::is_abstract_v<T>) {
    static_assert(std::is_constructible_v<T, const Request&>, "make<T>: T has a constructor from a const Request&");
    return std::make_unique<T>(request);
  }
}

namespace detail {

using Create = onnxport_status* (*)(const onnxport_request*, onnxport_onnx_config**);
using GetInterface = const void* (*)(onnxport_string, uint32_t);

/// A plugin's static data in the form of the ABI, of a declaration that outlives it.
class Tables {
 public:
  Tables(const Plugin& plugin, GetInterface get_interface);
  ~Tables();
  Tables(const Tables&) = delete;
  Tables& operator=(const Tables&) = delete;

  const onnxport_plugin* abi() const { return &abi_; }

 private:
  struct ModelTables {
    explicit ModelTables(const Model& model);
    std::vector<onnxport_string> types, features;
    std::vector<onnxport_architecture> architectures;
    std::vector<onnxport_known_gap> known_gaps;
    onnxport_model abi;
  };

  std::vector<ModelTables> models_;
  std::vector<const onnxport_model*> pointers_;
  onnxport_plugin abi_{};
};

/// `create` of "onnx-config" 1 for the models of `plugin`.
onnxport_status* create(const Plugin& plugin, const onnxport_request* request, onnxport_onnx_config** out);

/// The functions of "onnx-config" 1 over the classes of this SDK.
onnxport_onnx_config_1 functions(Create create);

/// What only the library that declares a plugin knows: its declaration.
template <const Plugin& (*declared)()>
struct Entry {
  static onnxport_status* create(const onnxport_request* request, onnxport_onnx_config** out) {
    return detail::create(declared(), request, out);
  }
  static const void* get_interface(onnxport_string name, uint32_t version) {
    static const onnxport_onnx_config_1 table = functions(create);
    return from_abi(name) == "onnx-config" && version == 1 ? &table : nullptr;
  }
  static const onnxport_plugin* plugin() {
    static const Tables tables(declared(), get_interface);
    return tables.abi();
  }
};

}  // namespace detail
}  // namespace onnxport::sdk

// A build that compiles the SDK once has this code there.
#ifndef ONNXPORT_SDK_COMPILED
#include <onnxport/bridge.hpp>
#endif

/// Exports a plugin. The argument is an onnxport::sdk::Plugin; at file scope, once in a library.
#define ONNXPORT_PLUGIN(...)                                                      \
  static const onnxport::sdk::Plugin& onnxport_declared_plugin() {                \
    static const onnxport::sdk::Plugin plugin __VA_ARGS__;                        \
    return plugin;                                                                \
  }                                                                               \
  extern "C" ONNXPORT_EXPORT const onnxport_plugin* onnxport_plugin_entry(void) { \
    return onnxport::sdk::detail::Entry<onnxport_declared_plugin>::plugin();      \
  }
