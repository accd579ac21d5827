"""The names of Python's standard library that Windows or macOS lacks ("Availability" in its documentation)."""

from __future__ import annotations

UNIX_MODULES = frozenset(
    [
        "crypt",
        "curses",
        "fcntl",
        "grp",
        "nis",
        "ossaudiodev",
        "posix",
        "pty",
        "pwd",
        "readline",
        "resource",
        "spwd",
        "syslog",
        "termios",
        "tty",
    ]
)
"""The modules that Windows lacks."""

UNIX_NAMES = {
    "faulthandler": "register unregister",
    "os": """
        CLD_EXITED EX_OK F_LOCK F_ULOCK GRND_NONBLOCK O_ASYNC O_CLOEXEC O_DIRECTORY O_DSYNC O_NDELAY O_NOCTTY
        O_NOFOLLOW O_NONBLOCK O_RSYNC O_SYNC P_ALL P_PID PRIO_PROCESS RTLD_LAZY RTLD_NOW SCHED_OTHER SEEK_DATA
        SEEK_HOLE ST_RDONLY WCOREDUMP WEXITED WEXITSTATUS WIFEXITED WIFSIGNALED WIFSTOPPED WNOHANG WSTOPSIG WTERMSIG
        WUNTRACED chown chroot confstr ctermid fchdir fchmod fchown fork forkpty fpathconf fstatvfs getegid geteuid
        getgid getgrouplist getgroups getloadavg getpgid getpgrp getpriority getsid getuid initgroups killpg lchown
        lockf login_tty major makedev minor mkfifo mknod nice openpty pathconf posix_openpt posix_spawn posix_spawnp
        pread preadv ptsname pwrite pwritev readv register_at_fork sched_get_priority_max sched_yield sendfile
        setegid seteuid setgid setgroups setpgid setpriority setregid setreuid setsid setuid statvfs sync sysconf
        tcgetpgrp tcsetpgrp ttyname uname wait wait3 wait4 waitid writev
    """,
    "select": "POLLERR POLLHUP POLLIN POLLNVAL POLLOUT POLLPRI kevent kqueue poll",
    "signal": """
        ITIMER_PROF ITIMER_REAL ITIMER_VIRTUAL SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGPROF
        SIGQUIT SIGSTOP SIGSYS SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU
        SIGXFSZ SIG_BLOCK SIG_SETMASK SIG_UNBLOCK alarm getitimer pause pthread_kill pthread_sigmask setitimer
        siginterrupt sigpending sigwait
    """,
    "socket": """
        AF_UNIX CMSG_LEN CMSG_SPACE MSG_DONTWAIT MSG_EOR SCM_CREDS SCM_RIGHTS SO_REUSEPORT TCP_KEEPALIVE
        if_nametoindex recv_fds send_fds
    """,
    "time": "CLOCK_MONOTONIC CLOCK_PROCESS_CPUTIME_ID CLOCK_REALTIME clock_getres clock_gettime clock_gettime_ns tzset",
}
"""The names that Windows lacks."""

LINUX_NAMES = {
    "fcntl": "F_ADD_SEALS F_GETPIPE_SZ F_GET_SEALS F_NOTIFY F_OFD_SETLK F_SETLEASE F_SETPIPE_SZ F_SETSIG LOCK_MAND",
    "os": """
        CLONE_NEWNS EFD_CLOEXEC GRND_RANDOM MFD_CLOEXEC O_DIRECT O_LARGEFILE O_NOATIME O_PATH O_TMPFILE P_PIDFD
        POSIX_FADV_DONTNEED POSIX_FADV_NORMAL RTLD_DEEPBIND SCHED_BATCH SCHED_IDLE SPLICE_F_MOVE XATTR_CREATE
        copy_file_range eventfd eventfd_read eventfd_write fdatasync fexecve getrandom getresgid getresuid getxattr
        listxattr memfd_create pidfd_open pipe2 posix_fadvise posix_fallocate removexattr sched_getaffinity
        sched_getparam sched_getscheduler sched_param sched_rr_get_interval sched_setaffinity sched_setparam
        sched_setscheduler setns setresgid setresuid setxattr splice timerfd_create unshare
    """,
    "resource": "RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_OFILE RLIMIT_RTPRIO RLIMIT_SIGPENDING RUSAGE_THREAD prlimit",
    "select": "EPOLLERR EPOLLET EPOLLEXCLUSIVE EPOLLHUP EPOLLIN EPOLLOUT EPOLLRDHUP POLLRDHUP epoll",
    "signal": "SIGCLD SIGPOLL SIGPWR SIGRTMAX SIGRTMIN SIGSTKFLT pidfd_send_signal sigtimedwait sigwaitinfo",
    "socket": """
        AF_ALG AF_NETLINK AF_PACKET AF_VSOCK MSG_CMSG_CLOEXEC MSG_ERRQUEUE MSG_MORE MSG_NOSIGNAL SCM_CREDENTIALS
        SOCK_CLOEXEC SOCK_NONBLOCK SO_BINDTODEVICE SO_DOMAIN SO_INCOMING_CPU SO_MARK SO_PASSCRED SO_PEERCRED
        SO_PRIORITY SO_PROTOCOL TCP_CORK TCP_DEFER_ACCEPT TCP_INFO TCP_KEEPIDLE TCP_LINGER2 TCP_QUICKACK TCP_SYNCNT
        TCP_USER_TIMEOUT TCP_WINDOW_CLAMP
    """,
    "time": "CLOCK_BOOTTIME CLOCK_MONOTONIC_COARSE CLOCK_REALTIME_COARSE CLOCK_TAI pthread_getcpuclockid",
}
"""The names that macOS lacks, and Windows too."""


def lacks(system: str) -> set[tuple[str, str]]:
    """Return the names (module, name) that "windows" or "macos" lacks."""
    tables = [LINUX_NAMES, UNIX_NAMES] if system == "windows" else [LINUX_NAMES]
    return {(module, name) for table in tables for module, names in table.items() for name in names.split()}
