// SPDX-License-Identifier: Apache-2.0
// Options that several commands have.
#include "host/options.hpp"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>

#include "host/plan/choices.hpp"

namespace onnxport {

std::function<void()> running_plugins(Arguments& a, const std::function<int(Console&)>& run) {
  return [&a, run] {
    a.run = run;
    a.runs_plugins = true;
  };
}

namespace {

/// "1.5GB" as bytes: K, M, G and T by thousands, Ki, Mi, Gi and Ti by 1024; nullopt where it is none.
std::optional<uint64_t> bytes_from(const std::string& word) {
  double number = 0;
  const char* const end = word.data() + word.size();
  const auto read = std::from_chars(word.data(), end, number, std::chars_format::fixed);
  std::string unit = CLI::detail::to_lower(CLI::detail::trim_copy(std::string(read.ptr, end)));
  if (read.ec != std::errc() || !(number > 0)) return std::nullopt;
  if (unit.ends_with('b')) unit.pop_back();
  const double base = unit.ends_with('i') ? 1024 : 1000;
  if (unit.ends_with('i')) unit.pop_back();
  if (unit.empty() && base == 1024) return std::nullopt;
  constexpr std::string_view prefixes = "kmgt";
  const size_t place = unit.empty() ? 0 : prefixes.find(unit) + 1;
  if (!unit.empty() && (unit.size() > 1 || place == 0)) return std::nullopt;
  const double bytes = number * std::pow(base, static_cast<double>(place));
  return bytes >= 1 && bytes < 1e18 ? std::optional(static_cast<uint64_t>(bytes)) : std::nullopt;
}

}  // namespace

CLI::Validator size_value() {
  return CLI::Validator(
      [](std::string& word) -> std::string {
        const std::optional<uint64_t> bytes = bytes_from(word);
        if (!bytes) return "'" + word + "' is no size: write one such as 500MB, 1.5GB or 4GiB";
        word = std::to_string(*bytes);
        return {};
      },
      "");
}

void add_report_options(CLI::App& app, Arguments& a) {
  app.add_flag("-q,--quiet", a.quiet, "Say nothing but errors");
  app.add_flag("--json", a.json, "Print one JSON object on standard output, also for errors; with --quiet as well");
  app.add_flag("--json-line", a.json_line, "The same in one line");
}

void add_report_file_option(CLI::App& app, Arguments& a) {
  app.add_option("--report", a.report, "Write what was done and found to this file, which ends in .html or .json")
      ->type_name("FILE");
}

void add_plugin_options(CLI::App& app, PluginArguments& plugins) {
  CLI::Option* folders = app.add_option("--plugin-dir", plugins.plugin_dirs, "Look for plugins here first (repeatable)")
                             ->type_name("DIR")
                             ->allow_extra_args(false);
  app.add_option("--trust", plugins.trust, "Policy that says which plugins may be loaded")->type_name("FILE");
  app.add_flag("--safe", plugins.safe, "Load nothing but the plugins and back ends that came with the program")
      ->excludes(folders);
  app.add_flag("--ignore-quarantine", plugins.ignores_quarantine,
               "Load plugins as well that ended the process once (see `plugins quarantine`)");
}

CLI::Option* add_model_options(CLI::App& app, ModelArguments& from) {
  CLI::Option* model =
      app.add_option("-m,--model", from.name,
                     "Folder with config.json and the weights, or a model id (ORG/NAME), which is downloaded unless it "
                     "is in the cache")
          ->type_name("MODEL");
  app.add_option("--revision", from.revision, "Branch, tag or commit of a model id (default: main)")
      ->type_name("REV")
      ->needs(model);
  app.add_flag("--refresh", from.refresh, "Ask the hub where the revision is now, whatever the cache says")
      ->needs(model);
  app.add_option("--cache_dir,--cache-dir", from.cache_dir,
                 "Cache of model ids (default: as huggingface_hub, HF_HUB_CACHE or HF_HOME)")
      ->type_name("DIR")
      ->needs(model);
  return model;
}

void add_depth_options(CLI::App& app, DepthArguments& depth) {
  app.add_option("--validate", depth.budget,
                 "On how many inputs to compare: quick, default, or thorough (each axis by itself as well)")
      ->check(CLI::IsMember(names_of(budget_choices)));
  app.add_option("--calibration", depth.calibration,
                 "Inputs as they are in use, to validate on and to measure 16 bits by: token ids, a text a line, or "
                 "tensors NAME as safetensors")
      ->type_name("FILE");
  app.add_option("--case", depth.cases,
                 "Inputs and outputs of the original that were recorded: tensors in/NAME and out/NAME (repeatable)")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app.add_flag("--trace-values", depth.trace_values, "List every step of the model with how far it is off");
  app.add_option(
         "--segment-size", depth.segment_size,
         "Compare the model segment by segment, with so many bytes of weights at a time (default: where it does "
         "not fit into memory)")
      ->transform(size_value())
      ->type_name("SIZE");
  CLI::Option* reference = app.add_option("--reference", depth.references,
                                          "The original model as TorchScript, which the file is compared with as "
                                          "well; of several graphs, the part that each of them is (repeatable)")
                               ->type_name("MODEL.pt")
                               ->allow_extra_args(false);
  app.add_option(
         "--reference-names", depth.reference_names,
         R"(What that calls inputs and outputs: {"inputs": {"INPUT": "ARGUMENT"}, "outputs": {"OUTPUT": "KEY"}})")
      ->type_name("FILE.json")
      ->needs(reference);
}

}  // namespace onnxport
