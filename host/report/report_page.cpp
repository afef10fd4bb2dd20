// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/format_bytes.hpp"
#include "core/printable.hpp"
#include "host/report/html.hpp"
#include "host/report/report_file.hpp"

namespace onnxport {
namespace {

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

constexpr size_t most_bars = 40;

const Json* at(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

/// A part, or nothing of the kind; it lives as long as the object.
const Json& part(const Json& json, const char* key) {
  static const Json nothing = Json::object();
  const Json* found = at(json, key);
  return found == nullptr ? nothing : *found;
}

/// Differences that are no number are infinite.
double number(const Json& json, const char* key) {
  const Json* value = at(json, key);
  return value != nullptr && value->is_number() ? value->get<double>() : std::numeric_limits<double>::infinity();
}

std::string plain(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::vector<std::string> words;
  for (const Json& entry : value) words.push_back(plain(entry));
  return fmt::format("{}", fmt::join(words, ", "));
}

/// The call as one would type it.
std::string call_of(const Json& words) {
  std::string call = "onnxport";
  for (const Json& word : words) {
    std::string typed = plain(word);
    if (typed.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=:,+@%") !=
            std::string::npos ||
        typed.empty()) {
      for (size_t at = 0; (at = typed.find('\'', at)) != std::string::npos; at += 4) typed.replace(at, 1, "'\\''");
      typed = "'" + typed + "'";
    }
    call += " " + typed;
  }
  return call;
}

std::string heading(const char* title) {
  return fmt::format("<h2>{}</h2>\n", title);
}

std::string title_of(const Json& report) {
  if (report.contains("model_type"))
    return plain(report["model_type"]) + ", " + plain(report.value("feature", Json("")));
  return plain(report.value("model_file", Json("onnxport")));
}

std::string overview(const Json& report) {
  Rows rows;
  const auto add = [&](const char* name, const char* key) {
    if (const Json* value = at(report, key)) rows.push_back({name, plain(*value)});
  };
  add("model", "model");
  add("type", "model_type");
  add("feature", "feature");
  add("told by", "feature_source");
  if (const Json* plugin = at(report, "plugin"))
    rows.push_back({"plugin", plain(plugin->value("id", Json(""))) + " " + plain(plugin->value("version", Json("")))});
  add("opset", "opset");
  add("written to", "output");
  add("file", "model_file");
  if (const Json* words = at(report, "command")) rows.push_back({"call", call_of(*words)});
  if (const Json* own = at(report, "onnxport")) rows.push_back({"onnxport", plain((*own)["version"])});
  add("written at", "written_at");
  return html::table({}, rows);
}

std::string failure(const Json& report) {
  const Json* error = at(report, "error");
  if (error == nullptr) return {};
  return heading("What went wrong") + html::table({}, {{"cause", plain(error->value("message", Json("")))},
                                                       {"what to do", plain(error->value("hint", Json("")))}});
}

std::string files(const Json& report, const char* key, const char* title) {
  const Json* list = at(report, key);
  if (list == nullptr || list->empty()) return {};
  Rows rows;
  for (const Json& file : *list)
    rows.push_back({plain(file.value("path", Json(""))), plain(file.value("sha256", Json(""))),
                    format_bytes(file.value("bytes", uint64_t{0}))});
  return heading(title) + html::table({"file", "sha256", "size"}, rows, 2);
}

std::string axes(const Json& report) {
  const Json* axes = at(report, "axes");
  if (axes == nullptr) return {};
  Rows rows;
  for (const char* side : {"inputs", "outputs"}) {
    for (const auto& [name, symbols] : part(*axes, side).items()) {
      std::vector<std::string> words;
      for (const auto& [axis, symbol] : symbols.items()) words.push_back(axis + ": " + plain(symbol));
      rows.push_back({side, name, fmt::format("{}", fmt::join(words, ", "))});
    }
  }
  return heading("Inputs, outputs and their axes") + html::table({"", "name", "axes"}, rows);
}

std::string config_fields(const Json& report) {
  const Json* fields = at(report, "config_fields");
  if (fields == nullptr) return {};
  Rows rows;
  for (const auto& [name, value] : part(*fields, "read").items()) rows.push_back({name, plain(value), "read"});
  const auto add = [&](const char* key, const char* use) {
    for (const Json& name : part(*fields, key)) rows.push_back({plain(name), "", use});
  };
  add("unread", "not asked for");
  add("defaulted", "not in the file: the default");
  add("without_effect", "known, without effect");
  add("not_of_the_graph", "not of the graph");
  return heading("Fields of config.json") + "<details><summary>" + std::to_string(rows.size()) + " fields</summary>\n" +
         html::table({"field", "value", "use"}, rows) + "</details>\n";
}

std::string run_heading(const Json& run) {
  const bool passes = run.value("passes", false);
  return fmt::format("<h3>{} <span class=\"state{}\">{}</span></h3>\n", html::text(plain(run.value("label", Json("")))),
                     passes ? "" : " bad", passes ? "agrees" : "differs");
}

std::string run_of(const Json& run, double limit) {
  std::vector<html::Bar> bars;
  Rows rows;
  for (const Json& output : part(run, "outputs")) {
    const double difference = number(output, "max_difference");
    const bool passes = output.value("passes", false);
    bars.push_back({plain(output.value("name", Json(""))), difference, passes});
    std::vector<std::string> row{bars.back().name, fmt::format("{:.2e}", difference)};
    for (const auto& [key, digits] : {std::pair{"mean_difference", 3}, {"max_relative_difference", 3}, {"cosine", 7}}) {
      if (const Json* value = at(output, key); value != nullptr && value->is_number())
        row.push_back(fmt::format("{:.{}g}", value->get<double>(), digits));
      else
        row.emplace_back("");
    }
    row.push_back(passes ? "agrees" : "DIFFERS");
    rows.push_back(row);
  }
  std::string problem;
  if (const Json* said = at(run, "problem")) problem = "<p>" + html::text(plain(*said)) + "</p>\n";
  if (rows.empty()) return run_heading(run) + problem;
  // The worst are what one looks for.
  std::stable_sort(bars.begin(), bars.end(), [](const auto& a, const auto& b) { return a.value > b.value; });
  if (bars.size() > most_bars) bars.resize(most_bars);
  return run_heading(run) + problem + html::log_bars(bars, limit) + "<details><summary>numbers</summary>\n" +
         html::table({"output", "largest difference", "mean", "relative", "cosine", ""}, rows, 1) + "</details>\n";
}

std::string steps_of(const Json& validation) {
  const Json* steps = at(validation, "steps");
  if (steps == nullptr || steps->empty()) return {};
  std::vector<html::Bar> points;
  Rows rows;
  for (const Json& step : *steps) {
    const std::string module = plain(step.value("module", Json(""))), op = plain(step.value("operator", Json("")));
    points.push_back({module.empty() ? op : fmt::format("{} ({})", module, op), number(step, "max_difference"),
                      step.value("passes", true)});
    rows.push_back({points.back().name, fmt::format("{:.2e}", points.back().value)});
  }
  return "<h3>How the difference grows along the model</h3>\n" + html::log_line(points) +
         "<details><summary>numbers</summary>\n" + html::table({"step", "largest difference"}, rows, 1) +
         "</details>\n";
}

std::string segments_of(const Json& validation) {
  const Json* segments = at(validation, "segments");
  if (segments == nullptr || segments->empty()) return {};
  std::vector<html::Bar> points;
  Rows rows;
  for (const Json& segment : *segments) {
    const std::string name = plain(segment.value("from", Json(""))) + " to " + plain(segment.value("to", Json("")));
    const Json &own = part(segment, "own"), &carried = part(segment, "carried");
    points.push_back({name, number(carried, "max_difference"), own.value("passes", true)});
    rows.push_back({name, format_bytes(segment.value("weight_bytes", uint64_t{0})),
                    fmt::format("{:.2e}", number(own, "max_difference")),
                    fmt::format("{:.2e}", number(carried, "max_difference"))});
  }
  return fmt::format("<h3>Validated in {} segments</h3>\n", segments->size()) + html::log_line(points) +
         "<details><summary>numbers</summary>\n" +
         html::table({"segment", "weights in f32", "difference by itself", "carried through"}, rows, 1) +
         "</details>\n";
}

/// Modules with how far their numbers go.
std::string ranges(const Json& list) {
  Rows rows;
  for (const Json& range : list)
    rows.push_back({plain(range.value("module", Json(""))), plain(range.value("operator", Json(""))),
                    fmt::format("{:.4g}", number(range, "largest"))});
  return html::table({"module", "operator", "largest number"}, rows, 2);
}

std::string kept_modules(const Json& report) {
  const Json* kept = at(report, "kept_in_fp32");
  if (kept == nullptr) return {};
  return heading("Kept in f32") +
         fmt::format("<p>Modules of a model in fp16 whose numbers pass {:.0f}.</p>\n", number(*kept, "limit")) +
         ranges(part(*kept, "modules"));
}

std::string validation(const Json& report) {
  const Json* found = at(report, "validation");
  if (found == nullptr) return {};
  Rows rows;
  const std::pair<const char*, const char*> told[] = {{"status", "status"},
                                                      {"runtime", "runtime"},
                                                      {"reference", "reference"},
                                                      {"substitute", "substitute"},
                                                      {"atol", "tolerance"},
                                                      {"rtol", "and of each value"},
                                                      {"tolerance_of_largest", "and of an output's largest"},
                                                      {"largest_difference", "largest difference"},
                                                      {"first_departure", "first departure"},
                                                      {"frozen_axis", "frozen axis"}};
  for (const auto& [key, name] : told) {
    if (const Json* value = at(*found, key))
      rows.push_back({name, value->is_number() ? fmt::format("{:.3g}", value->get<double>()) : plain(*value)});
  }
  std::string out = heading("Validation") + html::table({}, rows);
  if (const Json* overflows = at(*found, "overflows"))
    out += "<h3>Beyond the range of fp16</h3>\n" + ranges(*overflows);
  for (const Json& run : part(*found, "runs")) out += run_of(run, found->value("atol", 0.0));
  return out + segments_of(*found) + steps_of(*found);
}

std::string resources(const Json& report) {
  Rows rows;
  if (const Json* timings = at(report, "timings")) {
    for (const auto& [step, seconds] : timings->items())
      rows.push_back({step == "total" ? "all" : "until " + step, fmt::format("{:.2f} s", seconds.get<double>())});
  }
  if (const Json* memory = at(report, "memory"))
    rows.push_back({"memory at most", format_bytes(memory->value("peak_bytes", uint64_t{0}))});
  if (const Json* machine = at(report, "machine")) {
    rows.push_back({"machine", fmt::format("{} cores, {}", machine->value("cores", 0),
                                           format_bytes(machine->value("memory_bytes", uint64_t{0})))});
  }
  return rows.empty() ? std::string() : heading("Time and memory") + html::table({}, rows);
}

std::string notes(const Json& report) {
  const Json* list = at(report, "notes");
  if (list == nullptr || list->empty()) return {};
  std::string out = heading("Notes") + "<ul>\n";
  for (const Json& note : *list) out += "<li>" + html::text(plain(note)) + "</li>\n";
  return out + "</ul>\n";
}

}  // namespace

std::string report_page(const Json& report) {
  const std::string status = plain(report.value("status", Json("error")));
  const std::string title = title_of(report);
  std::string body = fmt::format("<h1>{}</h1>\n<p><span class=\"state{}\">{}</span></p>\n", html::text(title),
                                 status == "ok" ? "" : " bad", html::text(status));
  body += overview(report) + failure(report) + validation(report) + kept_modules(report) + axes(report) +
          config_fields(report);
  body += files(report, "sources", "Made from") + files(report, "judged_by", "Compared with, or on") +
          files(report, "files", "Files of the model") + resources(report) + notes(report);
  const std::string whole = report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string escaped;
  for (const char c : printable_json(whole)) {
    if (c == '<')
      escaped += "&lt;";
    else if (c == '&')
      escaped += "&amp;";
    else
      escaped += c;
  }
  body += "<h2>All of it</h2>\n<details><summary>as JSON</summary>\n<pre>" + escaped + "</pre></details>\n";
  return html::page("onnxport: " + title, body);
}

}  // namespace onnxport
