#!/usr/bin/python3
"""A destination of every service as a process of its own: soak_peer.py KIND PORT RECORD GATEWAY_PORT [CERTIFICATE KEY]

KIND "store": as tests/crash/crash_sink.py, with the same protocol on stdin and the same lines in RECORD, and
    step UID STATUS    a procedure step as it was taken, in order (N-CREATE, N-SET)
It answers storage commitment for what it took, by associations of its own to the gateway. With CERTIFICATE and KEY it speaks TLS.

KIND "X1", "X2": an archive of that title; what it holds is known (archive_of). C-FIND, C-GET, and C-MOVE to the gateway, "through us".
"""

import collections
import contextlib
import gc
import json
import os
import ssl
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "crash"), os.path.join(os.path.dirname(HERE), "end_to_end")]

import dicom  # noqa: E402
from archives import distribution  # noqa: E402
from commitment_peers import NO_SUCH_INSTANCE, report_of  # noqa: E402
from crash_sink import Destination  # noqa: E402
from dicom import IMPLICIT  # noqa: E402
from peer_archive import ScriptedArchive  # noqa: E402
from peer_client import Client  # noqa: E402
from peer_data import COMMITMENT, COMMITMENT_INSTANCE  # noqa: E402
from peer_service import Answer, Service  # noqa: E402
from sink import Sink, SinkAssociation  # noqa: E402

TITLES = ("X1", "X2")
REMEMBERED = 4 << 20  # bytes of the record: what commitments may ask about after a restart
STEP = "PerformedProcedureStepStatus"


def archive_of(title):
    """What it holds: of the seven patients of archives.py, some on both."""
    return distribution(len(TITLES))[TITLES.index(title)]


def forget(sink):
    """Nothing grows in a process that lives for an hour."""
    sink.associations[:] = sink.open()
    for kept in ("messages", "echoes", "calls", "cancels"):
        getattr(sink, kept, []).clear()
    sink.threads[:] = [one for one in sink.threads if one.is_alive()]
    gc.collect()  # scripts that were left in the middle, with the connections that they have


class SecureSink(Sink):
    """TLS, for C-STORE alone: what stands decrypted in memory is not seen by a Service's select. Each association shakes hands in its own thread."""

    def __init__(self, files, **script):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*files)
        super().__init__(**script)

    @staticmethod
    def association_class(sink, connection, number):
        with contextlib.suppress(OSError):  # it has gone already
            connection = sink.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return SinkAssociation(sink, connection, number)


class Store(Destination):
    def __init__(self, title, port, record, gateway, tls=None):
        self.title, self.gateway, self.tls = title, gateway, tls
        self.taken, self.steps = collections.OrderedDict(), set()
        self.lock = threading.Lock()
        self.remember(record)
        super().__init__(port, record)

    def remember(self, path):
        """What it took before it was killed."""
        with open(path, "rb") as f:
            f.seek(max(0, os.fstat(f.fileno()).st_size - REMEMBERED))
            for line in f.read().decode().splitlines():
                words = line.split()
                if words[-1:] == ["taken"]:
                    self.taken[words[0]] = None
        with open(path) as f:
            self.steps.update(line.split()[1] for line in f if line.startswith("step "))

    def new_sink(self, **script):
        if self.tls:
            return SecureSink(self.tls, **script)
        return Service({dicom.N_ACTION_RQ: self.commit, dicom.N_CREATE_RQ: self.create, dicom.N_SET_RQ: self.set}, **script)

    def take(self, message):
        if message.command[0x0100] != dicom.C_STORE_RQ:
            message.verdict = self.status
            return
        super().take(message)
        if message.verdict == 0:
            with self.lock:
                self.taken[message.uid] = None
                if len(self.taken) > 50000:
                    self.taken.popitem(last=False)

    def watch(self):
        super().watch()
        forget(self.sink)

    # ---- procedure steps: each instance is known or not (PS3.4 F.7.2)

    def create(self, call):
        yield self.step(call, dicom.text(call.command[0x1000]), False, 0x0111)

    def set(self, call):
        yield self.step(call, dicom.text(call.command[0x1001]), True, 0x0112)

    def step(self, call, uid, has_to_be_known, otherwise):
        if self.status:
            return Answer(0x0213)
        with self.lock:
            if (uid in self.steps) != has_to_be_known:
                return Answer(otherwise)
            self.steps.add(uid)
            self.write("step", uid, call.values[STEP].replace(" ", "_"))
        return Answer(0)

    # ---- storage commitment

    def commit(self, call):
        values = call.values
        yield Answer(0, None, {0x1008: 1})
        threading.Thread(target=self.report, args=(values,), daemon=True).start()

    def report(self, values):
        """Once. If it is lost the gateway's `timeouts.commit` ends it."""
        listed = values["ReferencedSOPSequence"]
        with self.lock:
            good = [one for one in listed if one["ReferencedSOPInstanceUID"] in self.taken]
        bad = [(one, NO_SUCH_INSTANCE) for one in listed if one not in good]
        data = report_of(values["TransactionUID"], good, bad)
        try:
            with Client(self.gateway, [(COMMITMENT, [IMPLICIT])], calling=self.title, roles=[(COMMITMENT, 0, 1)], seconds=20) as client:
                client.call(dicom.N_EVENT_REPORT_RQ, COMMITMENT, data, f1000=COMMITMENT_INSTANCE, f1002=2 if bad else 1)
        except (dicom.Ended, OSError, AssertionError):  # rejected at a limit, or without a context
            pass


class Moving(ScriptedArchive):
    """An archive whose C-MOVEs may be turned away at a limit of the gateway."""

    def move(self, call):
        try:
            yield from super().move(call)
        except (dicom.Ended, OSError):
            yield Answer(0xA702)


class Archive(Store):
    """It stores nothing; commands of stdin and faults are those of a destination."""

    def new_sink(self, **script):
        del script["at_answer"], script["answer"]
        return Moving(archive_of(self.title), self.title, {"HILUM": self.gateway}, **script)


def main():
    title, port, record, gateway, *tls = sys.argv[1:]
    peer = (Archive if title in TITLES else Store)(title, int(port), record, int(gateway), tls)
    print("listening", flush=True)
    for line in sys.stdin:
        peer.watch()
        peer.change(json.loads(line))
        print("done", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
