"""Rates of callers and nodes: who is over is slowed, not refused; how many associations a caller has; what a reload keeps."""

import signal
import ssl
import threading
import time

import certificates
import dicom
from dicom import CT, EXPLICIT, make_instance
from harness import SLOW, Case, declare, free_port, node, route, wait_until
from peer_data import STUDY_ROOT_FIND
from sender import Sender

TRANSIENT_LOCAL_LIMIT = (2, 3, 2)


def caller(name, **keys):
    return declare("caller", name, {"calling": name.upper(), **keys})


def took(count, of):
    """Seconds that `count` calls of `of` took."""
    began = time.monotonic()
    for _ in range(count):
        of()
    return time.monotonic() - began


class Callers(Case):
    def limited(self, rate=None, sink=None, **keys):
        sink = sink or self.sink()
        if rate:
            keys["rate"] = rate
        return self.gateway(caller("ct", **keys), caller("mr"), node("a", sink), route("all", to="a")), sink

    def test_instances_over_the_rate_are_slowed_and_all_arrive(self):
        gateway, sink = self.limited({"instances": 10})
        sender = self.sender(gateway, calling="CT")
        seconds = took(25, lambda: self.assert_stored(sender.store(make_instance())))
        self.assertGreaterEqual(seconds, (25 - 1 - 10) / 10)
        self.assertEqual(len(sink.messages), 25)

    def test_a_rate_is_of_all_the_caller_s_associations_and_of_no_other_s(self):
        gateway, sink = self.limited({"instances": 10})
        senders = [self.sender(gateway, calling="CT") for _ in range(4)]  # over both workers
        other = self.sender(gateway, calling="MR")
        troubles, began = [], time.monotonic()

        def store(sender):
            try:
                for _ in range(8):
                    self.assert_stored(sender.store(make_instance()))
            except Exception as trouble:
                troubles.append(trouble)
        threads = [threading.Thread(target=store, args=(s,)) for s in senders]
        for t in threads:
            t.start()
        for _ in range(50):
            self.assert_stored(other.store(make_instance()))
        self.assertTrue(any(t.is_alive() for t in threads), "another caller waited for them")
        for t in threads:
            t.join(60 * SLOW)
        self.assertEqual(troubles, [])
        self.assertGreaterEqual(time.monotonic() - began, (4 * 8 - 4 - 10) / 10)

    def test_requests_of_any_service_count(self):
        gateway, _ = self.limited({"instances": 10})
        sender = self.sender(gateway, [(dicom.VERIFICATION, [dicom.IMPLICIT])], calling="CT")
        self.assertGreaterEqual(took(25, sender.echo), (25 - 1 - 10) / 10)

    def test_bytes_over_the_rate_are_slowed(self):
        gateway, sink = self.limited({"bytes": "1MiB"})
        sender = self.sender(gateway, calling="CT")
        one = make_instance(3 << 20)
        seconds = took(1, lambda: self.assert_stored(sender.store(one)))
        self.assertGreaterEqual(seconds, 1.5)
        self.assertEqual(sink.messages[-1].data, one.data)

    def test_payload_that_passes_by_memory_is_slowed_too(self):
        sink = self.sink(max_length=1 << 20)
        gateway = self.gateway(caller("ct", rate={"bytes": "4MiB"}), node("a", sink), route("all", to="a", zero_copy=True))
        sender = self.sender(gateway, calling="CT", max_length=1 << 20)
        one = make_instance(10 << 20)
        seconds = took(1, lambda: self.assert_stored(sender.store(one)))
        self.assertGreaterEqual(seconds, (10 - 4 - 1) / 4)
        self.assertEqual(sink.messages[-1].data, one.data)
        self.assertTrue(gateway.events("payload passes by"))

    def test_a_slowed_sender_is_neither_idle_nor_stuck(self):
        sink = self.sink()
        gateway = self.gateway(caller("ct", rate={"bytes": "100KiB"}), node("a", sink), route("all", to="a"),
                               timeouts={"progress": "1s", "idle": "1s", "lag": "1s"})
        sender = self.sender(gateway, calling="CT")
        self.assert_stored(sender.store(make_instance(500_000)))
        self.assertFalse(gateway.events("association ended"))

    def test_associations_over_the_limit_are_rejected_for_now(self):
        gateway, _ = self.limited(max_associations=2)
        first, second = self.sender(gateway, calling="CT"), self.sender(gateway, calling="CT")
        with self.assertRaises(dicom.Rejected) as rejected:
            Sender(gateway.port, [(CT, [EXPLICIT])], calling="CT")
        e = rejected.exception
        self.assertEqual((e.result, e.source, e.reason), TRANSIENT_LOCAL_LIMIT)
        self.assert_stored(self.sender(gateway, calling="MR").store(make_instance()))
        first.release()
        self.assert_stored(self.sender(gateway, calling="CT").store(make_instance()))
        self.assert_stored(second.store(make_instance()))

    def test_places_are_given_back_however_associations_end(self):
        gateway, _ = self.limited(max_associations=1)
        for end in ("release", "abort", "close", "reset") * 5:
            sender = self.admitted(gateway)
            sender.begin(make_instance())
            getattr(sender, end if end != "release" else "abort")()

    def test_who_hangs_up_while_it_is_slowed_keeps_no_place(self):
        gateway, _ = self.limited({"bytes": "2KiB"}, max_associations=1)
        for end in ("close", "reset"):  # half a minute before it would be paid for
            sender = self.admitted(gateway)
            sender.data(sender.begin(make_instance()), bytes(60_000))
            getattr(sender, end)()
        self.admitted(gateway)

    def test_nor_does_who_hangs_up_while_its_payload_passes_by(self):
        sink = self.sink(max_length=1 << 20)
        gateway = self.gateway(caller("ct", rate={"bytes": "20KiB"}), node("a", sink), route("all", to="a", zero_copy=True))
        sender = self.sender(gateway, calling="CT", max_length=1 << 20)
        context = sender.begin(make_instance())
        stream = dicom.p_data(dicom.pdv(context, 0, bytes(600_000)))
        sender.wire.send(stream[:70_000])  # by memory
        wait_until(lambda: gateway.events("payload passes by"), "it passes by", 20)
        sender.wire.send(stream[70_000:180_000])
        sender.close()
        wait_until(lambda: gateway.events("association ended"), "its end", 2)

    def test_the_last_word_of_who_hangs_up_between_messages_is_heard(self):
        gateway, _ = self.limited({"bytes": "1KiB"}, max_associations=1)
        sender = self.sender(gateway, calling="CT")
        self.assert_stored(sender.store(make_instance(30_000)))
        sender.wire.send(dicom.pdu(dicom.RELEASE_RQ, bytes(4)))
        sender.close()
        ended = wait_until(lambda: gateway.events("association ended"), "it ends", 5)
        self.assertEqual(ended[0]["how"], "released")

    def admitted(self, gateway, **request):
        """An association, as soon as there is a place."""
        found = []

        def is_in():
            try:
                found.append(self.sender(gateway, calling="CT", **request))
            except dicom.Rejected:
                return False
            return True
        wait_until(is_in, "a place is free", 5)
        return found[0]

    def test_a_reload_keeps_what_was_used_and_takes_the_new_limits(self):
        gateway, sink = self.limited({"instances": 5}, max_associations=1)
        sender = self.sender(gateway, calling="CT")
        for _ in range(5):
            self.assert_stored(sender.store(make_instance()))
        gateway.write(caller("ct", rate={"instances": 2}, max_associations=2), caller("mr"), node("a", sink),
                      route("all", to="a"))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reloaded") or gateway.events("configuration reloaded"), "the reload", 10)
        second = self.sender(gateway, calling="CT")
        with self.assertRaises(dicom.Rejected):
            Sender(gateway.port, [(CT, [EXPLICIT])], calling="CT")
        self.assertGreaterEqual(took(5, lambda: self.assert_stored(second.store(make_instance()))), (5 - 1 - 2) / 2)


class Nodes(Case):
    def test_a_node_gets_no_more_than_its_rate(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink, rate={"instances": 10}), route("all", to="a"))
        senders = [self.sender(gateway) for _ in range(2)]
        began = time.monotonic()
        for i in range(25):
            self.assert_stored(senders[i % 2].store(make_instance()))
        self.assertGreaterEqual(time.monotonic() - began, (25 - 1 - 10) / 10)
        self.assertEqual(len(sink.messages), 25)

    def test_bytes_to_a_node_are_slowed_whole_and_in_order(self):
        sink = self.sink(max_length=1 << 20)
        gateway = self.gateway(node("a", sink, rate={"bytes": "4MiB"}), route("all", to="a", zero_copy=True))
        sender = self.sender(gateway)
        one = make_instance(10 << 20)
        seconds = took(1, lambda: self.assert_stored(sender.store(one)))
        self.assertGreaterEqual(seconds, (10 - 4 - 1) / 4)
        self.assertEqual(sink.messages[-1].data, one.data)

    def test_a_rated_node_is_no_laggard_of_a_fan_out(self):
        slow, quick = self.sink(), self.sink()
        gateway = self.gateway(node("slow", slow, rate={"bytes": "1MiB"}), node("quick", quick),
                               route("all", to=["slow", "quick"]), timeouts={"lag": "250ms"})
        sender = self.sender(gateway)
        one = make_instance(4 << 20)
        self.assert_stored(sender.store(one))
        self.assertEqual(slow.messages[-1].data, one.data)
        self.assertEqual(quick.messages[-1].data, one.data)

    def test_a_window_full_of_what_waits_for_its_turn_goes_on_then(self):
        """By TLS: its buffers are not full, so all that may be held is less than what may be kept for a second try."""
        pki, sink, other = certificates.shared(), self.sink(), self.sink()
        own, port = pki.server(), free_port()
        listen = [{"port": port, "address": "127.0.0.1", "tls": {"certificate": own.certificate, "key": own.key}}]
        self.gateway(node("a", sink, rate={"instances": 1}), node("b", other), route("all", to="a", copy="b"), listen=listen, port=port, window="64KiB")
        with Sender(port, [(CT, [EXPLICIT])], seconds=10 * SLOW, tls=ssl.create_default_context(cafile=pki.ca)) as sender:
            for size in (500, 3 << 20, 3 << 20):  # the first opens an association to the node, which the others find
                self.assert_stored(sender.store(make_instance(size)))

    def test_what_has_no_turn_within_response_is_queued_and_comes_later(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink, rate={"instances": 2}, retry={"first": "100ms", "most": "200ms"}),
                               route("all", to="a", on_failure="queue"), timeouts={"response": "600ms"})
        senders = [self.sender(gateway) for _ in range(8)]
        for sender in senders:
            sender.send(*self.whole(sender))
        answers = [sender.response() for sender in senders]
        self.assertEqual([a.status for a in answers], [0] * 8)
        self.assertTrue(any(e["queued"] for e in gateway.events("message answered")), "none was over the rate")
        began = time.monotonic()
        wait_until(lambda: len(sink.messages) == 8, "all are delivered", 20)
        self.assertLess(time.monotonic() - began, 20 * SLOW)

    def whole(self, sender):
        one = make_instance()
        return sender.context_for(one), sender.store_command(one), one.data

    def test_what_has_no_turn_and_no_queue_is_refused_for_now(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink, rate={"instances": 1}), route("all", to="a"), timeouts={"response": "500ms"})
        first, second = self.sender(gateway), self.sender(gateway)
        self.assert_stored(first.store(make_instance()))
        answer = second.store(make_instance())
        self.assert_stored(answer, 0xA700)
        self.assertEqual(answer.comment, "a: its rate has no room in time")
        wait_until(lambda: second.store(make_instance()).status == 0, "its turn comes", 10)
        self.assert_stored(first.store(make_instance()), 0xA700)

    def test_queries_wait_for_their_turn_too(self):
        service = self.service()
        gateway = self.gateway(node("a", service, rate={"instances": 5}), route("find", to="a", when={"service": "find"}))
        client = self.client(gateway, [STUDY_ROOT_FIND])
        self.assertGreaterEqual(took(10, lambda: client.find(STUDY_ROOT_FIND)), (10 - 1 - 5) / 5)


if __name__ == "__main__":
    import unittest
    unittest.main()
