"""Child processes that end with us, whatever happens to us."""

import ctypes
import os
import signal
import subprocess

_libc = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_parent(how=signal.SIGKILL):
    """For preexec_fn: the kernel signals the child when the thread that started it ends."""
    _libc.prctl(PR_SET_PDEATHSIG, how)


def popen(args, **options):
    """In a session of its own, so that a Ctrl-C at the terminal is ours alone."""
    return subprocess.Popen(args, preexec_fn=die_with_parent, start_new_session=True, **options)


def cpu_seconds(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_kib(pid, which="VmRSS"):
    """VmRSS now, or VmHWM: the most it ever was."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(which + ":"):
                return int(line.split()[1])
    raise KeyError(which)


def reset_peak(pid):
    """VmHWM begins anew at what is used now."""
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as refs:
        refs.write("5")
