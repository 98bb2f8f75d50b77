#!/usr/bin/python3
"""Writes seeds for fuzz_peek.c, from pydicom's files, into a folder: those of seed_data_set.py, plain and deflated.

    tests/fuzz/seed_peek.py FOLDER
"""
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

FLAGS = {0: 1, 1: 3, 2: 0}  # the encoding: fuzz_data_set.c's, this fuzzer's
HEAD = 4  # bytes in front of its data sets


def main():
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as others:
        subprocess.run([Path(__file__).with_name("seed_data_set.py"), others], check=True)
        for path in sorted(Path(others).iterdir()):
            seed = path.read_bytes()
            flags, data_set = FLAGS[seed[0] & 3], seed[HEAD:]
            squeezer = zlib.compressobj(wbits=-15)
            deflated = squeezer.compress(data_set) + squeezer.flush()
            (folder / path.name).write_bytes(bytes([flags, 0]) + data_set)
            (folder / f"{path.name}-deflated").write_bytes(bytes([flags | 4, 7]) + deflated)
    item = struct.pack("<HHIHHI", 0xFFFE, 0xE000, 12, 0x0008, 0x1155, 4) + b"1.2\0"
    for flags, head in ((1, struct.pack("<HH2sHI", 0x0008, 0x1140, b"UN", 0, 40)), (3, struct.pack(">HH2sHI", 0x0008, 0x1140, b"UN", 0, 40))):
        (folder / f"sequence-as-un-{flags}").write_bytes(bytes([flags, 5]) + head + item * 2)


main()
