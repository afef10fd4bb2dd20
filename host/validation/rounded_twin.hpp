// SPDX-License-Identifier: Apache-2.0
// What can be run in place of files in a type that the runtime has no kernels for.
#pragma once

#include <atomic>
#include <vector>

#include "core/output/staging.hpp"
#include "host/validation/validate_export.hpp"

namespace onnxport {

/// An export's definitions in f32 with their weights rounded to its type, as files that live as long as the object.
class RoundedTwin {
 public:
  /// Writes them. Throws as export_graphs(), and where `cancel`, if it is not null, is set.
  RoundedTwin(const ExportToValidate& exported, const std::atomic<bool>* cancel);
  /// These files against the definitions as they are, so that it shows what rounding the weights costs.
  ExportToValidate exported() const;

 private:
  StagedOutput output_;  // never delivered
  const ExportToValidate& exported_;
  std::vector<Definition> definitions_;
  std::vector<GraphToExport> graphs_;
};

}  // namespace onnxport
