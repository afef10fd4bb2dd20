// SPDX-License-Identifier: Apache-2.0
#include "process.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <set>
#include <stdexcept>
#include <thread>

extern char** environ;

namespace benchmarks {
namespace {

namespace fs = std::filesystem;

long anonymous_kb(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stol(line.substr(8));
  }
  return 0;
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> list;
  for (const std::string& word : words) list.push_back(const_cast<char*>(word.c_str()));
  list.push_back(nullptr);
  return list;
}

/// What a command writes, in a file that has no name.
struct Said {
  Said() : descriptor(::memfd_create("output", MFD_CLOEXEC)) {
    if (descriptor < 0) throw std::runtime_error("no file for the output of commands");
  }
  ~Said() { ::close(descriptor); }
  Said(const Said&) = delete;
  Said& operator=(const Said&) = delete;

  std::string end() const {
    constexpr off_t most = 600;
    const off_t size = ::lseek(descriptor, 0, SEEK_END);
    std::string text(static_cast<size_t>(std::min(size, most)), ' ');
    const ssize_t count = ::pread(descriptor, text.data(), text.size(), std::max<off_t>(0, size - most));
    text.resize(static_cast<size_t>(std::max<ssize_t>(0, count)));
    return text;
  }

  const int descriptor;
};

}  // namespace

Measured run(const Command& command) {
  std::vector<std::string> environment = command.environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  const std::vector<char*> argv = pointers(command.words), envp = pointers(environment);
  const Said said;
  const auto begin = std::chrono::steady_clock::now();
  const pid_t child = ::vfork();
  if (child == 0) {
    if (command.data_limit > 0) {
      const rlimit limit{command.data_limit, command.data_limit};
      ::setrlimit(RLIMIT_DATA, &limit);
    }
    ::dup2(said.descriptor, STDOUT_FILENO);
    ::dup2(said.descriptor, STDERR_FILENO);
    ::execvpe(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  if (child < 0) throw std::runtime_error("cannot run " + command.words[0]);
  Measured measured;
  int status = 0;
  rusage usage{};
  while (::wait4(child, &status, WNOHANG, &usage) == 0) {
    measured.peak_anonymous_kb = std::max(measured.peak_anonymous_kb, anonymous_kb(child));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  measured.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  measured.peak_kb = usage.ru_maxrss;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw std::runtime_error(said.end());
  measured.said = said.end();
  return measured;
}

uint64_t bytes_below(const fs::path& path) {
  uint64_t bytes = 0;
  const auto add = [&](const fs::path& file) {
    struct stat info {};
    if (::lstat(file.c_str(), &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1)
      bytes += static_cast<uint64_t>(info.st_size);
  };
  if (!fs::is_directory(path)) {
    add(path);
    return bytes;
  }
  for (const auto& entry : fs::recursive_directory_iterator(path)) add(entry.path());
  return bytes;
}

}  // namespace benchmarks
