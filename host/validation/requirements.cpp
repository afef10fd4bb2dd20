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

void require_memory(const ValidationMemory& memory) {
  // Each back end holds the weights, and the checker reads the file. The runs come one after the other.
  const uint64_t needed = backends_bytes + 2 * memory.weights + memory.file + memory.activations;
  AvailableMemory available = available_memory();
  if (memory.limit && *memory.limit < available.bytes) available = {*memory.limit, "--max-memory"};
  if (needed <= available.bytes) return;
  const std::string runs = memory.activations > memory.weights
                               ? fmt::format(" ({} of it for what the runs compute)", format_bytes(memory.activations))
                               : "";
  throw Error(Failure::usage,
              fmt::format("validation needs about {} of memory{}, and {} leaves {}", format_bytes(needed), runs,
                          available.limited_by, format_bytes(available.bytes)),
              "free some memory, or pass --no-validate to export without being checked, which needs little");
}

}  // namespace onnxport
