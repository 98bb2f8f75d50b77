"""Which results of the system the gateway shall be told others than they are (HILUM_IO_FAULTS, src/io/faults.h), while it runs."""

import mmap
import struct
import tempfile

EDITION, COUNT, LIST, BYTES = 0, 4, 8, 4096


class Seam:
    """As a Shim to those who sweep: environment, off(), trace(), close()."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix="hilum-faults-")
        self.file.truncate(BYTES)
        self.map = mmap.mmap(self.file.fileno(), 0)
        self.environment = {"HILUM_IO_FAULTS": "@" + self.file.name}
        self.edition = 0

    def close(self):
        self.map.close()
        self.file.close()

    def _set(self, at, value):
        struct.pack_into("=I", self.map, at, value)

    def arm(self, faults):
        """From now on, counted from 1: "send:3:EPIPE"."""
        raw = faults.encode() + b"\0"
        assert len(raw) <= BYTES - LIST
        self._set(EDITION, self.edition + 1)
        self.map[LIST:LIST + len(raw)] = raw
        self._set(COUNT, 0)
        self.edition += 2
        self._set(EDITION, self.edition)

    def off(self):
        """Nothing fails any more. Returns (0, how many did since it was armed)."""
        count = struct.unpack_from("=I", self.map, COUNT)[0]
        self.arm("")
        return 0, count

    def trace(self, wanted=True):
        """What fails is known by its number: there is nothing to be written."""
