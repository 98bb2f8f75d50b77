"""What a peer may make long, deep or many, each beyond its limit (docs/limits.md): it is told so, and nobody else is harmed."""

import socket
import struct
import threading
import time
import zlib

import dicom
from dicom import C_FIND_RQ, CT, DEFLATED, EXPLICIT, IMPLICIT, LAST, VERIFICATION, Associate, Proposed, make_instance
from harness import SANITIZED, SLOW, Case, Lua, node, route, wait_until
from peer_data import STUDY_ROOT_FIND, data_of
from peer_service import found
from sender import Sender, contexts_of

ABORT = 7
MIB = 1 << 20


class Limits(Case):
    def simple_with(self, **keys):
        sink = self.sink()
        return self.gateway(node("a", sink), route("all", to="a", **keys)), sink

    def connect(self, gateway):
        connection = socket.create_connection(("127.0.0.1", gateway.port), 10 * SLOW)
        self.addCleanup(connection.close)
        return connection

    def ended_by(self, gateway, what):
        wait_until(lambda: gateway.events("association ended"), "it is ended")
        self.assertEqual(gateway.events("association ended")[-1]["cause"], what)


class Requests(Limits):
    def request(self, **keys):
        return Associate(contexts=contexts_of([(CT, [EXPLICIT])]), **keys)

    def test_a_request_of_1_MiB_is_read_and_a_longer_one_is_not(self):
        gateway, sink = self.simple_with()
        raw = self.request().encode()
        for length, answer in ((MIB, 2), (MIB + 1, ABORT)):
            body = raw[6:]
            while len(body) < length:  # items that nobody knows
                count = min(65535, length - len(body) - 4)
                body += dicom.item(0x7E, bytes(max(count, 0)))
            connection = self.connect(gateway)
            try:
                connection.sendall(raw[:2] + struct.pack(">I", length) + body[:length])
            except OSError:
                pass
            self.assertEqual(connection.recv(1)[0], answer)
        self.assert_still_serves(gateway, sink)

    def test_more_than_128_contexts_are_aborted(self):
        gateway, sink = self.simple_with()
        for count, answer in ((128, 2), (129, ABORT)):
            contexts = [Proposed(2 * i % 256 + 1, CT, [EXPLICIT]) for i in range(count)]
            connection = self.connect(gateway)
            connection.sendall(Associate(contexts=contexts).encode())
            self.assertEqual(connection.recv(1)[0], answer, count)
        self.assert_still_serves(gateway, sink)

    def test_a_peer_that_takes_less_than_a_fragment_is_refused(self):
        gateway, sink = self.simple_with()
        for length, answer in ((1, ABORT), (7, ABORT), (8, 2), (0, 2)):
            connection = self.connect(gateway)
            connection.sendall(self.request(max_length=length).encode())
            self.assertEqual(connection.recv(1)[0], answer, length)
        wait_until(lambda: "maximum length that is too small for a PDV" in gateway.log(), "the cause is told")
        self.assert_still_serves(gateway, sink)

    def test_a_node_that_takes_less_than_a_fragment_has_failed(self):
        gateway, sink = self.simple(max_length=7)
        answer = self.sender(gateway).store(make_instance())
        self.assertEqual(answer.status & 0xFF00, 0xA700, str(answer))
        self.assertIn("maximum length that is too small for a PDV", gateway.log())
        sink.max_length = 8
        self.assert_stored(self.sender(gateway).store(make_instance()))

    def test_a_context_of_thousands_of_transfer_syntaxes_is_answered(self):
        gateway, sink = self.simple(transfers=[EXPLICIT])
        syntaxes = [f"1.2.3.{i}" for i in range(4000)] + [EXPLICIT]
        sender = self.sender(gateway, [(CT, syntaxes)])
        self.assert_stored(sender.store(make_instance()))

    def test_extended_negotiation_and_identity_of_any_length_do_no_harm(self):
        gateway, sink = self.simple_with()
        one = make_instance()
        for keys in ({"extended": [(CT, bytes(55_000))]}, {"extended": [(f"1.2.{i}", bytes(8)) for i in range(2000)]},
                     {"identity": (2, 0, b"u" * 25_000, b"p" * 25_000)}, {"roles": [(f"1.2.{i}", 1, 1) for i in range(2000)]}):
            sender = self.sender(gateway, [(CT, [EXPLICIT])], **keys)
            self.assert_stored(sender.store(one))
            sender.release()
        with self.assertRaises(dicom.Rejected) as rejected:  # no room in a request of ours
            self.sender(gateway, [(CT, [EXPLICIT])], identity=(2, 0, b"u" * 30_001, b"p" * 30_000))
        e = rejected.exception
        self.assertEqual((e.result, e.source, e.reason), (2, 3, 2))

    def test_half_requests_of_many_count_against_memory(self):
        """Each announces a megabyte, sends most of it and stops: without a bound they would hold 200 MB."""
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("all", to="a"), workers=1, memory="8MiB")
        half = b"\x01\0" + struct.pack(">I", MIB) + self.request().encode()[6:] + (dicom.item(0x7E, bytes(60_000))) * 17
        half, before = half[:MIB - 1000], gateway.memory("VmRSS")
        for _ in range(200):
            connection = self.connect(gateway)
            try:
                connection.sendall(half)
            except OSError:
                pass
        wait_until(lambda: any(e["cause"] == "no memory to gather what it sends" for e in gateway.events("association ended")),
                   "some are given up")
        if not SANITIZED:
            self.assertLess(gateway.memory() - before, 60 << 20)
        self.assert_still_serves(gateway, sink)


class Messages(Limits):
    def test_a_command_set_of_more_than_64_KiB_is_aborted(self):
        gateway, sink = self.simple_with()
        sender = self.sender(gateway)
        fragment = dicom.p_data(dicom.pdv(1, dicom.COMMAND, bytes(8000)))
        try:
            for _ in range(10):
                sender.wire.send(fragment)
        except dicom.Ended:
            pass
        self.ended_by(gateway, "command set too long")
        self.assert_still_serves(gateway, sink)

    def test_a_response_that_nobody_asked_for_is_aborted(self):
        gateway, sink = self.simple_with()
        sender = self.sender(gateway, [(VERIFICATION, [IMPLICIT])])
        sender.send(1, {0x0002: VERIFICATION, 0x0100: dicom.C_ECHO_RSP, 0x0120: 1, 0x0800: dicom.NO_DATA_SET, 0x0900: 0})
        self.ended_by(gateway, "a response to no request")

    def test_cancels_of_nothing_cost_no_line_and_no_answer(self):
        gateway, sink = self.simple_with()
        sender = self.sender(gateway, [(VERIFICATION, [IMPLICIT])])
        cancel = b"".join(sender.pdus(1, {0x0100: 0x0FFF, 0x0120: 77, 0x0800: dicom.NO_DATA_SET}))
        before = len(gateway.log())
        for _ in range(20):
            sender.wire.send(cancel * 500)
        self.assertEqual(sender.echo().status, 0)
        self.assertLess(len(gateway.log()) - before, 5000)

    def test_requests_past_the_window_wait_in_the_socket(self):
        """16 at most are taken, whatever is asked for; the rest are answered all the same."""
        sink = self.sink(delay=0.05, window=(16, 16))
        gateway = self.gateway(node("a", sink), route("all", to="a"))
        sender = self.sender(gateway, [(CT, [EXPLICIT])], window=(0, 1))
        ones = [make_instance(seed=i + 1) for i in range(100)]
        for i, one in enumerate(ones):
            sender.send(1, sender.store_command(one, message_id=i + 1), one.data)
        answers = [sender.response() for _ in ones]
        self.assertEqual({a.status for a in answers}, {0})
        self.assertEqual(sorted(a.answered_id for a in answers), list(range(1, 101)))


class Queries(Limits):
    def test_64_queries_of_an_association_are_asked_at_a_time_and_the_rest_wait(self):
        gate = threading.Event()
        service = self.service({C_FIND_RQ: found(gate=gate)})
        gateway = self.gateway(node("a", service), route("all", to="a", when={"service": "find"}))
        client = self.client(gateway, [STUDY_ROOT_FIND], window=(0, 1))
        ids = [client.ask(C_FIND_RQ, STUDY_ROOT_FIND, data_of(EXPLICIT, QueryRetrieveLevel="STUDY")) for _ in range(150)]
        wait_until(lambda: len(service.calls) >= 64, "64 are asked", 20)
        time.sleep(0.3)  # for one too many to come
        self.assertEqual(len(service.calls), 64)
        gate.set()
        answers = [client.message() for _ in ids]
        self.assertEqual({a.status for a in answers}, {0})
        self.assertEqual(sorted(a.fields[0x0120] for a in answers), ids)

    def test_an_answer_that_is_longer_than_header_max_fails_the_query_and_not_the_association(self):
        long = data_of(EXPLICIT, QueryRetrieveLevel="STUDY") + dicom.element(0x20, 0x4000, b" " * 60000, b"LT") * 3
        service = self.service({C_FIND_RQ: found(long)})
        gateway = self.gateway(node("a", service), route("all", to="a", when={"service": "find"}), header_max="64KiB")
        client = self.client(gateway, [STUDY_ROOT_FIND])
        for _ in range(2):
            outcome = client.call(C_FIND_RQ, STUDY_ROOT_FIND, data_of(EXPLICIT, QueryRetrieveLevel="STUDY"))
            self.assertEqual((outcome.status, len(outcome.pending)), (0xA700, 0))
        self.assertEqual(outcome.comment, "a: a response larger than header_max")


class DataSets(Limits):
    def looking(self, **settings):
        """Every instance is read up to its pixels: a function asks for all of it."""
        sink = self.sink()
        return self.gateway(node("a", sink), route("all", to="a", morph=Lua("function (ds) ds.PatientID = 'X' end")), **settings), sink

    def instance(self, data, transfer=EXPLICIT):
        one = make_instance(transfer=transfer)
        one.data = data
        return one

    def nested(self, depth):
        """An item in a sequence in an item, of undefined lengths."""
        begin = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
        end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
        return begin * depth + end * depth

    def test_sequences_are_64_deep_at_most(self):
        gateway, sink = self.looking()
        sender = self.sender(gateway)
        self.assert_stored(sender.store(self.instance(self.nested(64))))
        for depth in (65, 5000):
            answer = sender.store(self.instance(self.nested(depth)))
            self.assertNotEqual(answer.status, 0)
        self.assert_still_serves_this(gateway, sink)

    def assert_still_serves_this(self, gateway, sink):
        self.assert_stored(self.sender(gateway).store(make_instance()))

    def test_a_million_elements_are_refused_or_taken_in_bounded_memory(self):
        gateway, sink = self.looking(header_max="16MiB")
        element = struct.pack("<HH2sH", 0x0009, 0x1001, b"LO", 0)
        answer = self.sender(gateway).store(self.instance(element * 1_000_000))
        self.assertIn(answer.status, (0, 0xA700, 0xC000))
        if not SANITIZED:
            self.assertLess(gateway.memory(), 400 << 20)
        self.assert_still_serves_this(gateway, sink)

    def test_a_value_of_a_million_values_is_taken(self):
        gateway, sink = self.looking()
        value = b"1\\" * 500_000
        element = struct.pack("<HH2sHI", 0x0009, 0x1001, b"UT", 0, len(value)) + value
        self.assert_stored(self.sender(gateway).store(self.instance(element)))

    def test_a_bomb_is_bounded_by_header_max(self):
        gateway, sink = self.looking(header_max="1MiB")
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        element = struct.pack("<HH2sHI", 0x0009, 0x1001, b"UT", 0, 512 << 20)
        bomb = deflate.compress(element) + b"".join(deflate.compress(bytes(MIB)) for _ in range(512)) + deflate.flush()
        before = gateway.memory("VmRSS")
        sender = self.sender(gateway, [(CT, [DEFLATED])])
        answer = sender.store(self.instance(bomb, DEFLATED))
        self.assertEqual(answer.status, 0xA700)
        if not SANITIZED:
            self.assertLess(gateway.memory() - before, 32 << 20)

    def test_a_UID_of_any_length_harms_nobody(self):
        gateway, sink = self.simple_with()
        sender = self.sender(gateway)
        for length in (65, 1000, 60_000):
            one = make_instance()
            one.uid = "1." + "2" * (length - 2)
            sender.store(one)
        self.assert_still_serves(gateway, sink)


class Logs(Limits):
    def test_what_a_peer_says_is_cut_in_a_line(self):
        """A comment or a UID of 60000 characters is no line of that length."""
        sink = self.sink(answer=(0xA700, "x" * 1000))
        gateway = self.gateway(node("a", sink), route("all", to="a"))
        one = make_instance()
        one.uid = "1." + "2" * 60_000
        self.sender(gateway).store(one)
        wait_until(lambda: gateway.events("message answered"), "the answer is logged")
        self.assertLessEqual(max(map(len, gateway.log().splitlines())), 4096)

    def test_connections_that_bring_garbage_are_a_line_and_a_count(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("all", to="a"), log={"level": "info", "format": "json"})
        for _ in range(100):
            connection = self.connect(gateway)
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            connection.recv(1)
            connection.close()
        self.assert_still_serves(gateway, sink)
        told = [e for e in gateway.events("association ended") if e["cause"] == "unrecognised PDU type"]
        self.assertEqual(len(told), 1)
