"""What the preloaded library (shim.h) shall do: which allocations fail, and by how much clocks are wrong."""

import mmap
import os
import re
import struct
import subprocess
import tempfile

from harness import HILUM

LIBRARY = os.environ.get("HILUM_SHIM_LIBRARY") or os.path.join(os.path.dirname(HILUM), "tests/faults/shim.so")
MODE, COUNT, FIRST, LAST, STACK, FAILED, TRACE, WALL, MONOTONIC, STACKS = range(0, 80, 8)
LEARNT, STACKS_MAX = 128, 8192
OFF, BY_NUMBER, BY_STACK, LEARN = range(4)
FOREVER = (1 << 64) - 1


class Shim:
    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix="hilum-shim-")
        self.file.truncate(LEARNT + STACKS_MAX * 16)
        self.map = mmap.mmap(self.file.fileno(), 0)
        self.environment = {"LD_PRELOAD": LIBRARY, "HILUM_SHIM": self.file.name}
        if os.environ.get("HILUM_SANITIZE"):  # whose runtime wants to be first, and is the next after us
            self.environment["ASAN_OPTIONS"] = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))
            self.environment["LSAN_OPTIONS"] = "suppressions=" + os.path.join(os.path.dirname(os.path.abspath(__file__)), "leaks.supp")

    def close(self):
        self.map.close()
        self.file.close()

    def get(self, at, form="Q"):
        return struct.unpack_from("=" + form, self.map, at)[0]

    def set(self, at, value, form="Q"):
        struct.pack_into("=" + form, self.map, at, value)

    # ---- allocations

    def off(self):
        """Nothing fails any more. Returns (allocations, failed ones) since it was armed."""
        self.set(MODE, OFF)
        return self.get(COUNT), self.get(FAILED)

    def _arm(self, mode, first, last, stack=0):
        self.off()
        for at, value in ((COUNT, 0), (FAILED, 0), (FIRST, first), (LAST, last), (STACK, stack)):
            self.set(at, value)
        self.set(MODE, mode)

    def fail(self, first, count=1):
        """The allocations `first` to `first + count - 1` from now fail."""
        self._arm(BY_NUMBER, first, min(first + count - 1, FOREVER))

    def fail_stack(self, stack, skip=0):
        self._arm(BY_STACK, skip, 0, stack)

    def learn(self):
        self.set(STACKS, 0)
        self.map[LEARNT:] = bytes(len(self.map) - LEARNT)
        self._arm(LEARN, 0, 0)

    def learnt(self):
        """[(stack, allocations)], in the order in which they came."""
        count = min(self.get(STACKS), STACKS_MAX)
        pairs = (struct.unpack_from("=QQ", self.map, LEARNT + 16 * i) for i in range(count))
        return [(stack, number) for stack, number in pairs if stack]

    def trace(self, wanted=True):
        self.set(TRACE, int(wanted))

    # ---- clocks

    def wall(self, seconds):
        """How far CLOCK_REALTIME is ahead."""
        self.set(WALL, int(seconds * 1e9), "q")

    def monotonic(self, seconds):
        self.set(MONOTONIC, int(seconds * 1e9), "q")


def where(log):
    """The last traces of a log, with function names instead of addresses."""
    traces = re.split(r"(?=shim: no memory|shim: a crash)", log)[1:]
    lines = []
    for one in traces[-3:]:
        addresses = re.findall(re.escape(os.path.basename(HILUM)) + r"\((?:[^)]*)\+?(0x[0-9a-f]+)\)", one)
        done = subprocess.run(["addr2line", "-fsipe", HILUM, *addresses], capture_output=True, text=True, check=False)
        lines += [one.splitlines()[0], *("    " + line for line in done.stdout.splitlines()[:14])]
    return "\n".join(lines)
