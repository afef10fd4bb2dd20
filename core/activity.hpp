// SPDX-License-Identifier: Apache-2.0
// What this process is at, in plain memory that can be shared with a process that outlives it: whose code runs, and
// what would be left behind if it ended now. The command keeps it where its parent can read it; elsewhere nobody looks.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace onnxport {

/// Texts end with a zero and are cut where they are too long. Whoever reads them after a crash must not trust them.
struct Activity {
  struct Library {
    char plugin[160];
    char path[4096];
    char sha256[65];
    bool installed;  // with the program
  };
  struct Temporary {
    bool only_if_empty;
    char path[4096];  // empty where there is none
  };
  static constexpr size_t most_libraries = 32, most_temporaries = 16;

  std::atomic<uint32_t> depth;   ///< calls into plugins that have not returned
  std::atomic<uint64_t> number;  ///< of the call, so that two can be told apart
  char plugin[160];              ///< whose code runs, or ran last
  char function[64];             ///< which of its functions; empty while the library is loaded
  char deed[160];                ///< why the process had to end, where its exit status does not tell
  std::atomic<uint32_t> library_count;
  Library libraries[most_libraries];        ///< of plugins, in the order in which they were opened
  Temporary temporaries[most_temporaries];  ///< folders that go at the end, in the order in which they were made
};
static_assert(std::atomic<uint64_t>::is_always_lock_free, "shared between processes");

/// The module path where a plugin last added to the graph; may be empty. Apart from the rest, since it is written too
/// often to be guarded.
struct LastPlace {
  char path[512];
};

/// The exit status of a process that had to end for what a plugin did.
inline constexpr int ended_for_a_deed = 4;

/// From now on kept in these two, which are all zeros, of this process alone: a copy of it that a plugin makes ends
/// where the plugin returns. Before that nothing is kept. The activity may be guarded (guarded_memory.hpp).
void keep_activity_in(Activity& shared, LastPlace& place);

/// What is done before and behind each call into a plugin that is not within another one.
struct AroundPluginCalls {
  void (*before)() = nullptr;
  void (*behind)() = nullptr;
};
void do_around_plugin_calls(const AroundPluginCalls& steps);

/// Why the process is about to end: "closed files that are not its own".
void note_deed(std::string_view deed);
/// Ends the process for what a plugin did, where somebody watches that can tell; comes back elsewhere.
void end_for_deed(std::string_view deed);
void write_deed(Activity& activity, std::string_view deed);

/// Lives as long as a call into a plugin; calls may be nested. [host-thread]
class PluginCall {
 public:
  /// `function` is empty for the loading of the library.
  PluginCall(std::string_view plugin, std::string_view function);
  ~PluginCall();
  PluginCall(const PluginCall&) = delete;
  PluginCall& operator=(const PluginCall&) = delete;

 private:
  std::string plugin_, function_;  // of the call around this one
  uint32_t depth_ = 0;             // within this one
};

/// Where a plugin is in its definition. [host-thread]
void note_place(std::string_view module_path);

/// A plugin's library, before it is opened. [host-thread]
struct OpenedLibrary {
  std::string_view plugin, path, sha256;
  bool installed = false;
};
void note_library(const OpenedLibrary& library);
/// The last of them that was not installed with the program; empty where there is none.
std::string foreign_plugin();

/// A folder that is there only while the process runs; or, where it is made for others, only with something in it.
/// [any-thread]
void note_temporary(const std::filesystem::path& folder, bool only_if_empty = false);
void forget_temporary(const std::filesystem::path& folder);

}  // namespace onnxport
