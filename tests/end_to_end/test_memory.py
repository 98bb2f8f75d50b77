"""Memory for a few, and many who want it: everybody gets on, whatever the destinations do."""

import threading
import time

from dicom import CT, EXPLICIT, make_instance
from harness import SANITIZED, SLOW, Case, folder, node, route, wait_until
from sender import Sender

SETTINGS = {"workers": 1, "memory": "4MiB", "window": "1MiB"}  # 64 buffers, a quarter of which wait in the ring
SECONDS = 15 * SLOW  # far less than the minute after which `progress` would sort things out


class Memory(Case):
    def store_side_by_side(self, gateway, count, rounds, size=1 << 20, piece=None):
        """Each of `count` senders stores `rounds` instances over one association. Raises what one of them raises."""
        troubles, start = [], threading.Barrier(count)

        def run(number):
            try:
                with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=SECONDS) as sender:
                    start.wait(SECONDS)
                    for _ in range(rounds):
                        self.assert_stored(self.store(sender, make_instance(size, seed=number + 1), piece))
            except Exception as trouble:
                troubles.append(f"{number}: {type(trouble).__name__} {trouble}")
        threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(troubles, [])

    def store(self, sender, one, piece):
        """In pieces, so that all senders are in mid-instance at once."""
        context, piece = sender.begin(one), piece or len(one.data)
        for at in range(0, len(one.data), piece):
            sender.data(context, one.data[at:at + piece], last=at + piece >= len(one.data))
        return sender.response()

    def stall(self, gateway, count):
        """Senders whose destination takes nothing: each holds all that its window allows."""
        for _ in range(count):
            victim = self.sender(gateway, calling="VICTIM")
            context = victim.begin(make_instance())
            victim.wire.socket.settimeout(0.2)
            try:
                for _ in range(64):
                    victim.data(context, bytes(1 << 20))
            except TimeoutError:
                pass

    def two(self, good, stalled=None):
        stalled = stalled or self.sink(receive_buffer=65536, at_bytes=(100_000, "stall"))
        return self.gateway(node("stalled", stalled), node("good", good),
                            route("1", to="stalled", when={"calling": "VICTIM"}, final=True), route("2", to="good"),
                            **SETTINGS)

    def test_twenty_senders_of_an_instance_each_share_memory_for_four(self):
        good = self.sink(keep=False)
        self.store_side_by_side(self.two(good), 20, 3, piece=50_000)
        self.assertEqual(len(good.messages), 60)

    def test_a_stalled_destination_leaves_enough_for_twenty_others(self):
        good = self.sink(keep=False)
        gateway = self.two(good)
        self.stall(gateway, 8)
        self.store_side_by_side(gateway, 20, 2)
        self.store_side_by_side(gateway, 20, 2, piece=10_000)
        self.assertEqual(len(good.messages), 80)

    def test_what_is_kept_for_a_second_try_is_given_up_for_others(self):
        """A node that answers late, on associations that are used again: there each instance is kept until the answer."""
        good = self.sink(keep=False, delay=0.1)
        gateway = self.two(good)
        self.store_side_by_side(gateway, 20, 4, size=900_000, piece=20_000)
        self.assertEqual(len(good.messages), 80)

    def test_senders_that_pause_in_mid_instance_pin_nothing(self):
        good = self.sink(keep=False)
        gateway = self.two(good)
        paused = [self.sender(gateway) for _ in range(80)]
        for sender in paused:
            sender.data(sender.begin(make_instance()), bytes(100_000))
        wait_until(lambda: good.arrived() > 80 * 90_000, "what is here leaves", SECONDS)
        self.store_side_by_side(gateway, 4, 2)

    def test_senders_that_pause_before_64_KiB_pin_nothing(self):
        """Otherwise smaller messages are whole before they leave."""
        good = self.sink(keep=False)
        gateway = self.two(good)
        paused = [self.sender(gateway) for _ in range(80)]
        for sender in paused:
            sender.data(sender.begin(make_instance()), bytes(40_000))
        self.store_side_by_side(gateway, 4, 2)

    def test_a_folder_and_a_node_side_by_side(self):
        good = self.sink(keep=False)
        gateway = self.gateway(node("good", good), folder("f", "$FOLDER/out/{SOPInstanceUID}.dcm"),
                               route("all", to=["good", "f"]), **SETTINGS)
        self.store_side_by_side(gateway, 20, 2, piece=50_000)
        self.assertEqual(len(good.messages), 40)


class Bounds(Case):
    def test_a_stalled_destination_makes_its_sender_hold_its_window_and_no_more(self):
        """What 20 senders push into a node that takes nothing: resident memory grows by their windows."""
        stalled = self.sink(receive_buffer=65536, at_bytes=(100_000, "stall"))
        gateway = self.gateway(node("stalled", stalled), route("all", to="stalled"), workers=1, window="512KiB")
        senders = [self.sender(gateway) for _ in range(20)]
        before = gateway.memory("VmRSS")
        for sender in senders:
            context = sender.begin(make_instance())
            sender.wire.socket.settimeout(0.1)
            try:
                for _ in range(64):
                    sender.data(context, bytes(1 << 20))
            except TimeoutError:
                pass
        time.sleep(0.2)
        grown = gateway.memory() - before
        self.assertGreater(grown, 20 * (256 << 10), "they do hold something")
        if not SANITIZED:
            self.assertLess(grown, 20 * (512 << 10) + (4 << 20), "20 windows, and what the ring holds")
