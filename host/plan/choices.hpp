// SPDX-License-Identifier: Apache-2.0
// What options with a few possible values may be: the words of the command line and what they stand for.
#pragma once

#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "core/export/export.hpp"
#include "core/tensor/dtype.hpp"

namespace onnxport {

template <class Value>
struct Choice {
  std::string_view name;
  Value value;
};

/// Where weights are kept.
enum class WeightPlace {
  copy,   ///< in the model's file, or beside it where it would become too large
  embed,  ///< in the model's file
  link,   ///< in the checkpoint's files
};

/// What validation's inputs are made with.
enum class PreprocessorKind { any, tokenizer, feature_extractor, image_processor, processor };

/// On how many sets of inputs a model is compared.
enum class ValidationBudget { normal, quick, thorough };

/// How a decoder's positions come about.
enum class Positions { sequence, mask, input };

inline constexpr Choice<Target> target_choices[] = {{"onnx", Target::onnx}, {"ort", Target::ort}};
inline constexpr Choice<WeightPlace> weight_choices[] = {
    {"copy", WeightPlace::copy}, {"embed", WeightPlace::embed}, {"link", WeightPlace::link}};
inline constexpr Choice<ir::DType> dtype_choices[] = {
    {"fp32", ir::DType::f32}, {"fp16", ir::DType::f16}, {"bf16", ir::DType::bf16}};
inline constexpr Choice<PreprocessorKind> preprocessor_choices[] = {
    {"auto", PreprocessorKind::any},
    {"tokenizer", PreprocessorKind::tokenizer},
    {"feature_extractor", PreprocessorKind::feature_extractor},
    {"image_processor", PreprocessorKind::image_processor},
    {"processor", PreprocessorKind::processor}};
inline constexpr Choice<ValidationBudget> budget_choices[] = {{"default", ValidationBudget::normal},
                                                              {"quick", ValidationBudget::quick},
                                                              {"thorough", ValidationBudget::thorough}};
inline constexpr Choice<Positions> position_choices[] = {
    {"sequence", Positions::sequence}, {"mask", Positions::mask}, {"input", Positions::input}};

/// What the word stands for; for another word, what the first one does.
template <class Value, size_t n>
Value value_of(const Choice<Value> (&table)[n], std::string_view name) {
  for (const Choice<Value>& choice : table) {
    if (choice.name == name) return choice.value;
  }
  return table[0].value;
}

/// The word for a value of the table.
template <class Value, size_t n>
std::string name_of(const Choice<Value> (&table)[n], Value value) {
  for (const Choice<Value>& choice : table) {
    if (choice.value == value) return std::string(choice.name);
  }
  return {};
}

/// All words, in order.
template <class Value, size_t n>
std::vector<std::string> names_of(const Choice<Value> (&table)[n]) {
  std::vector<std::string> names;
  for (const Choice<Value>& choice : table) names.emplace_back(choice.name);
  return names;
}

}  // namespace onnxport
