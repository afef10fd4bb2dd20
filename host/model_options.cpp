// SPDX-License-Identifier: Apache-2.0
// What the commands accept that are about model types and checkpoints: features, explain, record, synth.
#include <fmt/format.h>

#include "core/checkpoint/random_weights.hpp"
#include "host/commands.hpp"
#include "host/options.hpp"
#include "host/plan/choices.hpp"

namespace onnxport {
namespace {

void define_features(CLI::App& root, Arguments& a) {
  CLI::App* features = root.add_subcommand("features", "List what can be exported");
  features->add_option("MODEL_TYPE", a.features.model_type, "Only this type, with other names of its features")
      ->option_text(" ");
  add_plugin_options(*features, a.features.plugins);
  add_report_options(*features, a);
  features->footer("Examples:\n  onnxport features\n  onnxport features bert");
  features->callback([&a] { a.run = [&a](Console& console) { return run_features(a.features, console); }; });
}

void define_explain(CLI::App& root, Arguments& a) {
  CLI::App* explain =
      root.add_subcommand("explain", "Tell which plugin takes a config, and what each of its fields does");
  explain->add_option("CONFIG", a.explain.config, "A config.json, or its folder")->required()->option_text(" ");
  explain->add_option("--feature", a.explain.feature, "What the model is for (default: by config.json's architectures)")
      ->type_name("FEATURE");
  explain->add_option("--plugin", a.explain.plugin, "Use this plugin where several offer the model type")
      ->type_name("ID");
  add_plugin_options(*explain, a.explain.plugins);
  add_report_options(*explain, a);
  explain->footer("Example:\n  onnxport explain bert/config.json --feature masked-lm");
  explain->callback(running_plugins(a, [&a](Console& console) { return run_explain(a.explain, console); }));
}

void define_record(CLI::App& root, Arguments& a) {
  CLI::App* record = root.add_subcommand("record", "Print the Python that records cases from an original model");
  add_report_options(*record, a);
  record->footer(
      "Example:\n"
      "  onnxport record > record.py\n"
      "  python record.py config.json cases --feature masked-lm --seed 3");
  record->callback([&a] { a.run = [](Console& console) { return run_record(console); }; });
}

void define_synth(CLI::App& root, Arguments& a) {
  CLI::App* synth = root.add_subcommand("synth", "Write a random checkpoint of a config");
  synth->add_option("CONFIG", a.synth.config, "A config.json")->required()->option_text(" ");
  synth->add_option("OUTPUT", a.synth.output, "The checkpoint's folder")->required()->option_text(" ");
  synth->add_option("--seed", a.synth.seed, "Other numbers (default 0)")->type_name("N");
  synth
      ->add_option("--form", a.synth.form,
                   fmt::format("Draw as an earlier version did: {} to {} (default {}, the newest)", first_form,
                               newest_form, newest_form))
      ->check(CLI::Range(first_form, newest_form))
      ->type_name("N");
  synth->add_option("--dtype", a.synth.dtype, "Type of the weights (default fp32)")
      ->check(CLI::IsMember(names_of(dtype_choices)));
  synth->add_option("--shard-size", a.synth.shard_size, "Several files of at most this size, and their index: 5GB")
      ->transform(size_value())
      ->type_name("SIZE");
  synth->add_option("--feature", a.synth.feature, "What the model is for (default: by config.json's architectures)")
      ->type_name("FEATURE");
  synth->add_option("--plugin", a.synth.plugin, "Use this plugin where several offer the model type")->type_name("ID");
  add_plugin_options(*synth, a.synth.plugins);
  add_report_options(*synth, a);
  synth->footer("Example:\n  onnxport synth config.json checkpoint/ --seed 1");
  synth->callback(running_plugins(a, [&a](Console& console) { return run_synth(a.synth, console); }));
}

}  // namespace

void define_model_commands(CLI::App& root, Arguments& a) {
  define_features(root, a);
  define_explain(root, a);
  define_record(root, a);
  define_synth(root, a);
}

}  // namespace onnxport
