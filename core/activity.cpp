// SPDX-License-Identifier: Apache-2.0
#include "core/activity.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/guarded_memory.hpp"

namespace onnxport {
namespace {

Activity* kept = nullptr;
LastPlace* kept_place = nullptr;
pid_t kept_by = 0;
AroundPluginCalls around;

template <size_t size>
void write(char (&to)[size], std::string_view text) {
  const size_t length = std::min(text.size(), size - 1);
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

}  // namespace

void keep_activity_in(Activity& shared, LastPlace& place) {
  kept = &shared;
  kept_place = &place;
  kept_by = ::getpid();
}

void do_around_plugin_calls(const AroundPluginCalls& steps) {
  around = steps;
}

void write_deed(Activity& activity, std::string_view deed) {
  write(activity.deed, deed);
}

void note_deed(std::string_view deed) {
  if (kept == nullptr) return;
  const WriteAccess access;
  write_deed(*kept, deed);
}

void end_for_deed(std::string_view deed) {
  if (kept == nullptr) return;
  note_deed(deed);
  ::_exit(ended_for_a_deed);
}

PluginCall::PluginCall(std::string_view plugin, std::string_view function) {
  if (kept == nullptr) return;
  if (kept->depth == 0) {
    kept_place->path[0] = '\0';
    if (around.before != nullptr) around.before();
  }
  const WriteAccess access;
  plugin_ = kept->plugin;
  function_ = kept->function;
  write(kept->plugin, plugin);
  write(kept->function, function);
  ++kept->number;
  depth_ = ++kept->depth;
}

PluginCall::~PluginCall() {
  if (kept == nullptr) return;
  if (::getpid() != kept_by) ::_exit(0);
  if (kept->depth != depth_) ::_exit(ended_for_a_deed);  // it took the guard off; whoever watches sees that
  if (kept->depth == 1 && around.behind != nullptr) around.behind();
  const WriteAccess access;
  --kept->depth;
  write(kept->plugin, plugin_);
  write(kept->function, function_);
}

void note_place(std::string_view module_path) {
  if (kept == nullptr) return;
  write(kept_place->path, module_path);
}

void note_library(const OpenedLibrary& library) {
  if (kept == nullptr) return;
  const WriteAccess access;
  const uint32_t count = kept->library_count;
  if (count >= Activity::most_libraries) return;
  Activity::Library& entry = kept->libraries[count];
  write(entry.plugin, library.plugin);
  write(entry.path, library.path);
  write(entry.sha256, library.sha256);
  entry.installed = library.installed;
  kept->library_count = count + 1;
}

std::string foreign_plugin() {
  std::string plugin;
  const uint32_t count = kept == nullptr ? 0 : kept->library_count.load();
  for (uint32_t i = 0; i < count; ++i) {
    if (!kept->libraries[i].installed) plugin = kept->libraries[i].plugin;
  }
  return plugin;
}

void note_temporary(const std::filesystem::path& folder, bool only_if_empty) {
  // One that is cut would be another folder.
  if (kept == nullptr || folder.native().size() >= sizeof Activity::Temporary::path) return;
  const WriteAccess access;
  for (Activity::Temporary& entry : kept->temporaries) {
    if (entry.path[0] != '\0') continue;
    entry.only_if_empty = only_if_empty;
    write(entry.path, folder.native());
    return;
  }
}

void forget_temporary(const std::filesystem::path& folder) {
  if (kept == nullptr) return;
  const WriteAccess access;
  for (Activity::Temporary& entry : kept->temporaries) {
    if (folder == entry.path) entry.path[0] = '\0';
  }
}

}  // namespace onnxport
