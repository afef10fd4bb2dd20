// SPDX-License-Identifier: Apache-2.0
#include "host/report/report_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <span>

#include "core/error.hpp"
#include "core/files/output_error.hpp"
#include "core/files/output_file.hpp"
#include "core/files/whole_file.hpp"
#include "core/printable.hpp"
#include "host/report/html.hpp"

namespace onnxport {

namespace fs = std::filesystem;

namespace {

/// What is written first, and then takes the file's place.
fs::path beside(const fs::path& file) {
  return file.string() + ".part" + std::to_string(::getpid());
}

/// Whether the file is a report of an earlier run, which the next one may replace.
bool is_report(const fs::path& file) {
  const char* const mark = file.extension() == ".html" ? html::mark : "\"schema\": \"onnxport-report/";
  std::error_code ignored;
  return fs::is_regular_file(file, ignored) && read_whole(file).find(mark) != std::string::npos;
}

/// A name slips easily: a checkpoint's config.json is JSON, too.
void require_no_other(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored) || is_report(file)) return;
  throw Error(Failure::usage, "--report " + file.string() + " is there already, and is no report",
              "name a file that does not exist, or an earlier report");
}

}  // namespace

void check_report_name(const fs::path& file) {
  if (file.extension() != ".html" && file.extension() != ".json") {
    throw Error(Failure::usage, "--report " + file.string() + " ends neither in .html nor in .json",
                "the ending says which of the two is written");
  }
  std::error_code ignored;
  if (file.has_parent_path() && !fs::is_directory(file.parent_path(), ignored)) {
    throw Error(Failure::usage, "--report " + file.string() + ": there is no folder " + file.parent_path().string(),
                "make the folder first, or name another; an export's own folder is only there once it is delivered");
  }
  require_no_other(file);
  const int tried = ::open(beside(file).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
  if (tried < 0) throw output_error("cannot write", file, errno);
  ::close(tried);
  fs::remove(beside(file), ignored);
}

void write_report(const fs::path& file, const nlohmann::ordered_json& report) {
  const std::string text =
      file.extension() == ".html"
          ? report_page(report)
          : printable_json(report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace)) + "\n";
  require_no_other(file);  // the command may have written one of that name
  std::error_code ignored, reason;
  try {
    OutputFile out(beside(file), text.size());
    out.write(std::as_bytes(std::span(text)), 0);
    out.close();
  } catch (const Error& error) {
    fs::remove(beside(file), ignored);
    throw Error(error.failure(), fmt::format("what was done stands, and its report is not written: {}", error.what()),
                error.hint());
  }
  fs::rename(beside(file), file, reason);
  if (!reason) return;
  fs::remove(beside(file), ignored);
  throw output_error("cannot write", file, reason.value());
}

}  // namespace onnxport
