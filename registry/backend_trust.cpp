// SPDX-License-Identifier: Apache-2.0
#include "registry/backend_trust.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <system_error>

#include "core/error.hpp"
#include "core/on_demand.hpp"
#include "core/privileges.hpp"
#include "registry/signature.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// Variables that name a back end's folder, or the library that a back end opens in its turn.
struct CodeVariable {
  const char *name, *back_end;  // empty: all
};
constexpr CodeVariable variables[] = {{"ONNXPORT_BACKEND_PATH", ""}, {"ONNXPORT_ONNXRUNTIME", "onnxruntime"}};

struct Decisions {
  std::mutex mutex;
  std::vector<TrustDecision> made;
};

Decisions& decisions() {
  static Decisions all;
  return all;
}

void enforce(const std::optional<Refusal>& refusal) {
  if (refusal) throw Error(Failure::plugin, refusal->cause, refusal->hint);
}

/// The libraries in a folder and in its lib, or the one that is named.
std::vector<fs::path> libraries_of(const fs::path& given) {
  std::vector<fs::path> found;
  std::error_code error;
  if (!fs::is_directory(given, error)) return {given};
  for (const fs::path& place : {given, given / "lib"}) {
    for (fs::directory_iterator entry(place, error), end; !error && entry != end; entry.increment(error)) {
      if (entry->path().filename().string().find(".so") != std::string::npos) found.push_back(entry->path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

void judge(const Trust& trust, Subject subject) {
  if (trust.names_publishers()) subject.publisher = verify_publisher(subject.file).value_or("");
  enforce(trust.check(subject));
  const std::lock_guard lock(decisions().mutex);
  for (TrustDecision& decision : trust.decide(subject)) decisions().made.push_back(std::move(decision));
}

/// Throws Error(plugin) where the library may not be opened.
void check(const Trust* trust, const std::string& name, const fs::path& library) {
  std::error_code error;
  const fs::path real = fs::canonical(library, error);
  if (error) return;  // that it is not there is told by whoever opens it
  for (const fs::path& writable : {real.parent_path(), real}) enforce(check_writers(writable));
  if (trust == nullptr) return;
  judge(*trust, subject_of_back_end(name, real));
  for (const auto& [variable, back_end] : variables) {
    const auto given = name == back_end ? variable_for_code(variable) : std::nullopt;
    if (!given) continue;
    for (const fs::path& runtime : libraries_of(*given)) {
      if (fs::exists(runtime, error)) judge(*trust, subject_of_back_end(name, fs::canonical(runtime, error)));
    }
  }
}

}  // namespace

void guard_back_ends(const SearchOptions& options) {
  if (options.builtin_only || has_elevated_privileges()) {
    for (const auto& [variable, back_end] : variables) ::unsetenv(variable);
  }
  set_library_gate(
      [options](const std::string& name, const fs::path& library) { check(find_trust(options).get(), name, library); });
}

std::vector<TrustDecision> back_end_decisions() {
  const std::lock_guard lock(decisions().mutex);
  return decisions().made;
}

Subject subject_of_back_end(const std::string& name, const fs::path& library) {
  return {.what = "back end",
          .id = "org.onnxport.backend." + name,
          .folder = library.parent_path(),
          .file = library,
          .sha256 = sha256_of(library)};
}

}  // namespace onnxport
