"""The SCP of every DIMSE service, scripted by functions (sink.py has the connection, and judges what comes).

    def two_studies(call):
        yield Answer(0xFF00, data_of(StudyInstanceUID="1.2"))
        yield Answer(0xFE00 if call.cancelled else 0x0000)

    archive = Service({C_FIND_RQ: two_studies})

A script is a generator for one request. It yields
  Answer   a response
  Ask      a request of our own on the same association (the C-STORE of a C-GET, N-EVENT-REPORT); its response is what yield returns
  None     let what has come in meanwhile be read (a C-CANCEL sets call.cancelled), then go on
  "abort", "close", "reset", "never"   instead of an answer
Requests for which there is no script get status 0211, C-STORE and C-ECHO what Sink's settings say. Scripts of several requests run in turns.
"""

import dataclasses
import select
import time

import dicom
from dicom import COMMAND, LAST
from peer_client import Message as Response
from peer_data import read
from sink import Message, Sink, SinkAssociation


@dataclasses.dataclass
class Answer:
    status: int
    data: bytes = None
    fields: dict = dataclasses.field(default_factory=dict)  # more of the command set; None leaves one out


@dataclasses.dataclass
class Ask:
    context: int
    fields: dict  # without message id and data set type
    data: bytes = None


class Call:
    """A request, what was answered, and whether it was cancelled."""

    def __init__(self, association, message, script):
        self.association, self.message = association, message
        self.command, self.data = message.command, None if message.command[0x0800] == dicom.NO_DATA_SET else message.data
        self.transfer, self.abstract, self.context = message.transfer, message.abstract, message.context
        self.cancelled = self.over = False
        self.pending = 0
        self.answers = []  # as they went: (fields, data)
        self.asked = []  # our own requests on its behalf, likewise
        self.awaits = None  # message id of an Ask
        self.value = None  # for the script's next step
        self.script = script(self) if script else None
        self.came_at = time.monotonic()

    @property
    def id(self):
        return self.command[0x0110]

    @property
    def values(self):
        return None if self.data is None else read(self.data, self.transfer)


class ServiceAssociation(SinkAssociation):
    def __init__(self, service, connection, number):
        super().__init__(service, connection, number)
        self.calls = []  # whose scripts run
        self.own = []  # what tests want to be asked on it: (Ask, list for the response)
        self.awaited = {}  # our message ids: whom the response goes to
        self.next_id = 1
        self.response = None  # whose data set is coming

    def ask(self, fields, data=None, context=None, abstract=None, seconds=10):
        """A request from a test's thread; returns the response."""
        if context is None:
            context = next(i for i, (one, _) in self.contexts.items() if one == abstract)
        box = []
        self.own.append((Ask(context, fields, data), box))
        limit = time.monotonic() + seconds
        while not box and time.monotonic() < limit and self.ended is None:
            time.sleep(0.005)
        assert box, f"no response to {fields} after {seconds} s"
        return box[0]

    # ---- its own thread

    def step(self):
        moved = False
        while self.own:
            asked, box = self.own.pop(0)
            self.send_request(asked, box.append)
        for call in list(self.calls):
            if call.awaits is None:
                how = self.advance(call)
                if how == "end":
                    return False
                moved = True
        try:
            has_come = select.select([self.wire.socket], [], [], 0 if moved else 0.01)[0]
        except (OSError, ValueError):  # the test has closed it meanwhile
            raise dicom.Closed("closed by the test") from None
        if has_come:
            return super().step()
        return not self.sink.stopping.is_set()

    def advance(self, call):
        """One step of a script."""
        value, call.value = call.value, None
        try:
            said = call.script.send(value)
        except StopIteration:
            call.over = True
            self.calls.remove(call)
            if call.message in self.pending:
                self.pending.remove(call.message)
            return None
        if isinstance(said, Answer):
            self.answer(call, said)
        elif isinstance(said, Ask):
            call.asked.append((said.fields, said.data))
            call.awaits = self.send_request(said, lambda response: self.go_on(call, response))
        elif said == "never":
            call.over = True
            self.calls.remove(call)
        elif said is not None and not self.misbehave(said, call.message):
            return "end"
        return None

    def go_on(self, call, response):
        call.awaits, call.value = None, response

    def answer(self, call, answer):
        c = call.command
        fields = {0x0002: c.get(0x0002, c.get(0x0003)), 0x0100: c[0x0100] | 0x8000, 0x0120: call.id,
                  0x0800: dicom.NO_DATA_SET if answer.data is None else 1, 0x0900: answer.status,
                  0x1000: c.get(0x1000, c.get(0x1001)), **answer.fields}
        if answer.status in (0xFF00, 0xFF01):
            call.pending += 1
        elif call.message in self.pending:
            self.pending.remove(call.message)
        fields = {e: v for e, v in fields.items() if v is not None}
        call.answers.append((fields, answer.data))
        self.send_message(call.context, fields, answer.data)

    def send_request(self, asked, on_response):
        message_id, self.next_id = self.next_id, self.next_id + 1
        fields = {**asked.fields, 0x0110: message_id, 0x0800: dicom.NO_DATA_SET if asked.data is None else 1}
        self.awaited[message_id] = on_response
        self.send_message(asked.context, fields, asked.data)
        return message_id

    def send_message(self, context, fields, data):
        biggest = ((self.request.max_length or 1 << 20) - 6) & ~1
        pdvs = dicom.fragments(context, COMMAND, dicom.command(fields), biggest)
        if data is not None:
            pdvs += dicom.fragments(context, 0, data, biggest)
        self.wire.send(b"".join(dicom.p_data(one) for one in pdvs))

    # ---- what comes

    def take_command(self, context, control, fragment):
        assert self.current is None and self.response is None, "a command in the middle of a data set"
        self.raw_command += fragment
        if not control & LAST:
            return
        raw, fields = self.raw_command, dicom.parse_command(self.raw_command)
        if fields[0x0100] == dicom.C_CANCEL_RQ:
            self.raw_command = b""
            self.take_cancel(context, fields)
        elif fields[0x0100] & 0x8000:
            self.raw_command = b""
            assert fields[0x0120] in self.awaited, f"a response to {fields[0x0120]}, which was not asked"
            response = Response(fields, context, self.contexts[context][1])
            if fields[0x0800] == dicom.NO_DATA_SET:
                self.awaited.pop(fields[0x0120])(response)
            else:
                response.data, self.response = b"", response
        else:
            self.raw_command = raw[:len(raw) - len(fragment)]
            super().take_command(context, control, fragment)

    def take_cancel(self, context, fields):
        assert fields[0x0800] == dicom.NO_DATA_SET, "a C-CANCEL with a data set"
        self.sink.cancels.append((self, context, fields))
        for call in self.calls:
            if call.id == fields[0x0120]:
                assert call.context == context, "a C-CANCEL on another context"
                call.cancelled = True

    def take_fragment(self, context, control, fragment):
        if self.response is None:
            return super().take_fragment(context, control, fragment)
        assert self.response.context == context, "data of a response on another context"
        self.response.data += fragment
        if control & LAST:
            done, self.response = self.response, None
            self.awaited.pop(done.fields[0x0120])(done)
        return True

    def finish(self, message):
        field = message.command[0x0100]
        script = self.sink.scripts.get(field)
        if script is None and field in (dicom.C_STORE_RQ, dicom.C_ECHO_RQ):
            return super().finish(message)
        message.complete = True
        self.messages.append(message)
        self.pending.append(message)
        call = Call(self, message, script or refuse)
        self.calls.append(call)
        self.sink.calls.append(call)
        self.sink.messages.append(message)
        return True


def refuse(call):
    yield Answer(0x0211)


class Service(Sink):
    association_class = ServiceAssociation

    def __init__(self, scripts=None, **settings):
        self.scripts = scripts or {}  # command field of a request: a generator function of the Call
        self.calls, self.cancels = [], []
        super().__init__(**settings)

    def asked(self, field):
        """The calls of one kind."""
        return [call for call in self.calls if call.command[0x0100] == field]


# ---- scripts that many tests need


def answering(status=0, data=None, **fields):
    """One response; fields as f1000=value."""
    more = {int(name[1:], 16): value for name, value in fields.items()}

    def script(call):
        yield Answer(status, data(call) if callable(data) else data, more)
    return script


def found(*answers, status=0x0000, pending=0xFF00, gate=None, gate_after=0):
    """A C-FIND's: these data sets, then the end; FE00 once it is cancelled. gate: an event that is awaited after so many."""
    def script(call):
        for number, data in enumerate(answers):
            if gate and number == gate_after:
                yield from until(gate.is_set, call)
            if call.cancelled:
                break
            yield Answer(pending, data)
        if gate and gate_after >= len(answers):
            yield from until(gate.is_set, call)
        yield Answer(0xFE00 if call.cancelled else status)
    return script


def until(condition, call):
    """Reads on until it holds, or the call is cancelled."""
    while not condition() and not call.cancelled:
        time.sleep(0.002)
        yield None


def endless(make):
    """Answers make(number) until it is cancelled."""
    def script(call):
        number = 0
        while not call.cancelled:
            yield Answer(0xFF00, make(number))
            number += 1
            if number % 16 == 0:
                time.sleep(0.001)
        yield Answer(0xFE00)
    return script
