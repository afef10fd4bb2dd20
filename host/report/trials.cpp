// SPDX-License-Identifier: Apache-2.0
#include "host/report/trials.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace onnxport {

void print_text(const TrialResult& result, Console& console) {
  const std::string opset = result.opset == 0 ? "" : fmt::format(", opset {}", result.opset);
  console.line(fmt::format("{} {}{}: {} ({})", result.model_type, result.feature, opset,
                           result.passes() ? "passed" : "FAILED", result.config));
  for (const Finding& finding : result.findings) {
    const std::string more = finding.text.empty() ? "" : ": " + finding.text;
    console.block(fmt::format("{}{}{}", finding.passes ? "" : "FAILED ", finding.what, more), 2);
  }
}

void print_text(const PluginTrials& trials, Console& console) {
  for (const std::string& gap : trials.known_gaps) console.line("not tried, known not to work: " + gap);
  for (const std::string& feature : trials.without_sample)
    console.line(
        fmt::format("FAILED {}: there is no config of this type to try it on; add one with --config", feature));
  const auto passed = std::count_if(trials.results.begin(), trials.results.end(),
                                    [](const TrialResult& result) { return result.passes(); });
  console.line(fmt::format("{} of {} trials passed", passed, trials.results.size()));
}

void fill_json(const PluginTrials& trials, Json& json) {
  json["passes"] = trials.passes();
  json["trials"] = Json::array();
  for (const TrialResult& result : trials.results) {
    Json& told = json["trials"].emplace_back(Json{{"model_type", result.model_type},
                                                  {"feature", result.feature},
                                                  {"opset", result.opset},
                                                  {"config", result.config},
                                                  {"passes", result.passes()},
                                                  {"findings", Json::array()}});
    for (const Finding& finding : result.findings)
      told["findings"].push_back({{"what", finding.what}, {"passes", finding.passes}, {"text", finding.text}});
  }
  json["without_sample"] = trials.without_sample;
  json["known_gaps"] = trials.known_gaps;
}

}  // namespace onnxport
