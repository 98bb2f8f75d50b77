"""Many senders, limits that are too small for them, destinations that fail at random: nothing is lost, nothing hangs."""

import os
import random
import threading
import time

import dicom
from dicom import CT, EXPLICIT, make_instance
from harness import SLOW, Case, files_under, folder, node, route
from sender import Sender

GOOD = {0x0000, 0xB000, 0x0111}
FAULTS = ["abort", "close", "reset", "early"]


class Stress(Case):
    def at_once(self, count, work):
        """Runs work(number) in threads; what one of them raises fails the test."""
        troubles = []

        def run(number):
            try:
                work(number)
            except Exception as trouble:
                troubles.append(f"{number}: {type(trouble).__name__} {trouble}")
        threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(troubles, [])

    def store_one(self, gateway, instance, **request):
        with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=20 * SLOW, **request) as sender:
            return sender.store(instance)


class Limits(Stress):
    def test_instances_gathered_at_once_in_too_little_memory_do_not_lock_each_other(self):
        """4 MiB for six of 2 MB, each of which has to be here as a whole: some fail, and that soon."""
        sink, answers, begun = self.sink(keep=False), [], threading.Barrier(6)
        gateway = self.gateway(node("a", sink), route("all", to="a", stream=False), workers=1, memory="4MiB", window="1MiB",
                               timeouts={"lag": "500ms"})

        def send(_):
            one = make_instance(2_000_000)
            with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=20 * SLOW) as sender:
                context = sender.begin(one)
                sender.data(context, one.data[:800_000])
                begun.wait(20 * SLOW)
                sender.data(context, one.data[800_000:], last=True)
                answers.append(sender.response().status)
        self.at_once(6, send)
        self.assertLessEqual(set(answers), {0x0000, 0xA700})
        self.assertEqual(answers.count(0), len(sink.messages))
        self.assertGreater(answers.count(0), 0, "there is memory for one at a time")
        self.assert_stored(self.store_one(gateway, make_instance(1000)))

    def test_an_instance_too_big_for_the_memory_goes_through_the_spool(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("all", to="a", stream=False), workers=1, memory="4MiB", window="1MiB",
                               header_max="64MiB", timeouts={"lag": "500ms"})
        one = make_instance(6_000_000)
        self.assert_stored(self.store_one(gateway, one))
        self.assertEqual([m.data for m in sink.messages], [one.data])

    def test_an_instance_too_big_for_the_memory_is_refused_without_a_spool_and_others_go_on(self):
        sink = self.sink(keep=False)
        gateway = self.gateway(node("a", sink), route("all", to="a", stream=False), workers=1, memory="4MiB", window="1MiB",
                               header_max="64MiB", timeouts={"lag": "500ms"}, spool=False)
        answer = self.store_one(gateway, make_instance(6_000_000))
        self.assert_stored(answer, 0xA700)
        self.assertIn("no memory", answer.comment)
        self.assert_stored(self.store_one(gateway, make_instance(1_000_000)))

    def test_who_waits_for_a_limited_node_does_not_lag(self):
        """The limit is ours: waiting for it is bounded by `response`, also where other destinations have all they can get."""
        slow = self.sink(keep=False, delay=1.0)
        gateway = self.gateway(node("a", slow, max_associations=1), folder("f", "$FOLDER/out/{SOPInstanceUID}.dcm"),
                               route("all", to=["a", "f"]), window="256KiB", timeouts={"lag": "300ms"})
        instances = [make_instance(1_500_000) for _ in range(3)]
        self.at_once(3, lambda k: self.assert_stored(self.store_one(gateway, instances[k])))
        self.assertEqual(len(slow.messages), 3)


class Chaos(Stress):
    """Random sizes, cuts and failures for a few seconds, over four workers and with a limit."""

    SECONDS, SENDERS = 3, 16

    def setUp(self):
        self.random = random.Random()
        self.ledger = {}  # uid -> [instance, status or None, whether its last byte was sent]

    def fault(self, *_):
        return self.random.choice(FAULTS[:3]) if self.random.random() < 0.05 else None

    def status(self, _):
        return self.random.choice([0xA700, 0xC000, 0xB000, 0x0111]) if self.random.random() < 0.1 else 0

    def vary(self, sinks, until):
        while time.monotonic() < until:
            for sink in sinks:
                sink.at_bytes = (self.random.choice([1, 65536, 300_000]), self.random.choice(FAULTS))
            time.sleep(0.03)
            for sink in sinks:
                sink.at_bytes = None
            time.sleep(0.15)

    def send_some(self, gateway, until):
        while time.monotonic() < until:
            try:
                with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=20 * SLOW) as sender:
                    for _ in range(5):
                        self.send_one(sender)
            except dicom.Ended:
                pass

    def send_one(self, sender):
        one = make_instance(self.random.choice([1000, 65_000, 66_000, self.random.randrange(1_000_000)]))
        entry = self.ledger[one.uid] = [one, None, True]
        stream = b"".join(sender.pdus(1, sender.store_command(one), one.data))
        if self.random.random() < 0.05:
            entry[2] = False
            sender.wire.send(stream[:self.random.randrange(len(stream))])
            sender.wire.reset()
            raise dicom.Closed("by us")
        sender.wire.send(stream)
        entry[1] = sender.response().status

    def test_what_is_acknowledged_is_everywhere_whole_and_what_is_cut_is_nowhere(self):
        sinks = [self.sink(at_answer=self.fault, answer=self.status) for _ in range(2)]
        gateway = self.gateway(node("a", sinks[0]), node("b", sinks[1], max_associations=2),
                               folder("f", "$FOLDER/out/{SOPInstanceUID}.dcm"), route("all", to=["a", "b", "f"]), workers=4,
                               timeouts={"lag": "500ms", "response": "3s", "linger": "200ms"})
        until = time.monotonic() + self.SECONDS
        self.at_once(self.SENDERS + 1, lambda k: self.send_some(gateway, until) if k else self.vary(sinks, until))
        complaints = gateway.stop()
        self.assertEqual(complaints, [])
        self.judge(gateway, sinks)

    def judge(self, gateway, sinks):
        files = {}
        for path in files_under(os.path.join(gateway.folder, "out")):
            self.assertTrue(path.endswith(".dcm"), "a temporary file is left behind")
            files[dicom.read_file(path).uid] = dicom.read_file(path).data
        arrived = [files] + [{m.uid: m.data for m in sink.messages} for sink in sinks]
        good = [entry for entry in self.ledger.values() if entry[1] in GOOD]
        self.assertGreater(len(good), 20, "too few pass to say anything")
        for one, status, is_whole in self.ledger.values():
            for place in arrived:
                if one.uid in place:
                    self.assertEqual(place[one.uid], one.data, "it arrived, but not byte for byte")
                    self.assertTrue(is_whole, "it was cut, and arrived as if whole")
                elif status in GOOD:
                    self.fail(f"{one.uid} was acknowledged by {status:04X} and is not everywhere")
