// SPDX-License-Identifier: Apache-2.0
// Files that are compared one segment after the other, since they do not fit into memory as a whole.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/validate/segmented_model.hpp"
#include "host/validation/validate_export.hpp"

namespace onnxport {

/// The weights, in f32, of the largest piece of the export's graphs that cannot be cut further; nullopt where one has
/// no step at which it can be cut, or is made of two.
std::optional<uint64_t> largest_piece(const ExportToValidate& exported);

/// A file and its one definition, cut as MemoryPlan::segment_weights says. Lives as long as the objects that it was
/// made of.
class SegmentedExport {
 public:
  SegmentedExport(const ExportToValidate& exported, const std::filesystem::path& file, const Definition& definition);
  const SegmentedModel& model() const { return model_; }

 private:
  std::unique_ptr<const inspect::OnnxFile> file_;
  SegmentedModel model_;
};

/// The same as something to run.
std::unique_ptr<Runnable> segmented_runnable(const ExportToValidate& exported, const std::filesystem::path& file,
                                             const Definition& definition);

}  // namespace onnxport
