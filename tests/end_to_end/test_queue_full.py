"""A queue that is full, by a limit of its own or of the disk, gets well by itself once what it holds is delivered."""

import os
import sys

from dicom import make_instance
from harness import free_port, node, route, wait_until
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

    def leave_nothing(self, path):
        """The file system is full to the last byte."""
        with open(os.path.join(path, "of-others"), "ab", buffering=0) as f:
            for piece in (1 << 20, 4096, 1):
                try:
                    while f.write(bytes(piece)):
                        pass
                except OSError:
                    continue
        self.assertEqual(os.statvfs(path).f_bavail, 0)

    def test_a_start_on_a_full_disk_relays_and_delivers(self):
        """By what the spool keeps for that, and more than once."""
        path, up, port = self.tmpfs("48m"), self.sink(), free_port()
        gateway = self.start(node("up", up), node("down", port), route("relay", "up", when={"calling": "T"}),
                             copy_to("copy", "down", when='{ calling = "C" }'),
                             spool={"path": path + "/spool", "reserve": "1MiB"})
        waits = [make_instance(100000) for _ in range(3)]
        sender = self.sender(gateway, calling="C")
        for one in waits:
            self.assert_stored(sender.store(one))
        relayed = []
        for end in (gateway.stop, gateway.kill, gateway.kill):
            end()
            self.leave_nothing(path)
            gateway.start()
            relayed.append(make_instance(1000))
            self.assert_stored(self.sender(gateway, calling="T").store(relayed[-1]))
            answer = self.sender(gateway, calling="C").store(make_instance(1000))
            self.assertEqual((answer.status, answer.comment), (0xA700, "queue: full"))
        self.arrived(up, relayed)
        down = self.sink(port=port)
        self.arrived(down, waits)
        os.unlink(os.path.join(path, "of-others"))
        last = make_instance(1000)
        wait_until(lambda: self.sender(gateway, calling="C").store(last).status == 0, "room again")
        self.arrived(down, waits + [last])
