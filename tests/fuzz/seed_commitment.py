#!/usr/bin/python3
"""Data sets of storage commitment and a record, as first inputs of fuzz_commitment."""

import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "end_to_end"))
sys.dont_write_bytecode = True

from dicom import BIG_ENDIAN, EXPLICIT, IMPLICIT, encoded  # noqa: E402


def text(value):
    return struct.pack("<H", len(value)) + value.encode()


def record():
    out = b"HLCOMMIT" + bytes([2, 0]) + struct.pack("<QH", 1234567890123, 1) + bytes(16 + 16)
    out += b"".join(text(one) for one in ("CT1", "HILUM", "10.0.0.1", "104", "ct 1", "1.2.3")) + struct.pack("<I", 1)
    out += text("1.2.9") + text("1.2.4") + bytes(2) + struct.pack("<H", 1) + text("pacs") + struct.pack("<H", 0xFFFF)
    return out


def main(folder):
    one = [(0x00081150, "UI", "1.2.9"), (0x00081155, "UI", "1.2.4")]
    failed = [(0x00081198, "SQ", [one + [(0x00081197, "US", 0x0112)]])]
    data = [(0x00081195, "UI", "1.2.3"), *failed, (0x00081199, "SQ", [one, one])]
    for how, transfer in ((0, IMPLICIT), (1, EXPLICIT), (3, BIG_ENDIAN)):
        with open(os.path.join(folder, f"seed-{how}"), "wb") as f:
            f.write(bytes([how, 7]) + encoded(data, transfer))
    with open(os.path.join(folder, "seed-record"), "wb") as f:
        f.write(bytes([4, 0]) + record())


main(sys.argv[1])
