"""The receiving role (SCP): records everything, behaves as scripted, and judges what the gateway sends by the standard.

    sink = Sink(max_length=16378, answer=(0xB000, "coerced"))
    ...
    assert sink.messages[0].data == instance.data

Every setting may be changed while it runs; a new association, or the next message, goes by the new one. What the gateway did
against the standard stands in `faults`, which the test cases hold empty.
"""

import socket
import threading
import time
import zlib

import dicom
from dicom import COMMAND, LAST, Answered, Associate


class Message:
    """One request as it came; complete once its last fragment is in."""

    def __init__(self, association, context, raw_command):
        self.association, self.context, self.raw_command = association, context, raw_command
        self.command = dicom.parse_command(raw_command)
        self.abstract, self.transfer = association.contexts[context]
        self.kept = bytearray()
        self.length = self.crc = 0
        self.frames = []  # payload bytes of the first data PDVs, as they came
        self.complete = False

    @property
    def data(self):
        return bytes(self.kept)

    @property
    def uid(self):
        return dicom.text(self.command.get(0x1000, b""))

    @property
    def id(self):
        return self.command[0x0110]


class SinkAssociation:
    """One association; `ended` says how it went: None, release, abort or close (a lost connection too)."""

    def __init__(self, sink, connection, number):
        self.sink, self.number = sink, number
        self.wire = dicom.Wire(connection, None)
        self.request = self.accept = self.ended = self.abort = self.current = None
        self.contexts = {}  # accepted: id -> (abstract, transfer)
        self.messages = []
        self.pending = []  # requests not yet answered
        self.answered = 0
        self.raw_command = b""
        self.opened_at, self.ended_at = time.monotonic(), None
        self.refused = None  # why there was no TLS handshake

    # ---- what tests do to it from outside

    def reset(self):
        self.wire.reset()

    def close(self):
        self.wire.close()

    # ---- its own thread

    def secure(self):
        """The handshake, where there is one. False: there was none; self.refused says why."""
        if not self.sink.tls:
            return True
        secured = self.sink.tls.wrap_socket(self.wire.socket, server_side=True, do_handshake_on_connect=False)
        self.wire = dicom.Wire(secured, None)
        try:
            secured.do_handshake()
        except OSError as e:
            self.refused = str(e)
            self.hear_out(secured.detach())
            return False
        return True

    def hear_out(self, descriptor):
        """Reads to the end: a socket that is closed on unread bytes resets, and the peer never sees the alert."""
        with socket.socket(fileno=descriptor) as plain:
            plain.settimeout(5)
            try:
                plain.shutdown(socket.SHUT_WR)
                while plain.recv(65536):
                    pass
            except OSError:
                pass

    def run(self):
        try:
            if self.secure() and self.negotiate():
                while self.step():
                    pass
        except dicom.Closed:
            self.end("close")
        except OSError:
            self.end("close")
        except Exception as fault:  # an assertion: the gateway broke a rule, or the script is wrong
            self.sink.faults.append(f"association {self.number}: {type(fault).__name__} {fault}")
            self.end("fault")
        finally:
            self.end("close")
            self.wire.close()

    def end(self, how):
        if self.ended is None:
            self.ended_at = time.monotonic()
            self.ended = how

    def negotiate(self):
        s = self.sink
        kind, body = self.wire.pdu()
        assert kind == dicom.ASSOCIATE_RQ, f"PDU {kind:02x} before an association"
        self.request = Associate.decode(body)
        self.judge_request(body)
        if s.drop_on_window and self.request.window:
            self.end("dropped")
            return False
        s.stopping.wait(s.accept_delay)
        rejection = s.reject(self.number) if callable(s.reject) else s.reject
        if s.turn_away:
            rejection = s.turn_away(self.request) or rejection
        if rejection == "close":
            s.rejections += 1
            self.end("dropped")
            return False
        if s.max_associations and len(s.open()) > s.max_associations:
            rejection = (2, 3, 2)
        if rejection:
            self.end("rejected")
            s.rejections += 1
            self.wire.send(dicom.pdu(dicom.ASSOCIATE_RJ, bytes([0, *rejection])))
            return False
        answered = [s.answer_context(c) for c in self.request.contexts]
        self.contexts = {c.id: (p.abstract, c.transfer) for c, p in zip(answered, self.request.contexts)
                         if c.result == 0}
        r = self.request
        self.accept = Associate(
            called=r.called, calling=r.calling, contexts=list(s.context_order(answered)), max_length=s.max_length,
            version_name=s.version_name, window=s.window if r.window else None,
            roles=s.roles(r.roles) if s.roles else [], extended=s.extended(r.extended) if s.extended else [],
            identity_answer=s.identity_answer if r.identity and r.identity[1] else None)
        self.wire.send(self.accept.encode())
        return True

    def step(self):
        """Takes one PDU. Returns False when the association is over."""
        s = self.sink
        while not s.gate.wait(0.2):
            if s.stopping.is_set():
                return False
        kind, body = self.wire.pdu()
        if kind == dicom.P_DATA:
            return self.take_data(body)
        if kind == dicom.RELEASE_RQ:
            return self.take_release()
        if kind == dicom.ABORT:
            self.abort = (body[2], body[3])
            self.end("abort")
            return False
        raise AssertionError(f"unexpected PDU {kind:02x}")

    def take_data(self, body):
        if self.sink.max_length:
            assert len(body) <= self.sink.max_length, f"a PDU of {len(body)} bytes exceeds {self.sink.max_length}"
        pdvs = list(dicom.pdvs_of(memoryview(body)))
        assert len({(context, control & COMMAND) for context, control, _ in pdvs}) == 1, "a PDU of mixed PDVs"
        for context, control, fragment in pdvs:
            assert context in self.contexts, f"a PDV on context {context}, which was not accepted"
            assert control & ~3 == 0, "reserved bits are set in a PDV's header"
            assert len(fragment) % 2 == 0, f"an odd fragment of {len(fragment)} bytes"
            if control & COMMAND:
                self.take_command(context, control, fragment)
            elif not self.take_fragment(context, control, fragment):
                return False
        return True

    def take_command(self, context, control, fragment):
        assert self.current is None, "a command in the middle of a data set"
        self.raw_command += fragment
        if not control & LAST:
            return
        message, self.raw_command = Message(self, context, self.raw_command), b""
        assert message.id not in [m.id for m in self.pending], "a message id that is outstanding"
        if message.command[0x0800] == dicom.NO_DATA_SET:
            self.finish(message)
        else:
            self.current = message

    def take_fragment(self, context, control, fragment):
        m = self.current
        assert m is not None and m.context == context, "data without a command"
        assert len(fragment) or (control & LAST and m.length == 0), "an empty PDV"
        m.length += len(fragment)
        m.crc = zlib.crc32(fragment, m.crc)
        if self.sink.keep:
            m.kept += fragment
        if len(m.frames) < 10000:
            m.frames.append(len(fragment))
        if self.sink.at_bytes and m.length >= self.sink.at_bytes[0]:
            if not self.misbehave(self.sink.at_bytes[1], m):
                return False
        if control & LAST:
            self.current = None
            return self.finish(m)
        return True

    def misbehave(self, how, message):
        """In mid-instance or instead of an answer. Returns True if the association goes on."""
        if how == "early" and message not in self.pending:
            self.pending.append(message)
            self.respond(message, self.sink.early_status, "early")
        elif how == "abort":
            self.wire.send(dicom.pdu(dicom.ABORT, bytes(4)))
            self.end("aborted by us")
            return False
        elif how == "close":
            self.end("closed by us")
            return False
        elif how == "reset":
            self.end("reset by us")
            self.wire.reset()
            return False
        elif how == "stall":
            self.sink.stopping.wait()
            return False
        return True

    def finish(self, message):
        s = self.sink
        message.complete = True
        self.messages.append(message)
        (s.echoes if message.command[0x0100] == dicom.C_ECHO_RQ else s.messages).append(message)
        if s.at_bytes and s.at_bytes[1] == "early" and message.length >= s.at_bytes[0]:
            return True  # answered before
        how = s.at_answer(message) if callable(s.at_answer) else s.at_answer
        self.pending.append(message)
        if how == "never":
            return True
        if how and not self.misbehave(how, message):
            return False
        if len(self.pending) >= s.batch:
            for one in s.answer_order(list(self.pending)):
                s.stopping.wait(s.delay)
                answer = s.answer(one) if callable(s.answer) else s.answer
                status, comment = answer if isinstance(answer, tuple) else (answer, None)
                self.respond(one, status, comment)
        if s.release_after and self.answered >= s.release_after:
            self.wire.send(dicom.pdu(dicom.RELEASE_RQ, bytes(4)))
            while self.wire.expect(dicom.RELEASE_RP, dicom.P_DATA)[0] == dicom.P_DATA:
                pass  # was under way when we asked; nobody takes it any more
            self.end("released by us")
            return False
        return True

    def respond(self, message, status, comment=None):
        self.pending.remove(message)
        request, s = message.command, self.sink
        fields = {0x0002: bytes(request[0x0002]), 0x0100: request[0x0100] | 0x8000, 0x0120: message.id,
                  0x0800: s.no_data_set, 0x0900: status}
        if 0x1000 in request:
            fields[0x1000] = bytes(request[0x1000])
        if comment is not None:
            fields[0x0902] = comment
        fields.update(s.override)
        fields = {e: v for e, v in fields.items() if e not in s.omit}
        out = b"".join(dicom.p_data(v) for v in dicom.fragments(message.context, COMMAND, dicom.command(fields),
                                                                s.response_fragment))
        if s.nagle:  # as DCMTK: the header in a write of its own, and Nagle's algorithm on
            self.wire.send(out[:6])
            out = out[6:]
        self.answered += 1
        self.wire.send(out)

    def take_release(self):
        how = self.sink.on_release
        self.end("release")
        if how == "abort":
            self.wire.send(dicom.pdu(dicom.ABORT, bytes(4)))
        elif how == "collide":  # both asked: the acceptor hears the requestor's answer first (PS3.8 9.2, AR-8)
            self.wire.send(dicom.pdu(dicom.RELEASE_RQ, bytes(4)))
            self.wire.expect(dicom.RELEASE_RP)
            self.wire.send(dicom.pdu(dicom.RELEASE_RP, bytes(4)))
            self.sink.collisions += 1
        elif how == "ignore":
            return True
        elif how == "answer":
            self.wire.send(dicom.pdu(dicom.RELEASE_RP, bytes(4)))
        return False

    def judge_request(self, body):
        kinds = [kind for kind, _ in dicom.items_of(body[68:])]
        assert kinds == sorted(kinds) and kinds[0] == 0x10 and kinds[-1] == 0x50, f"items {kinds}"
        ids = [c.id for c in self.request.contexts]
        assert ids and len(ids) == len(set(ids)) <= 128 and all(i % 2 for i in ids), f"context ids {ids}"
        assert all(c.transfers for c in self.request.contexts), "a context without a transfer syntax"
        assert self.request.version & 1 and self.request.class_uid, "no version 1, or no implementation class UID"
        assert self.request.application == dicom.APPLICATION_CONTEXT
        assert self.request.max_length is not None, "no maximum length"


class Sink:
    association_class = SinkAssociation

    def __init__(self, **script):
        self.ae_title = "SINK"
        # negotiation
        self.max_length = 16384  # None: no such item
        self.transfers = None  # in order of preference; None: whatever comes first
        self.classes = None  # abstract syntaxes that are taken; None: all
        self.rejected_transfer = dicom.IMPLICIT  # in rejected contexts; None: no transfer syntax item
        self.context_order = list  # e.g. reversed
        self.reject = None  # (result, source, reason), or a function of the association's number (from 0)
        self.turn_away = None  # a function of the request: as reject, or "close"
        self.max_associations = None  # more at once are rejected, transient, local limit
        self.accept_delay = 0
        self.window = None  # the answer to item 53
        self.drop_on_window = False  # closes the connection when item 53 is there
        self.roles = list  # None: no role items in the answer
        self.extended = None  # function: items 56 proposed -> items 56 answered
        self.identity_answer = None
        self.version_name = "SCRIPTED_SINK"
        # messages
        self.keep = True  # False: length and checksum only
        self.at_bytes = None  # (data set bytes, "abort" | "close" | "reset" | "stall" | "early")
        self.early_status = 0xA700
        self.at_answer = None  # instead of the answer: "abort" | "close" | "reset" | "never", or a function
        self.answer = 0x0000  # status, (status, comment), or a function of the message
        self.batch = 1  # answers once so many requests are outstanding ...
        self.answer_order = list  # ... in this order
        self.delay = 0
        self.omit = ()  # elements left out of responses
        self.override = {}  # elements said otherwise
        self.no_data_set = dicom.NO_DATA_SET
        self.response_fragment = 16376
        self.nagle = False
        self.on_release = "answer"  # "abort" | "close" | "collide" | "ignore"
        self.release_after = None  # asks for release itself after so many answers
        self.receive_buffer = None  # bytes of SO_RCVBUF
        self.address, self.port = "127.0.0.1", 0  # a free one
        self.tls = None  # an ssl.SSLContext
        for name, value in script.items():
            assert hasattr(self, name), f"no such setting: {name}"
            setattr(self, name, value)

        self.associations, self.messages, self.echoes, self.faults, self.threads = [], [], [], [], []
        self.rejections = self.collisions = self.most_open = 0
        self.stopping, self.gate = threading.Event(), threading.Event()
        self.gate.set()
        self.listener = socket.socket()
        if self.receive_buffer:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((self.address, self.port))
        self.port = self.listener.getsockname()[1]
        self.listener.listen(128)
        self._start(self._accept)

    def _start(self, function):
        thread = threading.Thread(target=function, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, not self.nagle)
            association = self.association_class(self, connection, len(self.associations))
            self.associations.append(association)
            self.most_open = max(self.most_open, len(self.open()))
            self._start(association.run)

    def answer_context(self, proposed):
        if self.classes is not None and proposed.abstract not in self.classes:
            return Answered(proposed.id, 3, self.rejected_transfer)
        for transfer in self.transfers or proposed.transfers:
            if transfer in proposed.transfers:
                return Answered(proposed.id, 0, transfer)
        return Answered(proposed.id, 4, self.rejected_transfer)

    def open(self):
        """The associations that have not ended."""
        return [a for a in self.associations if a.ended is None]

    def arrived(self):
        """Data set bytes of messages that are not complete yet."""
        return sum(a.current.length for a in self.associations if a.current)

    def used(self):
        """The associations that carried messages."""
        return [a for a in self.associations if a.messages]

    def pause(self):
        """Stops reading, so that the connection fills."""
        self.gate.clear()

    def resume(self):
        self.gate.set()

    @property
    def uids(self):
        return [m.uid for m in self.messages]

    def close_listener(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def stop(self):
        self.stopping.set()
        self.gate.set()
        self.close_listener()
        for association in self.associations:
            association.close()
        for thread in self.threads:
            thread.join(5)
