// SPDX-License-Identifier: Apache-2.0
#include "host/validation/requirements.hpp"

#include <fmt/format.h>

#include <string>

#include "core/backend/backend.hpp"
#include "core/error.hpp"
#include "core/format_bytes.hpp"
#include "core/on_demand.hpp"
#include "host/process/memory.hpp"

namespace onnxport {
namespace {

/// The two libraries by themselves, before they hold a model.
constexpr uint64_t backends_bytes = 300'000'000;

}  // namespace

void require_backends(bool reference) {
  std::string missing;
  const bool is_without_reference = reference && !backend_installed("reference");
  if (is_without_reference) missing = "the reference back end (libtorch)";
  if (!backend_installed("onnxruntime"))
    missing += missing.empty() ? "the back end of ONNX Runtime" : " and the back end of ONNX Runtime";
  if (missing.empty()) return;
  throw Error(Failure::usage,
              "validation is not possible: " + missing + " is not installed in " +
                  on_demand_path("reference").parent_path().string(),
              fmt::format("install it{}, or pass --no-validate to export without being checked",
                          is_without_reference ? " (of the packages, onnxport-reference)" : ""));
}

void probe_backends(bool reference) {
  load_backend("onnxruntime");
  if (reference) load_backend("reference");
}

MemoryPlan require_memory(const ValidationMemory& memory) {
  // Both sides run at the same time, and each makes a few weights into what it computes with.
  const uint64_t needed = backends_bytes + 2 * memory.activations + 3 * memory.largest_weight;
  AvailableMemory available = available_memory();
  if (memory.limit && *memory.limit < available.bytes) available = {*memory.limit, "--max-memory"};
  if (needed <= available.bytes) {
    const uint64_t left = available.bytes - needed, copies = memory.is_16_bit ? memory.weights : 0;
    return {.available = available.bytes,
            .in_files = memory.weights + memory.file,
            .keeps_weights = memory.weights + memory.file + copies <= left,
            .makes_copies = copies <= left};
  }
  const std::string runs = memory.activations > memory.largest_weight
                               ? fmt::format(" ({} of it for what the runs compute)", format_bytes(memory.activations))
                               : "";
  throw Error(Failure::usage,
              fmt::format("validation needs about {} of memory{}, and {} leaves {}", format_bytes(needed), runs,
                          available.limited_by, format_bytes(available.bytes)),
              "free some memory, or pass --no-validate to export without being checked, which needs little");
}

}  // namespace onnxport
