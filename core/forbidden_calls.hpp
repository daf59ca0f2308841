#pragma once

#include <array>

namespace framemill {

/// System calls that no sandboxed code of ours or of others ever needs: looking
/// into other processes, mounts and namespaces, kernel objects, the machine.
inline constexpr auto calls_nobody_needs = std::to_array<const char*>({
    "ptrace", "process_vm_readv", "process_vm_writev", "mount", "umount2", "move_mount", "fsopen",
    "pivot_root", "chroot", "unshare", "setns", "bpf", "perf_event_open", "userfaultfd", "keyctl",
    "add_key", "request_key", "init_module", "finit_module", "delete_module", "kexec_load",
    "reboot", "swapon", "swapoff", "io_uring_setup", "open_by_handle_at", "mknod", "mknodat",
});

} // namespace framemill
