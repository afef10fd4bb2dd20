// SPDX-License-Identifier: Apache-2.0
// Libraries that ended the process: they are not loaded again until they are built anew or let out.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace onnxport {

/// What a library did. It is known by its sum, so that a corrected build is not concerned.
struct QuarantineRecord {
  std::string plugin;   ///< id
  std::string library;  ///< where it lay
  std::string sha256;
  std::string reason;          ///< "crashed by SIGSEGV in forward() at 'encoder.layer.3'"
  std::string signal;          ///< "SIGSEGV", or "exit 0" where the plugin ended the process
  std::string date;            ///< "2026-11-26T07:00:00Z"
  std::filesystem::path file;  ///< of the record; empty for one that was not written

  /// "crashed by SIGSEGV in forward(), on 2026-11-26T07:00:00Z"
  std::string told() const;
};

/// ${XDG_STATE_HOME:-~/.local/state}/onnxport/quarantine; nullopt where neither is set to an absolute path, and with
/// elevated privileges.
std::optional<std::filesystem::path> quarantine_folder();

/// The records of a folder, by plugin. What is no record is told in `notes`. A folder that is not there holds none.
std::vector<QuarantineRecord> read_quarantine(const std::filesystem::path& folder, std::vector<std::string>& notes);

/// Writes a record into the folder, which is made where it is not there. Throws Error(output).
void write_quarantine(const std::filesystem::path& folder, const QuarantineRecord& record);

/// The record of a library with this sum, or null.
const QuarantineRecord* find_quarantined(const std::vector<QuarantineRecord>& records, std::string_view sha256);

}  // namespace onnxport
