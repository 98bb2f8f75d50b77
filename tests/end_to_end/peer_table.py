"""Every type of DIMSE message (PS3.7 9.3, 10.3) from a scripted SCU to a scripted SCP and back, by whatever stands between them.

    rows = table(port, service)           port is the service's own, or a gateway's that sends everything on to it
    print(printed(rows))

Each request is compared with what arrives, each response with what was answered: every element of the command set but group length and
message ids, and the data set byte for byte. What differs is an AssertionError of the row. C-STORE and N-EVENT-REPORT go both ways: from the
requestor of the association, and from its acceptor on the same association.
"""

import dataclasses

import dicom
from dicom import CT, EXPLICIT, VERIFICATION, make_instance
from peer_client import Client
from peer_data import (FILM_SESSION, GRAYSCALE_PRINT, MPPS, MPPS_NOTIFICATION, PRIVATE_SERVICE, STUDY_ROOT_FIND, STUDY_ROOT_GET,
                       STUDY_ROOT_MOVE, UPS_EVENT, UPS_PULL, UPS_PUSH, data_of)
from peer_service import Answer, Ask, answering, endless

CLASSES = [STUDY_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET, VERIFICATION, MPPS, MPPS_NOTIFICATION, UPS_PUSH, UPS_PULL,
           UPS_EVENT, GRAYSCALE_PRINT, PRIVATE_SERVICE]
ROLES = [(CT, 1, 1), (MPPS_NOTIFICATION, 0, 1)]
OWN = {0x0000, 0x0110, 0x0120}  # of each association


@dataclasses.dataclass
class Row:
    request: str
    way: str  # "->": from the requestor of the association
    compared: str  # of the request
    responses: str  # what came back
    answered: str  # what of it was compared


def same(sent, came, what):
    """Command sets without what belongs to each association; returns how many elements were compared."""
    sent, came = ({e: _plain(v) for e, v in one.items() if e not in OWN} for one in (sent, came))
    # That a data set follows is said by any value but 0101 (PS3.7 E.1).
    for one in (sent, came):
        one[0x0800] = one[0x0800] == dicom.NO_DATA_SET
    assert sent == came, f"{what}: {_shown(sent)} became {_shown(came)}"
    return len(sent)


def _plain(value):
    return value if isinstance(value, int) else dicom.text(value if isinstance(value, bytes) else value.encode())


def _shown(fields):
    return ", ".join(f"{element:04x}={value!r}" for element, value in sorted(fields.items()))


def same_data(sent, came, what):
    assert (sent or b"") == (came or b""), f"{what}: a data set of {len(sent or b'')} bytes became one of {len(came or b'')}"
    return len(sent or b"")


def words(elements, size):
    return f"{elements} elements" + (f", {size} bytes of data" if size else "")


class Table:
    def __init__(self, client, service):
        self.client, self.service, self.rows = client, service, []

    def forward(self, name, field, sop_class, script, data=None, cancel_after=None, abstract=None, **fields):
        """A request of the client's, by a script of the service's."""
        self.service.scripts = {**self.service.scripts, field: script}
        before = len(self.service.calls)
        sent = {int(key[1:], 16): value for key, value in fields.items()}
        outcome = self.client.call(field, sop_class, data, cancel_after, abstract=abstract, **fields)
        assert len(self.service.calls) == before + 1, f"{name}: {len(self.service.calls) - before} requests have arrived, not 1"
        call = self.service.calls[-1]
        assert call.abstract == (abstract or sop_class), f"{name} arrived on a context of {call.abstract}"
        of_class = 0x0003 if 0x0003 in call.command else 0x0002
        full = {of_class: sop_class, 0x0100: field, 0x0800: dicom.NO_DATA_SET if data is None else 1, **sent}
        if field in (dicom.C_FIND_RQ, dicom.C_GET_RQ, dicom.C_MOVE_RQ):
            full.setdefault(0x0700, 0)
        compared = words(same(full, call.command, name), same_data(data, call.data, name))
        self.rows.append(Row(name, "->", compared, *self.of_responses(name, call, outcome)))
        return call, outcome

    def of_responses(self, name, call, outcome):
        came = [*outcome.pending, outcome.final]
        if len(call.answers) != len(came):  # some may stop on the way once a C-CANCEL is under way
            assert call.cancelled, f"{name}: {len(call.answers)} responses became {len(came)}"
        elements = size = 0
        pairs = list(zip(call.answers[:-1], came[:-1])) + [(call.answers[-1], came[-1])]
        for (fields, data), one in pairs:
            elements += same(fields, one.fields, f"a response to {name}")
            size += same_data(data, one.data, f"a response to {name}")
        statuses = [f"{len(outcome.pending)} x FF00"] if len(outcome.pending) > 2 else [
            f"{one.status:04X}" for one in outcome.pending]
        return ", ".join([*statuses, f"{outcome.status:04X}"]), words(elements, size)

    def backward(self, name, call, outcome):
        """The service's own request, made while it served a call of the client's."""
        assert len(call.asked) == len(outcome.requests) == 1, f"{name}: {len(outcome.requests)} have arrived, not 1"
        (fields, data), came = call.asked[0], outcome.requests[0]
        fields = {**fields, 0x0800: dicom.NO_DATA_SET if data is None else 1}
        compared = words(same(fields, came.fields, name), same_data(data, came.data, name))
        response = call.response
        elements = same(call.client_said, response.fields, f"the response to {name}")
        size = same_data(call.client_data, response.data, f"the response to {name}")
        self.rows.append(Row(name, "<-", compared, f"{response.status:04X}", words(elements, size)))

    # ---- the rows

    def c_services(self):
        key, answer = data_of(EXPLICIT, QueryRetrieveLevel="STUDY", StudyInstanceUID=""), data_of(EXPLICIT, StudyID="A")

        def find(call):
            yield Answer(0xFF00, answer)
            yield Answer(0xFF01, answer + answer)
            yield Answer(0x0000)
        self.forward("C-FIND", dicom.C_FIND_RQ, STUDY_ROOT_FIND, find, key, f0700=2)
        call, outcome = self.forward("C-FIND with C-CANCEL", dicom.C_FIND_RQ, STUDY_ROOT_FIND, endless(lambda n: answer), key, 5)
        assert outcome.status == 0xFE00, f"{outcome}"
        ((_, _, cancel),) = self.service.cancels
        assert cancel[0x0120] == call.id, f"the C-CANCEL is for {cancel[0x0120]}, the request is {call.id}"
        self.rows.append(Row("C-CANCEL", "->", words(same({0x0100: 0x0FFF, 0x0800: 0x0101}, cancel, "C-CANCEL"), 0),
                             "none of its own", "the id is the request's there"))

        def move(call):
            yield Answer(0xFF00, None, {0x1020: 2, 0x1021: 1, 0x1022: 0, 0x1023: 0})
            yield Answer(0xB000, data_of(EXPLICIT, FailedSOPInstanceUIDList="1.2.3"), {0x1021: 1, 0x1022: 1, 0x1023: 1})
        self.forward("C-MOVE", dicom.C_MOVE_RQ, STUDY_ROOT_MOVE, move, key, f0600="ELSEWHERE", f0700=1)

        instance = make_instance(5000)
        self.forward("C-STORE", dicom.C_STORE_RQ, CT, answering(0xB007, f0901=b"\x10\x00\x20\x00", f0902="as it was", f0903=7),
                     instance.data, f1000=instance.uid, f0700=1)
        self.c_get(instance, key)
        self.forward("C-ECHO", dicom.C_ECHO_RQ, VERIFICATION, answering(0x0000))

    def c_get(self, instance, key):
        def get(call):
            fields = {0x0002: CT, 0x0100: dicom.C_STORE_RQ, 0x0700: 0, 0x1000: instance.uid}
            context = next(i for i, (one, _) in call.association.contexts.items() if one == CT)
            call.response = yield Ask(context, fields, instance.data)
            yield Answer(0xFF00, None, {0x1020: 0, 0x1021: 0, 0x1022: 0, 0x1023: 1})
            yield Answer(0xB000, None, {0x1021: 0, 0x1022: 0, 0x1023: 1})
        self.client.on_request = lambda message: (0xB000, {0x0902: "coerced"}, None)
        call, outcome = self.forward("C-GET", dicom.C_GET_RQ, STUDY_ROOT_GET, get, key)
        call.client_said = {0x0002: CT, 0x0100: 0x8001, 0x0800: 0x0101, 0x0900: 0xB000, 0x0902: "coerced", 0x1000: instance.uid}
        call.client_data = None
        self.backward("C-STORE of a C-GET", call, outcome)

    def n_services(self):
        some = data_of(EXPLICIT, PatientName="A^B", PerformedProcedureStepStatus="IN PROGRESS")
        more = data_of(EXPLICIT, PerformedProcedureStepStatus="COMPLETED")
        self.forward("N-CREATE", dicom.N_CREATE_RQ, MPPS, answering(0x0116, more, f0902="out of range"), some, f1000="1.2.3.4")
        self.forward("N-CREATE without UID", dicom.N_CREATE_RQ, FILM_SESSION, answering(0, f1000="1.2.3.4.5"),
                     data_of(EXPLICIT, NumberOfCopies="1"), abstract=GRAYSCALE_PRINT)
        self.forward("N-SET", dicom.N_SET_RQ, MPPS, answering(0x0000, some), more, f1001="1.2.3.4")
        self.forward("N-GET", dicom.N_GET_RQ, UPS_PULL, answering(0x0001, some, f1005=b"\x10\0\x20\0"), f1001="1.2.3.4",
                     f1005=b"\x10\0\x10\0\x10\0\x20\0")
        self.forward("N-DELETE", dicom.N_DELETE_RQ, FILM_SESSION, answering(0x0112, f0903=7), f1001="1.2.3.4.5",
                     abstract=GRAYSCALE_PRINT)
        self.forward("N-ACTION of a private class", dicom.N_ACTION_RQ, PRIVATE_SERVICE, answering(0xC123, some, f1008=9), more,
                     f1001="1.2.9", f1008=9)
        self.events(some, more)

    def events(self, some, more):
        def action(call):
            fields = {0x0002: UPS_EVENT, 0x0100: dicom.N_EVENT_REPORT_RQ, 0x1000: "1.2.3.4", 0x1002: 1}
            contexts = {one: i for i, (one, _) in call.association.contexts.items()}
            call.response = yield Ask(contexts.get(UPS_EVENT, call.context), fields, some)
            yield Answer(0x0000, None, {0x1008: 3})
        self.client.on_request = lambda message: (0x0000, {0x1002: 1}, more)
        call, outcome = self.forward("N-ACTION", dicom.N_ACTION_RQ, UPS_PUSH, action, more, f1001="1.2.3.4", f1008=3)
        call.client_said = {0x0002: UPS_EVENT, 0x0100: 0x8100, 0x0800: 1, 0x0900: 0, 0x1000: "1.2.3.4", 0x1002: 1}
        call.client_data = more
        self.backward("N-EVENT-REPORT", call, outcome)
        self.forward("N-EVENT-REPORT", dicom.N_EVENT_REPORT_RQ, MPPS_NOTIFICATION, answering(0x0000, f1002=2), some,
                     f1000="1.2.3.4", f1002=2)


def table(port, service, seconds=20, **association):
    pairs = [(one, [EXPLICIT]) for one in [*CLASSES, CT]]
    with Client(port, pairs, roles=ROLES, seconds=seconds, **association) as client:
        made = Table(client, service)
        made.c_services()
        made.n_services()
    return made.rows


def printed(rows):
    """The table as text."""
    cells = [("request", "", "compared", "responses", "compared")]
    cells += [(r.request, r.way, r.compared, r.responses, r.answered) for r in rows]
    widths = [max(len(one[i]) for one in cells) for i in range(5)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(one, widths)).rstrip() for one in cells)


def types_of(rows):
    """The command fields (enum dimse_field of src/dimse/command.h) that the rows hold, by name."""
    names = {row.request.split(" ")[0] for row in rows}
    return {f"{name}-RQ" for name in names} | {f"{name}-RSP" for name in names if name != "C-CANCEL"}
