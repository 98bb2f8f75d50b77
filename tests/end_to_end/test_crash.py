"""A short run of tests/crash (`make crash` is the long one): what was acknowledged arrives, whatever dies in between."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "crash"))

import parts
import world
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
