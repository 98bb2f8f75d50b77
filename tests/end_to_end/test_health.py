"""Circuits and probes: a node that is away costs one trial at a time, and is found to be back without a patient's data."""

import signal
import socket
import threading
import time

from dicom import CT, make_instance
from harness import Case, free_port, node, route, wait_until

VERIFICATION = "1.2.840.10008.1.1"
MINUTES = {"first": "10m", "most": "10m"}


class Doorkeeper:
    """Counts who connects, and hangs up at once: nobody's association ever stands."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.visits = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.visits.append(time.monotonic())
            connection.close()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)


class Health(Case):
    def doorkeeper(self):
        keeper = Doorkeeper()
        self.addCleanup(keeper.stop)
        return keeper

    def queueing(self, peer, to="a", settings=None, **keys):
        return self.gateway(node("a", peer, **keys), route("all", to=to, on_failure="queue"), **(settings or {}))

    def away(self, gateway, count=1):
        return wait_until(lambda: len(gateway.events("node is away")) >= count and gateway.events("node is away"),
                          f"{count} times away")

    def back(self, gateway, count=1):
        return wait_until(lambda: len(gateway.events("node is back")) >= count and gateway.events("node is back"),
                          f"{count} times back", 20)


class Circuit(Health):
    def test_the_first_failure_to_connect_opens_it_and_the_rest_are_queued_at_once(self):
        keeper = self.doorkeeper()
        gateway = self.queueing(keeper, retry=MINUTES)
        senders = [self.sender(gateway) for _ in range(4)]
        for sender in senders:
            for _ in range(5):
                self.assert_stored(sender.store(make_instance(5000)))
        events = self.away(gateway)
        self.assertEqual(len(events), 1, events)
        self.assertIn("cause", events[0])
        # The one that opened it, and those that were under way by then: the first association of each sender asks side by side.
        self.assertLessEqual(len(keeper.visits), 4)

    def test_after_the_pause_one_trial_at_a_time_over_all_workers(self):
        keeper = self.doorkeeper()
        gateway = self.queueing(keeper, retry={"first": "600ms", "most": "600ms"}, deliveries=1, settings={"workers": 4})
        senders = [self.sender(gateway) for _ in range(8)]
        self.assert_stored(senders[0].store(make_instance(5000)))
        self.away(gateway)
        begin, before = time.monotonic(), len(keeper.visits)
        stop = begin + 3
        while time.monotonic() < stop:
            for sender in senders:
                self.assert_stored(sender.store(make_instance(2000)))
            time.sleep(0.01)
        visits = len(keeper.visits) - before
        pauses = (time.monotonic() - begin) / 0.6
        self.assertGreater(visits, 0, "nobody ever tried")
        # A trial a pause, of messages, and a try of who delivers from the queue, which has its own pauses.
        self.assertLessEqual(visits, 2 * pauses + 2)
        self.assertEqual(len(gateway.events("node is away")), 1)

    def test_it_closes_when_the_node_is_back(self):
        port = free_port()
        gateway = self.queueing(port, retry={"first": "200ms", "most": "200ms"})
        sender = self.sender(gateway)
        sent = [make_instance(5000) for _ in range(5)]
        for one in sent:
            self.assert_stored(sender.store(one))
        self.away(gateway)
        sink = self.sink(port=port)
        event = self.back(gateway)[0]
        self.assertGreaterEqual(event["away_ms"], 0)
        wait_until(lambda: set(sink.uids) >= {one.uid for one in sent}, "what was queued")
        one = make_instance(5000)
        self.assert_stored(sender.store(one))
        self.assertIn(one.uid, sink.uids, "it was there, and the message was queued all the same")

    def test_trouble_opens_it_the_third_time(self):
        sink = self.sink(answer=(0xA700, "full"))
        gateway = self.queueing(sink, retry=MINUTES)
        sender = self.sender(gateway)
        for _ in range(12):
            self.assert_stored(sender.store(make_instance(3000)))
        self.away(gateway)
        # Delivery from the queue has tried as well, three times before it pauses, and counts like the others.
        self.assertLessEqual(len(sink.messages), 6)
        self.assertGreaterEqual(len(sink.messages), 3)

    def test_a_status_without_a_word_is_a_cause_all_the_same(self):
        gateway = self.queueing(self.sink(answer=0xA700), retry=MINUTES)
        sender = self.sender(gateway)
        for _ in range(6):
            self.assert_stored(sender.store(make_instance(3000)))
        self.assertEqual({e["cause"] for e in self.away(gateway)}, {"refused: out of resources"})
        waits = wait_until(lambda: gateway.events("delivery to a node waits"), "the queue waits")
        self.assertIn(waits[0]["cause"], ("refused: out of resources", "a: known to be away"))

    def test_a_refusal_shows_that_it_is_there(self):
        sink = self.sink(answer=0xC001)
        gateway = self.queueing(sink, retry=MINUTES)
        sender = self.sender(gateway)
        for _ in range(6):
            self.assertEqual(sender.store(make_instance(3000)).status, 0xC001)
        self.assertEqual(len(sink.messages), 6)
        self.assertEqual(gateway.events("node is away"), [])

    def test_a_transient_rejection_is_not_away(self):
        """Full at first: back off, and try again, within the same message."""
        sink = self.sink(reject=lambda number: (2, 3, 2) if number < 4 else None)
        gateway = self.queueing(sink, retry=MINUTES)
        sender = self.sender(gateway)
        for _ in range(3):
            self.assert_stored(sender.store(make_instance(3000)))
        self.assertEqual(len(sink.messages), 3)
        self.assertEqual(gateway.events("node is away"), [])

    def test_a_reload_keeps_what_is_known(self):
        keeper = self.doorkeeper()
        gateway = self.queueing(keeper, retry=MINUTES, deliveries=1)
        self.assert_stored(self.sender(gateway).store(make_instance(3000)))
        self.away(gateway)
        wait_until(lambda: gateway.events("delivery from the queue"), "the queue's own try")
        visits = len(keeper.visits)
        gateway.write(node("renamed", keeper, ae_title="A", retry=MINUTES, deliveries=1),
                      route("all", to="renamed", on_failure="queue"))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reloaded"), "the reload")
        sender = self.sender(gateway)
        for _ in range(3):
            self.assert_stored(sender.store(make_instance(3000)))
        # The new name's queue is delivered from, and tries once; no message does.
        self.assertLessEqual(len(keeper.visits) - visits, 1)


class Probes(Health):
    def test_they_come_at_the_interval(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink, health="400ms"), route("all", to="a"))
        begin = time.monotonic()
        wait_until(lambda: len(sink.echoes) >= 6, "six probes", 20)
        took = time.monotonic() - begin
        self.assertGreater(took, 5 * 0.4 * 7 / 8 - 0.5)  # the first is due at once
        self.assertEqual(sink.most_open, 1, "a probe while one was under way")
        self.assertTrue(all(len(a.request.contexts) == 1 and a.request.contexts[0].abstract == VERIFICATION
                            for a in sink.associations))
        wait_until(lambda: all(a.ended == "release" for a in sink.associations[:5]), "their release")
        self.assertEqual(gateway.events("node is away"), [])
        self.assertEqual([e for e in gateway.events() if e["level"] in ("warn", "error") and "running as root" not in e["event"]], [])

    def test_one_worker_probes_a_node(self):
        sinks = [self.sink() for _ in range(3)]
        self.gateway(*(node(f"n{i}", s, health="1s") for i, s in enumerate(sinks)), route("all", to="n0"), workers=4)
        wait_until(lambda: all(len(s.echoes) >= 3 for s in sinks), "three probes of each", 20)
        for sink in sinks:
            gaps = [b.opened_at - a.opened_at for a, b in zip(sink.associations, sink.associations[1:])]
            self.assertGreater(min(gaps), 0.8, gaps)

    def test_they_find_out_before_any_data(self):
        port = free_port()
        gateway = self.queueing(port, health="300ms", retry=MINUTES)
        self.away(gateway)
        self.assertEqual(len(gateway.events("node is away")), 1)
        sink = self.sink(port=port)
        self.back(gateway)  # although the pause is of minutes: the interval goes on
        one = make_instance(3000)
        self.assert_stored(self.sender(gateway).store(one))
        self.assertEqual(sink.uids, [one.uid])
        sink.stop()
        self.away(gateway, 2)
        self.assertEqual(len(gateway.events("node is back")), 1)

    def test_at_the_end_of_the_pause_the_probe_tries_and_no_message(self):
        keeper = self.doorkeeper()
        gateway = self.queueing(keeper, health="1h", retry={"first": "300ms", "most": "300ms"})
        self.away(gateway)  # by the first probe
        before = len(keeper.visits)
        wait_until(lambda: len(keeper.visits) >= before + 3, "probes at the end of each pause")

    def test_a_node_without_verification_is_there(self):
        for what, script in (("context", {"classes": [CT]}), ("association", {"reject": (1, 1, 1)})):
            with self.subTest(what):
                sink = self.sink(**script)
                gateway = self.gateway(node("a", sink, health="100ms"), route("all", to="a"))
                wait_until(lambda: len(sink.associations) >= 5, "five probes")
                self.assertEqual(gateway.events("node is away"), [])

    def test_a_node_that_does_not_know_us_is_away(self):
        sink = self.sink(reject=(1, 1, 3))
        self.away(self.gateway(node("a", sink, health="100ms"), route("all", to="a")))

    def test_a_node_without_room_is_there(self):
        sink = self.sink(reject=(2, 3, 2))
        gateway = self.gateway(node("a", sink, health="100ms"), route("all", to="a"))
        wait_until(lambda: len(sink.associations) >= 5, "five probes")
        self.assertEqual(gateway.events("node is away"), [])

    def test_a_node_that_answers_nothing_is_away(self):
        sink = self.sink(at_answer="never")
        gateway = self.gateway(node("a", sink, health="100ms"), route("all", to="a"), timeouts={"response": "300ms"})
        events = self.away(gateway)
        self.assertEqual(events[0]["cause"], "no answer to a probe")
        self.assertGreaterEqual(len(sink.associations), 3)
        sink.at_answer = None
        self.back(gateway)

    def test_they_take_no_place_that_messages_need(self):
        """The one place is in use by a message: no probe, and the node is there. It is free again: probes go on."""
        sink, clock = self.sink(), self.sink()
        gateway = self.gateway(node("a", sink, health="100ms", max_associations=1), node("b", clock, health="100ms"),
                               route("all", to="a"), timeouts={"linger": 0})
        wait_until(lambda: sink.echoes, "a probe")
        one, sender = make_instance(300000), self.sender(gateway)
        context = sender.begin(one)
        sender.data(context, one.data[:200000])
        wait_until(lambda: sink.arrived() > 0, "the message is under way")
        begun, ticks = len(sink.associations), len(clock.echoes)
        wait_until(lambda: len(clock.echoes) >= ticks + 8, "probes of the other node")
        self.assertEqual(len(sink.associations), begun)
        sender.data(context, one.data[200000:], last=True)
        self.assert_stored(sender.response())
        wait_until(lambda: len(sink.associations) > begun, "probes go on")
        self.assertEqual(gateway.events("node is away"), [])

    def test_a_drain_and_a_reload_end_them(self):
        sink, other = self.sink(), self.sink()
        gateway = self.gateway(node("a", sink, health="100ms"), route("all", to="a"))
        wait_until(lambda: len(sink.echoes) >= 2, "probes")
        gateway.write(node("b", other, health="100ms"), route("all", to="b"))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: len(other.echoes) >= 2, "probes of the new one")
        count = len(sink.associations)
        wait_until(lambda: len(other.echoes) >= 6, "more of them")
        self.assertEqual(len(sink.associations), count)
        self.assertEqual(gateway.stop(), [])
        self.assertEqual(other.open(), [])
