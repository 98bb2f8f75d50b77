"""Payload that passes from socket to socket and never comes to the gateway's memory: arrives whole, or not at all.

That it did pass is read from the log ("payload passes by"), so no test here holds for the other path by accident.
"""

import fcntl
import itertools
import os
import random
import resource
import signal
import socket
import struct
import termios
import threading
import time
import zlib

import dicom
from dicom import CT, EXPLICIT, LAST, Answered, Associate, make_instance, p_data, pdv
from harness import SANITIZED, SLOW, Case, folder, is_listening, node, route, wait_until
from sender import Sender

KIB, MIB = 1 << 10, 1 << 20
BIG = 128 * KIB
# replay_max = 0: also a reused association passes from the start. max_pdu = 0: senders may send PDUs of any size.
SETTINGS = {"replay_max": "0", "max_pdu": 0}


def cut(data, sizes, context=1, end=None):
    """The data set as PDVs of these sizes, over and over; `end`: how many bytes are left for the last one (0: it is empty)."""
    sizes, at, out = itertools.cycle(sizes), 0, []
    body = len(data) if end is None else len(data) - end
    while at < body:
        n = min(next(sizes), body - at)
        out.append(pdv(context, LAST if end is None and at + n == len(data) else 0, data[at:at + n]))
        at += n
    if end is not None:
        out.append(pdv(context, LAST, data[body:]))
    return out


def each(pdvs):
    return b"".join(map(p_data, pdvs))


def in_threes(pdvs):
    return b"".join(p_data(*pdvs[i:i + 3]) for i in range(0, len(pdvs), 3))


def with_empty_ones(pdvs):
    """Before each PDV one without payload, now in a PDU of its own, now in the same."""
    empty = pdv(1, 0)
    return b"".join(p_data(empty, one) if i % 2 else p_data(empty) + p_data(one) for i, one in enumerate(pdvs))


# What it is, size of the pixels, how the data set becomes PDUs.
WAYS = [
    ("PDVs of 33 KiB", 3 * MIB, lambda d: each(cut(d, [33 * KIB]))),
    ("PDVs of 64 KiB", 3 * MIB, lambda d: each(cut(d, [64 * KIB]))),
    ("PDVs of 128 KiB less the headers", 3 * MIB, lambda d: each(cut(d, [BIG - 12]))),
    ("PDVs of 1 MiB", 5 * MIB, lambda d: each(cut(d, [MIB]))),
    ("one PDV of 5 MiB", 5 * MIB, lambda d: each(cut(d, [len(d)]))),
    ("PDVs of odd sizes", 3 * MIB, lambda d: each(cut(d, [100_001]))),
    ("an odd one now and then", 3 * MIB, lambda d: each(cut(d, [BIG, BIG + 1, BIG]))),
    ("three PDVs in a PDU", 3 * MIB, lambda d: in_threes(cut(d, [50_000]))),
    ("three odd PDVs in a PDU", 3 * MIB, lambda d: in_threes(cut(d, [50_001]))),
    ("large and small in turn", 3 * MIB, lambda d: each(cut(d, [BIG, 100]))),
    ("large and tiny in turn, in threes", 3 * MIB, lambda d: in_threes(cut(d, [BIG, 2, 64 * KIB, 1, 1]))),
    ("sizes about the limit", 3 * MIB, lambda d: each(cut(d, [32767, 32768, 32769, 32770, 32771]))),
    ("empty PDVs between", 3 * MIB, lambda d: with_empty_ones(cut(d, [BIG]))),
    ("an empty last PDV", 2 * MIB, lambda d: each(cut(d, [len(d) // 16 + 1], end=0))),
    ("an empty last PDV in the same PDU", 2 * MIB, lambda d: p_data(*cut(d, [len(d) // 2], end=0))),
    ("an empty last PDV behind an odd one", 2 * MIB, lambda d: each(cut(d, [len(d) // 2 + 1], end=0))),
    ("empty ones, and the last as well", 2 * MIB, lambda d: with_empty_ones(cut(d, [len(d) // 16 + 1], end=0))),
    ("a last PDV of one byte", 2 * MIB + 1, lambda d: each(cut(d, [BIG], end=1))),
    ("a last PDV of two bytes", 2 * MIB, lambda d: each(cut(d, [BIG], end=2))),
    ("a last PDV of three bytes", 2 * MIB, lambda d: each(cut(d, [BIG], end=3))),
    ("a large last PDV", 2 * MIB, lambda d: each(cut(d, [BIG], end=MIB))),
    ("a large last PDV behind an odd one", 2 * MIB, lambda d: each(cut(d, [BIG + 1], end=MIB))),
    ("an odd total", 2 * MIB, lambda d: each(cut(d + b"x", [BIG]))),
    ("an odd total, one PDV", 2 * MIB, lambda d: each(cut(d + b"x", [len(d) + 1]))),
    ("an odd total, odd PDVs, an empty last one", 2 * MIB, lambda d: each(cut(d + b"x", [len(d) // 16 * 2 + 1], end=0))),
]


class PassCase(Case):
    def passed(self, gateway):
        """How often payload has begun to pass so far."""
        return gateway.log().count('"payload passes by"')

    def assert_passed(self, gateway, since=0):
        self.assertGreater(self.passed(gateway), since, "nothing passed: the test would say nothing")

    def store_raw(self, sender, instance, raw, gateway=None):
        """The command, then these bytes; the answer. With a gateway: slowly at first, until payload passes."""
        assert sender.begin(instance) == 1
        sender.wire.send(raw[self.until_it_passes(sender, raw, gateway) if gateway else 0:])
        return sender.response()

    def until_it_passes(self, sender, raw, gateway, most=200_000):
        """Sends the front of a data set, and then little by little until payload begins to pass. Returns how much that was."""
        before, at = self.passed(gateway), 66 * KIB
        sender.wire.send(raw[:at])
        while self.passed(gateway) == before and at < 66 * KIB + most:
            sender.wire.send(raw[at:at + 1000])
            at += 1000
            time.sleep(0.001)
        return at

    def passing(self, *maxima, to_keys=None, settings=None, script=None, **keys):
        """A gateway that passes to so many sinks. Returns (gateway, sinks)."""
        sinks = [self.sink(max_length=m, **(script or {})) for m in maxima]
        names = [f"n{i}" for i in range(len(sinks))]
        gateway = self.gateway(*[node(n, s, **(to_keys or {})) for n, s in zip(names, sinks)],
                               route("all", to=names, zero_copy=True, **keys), **{**SETTINGS, **(settings or {})})
        return gateway, sinks

    def half_sent(self, gateway, size=8 * MIB, pdu=MIB, sent=None):
        """A sender in the middle of a PDU whose payload passes. Returns (sender, instance, what of it is still to be sent)."""
        before = self.passed(gateway)
        sender, one = self.sender(gateway), make_instance(size)
        raw = each(cut(one.data, [pdu]))
        sender.begin(one)
        at = self.until_it_passes(sender, raw, gateway)
        self.assert_passed(gateway, before)
        sent = sent or 12 + pdu + 12 + pdu // 2
        sender.wire.send(raw[at:sent])
        return sender, one, raw[sent:]


# ---- a destination whose every byte is looked at


class Tap:
    """Accepts associations and keeps the very bytes that come, so that the end of a broken one can be judged."""

    def __init__(self, max_length=1 << 20, receive_buffer=None):
        self.max_length, self.connections = max_length, []
        self.listener = socket.socket()
        if receive_buffer:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(16)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(Tapped(self, connection))

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)
        for one in self.connections:
            one.close()
            one.thread.join(5)


class Tapped:
    def __init__(self, tap, connection):
        self.tap, self.wire, self.raw, self.ended = tap, dicom.Wire(connection, None), bytearray(), False
        self.reads, self.accepted = threading.Event(), threading.Event()
        self.reads.set()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            request = Associate.decode(self.wire.expect(dicom.ASSOCIATE_RQ)[1])
            self.wire.send(Associate(contexts=[Answered(c.id, 0, c.transfers[0]) for c in request.contexts],
                                     max_length=self.tap.max_length).encode())
            self.accepted.set()
            while True:
                self.reads.wait()
                more = self.wire.socket.recv(65536)
                if not more:
                    break
                self.raw += more
        except (dicom.Closed, OSError):
            pass
        self.ended = True

    def close(self):
        self.reads.set()
        self.wire.close()

    def has_ended(self):
        return self.ended or self.raw[-10:-4] == dicom.pdu(dicom.ABORT, bytes(4))[:6]

    def message_id(self):
        """Of the first request."""
        length = struct.unpack_from(">I", self.raw, 6)[0] - 2
        return dicom.parse_command(bytes(self.raw[12:12 + length]))[0x0110]

    def judged(self):
        """What came: (payload of the data set, whether its last fragment came, whether the bytes end inside a PDU, types of
        the PDUs that are not P-DATA-TF). A part of a PDU counts as what its header says."""
        raw, at, payload, whole, others = self.raw, 0, bytearray(), False, []
        while at + 12 <= len(raw):
            kind, _, length = struct.unpack_from(">BBI", raw, at)
            body = raw[at + 6:at + 6 + length]
            if kind != dicom.P_DATA:
                others.append(kind)
            elif not body[5] & dicom.COMMAND:
                payload += body[6:]
                whole = whole or (len(body) == length and bool(body[5] & LAST))
            at += 6 + length
        rest = len(raw) - at
        if 6 <= rest < 12 and raw[at] != dicom.P_DATA:
            others.append(raw[at])
            rest = rest - 6 - struct.unpack_from(">I", raw, at + 2)[0]
        return bytes(payload), whole, rest != 0, others


class TapCase(PassCase):
    def tap(self, **keys):
        tap = Tap(**keys)
        self.addCleanup(tap.stop)
        return tap

    def tapped(self, tap=None, settings=None, **keys):
        tap = tap or self.tap()
        gateway = self.gateway(node("a", tap, **keys), route("all", to="a", zero_copy=True), **{**SETTINGS, **(settings or {})})
        return gateway, tap

    def used(self, tap):
        """The connections that got more than an association request."""
        return [c for c in tap.connections if c.raw]

    def assert_cut(self, tap, instance):
        """The one connection with payload has ended, with a part of the instance and not a byte beside it."""
        one = wait_until(lambda: [c for c in self.used(tap) if c.has_ended() and len(c.raw) > 64 * KIB], "it is cut")[0]
        one.close()
        payload, whole, _, others = one.judged()
        self.assertFalse(whole, "it looks complete")
        self.assertTrue(instance.data.startswith(payload), "there is something else in the payload")
        self.assertLessEqual(set(others), {dicom.ABORT})
        return one


# ---- content


class Content(PassCase):
    seconds = 120
    zero_copy = True

    def check_ways(self, maximum, passes):
        sink = self.sink(max_length=maximum)
        gateway = self.gateway(node("a", sink), route("all", to="a", zero_copy=self.zero_copy), **SETTINGS)
        for what, size, cut_up in WAYS:
            with self.subTest(cut=what, maximum=maximum):
                one, before, sender = make_instance(size), self.passed(gateway), self.sender(gateway)
                self.assert_stored(self.store_raw(sender, one, cut_up(one.data), gateway if passes else None))
                got = sink.messages[-1].data
                self.assertTrue(got == one.data or got == one.data + b"x\0", "it is not what was sent")
                if passes or self.zero_copy is False:
                    self.assertEqual(self.passed(gateway) > before, passes)
                sender.release()

    def test_every_cut_arrives_byte_for_byte_at_4_KiB(self):
        self.check_ways(4096, False)

    def test_every_cut_arrives_byte_for_byte_at_16_KiB(self):
        self.check_ways(16384, False)

    def test_every_cut_arrives_byte_for_byte_at_an_odd_maximum(self):
        self.check_ways(100_001, True)

    def test_every_cut_arrives_byte_for_byte_at_128_KiB(self):
        self.check_ways(131072, True)

    def test_every_cut_arrives_byte_for_byte_at_1_MiB(self):
        self.check_ways(1 << 20, True)

    def test_every_cut_arrives_byte_for_byte_at_an_unlimited_maximum(self):
        self.check_ways(0, True)


class ContentThroughMemory(PassCase):
    suffix = " (zero_copy = false)"
    seconds = 120
    zero_copy = False
    check_ways = Content.check_ways

    def test_every_cut_arrives_byte_for_byte_and_nothing_passes(self):
        self.check_ways(131072, False)


# ---- senders of every manner


class Senders(PassCase):
    def test_headers_and_bodies_in_writes_of_their_own_do_not_stall(self):
        """Nagle's algorithm on: each write may wait for the acknowledgement of the one before."""
        gateway, (sink,) = self.passing(1 << 20)
        for size in (33 * KIB, 64 * KIB, 100_000):
            with self.subTest(size=size):
                sender, one = self.sender(gateway, nodelay=False), make_instance(200 * size)
                pdus = [p_data(p) for p in cut(one.data, [size])]
                before = self.passed(gateway)
                sender.begin(one)
                start = time.monotonic()
                for raw in pdus:
                    sender.wire.send(raw[:12])
                    sender.wire.send(raw[12:])
                self.assert_stored(sender.response())
                self.assertLess(time.monotonic() - start, 1 * SLOW)
                self.assertEqual(sink.messages[-1].data, one.data)
                self.assert_passed(gateway, before)

    def test_a_sender_that_drips(self):
        gateway, (sink,) = self.passing(1 << 20)
        sender, one = self.sender(gateway), make_instance(2 * MIB)
        raw = each(cut(one.data, [64 * KIB]))
        sender.begin(one)
        for at in range(self.until_it_passes(sender, raw, gateway), len(raw), 997):
            sender.wire.send(raw[at:at + 997])
        self.assert_stored(sender.response())
        self.assertEqual(sink.messages[-1].data, one.data)
        self.assert_passed(gateway)

    def test_a_byte_of_urgent_data_is_stepped_over(self):
        """It stands beside the stream (RFC 6093). splice never comes past it, and poll says readable all the same."""
        gateway, (sink,) = self.passing(1 << 20)
        for passes in (True, False):
            with self.subTest(passes=passes):
                sender, one = self.sender(gateway), make_instance(4 * MIB)
                raw = each(cut(one.data, [MIB]))
                sender.begin(one)
                at = self.until_it_passes(sender, raw, gateway) if passes else 0
                sender.wire.send(raw[at:at + 5000])
                sender.wire.socket.send(b"!", socket.MSG_OOB)  # one: a second one would make the first part of the stream
                sender.wire.send(raw[at + 5000:])
                self.assert_stored(sender.response())
                self.assertEqual(sink.messages[-1].data, one.data)
        self.assert_passed(gateway)

    def test_a_header_in_pieces_of_one_byte(self):
        """Also where it begins with the bytes kept of the PDV before."""
        gateway, (sink,) = self.passing(1 << 20)
        sender, one = self.sender(gateway), make_instance(1 * MIB)
        raw, pdu = each(cut(one.data, [BIG])), 12 + BIG
        sender.begin(one)
        at = self.until_it_passes(sender, raw, gateway)
        while at < len(raw):
            near = (at + 5) % pdu < 20
            n = 1 if near else pdu - 5 - at % pdu
            sender.wire.send(raw[at:at + n])
            time.sleep(0.002 if near else 0)
            at += n
        self.assert_stored(sender.response())
        self.assertEqual(sink.messages[-1].data, one.data)
        self.assert_passed(gateway)

    def test_a_pause_before_an_empty_last_PDV(self):
        """All payload is here and could leave; a rest has to wait, so that there is something for the last fragment."""
        sink = self.sink(max_length=1 << 20)
        gateway = self.gateway(node("a", sink), route("all", to="a", zero_copy=True), replay_max="148KiB", max_pdu=0)
        for size in (1000, 170_000, 170_000, 400_000):
            sender, one = self.sender(gateway), make_instance(size)
            raw, last = map(p_data, cut(one.data, [len(one.data)], end=0))
            sender.begin(one)
            sender.wire.send(raw)
            wait_until(lambda: size < 100_000 or sink.arrived() > 64 * KIB, "payload arrives")
            time.sleep(0.1)
            sender.wire.send(last)
            self.assert_stored(sender.response())
            self.assertEqual(sink.messages[-1].data, one.data)
            sender.release()

    def test_several_requests_under_way(self):
        gateway, (sink,) = self.passing(1 << 20, script={"window": (4, 1)})
        sender = self.sender(gateway, window=(4, 1))
        instances = [make_instance(1_500_000 + i) for i in range(12)]
        sent = []

        def send():
            for i, one in enumerate(instances):
                context = sender.begin(one, message_id=100 + i)
                sender.wire.send(each(cut(one.data, [BIG], context=context)))
                sent.append(one)
        thread = threading.Thread(target=send)
        thread.start()
        answers = [sender.response() for _ in instances]
        thread.join()
        self.assertEqual(sorted(a.answered_id for a in answers), [100 + i for i in range(12)])
        self.assertEqual({a.status for a in answers}, {0})
        self.assertEqual({m.uid: m.data for m in sink.messages}, {i.uid: i.data for i in instances})
        self.assert_passed(gateway)

    def test_a_split_command_before_it(self):
        gateway, (sink,) = self.passing(1 << 20)
        sender, one = self.sender(gateway), make_instance(2 * MIB)
        for raw in dicom.fragments(1, dicom.COMMAND, dicom.command(sender.store_command(one)), 10):
            sender.wire.send(p_data(raw))
        raw = each(cut(one.data, [MIB]))
        sender.wire.send(raw[self.until_it_passes(sender, raw, gateway):])
        self.assert_stored(sender.response())
        self.assertEqual(sink.messages[-1].data, one.data)
        self.assert_passed(gateway)

    def test_another_context_in_the_middle_is_refused(self):
        """One message, one context (PS3.8 E.1), also for payload that nobody looks at."""
        gateway, (sink,) = self.passing(1 << 20)
        sender, one, rest = self.half_sent(gateway, pdu=BIG, sent=3 * (12 + BIG))
        sender.wire.send(p_data(pdv(3, 0, bytes(BIG))))
        self.assertEqual(sender.end(), "abort")
        wait_until(lambda: not sink.used() and not sink.open(), "the destination's association has ended")
        self.assertEqual(sink.messages, [])

    def test_headers_without_payload_do_not_keep_others_waiting(self):
        gateway, (sink,) = self.passing(1 << 20, settings={"workers": 1})
        flooder, one, rest = self.half_sent(gateway, pdu=BIG, sent=3 * (12 + BIG))
        flood, stopped = p_data(pdv(1, 0)) * 50_000, threading.Event()

        def send():
            while not stopped.is_set():
                try:
                    flooder.wire.send(flood)
                except (dicom.Closed, TimeoutError):
                    return
        thread = threading.Thread(target=send)
        thread.start()
        try:
            with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=5 * SLOW) as other:
                for _ in range(5):
                    start = time.monotonic()
                    self.assert_stored(other.store(make_instance(1000)))
                    self.assertLess(time.monotonic() - start, 1 * SLOW)
        finally:
            stopped.set()
            thread.join()
        flooder.wire.send(rest)
        self.assert_stored(flooder.response())
        self.assertEqual(sink.messages[-1].data, one.data)

    def test_one_PDV_of_more_than_2_GiB(self):
        total = (64 << 20) + 2 if SANITIZED else (2 << 30) + 10
        gateway, (sink,) = self.passing(1 << 20, script={"keep": False})
        sender, one = self.sender(gateway, seconds=60), make_instance(2)
        block, crc, sent = random.Random(1).randbytes(1 << 20), 0, 0
        sender.begin(one)
        sender.wire.send(struct.pack(">BBIIBB", dicom.P_DATA, 0, total + 6, total + 2, 1, LAST))
        while sent < total:
            piece = memoryview(block)[:min(len(block), total - sent)]
            crc, sent = zlib.crc32(piece, crc), sent + len(piece)
            sender.wire.send(piece)
        self.assert_stored(sender.response())
        self.assertEqual((sink.messages[0].length, sink.messages[0].crc), (total, crc))
        self.assert_passed(gateway)
        if not SANITIZED:
            self.assertLess(gateway.memory(), 64 << 20)


# ---- several destinations


class FanOut(PassCase):
    def assert_all_have(self, sinks, instances):
        for sink in sinks:
            self.assertEqual(sink.uids, [i.uid for i in instances])
            self.assertTrue(all(m.data == i.data for m, i in zip(sink.messages, instances)), "not byte for byte")

    def destinations(self, gateway):
        return {e["destinations"] for e in gateway.events("payload passes by")}

    def test_two_three_and_four_destinations_of_different_maxima_get_the_same_bytes(self):
        for maxima in ([131072, 1 << 20], [50_000, 131072, 0], [100_001, 131072, 1 << 20, 0]):
            with self.subTest(maxima=maxima):
                gateway, sinks = self.passing(*maxima)
                instances = [make_instance(3 * MIB) for _ in range(8)]
                ways = [[33 * KIB], [BIG], [MIB], [3 * MIB], [100_001], [BIG, 10], [BIG, MIB, 70_000], [2 * BIG + 1, 200_000]]
                for one, sizes in zip(instances, ways):
                    sender = self.sender(gateway)
                    self.assert_stored(self.store_raw(sender, one, each(cut(one.data, sizes)), gateway))
                    sender.release()
                self.assert_all_have(sinks, instances)
                self.assertEqual(self.destinations(gateway), {len(maxima)})

    def test_five_destinations_go_through_memory(self):
        gateway, sinks = self.passing(*[131072] * 5)
        one = make_instance(3 * MIB)
        self.assert_stored(self.store_raw(self.sender(gateway), one, each(cut(one.data, [MIB]))))
        self.assert_all_have(sinks, [one])
        self.assertEqual(self.passed(gateway), 0)

    def test_nothing_passes_where_one_of_several_needs_the_bytes(self):
        """A folder; a route that gathers; a route that says no, also if another that names the node says yes."""
        cases = [
            ("a folder", lambda s: [node("a", s), folder("f", "$FOLDER/out/{SOPInstanceUID}.dcm"),
                                    route("1", to=["a", "f"], zero_copy=True)]),
            ("one is gathered", lambda s: [node("a", s), node("b", self.sink()), route("1", to="a", zero_copy=True),
                                           route("2", to="b", stream=False, zero_copy=True)]),
            ("one says no", lambda s: [node("a", s), route("1", to="a", zero_copy=True), route("2", to="a", zero_copy=False)]),
            ("auto, and two", lambda s: [node("a", s), node("b", self.sink()), route("1", to="a", zero_copy=True),
                                         route("2", to="b", zero_copy="auto")]),
        ]
        for what, declarations in cases:
            with self.subTest(what):
                sink = self.sink(max_length=1 << 20)
                gateway = self.gateway(*declarations(sink), **SETTINGS)
                one = make_instance(3 * MIB)
                self.assert_stored(self.store_raw(self.sender(gateway), one, each(cut(one.data, [MIB]))))
                self.assertEqual(sink.messages[-1].data, one.data)
                self.assertEqual(self.passed(gateway), 0)

    def test_the_gateways_word_is_that_of_routes_that_say_nothing(self):
        for of_gateway, of_route, passes in ((True, None, True), (False, None, False), (True, False, False), (False, True, True)):
            with self.subTest(gateway=of_gateway, route=of_route):
                sink = self.sink(max_length=1 << 20)
                keys = {} if of_route is None else {"zero_copy": of_route}
                gateway = self.gateway(node("a", sink), route("1", to="a", **keys), zero_copy=of_gateway, **SETTINGS)
                one = make_instance(3 * MIB)
                raw = each(cut(one.data, [MIB]))
                self.assert_stored(self.store_raw(self.sender(gateway), one, raw, gateway if passes else None))
                self.assertEqual(sink.messages[-1].data, one.data)
                self.assertEqual(self.passed(gateway) > 0, passes)

    def test_one_that_stalls_fails_after_lag_and_the_others_complete(self):
        gateway, (good, bad, other) = self.passing(131072, 131072, 1 << 20, settings={"timeouts": {"lag": "500ms"}})
        bad.at_bytes = (MIB, "stall")
        one = make_instance(24 * MIB)
        start = time.monotonic()
        answer = self.store_raw(self.sender(gateway), one, each(cut(one.data, [MIB])), gateway)
        self.assert_stored(answer, 0xA700)
        self.assertIn("n1: takes no data while others wait", answer.comment)
        self.assertLess(time.monotonic() - start, 5 * SLOW)
        self.assert_all_have([good, other], [one])
        self.assertEqual(bad.messages, [])

    def test_one_that_stalls_with_older_answers_outstanding_holds_nobody_up(self):
        """Its association has to stay for those answers; what passes goes on without it."""
        script = {"window": (4, 1)}
        gateway, (good, bad) = self.passing(131072, 131072, script=script,
                                            settings={"timeouts": {"lag": "500ms", "response": "4s"}})
        bad.batch = 2  # the first is answered with the second, which does not come
        sender, first, second = self.sender(gateway, window=(4, 1)), make_instance(1000), make_instance(24 * MIB)
        sender.send(1, sender.store_command(first, message_id=11), first.data)
        wait_until(lambda: bad.messages, "the first has arrived")
        bad.at_bytes = (MIB, "stall")
        start = time.monotonic()
        sender.begin(second, message_id=12)
        sender.wire.send(each(cut(second.data, [MIB])))
        answer = sender.response()
        self.assertLess(time.monotonic() - start, 3 * SLOW)
        self.assertEqual((answer.answered_id, answer.status), (12, 0xA700))
        self.assertIn("n1: takes no data while others wait", answer.comment)
        self.assert_all_have([good], [first, second])
        self.assert_passed(gateway)
        late = sender.response()
        self.assertEqual((late.answered_id, late.status), (11, 0xA700))

    def test_a_pause_of_the_sender_is_no_stall_of_a_destination(self):
        """What a destination has not taken of a burst counts from when that came, not from the burst before."""
        gateway, (good, slow) = self.passing(131072, 131072, settings={"timeouts": {"lag": "1s"}})
        sender, one, rest = self.half_sent(gateway, size=40 * MIB, pdu=MIB)
        wait_until(lambda: slow.arrived() > MIB, "it arrives")
        slow.pause()
        time.sleep(1.2)
        thread = threading.Thread(target=lambda: sender.wire.send(rest))
        thread.start()
        wait_until(lambda: good.arrived() > 4 * MIB, "others take it")
        time.sleep(0.5)
        slow.resume()
        thread.join()
        self.assert_stored(sender.response())
        self.assert_all_have([good, slow], [one])

    def test_one_that_goes_in_the_middle_does_not_disturb_the_others(self):
        for how in ("abort", "close", "reset"):
            with self.subTest(how):
                gateway, (good, bad, other) = self.passing(131072, 50_000, 1 << 20)
                bad.at_bytes = (2 * MIB, how)
                sender, one, two = self.sender(gateway), make_instance(12 * MIB), make_instance(3 * MIB)
                answer = self.store_raw(sender, one, each(cut(one.data, [MIB])), gateway)
                self.assert_stored(answer, 0xA700)
                self.assertIn("n1: ", answer.comment)
                bad.at_bytes = None
                self.assert_stored(self.store_raw(sender, two, each(cut(two.data, [BIG])), gateway))
                self.assert_all_have([good, other], [one, two])
                self.assert_all_have([bad], [two])

    def test_one_that_refuses_early_is_heard_and_the_others_complete(self):
        gateway, (good, bad) = self.passing(131072, 131072)
        bad.at_bytes, bad.early_status = (MIB, "early"), 0xC123
        sender, one, two = self.sender(gateway), make_instance(12 * MIB), make_instance(3 * MIB)
        answer = self.store_raw(sender, one, each(cut(one.data, [MIB])), gateway)
        self.assert_stored(answer, 0xC123)
        wait_until(lambda: good.messages and bad.messages, "both have it")
        self.assert_all_have([good, bad], [one])
        bad.at_bytes = None
        self.assert_stored(self.store_raw(sender, two, each(cut(two.data, [BIG])), gateway))
        self.assert_all_have([good, bad], [one, two])


# ---- deaths


class SenderDies(TapCase):
    """Whatever it does: its destination sees a part of the data set and the end, and the next message is none the worse."""

    def dies(self, how, at_boundary=False, tail=b"", settings=None):
        gateway, tap = self.tapped(settings=settings)
        sent = 2 * (12 + MIB) + (0 if at_boundary else 12 + MIB // 2 + 1)
        sender, one, _ = self.half_sent(gateway, sent=sent)
        wait_until(lambda: self.used(tap) and len(self.used(tap)[0].raw) > 2 * MIB, "payload arrives")
        sender.wire.send(tail)
        how(sender)
        cut_off = self.assert_cut(tap, one)
        self.assertEqual(self.used(tap), [cut_off])
        self.next_works(gateway, tap)
        return cut_off

    def next_works(self, gateway, tap):
        """A whole instance on an association that nothing was cut on."""
        sender, one = self.sender(gateway), make_instance(3 * MIB)
        sender.begin(one)
        sender.wire.send(each(cut(one.data, [BIG])))
        wait_until(lambda: len(self.used(tap)) == 2 and self.used(tap)[1].judged()[1], "the next one arrives")
        self.assertEqual(self.used(tap)[1].judged(), (one.data, True, False, []))
        self.used(tap)[1].close()
        self.assert_stored(sender.response(), 0xA700)

    def test_it_closes_in_the_middle_of_a_fragment(self):
        self.dies(lambda s: s.close())

    def test_it_resets_in_the_middle_of_a_fragment(self):
        self.dies(lambda s: s.reset())

    def test_it_closes_between_two_PDUs(self):
        self.dies(lambda s: s.close(), at_boundary=True)

    def test_it_aborts_between_two_PDUs(self):
        self.dies(lambda s: s.abort(), at_boundary=True)

    def test_it_says_an_abort_in_the_middle_of_a_fragment_which_is_payload(self):
        """Ten bytes of what may be anything: nothing tells them from the data set."""
        gateway, tap = self.tapped()
        sender, one, _ = self.half_sent(gateway, sent=2 * (12 + MIB) + 12 + 1000)
        sender.abort()
        cut_off = wait_until(lambda: [c for c in self.used(tap) if c.ended and len(c.raw) > 2 * MIB], "it is cut")[0]
        payload, whole, amid, others = cut_off.judged()
        self.assertFalse(whole)
        self.assertEqual(others, [])
        sent = one.data[:2 * MIB + 1000] + dicom.pdu(dicom.ABORT, bytes(4))
        self.assertTrue(sent.startswith(payload))

    def test_it_sends_garbage_for_a_header(self):
        self.dies(lambda s: self.assertEqual(s.end(), "abort"), at_boundary=True, tail=b"GET / HTTP/1.1\r\n\r\n")

    def test_it_ends_within_a_header(self):
        self.dies(lambda s: s.close(), at_boundary=True, tail=p_data(pdv(1, 0, bytes(10)))[:9])

    def test_it_asks_for_release_and_closes(self):
        self.dies(lambda s: s.close(), at_boundary=True, tail=dicom.pdu(dicom.RELEASE_RQ, bytes(4)))

    def test_a_command_where_data_go_on(self):
        echo = dicom.command({0x0002: dicom.VERIFICATION, 0x0100: 0x30, 0x0110: 9, 0x0800: 0x0101})
        self.dies(lambda s: self.assertEqual(s.end(), "abort"), at_boundary=True, tail=p_data(pdv(1, 3, echo)))

    def test_a_PDV_that_reaches_past_its_PDU(self):
        raw = struct.pack(">BBIIBB", dicom.P_DATA, 0, BIG, BIG, 1, 0)
        self.dies(lambda s: self.assertEqual(s.end(), "abort"), at_boundary=True, tail=raw)

    def test_it_says_no_more(self):
        self.dies(lambda s: self.assertEqual(s.end(), "abort"), settings={"timeouts": {"progress": "1s"}})


class DestinationDies(TapCase):
    """The sender is answered A700 with the node's name, what it still sends is swallowed, and its association goes on."""

    def assert_refused_and_goes_on(self, gateway, sink, sender, rest, *words):
        sender.wire.send(rest)
        answer = sender.response()
        self.assert_stored(answer, 0xA700)
        self.assertTrue(answer.comment.startswith("a: "), answer.comment)
        for word in words:
            self.assertIn(word, answer.comment)
        return answer

    def test_it_goes_in_the_middle(self):
        for how in ("abort", "close", "reset"):
            with self.subTest(how):
                gateway, (sink,) = self.passing(131072)
                sink.at_bytes = (3 * MIB // 2, how)
                sender, two = self.sender(gateway), make_instance(3 * MIB)
                one = make_instance(16 * MIB)
                answer = self.store_raw(sender, one, each(cut(one.data, [MIB])), gateway)
                self.assert_stored(answer, 0xA700)
                self.assertTrue(answer.comment.startswith("n0: "), answer.comment)
                sink.at_bytes = None
                self.assert_stored(self.store_raw(sender, two, each(cut(two.data, [BIG])), gateway))
                self.assertEqual([m.data for m in sink.messages], [two.data])
                sender.release()

    def stuck(self, settings=None):
        """A destination that reads no more, in the middle of a fragment. Returns (gateway, tap, its connection, sender, instance,
        thread that sends the rest)."""
        gateway, tap = self.tapped(self.tap(receive_buffer=65536), settings=settings)
        sender, one, rest = self.half_sent(gateway, size=24 * MIB)
        used = wait_until(lambda: [c for c in self.used(tap) if len(c.raw) > 64 * KIB], "payload arrives")[0]
        used.reads.clear()
        thread = threading.Thread(target=lambda: sender.wire.send(rest))
        thread.start()
        size = 0

        def is_stuck():
            nonlocal size
            before, size = size, self.queued(used)
            time.sleep(0.1)
            return size > 0 and size == before
        wait_until(is_stuck, "it is stuck")
        return gateway, tap, used, sender, one, thread

    def queued(self, used):
        """Bytes that wait for this end of a connection to read them."""
        return int.from_bytes(fcntl.ioctl(used.wire.socket.fileno(), termios.FIONREAD, bytes(4)), "little")

    def assert_swallowed(self, sender, thread, *words):
        answer = sender.response()
        thread.join()
        self.assert_stored(answer, 0xA700)
        self.assertTrue(answer.comment.startswith("a: "), answer.comment)
        for word in words:
            self.assertIn(word, answer.comment)

    def test_it_closes_while_it_is_stuck(self):
        gateway, tap, used, sender, one, thread = self.stuck()
        used.close()
        self.assert_swallowed(sender, thread)

    def test_it_resets_while_it_is_stuck(self):
        gateway, tap, used, sender, one, thread = self.stuck()
        used.wire.reset()
        self.assert_swallowed(sender, thread)

    def test_it_aborts_while_it_is_stuck(self):
        gateway, tap, used, sender, one, thread = self.stuck()
        used.wire.send(dicom.pdu(dicom.ABORT, bytes([0, 0, 2, 1])))
        self.assert_swallowed(sender, thread, "aborted by the peer")
        used.reads.set()
        self.assert_cut(tap, one)

    def test_it_takes_nothing_past_progress(self):
        gateway, tap, used, sender, one, thread = self.stuck({"timeouts": {"progress": "1s"}})
        self.assert_swallowed(sender, thread, "takes no data")
        used.reads.set()
        self.assert_cut(tap, one)

    def test_what_we_say_to_garbage_in_the_middle_of_a_fragment_is_not_taken_for_payload(self):
        gateway, tap, used, sender, one, thread = self.stuck()
        used.wire.send(b"GET / HTTP/1.1\r\n\r\n")
        self.assert_swallowed(sender, thread)
        used.reads.set()
        self.assert_cut(tap, one)

    def test_what_we_say_to_garbage_while_the_sender_pauses_in_the_middle_of_a_fragment(self):
        gateway, tap = self.tapped()
        sender, one, rest = self.half_sent(gateway)
        used = wait_until(lambda: [c for c in self.used(tap) if len(c.raw) > MIB], "payload arrives")[0]
        used.wire.send(b"GET / HTTP/1.1\r\n\r\n")
        cut_off = self.assert_cut(tap, one)
        self.assertEqual(cut_off.judged()[3], [], "there is an A-ABORT")
        self.assert_refused_and_goes_on(gateway, tap, sender, rest)

    def test_a_release_that_it_asks_for_in_the_middle_of_a_fragment(self):
        gateway, tap = self.tapped()
        sender, one, rest = self.half_sent(gateway)
        used = wait_until(lambda: [c for c in self.used(tap) if len(c.raw) > MIB], "payload arrives")[0]
        used.wire.send(dicom.pdu(dicom.RELEASE_RQ, bytes(4)))
        cut_off = self.assert_cut(tap, one)
        self.assertEqual(cut_off.judged()[3], [])
        self.assert_refused_and_goes_on(gateway, tap, sender, rest)

    def test_a_refusal_is_heard_though_the_connection_is_reset_behind_it(self):
        """Also where we notice the broken connection first."""
        for attempt in range(3):
            with self.subTest(attempt=attempt):
                self.refused()

    def refused(self):
        gateway, tap = self.tapped()
        sender, one = self.sender(gateway), make_instance(24 * MIB)
        sender.begin(one)
        thread = threading.Thread(target=lambda: sender.wire.send(each(cut(one.data, [MIB]))))
        thread.start()
        used = wait_until(lambda: [c for c in self.used(tap) if len(c.raw) > 4 * MIB], "payload arrives")[0]
        answer = {0x0002: CT, 0x0100: dicom.C_STORE_RSP, 0x0120: used.message_id(), 0x0800: 0x0101, 0x0900: 0xA900,
                  0x1000: one.uid}
        used.wire.send(p_data(pdv(1, 3, dicom.command(answer))))
        used.close()
        answer = sender.response()
        thread.join()
        self.assert_stored(answer, 0xA900)


# ---- signals


class Signals(PassCase):
    def test_SIGTERM_lets_what_passes_finish(self):
        gateway, (sink,) = self.passing(131072)
        sender, one, rest = self.half_sent(gateway)
        gateway.signal(signal.SIGTERM)
        wait_until(lambda: not is_listening(gateway.port), "it has stopped accepting")
        sender.wire.send(rest)
        self.assert_stored(sender.response())
        self.assertTrue(sink.messages[0].data == one.data)
        self.assertEqual(gateway.wait_exit(), 0)

    def test_what_passes_and_does_not_finish_is_ended_after_drain(self):
        gateway, (sink, other) = self.passing(131072, 1 << 20, settings={"timeouts": {"drain": "500ms"}})
        sender, one, rest = self.half_sent(gateway)
        gateway.signal(signal.SIGTERM)
        self.assertEqual(gateway.wait_exit(), 0)
        self.assertIn(sender.end(), ("abort", "close"))
        wait_until(lambda: not sink.open() and not other.open(), "the destinations' associations have ended")
        self.assertEqual(sink.messages + other.messages, [])

    def test_what_is_stuck_is_ended_after_drain(self):
        gateway, (sink,) = self.passing(131072, settings={"timeouts": {"drain": "500ms"}}, script={"receive_buffer": 65536})
        sink.at_bytes = (MIB, "stall")
        sender, one = self.sender(gateway, seconds=1), make_instance(24 * MIB)
        sender.begin(one)
        try:
            sender.wire.send(each(cut(one.data, [MIB])))
        except TimeoutError:
            pass
        self.assert_passed(gateway)
        gateway.signal(signal.SIGTERM)
        self.assertEqual(gateway.wait_exit(), 0)
        self.assertEqual(sink.messages, [])

    def test_SIGHUP_changes_nothing_for_what_passes(self):
        """The message goes on as it began, and the next by the new file."""
        gateway, (sink,) = self.passing(131072)
        sender, one, rest = self.half_sent(gateway)
        new = self.sink(max_length=131072)
        gateway.write(node("b", new), route("all", to="b", zero_copy=False))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reloaded"), "it is reloaded")
        sender.wire.send(rest)
        self.assert_stored(sender.response())
        self.assertTrue(sink.messages[0].data == one.data)
        two, before = make_instance(2 * MIB), self.passed(gateway)
        self.assert_stored(self.sender(gateway).store(two))
        self.assertTrue(new.messages[0].data == two.data)
        self.assertEqual(self.passed(gateway), before)


# ---- what it holds


class Holdings(PassCase):
    seconds = 120

    def descriptors(self, gateway):
        return os.listdir(f"/proc/{gateway.process.pid}/fd")

    def flags_of_sockets(self, gateway):
        """Status flags of its connections: {descriptor: flags}"""
        out, base = {}, f"/proc/{gateway.process.pid}"
        for fd in self.descriptors(gateway):
            try:
                if os.readlink(f"{base}/fd/{fd}").startswith("socket:"):
                    with open(f"{base}/fdinfo/{fd}") as f:
                        out[fd] = next(int(line.split()[1], 8) for line in f if line.startswith("flags:"))
            except FileNotFoundError:
                pass  # closed meanwhile
        return out

    def test_connections_are_blocking_ones_between_turns(self):
        """An operation of the ring on one that is not would fail instead of wait."""
        gateway, sinks = self.passing(131072, 1 << 20)
        sender, one, rest = self.half_sent(gateway)
        wait_until(lambda: sinks[0].arrived() > MIB, "it has passed")
        wait_until(lambda: not any(flags & os.O_NONBLOCK for flags in self.flags_of_sockets(gateway).values()), "a turn ends")
        self.assertGreater(len(self.flags_of_sockets(gateway)), 3)
        sender.wire.send(rest)
        self.assert_stored(sender.response())
        self.assertFalse(any(flags & os.O_NONBLOCK for flags in self.flags_of_sockets(gateway).values()))

    def rounds_of_everything(self, gateway, sinks):
        """Whole instances, senders that die, destinations that die, one that stalls."""
        for how in (None, "close", "reset", "abort", "stall", None):
            sinks[0].at_bytes = (2 * MIB, how) if how else None
            sender, one = self.sender(gateway), make_instance(8 * MIB)
            answer = self.store_raw(sender, one, each(cut(one.data, [MIB])), gateway)
            self.assertEqual(answer.status == 0, how is None)
            sender.release()
        sinks[0].at_bytes = None
        for how in ("close", "reset"):
            sender, _, _ = self.half_sent(gateway)
            getattr(sender, how)()
        wait_until(lambda: len(self.flags_of_sockets(gateway)) == 1, "all connections are closed", 20)

    def test_descriptors_come_back_whatever_happens(self):
        times = {"lag": "300ms", "linger": "100ms", "response": "1s", "association": "1s"}
        gateway, sinks = self.passing(131072, 131072, 1 << 20, settings={"workers": 1, "timeouts": times, "control": False})
        self.rounds_of_everything(gateway, sinks)  # some pipes are kept for the next time
        before = len(self.descriptors(gateway))
        for _ in range(2):
            self.rounds_of_everything(gateway, sinks)
        wait_until(lambda: len(self.descriptors(gateway)) <= before, "descriptors come back")

    def at_once(self, gateway, sinks, instances, limit=None):
        """Each on an association of its own, all in the middle of their data at once."""
        senders = [self.sender(gateway, seconds=30) for _ in instances]
        raws = [each(cut(one.data, [BIG])) for one in instances]
        sent = []
        for sender, one, raw in zip(senders, instances, raws):
            sender.begin(one)
            if limit:
                sender.wire.send(raw[:66 * KIB])
                sent.append(66 * KIB)
            else:
                sent.append(self.until_it_passes(sender, raw, gateway, 30_000))
        if limit:
            wait_until(lambda: sum(len(s.open()) for s in sinks) >= len(instances) * len(sinks), "all have a connection")
            limit()
        for sender, raw, at in zip(senders, raws, sent):
            sender.wire.send(raw[at:at + 200_000])
        for sender, raw, at in zip(senders, raws, sent):
            sender.wire.send(raw[at + 200_000:])
        self.assertEqual({str(sender.response()) for sender in senders}, {"status 0000 comment ''"})
        for sink in sinks:
            self.assertTrue({m.uid: m.data for m in sink.messages} == {i.uid: i.data for i in instances})

    def limit_descriptors(self, gateway, highest):
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (highest, highest))

    def test_a_hundred_at_once(self):
        gateway, sinks = self.passing(131072)
        self.at_once(gateway, sinks, [make_instance(600_000) for _ in range(100)])
        self.assert_passed(gateway, 99)

    def test_without_descriptors_for_pipes_it_goes_through_memory(self):
        gateway, sinks = self.passing(131072, 131072, settings={"workers": 1})

        def no_more():
            self.limit_descriptors(gateway, max(map(int, self.descriptors(gateway))) + 2)
        self.at_once(gateway, sinks, [make_instance(600_000) for _ in range(20)], no_more)

    def test_pipes_leave_descriptors_to_connections(self):
        """Few of them: some payload goes through memory, and every association is made all the same."""
        gateway, sinks = self.passing(131072, settings={"workers": 1})
        self.limit_descriptors(gateway, len(self.descriptors(gateway)) + 100)
        self.at_once(gateway, sinks, [make_instance(600_000) for _ in range(35)])
        self.assert_passed(gateway)
        with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=10 * SLOW) as sender:
            self.assert_stored(sender.store(make_instance(1000)))

    def test_a_slow_destination_slows_its_sender_and_not_the_memory(self):
        for memory, count in (("1GiB", 1), ("4MiB", 4)):
            with self.subTest(memory=memory):
                settings = {"workers": 1, "memory": memory, "window": "1MiB"}
                gateway, sinks = self.passing(131072, 131072, script={"receive_buffer": 65536, "keep": False}, settings=settings)
                senders = [self.half_sent(gateway, size=2 * MIB, sent=12 + MIB)[0] for _ in range(count)]
                for sink in sinks:
                    sink.pause()
                before = gateway.memory("VmRSS")
                for sender in senders:
                    self.push(sender)
                if not SANITIZED:
                    self.assertLess(gateway.memory() - before, 4 * MIB)
                for sender in senders:
                    sender.reset()
                for sink in sinks:
                    sink.resume()

    def push(self, sender):
        """Sends until nothing more is taken."""
        sender.wire.socket.settimeout(0.5)
        with self.assertRaises(TimeoutError, msg="nothing held the sender back"):
            for _ in range(64):
                sender.wire.send(p_data(pdv(1, 0, bytes(MIB))))

    def test_a_small_memory_is_no_hindrance(self):
        gateway, sinks = self.passing(131072, settings={"workers": 1, "memory": "4MiB", "window": "1MiB"})
        self.at_once(gateway, sinks, [make_instance(1_500_000) for _ in range(20)])
        self.assert_passed(gateway)


# ---- everything at once


class Entry:
    """What became of one instance."""

    def __init__(self, instance, called):
        data = instance.data + b"\0" * (len(instance.data) % 2)
        self.length, self.crc, self.called, self.uid = len(data), zlib.crc32(data), called, instance.uid
        self.status, self.is_whole = None, False


class Storm(PassCase):
    """Random sizes, cuts, deaths, stalls and fan-outs for a few seconds. HILUM_STORM is how many, and a seed: "60 7"."""

    seconds = 4000
    ROUTES = {"ONE": 1, "TWO": 2, "FOUR": 4, "MEMORY": 2}

    def setUp(self):
        given = os.environ.get("HILUM_STORM", f"4 {random.randrange(1 << 32)}").split()
        self.duration, self.seed = float(given[0]), int(given[1])
        self.ledger = {}

    def start(self):
        dice = random.Random(self.seed)
        self.sinks = [self.sink(keep=False, max_length=dice.choice([131072, 40_000, 100_001, 1 << 20, 0]),
                                window=dice.choice([None, (4, 1)])) for _ in range(4)]
        names = [f"n{i}" for i in range(4)]
        times = {"lag": "400ms", "response": "3s", "progress": "2s", "association": "1s", "linger": "200ms"}
        routes = [route(title.lower(), to=names[:count], when={"called": title}, zero_copy=title != "MEMORY")
                  for title, count in self.ROUTES.items()]
        return self.gateway(*[node(n, s) for n, s in zip(names, self.sinks)], *routes, timeouts=times, log={"level": "debug",
                            "format": "json"}, replay_max=dice.choice(["0", "256KiB"]), max_pdu=0, memory="64MiB")

    def vary(self, dice):
        """Destinations that die or stall, one after the other."""
        sink = dice.choice(self.sinks)
        what = dice.choice(["abort", "close", "reset", "early", "pause", "pause"])
        if what == "pause":
            sink.pause()
            time.sleep(dice.choice([0.05, 0.1, 0.7]))
            sink.resume()
        else:
            sink.at_bytes = (dice.choice([1, 100_000, 300_000, 900_000]), what)
            time.sleep(0.03)
            sink.at_bytes = None
        time.sleep(0.1)

    def cut_up(self, dice, data):
        sizes = dice.choice([[BIG], [MIB], [33 * KIB], [64 * KIB], [50_001], [BIG, 10], [BIG, 200_000, 1], [len(data)],
                             [dice.randrange(1, 300_000) for _ in range(5)], [16378]])
        end = dice.choice([None, None, None, 0, 1, 2, 3, min(len(data), 100_000)])
        pdvs = cut(data, sizes, end=end)
        return dice.choice([each, in_threes, with_empty_ones])(pdvs)

    def send_in_bits(self, dice, sender, raw):
        how = dice.randrange(4)
        if how == 0:
            sender.wire.send(raw)
            return
        at, bit = 0, dice.choice([1000, 70_000, 131_072 + 12, 500_000])
        while at < len(raw):
            n = bit if how < 3 else dice.randrange(1, 2 * bit)
            sender.wire.send(raw[at:at + n])
            at += n
            if dice.random() < 0.02:
                time.sleep(dice.random() * 0.05)

    def send_one(self, dice, sender, called):
        """Sends an instance, or a part of one and dies."""
        one = make_instance(dice.choice([1000, 70_000, 150_000, dice.randrange(3 * MIB), dice.randrange(3 * MIB)]))
        one.data += b"x" * dice.randrange(2)
        entry = self.ledger[one.uid] = Entry(one, called)
        raw = self.cut_up(dice, one.data)
        message_id = sender.next_id
        sender.begin(one)
        if dice.random() < 0.08:
            self.send_in_bits(dice, sender, raw[:dice.randrange(len(raw) - 40)] + dice.choice([b"", b"", b"GET / HTTP/1.1\r\n"]))
            dice.choice([sender.close, sender.reset, sender.abort])()
            raise dicom.Closed("by us")
        entry.is_whole = True
        self.send_in_bits(dice, sender, raw)
        return message_id, entry

    def run_sender(self, dice, gateway):
        called, window = dice.choice(list(self.ROUTES)), dice.choice([None, (3, 1)])
        with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=30 * SLOW, called=called, window=window) as sender:
            for _ in range(3):
                sent = dict(self.send_one(dice, sender, called) for _ in range(window[0] if window else 1))
                for _ in sent:
                    answer = sender.response()
                    sent[answer.answered_id].status = answer.status

    def work(self, number, gateway, until, troubles):
        dice = random.Random(f"{self.seed} {number}")
        while time.monotonic() < until:
            try:
                self.vary(dice) if number == 0 else self.run_sender(dice, gateway)
            except dicom.Ended:
                pass
            except Exception as trouble:
                troubles.append(f"{number}: {type(trouble).__name__} {trouble}")
                return

    def test_what_is_acknowledged_is_everywhere_whole_and_what_is_cut_is_nowhere(self):
        gateway, troubles = self.start(), []
        until = time.monotonic() + self.duration
        threads = [threading.Thread(target=self.work, args=(n, gateway, until, troubles), daemon=True) for n in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with self.subTest(storm=f"{self.duration:g} {self.seed}"):
            self.assertEqual(troubles, [])
            self.assertTrue(gateway.alive())
            self.assert_passed(gateway)
            self.judge()

    def judge(self):
        arrived = [{m.uid: (m.length, m.crc) for m in list(sink.messages)} for sink in self.sinks]
        good = [e for e in self.ledger.values() if e.status == 0]
        self.assertGreater(len(good), len(self.ledger) / 5, "too few pass to say anything")
        for e in self.ledger.values():
            for number, place in enumerate(arrived):
                if e.uid in place:
                    self.assertLess(number, self.ROUTES[e.called], "it is where it does not belong")
                    self.assertEqual(place[e.uid], (e.length, e.crc), "it arrived, but not byte for byte")
                    self.assertTrue(e.is_whole, "it was cut, and arrived as if whole")
                elif number < self.ROUTES[e.called]:
                    self.assertNotEqual(e.status, 0, "it was acknowledged and is not everywhere")
