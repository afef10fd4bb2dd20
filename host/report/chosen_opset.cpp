// SPDX-License-Identifier: Apache-2.0
#include "host/report/chosen_opset.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace onnxport {

void print_text(const ChosenOpset& chosen, Console& console) {
  console.line(fmt::format("for {}: opset {}, IR version {}", chosen.runtime, chosen.opset, chosen.ir_version));
  if (chosen.opset >= chosen.own) return;
  console.note(fmt::format("the model's own opset is {}; {}", chosen.own,
                           chosen.avoided.empty()
                               ? std::string("it is written with the same operators")
                               : fmt::format("avoided, and written as others: {}", fmt::join(chosen.avoided, ", "))));
}

void fill_json(const ChosenOpset& chosen, Json& json) {
  json["runtime"] = {{"name", chosen.runtime},
                     {"opset", chosen.opset},
                     {"ir_version", chosen.ir_version},
                     {"avoided", chosen.avoided}};
}

}  // namespace onnxport
