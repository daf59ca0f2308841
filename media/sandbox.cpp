#include "media/sandbox.hpp"

#include "core/forbidden_calls.hpp"

#include <seccomp.h>

#include <cerrno>
#include <memory>

namespace framemill {
namespace {

/// Beside what nobody needs: media work has its descriptors, and starts nothing.
constexpr const char* media_never_needs[] = {
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto",
    "execve", "execveat", "fork", "vfork", "kill", "tkill", "setuid", "setgid", "setreuid",
    "setregid", "setresuid", "setresgid",
};

result<void> deny(scmp_filter_ctx filter, const char* name) {
  auto number = seccomp_syscall_resolve_name(name);
  if (number == __NR_SCMP_ERROR)
    return {}; // not of this architecture
  if (auto n = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0); n < 0)
    return fail_errno(-n, std::string{"the system call filter: "} + name);
  return {};
}

} // namespace

result<void> give_up_rights() {
  std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter{seccomp_init(SCMP_ACT_ALLOW),
                                                          seccomp_release};
  if (!filter)
    return fail(errc::no_memory, "no memory for the system call filter");
  for (auto name : calls_nobody_needs)
    FM_CHECK(deny(filter.get(), name));
  for (auto name : media_never_needs)
    FM_CHECK(deny(filter.get(), name));
  if (auto n = seccomp_load(filter.get()); n < 0)
    return fail_errno(-n, "the kernel refuses the system call filter");
  return {};
}

} // namespace framemill
