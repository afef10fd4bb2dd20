// SPDX-License-Identifier: Apache-2.0
// onnxport synth: a random checkpoint from a config alone, for tests, benchmarks and plugin authors.
#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "core/checkpoint/random_weights.hpp"
#include "core/checkpoint/safetensors_writer.hpp"
#include "core/definition/wanted_tensors.hpp"
#include "core/error.hpp"
#include "core/export/export.hpp"
#include "core/files/output_error.hpp"
#include "core/files/output_file.hpp"
#include "core/format_bytes.hpp"
#include "core/output/staging.hpp"
#include "host/commands.hpp"
#include "host/model/misnamed_fields.hpp"
#include "host/model/selection.hpp"
#include "host/plan/choices.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

struct Shard {
  fs::path path;
  std::vector<TensorPlan> tensors;
};

/// Writes the shards, one a thread at a time.
void write_shards(const std::vector<Shard>& shards, const Draw& draw, uint64_t bytes, Console& console) {
  std::atomic<size_t> next{0};
  std::atomic<uint64_t> done{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      for (size_t i = next++; i < shards.size(); i = next++) {
        std::optional<RandomWeights> weights;
        const TensorPlan* drawn = nullptr;
        stream_safetensors(shards[i].path, shards[i].tensors,
                           [&](const TensorPlan& tensor, std::span<std::byte> piece) {
                             console.stop_if_cancelled();
                             if (drawn != &tensor) weights.emplace(draw, tensor);
                             drawn = &tensor;
                             weights->fill(piece);
                             console.progress("drawing weights", done += piece.size(), bytes);
                           });
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
      next = shards.size();
    }
  };
  std::vector<std::thread> helpers;
  const size_t threads = std::min<size_t>(shards.size(), std::max(1u, std::thread::hardware_concurrency()));
  try {
    for (size_t i = 1; i < threads; ++i) helpers.emplace_back(work);
  } catch (const std::system_error&) {  // fewer will do
  }
  work();
  for (std::thread& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
}

void copy_config(const fs::path& from, const fs::path& to) {
  std::error_code reason;
  fs::copy_file(from, to, fs::copy_options::overwrite_existing, reason);
  if (reason) throw output_error("cannot write", to, reason.value());
  fs::permissions(to, fs::perms::owner_write, fs::perm_options::add, reason);
}

/// The model's tensors as its checkpoints call them.
std::vector<TensorPlan> tensors_as_stored(const Selection& selection, ir::DType dtype) {
  const std::vector<TensorPlan> tensors = tensors_of(*selection.onnx_config, dtype, selection.outputs);
  if (selection.name_rules.empty()) return tensors;
  const auto& facts = selection.onnx_config->description().texts;
  const auto prefix = facts.find("base_model_prefix");
  return as_in_checkpoint(tensors, selection.name_rules, prefix == facts.end() ? "" : prefix->second);
}

/// Beside the config that was named, weights are most likely those that somebody trained.
void require_no_weights(const fs::path& config, const fs::path& output) {
  std::error_code ignored;
  if (!fs::equivalent(config.parent_path().empty() ? "." : config.parent_path(), output, ignored)) return;
  for (const fs::directory_entry& entry : fs::directory_iterator(output, ignored)) {
    const std::string kind = entry.path().extension().string();
    if (kind != ".safetensors" && kind != ".bin") continue;
    throw Error(Failure::usage,
                fmt::format("{} holds weights already: {}", output.string(), entry.path().filename().string()),
                "name another folder for the random checkpoint, or remove these weights first");
  }
}

}  // namespace

int run_synth(const SynthArguments& arguments, Console& console) {
  const auto [file, config] = read_config(arguments.config);
  require_no_weights(file, arguments.output);
  Selection selection = select(arguments.plugins, config, file, {arguments.feature, arguments.plugin}, console);
  const ir::DType dtype = value_of(dtype_choices, arguments.dtype);
  const std::vector<TensorPlan> tensors = tensors_as_stored(selection, dtype);
  note_misnamed({.selection = selection, .config = config}, console);

  StagedOutput output(arguments.output);
  if (!output.is_folder())
    throw Error(Failure::usage, arguments.output.string() + " is no folder's name",
                "a checkpoint is a folder; leave .onnx away");
  uint64_t bytes = 0;
  for (const TensorPlan& tensor : tensors) bytes += tensor.bytes();
  const uint64_t parameters = bytes / ir::size_of(dtype);
  output.require_space(bytes);
  const auto parts = shards_of(tensors, arguments.shard_size.value_or(0));
  std::vector<Shard> shards;
  for (size_t i = 0; i < parts.size(); ++i) shards.push_back({output.folder() / shard_name(i, parts.size()), parts[i]});
  const Draw draw{arguments.seed, arguments.form.value_or(newest_form)};
  write_shards(shards, draw, bytes, console);
  if (parts.size() > 1) {
    const fs::path index = output.folder() / "model.safetensors.index.json";
    const std::string text = shard_index(parts);
    OutputFile out(index, text.size());
    out.write(std::as_bytes(std::span(text)), 0);
    out.close();
  }
  copy_config(file, output.folder() / "config.json");
  const int64_t lowest = std::max(lowest_opset, selection.onnx_config->min_opset());
  selection.onnx_config.reset();  // what a plugin does while its objects go is seen before the output is there
  console.stop_if_cancelled();
  output.commit();

  auto& json = console.result();
  json["status"] = "ok";
  json["output"] = output.final_folder().string();
  json["model_type"] = selection.model_type;
  json["feature"] = selection.feature;
  json["form"] = draw.form;
  json["opsets"] = {lowest, highest_opset};
  json["tensors"] = tensors.size();
  json["parameters"] = parameters;
  console.line(fmt::format("done: a random {} for {} with {} tensors, {} parameters, {} in {}", selection.model_type,
                           selection.feature, tensors.size(), parameters, format_bytes(bytes),
                           output.final_folder().string()));
  return 0;
}

}  // namespace onnxport
