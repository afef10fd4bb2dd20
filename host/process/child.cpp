// SPDX-License-Identifier: Apache-2.0
#include "host/process/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include "core/error.hpp"
#include "core/program_file.hpp"
#include "host/process/interrupt.hpp"

extern char** environ;

namespace onnxport {
namespace {

/// How long a process may take to end that was asked to.
constexpr auto patience_after_deadline = std::chrono::seconds(2);

/// A file without a name that a process writes and this one reads.
class Written {
 public:
  Written() : file_(std::tmpfile()) {
    if (file_ == nullptr) throw Error(Failure::output, fmt::format("no temporary file: {}", std::strerror(errno)));
  }
  ~Written() { std::fclose(file_); }
  Written(const Written&) = delete;
  Written& operator=(const Written&) = delete;

  int descriptor() const { return ::fileno(file_); }
  std::string text() const {
    std::string text;
    char buffer[4096];
    std::rewind(file_);
    for (size_t count; (count = std::fread(buffer, 1, sizeof buffer, file_)) > 0;) text.append(buffer, count);
    return text;
  }

 private:
  std::FILE* file_;
};

pid_t start(const std::vector<std::string>& words, const Written& out, const Written& err) {
  const std::string program = program_file().string();
  std::vector<std::string> all{program};
  all.insert(all.end(), words.begin(), words.end());
  all.emplace_back("--json");
  std::vector<char*> arguments;
  for (std::string& word : all) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out.descriptor(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.descriptor(), STDERR_FILENO);
  pid_t child = 0;
  const int failed = ::posix_spawn(&child, program.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw Error(Failure::internal, fmt::format("{} does not start: {}", program, std::strerror(failed)));
  return child;
}

}  // namespace

ChildEnd run_command_again(const std::vector<std::string>& words, std::chrono::seconds limit) {
  const Written out, err;
  const pid_t child = start(words, out, err);
  const auto deadline = std::chrono::steady_clock::now() + limit;
  ChildEnd end;
  int status = 0;
  bool asked = false;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    const auto now = std::chrono::steady_clock::now();
    if (now > deadline) end.timed_out = true;
    if ((interrupt_flag() || end.timed_out) && !asked) {
      ::kill(child, SIGTERM);  // it ends the process in which the plugin runs
      asked = true;
    }
    if (now > deadline + patience_after_deadline) ::kill(child, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  stop_if_interrupted();
  end.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  end.said = nlohmann::ordered_json::parse(out.text(), nullptr, false);
  if (end.said.is_discarded()) end.said = nullptr;
  end.errors = err.text();
  return end;
}

}  // namespace onnxport
