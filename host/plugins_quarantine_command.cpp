// SPDX-License-Identifier: Apache-2.0
// onnxport plugins quarantine: libraries that ended the process, and their release.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/error.hpp"
#include "core/files/output_error.hpp"
#include "host/commands.hpp"
#include "registry/quarantine.hpp"

namespace onnxport {
namespace {

/// Whether a user who names `which` means the record: by the plugin's id, the library or the beginning of its sum.
bool is_meant(const QuarantineRecord& record, const std::string& which) {
  constexpr size_t shortest_sum = 8;
  return which.empty() || record.plugin == which || record.library == which ||
         (which.size() >= shortest_sum && record.sha256.starts_with(which));
}

nlohmann::ordered_json json_of(const QuarantineRecord& record) {
  return {{"plugin", record.plugin}, {"library", record.library}, {"sha256", record.sha256},
          {"reason", record.reason}, {"signal", record.signal},   {"date", record.date}};
}

}  // namespace

int run_plugins_quarantine(const QuarantineArguments& arguments, Console& console) {
  const auto folder = quarantine_folder();
  if (!folder) {
    throw Error(Failure::usage, "there is no quarantine here: neither XDG_STATE_HOME nor HOME is set to a folder",
                "set one of them");
  }
  std::vector<std::string> notes;
  std::vector<QuarantineRecord> records = read_quarantine(*folder, notes);
  for (const std::string& note : notes) console.note(note);
  std::erase_if(records, [&](const QuarantineRecord& record) { return !is_meant(record, arguments.which); });
  if (records.empty() && !arguments.which.empty()) {
    throw Error(Failure::usage, fmt::format("there is no plugin '{}' in quarantine", arguments.which),
                "`onnxport plugins quarantine` lists them");
  }
  auto& json = console.result();
  json["folder"] = folder->string();
  json["quarantine"] = nlohmann::ordered_json::array();
  for (const QuarantineRecord& record : records) {
    json["quarantine"].push_back(json_of(record));
    if (arguments.clear) {
      std::error_code failed;
      std::filesystem::remove(record.file, failed);
      if (failed) throw output_error("cannot remove", record.file, failed.value());
    }
    console.line(fmt::format("{}{} ({}): {}", arguments.clear ? "released: " : "", record.plugin, record.signal,
                             record.library));
    console.block(record.told(), 2);
  }
  json["cleared"] = arguments.clear ? records.size() : 0;
  if (records.empty()) console.line("no plugin is in quarantine");
  json["status"] = "ok";
  return 0;
}

}  // namespace onnxport
