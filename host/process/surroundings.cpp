// SPDX-License-Identifier: Apache-2.0
#include "host/process/surroundings.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cfenv>
#include <clocale>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <locale>
#include <string>
#include <utility>
#include <vector>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "core/activity.hpp"
#include "host/process/interrupt.hpp"

extern char** environ;

namespace onnxport {
namespace {

constexpr int kinds_of_timers[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
constexpr decltype(RLIMIT_AS) kinds_of_limits[] = {RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_AS,
                                                   RLIMIT_DATA,   RLIMIT_STACK, RLIMIT_CPU};
constexpr int first_real_time_signal = 32;

struct OpenFile {
  int descriptor;
  dev_t device;
  ino_t number;

  bool is_there() const {
    struct stat now {};
    return ::fstat(descriptor, &now) == 0 && now.st_dev == device && now.st_ino == number;
  }
};

/// What lies at the root of all paths.
std::pair<dev_t, ino_t> root_folder() {
  struct stat root {};
  return ::stat("/", &root) == 0 ? std::pair(root.st_dev, root.st_ino) : std::pair<dev_t, ino_t>();
}

std::vector<OpenFile> open_files() {
  std::vector<OpenFile> files;
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return files;
  while (const dirent* entry = ::readdir(folder)) {
    const int descriptor = std::atoi(entry->d_name);
    struct stat status {};
    if (entry->d_name[0] == '.' || descriptor == ::dirfd(folder) || ::fstat(descriptor, &status) != 0) continue;
    files.push_back({descriptor, status.st_dev, status.st_ino});
  }
  ::closedir(folder);
  return files;
}

/// Whether no other thread runs, as those do that open back ends while a model is lowered: what they open and close,
/// and say in the environment, is no deed of a plugin.
bool is_alone() {
  constexpr nlink_t links_of_a_folder = 2;
  struct stat threads {};
  return ::stat("/proc/self/task", &threads) == 0 && threads.st_nlink == links_of_a_folder + 1;
}

std::vector<std::string> environment() {
  std::vector<std::string> all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) all.emplace_back(*entry);
  return all;
}

/// There is no way but to set another one for a moment.
mode_t mask_of_modes() {
  const mode_t mask = ::umask(077);
  ::umask(mask);
  return mask;
}

struct Surroundings {
  bool is_alone = false;
  uid_t user = 0;
  gid_t group = 0;
  std::pair<dev_t, ino_t> root;
  std::filesystem::path folder;
  mode_t mask_of_modes = 0;
  std::vector<std::string> environment;
  std::locale locale;
  std::string c_locale;
  std::fenv_t floating_point{};
  struct sigaction handlers[first_real_time_signal];
  sigset_t mask_of_signals{};
  stack_t stack_of_signals{};
  itimerval timers[std::size(kinds_of_timers)];
  rlimit limits[std::size(kinds_of_limits)];
  std::vector<OpenFile> files;
};
Surroundings* seen = nullptr;

/// Copies of the standard streams, -1 where there is none.
int streams[3] = {-1, -1, -1};

void look_around() {
  Surroundings& s = *seen;
  std::error_code ignored;
  s.user = ::geteuid();
  s.group = ::getegid();
  s.root = root_folder();
  s.folder = std::filesystem::current_path(ignored);
  s.is_alone = is_alone();
  if (s.is_alone) {
    s.mask_of_modes = mask_of_modes();
    s.environment = environment();
    s.files = open_files();
  } else {
    std::erase_if(s.files, [](const OpenFile& file) { return !file.is_there(); });
  }
  s.locale = std::locale();
  s.c_locale = std::setlocale(LC_ALL, nullptr);
  std::fegetenv(&s.floating_point);
  for (int i = 1; i < first_real_time_signal; ++i) ::sigaction(i, nullptr, &s.handlers[i]);
  ::pthread_sigmask(SIG_SETMASK, nullptr, &s.mask_of_signals);
  ::sigaltstack(nullptr, &s.stack_of_signals);
  for (size_t i = 0; i < std::size(kinds_of_timers); ++i) {
    if (::getitimer(kinds_of_timers[i], &s.timers[i]) != 0) s.timers[i] = {};
  }
  for (size_t i = 0; i < std::size(kinds_of_limits); ++i) ::getrlimit(kinds_of_limits[i], &s.limits[i]);
}

[[noreturn]] void end_for(const char* deed) {
  note_deed(deed);
  ::_exit(ended_for_a_deed);
}

void put_back_files(const Surroundings& s) {
  for (const OpenFile& file : s.files) {
    if (file.is_there()) continue;
    const int copy = file.descriptor <= STDERR_FILENO ? streams[file.descriptor] : -1;
    if (copy >= 0 && ::dup2(copy, file.descriptor) >= 0 && file.is_there()) continue;
    end_for("closed files that are not its own");
  }
}

/// Whether a process can open one file more.
void require_room_for_files() {
  const int one = ::open("/", O_RDONLY | O_CLOEXEC);
  if (one < 0 && errno == EMFILE) end_for("left no file that the process may still open");
  if (one >= 0) ::close(one);
}

void put_back() {
  const Surroundings& s = *seen;
  if (s.user != ::geteuid() || s.group != ::getegid()) end_for("took another user's rights for the process");
  if (s.root != root_folder()) end_for("put another folder in the place of the root of all paths");
  for (size_t i = 0; i < std::size(kinds_of_limits); ++i) {
    if (::setrlimit(kinds_of_limits[i], &s.limits[i]) != 0) end_for("lowered a limit of the process for good");
  }
  // What an interrupt has set since then stays.
  for (size_t i = 0; i < std::size(kinds_of_timers) && !interrupt_flag(); ++i)
    ::setitimer(kinds_of_timers[i], &s.timers[i], nullptr);
  for (int i = 1; i < first_real_time_signal; ++i) {
    if (i != SIGKILL && i != SIGSTOP) ::sigaction(i, &s.handlers[i], nullptr);
  }
  ::sigaltstack(&s.stack_of_signals, nullptr);
  ::pthread_sigmask(SIG_SETMASK, &s.mask_of_signals, nullptr);
#ifdef __linux__
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
  std::fesetenv(&s.floating_point);
  if (s.locale != std::locale()) std::locale::global(s.locale);
  if (s.c_locale != std::setlocale(LC_ALL, nullptr)) std::setlocale(LC_ALL, s.c_locale.c_str());
  if (s.is_alone && is_alone() && s.environment != environment()) {
    ::clearenv();
    for (const std::string& entry : s.environment) ::putenv(::strdup(entry.c_str()));
  }
  ::umask(s.mask_of_modes);
  std::error_code ignored;
  if (!s.folder.empty() && s.folder != std::filesystem::current_path(ignored))
    std::filesystem::current_path(s.folder, ignored);
  put_back_files(s);
  require_room_for_files();
}

}  // namespace

void keep_surroundings_of_plugins() {
  for (int i = 0; i < 3; ++i) streams[i] = ::fcntl(i, F_DUPFD_CLOEXEC, 3);
  seen = new Surroundings;
  seen->mask_of_modes = mask_of_modes();
  do_around_plugin_calls({look_around, put_back});
}

}  // namespace onnxport
