"""Processor time, system calls and memory of a router; processor time of the whole machine.

All of a router's processes count: those it has now, and those that it has waited for.
"""

import os
import re
import subprocess
import time
from dataclasses import dataclass

from . import machine

TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Usage:
    """Seconds. `total` is exact; its division into user and system comes from the kernel's ticks."""

    total: float = 0.0
    user: float = 0.0
    system: float = 0.0

    def since(self, before):
        total = max(0.0, self.total - before.total)
        user, system = max(0.0, self.user - before.user), max(0.0, self.system - before.system)
        share = user / (user + system) if user + system else 0.0
        return Usage(total, total * share, total * (1 - share))


def family(pid):
    """A process and all its descendants; the dead that were not waited for yet are among them."""
    found = [pid]
    for one in found:
        try:
            for thread in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{thread}/children", encoding="ascii") as f:
                    found += [int(child) for child in f.read().split()]
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def process_seconds(pid):
    """Of one process, threads that have ended included, in nanoseconds' steps: clock_getcpuclockid(3) made by hand."""
    return time.clock_gettime((~pid << 3) | 2)


def usage(pids):
    sum_ = Usage()
    for pid in [member for head in pids for member in family(head)]:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                words = f.read().rpartition(")")[2].split()
            user, system, children_user, children_system = (int(word) * TICK for word in words[11:15])
            own = process_seconds(pid)
        except (OSError, IndexError):
            continue
        sum_.total += own + children_user + children_system
        sum_.user += user + children_user
        sum_.system += system + children_system
    return sum_


def machine_seconds():
    """Seconds in which any processor did anything, stolen time included."""
    with open("/proc/stat", encoding="ascii") as f:
        ticks = [int(word) for word in f.readline().split()[1:9]]
    user, nice, system, _, _, irq, softirq, steal = ticks
    return (user + nice + system + irq + softirq + steal) * TICK


def resident_bytes(pids):
    sum_ = 0
    for pid in [member for head in pids for member in family(head)]:
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as f:
                found = re.search(r"^VmRSS:\s+(\d+) kB", f.read(), re.M)
        except OSError:
            continue
        sum_ += int(found[1]) * 1024 if found else 0
    return sum_


class Syscalls:
    """Counts the system calls of processes while it is open: `with Syscalls(pids, folder) as calls: ...; calls.count`.

    The count is None where perf is missing or may not.
    """

    def __init__(self, pids, folder):
        self.pids, self.count = pids, None
        self.out = os.path.join(folder, "perf.out")

    def __enter__(self):
        self.perf = None
        program = machine.find("perf")
        if program is None or not self.pids:
            return self
        ours, its = os.pipe()
        hers, mine = os.pipe()
        pids = ",".join(str(member) for head in self.pids for member in family(head))
        command = [program, "stat", "-x,", "-D", "-1", "--control", f"fd:{hers},{its}", "-o", self.out,
                   "-e", "raw_syscalls:sys_enter", "-p", pids]
        self.perf = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL, pass_fds=(its, hers), start_new_session=True)
        os.close(its)
        os.close(hers)
        self.control, self.answers = mine, ours
        self._say("enable")
        return self

    def _say(self, word):
        """perf answers when it has done it; it closes the pipe if it cannot start."""
        try:
            os.write(self.control, word.encode() + b"\n")
            return os.read(self.answers, 16) != b""
        except BrokenPipeError:
            return False

    def __exit__(self, *_):
        if self.perf is None:
            return
        self._say("disable")
        os.close(self.control)
        os.close(self.answers)
        if self.perf.poll() is None:
            self.perf.send_signal(2)
        self.perf.wait()
        self.count = counted(machine.text_of(self.out))


def counted(text):
    """The number in perf's report, None if it did not count."""
    found = re.search(r"^(\d+),[^,]*,raw_syscalls:sys_enter", text, re.M)
    return int(found[1]) if found else None
