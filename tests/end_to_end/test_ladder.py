"""Overload, step by step: TCP backpressure, then A700, then rejection for now; and back again."""

import time

import dicom
from dicom import CT, EXPLICIT, make_instance
from harness import SLOW, Case, node, route, wait_until
from sender import Sender

SETTINGS = {"workers": 1, "memory": "4MiB", "window": "1MiB", "header_max": "4MiB", "spool": False}  # 64 buffers
CONGESTION = (2, 3, 1)


class Ladder(Case):
    def push(self, sender, context, size):
        """Goes on with an instance; whether all of it was taken."""
        sender.wire.socket.settimeout(0.3)
        try:
            for _ in range(size >> 16):
                sender.data(context, bytes(65536))
        except TimeoutError:
            return False
        finally:
            sender.wire.socket.settimeout(20 * SLOW)
        return True

    def rejection(self, gateway):
        try:
            Sender(gateway.port, [(CT, [EXPLICIT])], seconds=5 * SLOW).release()
        except dicom.Rejected as e:
            return e.result, e.source, e.reason
        return None

    def test_first_a_sender_whose_node_takes_nothing_is_read_no_further(self):
        stalled = self.sink(receive_buffer=65536, at_bytes=(100_000, "stall"))
        gateway = self.gateway(node("a", stalled), route("all", to="a"), timeouts={"drain": "100ms"}, **SETTINGS)
        sender = self.sender(gateway)
        self.assertFalse(self.push(sender, sender.begin(make_instance()), 64 << 20), "64 MiB went somewhere")
        self.assertEqual(gateway.events("destination failed"), [])
        self.assertIsNone(self.rejection(gateway))

    def crowd(self, lag):
        """Instances that have to be whole, more than there is memory for. What is for the quick node goes on."""
        good = self.sink()
        gateway = self.gateway(node("a", good), route("whole", to="a", stream=False, when={"calling": "WHOLE"}, final=True),
                               route("all", to="a"), timeouts={"lag": lag, "drain": "100ms"}, **SETTINGS)
        senders = [self.sender(gateway, calling="WHOLE") for _ in range(4)]
        standing = self.sender(gateway, calling="OTHER")
        for sender in senders:
            self.push(sender, sender.begin(make_instance()), 3 << 20)
        return gateway, standing, senders

    def test_then_what_cannot_be_held_is_answered_A700(self):
        gateway, standing, senders = self.crowd("500ms")
        wait_until(lambda: gateway.events("destination failed"), "one is given up")
        failed = gateway.events("destination failed")[0]
        self.assertEqual((failed["status"], failed["comment"]), ("A700", "a: no memory in time to hold it whole"))

    def test_then_new_associations_are_rejected_until_there_is_room(self):
        gateway, standing, senders = self.crowd("700ms")
        wait_until(lambda: self.rejection(gateway) == CONGESTION, "a rejection", 10)
        self.assert_stored(standing.store(make_instance(10_000)))
        [refused] = [e for e in gateway.events("association rejected") if e["cause"] == "memory is short"][:1]
        self.assertEqual(refused["level"], "warn")
        for sender in senders:
            sender.reset()
        wait_until(lambda: self.rejection(gateway) is None, "room again", 10)
        self.assert_stored(self.sender(gateway).store(make_instance(10_000)))

    def test_a_shortage_of_a_moment_rejects_nobody(self):
        gateway, standing, senders = self.crowd("1h")
        until = time.monotonic() + 1
        while time.monotonic() < until:
            self.assertIsNone(self.rejection(gateway))
