#include "media/sandbox.hpp"

#include <seccomp.h>

#include <cerrno>
#include <memory>

namespace framemill {
namespace {

constexpr const char* denied[] = {
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto",
    "execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev",
    "kill", "tkill", "mount", "umount2", "move_mount", "fsopen", "pivot_root", "chroot",
    "unshare", "setns", "bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key",
    "request_key", "init_module", "finit_module", "delete_module", "kexec_load", "reboot",
    "swapon", "swapoff", "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid",
    "io_uring_setup", "open_by_handle_at", "mknod", "mknodat",
};

} // namespace

result<void> give_up_rights() {
  std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter{seccomp_init(SCMP_ACT_ALLOW),
                                                          seccomp_release};
  if (!filter)
    return fail(errc::no_memory, "no memory for the system call filter");
  for (auto name : denied) {
    auto number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR)
      continue; // not of this architecture
    if (auto n = seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), number, 0); n < 0)
      return fail_errno(-n, std::string{"the system call filter: "} + name);
  }
  if (auto n = seccomp_load(filter.get()); n < 0)
    return fail_errno(-n, "the kernel refuses the system call filter");
  return {};
}

} // namespace framemill
