// SPDX-License-Identifier: Apache-2.0
#include "core/import/rows.hpp"

#include <map>

namespace onnxport::script {

const Row* find_row(std::string_view kind) {
  static const auto by_kind = [] {
    std::map<std::string_view, const Row*> index;
    for (const auto* rows :
         {&number_rows(), &structure_rows(), &elementwise_rows(), &activation_rows(), &comparison_rows(),
          &layout_rows(), &joining_rows(), &indexing_rows(), &creation_rows(), &reduction_rows(), &linear_rows(),
          &norm_rows(), &attention_rows(), &convolution_rows(), &resampling_rows(), &recurrent_rows()}) {
      for (const Row& row : *rows) index.emplace(row.kind, &row);
    }
    return index;
  }();
  auto found = by_kind.find(kind);
  if (found == by_kind.end() && is_in_place(kind)) found = by_kind.find(kind.substr(0, kind.size() - 1));
  return found == by_kind.end() ? nullptr : found->second;
}

bool is_in_place(std::string_view kind) {
  return kind.starts_with("aten::") && kind.ends_with('_') && !kind.ends_with("__");
}

}  // namespace onnxport::script
