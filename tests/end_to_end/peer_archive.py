"""A scripted archive: a Service that holds instances and serves C-FIND, C-GET and C-MOVE, hierarchically, as the standard says (PS3.4 C.4).

    archive = ScriptedArchive([image(...), ...], hosts={"DEST": port})
    archive.before = function(call, number)     called before each answer or sub-operation; what it returns is done instead: "abort",
                                                "close", "never", an Answer (the last response); "wait": it is called again, once what has come meanwhile
                                                has been read; None: go on

What tests need that real archives do not do when they are told: to wait, to fail in the middle, to say what they saw.
"""

import fnmatch

import dicom
from dicom import C_FIND_RQ, C_GET_RQ, C_MOVE_RQ, C_STORE_RQ
from peer_data import ATTRIBUTES, UNIQUE_KEY, data_of, read
from peer_service import Answer, Ask, Service
from sender import Sender

ORDER = ["PATIENT", "STUDY", "SERIES", "IMAGE"]
COUNTED = {"NumberOfPatientRelatedInstances": ("PatientID", "SOPInstanceUID"),
           "NumberOfStudyRelatedSeries": ("StudyInstanceUID", "SeriesInstanceUID"),
           "NumberOfStudyRelatedInstances": ("StudyInstanceUID", "SOPInstanceUID"),
           "NumberOfSeriesRelatedInstances": ("SeriesInstanceUID", "SOPInstanceUID")}
OWN_KEYS = ("QueryRetrieveLevel", "RetrieveAETitle", "SpecificCharacterSet", "InstanceAvailability")


def matches(wanted, value):
    """Single value, list of UIDs, wild card, universal matching (PS3.4 C.2.2.2)."""
    return wanted == "" or any(fnmatch.fnmatchcase(value, one) for one in wanted.split("\\"))


class ScriptedArchive(Service):
    def __init__(self, instances, title="SCRIPTED", hosts=None, **settings):
        self.title, self.hosts = title, hosts or {}
        self.instances = list(instances)
        self.values = {one.uid: read(one.data, one.transfer) for one in self.instances}
        self.before = lambda call, number: None
        super().__init__({C_FIND_RQ: self.find, C_GET_RQ: self.get, C_MOVE_RQ: self.move}, **settings)

    def chosen(self, keys):
        """The instances that an identifier means."""
        wanted = {key: value for key, value in keys.items() if key not in (*OWN_KEYS, *COUNTED)}
        return [one for one in self.instances
                if all(matches(value, self.values[one.uid].get(key, "")) for key, value in wanted.items())]

    def asked(self, call, number):
        """What `before` says, when it no longer says "wait"."""
        while (said := self.before(call, number)) == "wait":
            yield None
        return said

    # ---- C-FIND

    def find(self, call):
        keys = call.values
        level, found = keys["QueryRetrieveLevel"], {}
        for one in self.chosen(keys):
            values = self.values[one.uid]
            found.setdefault(values[UNIQUE_KEY[level]], values)
        for number, values in enumerate(found.values()):
            instead = yield from self.asked(call, number)
            if instead or call.cancelled:
                yield instead or Answer(0xFE00)
                return
            answer = {key: values.get(key, "") for key in keys if key in ATTRIBUTES and key not in (*OWN_KEYS, *COUNTED)}
            answer.update({key: str(self.related(key, values)) for key in keys if key in COUNTED})
            answer.update(QueryRetrieveLevel=level, RetrieveAETitle=self.title)
            yield Answer(0xFF00, data_of(call.transfer, **answer))
        instead = yield from self.asked(call, len(found))
        yield instead or Answer(0xFE00 if call.cancelled else 0)

    def related(self, key, values):
        """Number of Study Related Instances and the like."""
        above, what = COUNTED[key]
        return len({other[what] for other in self.values.values() if other[above] == values[above]})

    # ---- retrievals

    def get(self, call):
        contexts = {pair: number for number, pair in call.association.contexts.items()}

        def send(one):
            context = contexts.get((one.sop_class, one.transfer))
            if context is None:
                return 0x0122
            fields = {0x0002: one.sop_class, 0x0100: C_STORE_RQ, 0x0700: 0, 0x1000: one.uid}
            response = yield Ask(context, fields, one.data)
            return response.status
        yield from self.retrieve(call, send)

    def move(self, call):
        title = dicom.text(call.command[0x0600])
        if title not in self.hosts:
            yield Answer(0xA801, None, {0x0902: "move destination unknown"})
            return
        chosen = self.chosen(call.values)
        pairs = sorted({(one.sop_class, one.transfer) for one in chosen}) or [(dicom.CT, dicom.EXPLICIT)]
        with Sender(self.hosts[title], [(sop_class, [transfer]) for sop_class, transfer in pairs], calling=self.title,
                    called=title) as sender:
            def send(one):
                yield None
                return sender.store(one, f1030=bytes(call.association.request.calling), f1031=call.id).status
            yield from self.retrieve(call, send)

    def retrieve(self, call, send):
        chosen = self.chosen(call.values)
        done = {"completed": 0, "failed": [], "warning": 0}
        for number, one in enumerate(chosen):
            instead = yield from self.asked(call, number)
            if instead:
                yield instead
                return
            if call.cancelled:
                yield Answer(0xFE00, self.failed_list(call, done), self.counts(done, len(chosen) - number))
                return
            status = yield from send(one)
            if status == 0:
                done["completed"] += 1
            elif status & 0xF000 == 0xB000:
                done["warning"] += 1
            else:
                done["failed"].append(one.uid)
            yield Answer(0xFF00, None, self.counts(done, len(chosen) - number - 1))
        instead = yield from self.asked(call, len(chosen))
        if instead:
            yield instead
            return
        failed = len(done["failed"])
        status = 0 if not failed and not done["warning"] else 0xA702 if failed == len(chosen) else 0xB000
        yield Answer(status, self.failed_list(call, done), self.counts(done, None))

    @staticmethod
    def counts(done, remaining):
        out = {0x1021: done["completed"], 0x1022: len(done["failed"]), 0x1023: done["warning"]}
        return out if remaining is None else {0x1020: remaining, **out}

    @staticmethod
    def failed_list(call, done):
        return data_of(call.transfer, FailedSOPInstanceUIDList="\\".join(done["failed"])) if done["failed"] else None
