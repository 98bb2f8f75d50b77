"""Both ends of storage commitment (PS3.4 Annex J), scripted: who asks for it, and an archive that reports.

    archive = Archive(title="ARCHIVE")          keeps what it is sent, takes N-ACTIONs and reports as `how` says
    requester = Requester(title="MODALITY")     is told on associations of its own
"""

import dataclasses
import threading

import dicom
from dicom import CT, EXPLICIT, IMPLICIT
from harness import SLOW
from peer_client import Client
from peer_data import COMMITMENT, COMMITMENT_INSTANCE, data_of
from peer_service import Answer, Service

NO_SUCH_INSTANCE = 0x0112


@dataclasses.dataclass
class Told:
    """An N-EVENT-REPORT as it came."""
    transaction: str
    committed: list  # SOP Instance UIDs
    failed: dict  # SOP Instance UID: reason
    event: int
    request: object = None  # the A-ASSOCIATE-RQ that it came on; None: the association of the request

    @classmethod
    def of(cls, values, fields, request=None):
        good = [one["ReferencedSOPInstanceUID"] for one in values.get("ReferencedSOPSequence", [])]
        bad = {one["ReferencedSOPInstanceUID"]: one["FailureReason"] for one in values.get("FailedSOPSequence", [])}
        return cls(values["TransactionUID"], good, bad, fields.get(0x1002), request)


def reference(instance):
    return {"ReferencedSOPClassUID": instance.sop_class, "ReferencedSOPInstanceUID": instance.uid}


def request_of(transaction, instances, transfer=IMPLICIT):
    return data_of(transfer, TransactionUID=transaction, ReferencedSOPSequence=[reference(one) for one in instances])


def report_of(transaction, good, bad, transfer=IMPLICIT):
    """good: references; bad: (reference, reason)."""
    values = {"TransactionUID": transaction}
    if good:
        values["ReferencedSOPSequence"] = good
    if bad:
        values["FailedSOPSequence"] = [{**one, "FailureReason": reason} for one, reason in bad]
    return data_of(transfer, **values)


class Archive(Service):
    """how: "new" (an association of its own), "same" (the one that the request came on), "silent" (never). has: what it says it has, besides what it
    was sent; lacks: what not. action: the status of its N-ACTION-RSP. with_event_type, with_role: as standards have it, or not (quirks 9, 10)."""

    def __init__(self, title="ARCHIVE", how="new", **settings):
        self.title, self.how, self.gateway = title, how, None
        self.has, self.lacks, self.action = set(), {}, 0
        self.with_event_type = self.with_role = True
        self.requests = []  # (transaction, [SOP Instance UIDs], calling title)
        self.answers = []  # statuses of our N-EVENT-REPORTs
        self.refusals = []
        super().__init__({dicom.N_ACTION_RQ: self.take_request}, **settings)

    @property
    def stored(self):
        return [m.uid for m in self.messages if m.command[0x0100] == dicom.C_STORE_RQ]

    def take_request(self, call):
        values = call.values
        listed = values["ReferencedSOPSequence"]
        self.requests.append((values["TransactionUID"], [one["ReferencedSOPInstanceUID"] for one in listed],
                              dicom.text(call.association.request.calling)))
        action = self.action
        yield Answer(action, None, {0x1008: 1})
        if action == 0 and self.how == "same":
            data, event = self.report(values["TransactionUID"], listed, call.transfer)
            threading.Thread(target=self.report_there, args=(call, event, data)).start()
        elif action == 0 and self.how == "new":
            data, event = self.report(values["TransactionUID"], listed)
            threading.Thread(target=self.report_anew, args=(event, data)).start()

    def report(self, transaction, listed, transfer=IMPLICIT):
        here = self.has | set(self.stored)
        good = [one for one in listed if one["ReferencedSOPInstanceUID"] in here
                and one["ReferencedSOPInstanceUID"] not in self.lacks]
        bad = [(one, self.lacks.get(one["ReferencedSOPInstanceUID"], NO_SUCH_INSTANCE)) for one in listed if one not in good]
        return report_of(transaction, good, bad, transfer), 2 if bad else 1

    def fields(self, event):
        fields = {0x0002: COMMITMENT, 0x0100: dicom.N_EVENT_REPORT_RQ, 0x1000: COMMITMENT_INSTANCE, 0x1002: event}
        return fields if self.with_event_type else {e: v for e, v in fields.items() if e != 0x1002}

    def report_there(self, call, event, data):
        self.answers.append(call.association.ask(self.fields(event), data, call.context, seconds=10 * SLOW).status)

    def report_anew(self, event, data):
        """Returns the status of the answer."""
        roles = [(COMMITMENT, 0, 1)] if self.with_role else []
        with Client(self.gateway.port, [(COMMITMENT, [IMPLICIT])], calling=self.title, roles=roles,
                    seconds=20 * SLOW) as client:
            if self.with_role and client.answer.roles != [(COMMITMENT, 0, 1)]:
                self.refusals.append(client.answer.roles)
            fields = self.fields(event)
            done = client.call(dicom.N_EVENT_REPORT_RQ, COMMITMENT, data, f1000=COMMITMENT_INSTANCE,
                               f1002=fields.get(0x1002))
        self.answers.append(done.status)
        return done.status


class Requester(Service):
    """Is told on associations that the gateway opens: `told`."""

    def __init__(self, **settings):
        self.told, self.status = [], 0
        super().__init__({dicom.N_EVENT_REPORT_RQ: self.take_report}, **settings)
        self.roles = lambda proposed: proposed

    def take_report(self, call):
        yield Answer(self.status)
        self.told.append(Told.of(call.values, call.command, call.association.request))


PAIRS = [(CT, [EXPLICIT]), (COMMITMENT, [IMPLICIT])]


def commit(client, instances, transaction=None, **more):
    """The N-ACTION; returns (transaction, status)."""
    transaction = transaction or dicom.new_uid()
    transfer = client.accepted[client.context_of(COMMITMENT)][1]
    fields = {"f1001": COMMITMENT_INSTANCE, "f1008": 1, **more}
    data = request_of(transaction, instances, transfer)
    return transaction, client.call(dicom.N_ACTION_RQ, COMMITMENT, data, **fields).status


def await_told(client):
    """The report on the client's own association."""
    one = client.await_request()
    return Told.of(one.values, one.fields)
