// SPDX-License-Identifier: Apache-2.0
#include "host/validation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/dummy/sizes.hpp"
#include "core/error.hpp"
#include "core/format_bytes.hpp"
#include "core/output/staging.hpp"
#include "core/package/layout.hpp"
#include "core/validate/step_inputs.hpp"
#include "host/cached_validation.hpp"
#include "host/interrupt.hpp"
#include "host/memory.hpp"

namespace onnxport {
namespace {

/// The two libraries by themselves, before they hold a model.
constexpr uint64_t backends_bytes = 300'000'000;

/// The longest sequence that the plugin states or, where it does not, that config.json's positions allow; of these a
/// few are kept back, as some models begin to count after the padding id.
int64_t longest_sequence(const OnnxConfig& config, const Json& model_config) {
  int64_t positions = config.description().integer("max_positions", 0);
  if (positions == 0) {
    for (const char* key : {"max_position_embeddings", "n_positions", "n_ctx", "max_positions"}) {
      const auto found = model_config.find(key);
      if (found == model_config.end() || !found->is_number_integer() || found->get<int64_t>() <= 0) continue;
      positions = positions == 0 ? found->get<int64_t>() : std::min(positions, found->get<int64_t>());
    }
    if (positions == 0) return 1 << 20;
    positions -= 2;
  }
  return std::max<int64_t>(2, config.with_past() ? (positions - 3) / 2 : positions);
}

/// Whether some input has that axis.
bool has_axis(const Description& description, const char* name) {
  return std::any_of(description.inputs.begin(), description.inputs.end(), [&](const InputSpec& input) {
    const std::vector<ir::Dim>& shape = input.type.shape;
    return std::any_of(shape.begin(), shape.end(), [&](const ir::Dim& dim) { return dim.to_string() == name; });
  });
}

struct ImageSize {
  int64_t height, width;
};

/// Lengths of the axes whose usual length only the plugin knows (of a waveform, say), for the nth set of inputs: the
/// usual one, a longer and a shorter one, as far as the axis allows. Adds them to the label.
void choose_lengths(const Description& description, size_t set, DummyOptions& options, std::string& label) {
  for (const auto& [symbol, axis] : description.axes) {
    if (axis.usual == 0 || options.sizes.contains(symbol) || dummy::is_common_axis(symbol)) continue;
    const int64_t wanted = set == 0 ? axis.usual : set == 1 ? axis.usual + axis.usual / 2 + 1 : axis.usual * 3 / 4;
    options.sizes[symbol] = wanted;
    label += fmt::format(", {} {}", symbol, dummy::fit(axis, wanted));
  }
}

/// The lengths that the axes height and width have in these inputs.
ImageSize image_size_of(const Description& description, const Tensors& inputs) {
  ImageSize size{0, 0};
  for (const InputSpec& input : description.inputs) {
    for (size_t axis = 0; axis < input.type.shape.size(); ++axis) {
      const std::string symbol = input.type.shape[axis].to_string();
      if (symbol == "height") size.height = inputs.at(input.name).shape[axis];
      if (symbol == "width") size.width = inputs.at(input.name).shape[axis];
    }
  }
  return size;
}

std::string number(double value) {
  return fmt::format("{:.1e}", value);
}

void report(const ValidationRun& run, Console& console) {
  Json json{{"label", run.label}, {"passes", run.passes}, {"outputs", Json::array()}};
  bool first = true;
  for (const Difference& difference : run.differences) {
    json["outputs"].push_back({{"name", difference.output},
                               {"max_difference", difference.max_abs},
                               {"passes", difference.passes},
                               {"problem", difference.problem}});
    const std::string found =
        difference.problem.empty() ? "max difference " + number(difference.max_abs) : difference.problem;
    // A model with a past has dozens of outputs: those that agree are then summed up.
    if (run.differences.size() > 8 && difference.passes) continue;
    console.line(fmt::format("  {:<40} {:<20} {}{}", first ? run.label : "", difference.output, found,
                             difference.passes ? "" : "  DIFFERS"));
    first = false;
  }
  if (run.differences.size() > 8) {
    double largest = 0;
    size_t passing = 0;
    for (const Difference& difference : run.differences) {
      if (!difference.passes) continue;
      ++passing;
      largest = std::max(largest, difference.max_abs);
    }
    console.line(fmt::format("  {:<40} {:<20} max difference {}", first ? run.label : "",
                             fmt::format("{} outputs", passing), number(largest)));
  }
  if (console.mode() == Console::Mode::json) console.result()["validation"]["runs"].push_back(std::move(json));
}

}  // namespace

void require_backends(bool reference) {
  std::string missing;
  if (reference && !backend_installed("reference")) missing = "the reference back end (libtorch)";
  if (!backend_installed("onnxruntime"))
    missing += missing.empty() ? "the back end of ONNX Runtime" : " and the back end of ONNX Runtime";
  if (missing.empty()) return;
  throw Error(
      Failure::usage,
      "validation is not possible: " + missing + " is not installed in lib/onnxport/backends beside this program",
      "install it, or pass --no-validate to export without being checked");
}

void require_memory(uint64_t weight_bytes, uint64_t file_bytes) {
  // Each back end holds the weights, and the checker reads the file.
  const uint64_t needed = backends_bytes + 2 * weight_bytes + file_bytes;
  const AvailableMemory available = available_memory();
  if (needed <= available.bytes) return;
  throw Error(Failure::usage,
              fmt::format("validation needs about {} of memory, and {} leaves {}", format_bytes(needed),
                          available.limited_by, format_bytes(available.bytes)),
              "free some memory, or pass --no-validate to export without being checked, which needs little");
}

std::vector<ValidationInputs> validation_inputs(const OnnxConfig& config, const Json& model_config,
                                                const Preprocessor* preprocessor, const std::string& part) {
  struct Shape {
    int64_t batch, sequence, choices;
    bool varied;
    uint64_t seed;
  };
  std::vector<Shape> shapes{{2, 8, 4, false, 0}, {3, 11, 3, true, 1}, {1, 5, 2, true, 2}};
  const int64_t longest = longest_sequence(config, model_config);
  const Description& description = config.description(part);
  const auto has = [&](const char* axis) { return has_axis(description, axis); };
  const bool choices = has("choice");
  const bool sequence = has("sequence") || has("encoder_sequence") || has("decoder_sequence");
  const bool images = has("height") && has("width");
  std::vector<ValidationInputs> sets;
  int64_t before = 0;
  std::optional<ImageSize> trained;
  for (const Shape& shape : shapes) {
    int64_t length = std::min(shape.sequence, longest);
    if (length == before && length > 1) --length;
    before = length;
    DummyOptions options;
    options.batch_size = shape.batch;
    options.seq_length = length;
    options.num_choices = shape.choices;
    options.varied = shape.varied;
    options.seed = shape.seed;
    std::string label = fmt::format("batch {}", shape.batch);
    if (choices) label += fmt::format(", choices {}", shape.choices);
    if (sequence) label += fmt::format(", sequence {}", length);
    // The first row is always full, so a single row has no padding unless it has choices.
    if (sequence && shape.varied && (shape.batch > 1 || choices)) label += ", padded";
    choose_lengths(description, sets.size(), options, label);
    if (images && trained) {
      // Larger by half and a quarter, then by a few pixels that fill no further patch.
      options.image_height = sets.size() == 1 ? trained->height * 3 / 2 : trained->height + 7;
      options.image_width = sets.size() == 1 ? trained->width * 5 / 4 : trained->width + 1;
      label += fmt::format(", image {}x{}", options.image_height, options.image_width);
    }
    sets.push_back({std::move(label), config.generate_dummy_inputs(preprocessor, options, part), std::nullopt});
    if (images && !trained) {
      trained = image_size_of(description, sets[0].inputs);
      sets[0].label += fmt::format(", image {}x{}", trained->height, trained->width);
    }
  }
  return sets;
}

void Verdict::add(const Verdict& other) {
  passes = passes && other.passes;
  largest = std::max(largest, other.largest);
}

Tolerance tolerance_for(const OnnxConfig& config, ir::DType dtype, std::optional<double> atol) {
  if (atol) return {.absolute = *atol, .relative = usual_relative};
  // 16 units in the last place of the type: dozens of layers each round a few times.
  const double units = 16 * (dtype == ir::DType::f16 ? 0x1p-11 : dtype == ir::DType::bf16 ? 0x1p-8 : 0x1p-24);
  return {.absolute = config.atol_for_validation(), .relative = usual_relative, .of_largest = units};
}

std::string describe(const Tolerance& tolerance) {
  std::string text = number(tolerance.absolute);
  if (tolerance.relative > 0) text += fmt::format(" + {:.0e} of each value", tolerance.relative);
  if (tolerance.of_largest > 0) text += fmt::format(" + {:.0e} of an output's largest", tolerance.of_largest);
  return text;
}

Verdict validate_file(const OnnxConfig* config, const FileToValidate& written, const Tolerance& tolerance,
                      Console& console) {
  console.progress("validating", 0, 0);
  check_model_file(written.file);
  stop_if_interrupted();
  // Neither library is loaded before the file has passed the checker.
  auto& json = console.result()["validation"];
  const bool against_definition = written.comparisons.at(0).definition != nullptr;
  std::string against = "the recorded outputs";
  if (against_definition) {
    const std::string version = load_backend("reference").version();
    against = "the definition in " + version;
    json["reference"] = version;
  }
  stop_if_interrupted();
  Backend& runtime = load_backend("onnxruntime");
  json["runtime"] = runtime.version();
  json["checker"] = true;
  json["atol"] = tolerance.absolute;
  json["rtol"] = tolerance.relative;
  if (tolerance.of_largest > 0) json["tolerance_of_largest"] = tolerance.of_largest;
  const std::unique_ptr<Runnable> onnx = runtime.load_file(written.file.string());
  console.line(fmt::format("validation: {} against {}, tolerance {}", runtime.version(), against, describe(tolerance)));
  console.line("  ONNX checker, with full shape inference: passed");

  Verdict verdict;
  for (const Comparison& comparison : written.comparisons) {
    std::unique_ptr<Runnable> reference;
    if (comparison.definition != nullptr)
      reference = load_backend("reference").load_graph(comparison.definition->graph);
    const ValidationReport found =
        validate_model_outputs(reference.get(), *onnx, comparison.inputs, tolerance, [&](const ValidationRun& run) {
          stop_if_interrupted();
          report(run, console);
        });
    verdict.add({found.passes(), found.largest_difference()});
    if (found.passes() || comparison.definition == nullptr) continue;
    for (size_t i = 0; i < found.runs.size(); ++i) {
      if (found.runs[i].passes) continue;
      stop_if_interrupted();
      const auto place = first_departure(*config, *comparison.definition, {written.file, written.form},
                                         comparison.inputs[i].inputs, tolerance);
      const std::string text = place ? *place : "no single step; the differences of several add up";
      json["first_departure"] = text;
      console.line(fmt::format("  first step that departs ({}): {}", found.runs[i].label, text));
      break;
    }
  }
  json["status"] = verdict.passes ? "passed" : "failed";
  json["largest_difference"] = verdict.largest;
  return verdict;
}

namespace {

/// What the other branch of a merged graph takes beside this one's inputs, with an empty past: the runtime wants a
/// value for it and must not read it.
void fill_other_branch(Tensors& inputs, const Description& other, const Tensors& of_other) {
  for (const InputSpec& spec : other.inputs) {
    if (inputs.contains(spec.name)) continue;
    const ir::Tensor& filler = of_other.at(spec.name);
    inputs.emplace(spec.name, spec.role == ONNXPORT_ROLE_STATE ? empty_state(spec, filler.shape.at(0)) : filler);
  }
}

std::vector<Comparison> comparisons_of(const ExportToValidate& exported, const GraphToExport& graph) {
  std::vector<Comparison> comparisons;
  for (const Definition* definition : graph.definitions) {
    Comparison comparison{
        definition, validation_inputs(exported.config, exported.model_config, exported.preprocessor, definition->part)};
    if (graph.definitions.size() > 1) {
      const bool cached = definition == graph.definitions[1];
      const Definition& other = *graph.definitions[cached ? 0 : 1];
      const auto of_other =
          validation_inputs(exported.config, exported.model_config, exported.preprocessor, other.part);
      for (size_t i = 0; i < comparison.inputs.size(); ++i) {
        Tensors& inputs = comparison.inputs[i].inputs;
        fill_other_branch(inputs, other.description, of_other[i].inputs);
        inputs.emplace(branch_input,
                       ir::Tensor::of<uint8_t>(ir::DType::boolean, {1}, {cached ? uint8_t{1} : uint8_t{0}}));
        comparison.inputs[i].label += cached ? ", cached step" : ", first step";
      }
    }
    comparisons.push_back(std::move(comparison));
  }
  return comparisons;
}

/// An export's definitions in f32 with their weights rounded to its type, as files that live as long as the object.
class RoundedTwin {
 public:
  explicit RoundedTwin(const ExportToValidate& exported) : output_(exported.folder / "rounded"), exported_(exported) {
    size_t count = 0;
    for (const GraphToExport& graph : exported.graphs) count += graph.definitions.size();
    definitions_.reserve(count);  // the graphs point into it
    for (const GraphToExport& graph : exported.graphs) {
      GraphToExport& twin = graphs_.emplace_back();
      twin.file = graph.file;
      for (const Definition* definition : graph.definitions) {
        definitions_.push_back(rounded(*definition, exported.form.dtype));
        twin.definitions.push_back(&definitions_.back());
      }
    }
    ExportOptions options;
    options.opset = exported.form.opset;
    options.external_data = true;
    options.progress.cancel = &interrupt_flag();
    export_graphs(exported.config, graphs_, output_.folder(), options);
  }
  /// These files against the definitions as they are, so that it shows what rounding the weights costs.
  ExportToValidate exported() const {
    return {exported_.config,  exported_.model_config, exported_.preprocessor,         exported_.graphs,
            exported_.weights, output_.folder(),       {.opset = exported_.form.opset}};
  }

 private:
  static Definition rounded(const Definition& definition, ir::DType dtype) {
    Definition twin = definition;
    for (ir::Value& value : twin.graph.values) {
      if (value.origin != ir::Origin::weight || value.type.dtype != ir::DType::f32) continue;
      value.weight = std::make_shared<const Weight>(value.weight->then(CastTo{dtype}).then(CastTo{ir::DType::f32}));
    }
    return twin;
  }

  StagedOutput output_;  // never delivered
  const ExportToValidate& exported_;
  std::vector<Definition> definitions_;
  std::vector<GraphToExport> graphs_;
};

/// What ONNX Runtime says against the files; empty where it runs them.
std::string refusal_of_runtime(const ExportToValidate& exported) {
  for (const GraphToExport& graph : exported.graphs) {
    try {
      load_backend("onnxruntime").load_file((exported.folder / graph.file).string());
    } catch (const Error& error) {
      return error.what();
    }
  }
  return {};
}

}  // namespace

Verdict validate_export(const ExportToValidate& exported, const Tolerance& tolerance, Console& console) {
  if (exported.form.dtype == ir::DType::bf16) {
    for (const GraphToExport& graph : exported.graphs) check_model_file(exported.folder / graph.file);
    if (const std::string refusal = refusal_of_runtime(exported); !refusal.empty()) {
      const std::string version = load_backend("onnxruntime").version();
      console.line("  ONNX checker, with full shape inference: passed");
      console.note(fmt::format("{} cannot run bf16 here: {}", version, refusal));
      console.note(
          "checked in its place: the same definition in f32 with its weights rounded to bf16. What bf16 does to sums "
          "is not checked; run the file where there are kernels for it");
      console.result()["validation"]["substitute"] = "f32 with weights rounded to bf16";
      const RoundedTwin twin(exported);
      return validate_export(twin.exported(), tolerance, console);
    }
  }
  Verdict verdict;
  for (const GraphToExport& graph : exported.graphs) {
    if (exported.graphs.size() > 1) console.line(graph.file);
    const FileToValidate written{exported.folder / graph.file, exported.form, comparisons_of(exported, graph)};
    verdict.add(validate_file(&exported.config, written, tolerance, console));
  }
  if (const std::optional<ValidationRun> run = validate_cached_step(exported, tolerance)) {
    report(*run, console);
    ValidationReport found;
    found.runs = {*run};
    verdict.add({found.passes(), found.largest_difference()});
  } else if (exported.config.with_past()) {
    console.note(
        fmt::format("cached steps are not compared with uncached ones: plugin {} does not state what its cache "
                    "consists of, which takes ABI 1.2",
                    exported.config.plugin_id()));
  }
  auto& json = console.result()["validation"];
  json["status"] = verdict.passes ? "passed" : "failed";
  json["largest_difference"] = verdict.largest;
  return verdict;
}

}  // namespace onnxport
