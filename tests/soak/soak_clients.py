#!/usr/bin/python3
"""Everything but storage, as a process of its own: soak_clients.py PORT FOLDER SEED LANES PAUSE MODALITY_PORT

Queries and retrievals over a pool of two archives whose contents are known, procedure steps, storage commitment, C-ECHO; some are cancelled, some
cut off. FOLDER/clients gets

    did WHAT HOW             one is over: "ok", "warned", "failed", "cancelled", "rejected", "cut"
    moved N                  so many sub-operations of a C-MOVE completed
    step UID STATUS          a procedure step that was acknowledged, in order
    ! WORDS                  an answer that is wrong, or none

FOLDER/sender-COMMITTED gets the instances that commitment is asked for, as soak_sender.py writes them. SIGTERM: requests for commitment that were taken
have to be answered, then it ends.
"""

import hashlib
import os
import random
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "crash"), os.path.join(os.path.dirname(HERE), "end_to_end")]

import dicom  # noqa: E402
from archives import identifier  # noqa: E402
from commitment_peers import Requester, Told, commit  # noqa: E402
from dicom import CT, EXPLICIT, IMPLICIT, N_CREATE_RQ, N_SET_RQ, VERIFICATION, make_instance  # noqa: E402
from lanes import open_record, run_lanes, stopping  # noqa: E402
from peer_client import Client, getting  # noqa: E402
from peer_data import COMMITMENT, MPPS, STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE, data_of, read  # noqa: E402
from soak_peer import TITLES, archive_of, forget  # noqa: E402
from soak_sender import PATIENCE  # noqa: E402

HELD = {one.uid: one for title in TITLES for one in archive_of(title)}
STUDY_OF = {uid: read(one.data, one.transfer)["StudyInstanceUID"] for uid, one in HELD.items()}
STUDIES = sorted(set(STUDY_OF.values()))
BOTH = (EXPLICIT, IMPLICIT)
TOLD_WITHIN = 90 * PATIENCE / 60  # beyond the gateway's timeouts.commit


class Wrong(Exception):
    """What came is not what the gateway promises."""


def hold(condition, words):
    if not condition:
        raise Wrong(words)


class Commitments:
    """Requests that were taken, and what came of them. The requester is "MODALITY", which the gateway calls if the association has gone."""

    def __init__(self, port, record):
        self.record, self.lock = record, threading.Lock()
        self.asked, self.told = {}, {}  # Transaction UID -> (when, SOP Instance UIDs); -> times
        self.open = 0
        self.requester = Requester(port=port)

    def ask(self, transaction, uids):
        with self.lock:
            self.asked[transaction] = (time.monotonic(), uids)

    def take(self, told):
        with self.lock:
            before = self.told.get(told.transaction, 0)
            self.told[told.transaction] = before + 1
            asked = self.asked.get(told.transaction)
        if before == 0:
            os.write(self.record, f"did commitment {'failed' if told.failed else 'ok'}\n".encode())
        if asked and set(told.committed) | set(told.failed) != set(asked[1]):
            os.write(self.record, f"! the report for {told.transaction} is about other instances\n".encode())
        for uid in told.committed:
            os.write(self.record, f"committed {uid}\n".encode())

    def collect(self):
        while self.requester.told:
            self.take(self.requester.told.pop(0))
        forget(self.requester)

    def late(self, seconds=TOLD_WITHIN):
        limit = time.monotonic() - seconds
        with self.lock:
            return [t for t, (when, _) in self.asked.items() if t not in self.told and when < limit]

    def finish(self):
        """Waits for those that are open; says which never came."""
        while len(self.told) < len(self.asked) and not self.late():
            self.collect()
            time.sleep(0.1)
        self.collect()
        for transaction in self.late(0):
            os.write(self.record, f"! nothing was told of {transaction}\n".encode())


class Lane(threading.Thread):
    def __init__(self, arguments, number, record, stored, commitments):
        super().__init__()
        self.port, self.pause, self.record, self.stored = int(arguments[0]), float(arguments[4]), record, stored
        self.random, self.commitments = random.Random(f"{arguments[2]}.{number}"), commitments

    def write(self, *words, record=None):
        os.write(record or self.record, (" ".join(words) + "\n").encode())

    def run(self):
        kinds = (self.find, self.find, self.cancelled_find, self.get, self.cancelled_get, self.move, self.move, self.echo, self.step,
                 self.step, self.commitment, self.commitment, self.cut)
        while not stopping.is_set():
            stopping.wait(self.random.expovariate(1 / self.pause))
            kind = self.random.choice(kinds)
            self.write("did", kind.__name__, self.outcome(kind))

    def outcome(self, kind):
        try:
            return kind()
        except dicom.Rejected:
            return "rejected"
        except TimeoutError:
            self.write("!", kind.__name__, f"has no answer within {PATIENCE:.0f} s")
            return "silent"
        except (dicom.Ended, OSError):
            return "ended"
        except (Wrong, AssertionError) as wrong:
            self.write("!", kind.__name__, str(wrong).replace("\n", " "))
            return "wrong"

    def client(self, *classes, pairs=None, calling="CLIENT", **more):
        return Client(self.port, pairs or [(one, list(BOTH)) for one in classes], calling=calling, seconds=PATIENCE, **more)

    @staticmethod
    def how(status):
        return {0: "ok", 0xFE00: "cancelled"}.get(status, "warned" if status >> 12 == 0xB else "failed")

    # ---- queries

    def find(self, cancel_after=None):
        with self.client(STUDY_ROOT_FIND) as client:
            outcome = client.find(STUDY_ROOT_FIND, cancel_after, **identifier("STUDY", StudyInstanceUID=""))
        uids = [answer["StudyInstanceUID"] for answer in outcome.answers]
        hold(len(set(uids)) == len(uids), f"the same study twice: {uids}")
        hold(set(uids) <= set(STUDIES), f"unknown studies: {uids}")
        hold(outcome.status != 0 or set(uids) == set(STUDIES), f"0000, and only {uids}")
        return self.how(outcome.status)

    def cancelled_find(self):
        return self.find(cancel_after=self.random.choice((1, 2, 4)))

    # ---- retrievals

    def wanted(self):
        study = self.random.choice(STUDIES)
        return study, {uid for uid, one in STUDY_OF.items() if one == study}

    def get(self, cancel_after=None):
        study, wanted = self.wanted()
        pairs, roles = getting([CT], [EXPLICIT])
        with self.client(pairs=pairs, roles=roles) as client:
            outcome = client.get(STUDY_ROOT_GET, cancel_after, QueryRetrieveLevel="STUDY", StudyInstanceUID=study)
        uids = [one.text(0x1000) for one in outcome.requests]
        hold(set(uids) <= wanted, f"of another study than {study}: {uids}")
        for one in outcome.requests:
            hold(one.data == HELD[one.text(0x1000)].data, f"{one.text(0x1000)} has changed")
        hold(outcome.status != 0 or set(uids) == wanted, f"0000 for {study}, and only {uids}")
        return self.how(outcome.status)

    def cancelled_get(self):
        return self.get(cancel_after=1)

    def move(self):
        study, wanted = self.wanted()
        cancel_after = 1 if self.random.random() < 0.2 else None
        with self.client(STUDY_ROOT_MOVE) as client:
            outcome = client.move(STUDY_ROOT_MOVE, "VIEW", cancel_after, QueryRetrieveLevel="STUDY", StudyInstanceUID=study)
        self.write("moved", str(outcome.counts.get("completed", 0)))
        hold(outcome.status != 0 or outcome.counts.get("completed") == len(wanted), f"0000 for {study} with {outcome.counts}")
        return self.how(outcome.status)

    def cut(self):
        """A query or retrieval whose client goes in the middle."""
        study, _ = self.wanted()
        field, sop_class, more = self.random.choice(((dicom.C_FIND_RQ, STUDY_ROOT_FIND, {}), (dicom.C_GET_RQ, STUDY_ROOT_GET, {}),
                                                     (dicom.C_MOVE_RQ, STUDY_ROOT_MOVE, {"f0600": "VIEW"})))
        pairs, roles = getting([CT], [EXPLICIT])
        client = self.client(pairs=pairs + [(STUDY_ROOT_FIND, list(BOTH)), (STUDY_ROOT_MOVE, list(BOTH))], roles=roles)
        keys = identifier("STUDY", StudyInstanceUID="") if field == dicom.C_FIND_RQ else {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study}
        client.ask(field, sop_class, data_of(client.accepted[client.context_of(sop_class)][1], **keys), **more)
        if self.random.random() < 0.5:
            client.message()
        getattr(client, self.random.choice(("abort", "reset", "close")))()
        return "cut"

    def echo(self):
        with self.client(VERIFICATION) as client:
            return self.how(client.echo().status)  # of the node "a", which may be away

    # ---- procedure steps

    def step(self):
        uid = dicom.new_uid()
        with self.client(MPPS, calling="STEPS") as client:
            data = data_of(EXPLICIT, Modality="CT", PatientID="1", PerformedProcedureStepID="P1",
                           PerformedProcedureStepStatus="IN PROGRESS")
            outcome = client.call(N_CREATE_RQ, MPPS, data, f1000=uid)
            for status in ("IN PROGRESS", "STEP 2", "COMPLETED"):
                if status != "IN PROGRESS":
                    data = data_of(EXPLICIT, PerformedProcedureStepStatus=status)
                    outcome = client.call(N_SET_RQ, MPPS, data, f1001=uid)
                if outcome.status != 0:
                    return "failed"
                self.write("step", uid, status.replace(" ", "_"))
        return "ok"

    # ---- storage commitment

    def commitment(self):
        stay = self.random.random() < 0.5
        client = self.client(pairs=[(CT, [EXPLICIT]), (COMMITMENT, [IMPLICIT])], calling="MODALITY")
        try:
            instances = []
            for _ in range(self.random.choice((1, 3))):
                one = make_instance(3000)
                digest = hashlib.sha256(one.data).hexdigest()
                self.write("?", one.uid, digest, digest, record=self.stored)
                status = client.store(one).status
                self.write("=", one.uid, f"{status:04X}", record=self.stored)
                instances += [one] * (status == 0)
            if not instances:
                return "failed"
            transaction, status = commit(client, instances)
            if status != 0:
                return "failed"
            self.commitments.ask(transaction, [one.uid for one in instances])
            if stay:
                self.listen(client)
            client.release()
        finally:
            client.close()
        return "taken"

    def listen(self, client):
        """For the report, on the association of the request. Whoever leaves without is told otherwise."""
        client.wire.socket.settimeout(20)
        try:
            one = client.await_request()
        except TimeoutError:
            return
        self.commitments.take(Told.of(one.values, one.fields))


def main():
    arguments = sys.argv[1:]
    record, stored = (open_record(os.path.join(arguments[1], name)) for name in ("clients", "sender-COMMITTED"))
    commitments = Commitments(int(arguments[5]), record)

    class Collector(threading.Thread):
        def run(self):
            while not stopping.wait(1):
                commitments.collect()
            commitments.finish()
    lanes = [Lane(arguments, number, record, stored, commitments) for number in range(int(arguments[3]))]
    run_lanes([*lanes, Collector()])


if __name__ == "__main__":
    main()
