#!/usr/bin/python3
"""A sender of one route as a process of its own, paced: soak_sender.py PORT TITLE RECORD SEED LANES PAUSE [KEY=VALUE...]

As tests/crash/crash_sender.py, with the same lines in RECORD, of which "!" is also: it left us without an answer, or turned us away for what we are.

PAUSE: seconds between two instances of a lane, on average. Associations carry some instances, and end by a release, an abort, a close or a reset. An
instance is one of a few thousand studies, of two classes, in two transfer syntaxes. Who the sender is:

    ca=FILE                      TLS, and who vouches for the gateway
    certificate=FILE key=FILE    what it shows then
    user=NAME:PASSCODE           the user identity that it asks with
"""

import hashlib
import os
import ssl
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "crash"), os.path.join(os.path.dirname(HERE), "end_to_end")]

import crash_sender  # noqa: E402
import dicom  # noqa: E402
from crash_sender import MORPHED, PATIENT  # noqa: E402
from dicom import CT, EXPLICIT, IMPLICIT, MR  # noqa: E402
from harness import SLOW  # noqa: E402
from lanes import open_record, run_lanes, stopping  # noqa: E402
from sender import Sender  # noqa: E402

KIB, MIB = 1 << 10, 1 << 20
# Mostly small; one in fifty goes past replay_max, one in three hundred past header_max: 130 KiB on average.
SIZES = [1, 900, 900, 900, 9 * KIB, 20 * KIB, 20 * KIB, 64 * KIB, 64 * KIB, 300 * KIB]
LARGE, HUGE = [MIB - 200, MIB + 70 * KIB, 3 * MIB], 9 * MIB
STUDIES = 3000
PAIRS = [(CT, [EXPLICIT]), (CT, [IMPLICIT]), (MR, [EXPLICIT])]
PATIENCE = 60 * SLOW  # more than any bound that the gateway has here


def even(value):
    value = value.encode()
    return value + b"\0" * (len(value) % 2)


def element(group, number, value, vr, transfer):
    return dicom.element(group, number, value, vr if transfer == EXPLICIT else None)


def identity_of(user):
    """"NAME:PASSCODE" as a user identity that wants to be answered (PS3.7 D.3.3.7); None: none."""
    return (2, 1, *user.encode().split(b":", 1)) if user is not None else None


def who_is(ca=None, certificate=None, key=None, user=None):
    """What a Sender needs beside its title."""
    tls = ssl.create_default_context(cafile=ca) if ca else None
    if certificate:
        tls.load_cert_chain(certificate, key)
    return {"tls": tls, "identity": identity_of(user)}


def alert_of(trouble):
    """What the gateway said by TLS, in OpenSSL's words; "" if it said nothing."""
    for one in (trouble, trouble.__cause__):
        if isinstance(one, ssl.SSLError) and "ALERT" in (one.reason or ""):
            return one.reason
    return ""


def complaint(trouble):
    """What must not happen to a sender that belongs; "" for misfortunes."""
    if isinstance(trouble, TimeoutError):
        return f"no answer within {PATIENCE:.0f} s"
    if isinstance(trouble, dicom.Rejected) and trouble.result == 1:
        return f"rejected for good: {trouble}"
    return f"refused by TLS: {alert_of(trouble)}" if alert_of(trouble) else ""


class Lane(crash_sender.Lane):
    def __init__(self, arguments, number, record):
        super().__init__([*arguments[:4], None, HUGE], number, record)
        self.pause, self.left = float(arguments[5]), 0
        self.who = who_is(**dict(one.split("=", 1) for one in arguments[6:]))

    def instance(self):
        dice = self.random
        size = dice.choice(SIZES) if dice.random() > 0.02 else HUGE if dice.random() < 0.15 else dice.choice(LARGE)
        sop_class, (transfer,) = dice.choice(PAIRS)
        uid, study = f"2.25.{dice.getrandbits(100)}", f"2.25.777{dice.randrange(STUDIES)}"
        at = dice.randrange(MIB)
        pixels = element(0x7FE0, 0x10, self.noise[at:at + size + size % 2], b"OW", transfer)

        def whole(patient):
            return b"".join((element(8, 0x16, even(sop_class), b"UI", transfer), element(8, 0x18, even(uid), b"UI", transfer),
                             element(0x10, 0x20, patient, b"LO", transfer),
                             element(0x20, 0x0D, even(study), b"UI", transfer), pixels))
        plain = whole(PATIENT)
        return (dicom.Instance(sop_class, uid, transfer, plain), hashlib.sha256(plain).hexdigest(),
                hashlib.sha256(whole(MORPHED)).hexdigest())

    def associated(self):
        if self.sender is None:
            self.sender = Sender(self.port, PAIRS, seconds=PATIENCE, calling=self.title, **self.who)
            self.left = self.random.choice((1, 1, 3, 10, 40))
        return self.sender

    def leave(self):
        """The association has carried enough."""
        sender, self.sender = self.sender, None
        getattr(sender, self.random.choice(("release", "release", "release", "abort", "close", "reset")))()

    def once(self):
        stopping.wait(self.random.expovariate(1 / self.pause))
        try:
            super().once()
        except (dicom.Ended, OSError) as trouble:
            if words := complaint(trouble):
                self.write("!", words)
            raise
        self.left -= 1
        if self.sender and self.left <= 0:
            self.leave()


def main():
    arguments = sys.argv[1:]
    record = open_record(arguments[2])
    run_lanes([Lane(arguments, number, record) for number in range(int(arguments[4]))])


if __name__ == "__main__":
    main()
