"""The sending role (SCU): one association, every byte of it under the test's control.

    with Sender(gateway.port, [(CT, [EXPLICIT])]) as sender:
        assert sender.store(make_instance()).status == 0
"""

import dataclasses
import socket
import time

import dicom
from dicom import COMMAND, LAST, Associate, Proposed


@dataclasses.dataclass
class Response:
    fields: dict
    context: int

    @property
    def status(self):
        return self.fields[0x0900]

    @property
    def comment(self):
        return dicom.text(self.fields.get(0x0902, b""))

    @property
    def answered_id(self):
        return self.fields[0x0120]

    def __str__(self):
        return f"status {self.status:04X} comment {self.comment!r}"


@dataclasses.dataclass
class Framing:
    """How a message is cut. The PDU size is the peer's maximum unless given."""
    pdu: int = None  # bytes of a PDU's body at most
    data: int = None  # payload bytes of a data PDV at most; None: what fits the PDU
    command: int = None  # likewise for the command
    mixed: bool = False  # command and data share PDUs
    empty_last: bool = False  # the data set ends with a PDV without payload
    segment: int = None  # bytes of one write to the socket


def contexts_of(pairs):
    """[(abstract, [transfers])] with odd ids from 1."""
    return [Proposed(2 * i + 1, abstract, list(transfers)) for i, (abstract, transfers) in enumerate(pairs)]


class Sender:
    def __init__(self, port, pairs=(), *, seconds=20, associate=True, nodelay=True, source="127.0.0.1", tls=None,
                 **request):
        self.request = Associate(**request)
        self.request.contexts = self.request.contexts or contexts_of(pairs)
        connection = socket.create_connection(("127.0.0.1", port), seconds, source_address=(source, 0))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, nodelay)
        if tls:  # an ssl.SSLContext
            connection = tls.wrap_socket(connection, server_hostname="localhost")
        self.wire = dicom.Wire(connection, seconds)
        self.answer = None
        self.next_id = 1
        self.framing = Framing()
        if associate:
            self.associate()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None and self.answer:
            try:
                self.release()
            except dicom.Ended:
                pass
        self.wire.close()

    def associate(self):
        self.wire.send(self.request.encode())
        _, body = self.wire.expect(dicom.ASSOCIATE_AC)
        self.answer = Associate.decode(body)
        return self.answer

    @property
    def results(self):
        """{context id: result}"""
        return {c.id: c.result for c in self.answer.contexts}

    @property
    def accepted(self):
        """{context id: (abstract, transfer)} of what was accepted."""
        proposed = {c.id: c.abstract for c in self.request.contexts}
        return {c.id: (proposed[c.id], c.transfer) for c in self.answer.contexts if c.result == 0}

    def context_for(self, instance):
        wanted = (dicom.text(raw(instance.sop_class)), instance.transfer)
        for context, pair in self.accepted.items():
            if pair == wanted:
                return context
        raise AssertionError(f"no context was accepted for {wanted}: {self.answer.contexts}")

    # ---- messages

    def store_command(self, instance, message_id=None, **more):
        """The fields of a C-STORE-RQ; `more` as f0600=value."""
        if message_id is None:
            message_id, self.next_id = self.next_id, self.next_id + 1
        fields = {0x0002: instance.sop_class, 0x0100: dicom.C_STORE_RQ, 0x0110: message_id, 0x0700: 0,
                  0x0800: 0x0001, 0x1000: instance.uid}
        fields.update({int(name[1:], 16): value for name, value in more.items()})
        return {e: v for e, v in fields.items() if v is not None}

    def pdus(self, context, fields, data=None, framing=None):
        """The PDUs of one message."""
        f = framing or self.framing
        size = f.pdu or self.answer.max_length or 1 << 20
        biggest = (size - 6) & ~1
        commands = dicom.fragments(context, COMMAND, dicom.command(fields), f.command or biggest)
        datas = []
        if data is not None:
            datas = dicom.fragments(context, 0, data, f.data or biggest, f.empty_last)
        if f.mixed:
            return list(dicom.packed(commands + datas, size))
        return list(dicom.packed(commands, size)) + list(dicom.packed(datas, size))

    def send(self, context, fields, data=None, framing=None):
        f = framing or self.framing
        stream = b"".join(self.pdus(context, fields, data, f))
        if f.segment is None:
            self.wire.send(stream)
            return
        for at in range(0, len(stream), f.segment):
            self.wire.send(stream[at:at + f.segment])

    def begin(self, instance, **more):
        """Sends a C-STORE-RQ's command alone; returns the context for the data that follows."""
        context = self.context_for(instance)
        self.send(context, self.store_command(instance, **more))
        return context

    def data(self, context, payload, last=False):
        """Sends a piece of a data set, each PDU as big as the peer takes."""
        biggest = ((self.answer.max_length or 1 << 20) - 6) & ~1
        for at in range(0, len(payload), biggest):
            is_last = last and at + biggest >= len(payload)
            self.wire.send(dicom.p_data(dicom.pdv(context, LAST if is_last else 0, payload[at:at + biggest])))

    def response(self):
        """The next response's command set."""
        collected, context = b"", None
        while True:
            _, body = self.wire.expect(dicom.P_DATA)
            for context, control, fragment in dicom.pdvs_of(body):
                assert control & COMMAND, "a response with a data set"
                collected += fragment
                if control & LAST:
                    return Response(dicom.parse_command(collected), context)

    def store(self, instance, framing=None, **more):
        fields = self.store_command(instance, **more)
        context = self.context_for(instance)
        self.send(context, fields, instance.data, framing)
        answer = self.response()
        assert answer.fields[0x0100] == dicom.C_STORE_RSP
        assert answer.answered_id == fields[0x0110], "the answer is for another request"
        assert answer.context == context, "the answer came on another context"
        return answer

    def echo(self):
        context = next(i for i, (abstract, _) in self.accepted.items() if abstract == dicom.VERIFICATION)
        fields = {0x0002: dicom.VERIFICATION, 0x0100: dicom.C_ECHO_RQ, 0x0110: self.next_id, 0x0800: 0x0101}
        self.next_id += 1
        self.send(context, fields)
        answer = self.response()
        assert answer.fields[0x0100] == dicom.C_ECHO_RSP and answer.answered_id == fields[0x0110]
        return answer

    # ---- ends

    def release(self):
        self.wire.send(dicom.pdu(dicom.RELEASE_RQ, bytes(4)))
        self.wire.expect(dicom.RELEASE_RP)
        self.wire.close()

    def abort(self):
        self.wire.send(dicom.pdu(dicom.ABORT, bytes(4)))
        self.wire.close()

    def close(self):
        self.wire.close()

    def reset(self):
        self.wire.reset()

    def end(self, seconds=10):
        """How the gateway ends the association: "abort", "reject", "release" or "close"; other PDUs are passed over."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            self.wire.socket.settimeout(max(0.01, limit - time.monotonic()))
            try:
                kind, body = self.wire.pdu()
            except dicom.Closed:
                return "close"
            except TimeoutError:
                break
            self.last_body = body
            if kind in (dicom.ABORT, dicom.ASSOCIATE_RJ, dicom.RELEASE_RQ):
                return {dicom.ABORT: "abort", dicom.ASSOCIATE_RJ: "reject"}.get(kind, "release")
        raise AssertionError(f"the association has not ended after {seconds} s")


def raw(value):
    return value if isinstance(value, bytes) else value.encode()
