#!/usr/bin/python3
"""A sender as a process of its own: crash_sender.py PORT TITLE RECORD SEED LANES SIZE...

Sends instances of these sizes, one after the other on each of LANES associations, and begins again whenever the gateway is gone. RECORD:

    ? UID SHA SHA   this is sent now; of the data set, and of what the morph (world.py) must make of it
    = UID STATUS    the answer
    x UID           given up by us in mid-instance, by a reset
    ! WORDS         an answer that is none, or not ours

SIGTERM: what is being sent is finished, then it ends.
"""

import hashlib
import os
import random
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "end_to_end"))

import dicom  # noqa: E402
from dicom import CT, EXPLICIT  # noqa: E402
from lanes import open_record, run_lanes, stopping  # noqa: E402
from sender import Sender  # noqa: E402

PATIENT = b"CRASH-1 "
MORPHED = b"SITE7-CRASH-1 "  # world.py's morph
GIVEN_UP = 0.02  # of the instances


class Lane(threading.Thread):
    def __init__(self, arguments, number, record):
        super().__init__()
        self.port, self.title, sizes = int(arguments[0]), arguments[1], arguments[5:]
        self.sizes = [int(size) for size in sizes]
        self.random = random.Random(f"{arguments[3]}.{number}")
        self.noise = random.Random(number).randbytes(max(self.sizes) + (1 << 20))
        self.record, self.sender = record, None

    def write(self, *words):
        os.write(self.record, (" ".join(words) + "\n").encode())

    def instance(self):
        """(instance, hash of it, hash of what the morph makes of it); as make_instance, but its pixels cost nothing."""
        size = self.random.choice(self.sizes)
        size += size % 2
        uid = f"2.25.{self.random.getrandbits(100)}"
        at = self.random.randrange(1 << 20)
        head = dicom.element(8, 0x16, CT.encode() + b"\0" * (len(CT) % 2), b"UI")
        head += dicom.element(8, 0x18, uid.encode() + b"\0" * (len(uid) % 2), b"UI")
        pixels = dicom.element(0x7FE0, 0x10, self.noise[at:at + size], b"OW")
        plain, morphed = (head + dicom.element(0x10, 0x20, name, b"LO") + pixels for name in (PATIENT, MORPHED))
        return (dicom.Instance(CT, uid, EXPLICIT, plain), hashlib.sha256(plain).hexdigest(),
                hashlib.sha256(morphed).hexdigest())

    def associated(self):
        if self.sender is None:
            self.sender = Sender(self.port, [(CT, [EXPLICIT])], seconds=120, calling=self.title)
        return self.sender

    def give_up(self, one):
        """A part of it, and the connection is gone."""
        self.write("x", one.uid)
        context = self.sender.begin(one)
        self.sender.data(context, one.data[:self.random.randrange(len(one.data))])
        self.sender.reset()
        self.sender = None

    def once(self):
        sender = self.associated()
        one, plain, morphed = self.instance()
        self.write("?", one.uid, plain, morphed)
        if self.random.random() < GIVEN_UP:
            self.give_up(one)
        else:
            self.write("=", one.uid, f"{sender.store(one).status:04X}")

    def run(self):
        while not stopping.is_set():
            try:
                self.once()
            except (dicom.Ended, OSError):
                self.drop()
            except AssertionError as wrong:
                self.write("!", str(wrong).replace("\n", " "))
                self.drop()
        self.drop()

    def drop(self):
        sender, self.sender = self.sender, None
        if sender:
            sender.close()
        stopping.wait(0.02)


def main():
    arguments = sys.argv[1:]
    record = open_record(arguments[2])
    run_lanes([Lane(arguments, number, record) for number in range(int(arguments[4]))])


if __name__ == "__main__":
    main()
