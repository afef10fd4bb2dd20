// SPDX-License-Identifier: Apache-2.0
// The operators of TorchScript that are translated, area by area; each area is a source of its name.
#pragma once

#include <string_view>
#include <vector>

#include "core/import/call.hpp"

namespace onnxport::script {

const std::vector<Row>& number_rows();
const std::vector<Row>& structure_rows();
const std::vector<Row>& elementwise_rows();
const std::vector<Row>& activation_rows();
const std::vector<Row>& comparison_rows();
const std::vector<Row>& layout_rows();
const std::vector<Row>& joining_rows();
const std::vector<Row>& indexing_rows();
const std::vector<Row>& creation_rows();
const std::vector<Row>& reduction_rows();
const std::vector<Row>& linear_rows();
const std::vector<Row>& norm_rows();
const std::vector<Row>& attention_rows();
const std::vector<Row>& convolution_rows();
const std::vector<Row>& resampling_rows();
const std::vector<Row>& recurrent_rows();

/// The row of an operator; null where there is none.
const Row* find_row(std::string_view kind);
/// Whether an operator changes its first argument: "aten::add_".
bool is_in_place(std::string_view kind);

}  // namespace onnxport::script
