"""A queue that is full, by a limit of its own or of the disk, gets well by itself once what it holds is delivered."""

import os
import sys

from dicom import make_instance
from harness import free_port, node, wait_until
from test_queue import Queued, copy_to

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "crash"))

from media import Tmpfs, Unable


class Full(Queued):
    def tmpfs(self, size):
        """The path of an empty one."""
        try:
            return self.enterContext(Tmpfs(size)).path
        except Unable as why:
            self.skipTest(str(why))

    def fill(self, sender, size, at_least):
        """What it takes until it is full."""
        taken = []
        for _ in range(400):
            one = make_instance(size)
            answer = sender.store(one)
            if answer.status:
                self.assertEqual((answer.status & 0xFF00, answer.comment), (0xA700, "queue: full"))
                self.assertGreaterEqual(len(taken), at_least)
                return taken
            taken.append(one)
        self.fail("it took more than there is room for")

    def recovers(self, spool, size, at_least):
        """As much again, each time, and nothing is left behind."""
        port = free_port()
        gateway = self.start(node("a", port), copy_to("all", "a"), spool=spool)
        sender = self.sender(gateway)
        taken = self.fill(sender, size, at_least)
        sink = self.sink(port=port)
        self.arrived(sink, taken)
        for _ in range(3):
            more = [make_instance(size) for _ in range(at_least)]
            for one in more:
                wait_until(lambda one=one: sender.store(one).status == 0, "room again", 5)
            taken += more
            self.arrived(sink, taken)

    def test_the_smallest_queue_recovers(self):
        self.recovers({"path": "$FOLDER/spool", "max_bytes": "1MiB"}, 50000, 15)

    def test_a_queue_with_less_room_than_a_segment_recovers(self):
        self.recovers({"path": self.tmpfs("48m") + "/spool", "reserve": "1MiB"}, 500000, 40)
