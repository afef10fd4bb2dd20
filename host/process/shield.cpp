// SPDX-License-Identifier: Apache-2.0
#include "host/process/shield.hpp"

#ifdef __linux__
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <vector>
#endif

namespace onnxport {

#ifdef __linux__
namespace {

/// A call of the system, and which of its arguments says the process that it is about.
struct Reaching {
  uint32_t call, argument;
  bool also_groups;  // it takes 0 and negative numbers as groups of processes
};
constexpr Reaching reaching[] = {{SYS_kill, 0, true},
                                 {SYS_tkill, 0, false},
                                 {SYS_tgkill, 0, false},
                                 {SYS_rt_sigqueueinfo, 0, false},
                                 {SYS_rt_tgsigqueueinfo, 0, false},
                                 {SYS_pidfd_open, 0, false},
                                 {SYS_prlimit64, 0, false},
                                 {SYS_process_vm_writev, 0, false},
                                 {SYS_ptrace, 1, false}};

uint32_t offset_of_argument(uint32_t argument) {
  // The low half: a process's number is an int.
  constexpr uint32_t half = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0;
  return static_cast<uint32_t>(offsetof(seccomp_data, args)) + 8 * argument + half;
}

sock_filter load(size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset));
}

/// Goes on with the next step where the loaded number passes, and passes over `skipped` steps otherwise.
sock_filter unless_equal(uint32_t number, uint8_t skipped) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, skipped);
}

std::vector<sock_filter> filter_for(pid_t watcher) {
  constexpr uint32_t highest_process = 0x7fffffff;
  const sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const sock_filter end = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
  std::vector<sock_filter> steps{load(offsetof(seccomp_data, nr))};
  for (const Reaching& one : reaching) {
    std::vector<sock_filter> judged{load(offset_of_argument(one.argument)),
                                    unless_equal(static_cast<uint32_t>(watcher), 1), end};
    if (one.also_groups) {
      judged.insert(judged.end(), {unless_equal(0, 1), end});
      judged.insert(judged.end(), {BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, highest_process, 0, 1), end});
    }
    judged.push_back(allow);
    steps.push_back(unless_equal(one.call, static_cast<uint8_t>(judged.size())));
    steps.insert(steps.end(), judged.begin(), judged.end());
  }
  steps.push_back(allow);
  return steps;
}

/// What the system's header may not have yet: landlock_ruleset_attr of version 6.
struct LandlockRules {
  uint64_t files = 0, net = 0, scopes = 0;
};

/// A process with rules of Landlock, whatever they forbid, may not reach into one that is without them: not by
/// /proc/PID/mem either, which no filter of calls can tell from other files. Nothing about files is forbidden here,
/// since a process with such rules could not rename from folder to folder.
void shut_out_of_other_processes() {
#ifdef SYS_landlock_create_ruleset
  constexpr uint64_t bind_tcp = 1, signals = 2;
  constexpr uint32_t asks_version = 1;
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, size_t{0}, asks_version);
  LandlockRules rules;
  size_t size = 0;
  if (version >= 6) {
    rules.scopes = signals;
    size = sizeof rules;
  } else if (version >= 4) {
    rules.net = bind_tcp;
    size = offsetof(LandlockRules, scopes);
  } else {
    return;
  }
  const int ruleset = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, size, 0U));
  if (ruleset < 0) return;
  ::syscall(SYS_landlock_restrict_self, ruleset, 0U);
  ::close(ruleset);
#endif
}

}  // namespace

void shield(pid_t watcher) {
  std::vector<sock_filter> steps = filter_for(watcher);
  const sock_fprog program{static_cast<unsigned short>(steps.size()), steps.data()};
  // Without it only the superuser may set a filter.
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return;
  shut_out_of_other_processes();
  ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
#else
void shield(pid_t) {}
#endif

}  // namespace onnxport
