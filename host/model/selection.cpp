// SPDX-License-Identifier: Apache-2.0
#include "host/model/selection.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/kind.hpp"
#include "core/definition/config_fields.hpp"
#include "core/definition/sentence_modules.hpp"
#include "core/error.hpp"
#include "core/export/export.hpp"
#include "core/listed.hpp"
#include "host/process/contained.hpp"
#include "registry/recognised.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

std::string text_of(onnxport_string text) {
  return text.size == 0 ? std::string() : std::string(text.data, text.size);
}

std::string stated_type(const Json& config, const fs::path& file) {
  const auto found = config.find("model_type");
  if (found != config.end() && found->is_string() && !found->get_ref<const std::string&>().empty())
    return found->get<std::string>();
  if (found == config.end()) explain_other_config(config, file);
  throw Error(Failure::checkpoint,
              found == config.end()
                  ? file.string() + " has no field 'model_type', so nothing tells what the model is"
                  : file.string() + ": the field 'model_type' holds " + found->dump() + " instead of a name",
              "write the model's type into config.json (\"model_type\": \"NAME\"); `onnxport features` lists those "
              "that are known");
}

/// The type that config.json states, or whose fields it has.
Recognised type_of(const Registry& registry, const Json& config, const fs::path& file) {
  if (!config.contains("model_type")) {
    if (auto recognised = recognise(registry, config)) return *std::move(recognised);
  }
  return {stated_type(config, file), {}, {}};
}

/// Throws where nobody knows the type, and a part of the model is of one that is known.
void explain_known_part(const Registry& registry, const Json& config, const std::string& type) {
  if (registry.offers(type) || !registry.passed_over(type).empty()) return;
  for (const auto& [field, part] : config.items()) {
    const auto found = part.find("model_type");
    if (found == part.end() || !found->is_string()) continue;
    const auto known = found->get<std::string>();
    if (!registry.offers(known)) continue;
    throw Error(
        Failure::usage,
        fmt::format("unknown model type '{}'; of its parts, {} is of type '{}', which is known", type, field, known),
        "save that part as a model of its own (its save_pretrained()), and export that; `onnxport features` "
        "lists what is known");
  }
}

/// The feature by the class that the checkpoint was saved from. Where no class is told it is the base model, as it is
/// for transformers.onnx, or the only one of the type.
std::string feature_by_architecture(const Manifest::Model& model, const Json& config, Selection& out) {
  const std::vector<std::string> names = architectures_of(config);
  const std::vector<std::string>& offered = model.features;
  const auto is_offered = [&](std::string_view feature) {
    return std::find(offered.begin(), offered.end(), feature) != offered.end();
  };
  for (const std::string& name : names) {
    const std::optional<std::string> feature = FeaturesManager::feature_from_architecture(model, name);
    if (!feature || !is_offered(*feature)) continue;
    out.feature_source = "architectures: " + name;
    return *feature;
  }
  if (names.empty() && offered.size() == 1) {
    out.feature_source = fmt::format("the only one of '{}'", out.model_type);
    return offered[0];
  }
  if (names.empty() && is_offered(default_feature)) {
    out.feature_source = "no architectures";
    out.is_assumed = true;
    return std::string(default_feature);
  }
  throw Error(Failure::usage,
              names.empty()
                  ? "no feature was given, and config.json has no 'architectures' to tell it from"
                  : fmt::format("no feature was given, and config.json's architectures ({}) stand for none that is "
                                "supported",
                                fmt::join(names, ", ")),
              fmt::format("choose one of {} with --feature; '{}' has these", fmt::join(offered, ", "), out.model_type));
}

void note_unused(const Candidate& candidate, Console& console) {
  console.note(fmt::format("the plugin in {} is not used: {}", candidate.manifest_path.parent_path().string(),
                           candidate.reason));
}

/// What the policies say of a candidate, where there are any and it can be told.
void add_decisions(const Candidate& candidate, std::vector<TrustDecision>& decisions) {
  if (candidate.trust == nullptr || candidate.manifest.id.empty()) return;
  for (TrustDecision& decision : candidate.trust->decide(subject_of(candidate)))
    decisions.push_back(std::move(decision));
}

/// Whether a decoder has a first step that reads what an encoder made.
bool reads_encoder(const OnnxConfig& config) {
  const std::vector<std::string> parts = config.parts();
  return std::any_of(parts.begin(), parts.end(),
                     [&](const std::string& part) { return !config.first_step(part).empty(); });
}

bool says(const OnnxConfig& config, const char* fact) {
  return config.description().texts.contains(fact);
}

/// Whether one of the inputs tells which samples of another count.
bool masks_samples(const OnnxConfig& config) {
  const Description& model = config.description();
  return std::any_of(model.inputs.begin(), model.inputs.end(), [&](const InputSpec& spec) {
    const InputSpec* of = spec.role == ONNXPORT_ROLE_MASK ? model.input(spec.of) : nullptr;
    return of != nullptr && of->role == ONNXPORT_ROLE_WAVEFORM;
  });
}

constexpr const char* sample_mask = "sample_mask";

/// A choice that models leave to their user: what it is called among the options, and which models leave it.
struct ChoiceOfModel {
  const char* option;
  bool (*is_left_by)(const OnnxConfig&);
};
constexpr ChoiceOfModel choices_of_models[] = {
    // Clients count the positions of a decoder over an encoder by its cache, and give it none; nor do they where
    // nothing is generated, as of a decoder that classifies.
    {"position_ids",
     [](const OnnxConfig& config) {
       return says(config, "positions") && config.with_past() && !reads_encoder(config);
     }},
    {"encoder_keys", [](const OnnxConfig& config) { return says(config, "encoder_keys"); }},
    {"image_features",
     [](const OnnxConfig& config) {
       const std::vector<std::string> parts = config.parts();
       return config.with_past() && !reads_encoder(config) &&
              std::find(parts.begin(), parts.end(), "vision_encoder") != parts.end();
     }},
    {sample_mask, masks_samples}};

/// Adds the choices that the model has and nobody made. Whether there were any.
bool add_preferred(const OnnxConfig& config, const std::map<std::string, std::string>& preferred, Json& options) {
  bool added = false;
  for (const ChoiceOfModel& choice : choices_of_models) {
    const auto wanted = preferred.find(choice.option);
    if (wanted == preferred.end() || options.contains(choice.option) || !choice.is_left_by(config)) continue;
    options[choice.option] = wanted->second;
    added = true;
  }
  return added;
}

}  // namespace

SearchOptions search_options(const PluginArguments& arguments) {
  SearchOptions options;
  options.plugin_dirs = arguments.plugin_dirs;
  options.trust_file = arguments.trust;
  options.builtin_only = arguments.safe;
  options.quarantine = !arguments.ignores_quarantine;
  options.passed_over = libraries_that_ended_it();
  return options;
}

std::unique_ptr<Registry> discover(const PluginArguments& arguments) {
  return std::make_unique<Registry>(Registry::discover(search_options(arguments)));
}

NamedConfig read_config(const fs::path& named) {
  std::error_code ignored;
  const fs::path file = fs::is_directory(named, ignored) ? named / "config.json" : named;
  if (!fs::exists(file, ignored))
    throw Error(Failure::checkpoint, "there is no file " + file.string(), "name a config.json");
  return {file, read_json(file)};
}

Selection select(const PluginArguments& arguments, const Json& config, const fs::path& config_file, const Wanted& asked,
                 Console& console) {
  Selection out;
  const std::string &feature = asked.feature, &plugin_id = asked.plugin;
  out.registry = discover(arguments);
  for (const std::string& note : out.registry->notes()) console.note(note);
  const Recognised recognised = type_of(*out.registry, config, config_file);
  out.model_type = recognised.type;
  if (!recognised.fields.empty()) {
    console.note(fmt::format("config.json has no model_type; it is taken for '{}' by its fields {}", recognised.type,
                             fmt::join(recognised.fields, ", ")));
  }
  if (asked.plugin.empty()) explain_known_part(*out.registry, config, out.model_type);
  refuse_general_fields(config);
  out.config_file = config_file;
  for (const Candidate* candidate : out.registry->passed_over(out.model_type)) note_unused(*candidate, console);

  const FeaturesManager features(*out.registry);
  const auto choose = [&] {
    std::string wanted = feature;
    if (wanted.empty()) {
      const Resolved resolved = out.registry->resolve(out.model_type, plugin_id);
      if (!recognised.feature.empty() && architectures_of(config).empty()) {
        wanted = recognised.feature;
        out.feature_source = "what config.json is recognised by";
      } else {
        wanted = feature_by_architecture(*resolved.model, config, out);
      }
      const std::string cached = wanted + "-with-past";
      const std::vector<std::string>& offered = resolved.model->features;
      if (asked.prefers_past && std::find(offered.begin(), offered.end(), cached) != offered.end()) wanted = cached;
    }
    return features.check_supported_model_or_raise(out.model_type, wanted, plugin_id);
  };
  FeaturesManager::Supported supported = choose();
  if (out.is_assumed) {
    console.note(
        fmt::format("config.json has no 'architectures', so that it is taken for the base model; --feature chooses "
                    "another of {}",
                    fmt::join(out.registry->resolve(out.model_type, plugin_id).model->features, ", ")));
  }
  const LoadedPlugin* loaded = nullptr;
  while (loaded == nullptr) {
    try {
      loaded = &load(*supported.candidate, plugin_host());
    } catch (const Error& failed) {
      // What does not load makes room for the next plugin of the type, where there is one.
      const Candidate& culprit = supported.candidate->with_library();
      out.registry->set_aside(culprit, failed.what(), failed.hint());
      if (!out.registry->offers(out.model_type, plugin_id)) throw;
      note_unused(culprit, console);
      supported = choose();
    }
  }
  const LoadedPlugin& plugin = *loaded;
  out.is_extension = supported.candidate->base != nullptr;
  for (const Candidate* candidate : out.registry->passed_over(out.model_type)) add_decisions(*candidate, out.decisions);
  add_decisions(*supported.candidate, out.decisions);
  if (supported.candidate->base != nullptr) add_decisions(*supported.candidate->base, out.decisions);
  out.feature = supported.feature;
  if (!feature.empty() && feature != out.feature) out.feature_source = "--feature " + feature;
  out.name_rules = supported.name_rules(config);
  out.outputs = supported.outputs();

  out.plugin_id = text_of(plugin.plugin->id);
  out.plugin_version = text_of(plugin.plugin->version);
  out.plugin_sha256 = plugin.sha256;
  if (supported.candidate->manifest.is_extension()) {
    out.extension_id = supported.candidate->manifest.id;
    out.extension_version = supported.candidate->manifest.version;
  }
  if (const auto written = config.find("transformers_version"); written != config.end() && written->is_string())
    out.transformers_version = written->get<std::string>();
  for (const Candidate* of : {supported.candidate, &supported.candidate->with_library()}) {
    fs::path folder = of->manifest_path.parent_path();
    if (out.plugin_folders.empty() || out.plugin_folders[0] != folder) out.plugin_folders.push_back(std::move(folder));
  }
  const auto make = [&](const Json& options) {
    out.onnx_config = OnnxConfig::from_folder(
        features.table_of(supported), {config, config_file.parent_path(), options}, supported.model_type, out.feature);
  };
  out.options = asked.options;
  make(out.options);
  if (add_preferred(*out.onnx_config, asked.preferred, out.options)) {
    make(out.options);
    // Not all definitions know this one, and those that do are the smaller by an input.
    const bool is_chosen = out.options.value(sample_mask, "") == "none" && !asked.options.contains(sample_mask);
    out.drops_sample_mask = is_chosen && !masks_samples(*out.onnx_config);
  }
  return out;
}

void require_opset(const OnnxConfig& config, int64_t opset) {
  const int64_t lowest = std::max(lowest_opset, config.min_opset());
  if (opset >= lowest && opset <= highest_opset) return;
  throw Error(Failure::usage,
              fmt::format("opset {} is out of range: models of type '{}' can be written in opsets {} to {}", opset,
                          config.model_type(), lowest, highest_opset),
              fmt::format("choose one of these with --opset, or leave it out for the default, {}",
                          config.default_onnx_opset()));
}

void refuse_heads_of_others(const Selection& selection, const WeightSource& weights) {
  if (!selection.is_assumed) return;
  const std::vector<OnnxConfig::Head> heads = selection.onnx_config->heads_in(weights);
  if (heads.empty()) return;
  std::vector<std::string> features;
  for (const OnnxConfig::Head& head : heads) features.push_back(head.feature);
  throw Error(Failure::usage,
              fmt::format("no feature was given, config.json has no 'architectures' to tell it from, and the weights "
                          "hold more than the base model: {}, which {} asks for",
                          heads[0].tensor, fmt::join(features, ", ")),
              "choose one of these with --feature; --feature default exports the base model alone");
}

void note_leftovers(const Leftovers& leftovers, Console& console) {
  const Definition& definition = leftovers.definition;
  // Named by their first two steps: "cls.predictions.*".
  std::map<std::string, size_t> groups;
  for (const std::string& name : definition.unused_tensors) {
    size_t dot = name.find('.');
    if (dot != std::string::npos) dot = name.find('.', dot + 1);
    ++groups[dot == std::string::npos ? name : name.substr(0, dot) + ".*"];
  }
  if (!groups.empty()) {
    std::vector<std::string> shown;
    for (const auto& [group, count] : groups)
      shown.push_back(count == 1 ? group : fmt::format("{} ({})", group, count));
    console.note(fmt::format("{} tensors of the checkpoint have no part in this feature and are left out: {}",
                             definition.unused_tensors.size(), listed(shown, 6)));
  }
  if (definition.unread_fields.empty()) return;
  std::string fields = fmt::format("{}", fmt::join(definition.unread_fields, ", "));
  if (const std::string own = own_code_of(leftovers.config); !own.empty()) {
    fields += "; they may be of the model's own code, which auto_map names: " + own;
  }
  if (leftovers.strict) {
    throw Error(
        Failure::checkpoint,
        fmt::format("config.json has fields that the plugin does not know, which may change the model: {}", fields),
        "if they say nothing of its graph, pass --no-strict-config or take them out; otherwise this plugin does "
        "not define this model");
  }
  console.result()["unread_config_fields"] = definition.unread_fields;
  console.note(fmt::format("fields of config.json that nothing asked for: {}", fields));
}

}  // namespace onnxport
