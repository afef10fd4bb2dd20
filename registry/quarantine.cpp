// SPDX-License-Identifier: Apache-2.0
#include "registry/quarantine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/error.hpp"
#include "core/files/output_error.hpp"
#include "core/printable.hpp"
#include "core/privileges.hpp"
#include "registry/places.hpp"
#include "registry/yaml.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

struct Field {
  const char* key;
  std::string QuarantineRecord::*text;
};
constexpr Field fields[] = {{"plugin", &QuarantineRecord::plugin}, {"library", &QuarantineRecord::library},
                            {"sha256", &QuarantineRecord::sha256}, {"reason", &QuarantineRecord::reason},
                            {"signal", &QuarantineRecord::signal}, {"date", &QuarantineRecord::date}};

QuarantineRecord read_record(const fs::path& file) {
  const yaml::Node root = yaml::parse(yaml::read_text(file), file);
  yaml::Map map(root, file, "the quarantine record");
  QuarantineRecord record;
  record.file = file;
  for (const auto& [key, text] : fields) record.*text = yaml::string(map.required(key), file, key);
  map.finish();
  return record;
}

}  // namespace

std::string QuarantineRecord::told() const {
  return fmt::format("{}, on {}", reason, date);
}

std::optional<fs::path> quarantine_folder() {
  if (has_elevated_privileges()) return std::nullopt;
  const auto folder = user_folder("XDG_STATE_HOME", ".local/state");
  return folder ? std::optional(*folder / "quarantine") : std::nullopt;
}

std::vector<QuarantineRecord> read_quarantine(const fs::path& folder, std::vector<std::string>& notes) {
  std::vector<QuarantineRecord> records;
  std::error_code unreadable;
  for (fs::directory_iterator entry(folder, unreadable), end; !unreadable && entry != end;
       entry.increment(unreadable)) {
    if (entry->path().extension() != ".yaml") continue;
    try {
      records.push_back(read_record(entry->path()));
    } catch (const Error& error) {
      notes.push_back(fmt::format("not a quarantine record: {}", error.what()));
    }
  }
  if (unreadable && unreadable != std::errc::no_such_file_or_directory)
    notes.push_back(fmt::format("{}: cannot be read: {}", folder.string(), unreadable.message()));
  std::sort(records.begin(), records.end(), [](const QuarantineRecord& a, const QuarantineRecord& b) {
    return std::tie(a.plugin, a.sha256) < std::tie(b.plugin, b.sha256);
  });
  return records;
}

void write_quarantine(const fs::path& folder, const QuarantineRecord& record) {
  std::error_code reason;
  fs::create_directories(folder, reason);
  if (reason) throw output_error("cannot create the folder", folder, reason.value());
  const fs::path file = folder / (record.sha256 + ".yaml"), beside = folder / (record.sha256 + ".new");
  {
    std::ofstream out(beside);
    // A text in JSON's quotes is one of YAML's, but for halves of characters, and for what no such file may hold.
    for (const auto& [key, text] : fields) out << key << ": " << nlohmann::json(printable(record.*text)).dump() << "\n";
    if (!out.flush()) throw output_error("cannot write", beside, EIO);
  }
  fs::rename(beside, file, reason);
  if (reason) throw output_error("cannot write", file, reason.value());
}

const QuarantineRecord* find_quarantined(const std::vector<QuarantineRecord>& records, std::string_view sha256) {
  if (sha256.empty()) return nullptr;
  const auto found = std::find_if(records.begin(), records.end(),
                                  [&](const QuarantineRecord& record) { return record.sha256 == sha256; });
  return found == records.end() ? nullptr : &*found;
}

}  // namespace onnxport
