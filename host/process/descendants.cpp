// SPDX-License-Identifier: Apache-2.0
#include "host/process/descendants.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>
#ifdef __linux__
#include <sys/prctl.h>
#endif

namespace onnxport {
namespace {

/// The process that made this one, by the system's table; 0 where it is gone.
pid_t parent_of(const std::string& process) {
  std::ifstream file("/proc/" + process + "/stat");
  std::string text;
  std::getline(file, text);
  const size_t name_end = text.rfind(')');  // the name before it may hold anything
  char state = 0;
  pid_t parent = 0;
  if (name_end != std::string::npos) std::istringstream(text.substr(name_end + 1)) >> state >> parent;
  return parent;
}

std::vector<pid_t> children() {
  std::vector<pid_t> all;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") == std::string::npos && parent_of(name) == ::getpid())
      all.push_back(std::atoi(name.c_str()));
  }
  return all;
}

/// Whether there are any, of which none is taken off the system's table.
bool has_children() {
  siginfo_t ignored{};
  return ::waitid(P_ALL, 0, &ignored, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/// A plugin that makes processes faster than they can be ended is left to the user.
constexpr int most_rounds = 100;

pid_t owner = 0;
std::set<pid_t> inherited;

}  // namespace

void own_descendants() {
  owner = ::getpid();
  // A shell that puts this program in its place leaves it what it has begun.
  if (has_children()) {
    const std::vector<pid_t> all = children();
    inherited.insert(all.begin(), all.end());
  }
#ifdef __linux__
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
#endif
}

void end_descendants() {
  if (owner != ::getpid()) return;
  for (int round = 0; round < most_rounds && has_children(); ++round) {
    bool is_any_left = false;
    for (const pid_t child : children()) {
      if (inherited.contains(child)) continue;
      is_any_left = true;
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);  // its own are children of this one from then on
    }
    if (!is_any_left) return;
  }
}

}  // namespace onnxport
