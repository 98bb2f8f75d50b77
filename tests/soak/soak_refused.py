#!/usr/bin/python3
"""Who must never be let in, as a process of its own: soak_refused.py PORT CLOSED_PORT FOLDER SEED LANES PAUSE CA

Revoked, expired, foreign and missing certificates towards CLOSED_PORT, the listener that requires one; the title of another's certificate; wrong
passcodes, and none. FOLDER/refused has the certificates (guard.py). FOLDER/refusals gets a line for each attempt:

    refused KIND       with the reason that is meant for it
    gone KIND          the connection ended before it was said why: at a limit, or by a reset that overtook the alert
    in KIND            let in, which must not be
    ! WORDS            another reason, or no answer
"""

import os
import random
import ssl
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "crash"), os.path.join(os.path.dirname(HERE), "end_to_end")]

import dicom  # noqa: E402
from guard import OTHER_PASSCODE, PASSCODE, USER  # noqa: E402
from lanes import open_record, run_lanes, stopping  # noqa: E402
from sender import Sender  # noqa: E402
from soak_sender import PAIRS, PATIENCE, alert_of, identity_of  # noqa: E402

CALLING, IDENTITY = (1, 1, 3), (1, 2, 1)  # PS3.8 9.3.4: result, source, reason; PS3.7 D.3.3.7.3 for the second
USERS = {"wrong-passcode": f"{USER}:{OTHER_PASSCODE}", "no-passcode": f"{USER}:", "unknown-user": f"eve:{PASSCODE}", "no-user": None}
# What each is refused with: an alert in OpenSSL's words, or a rejection. What is missing has an alert of its own since TLS 1.3.
REASONS = {"revoked": ("SSLV3_ALERT_CERTIFICATE_REVOKED",), "expired": ("SSLV3_ALERT_CERTIFICATE_EXPIRED",), "foreign": ("TLSV1_ALERT_UNKNOWN_CA",),
           "missing": ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_HANDSHAKE_FAILURE"), "stolen": (CALLING,), "plain-port": (CALLING,),
           **{kind: (IDENTITY,) for kind in USERS}}
KINDS = tuple(REASONS)


class Lane(threading.Thread):
    def __init__(self, arguments, number, record):
        super().__init__()
        self.port, self.closed_port, self.folder = int(arguments[0]), int(arguments[1]), os.path.join(arguments[2], "refused")
        self.random, self.pause, self.record = random.Random(f"{arguments[3]}.{number}"), float(arguments[5]), record
        self.ca = arguments[6]

    def run(self):
        while not stopping.is_set():
            stopping.wait(self.random.expovariate(1 / self.pause))
            kind = self.random.choice(KINDS)
            self.write(self.outcome(kind), kind)

    def write(self, *words):
        os.write(self.record, (" ".join(words) + "\n").encode())

    def outcome(self, kind):
        try:
            self.attempt(kind)
            return "in"
        except dicom.Rejected as e:
            found = (e.result, e.source, e.reason)
            return "refused" if found in REASONS[kind] else "gone" if e.result == 2 else f"! {e}:"
        except TimeoutError:
            return f"! no answer within {PATIENCE:.0f} s:"
        except (dicom.Ended, OSError) as e:
            alert = alert_of(e)
            return "gone" if not alert else "refused" if alert in REASONS[kind] else f"! {alert}:"

    def attempt(self, kind):
        if kind in USERS:
            self.associate(self.port, "IDENTIFIED", identity=identity_of(USERS[kind]))
        elif kind == "plain-port":
            self.associate(self.port, "CERTIFIED")
        else:
            self.associate(self.closed_port, "CERTIFIED", tls=self.context(self.shown(kind)))

    def associate(self, port, title, **more):
        with Sender(port, PAIRS, seconds=PATIENCE, calling=title, **more):
            pass

    def shown(self, kind):
        """The file of a certificate and its key, "" for none."""
        if kind == "missing":
            return ""
        names = [name for name in os.listdir(self.folder) if name.startswith(kind) and name.endswith(".pem")]
        return os.path.join(self.folder, self.random.choice(names))

    def context(self, path):
        context = ssl.create_default_context(cafile=self.ca)
        if self.random.random() < 0.5:  # there the certificate is a part of the handshake, later it comes behind it
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if path:
            context.load_cert_chain(path)
        return context


def refusals(folder):
    """{what: {kind: times}} as it was written down, and what was complained of."""
    counted, faults = {"refused": {}, "gone": {}, "in": {}}, []
    with open(os.path.join(folder, "refusals")) as f:
        for line in f:
            what, kind, *_ = line.split()
            if what == "!":
                faults.append(f"outcast: {line[2:].rstrip()}")
            else:
                counted[what][kind] = counted[what].get(kind, 0) + 1
    return counted, faults


def main():
    arguments = sys.argv[1:]
    record = open_record(os.path.join(arguments[2], "refusals"))
    run_lanes([Lane(arguments, number, record) for number in range(int(arguments[4]))])


if __name__ == "__main__":
    main()
