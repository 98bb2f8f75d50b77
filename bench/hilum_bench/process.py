"""Starts programs on chosen processors, waits for what they do and not for time, and ends them by their own id."""

import os
import signal
import socket
import subprocess
import time


class Failed(Exception):
    """Something that was to be measured did not work."""


def processors():
    """(for load and sinks, for the router): two of the processors we may use; the same one if there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[1 % len(usable)]


def wait_until(condition, what, seconds=30, pause=0.005):
    """Waits for the condition's value to become true, and returns it."""
    limit = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > limit:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(pause)


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Ports:
    """Ports of a namespace that is ours alone, below those that connections get: none is given out twice."""

    def __init__(self, first=11000):
        self.next = first

    def take(self):
        self.next += 1
        return self.next


class Process:
    """A program that runs until end(). Its output goes to `log`, a path; stdout to a pipe if `talks`."""

    def __init__(self, name, command, log, cpu=None, talks=False, environment=None):
        self.name, self.log = name, log
        settings = {k: v for k, v in os.environ.items() if not k.startswith(("TCP_", "DCM"))}  # DCMTK's own settings
        with open(log, "ab") as to:
            self.popen = subprocess.Popen(
                command, stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else to, stderr=to, start_new_session=True, text=talks or None,
                env={**settings, **(environment or {})},
                preexec_fn=None if cpu is None else lambda: os.sched_setaffinity(0, {cpu}))
        self.pid = self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()[-4000:].strip()

    def wait_listening(self, *ports, seconds=30):
        def ready():
            if not self.alive():
                raise Failed(f"{self.name} ended with {self.popen.returncode}: {self.said()}")
            return all(accepts(port) for port in ports)
        wait_until(ready, f"{self.name} listens on {ports}", seconds, 0.02)

    def end(self, seconds=15):
        """SIGTERM, and SIGKILL to what does not listen; its group too, for children that it leaves behind."""
        if self.alive():
            self.popen.terminate()
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        self.popen.wait()
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe:
                pipe.close()
        return self.popen.returncode


def pin(pid, cpu):
    """Every thread of a process onto one processor (None: all of ours). Threads may end meanwhile."""
    allowed = os.sched_getaffinity(os.getpid()) if cpu is None else {cpu}
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            os.sched_setaffinity(int(thread), allowed)
        except ProcessLookupError:
            pass
