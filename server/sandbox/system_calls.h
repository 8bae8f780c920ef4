// Seccomp: the system calls that a worker may not make. Written with libseccomp.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "core/base/status.h"

namespace haq::server::sandbox {

// A filter that leaves a program of threads, files and Unix sockets all it needs, and refuses with
// EPERM: other sockets; new processes (threads stay allowed); looking into, or sending descriptors
// from, other processes; memory that limits do not count (shared and anonymous, memfd, System V);
// namespaces, mounts, keys, BPF, performance counters, userfaultfd, io_uring, kernel modules, the
// clock, swap, reboot. Calls of another architecture end the process.
Result<std::vector<sock_filter>> WorkerFilter();

// For the calling thread and what it starts; 0 or an errno. Async-signal-safe. Needs no_new_privs.
int PutOn(const std::vector<sock_filter>& filter);

// From now on no thread of this process can run another program: what WorkerFilter cannot say yet
// when it is put on, because the worker itself is run under it. kInternal when the kernel refuses.
Status ForbidPrograms();

}  // namespace haq::server::sandbox
