// SPDX-License-Identifier: Apache-2.0
// What a command found or did, said to people and to programs. The two printers are apart (text.hpp, json.hpp) and take
// the same values.
#pragma once

#include <nlohmann/json.hpp>

#include "host/process/console.hpp"
#include "host/report/json.hpp"
#include "host/report/run_facts.hpp"
#include "host/report/text.hpp"

namespace onnxport {

/// The step of a command that ends with a result, for the times in its object; null where none does.
template <class Result>
const char* step_of(const Result&) {
  return nullptr;
}
inline const char* step_of(const ChosenModel&) {
  return "chosen";
}
inline const char* step_of(const WrittenExport&) {
  return "written";
}
inline const char* step_of(const ExportValidation&) {
  return "validated";
}

/// Says a result in the form that the console has.
template <class Result>
void report(const Result& result, Console& console) {
  console.end_progress();
  print_text(result, console);
  fill_json(result, console.result());
  if (const char* step = step_of(result)) note_time(step, console.result());
}

}  // namespace onnxport
