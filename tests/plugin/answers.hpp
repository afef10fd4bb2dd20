// SPDX-License-Identifier: Apache-2.0
// Whether what is exported answers as the original model did.
#pragma once

#include <string>
#include <vector>

#include "core/validate/compare.hpp"
#include "tests/plugin/recording.hpp"

namespace onnxport::test {

/// What went wrong, a line each; empty where nothing did.
using Problems = std::vector<std::string>;

/// The opsets that every change is tested with, or all that have a form of their own with ONNXPORT_TEST_ALL.
const std::vector<int64_t>& tested_opsets();

/// The outputs that differ, each with what `who` names it.
Problems differences(const std::string& who, const Tensors& expected, const Tensors& actual,
                     const Tolerance& tolerance);

/// The recording exported at these opsets and run on all of its cases; and, where the reference back end is built, that
/// one held to the same. An error is a problem.
Problems answers(const Recording& recording, const std::vector<int64_t>& opsets);

/// The same in f16, at the highest opset.
Problems answers_in_f16(const Recording& recording);

/// The same with the weights left in the checkpoint's own file.
Problems answers_linked(const Recording& recording);

/// The same with every axis fixed to the sizes of the first case: the graph asks no tensor for its shape and has no
/// open axis, and answers the same. Nothing is tried of a case with an axis of length 0, such as a first step's past.
Problems answers_fixed(const Recording& recording);

}  // namespace onnxport::test
