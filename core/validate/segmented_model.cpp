// SPDX-License-Identifier: Apache-2.0
#include "core/validate/segmented_model.hpp"

#include <algorithm>
#include <utility>

#include "core/validate/file_inputs.hpp"

namespace onnxport {
namespace {

class SegmentedFile final : public Runnable {
 public:
  explicit SegmentedFile(const SegmentedModel& model) : model_(model) {}

  Tensors run(const Tensors& inputs, const std::vector<std::string>& wanted) override {
    return run_all({&inputs}, wanted)[0];
  }

  /// All sets pass a segment before the next one is loaded.
  std::vector<Tensors> run_all(const std::vector<const Tensors*>& sets,
                               const std::vector<std::string>& wanted) override {
    const FileSegments& file = *model_.file;
    std::vector<Tensors> values, results(sets.size());
    for (const Tensors* set : sets) values.push_back(as_file_takes(*set, model_.form));
    for (size_t k = 0; k < file.size(); ++k) {
      const auto segment = load_backend("onnxruntime").load_image(file.image(k));
      for (size_t s = 0; s < sets.size(); ++s) {
        Tensors made = segment->run(values[s]);
        for (const ir::NamedValue& output : model_.segments[k].outputs) {
          const auto found = made.find(output.name);
          const bool is_wanted = wanted.empty() || std::ranges::find(wanted, output.name) != wanted.end();
          if (found != made.end() && is_wanted) results[s].insert(*found);
        }
        values[s].merge(made);
        file.forget(values[s], k);
      }
    }
    return results;
  }

 private:
  const SegmentedModel& model_;
};

}  // namespace

SegmentedModel cut_model(TracedLowering both, const inspect::OnnxFile& file, const InputForm& form, std::string logits,
                         uint64_t most_weights) {
  SegmentedModel model{
      .both = std::move(both), .segments = {}, .file = nullptr, .form = form, .logits = std::move(logits)};
  model.segments = segments_of(model.both.definition, cuts_of(model.both), most_weights);
  std::vector<std::vector<std::string>> wanted;
  for (const Segment& segment : model.segments) {
    std::vector<std::string>& names = wanted.emplace_back();
    for (ir::ValueId id : segment.yields) {
      if (std::string name = model.both.carried(id); !name.empty()) names.push_back(std::move(name));
    }
    for (const ir::NamedValue& output : segment.outputs) names.push_back(output.name);
  }
  model.file = std::make_unique<FileSegments>(file, model.both.lowered, wanted);
  return model;
}

std::unique_ptr<Runnable> run_in_segments(const SegmentedModel& model) {
  return std::make_unique<SegmentedFile>(model);
}

}  // namespace onnxport
