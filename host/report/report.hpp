// SPDX-License-Identifier: Apache-2.0
// What a command found or did, said to people and to programs. The two printers are apart (text.hpp, json.hpp) and take
// the same values.
#pragma once

#include <nlohmann/json.hpp>

#include "host/process/console.hpp"
#include "host/report/json.hpp"
#include "host/report/text.hpp"

namespace onnxport {

/// Says a result in the form that the console has.
template <class Result>
void report(const Result& result, Console& console) {
  console.end_progress();
  print_text(result, console);
  fill_json(result, console.result());
}

}  // namespace onnxport
