"""The SCU of every DIMSE service, one association under the test's control (sender.py has the connection and C-STORE).

    client = Client(gateway.port, [(STUDY_ROOT_FIND, [IMPLICIT])])
    found = client.find(STUDY_ROOT_FIND, QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    found.status, [answer["StudyInstanceUID"] for answer in found.answers]

Requests that the other side makes on the association (the C-STORE of a C-GET, N-EVENT-REPORT) stand in `requests`, and are answered by
`on_request`: a status, or (status, {fields}, data).
"""

import dataclasses

import dicom
from dicom import COMMAND, LAST
from peer_data import ATTRIBUTES, GET_OF, data_of, read
from sender import Sender

COUNTS = {0x1020: "remaining", 0x1021: "completed", 0x1022: "failed", 0x1023: "warning"}


@dataclasses.dataclass
class Message:
    """A whole message as it came: a response, or a request of the other side."""
    fields: dict
    context: int
    transfer: str
    data: bytes = None  # None: it has no data set

    @property
    def status(self):
        return self.fields[0x0900]

    @property
    def comment(self):
        return dicom.text(self.fields.get(0x0902, b""))

    @property
    def values(self):
        return None if self.data is None else read(self.data, self.transfer)

    @property
    def counts(self):
        return {name: self.fields[element] for element, name in COUNTS.items() if element in self.fields}

    def text(self, element):
        return dicom.text(self.fields[element])

    def __str__(self):
        return f"{self.fields.get(0x0100, 0):04X} status {self.fields.get(0x0900, 0):04X} {self.comment!r} {self.counts}"


@dataclasses.dataclass
class Outcome:
    """All responses to one request, and what the other side asked in between."""
    pending: list
    final: Message
    requests: list

    @property
    def status(self):
        return self.final.status

    @property
    def comment(self):
        return self.final.comment

    @property
    def counts(self):
        return self.final.counts

    @property
    def answers(self):
        return [one.values for one in self.pending]

    def __str__(self):
        return f"{self.final} after {len(self.pending)} pending"


def is_pending(status):
    return status in (0xFF00, 0xFF01)


class Client(Sender):
    def __init__(self, port, pairs=(), **more):
        super().__init__(port, pairs, **more)
        self.requests = []
        self.on_request = lambda message: 0
        self.raw_command, self.half = b"", None

    def context_of(self, abstract):
        for context, (one, _) in self.accepted.items():
            if one == abstract:
                return context
        raise AssertionError(f"no context was accepted for {abstract}: {self.answer.contexts}")

    # ---- requests

    def ask(self, field, sop_class, data=None, context=None, abstract=None, **more):
        """Sends a request and returns its message id. The class's element is 0003 for N-GET, N-SET, N-ACTION and N-DELETE; `abstract` where
        the context is another's (a meta class); `more` as f0600=value, None leaves one out."""
        context = context or self.context_of(abstract or sop_class)
        self.next_id, message_id = self.next_id % 0xFFFF + 1, self.next_id
        of_class = 0x0003 if field in (dicom.N_GET_RQ, dicom.N_SET_RQ, dicom.N_ACTION_RQ, dicom.N_DELETE_RQ) else 0x0002
        fields = {of_class: sop_class, 0x0100: field, 0x0110: message_id, 0x0800: dicom.NO_DATA_SET if data is None else 1}
        if field in (dicom.C_FIND_RQ, dicom.C_GET_RQ, dicom.C_MOVE_RQ):
            fields[0x0700] = 0
        fields.update({int(name[1:], 16): value for name, value in more.items()})
        self.send(context, {e: v for e, v in fields.items() if v is not None}, data)
        return message_id

    def cancel(self, message_id, context):
        self.send(context, {0x0100: dicom.C_CANCEL_RQ, 0x0120: message_id, 0x0800: dicom.NO_DATA_SET})

    # ---- what comes

    def message(self):
        """The next message, whatever it is."""
        while True:
            _, body = self.wire.expect(dicom.P_DATA)
            for context, control, fragment in dicom.pdvs_of(body):
                done = self._fragment(context, control, fragment)
                if done:
                    return done

    def _fragment(self, context, control, fragment):
        """A PDU of the gateway holds one PDV, so nothing is left in it when a message is complete."""
        assert context in self.accepted, f"a PDV on context {context}, which was not accepted"
        if not control & COMMAND:
            assert self.half and self.half.context == context, "data without a command"
            self.half.data += fragment
            if not control & LAST:
                return None
            done, self.half = self.half, None
            return done
        assert self.half is None, "a command in the middle of a data set"
        self.raw_command += fragment
        if not control & LAST:
            return None
        fields, self.raw_command = dicom.parse_command(self.raw_command), b""
        one = Message(fields, context, self.accepted[context][1])
        if fields[0x0800] == dicom.NO_DATA_SET:
            return one
        one.data, self.half = b"", one
        return None

    def answer_request(self, message):
        """By on_request."""
        answer = self.on_request(message)
        if answer is None:  # never
            return
        status, more, data = answer if isinstance(answer, tuple) else (answer, {}, None)
        f = message.fields
        fields = {0x0002: f.get(0x0002, f.get(0x0003)), 0x0100: f[0x0100] | 0x8000, 0x0120: f[0x0110],
                  0x0800: dicom.NO_DATA_SET if data is None else 1, 0x0900: status, 0x1000: f.get(0x1000, f.get(0x1001)), **more}
        self.send(message.context, {e: v for e, v in fields.items() if v is not None}, data)

    def next(self):
        """The next response; requests that come before it are answered."""
        while True:
            one = self.message()
            if one.fields[0x0100] & 0x8000:
                return one
            self.requests.append(one)
            self.answer_request(one)

    def responses(self, message_id):
        """Those to one request, as they come, the last one included."""
        while True:
            one = self.next()
            assert one.fields[0x0120] == message_id, f"a response to {one.fields[0x0120]}, where {message_id} was asked"
            yield one
            if not is_pending(one.status):
                return

    def finish(self, message_id, cancel_after=None, context=None):
        """All responses. cancel_after: C-CANCEL once so many pending ones have come."""
        seen, before = [], len(self.requests)
        for one in self.responses(message_id):
            seen.append(one)
            if len(seen) == cancel_after:
                self.cancel(message_id, one.context)
        return Outcome(seen[:-1], seen[-1], self.requests[before:])

    def await_request(self):
        """The next request of the other side, answered by on_request."""
        one = self.message()
        assert not one.fields[0x0100] & 0x8000, f"a response where a request was awaited: {one}"
        self.requests.append(one)
        self.answer_request(one)
        return one

    # ---- services

    def call(self, field, sop_class, data=None, cancel_after=None, **more):
        return self.finish(self.ask(field, sop_class, data, **more), cancel_after)

    def _identifier(self, sop_class, keys):
        return data_of(self.accepted[self.context_of(sop_class)][1], **keys)

    def find(self, sop_class, cancel_after=None, **keys):
        """Fields of the command set as f0700=2; everything else is the identifier."""
        fields, keys = divided(keys)
        return self.call(dicom.C_FIND_RQ, sop_class, self._identifier(sop_class, keys), cancel_after, **fields)

    def move(self, sop_class, destination, cancel_after=None, **keys):
        fields, keys = divided(keys)
        return self.call(dicom.C_MOVE_RQ, sop_class, self._identifier(sop_class, keys), cancel_after, f0600=destination,
                         **fields)

    def get(self, sop_class, cancel_after=None, **keys):
        """What it gets stands in `requests` of the outcome."""
        fields, keys = divided(keys)
        return self.call(dicom.C_GET_RQ, sop_class, self._identifier(sop_class, keys), cancel_after, **fields)


def divided(keys):
    fields = {name: value for name, value in keys.items() if name not in ATTRIBUTES}
    return fields, {name: value for name, value in keys.items() if name in ATTRIBUTES}


def getting(storage, transfers, root="STUDY"):
    """What a C-GET's association proposes: (pairs, roles)."""
    pairs = [(GET_OF[root], [dicom.EXPLICIT, dicom.IMPLICIT])] + [(one, transfers) for one in storage]
    return pairs, [(one, 0, 1) for one in storage]
