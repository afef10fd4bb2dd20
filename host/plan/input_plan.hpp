// SPDX-License-Identifier: Apache-2.0
// The form of a file's inputs as it was asked for: --fix, --ids, --num-logits-to-keep, --max-sequence.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/package/layout.hpp"
#include "core/passes/input_form.hpp"
#include "host/plan/arguments.hpp"
#include "host/plan/choices.hpp"

namespace onnxport {

/// What ids may be: whether in 32 bits.
inline constexpr Choice<bool> id_choices[] = {{"int64", false}, {"int32", true}};

/// Sizes from words such as "batch=1". Throws Error(usage) for words that say no size of at least 1, and for two sizes
/// of one axis.
std::map<std::string, int64_t> fixed_axes(const std::vector<std::string>& words);
/// The reverse: "batch=1,sequence=128".
std::string to_text(const std::map<std::string, int64_t>& fixed);

/// Throws Error(usage) as fixed_axes() does.
InputForm plan_inputs(const ExportArguments& arguments);

/// Throws Error(usage) where no file of the export has an axis that is to be fixed, naming those there are, where an
/// axis cannot be of that size, where no file has logits of which some could be kept, and where states that grow cannot
/// be kept in buffers.
void require_inputs(const InputForm& form, const OnnxConfig& config, const std::vector<GraphFile>& files);

/// What of the form a file's metadata tells, and the form that they tell of.
std::map<std::string, std::string> metadata_of(const InputForm& form);
InputForm input_form_of(const std::map<std::string, std::string>& metadata);

}  // namespace onnxport
