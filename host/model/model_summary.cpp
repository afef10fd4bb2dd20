// SPDX-License-Identifier: Apache-2.0
#include "host/model/model_summary.hpp"

#include <algorithm>

#include "core/inspect/onnx_file.hpp"

namespace onnxport {

int64_t ModelSummary::opset() const {
  for (const auto& [domain, version] : opsets) {
    if (domain.empty()) return version;
  }
  return 0;
}

ModelSummary read_model_summary(const std::filesystem::path& file) {
  const inspect::pb::ModelProto model = inspect::read_onnx_file(file).model;
  ModelSummary out;
  out.producer = model.producer_name();
  for (const auto& opset : model.opset_import())
    out.opsets.emplace_back(opset.domain() == "ai.onnx" ? "" : opset.domain(), opset.version());
  out.inputs = inspect::inputs_of(model.graph());
  out.outputs = inspect::outputs_of(model.graph());
  for (const auto& entry : model.metadata_props()) out.metadata[entry.key()] = entry.value();
  for (const auto& tensor : model.graph().initializer()) {
    const std::optional<inspect::TensorPlace> place = inspect::place_of(tensor);
    if (!place || place->location.empty()) {
      out.largest_inside = std::max(out.largest_inside, inspect::bytes_of(tensor));
      continue;
    }
    uint64_t& end = out.external_files[place->location];
    end = std::max(end, place->offset + place->length.value_or(inspect::bytes_of(tensor)));
  }
  return out;
}

}  // namespace onnxport
