// SPDX-License-Identifier: Apache-2.0
// The command line as plain data: what cli.cpp parses and the commands take.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace onnxport {

/// Options that say which plugins count.
struct PluginArguments {
  std::vector<std::filesystem::path> plugin_dirs;
  std::optional<std::filesystem::path> trust;
  bool safe = false;  // the installed ones only
  bool ignores_quarantine = false;
};

/// Options that say where the checkpoint comes from.
struct ModelArguments {
  std::string name;                 // a folder, or a model id
  std::string revision;             // of a model id; empty: main
  std::filesystem::path cache_dir;  // empty: that of the environment
  bool refresh = false;             // ask the hub what the revision stands for now
};

/// How closely a file is compared with its definition.
struct DepthArguments {
  std::string budget;  // "", "quick", "default" or "thorough"
  bool trace_values = false;
  std::optional<uint64_t> segment_size;           // bytes of weights that are compared at a time
  std::vector<std::filesystem::path> references;  // the original, or parts of it, as TorchScript
  std::filesystem::path reference_names;          // a JSON file; empty: none
  std::filesystem::path calibration;              // inputs as they are in use; empty: none
  std::vector<std::filesystem::path> cases;       // recorded inputs and outputs
};

struct ExportArguments {
  PluginArguments plugins;
  ModelArguments model;
  std::string feature;  // empty: by config.json's architectures
  std::optional<int64_t> opset;
  std::optional<double> atol;
  std::string target = "onnx", weights = "copy", layout = "single", dtype = "fp32";
  std::vector<std::string> keep_fp32;  // modules, or "auto"
  std::vector<std::string> fixed;      // "AXIS=N"
  std::string ids = "int64";
  bool kept_logits = false;
  std::optional<int64_t> max_sequence;
  std::string runtime;  // "onnxruntime=1.17"; empty: any
  bool external_data = false;
  std::string data_name;               // of the external data's file; empty: the model's name + "_data"
  std::optional<uint64_t> max_memory;  // bytes
  bool no_validate = false;
  DepthArguments depth;
  bool dry_run = false, skip_existing = false;
  std::string position_ids;  // "", "sequence", "mask" or "input"
  bool sample_mask = false;
  std::string noise;  // "", "drawn" or "input"
  std::vector<std::string> outputs;
  std::string scores;  // "", "auto", "sigmoid" or "softmax"
  bool allow_unused = false;
  std::optional<bool> strict_config;  // none: for extensions
  bool model_card = false;
  bool keep_custom_ops = false;
  std::filesystem::path custom_ops;
  std::string plugin;
  std::string framework;     // transformers.onnx: "", "pt" or "tf"
  std::string preprocessor;  // transformers.onnx: "", "auto", "tokenizer", …
  std::filesystem::path output;
};

struct ValidateArguments {
  PluginArguments plugins;
  std::string feature;  // of a file that does not say it; empty: by architectures and the file's inputs
  std::filesystem::path output;
  ModelArguments model;
  DepthArguments depth;
  std::optional<uint64_t> max_memory;  // bytes
  std::optional<double> atol;
  std::string plugin;
  std::filesystem::path custom_ops;
};

struct FeaturesArguments {
  PluginArguments plugins;
  std::string model_type;
};

struct InspectArguments {
  std::filesystem::path file;
  std::vector<std::string> sizes;  // "sequence=384"
  std::string runtime;             // "onnxruntime=1.17"; empty: none
  std::filesystem::path graph;     // a picture to write; empty: none
  int depth = 2;                   // of modules that are told
};

/// Of transform, pack and unpack.
struct TransformArguments {
  std::filesystem::path file;
  std::filesystem::path output;
  std::vector<std::string> fixed;  // "AXIS=N"
  std::string ids = "int64";
  bool fp16 = false;
  std::optional<bool> external_data;  // nullopt: as the file has it
  std::string data_name;
  bool no_validate = false;
  std::string layout;  // a package; empty: the file alone
  PluginArguments plugins;
  ModelArguments model;         // whose definition says what the file's inputs are; no name: of the config beside it
  std::string feature, plugin;  // of a file that does not say it
};

/// Of import-torchscript.
struct ImportArguments {
  std::filesystem::path module, output;
  std::vector<std::string> inputs;   // "input_ids=i64[batch,sequence]"
  std::vector<std::string> outputs;  // names, in order
  std::vector<std::string> sizes;    // "sequence=16"
  std::vector<std::string> ranges;   // "input_ids=0:30522"
  std::vector<std::filesystem::path> cases;
  std::optional<int64_t> opset;
  std::optional<double> atol;
  std::string dtype = "fp32";
  bool external_data = false;
  std::string data_name;
  bool no_validate = false;
};

struct DiffArguments {
  std::filesystem::path a, b;
};

struct ExplainArguments {
  PluginArguments plugins;
  std::filesystem::path config;
  std::string feature, plugin;
};

struct PluginsNewArguments {
  PluginArguments plugins;
  std::string name;
  std::string like;                      // a model type to begin with
  std::filesystem::path config, folder;  // empty: none, and the name
};

struct PluginsCheckArguments {
  PluginArguments plugins;
  std::filesystem::path path;
  bool run = false;
  std::vector<std::filesystem::path> cases, configs;  // what it is tried on
  int64_t limit = 300;                                // seconds for each step of a trial
};

struct PluginsTrustArguments {
  PluginArguments plugins;
  std::filesystem::path path;
  std::string by;                // "", "sha256", "directory", "publisher" or "id"
  std::filesystem::path policy;  // empty: the user's
};

struct PluginsSignArguments {
  std::filesystem::path path;      // empty: nothing is signed
  std::filesystem::path key;       // to sign with
  std::filesystem::path make_key;  // to be made; empty: none
};

struct PluginsVerifyArguments {
  PluginArguments plugins;
  std::filesystem::path path;
};

struct QuarantineArguments {
  std::string which;  // an id, a library or the beginning of a sum; empty: all
  bool clear = false;
};

struct TrustCommandArguments {
  PluginsTrustArguments trust;
  PluginsSignArguments sign;
  PluginsVerifyArguments verify;
  QuarantineArguments quarantine;
};

struct SynthArguments {
  PluginArguments plugins;
  std::filesystem::path config;
  std::filesystem::path output;
  std::string feature;
  std::string plugin;
  uint64_t seed = 0;
  std::optional<int> form;  // of the draw; the newest one where there is none
  std::string dtype = "fp32";
  std::optional<uint64_t> shard_size;  // bytes; one file where there is none
};

}  // namespace onnxport
