// SPDX-License-Identifier: Apache-2.0
#include "host/report/reported_run.hpp"

#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/report/report_file.hpp"
#include "host/report/run_facts.hpp"

namespace onnxport {

ReportedRun::ReportedRun(std::filesystem::path file, std::vector<std::string> words,
                         std::function<int(Console&)> command)
    : file_(std::move(file)), words_(std::move(words)), command_(std::move(command)) {
  if (!file_.empty()) check_report_name(file_);
}

int ReportedRun::work(Console& console) const {
  if (file_.empty()) return command_(console);
  int status = 0;
  try {
    status = command_(console);
  } catch (...) {
    status = report_failure(console, std::current_exception());
  }
  write(status, console);
  return status;
}

int ReportedRun::told(int status, Console& console) const {
  const bool knows_of_failure = console.result().contains("error");
  if (!file_.empty() && knows_of_failure && !is_run_told(console.result())) write(status, console);
  return status;
}

void ReportedRun::write(int status, Console& console) const {
  if (console.cancel_flag()) return;
  console.result()["exit_status"] = status;
  fill_run_facts(words_, console.result());
  write_report(file_, console.result());
  console.line("report: " + file_.string());
}

}  // namespace onnxport
