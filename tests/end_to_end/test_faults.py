"""A short run of tests/faults (`make faults` is the long one): what a gateway stands on fails, one thing after the other."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "faults"))

import clocks
import memory
from harness import SANITIZED

THREAD = "thread" in os.environ.get("HILUM_SANITIZE", "")


@unittest.skipIf(THREAD, "ThreadSanitizer's allocator is not called by others")
class Memory(unittest.TestCase):
    """Success is never said of what does not arrive; the next association is served; under a sanitizer nothing is lost."""
    seconds = 120

    def setUp(self):
        self.report = memory.Report(sys.stderr)  # stdout is the runner's

    def tearDown(self):
        self.assertEqual(self.report.troubles, [])
        self.assertGreater(self.report.failed, 10)

    def test_each_allocation_of_what_is_passed_on_fails_once(self):
        with memory.Sweep(self.report) as sweep:
            for name in ("relay", "relay_large", "fan", "morph", "map", "folder", "gather", "get", "move", "mpps"):
                sweep.numbers(name)

    def test_several_allocations_in_a_row_fail(self):
        with memory.Sweep(self.report) as sweep:
            for name in ("relay_large", "fan", "morph", "folder", "get", "move"):
                sweep.numbers(name, 3)
                sweep.numbers(name, 40)

    def test_allocations_of_the_queue_and_of_queries_fail(self):
        with memory.Sweep(self.report) as sweep:
            for name in ("copy", "both", "queue", "find", "commitment", "reload"):
                sweep.some(name, 5)

    def test_a_start_without_memory_says_so_or_succeeds(self):
        memory.starts(self.report, [*range(1, 40, 4 if SANITIZED else 1), *range(40, 2500, 173)])


@unittest.skipIf(SANITIZED, "clocks are set by a library that stands before the sanitizer's own")
class Clocks(unittest.TestCase):
    def test_what_is_queued_survives_a_clock_that_is_set(self):
        for jump in clocks.JUMPS:
            with self.subTest(jump=jump):
                clocks.wall(jump)

    def test_a_machine_that_was_suspended_goes_on(self):
        for jump in clocks.AHEAD:
            with self.subTest(jump=jump):
                clocks.monotonic(jump)

    def test_what_expires_goes_by_the_clock_as_it_stands(self):
        clocks.expiry()
