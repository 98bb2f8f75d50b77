#!/usr/bin/python3
"""A destination as a process of its own, so that it can be killed, stopped and started again: crash_sink.py PORT RECORD

Every instance that came whole is a line in RECORD, appended before it is answered: UID, SHA-256 of the data set, "taken" or the status it
was refused with. What the gateway did against the standard is a line that begins with "!". A line of JSON on stdin changes settings of
end_to_end/sink.py's Sink; the end of stdin ends the process.
"""

import hashlib
import json
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "end_to_end"))

from lanes import open_record  # noqa: E402
from sink import Sink  # noqa: E402


class Destination:
    def __init__(self, port, record):
        self.record = open_record(record)
        self.status, self.faults = 0, 0
        self.sink = self.listening(port)

    def listening(self, port):
        """The port may be held for a moment by the one that was killed."""
        limit = time.monotonic() + 10
        while True:
            try:
                return self.new_sink(port=port, at_answer=self.take, answer=lambda m: m.verdict)
            except OSError:
                if time.monotonic() > limit:
                    raise
                time.sleep(0.02)

    def new_sink(self, **script):
        return Sink(**script)

    def write(self, *words):
        """In one call: whoever kills us finds whole lines."""
        os.write(self.record, (" ".join(words) + "\n").encode())

    def take(self, message):
        message.verdict = status = self.status  # it may change at any time
        digest = hashlib.sha256(message.kept).hexdigest()
        message.kept = bytearray()
        message.association.sink.messages.clear()
        message.association.messages.clear()
        self.write(message.uid, digest, f"{status:04X}" if status >> 12 in (0xA, 0xC) else "taken")

    def watch(self):
        for fault in self.sink.faults[self.faults:]:
            self.faults += 1
            self.write("!", fault)
        if len(self.sink.associations) > 200:
            self.sink.associations[:] = self.sink.open()

    def change(self, settings):
        self.status = settings.pop("answer", self.status)
        for name, value in settings.items():
            assert hasattr(self.sink, name), name
            setattr(self.sink, name, tuple(value) if isinstance(value, list) else value)


def main():
    destination = Destination(int(sys.argv[1]), sys.argv[2])
    print("listening", flush=True)
    for line in sys.stdin:
        destination.watch()
        destination.change(json.loads(line))
        print("done", flush=True)
    destination.watch()
    os._exit(0)


if __name__ == "__main__":
    main()
