// SPDX-License-Identifier: Apache-2.0
#include "host/validation/segmented.hpp"

#include <algorithm>
#include <utility>

#include "core/inspect/onnx_file.hpp"

namespace onnxport {
namespace {

class OwnedSegments final : public Runnable {
 public:
  explicit OwnedSegments(SegmentedExport cut) : cut_(std::move(cut)), file_(run_in_segments(cut_.model())) {}
  Tensors run(const Tensors& inputs, const std::vector<std::string>& wanted) override {
    return file_->run(inputs, wanted);
  }
  std::vector<Tensors> run_all(const std::vector<const Tensors*>& sets,
                               const std::vector<std::string>& wanted) override {
    return file_->run_all(sets, wanted);
  }

 private:
  const SegmentedExport cut_;
  const std::unique_ptr<Runnable> file_;
};

}  // namespace

std::optional<uint64_t> largest_piece(const ExportToValidate& exported) {
  // What is cut knows one form of the cache, and the file has another.
  if (exported.form.inputs.max_sequence > 0) return std::nullopt;
  uint64_t largest = 0;
  for (const GraphToExport& graph : exported.graphs) {
    if (graph.definitions.size() != 1) return std::nullopt;
    const TracedLowering both = trace_lowering(exported.config, *graph.definitions[0], exported.form);
    const std::vector<size_t> cuts = cuts_of(both);
    if (cuts.empty()) return std::nullopt;
    for (const Segment& segment : segments_of(both.definition, cuts, 0)) largest = std::max(largest, segment.weights);
  }
  return largest;
}

SegmentedExport::SegmentedExport(const ExportToValidate& exported, const std::filesystem::path& file,
                                 const Definition& definition)
    : file_(std::make_unique<const inspect::OnnxFile>(inspect::read_onnx_file(file))),
      model_(cut_model(trace_lowering(exported.config, definition, exported.form), *file_, exported.form.inputs,
                       logits_of(definition.description), exported.memory.segment_weights.value())) {}

std::unique_ptr<Runnable> segmented_runnable(const ExportToValidate& exported, const std::filesystem::path& file,
                                             const Definition& definition) {
  return std::make_unique<OwnedSegments>(SegmentedExport(exported, file, definition));
}

}  // namespace onnxport
