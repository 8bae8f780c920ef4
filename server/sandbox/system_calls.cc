#include "server/sandbox/system_calls.h"

#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "server/store/descriptor.h"

namespace haq::server::sandbox {
namespace {

using Context = std::unique_ptr<void, decltype(&seccomp_release)>;

constexpr int kRefused[] = {
    // processes and looking into them; threads come from clone, see below
    SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise), SCMP_SYS(kcmp), SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_getfd), SCMP_SYS(pidfd_send_signal),
    // namespaces and mounts
    SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root),
    SCMP_SYS(chroot), SCMP_SYS(open_tree), SCMP_SYS(move_mount), SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fspick), SCMP_SYS(mount_setattr),
    SCMP_SYS(open_by_handle_at), SCMP_SYS(name_to_handle_at), SCMP_SYS(quotactl),
    SCMP_SYS(quotactl_fd), SCMP_SYS(fanotify_init),
    // parts of the kernel with a history of holes, and no use here
    SCMP_SYS(bpf), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key),
    SCMP_SYS(userfaultfd), SCMP_SYS(perf_event_open), SCMP_SYS(lookup_dcookie), SCMP_SYS(syslog),
    SCMP_SYS(vmsplice),
    // memory that RLIMIT_DATA does not count
    SCMP_SYS(memfd_create), SCMP_SYS(memfd_secret), SCMP_SYS(shmget), SCMP_SYS(shmat),
    SCMP_SYS(mq_open), SCMP_SYS(msgget),
    // the machine
    SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(init_module), SCMP_SYS(finit_module),
    SCMP_SYS(delete_module), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(acct),
    SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex),
    SCMP_SYS(sethostname), SCMP_SYS(setdomainname), SCMP_SYS(iopl), SCMP_SYS(ioperm),
    SCMP_SYS(vhangup), SCMP_SYS(personality)};

// Callers fall back to what they did before these existed.
constexpr int kUnknown[] = {SCMP_SYS(clone3), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
                            SCMP_SYS(io_uring_register)};

Result<Context> NewFilter() {
  Context context(seccomp_init(SCMP_ACT_ALLOW), &seccomp_release);
  if (!context) return InternalError("libseccomp knows no filters for this machine");
  return context;
}

template <typename... Conditions>
int Add(const Context& context, int error, int call, Conditions... conditions) {
  // Negative numbers stand for calls that this architecture does not have.
  if (call < 0) return 0;
  return seccomp_rule_add(context.get(), SCMP_ACT_ERRNO(error), call, sizeof...(conditions),
                          conditions...);
}

int AddRules(const Context& context) {
  int failed = 0;
  for (const int call : kRefused) failed |= Add(context, EPERM, call);
  for (const int call : kUnknown) failed |= Add(context, ENOSYS, call);
  failed |= Add(context, EPERM, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_NE, AF_UNIX));
  failed |= Add(context, EPERM, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
  constexpr scmp_datum_t kSharedAnonymous = MAP_SHARED | MAP_ANONYMOUS;
  failed |= Add(context, EPERM, SCMP_SYS(mmap),
                SCMP_A3(SCMP_CMP_MASKED_EQ, kSharedAnonymous, kSharedAnonymous));
  return failed;
}

// libseccomp writes programs to files only.
Result<std::vector<sock_filter>> Export(const Context& context) {
  const store::Descriptor file(::memfd_create("haq-seccomp", MFD_CLOEXEC));
  if (!file.valid() || seccomp_export_bpf(context.get(), file.get()) != 0) {
    return InternalError("cannot write the seccomp filter: {}", std::strerror(errno));
  }
  HAQ_ASSIGN_OR_RETURN(const int64_t size, store::FileSize(file, "seccomp filter"));
  std::vector<sock_filter> program(size / sizeof(sock_filter));
  HAQ_RETURN_IF_ERROR(
      store::ReadAt(file, "seccomp filter", 0,
                    {reinterpret_cast<uint8_t*>(program.data()), static_cast<size_t>(size)})
          .status());
  return program;
}

}  // namespace

Result<std::vector<sock_filter>> WorkerFilter() {
  HAQ_ASSIGN_OR_RETURN(const Context context, NewFilter());
  if (AddRules(context) != 0) return InternalError("libseccomp did not take the worker's rules");
  return Export(context);
}

int PutOn(const std::vector<sock_filter>& filter) {
  const sock_fprog program{static_cast<unsigned short>(filter.size()),
                           const_cast<sock_filter*>(filter.data())};
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0 ? 0 : errno;
}

Status ForbidPrograms() {
  HAQ_ASSIGN_OR_RETURN(const Context context, NewFilter());
  int failed = Add(context, EPERM, SCMP_SYS(execve));
  failed |= Add(context, EPERM, SCMP_SYS(execveat));
  // Libraries started threads before main.
  failed |= seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_TSYNC, 1);
  if (failed == 0) failed = seccomp_load(context.get());
  if (failed != 0) {
    return InternalError("cannot forbid other programs: {}", std::strerror(-failed));
  }
  return {};
}

}  // namespace haq::server::sandbox
