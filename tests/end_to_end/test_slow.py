"""Who sends or reads a byte now and then makes progress for ever: it is ended all the same, and nobody else notices it. Who is honest and slow is served."""

import socket
import threading
import time

import dicom
from dicom import CT, EXPLICIT, IMPLICIT, VERIFICATION, Associate, make_instance
from harness import SLOW, Case, node, route, wait_until
from sender import Sender, contexts_of

TOO_SLOW = ("a message came too slowly", "nothing came in the middle of a message")
TAKES_TOO_LITTLE = ("the peer takes data too slowly", "the peer takes no data")
TIMEOUTS = {"association": "2s", "progress": "1s", "response": "20s"}


class SlowLine:
    """Stands in front of a node: so many bytes a second towards it, and back; None: as they come."""

    def __init__(self, peer):
        self.peer, self.up, self.down, self.stopping = peer, None, None, threading.Event()
        self.listener, self.sockets, self.threads = socket.socket(), [], []
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.listener.listen(16)
        self.run(self.accept)

    def run(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def accept(self):
        while True:
            try:
                here = self.listener.accept()[0]
            except OSError:
                return
            there = socket.create_connection(("127.0.0.1", self.peer.port), 10)
            self.sockets += [here, there]
            self.run(self.carry, here, there, "up")
            self.run(self.carry, there, here, "down")

    def portion(self, direction):
        rate = getattr(self, direction)
        return rate and max(rate // 10, 1)

    def carry(self, source, target, direction):
        try:
            while True:
                raw = source.recv(self.portion(direction) or 4096)
                if not raw:
                    break
                while raw and not self.stopping.is_set():
                    count = self.portion(direction)  # which may be another one since
                    target.sendall(raw[:count])
                    raw = raw[count:] if count else b""
                    if count:
                        self.stopping.wait(0.1)
        except OSError:
            pass
        for one in (source, target):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.stopping.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for one in self.sockets:
            one.close()
        for thread in self.threads:
            thread.join(5)


class Slow(Case):
    def causes(self, gateway):
        return [e["cause"] for e in gateway.events("association ended")]

    def drip(self, wire, raw, every=0.05):
        """A byte every now and then, until the gateway has had enough. Seconds that it took."""
        began = time.monotonic()
        wire.settimeout(0.01)
        for i in range(len(raw)):
            try:
                wire.sendall(raw[i:i + 1])
                wire.recv(1000)
                break
            except TimeoutError:
                pass
            except OSError:
                break
            time.sleep(every)
        else:
            self.fail("all of it was taken")
        return time.monotonic() - began

    def line(self, peer):
        line = SlowLine(peer)
        self.addCleanup(line.stop)
        return line


class Senders(Slow):
    def behind(self, **settings):
        return self.simple(settings={"timeouts": TIMEOUTS, **settings})

    def parts(self, sender):
        """What is sent at once, and what then drips: in the middle of each part of a message."""
        one = make_instance(5000)
        context = sender.context_for(one)
        command = dicom.p_data(dicom.pdv(context, dicom.COMMAND | dicom.LAST, dicom.command(sender.store_command(one))))
        data = dicom.p_data(dicom.pdv(context, dicom.LAST, one.data))
        yield "a PDU header", b"", command[:6], 0.4
        yield "a PDV header", command[:6], command[6:12], 0.4
        yield "a command set", command[:20], command[20:], 0.05
        yield "a data set's header", command, data[:12], 0.2
        yield "a data set", command + data[:100], data[100:], 0.05

    def test_each_part_of_a_message_byte_by_byte_is_ended_and_others_do_not_notice(self):
        gateway, sink = self.behind()
        stopped, troubles, stored = threading.Event(), [], [0]

        def others():
            try:
                with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=5 * SLOW) as other:
                    while not stopped.is_set():
                        began = time.monotonic()
                        self.assert_stored(other.store(make_instance(100_000)))
                        self.assertLess(time.monotonic() - began, 1 * SLOW)
                        stored[0] += 1
            except Exception as trouble:
                troubles.append(trouble)
        thread = threading.Thread(target=others)
        thread.start()
        try:
            for what, said, dripped, every in list(self.parts(self.sender(gateway))):
                with self.subTest(what):
                    before = len(self.causes(gateway))
                    sender = self.sender(gateway)
                    sender.wire.send(said)
                    self.drip(sender.wire.socket, dripped, every)
                    wait_until(lambda: len(self.causes(gateway)) > before, "it is ended", 5)
                    self.assertIn(self.causes(gateway)[-1], TOO_SLOW)
        finally:
            stopped.set()
            thread.join()
        self.assertEqual(troubles, [])
        self.assertGreater(stored[0], 10)

    def test_a_request_byte_by_byte_is_ended_after_association(self):
        gateway, sink = self.behind()
        connection = socket.create_connection(("127.0.0.1", gateway.port), 10)
        self.addCleanup(connection.close)
        raw = Associate(contexts=contexts_of([(CT, [EXPLICIT, IMPLICIT])])).encode()
        self.assertLess(self.drip(connection, raw), 8 * SLOW)
        self.assert_still_serves(gateway, sink)

    def test_fragments_without_payload_are_no_progress(self):
        gateway, sink = self.behind()
        sender = self.sender(gateway)
        context = sender.begin(make_instance())
        empty = dicom.p_data(dicom.pdv(context, 0)) * 10
        sender.wire.socket.settimeout(0.01)
        began = time.monotonic()
        while time.monotonic() - began < 10 * SLOW and not self.causes(gateway):
            try:
                sender.wire.socket.sendall(empty)
            except OSError:
                break
            time.sleep(0.02)
        wait_until(lambda: self.causes(gateway), "it is ended", 5)
        self.assertIn(self.causes(gateway)[0], TOO_SLOW)
        self.assert_still_serves(gateway, sink)

    def test_a_line_of_64_kbit_a_second_is_served(self):
        gateway, sink = self.behind()
        sender, one = self.sender(gateway), make_instance(24_000)
        raw = b"".join(sender.pdus(sender.context_for(one), sender.store_command(one), one.data))
        for at in range(0, len(raw), 400):
            sender.wire.send(raw[at:at + 400])
            time.sleep(0.05)
        self.assert_stored(sender.response())
        self.assertEqual(sink.messages[-1].data, one.data)

    def test_any_rate_is_enough_where_none_is_asked_for(self):
        gateway, sink = self.behind(min_rate=0)
        sender, one = self.sender(gateway), make_instance(100)
        raw = b"".join(sender.pdus(sender.context_for(one), sender.store_command(one), one.data))
        sender.wire.send(raw[:-60])
        for i in range(len(raw) - 60, len(raw)):
            sender.wire.send(raw[i:i + 1])
            time.sleep(0.05)
        self.assert_stored(sender.response())

    def test_who_never_reads_its_answers_is_ended(self):
        gateway, sink = self.behind(log={"level": "warn", "format": "json"})
        sender = self.sender(gateway, [(VERIFICATION, [IMPLICIT])])
        fields = {0x0002: VERIFICATION, 0x0100: dicom.C_ECHO_RQ, 0x0110: 1, 0x0800: dicom.NO_DATA_SET}
        flood = b"".join(sender.pdus(1, fields)) * 1000
        sender.wire.socket.settimeout(0.5)
        began = time.monotonic()
        while not self.causes(gateway) and time.monotonic() - began < 30 * SLOW:
            try:
                sender.wire.socket.sendall(flood)
            except TimeoutError:
                pass
            except OSError:
                break
        wait_until(lambda: self.causes(gateway), "it is ended", 5)
        self.assertIn(self.causes(gateway)[0], TAKES_TOO_LITTLE)
        self.assert_still_serves(gateway, sink)



class Nodes(Slow):
    def behind(self, line, good):
        return self.gateway(node("slow", line), node("good", good),
                            route("1", to="slow", when={"calling": "VICTIM"}, final=True), route("2", to="good"),
                            timeouts=TIMEOUTS)

    def assert_fails_and_others_go_on(self, gateway, good, sender, one, causes):
        answers, began = [], time.monotonic()
        thread = threading.Thread(target=lambda: answers.append(sender.store(one)))
        thread.start()
        with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=5 * SLOW) as other:
            while thread.is_alive():
                start = time.monotonic()
                self.assert_stored(other.store(make_instance(100_000)))
                self.assertLess(time.monotonic() - start, 1 * SLOW)
        thread.join()
        self.assert_stored(answers[0], 0xA700)
        self.assertIn(answers[0].comment.removeprefix("slow: "), causes)
        self.assertLess(time.monotonic() - began, 15 * SLOW)

    def test_a_node_that_reads_a_little_now_and_then_has_failed(self):
        good = self.sink(keep=False)
        line = self.line(self.sink(keep=False))
        gateway = self.behind(line, good)
        sender = self.sender(gateway, calling="VICTIM")
        self.assert_stored(sender.store(make_instance()))
        line.up = 50
        self.assert_fails_and_others_go_on(gateway, good, sender, make_instance(8 << 20), TAKES_TOO_LITTLE)

    def test_a_node_that_answers_byte_by_byte_has_failed(self):
        good = self.sink(keep=False)
        line = self.line(self.sink(keep=False))
        gateway = self.behind(line, good)
        sender = self.sender(gateway, calling="VICTIM")
        self.assert_stored(sender.store(make_instance()))
        line.down = 10
        self.assert_fails_and_others_go_on(gateway, good, sender, make_instance(), ["no answer to the association request"])
        [again] = gateway.events("sent again on a fresh association")
        self.assertIn(again["cause"], TOO_SLOW)

    def test_a_node_that_accepts_byte_by_byte_has_failed(self):
        good = self.sink(keep=False)
        line = self.line(self.sink(keep=False))
        gateway = self.behind(line, good)
        line.down = 10
        began = time.monotonic()
        sender = self.sender(gateway, calling="VICTIM")
        answer = sender.store(make_instance())
        self.assert_stored(answer, 0xA700)
        self.assertLess(time.monotonic() - began, 15 * SLOW)

    def test_a_slow_node_that_takes_enough_is_served(self):
        line = self.line(self.sink())
        gateway = self.behind(line, self.sink())
        sender, one = self.sender(gateway, calling="VICTIM"), make_instance(30_000)
        line.up = line.down = 8000
        self.assert_stored(sender.store(one))
        self.assertEqual(line.peer.messages[-1].data, one.data)
