// SPDX-License-Identifier: Apache-2.0
#include "host/report/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "core/format_bytes.hpp"
#include "core/listed.hpp"
#include "host/validation/tolerance.hpp"

namespace onnxport {
namespace {

constexpr size_t most_names = 4;

void print_weights(const WrittenExport& written, Console& console) {
  for (const auto& [gone, kept] : written.tied)
    console.note(fmt::format("{} holds the bytes of {}: written once", gone, kept));
  if (written.linked.empty()) return;
  console.line("weights: in the checkpoint's own " + listed(written.linked, most_names));
  if (written.not_linked.empty()) return;
  console.note(fmt::format("{} weights are not in the checkpoint as the graph needs them and were written: {}",
                           written.not_linked.size(), listed(written.not_linked, most_names)));
}

void print_graphs(const WrittenExport& written, Console& console) {
  const std::string what =
      fmt::format("exported: {} with feature {}, opset {}", written.model_type, written.feature, written.opset);
  if (written.graphs.size() == 1) {
    const ExportedGraph& graph = written.graphs[0];
    console.line(fmt::format("{}: {} nodes, {} initializers", what, graph.nodes, graph.initializers));
    return;
  }
  console.line(fmt::format("{}: {} graphs", what, written.graphs.size()));
  for (const ExportedGraph& graph : written.graphs)
    console.line(fmt::format("  {}: {} nodes, {} initializers", graph.file, graph.nodes, graph.initializers));
}

std::string number(double value) {
  return fmt::format("{:.1e}", value);
}

/// "max difference 1.2e-06, mean 1.1e-07, cosine 1.0000000, same best class in 100%, best five in 98%"
std::string numbers_of(const Difference& difference) {
  std::string text = fmt::format("max difference {:.1e}, mean {:.1e}, cosine {:.7f}", difference.max_abs,
                                 difference.mean_abs, difference.cosine);
  if (difference.same_best) text += fmt::format(", same best class in {:.0f}%", 100 * *difference.same_best);
  if (difference.same_best_five) text += fmt::format(", best five in {:.0f}%", 100 * *difference.same_best_five);
  return text;
}

void print_run(const ValidationRun& run, Console& console) {
  // A model with a past has dozens of outputs: those that agree are then summed up.
  const bool sums_up = run.differences.size() > 8;
  std::string label = run.label;
  const auto line = [&](const std::string& output, const std::string& found) {
    console.line(fmt::format("  {:<40} {:<20} {}", label, output, found));
    label.clear();
  };
  double largest = 0;
  size_t passing = 0;
  if (!run.problem.empty()) line("", run.problem + "  DIFFERS");
  for (const Difference& difference : run.differences) {
    if (difference.passes) {
      ++passing;
      largest = std::max(largest, difference.max_abs);
      if (sums_up) continue;
    }
    const std::string found = difference.problem.empty() ? numbers_of(difference) : difference.problem;
    line(difference.output, found + (difference.passes ? "" : "  DIFFERS"));
  }
  if (sums_up) line(fmt::format("{} outputs", passing), "max difference " + number(largest));
}

/// Steps with how far they are off: those that a difference goes through, or all that there are.
void print_steps(const ValidationReport& found, Console& console) {
  for (const StepDifference& step : found.steps) {
    const std::string off = step.difference.problem.empty() ? numbers_of(step.difference) : step.difference.problem;
    console.line(fmt::format("    {:<60} [{}] {}", step.name(), fmt::join(step.shape, ", "), off));
  }
}

std::string name_of(const SegmentDifference& segment) {
  if (segment.from == segment.to) return segment.from.empty() ? "the model" : segment.from;
  return fmt::format("{} to {}", segment.from.empty() ? "its beginning" : segment.from,
                     segment.to.empty() ? "its end" : segment.to);
}

/// In how many segments a model was compared; how each is off, where something is or `all` are asked for.
void print_segments(const ValidationReport& found, bool all, Console& console) {
  if (found.segments.empty()) return;
  uint64_t largest = 0;
  for (const SegmentDifference& segment : found.segments) largest = std::max(largest, segment.weights);
  console.line(fmt::format("  validated in {} segments, the largest with {} of weights in f32", found.segments.size(),
                           format_bytes(largest)));
  if (!all) return;
  for (const SegmentDifference& segment : found.segments) {
    console.line(fmt::format("    {:<60} by itself {}, in all {}{}", name_of(segment), number(segment.own.max_abs),
                             number(segment.total.max_abs), segment.own.passes ? "" : "  DIFFERS"));
  }
}

void print_file(const FileValidation& file, const Tolerance& tolerance, Console& console) {
  const bool is_of_original = !file.comparisons.empty() && !file.comparisons[0].judge.empty();
  const std::string against = file.reference.empty() ? "the recorded outputs"
                              : is_of_original       ? "the original in " + file.reference
                                                     : "the definition in " + file.reference;
  console.line(fmt::format("validation: {} against {}, tolerance {}", file.runtime, against, describe(tolerance)));
  console.line("  ONNX checker, with full shape inference: passed");
  for (const ValidationReport& found : file.comparisons) {
    if (!found.judge.empty()) console.line(fmt::format("  against the original, {}:", found.judge));
    print_segments(found, !found.passes() || !found.steps.empty(), console);
    for (const ValidationRun& run : found.runs) print_run(run, console);
    for (const std::string& what : found.not_compared) console.line("  not compared: " + what);
    if (found.frozen_axis) console.line("  an axis that cannot change: " + *found.frozen_axis);
    if (!found.first_departure) {
      print_steps(found, console);
      continue;
    }
    const auto differs = std::find_if(found.runs.begin(), found.runs.end(),
                                      [](const ValidationRun& run) { return !run.passes && run.problem.empty(); });
    const std::string& label = found.departure_run.empty() ? differs->label : found.departure_run;
    console.line(fmt::format("  first step that departs ({}): {}", label, *found.first_departure));
    print_steps(found, console);
  }
}

}  // namespace

void print_text(const ChosenModel& chosen, Console& console) {
  const Selection& selection = chosen.selection;
  const std::string extended =
      selection.extension_id.empty()
          ? ""
          : fmt::format(", extended by {} {}", selection.extension_id, selection.extension_version);
  console.line(fmt::format("model: {} in {}, by {} {}{}", selection.model_type, chosen.name, selection.plugin_id,
                           selection.plugin_version, extended));
  console.line(selection.feature_source.empty()
                   ? fmt::format("feature: {}", selection.feature)
                   : fmt::format("feature: {} (from {})", selection.feature, selection.feature_source));
  print_text(selection.decisions, console);
  if (!selection.transformers_version.empty()) {
    console.line(fmt::format("transformers: {} wrote config.json; where versions compute otherwise, as that one does",
                             selection.transformers_version));
  }
  const std::map<std::string, std::string> prompts = selection.onnx_config->prompts();
  if (prompts.empty()) return;
  console.line("prompts, which clients put before a text:");
  for (const auto& [task, prompt] : prompts) console.line(fmt::format("  {:<10} \"{}\"", task, prompt));
}

void print_text(const std::vector<TrustDecision>& decisions, Console& console) {
  for (const TrustDecision& decision : decisions) {
    console.line(fmt::format("trust: {} {}: {}, by {} ({})", decision.what, decision.id,
                             decision.allowed ? "allowed" : "refused", decision.policy.string(), decision.by));
  }
}

void print_text(const FetchedCheckpoint& fetched, Console& console) {
  for (const std::string& note : fetched.notes) console.note(note);
  const std::string source = fetched.files == 0
                                 ? "from the cache"
                                 : fmt::format("{} files, {} downloaded", fetched.files, format_bytes(fetched.bytes));
  console.line(fmt::format("checkpoint: {}, commit {} ({})", fetched.name, fetched.commit.substr(0, 12), source));
}

void print_text(const WriteForecast& forecast, Console& console) {
  if (!forecast.seconds) return;
  const double seconds = *forecast.seconds;
  console.line(fmt::format(
      "to write: {}, in about {}; {} are free", format_bytes(forecast.bytes),
      seconds < 90 ? fmt::format("{:.0f} s", std::max(1.0, seconds)) : fmt::format("{:.0f} minutes", seconds / 60),
      format_bytes(forecast.free_bytes)));
}

void print_text(const WrittenExport& written, Console& console) {
  print_weights(written, console);
  for (const std::string& reason : written.left_out) console.note(reason);
  print_graphs(written, console);
  console.line(fmt::format("files in {}", written.folder.string()));
  for (const WrittenExport::File& file : written.files)
    console.line(fmt::format("  {:<34} {:>10}", file.name.string(), format_bytes(file.bytes)));
}

void print_text(const ValidationRun& run, Console& console) {
  print_run(run, console);
}

void print_text(const ExportValidation& found, Console& console) {
  if (found.memory.segment_weights) {
    console.note(
        fmt::format("validation in segments, with {} of weights at a time where the model can be cut so ({} of "
                    "memory are free)",
                    format_bytes(*found.memory.segment_weights), format_bytes(found.memory.available)));
  } else if (!found.memory.keeps_weights) {
    console.note(fmt::format("{} of weights stay in their files, and each run reads them anew: {} of memory are free{}",
                             format_bytes(found.memory.in_files), format_bytes(found.memory.available),
                             found.memory.makes_copies ? "" : "; ONNX Runtime runs the graph without optimising it"));
  }
  if (found.substitute) {
    console.line("  ONNX checker, with full shape inference: passed");
    console.note(fmt::format("{} cannot run bf16 here: {}", found.substitute->runtime, found.substitute->refusal));
    console.note(
        "checked in its place: the same definition in f32 with its weights rounded to bf16. What bf16 does to sums "
        "is not checked; run the file where there are kernels for it");
  }
  for (const FileValidation& file : found.files) {
    if (found.files.size() > 1) console.line(file.file);
    print_file(file, found.tolerance, console);
  }
  if (found.cached_step) print_run(*found.cached_step, console);
  if (!found.overflows.empty()) {
    console.line(fmt::format("  beyond the range of fp16, which ends at {}, as the definition computes it in f32:",
                             largest_f16));
    for (const ModuleRange& range : found.overflows)
      console.line(fmt::format("    {:<60} up to {:.3g}  OVERFLOWS", range.name(), range.largest));
  }
  if (found.takes_one_token) {
    console.note(
        "cached steps are not compared with uncached ones: a step of this model takes one token, and several at once "
        "give something else, as in the original");
  }
  if (found.lengths_are_fixed) {
    console.note(
        "cached steps are not compared with uncached ones: the file takes tokens, or a past, of one length only");
  }
  if (!found.cache_unknown_to.empty()) {
    console.note(
        fmt::format("cached steps are not compared with uncached ones: plugin {} does not state what its cache "
                    "consists of, which takes ABI 1.2",
                    found.cache_unknown_to));
  }
}

void print_text(const KeptInRange& kept, Console& console) {
  console.line(fmt::format("kept in f32: {} modules whose numbers pass {:.0f}, a part of what fp16 holds",
                           kept.modules.size(), kept.limit));
  for (const ModuleRange& range : kept.modules)
    console.line(fmt::format("  {:<60} up to {:.3g}", range.name(), range.largest));
}

void print_text(const ModelCard& card, Console& console) {
  console.line("model card: " + card.file.string());
  console.line("publish:    hf upload OWNER/NAME " + card.folder.string());
}

}  // namespace onnxport
