// SPDX-License-Identifier: Apache-2.0
// Whether an export in f16 stays in that type's range on inputs as they are in use, and what has to stay in f32 for it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/validate/ranges.hpp"
#include "host/validation/validate_export.hpp"

namespace onnxport {

/// The largest number of f16.
inline constexpr double largest_f16 = 65504;

/// Makes the inputs on which an export is validated beside what the budget has: of a file, or, in 16 bits, drawn ones.
/// An empty path: none is named. Throws as read_calibration() and calibration_inputs().
void add_calibration(ExportToValidate& exported, const std::filesystem::path& file);

/// Largest magnitudes of all graphs of an export in f16, on its calibration inputs.
class ExportRanges {
 public:
  /// Runs the definitions by the reference.
  explicit ExportRanges(const ExportToValidate& exported);

  /// Adds to `kept` the modules whose numbers pass the range with a margin, for texts that were not measured.
  std::vector<ModuleRange> keep(KeptModules& kept) const;
  /// The modules that compute beyond the range where these are kept in f32.
  std::vector<ModuleRange> overflows(const KeptModules& kept) const;

 private:
  std::vector<std::unique_ptr<Ranges>> graphs_;
};

/// What was measured and kept in f32.
struct KeptInRange {
  double limit;
  std::vector<ModuleRange> modules;
};
/// Up to which magnitude a module may go that is computed in f16: a quarter of the largest number.
double kept_limit();

/// Throws Error(usage), naming the nearest, where a module that is to stay in f32 is none of the definitions'.
void require_modules(const KeptModules& kept, const std::vector<Definition>& definitions);

}  // namespace onnxport
