// SPDX-License-Identifier: Apache-2.0
#include "host/process/console.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <new>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/activity.hpp"
#include "core/error.hpp"
#include "core/out_of_memory.hpp"
#include "host/process/interrupt.hpp"
#include "host/process/memory.hpp"
#include "host/process/threads.hpp"

namespace onnxport {
namespace {

const char* kind_of(Failure failure) {
  switch (failure) {
    case Failure::differs:
      return "differs";
    case Failure::usage:
      return "usage";
    case Failure::checkpoint:
      return "checkpoint";
    case Failure::plugin:
      return "plugin";
    case Failure::output:
      return "output";
    case Failure::internal:
      return "internal";
  }
  return "internal";
}

constexpr const char* report_hint =
    "this is a defect of onnxport; please report it with the command and the model's config.json";
constexpr const char* author_hint =
    "tell the plugin's author, with this message; if it happens without that plugin as well (--safe), report it as a "
    "defect of onnxport";

/// What nobody foresaw. Where somebody's own plugin gave what the work was about, that is more likely to be wrong than
/// onnxport.
int fail_unforeseen(Console& console, const std::string& cause, const std::string& hint) {
  const std::string plugin = foreign_plugin();
  const Failure failure = plugin.empty() ? Failure::internal : Failure::plugin;
  console.fail(static_cast<int>(failure), kind_of(failure),
               plugin.empty() ? cause : fmt::format("{}, in work on what plugin {} gave", cause, plugin),
               !plugin.empty() && hint == report_hint ? author_hint : hint);
  return static_cast<int>(failure);
}

/// A limit that was set is the user's; else there is not enough in the machine, or somebody asks for too much of it.
int fail_for_memory(Console& console, const std::bad_alloc& failure) {
  const std::string limit = memory_limit();
  const auto* told = dynamic_cast<const OutOfMemory*>(&failure);
  if (limit.empty() && told == nullptr)
    return fail_unforeseen(
        console, "out of memory",
        "give the process more memory; if the model is small, please report this with its config.json");
  if (limit.empty() && !foreign_plugin().empty()) return fail_unforeseen(console, told->what(), author_hint);
  console.fail(static_cast<int>(Failure::usage), kind_of(Failure::usage),
               limit.empty() ? told->what() : fmt::format("the work takes more memory than {} allows", limit),
               memory_hint);
  return static_cast<int>(Failure::usage);
}

}  // namespace

Console::Console(const std::atomic<bool>& cancel)
    : cancel_(cancel), result_(std::make_unique<nlohmann::ordered_json>(nlohmann::ordered_json::object())) {}

Console::~Console() = default;

bool Console::result_is_empty() const {
  return result_->empty();
}

void Console::stop_if_cancelled() const {
  if (cancel_) throw Error(Failure::output, "interrupted");
}

void Console::fill_failure(int exit_status, const std::string& kind, const std::string& cause,
                           const std::string& hint) {
  result()["status"] = exit_status == interrupted_status ? "interrupted" : "error";
  result()["error"] = {{"kind", kind}, {"message", cause}, {"hint", hint}};
}

Progress progress_on(Console& console) {
  return {[&console](const std::string& phase, uint64_t done, uint64_t total) { console.progress(phase, done, total); },
          &console.cancel_flag()};
}

int report_failure(Console& console, std::exception_ptr failure) {
  if (console.cancel_flag()) {
    console.fail(interrupted_status, "interrupted", "interrupted; no output was left behind", "");
    return interrupted_status;
  }
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    if (error.failure() == Failure::internal)
      return fail_unforeseen(console, error.what(), error.hint().empty() ? report_hint : error.hint());
    console.fail(static_cast<int>(error.failure()), kind_of(error.failure()), error.what(), error.hint());
    return static_cast<int>(error.failure());
  } catch (const std::bad_alloc& failure) {
    return fail_for_memory(console, failure);
  } catch (const std::filesystem::filesystem_error& error) {
    console.fail(static_cast<int>(Failure::usage), kind_of(Failure::usage),
                 fmt::format("{} cannot be used: {}", error.path1().string(), error.code().message()),
                 "check the path: the length of its names, where its links lead, and that you may read it");
    return static_cast<int>(Failure::usage);
  } catch (const std::system_error& error) {
    // The one thing of the system's that is asked for without a name and a path: a thread.
    if (error.code() != std::errc::resource_unavailable_try_again)
      return fail_unforeseen(console, error.what(), report_hint);
    console.fail(static_cast<int>(Failure::usage), kind_of(Failure::usage), no_thread_cause(), no_thread_hint);
    return static_cast<int>(Failure::usage);
  } catch (const std::exception& error) {
    return fail_unforeseen(console, error.what(), report_hint);
  } catch (...) {
    return fail_unforeseen(console, "an exception of unknown type", report_hint);
  }
}

}  // namespace onnxport
