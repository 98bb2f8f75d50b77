"""Nothing a peer sends crashes the gateway, makes it grow without bound, or disturbs others."""

import os
import resource
import socket
import struct
import threading
import time
import unittest.mock

import dicom
import harness
from dicom import CT, EXPLICIT, IMPLICIT, LAST, VERIFICATION, Associate, make_instance
from harness import SANITIZED, SLOW, Case, wait_until
from sender import Sender, contexts_of

HTTP = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nUser-Agent: kube-probe/1.30\r\n\r\n"
TLS_HELLO = bytes.fromhex("16030100f1010000ed0303") + bytes(230)
GARBAGE = [
    ("nothing", b""), ("one byte", b"\x01"), ("an HTTP health probe", HTTP), ("a TLS hello", TLS_HELLO),
    ("zeros", bytes(70_000)), ("ones", b"\xff" * 70_000), ("text", b"SSH-2.0-OpenSSH_9.2\r\n"),
    ("noise", make_instance(100_000).data[-100_000:]), ("an unknown PDU type", dicom.pdu(0x42, b"x" * 100)),
    ("P-DATA before an association", dicom.p_data(dicom.pdv(1, 3, b"xx"))), ("a release first", dicom.pdu(5, bytes(4))),
    ("an answer first", dicom.pdu(2, bytes(200))), ("a rejection first", dicom.pdu(3, bytes(4))),
    ("an abort first", dicom.pdu(7, bytes(4))), ("an empty request", dicom.pdu(1)),
    ("a request of titles only", dicom.pdu(1, bytes(68))),
]


def request():
    """An association request with every item."""
    return Associate(contexts=contexts_of([(CT, [EXPLICIT, IMPLICIT])]), window=(4, 1), roles=[(CT, 1, 0)],
                     extended=[(CT, bytes(6))], common=[(CT, "1.2.840.10008.4.2", ["1.2.3", "1.2.4"])],
                     identity=(2, 1, b"user", b"secret")).encode()


def lengths_in(raw):
    """Where the length fields of a request stand: (offset, size), found by walking it as PS3.8 9.3.2 lays it out."""
    yield 2, 4

    def items(at, end):
        while at < end:
            kind, length = raw[at], struct.unpack_from(">H", raw, at + 2)[0]
            yield at + 2, 2
            start = at + 4
            if kind in (0x20, 0x50):
                yield from items(start + (4 if kind == 0x20 else 0), start + length)
            elif kind in (0x54, 0x56, 0x57):
                yield start, 2
                if kind == 0x57:
                    second = start + 2 + struct.unpack_from(">H", raw, start)[0]
                    yield second, 2
                    third = second + 2 + struct.unpack_from(">H", raw, second)[0]
                    yield third, 2
                    yield third + 2, 2
            elif kind == 0x58:
                yield start + 2, 2
                yield start + 4 + struct.unpack_from(">H", raw, start + 2)[0], 2
            at = start + length
    yield from items(6 + 68, len(raw))


class Hostile(Case):
    settings = {"timeouts": {"association": "2s", "progress": "2s"}}

    def setUp(self):
        self.gateway_, self.sink_ = self.simple(settings=self.settings)

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.gateway_.port), 10 * SLOW)
        connection.settimeout(10 * SLOW)
        self.addCleanup(connection.close)
        return connection

    def throw(self, raw):
        """Sends bytes and nothing more; returns what came until the gateway closed."""
        connection, got = self.connect(), b""
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            while True:
                more = connection.recv(65536)
                if not more:
                    break
                got += more
        except ConnectionError:
            pass
        finally:
            connection.close()
        return got

    def tearDown(self):
        self.assertTrue(self.gateway_.alive(), "the gateway has died")
        self.assert_still_serves(self.gateway_, self.sink_)
        if not SANITIZED:
            self.assertLess(self.gateway_.memory(), 64 << 20)


class Bytes(Hostile):
    def test_garbage_of_every_kind_is_answered_by_an_abort_or_a_close(self):
        for what, raw in GARBAGE:
            with self.subTest(what):
                got = self.throw(raw)
                self.assertIn(got[:1], (b"", b"\x07", b"\x03"), got[:100])
                self.assertTrue(self.gateway_.alive())

    def test_an_unknown_PDU_type_is_aborted_by_the_provider(self):
        self.assert_aborts(dicom.pdu(0x42, b"x" * 100), (2, 1))

    def test_an_unexpected_PDU_is_aborted_by_the_provider(self):
        self.assert_aborts(request(), (2, 2))

    def assert_aborts(self, raw, source_and_reason):
        """On an association (AA-8). Before there is one, an A-ABORT comes from the service user (AA-1)."""
        sender = self.sender(self.gateway_)
        sender.wire.send(raw)
        self.assertEqual(sender.end(), "abort")
        self.assertEqual(tuple(sender.last_body[2:4]), source_and_reason)
        got = self.throw(dicom.pdu(0x42, b""))
        self.assertEqual((got[:1], got[8:9]), (b"\x07", b"\0"))

    def test_a_request_truncated_at_every_length(self):
        raw = request()
        for length in range(len(raw)):
            got = self.throw(raw[:length])
            self.assertIn(got[:1], (b"", b"\x07", b"\x03"), f"{length} bytes")

    def test_every_length_of_a_request_lies_in_every_way(self):
        raw = request()
        fields = list(lengths_in(raw))
        self.assertGreater(len(fields), 20)
        for offset, size in fields:
            true = int.from_bytes(raw[offset:offset + size], "big")
            for lie in {0, 1, 2, true - 1, true + 1, true + 2, 0x7FFF, 0xFFFF, (1 << 8 * size) - 1} - {true}:
                with self.subTest(offset=offset, lie=lie):
                    lying = raw[:offset] + lie.to_bytes(size, "big") + raw[offset + size:]
                    got = self.throw(lying)
                    self.assertIn(got[:1], (b"", b"\x02", b"\x03", b"\x07"), got[:20])

    def test_a_request_of_four_GiB_is_cut_short(self):
        """The abort comes at once; what follows it is thrown away until the connection is closed."""
        connection = self.connect()
        connection.sendall(struct.pack(">BBI", 1, 0, 0xFFFFFFFF) + bytes(68))
        block, start = bytes(1 << 20), time.monotonic()
        try:
            while time.monotonic() - start < 20 * SLOW:
                connection.send(block)
            self.fail("the connection is still open")
        except OSError:
            pass

    def test_a_request_of_a_thousand_thousand_items_is_cut_short(self):
        body = request()[6:] + dicom.item(0x99, b"") * 1_000_000
        got = self.throw(dicom.pdu(1, body))
        self.assertIn(got[:1], (b"", b"\x03", b"\x07"))

    def test_a_request_byte_by_byte_is_understood(self):
        sender = Sender(self.gateway_.port, [(CT, [EXPLICIT])], associate=False)
        self.addCleanup(sender.close)
        for i in range(len(raw := sender.request.encode())):
            sender.wire.send(raw[i:i + 1])
        _, body = sender.wire.expect(dicom.ASSOCIATE_AC)
        self.assertEqual([c.result for c in Associate.decode(body).contexts], [0])

    def test_duplicate_and_even_context_ids_and_contexts_without_syntax_harm_nobody(self):
        for contexts in ([(1, CT, [EXPLICIT]), (1, CT, [IMPLICIT])], [(2, CT, [EXPLICIT])], [(0, CT, [EXPLICIT])],
                         [(1, CT, [])], [(1, "", [EXPLICIT])], [(1, "x" * 500, [EXPLICIT])], [(1, CT, ["not a uid"])]):
            asked = Associate(contexts=[dicom.Proposed(*c) for c in contexts])
            self.assertIn(self.throw(asked.encode())[:1], (b"", b"\x02", b"\x03", b"\x07"))


# P-DATA that breaks a rule, on an association with context 1: what it is, the bytes.
BROKEN_DATA = [
    ("a PDV longer than its PDU", dicom.pdu(4, struct.pack(">IBB", 1000, 1, 3) + b"xx")),
    ("a PDV of length 0", dicom.pdu(4, struct.pack(">I", 0))),
    ("a PDV of length 1", dicom.pdu(4, struct.pack(">IB", 1, 1))),
    ("a PDV of 4 GiB", dicom.pdu(4, struct.pack(">IBB", 0xFFFFFFFF, 1, 3))),
    ("a PDV header cut by the PDU's end", dicom.pdu(4, b"\0\0\0")),
    ("an even context id", dicom.p_data(dicom.pdv(2, 3, b"xx"))),
    ("a context that was never proposed", dicom.p_data(dicom.pdv(77, 3, dicom.command({0x0100: 1})))),
    ("data without a command", dicom.p_data(dicom.pdv(1, LAST, b"data"))),
    ("an empty command", dicom.p_data(dicom.pdv(1, 3, b""))),
    ("a command that is no command set", dicom.p_data(dicom.pdv(1, 3, b"\xff" * 64))),
    ("a command with a length past its end", dicom.p_data(dicom.pdv(1, 3, struct.pack("<HHI", 0, 0x100, 5000)))),
    ("a command of another group", dicom.p_data(dicom.pdv(1, 3, dicom.element(8, 0x18, b"1.2\0")))),
    ("a command field nobody knows", dicom.p_data(dicom.pdv(1, 3, dicom.command({0x0100: 0x0666, 0x0110: 1, 0x0800: 0x0101})))),
    ("a store without message id", dicom.p_data(dicom.pdv(1, 3, dicom.command({0x0002: CT, 0x0100: 1, 0x0800: 1})))),
    ("a response to nothing", dicom.p_data(dicom.pdv(1, 3, dicom.command(
        {0x0002: CT, 0x0100: 0x8001, 0x0120: 1, 0x0800: 0x0101, 0x0900: 0})))),
    ("a command without end", dicom.p_data(dicom.pdv(1, 1, bytes(16000))) * 1000),
    ("an unknown PDU", dicom.pdu(0x99, b"")),
    ("a second association request", request()),
    ("a release of the wrong length", dicom.pdu(5, bytes(1000))),
    ("an abort of the wrong length", dicom.pdu(7, bytes(0))),
    ("a P-DATA of 4 GiB", struct.pack(">BBI", 4, 0, 0xFFFFFFFF) + bytes(100)),
]


class Data(Hostile):
    def test_broken_data_ends_the_association_that_sent_it_and_no_other(self):
        other = self.sender(self.gateway_)
        for what, raw in BROKEN_DATA:
            with self.subTest(what):
                sender = self.sender(self.gateway_)
                try:
                    sender.wire.send(raw)
                    sender.wire.socket.shutdown(socket.SHUT_WR)
                    self.assertIn(sender.end(10 * SLOW), ("abort", "close"))
                except (dicom.Closed, OSError):
                    pass
                self.assert_stored(other.store(make_instance()))

    def test_a_context_that_was_rejected_is_aborted(self):
        self.sink_.classes = [CT]
        sender = self.sender(self.gateway_, [(CT, [EXPLICIT]), ("1.2.840.10008.5.1.4.1.1.4", [EXPLICIT])])
        self.assertNotEqual(sender.results[3], 0)
        sender.wire.send(dicom.p_data(dicom.pdv(3, 3, dicom.command(sender.store_command(make_instance())))))
        self.assertEqual(sender.end(), "abort")

    def test_an_instance_truncated_anywhere_is_never_completed(self):
        one = make_instance(3000)
        with Sender(self.gateway_.port, [(CT, [EXPLICIT])]) as model:
            raw = b"".join(model.pdus(1, model.store_command(one), one.data))
        whole = len(self.sink_.messages)
        for length in range(0, len(raw), 7):
            sender = self.sender(self.gateway_, [(CT, [EXPLICIT])])
            sender.wire.send(raw[:length])
            sender.close()
        self.assert_still_serves(self.gateway_, self.sink_)
        self.assertEqual(len(self.sink_.messages), whole + 1)

    def test_a_store_without_a_data_set_is_answered_by_a_failure_or_an_abort(self):
        sender = self.sender(self.gateway_)
        sender.send(1, sender.store_command(make_instance(), f0800=0x0101))
        try:
            self.assertNotEqual(sender.response().status, 0)
        except dicom.Ended:
            pass


class Silent(Case):
    seconds = 120

    def test_ten_thousand_silent_connections_disturb_nobody_and_are_closed(self):
        count = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1000)
        if SANITIZED:
            count = min(count, 2000)
        seconds = int(8 * SLOW)
        gateway, sink = self.simple(settings={"max_associations": 20_000, "timeouts": {"association": f"{seconds}s"}})
        sender = self.sender(gateway)
        self.assert_stored(sender.store(make_instance()))
        silent = []
        self.addCleanup(lambda: [c.close() for c in silent])
        for _ in range(count):
            silent.append(socket.create_connection(("127.0.0.1", gateway.port), 20))
        slowest = 0
        for _ in range(20):
            start = time.monotonic()
            self.assert_stored(sender.store(make_instance(100_000)))
            slowest = max(slowest, time.monotonic() - start)
        self.assertLess(slowest, 2 * SLOW)
        self.assert_still_serves(gateway, sink)
        if not SANITIZED:
            self.assertLess(gateway.memory(), 256 << 20)
        for connection in silent:
            connection.settimeout(2 * seconds + 10)
            try:
                self.assertIn(connection.recv(1)[:1], (b"", b"\x07"))
            except ConnectionError:
                pass
        self.assert_still_serves(gateway, sink)

    def test_who_says_nothing_or_too_little_is_closed_after_the_association_timeout(self):
        gateway, sink = self.simple(settings={"timeouts": {"association": "500ms"}})
        for said in (b"", b"\x01", request()[:100]):
            connection = socket.create_connection(("127.0.0.1", gateway.port), 10 * SLOW)
            self.addCleanup(connection.close)
            connection.sendall(said)
            start = time.monotonic()
            self.assertIn(connection.recv(1), (b"", b"\x07"))
            self.assertGreater(time.monotonic() - start, 0.3)
        self.assert_still_serves(gateway, sink)

    def test_who_drips_a_byte_now_and_then_is_closed_too(self):
        gateway, sink = self.simple(settings={"timeouts": {"association": "1s"}})
        connection = socket.create_connection(("127.0.0.1", gateway.port), 10)
        self.addCleanup(connection.close)
        start = time.monotonic()
        try:
            for i in range(200):
                connection.sendall(request()[i:i + 1])
                time.sleep(0.05)
        except OSError:
            pass
        self.assertLess(time.monotonic() - start, 8 * SLOW)

    def test_an_idle_association_is_ended_after_idle(self):
        gateway, sink = self.simple(settings={"timeouts": {"idle": "500ms"}})
        sender = self.sender(gateway)
        self.assert_stored(sender.store(make_instance()))
        self.assertIn(sender.end(), ("abort", "release", "close"))

    def test_a_sender_that_does_not_read_its_answers_is_ended(self):
        gateway, sink = self.simple(settings={"timeouts": {"progress": "500ms", "idle": "2s"}})
        sender = self.sender(gateway)
        one = make_instance(100)
        sender.wire.socket.settimeout(1)
        try:
            for i in range(200_000):
                sender.send(sender.context_for(one), sender.store_command(one, message_id=i % 60000), one.data)
        except (TimeoutError, dicom.Closed):
            pass
        self.assertTrue(gateway.alive())
        self.assert_still_serves(gateway, sink)

    def test_requests_whose_answers_nobody_reads_pin_no_memory(self):
        """A million answers could be queued in a second; no more are taken than are read, and none is lost."""
        gateway, _ = self.simple(settings={"log": {"level": "warn", "format": "json"}})
        sender = self.sender(gateway, [(VERIFICATION, [IMPLICIT])])
        fields = {0x0002: VERIFICATION, 0x0100: dicom.C_ECHO_RQ, 0x0110: 1, 0x0800: dicom.NO_DATA_SET}
        thousand, sent = b"".join(sender.pdus(1, fields)) * 1000, 0
        before = gateway.memory("VmRSS")
        sender.wire.socket.settimeout(1)
        left = b""
        try:
            while sent < 3000:
                left = thousand
                while left:
                    left = left[sender.wire.socket.send(left):]
                sent += 1
        except TimeoutError:
            pass
        self.assertLess(sent, 3000, "it does not stop reading")
        if not SANITIZED:
            self.assertLess(gateway.memory() - before, 8 << 20)
        sender.wire.socket.settimeout(20 * SLOW)
        rest = threading.Thread(target=lambda: sender.wire.send(left))
        rest.start()
        for _ in range((sent + 1) * 1000):
            self.assertEqual(sender.response().status, 0)
        rest.join()
        sender.release()


class Descriptors(Case):
    """Hardly any file descriptors (`ulimit -n 64`): who asks for nothing makes room, and what fails for want of them recovers."""

    def setUp(self):
        folder = self.temporary_folder()
        program = f"{folder}/hilum"
        with open(program, "w") as f:
            f.write(f"#!/bin/sh\nulimit -n 64\nexec {harness.HILUM} \"$@\"\n")
        os.chmod(program, 0o755)
        with unittest.mock.patch("harness.HILUM", program):
            self.gateway_, self.sink_ = self.simple(settings={"workers": 2, "log": {"level": "info", "format": "json"}})

    def many(self, count, say=b""):
        connections = []
        self.addCleanup(lambda: [c.close() for c in connections])
        for _ in range(count):
            connections.append(socket.create_connection(("127.0.0.1", self.gateway_.port), 10 * SLOW))
            connections[-1].sendall(say)
        return connections

    def assert_open(self, connections, most):
        """All but so many are closed by the gateway."""
        def left():
            count = 0
            for c in connections:
                c.setblocking(False)
                try:
                    while c.recv(4096):
                        pass
                except BlockingIOError:
                    count += 1
                except ConnectionError:
                    pass
            return count
        wait_until(lambda: left() <= most, "the oldest make room")

    def test_silent_connections_make_room(self):
        connections = self.many(200)
        self.assert_open(connections, 32)
        self.assert_still_serves(self.gateway_, self.sink_)

    def test_rejected_ones_that_do_not_close_make_room(self):
        connections = self.many(200, dicom.Associate(application="1.2.3", contexts=[dicom.Proposed(1, CT, [EXPLICIT])]).encode())
        self.assert_open(connections, 32)
        self.assert_still_serves(self.gateway_, self.sink_)

    def test_associations_past_the_last_descriptor_fail_and_later_ones_are_served(self):
        senders = []
        try:
            for _ in range(80):
                senders.append(self.sender(self.gateway_, seconds=0.5))
                senders[-1].store(make_instance())
        except (TimeoutError, dicom.Ended):
            pass
        self.assertLess(len(senders), 70, "there are no descriptors for so many")
        for sender in senders:
            sender.close()
        wait_until(self.serves, "it recovers")
        self.assertLess(len(self.gateway_.events("accept failed")), 10, "one line an event")

    def serves(self):
        try:
            sender = self.sender(self.gateway_, seconds=2)
            ok = sender.store(make_instance()).status == 0
            sender.close()
            return ok
        except (OSError, dicom.Ended):
            return False
