// SPDX-License-Identifier: Apache-2.0
#include "host/process/probe.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "core/activity.hpp"
#include "core/definition/onnx_config.hpp"
#include "core/error.hpp"
#include "core/guarded_memory.hpp"
#include "host/process/descendants.hpp"
#include "host/process/ending.hpp"
#include "host/process/interrupt.hpp"
#include "host/process/shared_memory.hpp"
#include "host/process/shield.hpp"
#include "host/process/surroundings.hpp"
#include "registry/loader.hpp"

namespace onnxport {
namespace {

using Line = nlohmann::json;

constexpr auto patience_of_one = std::chrono::seconds(10);  // for one library
/// For the end of a process that has closed its pipe.
constexpr auto one_wait = std::chrono::milliseconds(5);
constexpr int most_waits = 200;

/// Where a child says what it found, and to whom.
struct Sink {
  pid_t reader;
  int descriptor;
  std::string token;  // what its lines begin with, since a library may write to any file that it finds open
};

/// Loads from `first` on, and says a line of each. Does not return.
[[noreturn]] void load_in_child(const std::vector<const Candidate*>& candidates, size_t first, const Sink& to) {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  // Nothing that a library prints belongs to the list.
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  keep_surroundings_of_plugins();
  shield(to.reader);
  for (size_t i = first; i < candidates.size(); ++i) {
    Line line = Line::object();
    try {
      load(*candidates[i], plugin_host());
    } catch (const Error& error) {
      line = {{"reason", error.what()}, {"hint", error.hint()}};
    }
    // At the begin of a line, whatever a library has written there.
    const std::string text = "\n" + to.token + line.dump(-1, ' ', true, Line::error_handler_t::replace) + "\n";
    if (::write(to.descriptor, text.data(), text.size()) != static_cast<ssize_t>(text.size())) ::_exit(1);
  }
  ::_exit(0);
}

/// A child that loads, and what it says.
class Prober {
 public:
  Prober(const std::vector<const Candidate*>& candidates, size_t first)
      : activity_(make_shared_object<Activity>()), place_(make_shared_object<LastPlace>()) {
    int ends[2] = {-1, -1};
    if (activity_ == nullptr || place_ == nullptr || ::pipe2(ends, O_CLOEXEC) != 0) throw failed();
    const pid_t reader = ::getpid();
    child_ = ::fork();
    if (child_ == 0) {
      ::close(ends[0]);
      keep_activity_in(*activity_, *place_);
      guard_memory(activity_, sizeof *activity_);
      load_in_child(candidates, first, {reader, ends[1], token_});
    }
    ::close(ends[1]);
    from_ = ends[0];
    if (child_ < 0) throw failed();
  }
  ~Prober() {
    ::close(from_);
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    end_descendants();
  }
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  /// The next line; nullopt where the child has ended or does not go on.
  std::optional<std::string> next() {
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + patience_of_one;  // whatever is written meanwhile
    for (;;) {
      if (const size_t end = text_.find('\n'); end != std::string::npos) {
        const std::string line = text_.substr(0, end);
        text_.erase(0, end + 1);
        if (line.starts_with(token_)) return line.substr(token_.size());
        continue;
      }
      pollfd polled{from_, POLLIN, 0};
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
      const int ready = left.count() > 0 ? ::poll(&polled, 1, static_cast<int>(left.count())) : 0;
      stop_if_interrupted();
      if (ready < 0 && errno == EINTR) continue;
      char buffer[4096];
      const ssize_t count = ready > 0 ? ::read(from_, buffer, sizeof buffer) : 0;
      timed_out_ = ready == 0;
      if (count <= 0) return std::nullopt;
      text_.append(buffer, static_cast<size_t>(count));
    }
  }

  /// How it ended, after next() gave nothing.
  LoadFailure failure() {
    if (timed_out_) {
      return {fmt::format("its library does not come back within {} s while it is loaded", patience_of_one.count()),
              "tell the plugin's author"};
    }
    const int status = end_of_child();
    child_ = -1;
    end_descendants();
    const Ending ending = ending_of(status, *activity_, *place_);
    return {ending.cause, "tell the plugin's author, with this message"};
  }

 private:
  /// The status of the child, which has nothing more to say. One that goes on all the same is ended: its library has
  /// closed what was not its own, or put another program in its place.
  int end_of_child() {
    int status = 0;
    for (int waited = 0; ::waitpid(child_, &status, WNOHANG) == 0; ++waited) {
      if (waited == most_waits) {
        write_deed(*activity_, "cut its process off from its watcher");
        ::kill(child_, SIGKILL);
      }
      std::this_thread::sleep_for(one_wait);
    }
    return status;
  }

  static Error failed() {
    return {Failure::output, fmt::format("no process can be made: {}", std::strerror(errno)),
            "end some others, or raise the limits of this user"};
  }

  Activity* activity_;
  LastPlace* place_;
  const std::string token_ = fmt::format("{:x}-{:x} ", std::random_device()(), std::random_device()());
  pid_t child_ = -1;
  int from_ = -1;
  bool timed_out_ = false;
  std::string text_;
};

}  // namespace

std::vector<std::optional<LoadFailure>> probe(const std::vector<const Candidate*>& candidates) {
  std::vector<std::optional<LoadFailure>> found;
  while (found.size() < candidates.size()) {
    Prober prober(candidates, found.size());
    std::optional<std::string> line;
    while (found.size() < candidates.size() && (line = prober.next())) {
      const Line told = Line::parse(*line);
      found.push_back(told.empty() ? std::nullopt : std::optional(LoadFailure{told.at("reason"), told.at("hint")}));
    }
    if (found.size() < candidates.size()) found.push_back(prober.failure());
  }
  return found;
}

}  // namespace onnxport
