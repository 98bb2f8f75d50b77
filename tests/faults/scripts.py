"""Scripted associations: everything that a gateway does for others, each a short run whose outcome can be judged.

A script does what its peers do, once, and returns what the gateway said. While something fails on purpose any answer is right that is
in order: success, a failure, an A-ABORT, a rejection, the end of the connection. What is never right: success for what does not arrive, bytes that were not sent, no
answer at all.
"""

import os
import signal
import socket
import ssl
import time

import certificates
import dicom
import harness
from commitment_peers import Archive, Requester, commit
from dicom import C_FIND_RQ, C_GET_RQ, C_MOVE_RQ, CT, EXPLICIT, IMPLICIT, N_CREATE_RQ, N_SET_RQ, VERIFICATION, make_instance, new_uid
from harness import SLOW, Case, Gateway, declare, folder, free_port, node, route, same_data, wait_until
from peer_client import Client, getting
from peer_data import COMMITMENT, GET_OF, MPPS, STUDY_ROOT_FIND, STUDY_ROOT_MOVE, data_of
from peer_service import Answer, Service, found
from sender import Framing, Sender
from sink import Sink

LIMIT = 8  # seconds until the gateway has to have answered or ended an association: its longest time-out, and some
ENDED = (dicom.Ended, dicom.Closed, ConnectionError, ssl.SSLError)
FAILED = "failed"  # an outcome: the gateway said so, or ended the association

MORPH = 'function(ds) ds.PatientID = "CHANGED" end'


class Hung(AssertionError):
    pass


TIMEOUTS = {"connect": "1s", "association": "2s", "progress": "2s", "response": "3s", "lag": "2s", "retrieve": "4s", "drain": "2s"}
QUICK = {"first": "50ms", "most": "200ms"}
STORED, FOUND = "1.2.3.1", "1.2.3.2"


def when(title, **more):
    return {"calling": title, **more}


class PatientArchive(Archive):
    """Reports until it is heard, whatever became of the association it was asked on, as archives do: the gateway itself asks again after minutes only."""

    def take_request(self, call):
        yield from list(super().take_request(call))

    def report_anew(self, event, data):
        end = time.monotonic() + LIMIT * SLOW
        while time.monotonic() < end:
            try:
                if super().report_anew(event, data) == 0:
                    return
            except (*ENDED, TimeoutError, AssertionError):
                pass
            time.sleep(0.05)


class World:
    """A gateway that is preloaded with a shim, and everybody it works with. One title a script, by which routes tell them apart."""

    def __init__(self, shim, **settings):
        self.shim = shim
        self.a, self.b, self.slow = Sink(), Sink(), Sink()
        self.wide = [Sink(max_length=0) for _ in range(2)]  # what comes in large PDVs may go on as it is
        pki = certificates.shared()
        self.identity = pki.server("localhost", "127.0.0.1")
        self.trust = ssl.create_default_context(cafile=pki.ca)
        self.secret = Sink()
        self.secret.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.secret.tls.load_cert_chain(self.identity.certificate, self.identity.key)
        self.port, self.tls_port = free_port(), free_port()
        self.archives = [Service({C_FIND_RQ: found(*(self.answer(i, n) for n in range(5))),
                                  C_GET_RQ: self.give}) for i in range(2)]
        self.pacs = Service({C_MOVE_RQ: self.move_back}, ae_title="PACS")
        self.steps = Service({N_CREATE_RQ: self.take_step, N_SET_RQ: self.take_step})
        self.keeper, self.asker = PatientArchive(), Requester()
        self.peers = [self.a, self.b, self.slow, *self.wide, self.secret, *self.archives, self.pacs, self.steps, self.keeper, self.asker]
        self.settings = {"workers": 1, "timeouts": TIMEOUTS, "retry": QUICK, "memory": "32MiB", "uid_key": "a secret of some length",
                         "log": {"level": "warn", "format": "json"}, "port": self.port, **settings}
        self.listen = [{"address": "127.0.0.1"}, {"address": "127.0.0.1", "port": self.tls_port, "tls": {
            "certificate": self.identity.certificate, "key": self.identity.key}}]
        self.declarations = self.declare()
        self.gateway = Gateway(*self.declarations, environment=shim.environment, listen=self.listen, **self.settings)
        self.keeper.gateway = self.gateway
        self.owed = []  # what has been acknowledged and is still to arrive: (sink, instance)
        self.reloads = 0

    def declare(self):
        one, two = self.archives
        return [
            node("a", self.a), node("b", self.b), node("one", one), node("two", two), node("steps", self.steps),
            node("pacs", self.pacs, **{"as": {"move": "through us"}}), node("keeper", self.keeper, ae_title="ARCHIVE"),
            node("asker", self.asker, ae_title="ASKER"), folder("files", "$FOLDER/files/{SOPInstanceUID}.dcm"),
            node("secret", self.secret, tls={"ca": certificates.shared().ca}),
            *(node(f"wide{i}", one) for i, one in enumerate(self.wide)),
            route("relay", "a", when=when("RELAY")),
            route("secure", "secret", when=when("SECURE")),
            route("pass", "wide0", when=when("PASS"), zero_copy=True),
            route("pass to two", ["wide0", "wide1"], when=when("PASS_TWO"), zero_copy=True),
            route("fan", ["a", "b"], when=when("FAN")),
            declare("route", "morph", {"to": ["a"], "on_failure": "fail", "when": when("MORPH"), "morph": harness.Lua(MORPH)}),
            declare("route", "map", {"to": ["a"], "on_failure": "fail", "when": when("MAP"), "morph": harness.Lua(
                'function(ds) ds.StudyInstanceUID = uid.map("1.2.3"); ds.PatientID = hash("x", 10) end')}),
            declare("route", "copy", {"copy": ["a"], "when": when("COPY")}),
            declare("route", "both", {"to": ["a"], "copy": ["b"], "when": when("BOTH"), "morph": harness.Lua(MORPH)}),
            declare("route", "queue", {"to": ["a"], "on_failure": "queue", "when": when("QUEUE")}),
            route("folder", "files", when=when("FOLDER")),
            declare("route", "gather", {"to": ["a"], "on_failure": "fail", "when": when("GATHER"), "stream": False}),
            route("find", ["one", "two"], when={"service": "find"}),
            route("get", ["one"], when={"service": "get"}),
            route("move", ["pacs"], when={"service": "move"}),
            declare("route", "mpps", {"to": ["steps"], "on_failure": "queue", "when": {"service": "mpps"}}),
            route("keep", "keeper", when=when("KEEP")),
            'route "commitment" { when = { service = "commit" } }',
        ]

    # ---- what archives say

    def answer(self, archive, number):
        return data_of(IMPLICIT, QueryRetrieveLevel="STUDY", StudyInstanceUID=f"1.2.3.{archive if number else 9}.{number}",
                       PatientName=f"N^{number}", PatientID=str(number))

    def image(self):
        return make_instance(3000, uid=STORED, seed=1)

    def give(self, call):
        one = self.image()
        context = next((i for i, pair in call.association.contexts.items() if pair == (CT, EXPLICIT)), None)
        if context is None:
            yield Answer(0xA900)
            return
        from peer_service import Ask
        fields = {0x0002: CT, 0x0100: dicom.C_STORE_RQ, 0x0700: 0, 0x1000: one.uid}
        response = yield Ask(context, fields, one.data)
        done = response.status == 0
        yield Answer(0 if done else 0xB000, None, {0x1021: int(done), 0x1022: int(not done), 0x1023: 0})

    def move_back(self, call):
        one, done = make_instance(3000), 0
        try:
            with Sender(self.gateway.port, [(CT, [EXPLICIT])], calling="PACS", called=dicom.text(call.command[0x0600]),
                        seconds=LIMIT * SLOW) as sender:
                more = {"f1030": dicom.text(call.association.request.calling), "f1031": call.id}
                answer = sender.store(one, **more)
                done = int(answer.status == 0)
                if done:
                    self.owed.append((self.b, one))
        except (*ENDED, AssertionError):
            pass
        yield Answer(0 if done else 0xB000, fields={0x1021: done, 0x1022: 1 - done, 0x1023: 0})

    def take_step(self, call):
        yield Answer(0)

    # ---- scripts

    def store(self, title, sinks, size=3000, count=1, tls=False, pdu=None):
        instances = [make_instance(size) for _ in range(count)]
        port, trust = (self.tls_port, self.trust) if tls else (self.port, None)
        with Sender(port, [(CT, [EXPLICIT])], calling=title, seconds=LIMIT * SLOW, tls=trust) as sender:
            if not sender.accepted:
                return FAILED
            sender.framing = Framing(pdu=pdu)
            for one in instances:
                answer = sender.store(one)
                assert answer.status >> 12 != 0xC, f"a lack of memory is told as a fault of the instance: {answer}"
                if answer.status != 0:
                    return f"{answer.status:04X} {answer.comment}"
                self.owed += [(sink, one) for sink in sinks]
        return None

    def relay(self):
        return self.store("RELAY", [self.a])

    def relay_large(self):
        return self.store("RELAY", [self.a], 400000)

    def secure(self):
        """TLS on both sides."""
        return self.store("SECURE", [self.secret], tls=True)

    def secure_large(self):
        return self.store("SECURE", [self.secret], 400000, tls=True)

    def pass_by(self):
        """From socket to socket."""
        return self.store("PASS", self.wide[:1], 2 << 20, pdu=128 << 10)

    def pass_to_two(self):
        return self.store("PASS_TWO", self.wide, 2 << 20, pdu=128 << 10)

    def fan(self):
        return self.store("FAN", [self.a, self.b], 90000)

    def morph(self):
        return self.store("MORPH", [self.a])

    def map(self):
        return self.store("MAP", [self.a])

    def copy(self):
        return self.store("COPY", [self.a])

    def copy_large(self):
        return self.store("COPY", [self.a], 1500000)

    def both(self):
        return self.store("BOTH", [self.a, self.b])

    def queue(self):
        """The node turns it down for now, and takes it when it comes again."""
        self.a.answer = lambda m: 0xA700 if m.uid not in self.refused and not self.refused.add(m.uid) else 0
        self.refused = set()
        try:
            return self.store("QUEUE", [self.a])
        finally:
            self.settle()
            self.a.answer = 0

    def folder(self):
        return self.store("FOLDER", ["files"], 9000)

    def gather(self):
        return self.store("GATHER", [self.a], 90000)

    def client(self, pairs, title, **more):
        return Client(self.gateway.port, pairs, calling=title, seconds=LIMIT * SLOW, **more)

    def find(self):
        with self.client([(STUDY_ROOT_FIND, [IMPLICIT])], "FIND") as client:
            if not client.accepted:
                return FAILED
            outcome = client.find(STUDY_ROOT_FIND, QueryRetrieveLevel="STUDY", StudyInstanceUID="", PatientName="", PatientID="")
        if outcome.status == 0:
            assert len({one["StudyInstanceUID"] for one in outcome.answers}) == 9, f"{len(outcome.answers)} answers of 9, and success"
            # without memory for what has been seen an answer may come twice, and the log says so
            assert len(outcome.answers) == 9 or self.gateway.events("too many answers to find all duplicates"), "an answer comes twice"
            return None
        return f"{outcome.status:04X} {outcome.comment}"

    def get(self):
        pairs, roles = getting([CT], [EXPLICIT])
        with self.client(pairs, "GET", roles=roles) as client:
            if not client.accepted:
                return FAILED
            outcome = client.get(GET_OF["STUDY"], QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
        for one in outcome.requests:
            assert same_data(self.image().data, one.data), "what came is not what was sent"
        if outcome.status == 0:
            assert {dicom.text(one.fields[0x1000]) for one in outcome.requests} == {STORED}, "success, and nothing came"
            return None
        return f"{outcome.status:04X} {outcome.comment}"

    def move(self):
        with self.client([(STUDY_ROOT_MOVE, [IMPLICIT])], "MOVE") as client:
            if not client.accepted:
                return FAILED
            outcome = client.move(STUDY_ROOT_MOVE, "B", QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
        if outcome.status == 0 and outcome.counts.get("failed") == 0:
            return None
        return f"{outcome.status:04X} {outcome.comment}"

    def mpps(self):
        uid = new_uid()
        with self.client([(MPPS, [EXPLICIT])], "MPPS") as client:
            if not client.accepted:
                return FAILED
            done = client.call(N_CREATE_RQ, MPPS, data_of(EXPLICIT, PerformedProcedureStepStatus="IN PROGRESS", PatientID="1"), f1000=uid)
            if done.status != 0:
                return f"{done.status:04X} {done.comment}"
            done = client.call(N_SET_RQ, MPPS, data_of(EXPLICIT, PerformedProcedureStepStatus="COMPLETED"), f1001=uid)
            if done.status != 0:
                return f"{done.status:04X} {done.comment}"
        self.owed.append((self.steps, uid))
        return None

    def commitment(self):
        one = make_instance(2000)
        with self.client([(CT, [EXPLICIT]), (COMMITMENT, [IMPLICIT])], "KEEP") as client:
            if len(client.accepted) < 2:
                return FAILED
            answer = client.store(one)
            if answer.status != 0:
                return f"{answer.status:04X} {answer.comment}"
            self.owed.append((self.keeper, one))
            transaction, status = commit(client, [one])
            if status != 0:
                return f"{status:04X}"
            told = client.await_request()
            values = told.values
            assert values["TransactionUID"] == transaction
        return None if "FailedSOPSequence" not in values else "not committed"

    def reload(self):
        """SIGHUP under traffic: whatever comes of it, the old configuration or the new one is in force."""
        self.reloads += 1
        self.gateway.signal(signal.SIGHUP)
        outcome = self.store("RELAY", [self.a])
        time.sleep(0.1 * SLOW)
        return outcome

    NAMES = ["relay", "relay_large", "secure", "secure_large", "pass_by", "pass_to_two", "fan", "morph", "map", "copy", "copy_large", "both", "queue", "folder", "gather", "find", "get",
             "move", "mpps", "commitment", "reload"]

    # ---- one run, and what is looked at after it

    def run(self, name):
        """What the gateway said: None for success, else words. Raises AssertionError for what is never right."""
        start = time.monotonic()
        try:
            return getattr(self, name)()
        except TimeoutError:
            raise Hung(f"no answer after {LIMIT * SLOW:.0f} s") from None
        except ENDED as e:
            if not self.gateway.alive():
                raise AssertionError(f"the gateway has ended: {self.gateway.process.poll()}") from None
            if time.monotonic() - start > LIMIT * SLOW:
                raise Hung(f"{type(e).__name__} after {time.monotonic() - start:.1f} s") from None
            return f"{type(e).__name__} {e}"

    def _is_there(self, where, what):
        if where == "files":
            path = os.path.join(self.gateway.folder, "files", what.uid + ".dcm")
            return os.path.exists(path) and dicom.read_file(path).data == what.data
        if where is self.steps:
            return sum(1 for c in where.calls if dicom.text(c.command.get(0x1000, c.command.get(0x1001, b""))) == what) >= 2
        for m in where.messages:
            if m.uid == what.uid:
                if not same_data(what.data, m.data):
                    # a morph has changed it; what was sent behind its header stays
                    assert same_data(what.data[-1000:], m.data[-1000:]), f"{what.uid} is not what was sent"
                return True
        return False

    def settle(self, seconds=10):
        """All that was acknowledged arrives."""
        for where, what in self.owed:
            name = getattr(what, "uid", what)
            wait_until(lambda: self._is_there(where, what), f"{name} was acknowledged, and is not at its destination", seconds)
        self.owed = []

    def look(self):
        """Nothing is against the standard, and the peers forget what they have seen."""
        for peer in self.peers:
            assert not peer.faults, f"what the gateway sent breaks the standard: {peer.faults}"
            del peer.messages[:-1], peer.echoes[:]
            if hasattr(peer, "calls"):
                peer.calls[:] = [c for c in peer.calls if not c.over]
                del peer.calls[:-4]
            peer.associations[:] = [a for a in peer.associations if a.ended is None]
            for one in peer.associations:
                del one.messages[:-1]

    def rest(self, seconds=5):
        """No association to a node is left: where they do not linger, the next script opens its own."""
        sinks = (self.a, self.b, self.secret, *self.wide)
        wait_until(lambda: not any(sink.open() for sink in sinks), "associations to nodes are closed", seconds)

    def clean(self, name, seconds=5):
        """Nothing fails any more: the same script is served again, after the time that a node is let be at most."""
        last = []

        def served():
            outcome = self.run(name)
            last[:] = [outcome]
            return outcome is None
        wait_until(served, f"{name}, with nothing that fails, is served again", seconds)
        self.settle()

    def close(self):
        complaints = self.gateway.stop()
        log = self.gateway.log()
        self.gateway.remove()
        for peer in self.peers:
            peer.stop()
        return complaints, log
