// SPDX-License-Identifier: Apache-2.0
#include "host/report/report_file.hpp"

#include <unistd.h>

#include <nlohmann/json.hpp>
#include <span>

#include "core/error.hpp"
#include "core/files/output_error.hpp"
#include "core/files/output_file.hpp"
#include "core/printable.hpp"

namespace onnxport {

namespace fs = std::filesystem;

void check_report_name(const fs::path& file) {
  if (file.extension() != ".html" && file.extension() != ".json") {
    throw Error(Failure::usage, "--report " + file.string() + " ends neither in .html nor in .json",
                "the ending says which of the two is written");
  }
  std::error_code ignored;
  if (file.has_parent_path() && !fs::is_directory(file.parent_path(), ignored)) {
    throw Error(Failure::usage, "--report " + file.string() + ": there is no folder " + file.parent_path().string(),
                "make the folder first, or name another");
  }
}

void write_report(const fs::path& file, const nlohmann::ordered_json& report) {
  const std::string text =
      file.extension() == ".html"
          ? report_page(report)
          : printable_json(report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace)) + "\n";
  const fs::path beside = file.string() + ".part" + std::to_string(::getpid());
  {
    OutputFile out(beside, text.size());
    out.write(std::as_bytes(std::span(text)), 0);
    out.close();
  }
  std::error_code reason;
  fs::rename(beside, file, reason);
  if (!reason) return;
  std::error_code ignored;
  fs::remove(beside, ignored);
  throw output_error("cannot write", file, reason.value());
}

}  // namespace onnxport
