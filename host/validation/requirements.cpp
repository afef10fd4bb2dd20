// SPDX-License-Identifier: Apache-2.0
#include "host/validation/requirements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "core/backend/backend.hpp"
#include "core/error.hpp"
#include "core/format_bytes.hpp"
#include "core/on_demand.hpp"
#include "host/process/memory.hpp"
#include "host/process/threads.hpp"

namespace onnxport {
namespace {

/// The two libraries by themselves, before they hold a model.
constexpr uint64_t backends_bytes = 300'000'000;

[[noreturn]] void refuse(uint64_t needed, const ValidationMemory& memory, const AvailableMemory& available) {
  const std::string runs = memory.activations > memory.largest_weight
                               ? fmt::format(" ({} of it for what the runs compute)", format_bytes(memory.activations))
                               : "";
  throw Error(Failure::usage,
              fmt::format("validation needs about {} of memory{}, and {} leaves {}", format_bytes(needed), runs,
                          available.limited_by, format_bytes(available.bytes)),
              "free some memory, or pass --no-validate to export without being checked, which needs little");
}

}  // namespace

void require_backends(bool reference) {
  const bool has_judge = !reference || backend_installed("reference"), has_runtime = backend_installed("onnxruntime");
  if (has_judge && has_runtime) return require_threads();
  const char* missing = has_judge     ? "the back end of ONNX Runtime is"
                        : has_runtime ? "the reference back end (libtorch) is"
                                      : "the reference back end (libtorch) and the back end of ONNX Runtime are";
  // Of the packages one brings the command with ONNX Runtime's, the other the judge's.
  const char* package = has_runtime ? "onnxport-reference" : has_judge ? "onnxport" : "onnxport and onnxport-reference";
  throw Error(Failure::usage,
              fmt::format("validation is not possible: {} not installed in {}", missing,
                          on_demand_path("reference").parent_path().string()),
              fmt::format("install {} (of the packages, {}), or pass --no-validate to export without being checked",
                          has_judge || has_runtime ? "it" : "them", package));
}

void probe_backends(bool reference) {
  load_backend("onnxruntime");
  if (reference) load_backend("reference");
}

MemoryPlan require_memory(const ValidationMemory& memory) {
  // Both sides run at the same time, and each makes a weight into what it computes with: in another layout, or of 16
  // bits in f32 first.
  const uint64_t made = (memory.is_16_bit ? 3 : 2) * memory.largest_weight;
  const uint64_t needed = backends_bytes + 2 * memory.activations + made;
  AvailableMemory available = available_memory();
  if (memory.limit && *memory.limit < available.bytes) available = {*memory.limit, "--max-memory", true};
  const uint64_t left = available.bytes - std::min(available.bytes, needed);
  const uint64_t copies = memory.is_16_bit ? memory.weights : 0;
  const MemoryPlan whole{.available = available.bytes,
                         .in_files = memory.weights + memory.file,
                         .keeps_weights = memory.weights + memory.file + copies <= left,
                         .makes_copies = copies <= left};
  const bool fits = needed <= available.bytes && whole.keeps_weights;
  if (fits && !memory.segment_size) return whole;
  const std::optional<uint64_t> piece = memory.largest_piece ? memory.largest_piece() : std::nullopt;
  if (memory.segment_size && !piece) {
    throw Error(Failure::usage, "--segment-size: this model cannot be cut into segments",
                "leave the option out; two steps in one file, and files of other exporters, are run as a whole");
  }
  // ONNX Runtime maps a file for writing.
  const auto mapped = [&](uint64_t bytes) { return available.counts_mapped_files ? bytes : 0; };
  // The reference takes each set twice through a segment. Of its weights there are the file's and, where they have 16
  // bits, copies.
  const uint64_t beside = needed + memory.activations;
  const auto in_pieces = [&](uint64_t weights) {
    return beside + mapped(memory.is_16_bit ? weights / 2 : weights) + (memory.is_16_bit ? weights : 0);
  };
  if (piece && (memory.segment_size || in_pieces(*piece) <= available.bytes)) {
    if (in_pieces(*piece) > available.bytes) refuse(in_pieces(*piece), memory, available);
    // Beside that the pages of the checkpoint are to stay in memory.
    const uint64_t budget = (available.bytes - beside) / (memory.is_16_bit ? 3 : 2);
    MemoryPlan plan = whole;
    plan.makes_copies = true;
    plan.segment_weights = memory.segment_size.value_or(budget);
    return plan;
  }
  // Before the runs are known, all that can be said is what any of them needs.
  const bool is_known = memory.activations > 0;
  const uint64_t anew = is_known ? needed + copies + mapped(memory.file) : needed;
  if (anew > available.bytes) refuse(piece ? std::min(anew, in_pieces(*piece)) : anew, memory, available);
  return whole;
}

}  // namespace onnxport
