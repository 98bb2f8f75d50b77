"""What a process takes while it runs: memory, descriptors, threads; and what its log says, read as it grows."""

import collections
import contextlib
import glob
import os
import re
import threading
import time

WINDOW = 15  # samples
LEVEL = re.compile(r'"level":"(\w+)"')
EVENT = re.compile(r'"event":"((?:[^"\\]|\\.)*)"')


def slope(samples):
    """Of [(x, y)], by least squares: y per x."""
    n = len(samples)
    if n < 2:
        return 0.0
    mean_x, mean_y = sum(x for x, _ in samples) / n, sum(y for _, y in samples) / n
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0


def status(pid):
    """(anonymous resident KiB, resident KiB, threads)"""
    with open(f"/proc/{pid}/status") as f:
        text = f.read()
    return (*(int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1]) for name in ("RssAnon", "VmRSS")), threads(pid))


def threads(pid):
    """Those of the program: the ring's own workers are the kernel's, which ends them when it likes."""
    count = 0
    for path in glob.glob(f"/proc/{pid}/task/*/comm"):
        with contextlib.suppress(OSError), open(path) as f:
            count += not f.read().startswith("iou-")
    return count


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M)[1])


def descriptors(pid):
    """Counter of their kinds: "socket", "anon_inode:[io_uring]", "index.db"; numbers are "#"."""
    kinds, folder = collections.Counter(), f"/proc/{pid}/fd"
    for one in os.listdir(folder):
        try:
            name = os.readlink(os.path.join(folder, one))
        except FileNotFoundError:
            continue
        kinds[re.sub(r"\d+", "#", os.path.basename(name)) if name.startswith(("/", "anon")) else name.split(":", 1)[0]] += 1
    return kinds


class Memory(threading.Thread):
    """A sample a second, from its start on."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.began, self.over = pid, time.monotonic(), threading.Event()
        self.samples = []  # (minutes, anonymous KiB, resident KiB, threads)

    def run(self):
        while not self.over.wait(1):
            try:
                self.samples.append(((time.monotonic() - self.began) / 60, *status(self.pid)))
            except (OSError, TypeError):  # it has ended
                return

    def end(self):
        self.over.set()
        self.join()

    def floor(self):
        """Of the second half (minutes, anonymous KiB), the least of each quarter of a minute: what a leak raises, and a misfortune that passes does not."""
        half = [(sample[0], sample[1]) for sample in self.samples[len(self.samples) // 2:]]
        return [min(half[at:at + WINDOW], key=lambda sample: sample[1]) for at in range(0, len(half), WINDOW)]


class Log(threading.Thread):
    """Counts events, and keeps what is worse than a warning, as the file grows."""

    def __init__(self, path, reports):
        super().__init__(daemon=True)
        self.path, self.reports, self.over = path, reports, threading.Event()
        self.events, self.levels = collections.Counter(), collections.Counter()
        self.errors, self.reported = collections.deque(maxlen=2000), []
        self.rest = ""

    def run(self):
        with open(self.path, errors="replace") as f:
            while not self.over.is_set():
                self.read(f)
                self.over.wait(0.2)
            self.read(f)

    def read(self, file):
        while text := file.read(1 << 20):
            *lines, self.rest = (self.rest + text).split("\n")
            for line in lines:
                self.take(line)

    def take(self, line):
        level, event = LEVEL.search(line), EVENT.search(line)
        name = event[1] if event else ""
        self.levels[level[1] if level else "none"] += 1
        self.events[name] += 1
        if level and level[1] == "error":
            self.errors.append((name, line))
        if self.reports.search(line) and len(self.reported) < 100:
            self.reported.append(line)

    def end(self):
        self.over.set()
        self.join()
