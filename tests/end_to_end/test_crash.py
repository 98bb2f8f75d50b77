"""A short run of tests/crash (`make crash` is the long one): what was acknowledged arrives, whatever dies in between."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import unittest

CRASH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "crash")
sys.path.insert(0, CRASH)

import parts
import world
from harness import HILUM, wait_until
from leftovers import mounts_below
from media import Tmpfs, Unable

SEED = 5
world.out = sys.stderr  # stdout is the runner's


class Crash(unittest.TestCase):
    seconds = 150

    def able(self, work, *arguments):
        try:
            work(*arguments)
        except Unable as why:
            self.skipTest(str(why))

    def test_what_was_acknowledged_survives_kill_9_and_failing_destinations(self):
        parts.flow(SEED, 6, kill_every=1.2)

    def test_what_was_acknowledged_survives_a_failing_disk(self):
        parts.faults(SEED, 5, kill_every=0.6)

    def test_a_full_disk_refuses_and_recovers_without_loss(self):
        self.able(lambda: parts.full(SEED, Tmpfs("100m"), "a full tmpfs"))

    def test_what_was_acknowledged_survives_a_power_cut(self):
        self.able(lambda: parts.power(SEED, 0))

    def test_what_was_acknowledged_is_where_posix_promises_it(self):
        self.able(lambda: self.assertEqual(parts.two_cuts("posix"), ""))

    def test_a_commit_without_its_sync_is_seen_to_be_lost(self):
        """The test of the test: the last fdatasync of the first gateway is taken out."""
        self.able(lambda: self.assertIn("lost", parts.two_cuts("ext4", ("fdatasync:2+:skip", None))))


def processes_of(folder):
    """{pid: command line} of those that were given something in it."""
    out = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as f:
            if folder.encode() in (line := f.read()):
                out[int(pid)] = line.replace(b"\0", b" ").decode(errors="replace")
    return out


@unittest.skipIf(os.geteuid() != 0, "mounting needs root")
class Interrupted(unittest.TestCase):
    seconds = 90

    def test_an_interrupted_run_leaves_nothing_behind(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number.name), tempfile.TemporaryDirectory(prefix="hilum-test-") as folder:
                self.interrupt(number, folder)

    def interrupt(self, number, folder):
        run = subprocess.Popen([os.path.join(CRASH, "run"), "--seed", "1", "power"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               env={**os.environ, "TMPDIR": folder, "HILUM": HILUM}, text=True)
        try:
            wait_until(lambda: mounts_below(folder) and any(" run " in line for line in processes_of(folder).values()),
                       "a gateway on its mount", 30)
            run.send_signal(number)
            said, _ = run.communicate(timeout=60)
            self.assertEqual(run.returncode, 128 + number, said)
            self.assertEqual((mounts_below(folder), processes_of(folder), os.listdir(folder)), ([], {}, []))
        finally:
            run.kill()
            run.wait()
            for pid in processes_of(folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for path in mounts_below(folder):
                wait_until(lambda: subprocess.run(("umount", path), capture_output=True).returncode == 0, "it is unmounted")
