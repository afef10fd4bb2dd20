// SPDX-License-Identifier: Apache-2.0
// The layouts of encoder-decoders, exported, and held to what was recorded.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/backend/backend.hpp"
#include "core/export/export.hpp"
#include "tests/plugin/answers.hpp"
#include "tests/support/temporary_folder.hpp"

namespace onnxport::test {

/// A checkpoint with one layout, in a folder of its own.
class ExportedLayout {
 public:
  /// Of the feature and layout, at the opset. Throws as an export does.
  ExportedLayout(const Checkpoint& checkpoint, const std::string& feature, const std::string& layout, int64_t opset);

  Tensors run(const std::string& file, const Tensors& inputs) const;
  const std::filesystem::path& folder() const { return scratch_.path; }

  ExportResult result;
  Description encoder, decoder;  ///< of its graphs, before they are exported

 private:
  TemporaryFolder scratch_;
};

/// One checkpoint's recordings of the first step without a cache, and of a cached one.
struct StepRecordings {
  Recording first, cached;
};

/// Those of a plugin, one checkpoint a type.
std::vector<StepRecordings> step_recordings(const std::vector<Recording>& recordings);

/// Whether the graphs of the layout ("split" or "merged") answer as recorded. Only the recordings without padding
/// count, since the graphs of a decoder take no mask of its own.
Problems layout_answers(const StepRecordings& steps, const std::string& layout);

}  // namespace onnxport::test
